//! Packets that came before they could be sent on: kept for a moment, so that the first word after an answer is not lost.

use std::collections::VecDeque;
use std::net::SocketAddr;

use offhook_proto::Codec;

use crate::limits::{HELD_BYTES, HELD_MS, HELD_PACKETS, PACKET_BYTES};
use crate::{DropReason, Time};

/// The latest packets of one leg that could not be sent on yet, in the order in which they came.
///
/// Their bytes lie in one ring, which is allocated with the first of them. When it is full the oldest give way.
#[derive(Debug)]
pub(crate) struct Hold {
    bytes: Box<[u8]>,
    /// Where the next packet's bytes go, unless it has to start at the front.
    next: usize,
    next_number: u64,
    packets: VecDeque<Held>,
}

/// A packet that was not sent on yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its place among all that were held of this leg.
    pub(crate) number: u64,
    pub(crate) at: Time,
    pub(crate) source: SocketAddr,
    /// Why not: what it counts as when it never is. `Stranger` has not been looked at any further, `NoKey` is encrypted.
    pub(crate) reason: DropReason,
    start: usize,
    pub(crate) len: usize,
}

impl Hold {
    /// An empty one, for packets of an encoding.
    pub(crate) fn of(codec: Codec) -> Self {
        Self {
            bytes: vec![0; room(codec)].into_boxed_slice(),
            next: 0,
            next_number: 0,
            packets: VecDeque::with_capacity(HELD_PACKETS),
        }
    }

    /// Keeps a packet of at most [`PACKET_BYTES`]. Hands those that give way for it to `on_dropped`.
    pub(crate) fn push(
        &mut self,
        at: Time,
        source: SocketAddr,
        reason: DropReason,
        packet: &[u8],
        mut on_dropped: impl FnMut(Held),
    ) {
        assert!(packet.len() <= PACKET_BYTES, "longer packets are not held");
        let start = if self.next + packet.len() > self.bytes.len() { 0 } else { self.next };
        let end = start + packet.len();
        let overlaps = |held: &Held| held.start < end && start < held.start + held.len;
        while self.packets.len() >= HELD_PACKETS || self.packets.iter().any(overlaps) {
            if let Some(oldest) = self.packets.pop_front() {
                on_dropped(oldest);
            }
        }
        self.bytes[start..end].copy_from_slice(packet);
        self.packets.push_back(Held {
            number: self.next_number,
            at,
            source,
            reason,
            start,
            len: packet.len(),
        });
        self.next = end;
        self.next_number += 1;
    }

    /// Copies the oldest packet from a number on to the front of `out`, which is longer than any.
    pub(crate) fn copy_from(&self, number: u64, out: &mut [u8]) -> Option<Held> {
        let held = *self.packets.iter().find(|held| held.number >= number)?;
        out[..held.len].copy_from_slice(&self.bytes[held.start..held.start + held.len]);
        Some(held)
    }

    /// Lets one packet go.
    pub(crate) fn remove(&mut self, number: u64) {
        self.packets.retain(|held| held.number != number);
    }

    /// Keeps one packet for another reason.
    pub(crate) fn keep_for(&mut self, number: u64, reason: DropReason) {
        if let Some(held) = self.packets.iter_mut().find(|held| held.number == number) {
            held.reason = reason;
        }
    }

    /// Looks at each packet again: its length and reason from now on, or the reason that it is dropped for.
    pub(crate) fn revise(
        &mut self,
        mut revise: impl FnMut(&Held, &mut [u8]) -> Result<(usize, DropReason), DropReason>,
        mut on_dropped: impl FnMut(&Held),
    ) {
        let bytes = &mut self.bytes;
        self.packets.retain_mut(|held| match revise(held, &mut bytes[held.start..held.start + held.len]) {
            Ok((len, reason)) => {
                (held.len, held.reason) = (len, reason);
                true
            }
            Err(reason) => {
                held.reason = reason;
                on_dropped(held);
                false
            }
        });
    }

    /// Takes the oldest packet out if it came before a moment.
    pub(crate) fn pop_before(&mut self, moment: Time) -> Option<Held> {
        self.packets.pop_front_if(|held| held.at < moment)
    }

    /// All that are kept, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.packets.iter()
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }
}

/// Bytes for all that is held at once: linear samples are more of them.
fn room(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => HELD_BYTES,
        Codec::L16 { rate_hz } => {
            HELD_BYTES.max(2 * rate_hz as usize * HELD_MS as usize / 1_000 + HEADERS_BYTES)
        }
    }
}

/// Room for the headers of these, and for what is left free behind the last packet of a round.
const HEADERS_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::SRTP_OVERHEAD_BYTES;

    const REASON: DropReason = DropReason::NotSpliced;

    fn source() -> SocketAddr {
        "192.0.2.1:4000".parse().expect("a literal address")
    }

    proptest! {
        #[test]
        fn the_latest_packets_come_out_whole_and_in_order(
            steps in proptest::collection::vec((0_usize..=PACKET_BYTES, any::<bool>()), 1..300),
        ) {
            let (mut hold, mut model, mut out) = (Hold::of(Codec::Pcmu), VecDeque::new(), [0; PACKET_BYTES]);
            for (number, (len, take)) in steps.into_iter().enumerate() {
                let packet = vec![number as u8; len];
                let mut gone = 0;
                hold.push(Time(number as u64), source(), REASON, &packet, |_| gone += 1);
                model.push_back((number as u64, packet));
                model.drain(..gone);
                prop_assert_eq!(hold.len(), model.len());
                if take {
                    let held = hold.copy_from(0, &mut out).expect("one was just kept");
                    hold.remove(held.number);
                    let (at, packet) = model.pop_front().expect("the model agrees");
                    prop_assert_eq!((held.at, &out[..held.len]), (Time(at), &packet[..]));
                }
            }
        }
    }

    #[test]
    fn what_may_be_sent_on_late_always_fits_in_every_encoding() {
        let linear = |rate_hz| Codec::L16 { rate_hz };
        let packets = [(Codec::Pcmu, 160, 20), (linear(32_000), 1_280, 20), (linear(48_000), 960, 10)];
        for (codec, payload_bytes, ptime_ms) in packets {
            let (mut hold, mut dropped) = (Hold::of(codec), 0);
            // A header, and what protects a packet at most.
            let packet = vec![0; 12 + payload_bytes + SRTP_OVERHEAD_BYTES];
            for number in 0..1_000 {
                hold.push(Time(number), source(), REASON, &packet, |_| dropped += 1);
                assert!(hold.len() as u64 >= (number + 1).min(HELD_MS / ptime_ms), "{codec:?}");
            }
            assert_eq!(dropped + hold.len(), 1_000);
        }
    }
}
