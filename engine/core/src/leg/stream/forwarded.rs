//! A source whose packets are stamped elsewhere for a while, by the same shifts.

use super::{Anchor, Clock, Numbered, Source, Stream, is_jump};
use crate::Time;
use crate::kernel::Progress;
use crate::limits::MAX_MISORDER;

/// Where a source stands that needs nothing but its shifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) sequence_shift: u16,
    pub(crate) timestamp_shift: u32,
    /// Its highest sequence number, and how far behind that a packet still has a number.
    pub(crate) highest: u16,
    pub(crate) reach: u16,
    /// Its last timestamp that stood for its own moment.
    pub(crate) timestamp: u32,
}

impl Stream {
    /// Where the partner's stream of this SSRC stands; none while it is not heard, or its next packet may need more than shifts.
    pub(crate) fn settled(&self, ssrc: u32) -> Option<Settled> {
        let anchor = self.anchor.filter(|anchor| anchor.source == Source::Partner(ssrc))?;
        let ready = !anchor.marker_due && anchor.restart_at.is_none() && self.clock.is_some();
        let Anchor { sequence_shift, timestamp_shift, highest, reach, own_timestamp, .. } = anchor;
        ready.then_some(Settled { sequence_shift, timestamp_shift, highest, reach, timestamp: own_timestamp })
    }

    /// Whether a packet would be stamped by the shifts that there are, or not at all, as one that comes in its turn or late: none
    /// that leaves those behind it without a number.
    pub(crate) fn keeps_shifts(&self, now: Time, packet: &Numbered) -> bool {
        let Some(anchor) = self.anchor.filter(|anchor| anchor.source == packet.source) else { return false };
        let ahead = packet.sequence.wrapping_sub(anchor.highest);
        let far = (MAX_MISORDER..=u16::MAX - MAX_MISORDER).contains(&ahead);
        let back = ahead > 0 && packet.timestamp.wrapping_sub(anchor.own_timestamp) >= 0x8000_0000;
        let moves = packet.payload.has_own_moment() && ahead < 0x8000;
        !(far || moves && (back || is_jump(now, packet, &anchor)))
    }

