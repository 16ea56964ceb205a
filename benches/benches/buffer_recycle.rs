//! What does it cost to take a send buffer and to give it back?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook_uring::{Ring, RingConfig};

fn buffer_recycle(criterion: &mut Criterion) {
    let mut ring = Ring::new(&RingConfig { files: 16, ..RingConfig::default() })
        .unwrap_or_else(|error| panic!("this machine cannot run the ring: {error}"));
    let mut group = criterion.benchmark_group("buffer");
    group.throughput(Throughput::Elements(1));
    group.bench_function("taken and given back", |bench| {
        bench.iter(|| drop(ring.buffer().expect("none is in use")));
    });
    group.finish();
}

criterion_group!(benches, buffer_recycle);
criterion_main!(benches);
