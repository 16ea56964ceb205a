//! Datagrams of the control protocol to the engine's director.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_engine_core::{Director, DirectorConfig, PortRange, Time};

fuzz_target!(|data: &[u8]| {
    let mut director = Director::new(
        Time(0),
        DirectorConfig {
            instance: "fuzz".into(),
            version: "0".into(),
            addresses: vec![[127, 0, 0, 1].into()],
            advertised: std::collections::HashMap::new(),
            ports: PortRange { first: 20_000, last: 20_999 },
            workers: 1,
            max_legs: 8,
            max_legs_per_worker: 8,
            seed: [7; 32],
        },
    );
    let source = ([127, 0, 0, 1], 5_000).into();
    for (at, datagram) in data.split(|byte| *byte == 0).enumerate() {
        director.handle_datagram(Time(at as u64), source, datagram);
        while director.poll_output().is_some() {}
    }
    director.handle_timeout(Time(60_000_000));
    while director.poll_output().is_some() {}
});