    /// Takes note of packets that were stamped elsewhere by the shifts that there are: so many since the last time.
    /// `received` is the highest number that had been received before, with its wraps in the upper half.
    pub(crate) fn on_forwarded(
        &mut self,
        progress: &Progress,
        packets: u64,
        payload_bytes: u64,
        received: u32,
        duration_ts: u32,
    ) {
        self.packets += packets;
        self.payload_bytes += payload_bytes;
        let Some(anchor) = &mut self.anchor else { return };
        anchor.restart_at = None;
        // The highest number sent may be behind the highest received by what was not sent on.
        let behind = (received as u16).wrapping_sub(anchor.highest) as i16;
        let ahead = (progress.highest.wrapping_sub(received) as i32).saturating_add(i32::from(behind));
        // When and with which timestamp the packet of that number came may become known a moment after the number.
        let same = ahead == 0 && progress.at > anchor.own_at;
        if ahead <= 0 && !same {
            return;
        }
        anchor.reach = anchor.reach.saturating_add(u16::try_from(ahead).unwrap_or(u16::MAX));
        anchor.highest = progress.highest as u16;
        anchor.own_timestamp = progress.timestamp;
        anchor.own_at = progress.at;
        self.next_sequence = anchor.highest.wrapping_add(anchor.sequence_shift).wrapping_add(1);
        let timestamp = progress.timestamp.wrapping_add(anchor.timestamp_shift);
        self.note_clock(Clock { timestamp, at: progress.at, duration_ts }, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leg::Payload;

    fn audio(sequence: u16, timestamp: u32) -> Numbered {
        Numbered {
            source: Source::Partner(7),
            sequence,
            timestamp,
            marker: false,
            payload_type: 0,
            payload: Payload::Audio,
            duration_ts: 160,
            clock_rate: 8_000,
        }
    }

    /// A stream whose source stands at number 65,530, and timestamp 900.
    fn begun() -> Stream {
        let mut stream = Stream::new(1, 1_000, 50_000);
        assert!(stream.stamp(Time(0), &audio(65_529, 740), 160).is_ok());
        assert!(stream.stamp(Time(20_000), &audio(65_530, 900), 160).is_ok());
        stream
    }

    /// What was forwarded when the source stands at number 65,530 + `ahead`.
    fn progress(ahead: u32) -> Progress {
        Progress {
            highest: 65_530 + ahead,
            timestamp: 900 + 160 * ahead,
            at: Time(20_000 * u64::from(ahead + 1)),
            last_payload_bytes: 160,
            ..Progress::default()
        }
    }

    #[test]
    fn a_stream_that_was_stamped_elsewhere_is_to_the_last_bit_as_one_that_was_stamped_here() {
        let (mut here, mut elsewhere) = (begun(), begun());
        let settled = elsewhere.settled(7).expect("audio was sent");
        for ahead in 1..=20_u32 {
            let packet = audio((65_530 + ahead) as u16, 900 + 160 * ahead);
            let stamp = here.stamp(Time(20_000 * u64::from(ahead + 1)), &packet, 160).expect("it is next");
            assert_eq!(stamp.sequence, packet.sequence.wrapping_add(settled.sequence_shift));
            assert_eq!(stamp.timestamp, packet.timestamp.wrapping_add(settled.timestamp_shift));
        }
        elsewhere.on_forwarded(&progress(8), 8, 8 * 160, 65_530, 160);
        elsewhere.on_forwarded(&progress(20), 12, 12 * 160, 65_538, 160);
        assert_eq!(format!("{elsewhere:?}"), format!("{here:?}"));
    }

    #[test]
    fn what_was_only_received_does_not_hold_back_what_was_sent() {
        let mut stream = begun();
        // The worker received number 65,532 and did not send it on, before it knew that 65,531 had gone by.
        stream.on_forwarded(&progress(1), 1, 160, 65_532, 160);
        assert_eq!(stream.settled(7).map(|settled| settled.highest), Some(65_531));
    }

    #[test]
    fn what_is_known_of_the_last_packet_bit_by_bit_is_known_in_the_end() {
        let (mut at_once, mut bit_by_bit) = (begun(), begun());
        at_once.on_forwarded(&progress(2), 2, 320, 65_530, 160);
        let rest = progress(1);
        let torn = Progress { highest: 65_532, ..rest };
        bit_by_bit.on_forwarded(&torn, 2, 320, 65_530, 160);
        bit_by_bit.on_forwarded(&Progress { timestamp: progress(2).timestamp, ..torn }, 0, 0, 65_532, 160);
        bit_by_bit.on_forwarded(&progress(2), 0, 0, 65_532, 160);
        assert_eq!(format!("{bit_by_bit:?}"), format!("{at_once:?}"));
    }

    #[test]
    fn a_source_that_owes_a_marker_or_has_jumped_back_is_not_settled() {
        let mut stream = Stream::new(1, 1_000, 50_000);
        let noise = Numbered { payload: Payload::ComfortNoise, ..audio(1, 0) };
        assert!(stream.stamp(Time(0), &noise, 1).is_ok());
        assert_eq!(stream.settled(7), None, "the next talkspurt has not begun");
        let mut stream = begun();
        assert_eq!(stream.settled(8), None, "another source");
        assert!(stream.stamp(Time(40_000), &audio(65_000, 1_060), 160).is_err());
        assert_eq!(stream.settled(7), None);
    }

    #[test]
    fn a_jump_does_not_keep_the_shifts() {
        let stream = begun();
        let keeps = |sequence: u16, timestamp| stream.keeps_shifts(Time(40_000), &audio(sequence, timestamp));
        assert!(keeps(65_531, 1_060) && keeps(65_530, 900) && keeps(65_500, 0), "next, again, late");
        assert!(keeps(65_530_u16.wrapping_add(99), 1_060));
        assert!(!keeps(65_530_u16.wrapping_add(100), 1_060) && !keeps(65_400, 0));
        assert!(!keeps(65_535, 899), "from before a restart");
        assert!(!keeps(65_531, 50_000), "six seconds in 20 ms");
        let event = Numbered { payload: Payload::TelephoneEvent, ..audio(65_531, 50_000) };
        assert!(stream.keeps_shifts(Time(40_000), &event), "a key has no moment of its own");
        assert!(
            !stream.keeps_shifts(Time(40_000), &Numbered { source: Source::Idle, ..audio(65_531, 1_060) })
        );
    }
}
