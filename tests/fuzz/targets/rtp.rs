//! Packets to two pairs of legs between which packets are forwarded as they are, from their phones and from strangers, to the
//! ports of RTP and of RTCP. Whatever comes, a phone hears its own partner alone, in one stream.
#![no_main]
#![allow(dead_code, reason = "the rig of the engine's own tests is used in part")]

#[path = "../../../engine/core/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use offhook_engine_core::{LegSetup, Socket};
use offhook_proto::{LatchMode, Media};
use support::{Rig, phone, setup};

/// How legs 1 to 4 learn where their phones send from.
const LEGS: [LatchMode; 4] =
    [LatchMode::Signalled, LatchMode::Heuristic, LatchMode::Immediate, LatchMode::Delayed];

/// The leg that hears leg number `leg`.
fn partner(leg: u64) -> u64 {
    ((leg - 1) ^ 1) + 1
}

fuzz_target!(|data: &[u8]| {
    let mut rig = Rig::new();
    for (leg, latch) in (1..).zip(LEGS) {
        let media = Media { telephone_event: Some(101), ..Media::default() };
        rig.create(LegSetup { media, latch, ..setup(leg) });
        rig.latch(leg);
    }
    rig.splice(1, 2);
    rig.splice(3, 4);
    rig.sent.clear();
    // Packets one after another: two bytes of length; a byte that chooses the leg (two bits), whether it comes from its phone or
    // from one of three strangers (two), to which port (one), and how long the next one is in coming (0 to 70 ms); the packet.
    let mut rest = data;
    while let [high, low, way, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (packet, next) = tail.split_at(len.min(tail.len()));
        let leg = u64::from(way % 4) + 1;
        let source = phone(leg + u64::from(way / 4 % 4) * 8);
        let (heard, socket) = if way / 16 % 2 == 0 {
            let _ = rig.receive_from(leg, source, packet);
            (partner(leg), Socket::Rtp)
        } else {
            rig.receive_rtcp(leg, source, packet);
            (leg, Socket::Rtcp)
        };
        let hearer = rig.ix(heard);
        for sent in rig.sent.drain(..) {
            assert_eq!((sent.leg, sent.socket), (hearer, socket), "it goes to the partner alone");
            if socket == Socket::Rtp {
                assert!(sent.bytes.len() <= packet.len(), "nothing is added to it");
                assert_eq!(sent.bytes[0] >> 6, 2);
                assert_eq!(sent.header().ssrc, setup(heard).ssrc, "its hearer has one stream");
            }
        }
        rig.pass_ms(u64::from(way / 32) * 10);
        assert!(rig.sent.drain(..).all(|sent| sent.socket == Socket::Rtcp), "time makes no sound");
        rest = next;
    }
});
