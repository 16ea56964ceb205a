//! What does a packet of a prompt cost, with many legs playing?

use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_benches::fixture::{drain, worker};
use offhook_engine_core::{EncodedPrompt, Extent, LegId, OpId, Segment, Time, Worker, WorkerCommand};
use offhook_proto::{Codec, Media};

fn prompt_tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet of a prompt");
    group.throughput(Throughput::Elements(1));
    for players in [1_u32, 1_000] {
        let mut worker = playing(players);
        group.bench_function(BenchmarkId::from_parameter(format!("{players} players")), |bench| {
            // As many packets as are asked for, and the ticks that make them.
            bench.iter_custom(|packets| {
                let started = Instant::now();
                let mut made = 0;
                while made < packets {
                    made += tick(&mut worker);
                }
                started.elapsed().mul_f64(packets as f64 / made as f64)
            });
        });
    }
    group.finish();
}

fn playing(players: u32) -> Worker {
    let mut worker = worker(players, |_| Media::default());
    let prompt = Arc::new(EncodedPrompt::new(Codec::Pcmu, vec![0xd5; 80_000]));
    for leg in 0..players {
        let command = WorkerCommand::Play {
            op: OpId(0),
            leg: LegId(u64::from(leg)),
            play: String::new(),
            segments: vec![Segment::Audio(Arc::clone(&prompt))],
            extent: Extent::times(0),
        };
        worker.handle_command(Time(0), command);
        drain(&mut worker);
    }
    worker
}

/// Lets the next deadline pass; returns the packets that it made.
fn tick(worker: &mut Worker) -> u64 {
    let due: Time = worker.poll_timeout().expect("a player has a deadline");
    worker.handle_timeout(due);
    drain(worker) as u64
}

criterion_group!(benches, prompt_tick);
criterion_main!(benches);
