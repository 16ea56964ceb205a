//! Whether what a leg hears is one unbroken stream for its whole life (RFC 3550 section 5.1, RFC 3551 section 4.1).

use super::PTIME_TS;
use super::rtp::{COMFORT_NOISE, Header, TELEPHONE_EVENT};

/// Farther than this from the last sequence number is a jump, not loss or reordering.
const MAX_DROPOUT: i16 = 3_000;
const LONGEST_BACK: i16 = -MAX_DROPOUT;

/// Breaks in a stream, as counted by one listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Breaks {
    pub(crate) packets: u64,
    pub(crate) ssrc_changes: u64,
    /// Sequence numbers that were skipped and never came.
    pub(crate) lost: u64,
    /// Packets that came after a later one, or twice.
    pub(crate) late: u64,
    /// Jumps of the sequence number too large to be loss.
    pub(crate) sequence_jumps: u64,
    /// Timestamps that do not follow from the sequence number, without a marker bit to excuse them.
    pub(crate) timestamp_jumps: u64,
    /// Marker bits: beginnings of talkspurts.
    pub(crate) talkspurts: u64,
}

impl Breaks {
    /// Adds another listener's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.ssrc_changes += other.ssrc_changes;
        self.lost += other.lost;
        self.late += other.late;
        self.sequence_jumps += other.sequence_jumps;
        self.timestamp_jumps += other.timestamp_jumps;
        self.talkspurts += other.talkspurts;
    }

    /// True: no break of any kind.
    pub(crate) fn unbroken(&self) -> bool {
        self.broken() == 0
    }

    /// Breaks of any kind.
    fn broken(&self) -> u64 {
        self.ssrc_changes + self.lost + self.late + self.sequence_jumps + self.timestamp_jumps
    }
}

/// Follows the headers of everything that one endpoint hears.
#[derive(Clone, Debug, Default)]
pub(crate) struct Continuity {
    last: Option<Header>,
    pub(crate) breaks: Breaks,
    /// The first packet that broke the stream, and the one before it.
    pub(crate) first_break: Option<(Header, Header)>,
}

impl Continuity {
    /// A new call, and so a new stream, begins; the counts go on.
    pub(crate) fn begin_anew(&mut self) {
        self.last = None;
    }

    /// Takes the next header in order of arrival.
    pub(crate) fn hear(&mut self, header: &Header) {
        self.breaks.packets += 1;
        self.breaks.talkspurts += u64::from(header.marker);
        let Some(last) = self.last.replace(*header) else { return };
        let before = self.breaks.broken();
        self.compare(&last, header);
        if self.breaks.broken() > before {
            self.first_break.get_or_insert((last, *header));
        }
    }

    fn compare(&mut self, last: &Header, header: &Header) {
        if last.ssrc != header.ssrc {
            self.breaks.ssrc_changes += 1;
            return;
        }
        match header.sequence.wrapping_sub(last.sequence).cast_signed() {
            step @ 1..=MAX_DROPOUT => {
                self.breaks.lost += step as u64 - 1;
                self.check_timestamp(last, header, step as u32);
            }
            LONGEST_BACK..=0 => {
                self.breaks.late += 1;
                // A late packet was counted as lost; a duplicate was not.
                self.breaks.lost -= u64::from(header.sequence != last.sequence && self.breaks.lost > 0);
                self.last = Some(*last);
            }
            _ => self.breaks.sequence_jumps += 1,
        }
    }

    fn check_timestamp(&mut self, last: &Header, header: &Header, steps: u32) {
        // Comfort noise stands for a pause of any length, an event keeps its start (RFC 3389, RFC 4733 section 2.2).
        let loose = [COMFORT_NOISE, TELEPHONE_EVENT];
        let excused =
            header.marker || loose.contains(&last.payload_type) || loose.contains(&header.payload_type);
        let advance = header.timestamp.wrapping_sub(last.timestamp);
        let plausible = if excused { advance.cast_signed() >= 0 } else { advance == steps * PTIME_TS };
        self.breaks.timestamp_jumps += u64::from(!plausible);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16) -> Header {
        let timestamp = u32::from(sequence).wrapping_mul(PTIME_TS);
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 1 }
    }

    fn breaks(headers: &[Header]) -> Breaks {
        let mut continuity = Continuity::default();
        headers.iter().for_each(|h| continuity.hear(h));
        continuity.breaks
    }

    #[test]
    fn a_steady_stream_is_unbroken_across_the_wrap_of_both_counters() {
        let headers = (0..10_u32).map(|i| Header {
            timestamp: 0_u32.wrapping_sub(800).wrapping_add(i * PTIME_TS),
            ..header(65_531_u16.wrapping_add(i as u16))
        });
        let breaks = breaks(&headers.collect::<Vec<_>>());
        assert!(breaks.unbroken(), "{breaks:?}");
        assert_eq!(breaks.packets, 10);
    }

    #[test]
    fn loss_reordering_duplication_and_jumps_are_told_apart() {
        assert_eq!(breaks(&[header(1), header(4)]).lost, 2);
        let reordered = breaks(&[header(1), header(3), header(2), header(4)]);
        assert_eq!((reordered.lost, reordered.late), (0, 1));
        let duplicated = breaks(&[header(1), header(1), header(2)]);
        assert_eq!((duplicated.lost, duplicated.late), (0, 1));
        assert_eq!(breaks(&[header(1), header(20_000)]).sequence_jumps, 1);
        let changed = Header { ssrc: 2, ..header(900) };
        assert_eq!(breaks(&[header(1), changed]).ssrc_changes, 1);
    }

    #[test]
    fn a_new_call_may_have_a_stream_of_its_own() {
        let mut continuity = Continuity::default();
        continuity.hear(&header(1));
        continuity.begin_anew();
        continuity.hear(&Header { ssrc: 2, ..header(900) });
        assert!(continuity.breaks.unbroken());
    }

    #[test]
    fn a_timestamp_may_leap_only_at_a_marker_or_after_comfort_noise() {
        let leap = Header { timestamp: 99_999, ..header(2) };
        assert_eq!(breaks(&[header(1), leap]).timestamp_jumps, 1);
        assert_eq!(breaks(&[header(1), Header { marker: true, ..leap }]).timestamp_jumps, 0);
        let noise = Header { payload_type: COMFORT_NOISE, ..header(1) };
        assert_eq!(breaks(&[noise, leap]).timestamp_jumps, 0);
        let back = Header { timestamp: 0, ..header(2) };
        assert_eq!(breaks(&[noise, back]).timestamp_jumps, 1);
    }
}
