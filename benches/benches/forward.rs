//! What does a packet between spliced legs cost: latch, statistics, splice look-up, header rewrite?

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_benches::fixture::{phone, place, spliced, write_packet};
use offhook_engine_core::Time;

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward a packet");
    group.throughput(Throughput::Elements(1));
    // Two legs stay in the cache; four thousand do not.
    for legs in [2_u32, 200, 4_000] {
        let mut worker = spliced(legs);
        let (mut now_us, mut sent) = (0, 0_u32);
        group.bench_function(BenchmarkId::from_parameter(format!("{legs} legs")), |bench| {
            bench.iter(|| {
                let (leg, number) = (sent % legs, sent / legs);
                let mut packet = [0xd5; 172];
                write_packet(&mut packet, leg, number);
                sent = sent.wrapping_add(1);
                now_us += 20_000 / u64::from(legs);
                worker.handle_rtp(Time(now_us), place(leg), phone(leg), &mut packet)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
