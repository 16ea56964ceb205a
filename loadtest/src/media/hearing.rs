//! What one listener heard of one speaker: loss, order, repetition, gaps.

use super::stamp::Stamp;

/// Sequence numbers remembered to tell a late packet from a repeated one.
const WINDOW: u64 = 128;

/// Follows one speaker's stamps at one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearing {
    pub(crate) heard: Option<Heard>,
    window: u128,
}

/// The account so far; exists from the first packet on.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Heard {
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) first_sent_ns: u64,
    pub(crate) first_arrival_ns: u64,
    pub(crate) last_arrival_ns: u64,
    /// Different packets heard.
    pub(crate) distinct: u64,
    pub(crate) repeated: u64,
    /// Packets that came after a later one.
    pub(crate) reordered: u64,
    pub(crate) longest_gap_ns: u64,
}

impl Heard {
    /// Packets that never came, between the first heard and the last.
    pub(crate) fn missing(&self) -> u64 {
        (self.last_sequence - self.first_sequence + 1).saturating_sub(self.distinct)
    }
}

impl Hearing {
    /// Takes a stamp. True: it is the first of this speaker.
    pub(crate) fn hear(&mut self, stamp: &Stamp, arrival_ns: u64) -> bool {
        let Some(heard) = &mut self.heard else {
            self.window = 1;
            self.heard = Some(Heard {
                first_sequence: stamp.sequence,
                last_sequence: stamp.sequence,
                first_sent_ns: stamp.sent_ns,
                first_arrival_ns: arrival_ns,
                last_arrival_ns: arrival_ns,
                distinct: 1,
                repeated: 0,
                reordered: 0,
                longest_gap_ns: 0,
            });
            return true;
        };
        heard.longest_gap_ns = heard.longest_gap_ns.max(arrival_ns.saturating_sub(heard.last_arrival_ns));
        heard.last_arrival_ns = heard.last_arrival_ns.max(arrival_ns);
        if stamp.sequence > heard.last_sequence {
            let step = stamp.sequence - heard.last_sequence;
            self.window = if step < WINDOW { self.window << step | 1 } else { 1 };
            heard.last_sequence = stamp.sequence;
            heard.distinct += 1;
            return false;
        }
        let back = heard.last_sequence - stamp.sequence;
        let seen = back >= WINDOW || self.window >> back & 1 == 1;
        if seen {
            heard.repeated += 1;
        } else {
            self.window |= 1 << back;
            heard.reordered += 1;
            heard.distinct += 1;
            heard.first_sequence = heard.first_sequence.min(stamp.sequence);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(sequences: &[u64]) -> Heard {
        let mut hearing = Hearing::default();
        for (at, &sequence) in sequences.iter().enumerate() {
            let stamp = Stamp { run: 1, speaker: 1, sequence, sent_ns: 0 };
            assert_eq!(hearing.hear(&stamp, at as u64 * 20), at == 0);
        }
        hearing.heard.expect("something was heard")
    }

    #[test]
    fn lost_late_and_repeated_packets_are_counted_once_each() {
        let account = heard(&[5, 6, 9, 8, 8, 12]);
        assert_eq!((account.distinct, account.reordered, account.repeated), (5, 1, 1));
        assert_eq!(account.missing(), 3);
        assert_eq!(account.longest_gap_ns, 20);
    }

    #[test]
    fn a_packet_from_before_the_first_heard_extends_the_account() {
        let account = heard(&[5, 4, 6]);
        assert_eq!((account.first_sequence, account.missing(), account.reordered), (4, 0, 1));
    }

    #[test]
    fn a_long_outage_is_all_loss() {
        assert_eq!(heard(&[1, 1_001]).missing(), 999);
    }
}
