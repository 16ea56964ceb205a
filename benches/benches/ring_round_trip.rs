//! What does it cost to receive a packet through the ring and to send it on from the same buffer, alone and in a batch?

use std::net::UdpSocket;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_uring::{Completion, FileSlot, Ring, RingConfig};

fn ring_round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring round trip");
    for batch in [1_u32, 32] {
        let mut echo = Echo::new();
        group.throughput(Throughput::Elements(u64::from(batch)));
        group.bench_function(BenchmarkId::from_parameter(format!("batch of {batch}")), |bench| {
            bench.iter(|| echo.round(batch));
        });
    }
    group.finish();
}

struct Echo {
    ring: Ring,
    slot: FileSlot,
    phone: UdpSocket,
}

impl Echo {
    fn new() -> Self {
        let mut ring = Ring::new(&RingConfig { files: 16, ..RingConfig::default() })
            .unwrap_or_else(|error| panic!("this machine cannot run the ring: {error}"));
        let leg = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let phone = UdpSocket::bind("127.0.0.1:0").expect("a port");
        leg.connect(phone.local_addr().expect("bound")).expect("loopback");
        phone.connect(leg.local_addr().expect("bound")).expect("loopback");
        let slot = ring.register(leg.into()).expect("room");
        ring.receive(slot, 0).expect("room");
        ring.submit().expect("the ring takes it");
        Self { ring, slot, phone }
    }

    /// Sends a batch to the ring, which sends it back.
    fn round(&mut self, batch: u32) {
        let mut packet = [0xd5; 172];
        for _ in 0..batch {
            self.phone.send(&packet).expect("sent");
        }
        let mut echoed = 0;
        while echoed < batch {
            self.ring.submit_and_wait(1, None, None).expect("the ring goes on");
            while let Some(completion) = self.ring.next_completion() {
                match completion {
                    Completion::Datagram(datagram) => {
                        self.ring.send(self.slot, 0, datagram.buffer).expect("room");
                        echoed += 1;
                    }
                    Completion::ReceiveEnded { token, .. } => {
                        self.ring.receive(self.slot, token).expect("room");
                    }
                    Completion::SendFailed { .. } | Completion::Woken => {}
                }
            }
        }
        self.ring.submit().expect("the ring goes on");
        for _ in 0..batch {
            self.phone.recv(&mut packet).expect("received");
        }
    }
}

criterion_group!(benches, ring_round_trip);
criterion_main!(benches);
