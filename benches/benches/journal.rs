//! What does a durable record cost, alone and in a group, and what does replay cost a record?

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_control::journal::{Durable, Journal};

fn journal(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(10);
    for records in [1_u64, 100] {
        let (mut journal, durable) = open(&folder.path().join(format!("append-{records}")), |_| ());
        group.throughput(Throughput::Elements(records));
        group.bench_function(BenchmarkId::new("append durably, in groups of", records), |bench| {
            bench.iter(|| append(&mut journal, &durable, records));
        });
    }
    let path = folder.path().join("replay");
    let (mut journal, durable) = open(&path, |_| ());
    append(&mut journal, &durable, REPLAYED);
    drop(journal);
    group.throughput(Throughput::Elements(REPLAYED));
    group.bench_function(format!("replay {REPLAYED}"), |bench| {
        bench.iter_custom(|times| {
            let started = Instant::now();
            for _ in 0..times {
                let mut bytes = 0;
                drop(open(&path, |body| bytes += body.len()));
                assert_eq!(bytes, REPLAYED as usize * record().len());
            }
            started.elapsed()
        });
    });
    group.finish();
}

fn open(path: &Path, mut replay: impl FnMut(&[u8])) -> (Journal, Receiver<Durable>) {
    let (tell, told) = sync_channel(1_024);
    let durable = move |progress| {
        let _ = tell.send(progress);
    };
    (Journal::open(path, |_, body| replay(body), durable).expect("a journal"), told)
}

/// Appends records in one group and waits until they are on disk.
fn append(journal: &mut Journal, durable: &Receiver<Durable>, records: u64) {
    let last = journal.append((0..records).map(|_| record()).collect()).expect("room");
    while durable.recv().expect("the writer lives") != Durable::UpTo(last) {}
}

/// A record of the usual length.
fn record() -> Vec<u8> {
    br#"{"v":1,"at_ms":1790000000000,"fact":"agent_status","agent":"agent-0007","status":"available"}"#
        .to_vec()
}

const REPLAYED: u64 = 10_000;

criterion_group!(benches, journal);
criterion_main!(benches);
