//! Datagrams of the ng protocol, JSON and bencode, whose commands the engine accepts.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use offhook_ng::{Config, Ng, Output, Peer};
use offhook_proto::Reply;

fuzz_target!(|data: &[u8]| {
    let mut ng = Ng::new(Config {
        interfaces: vec![("internal".into(), [127, 0, 0, 1].into())],
        prompts: None,
        unix_s: 1_800_000_000,
        seed: [7; 32],
        delete_delay_s: 0,
    });
    let peer = Peer::Udp(([127, 0, 0, 1], 5_000).into());
    for (at, datagram) in data.split(|byte| *byte == 0).enumerate() {
        ng.handle_datagram(Duration::from_secs(at as u64), peer, datagram);
        while let Some(output) = ng.poll_output() {
            if let Output::Ask { step, .. } = output {
                ng.handle_reply(Duration::from_secs(at as u64), step, Reply::done());
            }
        }
    }
});
