//! What does it cost to protect a packet of 20 ms of G.711, and to take the protection off?

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_proto::{SrtpKey, SrtpSuite};
use offhook_srtp::{OVERHEAD_BYTES, Protector, Unprotector};

const PACKET_BYTES: usize = 172;

fn srtp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("SRTP packet of 20 ms");
    group.throughput(Throughput::Elements(1));
    for suite in SrtpSuite::ALL {
        let key = SrtpKey::new(suite, vec![7; suite.key_bytes() + suite.salt_bytes()]);
        let mut protector = Protector::new(&key);
        let mut sequence = 0;
        group.bench_function(BenchmarkId::new("protect", suite), |bench| {
            let mut buffer = [0; PACKET_BYTES + OVERHEAD_BYTES];
            bench.iter(|| {
                write(&mut buffer, &mut sequence);
                protector.rtp(&mut buffer, PACKET_BYTES)
            });
        });
        // Each packet can be taken once, so they are made beforehand, outside of what is measured.
        let (mut protector, mut unprotector) = (Protector::new(&key), Unprotector::new(&key));
        let mut sequence = 0;
        group.bench_function(BenchmarkId::new("unprotect", suite), |bench| {
            bench.iter_custom(|packets| {
                let mut spent = Duration::ZERO;
                let mut left = packets;
                while left > 0 {
                    let batch = left.min(1_000);
                    let mut protected: Vec<_> = (0..batch)
                        .map(|_| {
                            let mut buffer = [0; PACKET_BYTES + OVERHEAD_BYTES];
                            write(&mut buffer, &mut sequence);
                            let len = protector.rtp(&mut buffer, PACKET_BYTES).expect("there is room");
                            (buffer, len)
                        })
                        .collect();
                    let started = Instant::now();
                    for (buffer, len) in &mut protected {
                        unprotector.rtp(&mut buffer[..*len]).expect("it is authentic");
                    }
                    spent += started.elapsed();
                    left -= batch;
                }
                spent
            });
        });
        // A forged packet, as seldom as these may be searched: ROLLOVERS signatures that do not fit.
        group.bench_function(BenchmarkId::new("search for a rollover counter in vain", suite), |bench| {
            let mut unprotector = Unprotector::new(&key);
            let mut buffer = [0; PACKET_BYTES + OVERHEAD_BYTES];
            write(&mut buffer, &mut 0);
            bench.iter(|| unprotector.rtp_rolled_over(&mut buffer));
        });
    }
    group.finish();
}

/// The next packet's header.
fn write(buffer: &mut [u8], sequence: &mut u16) {
    *sequence = sequence.wrapping_add(1);
    buffer[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
}

criterion_group!(benches, srtp);
criterion_main!(benches);
