//! Compound RTCP packets to a latched leg.
#![no_main]
#![allow(dead_code, reason = "the rig of the engine's own tests is used in part")]

#[path = "../../../engine/core/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::{Rig, phone, setup};

fuzz_target!(|data: &[u8]| {
    let mut rig = Rig::new();
    rig.create(setup(1));
    rig.latch(1);
    let mut source = phone(1);
    rig.receive_rtcp(1, source, data);
    source.set_port(source.port() + 1);
    rig.receive_rtcp(1, source, data);
});
