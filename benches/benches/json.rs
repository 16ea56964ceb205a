//! What does JSON cost: reading a request, writing a reply, and both with what the director does in between?

use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook_engine_core::{Director, DirectorConfig, PortRange, Time};
use offhook_proto::{LegCreated, Reply, Request, frame};

fn json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("control protocol");
    group.throughput(Throughput::Elements(1));
    let create = include_bytes!("../../engine/proto/golden/leg.create.request.txt").trim_ascii_end();
    let splice = include_bytes!("../../engine/proto/golden/splice.request.txt").trim_ascii_end();
    for (name, datagram) in [("read leg.create", create), ("read splice", splice)] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let (_, dictionary) = frame::split(black_box(datagram)).expect("golden");
                Request::parse(dictionary).expect("golden")
            });
        });
    }
    let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
    let created =
        LegCreated { leg: "agent-7".into(), rtp: address, rtcp: address, worker: 0, ssrc: 2_718_281_828 };
    group.bench_function("write the reply to leg.create", |bench| {
        bench.iter(|| frame::join("8d1f5c02a7b3e946-2", &Reply::ok(black_box(&created))));
    });
    let mut director = director();
    let mut number = 0_u64;
    group.bench_function("answer a ping", |bench| {
        bench.iter(|| {
            number += 1;
            // A reply is kept for half a minute: time passes, so that the stored ones go again.
            let (now, datagram) = (Time(number * 1_000), format!("c{number} {{\"command\":\"ping\"}}"));
            director.handle_timeout(now);
            director.handle_datagram(now, address, datagram.as_bytes());
            std::iter::from_fn(|| director.poll_output()).count()
        });
    });
    group.finish();
}

fn director() -> Director {
    let config = DirectorConfig {
        instance: "bench".into(),
        version: "0".into(),
        addresses: vec![[127, 0, 0, 1].into()],
        advertised: HashMap::new(),
        ports: PortRange { first: 20_000, last: 59_999 },
        workers: 1,
        max_legs: 20_000,
        max_legs_per_worker: 20_000,
        seed: [5; 32],
    };
    Director::new(Time(0), config)
}

criterion_group!(benches, json);
criterion_main!(benches);
