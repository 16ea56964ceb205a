//! What does it cost a worker to find two of its legs, join them, and part them again?

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_benches::fixture::{splice, unsplice, worker};
use offhook_proto::Media;

fn splices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("splice and unsplice");
    group.throughput(Throughput::Elements(2));
    for legs in [200_u32, 20_000] {
        let mut worker = worker(legs, |_| Media::default());
        let mut pair = 0;
        group.bench_function(BenchmarkId::from_parameter(format!("{legs} legs")), |bench| {
            bench.iter(|| {
                pair = (pair + 1) % (legs / 2);
                splice(&mut worker, 2 * pair, 2 * pair + 1) + unsplice(&mut worker, 2 * pair)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, splices);
criterion_main!(benches);
