//! Who is known under a key: senders of whom a packet was authenticated.

use crate::MAX_SENDERS;

/// Senders of one kind of packets.
#[derive(Debug, Default)]
pub(crate) struct Senders(Vec<Sender>);

#[derive(Clone, Copy, Debug)]
struct Sender {
    ssrc: u32,
    /// Highest RTP packet so far: its rollover counter above 16 bits of sequence number (RFC 3711 section 3.3.1).
    index: u64,
}

impl Senders {
    /// Place of a sender; none when it is not known.
    pub(crate) fn find(&self, ssrc: u32) -> Option<usize> {
        self.0.iter().position(|sender| sender.ssrc == ssrc)
    }

    /// Takes a sender in and returns its place; none when there is no room.
    ///
    /// None gives way: a sender that was forgotten could be replayed from its first packet on.
    pub(crate) fn add(&mut self, ssrc: u32, index: u64) -> Option<usize> {
        if self.is_full() {
            return None;
        }
        self.0.push(Sender { ssrc, index });
        Some(self.0.len() - 1)
    }

    /// Whether there is no room for another.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_SENDERS
    }

    /// Highest index of the sender at a place.
    pub(crate) fn index(&self, at: usize) -> u64 {
        self.0[at].index
    }

    /// Takes note of a packet's number, after it was authenticated.
    pub(crate) fn note(&mut self, at: usize, sequence: u16) {
        let index = &mut self.0[at].index;
        let ahead = sequence.wrapping_sub(*index as u16);
        // Nothing comes before rollover counter 0, so that no jump is too far ahead there.
        if ahead < 0x8000 || *index < u64::from(sequence) {
            *index += u64::from(ahead);
        }
    }

    /// Takes note of a packet that came far ahead.
    pub(crate) fn move_on(&mut self, at: usize, index: u64) {
        self.0[at].index = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_after(numbers: &[u16]) -> u64 {
        let mut senders = Senders::default();
        let at = senders.add(9, u64::from(numbers[0])).expect("there is room");
        numbers.iter().for_each(|number| senders.note(at, *number));
        senders.index(at)
    }

    #[test]
    fn the_index_counts_rollovers_and_never_runs_back() {
        assert_eq!(index_after(&[65_530, 65_535, 2]), 0x1_0002);
        assert_eq!(index_after(&[65_530, 2, 65_535, 3]), 0x1_0003, "one that comes late");
        assert_eq!(index_after(&[100, 20_000, 50_000, 10_000]), 0x1_0000 + 10_000);
        assert_eq!(index_after(&[100, 40_000, 39_990]), 40_000, "a gap of half the numbers");
    }
}
