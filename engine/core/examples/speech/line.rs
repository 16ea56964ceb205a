//! A line that loses and delays packets, the same ones at each run.

use crate::phone::Packet;
use crate::support::world::Dice;

/// What a line does. One that loses more loses what others lose, too.
#[derive(Clone, Copy, Default)]
pub(crate) struct Line {
    pub(crate) lose_percent: usize,
    /// Each packet is late by so much at most, and may be overtaken.
    pub(crate) jitter_ms: usize,
}

impl Line {
    /// What comes of what was sent, as it comes.
    pub(crate) fn carry(self, sent: &[Packet], seed: u64) -> Vec<Packet> {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut come = Vec::with_capacity(sent.len());
        for packet in sent {
            let is_lost = dice.below(100) < self.lose_percent;
            let late_ms = dice.below(self.jitter_ms + 1) as u64;
            if !is_lost {
                come.push(Packet { at_ms: packet.at_ms + late_ms, ..packet.clone() });
            }
        }
        come.sort_by_key(|packet| packet.at_ms);
        come
    }
}
