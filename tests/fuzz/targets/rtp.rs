//! Packets to two spliced legs with different encodings, and to one that transcodes.
#![no_main]
#![allow(dead_code, reason = "the rig of the engine's own tests is used in part")]

#[path = "../../../engine/core/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use offhook_proto::{Codec, Media};
use support::{Rig, phone, setup};

fuzz_target!(|data: &[u8]| {
    let mut rig = Rig::new();
    for (leg, codec) in [(1, Codec::Pcmu), (2, Codec::Pcmu), (3, Codec::Pcmu), (4, Codec::G722)] {
        let media = Media { codec, telephone_event: Some(101), ..Media::default() };
        rig.create(offhook_engine_core::LegSetup { media, ..setup(leg) });
        rig.latch(leg);
    }
    rig.splice(1, 2);
    rig.splice(3, 4);
    // Packets one after another: a byte of length, a byte that chooses the leg, then the packet.
    let mut rest = data;
    while let [len, leg, tail @ ..] = rest {
        let (packet, next) = tail.split_at((*len as usize).min(tail.len()));
        let leg = u64::from(leg % 4) + 1;
        let _ = rig.receive_from(leg, phone(leg), packet);
        rig.now = offhook_engine_core::Time(rig.now.0 + 20_000);
        rest = next;
    }
});
