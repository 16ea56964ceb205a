//! Datagrams of the ng protocol, JSON and bencode, with an engine that has the legs that it is asked for.
#![no_main]
#![allow(dead_code, reason = "the engine of the family's own tests is used in part")]

#[path = "../../../engine/ng/tests/family/world.rs"]
mod world;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use offhook_ng::{Output, Peer};
use world::World;

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let peer = Peer::Udp(([127, 0, 0, 1], 5_000).into());
    for datagram in data.split(|byte| *byte == 0) {
        world.ng.handle_datagram(world.now, peer, datagram);
        settle(&mut world);
        world.now += Duration::from_secs(1);
        world.ng.handle_timeout(world.now);
        settle(&mut world);
    }
});

fn settle(world: &mut World) {
    while let Some(output) = world.ng.poll_output() {
        if let Output::Ask { step, command } = output {
            let reply = world.execute(command);
            world.ng.handle_reply(world.now, step, reply);
        }
    }
}
