//! The worker threads, started: one for each processor, with what steers or forwards for all of them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use crossbeam::channel::{Receiver, Sender, bounded};
use offhook_engine_core::WorkerConfig;
use offhook_uring::kernel::Forwarder;
use offhook_uring::{RingConfig, SetupError, Steering};
use tokio::sync::Notify;
use tracing::{error, info};

use crate::args::RunArgs;
use crate::clock::Clock;
use crate::files::Files;
use crate::kernel;
use crate::link::{CHANNEL, ControlLink, FromWorker, WorkerLink};
use crate::record::Recorder;
use crate::run::{NoRing, random};
use crate::steering;
use crate::worker::{KernelRules, PACKET_BYTES, WorkerSetup, WorkerThread};

/// All workers, and what they report.
pub(crate) struct Workers {
    pub(crate) links: Vec<WorkerLink>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) reports: Receiver<FromWorker>,
    /// Rung when there are reports.
    pub(crate) bell: Arc<Notify>,
}

/// Starts one thread for each processor, and waits until their rings are set up.
///
/// # Errors
/// [`NoRing`], or what `--steer` or `--kernel` takes is not to be had.
pub(crate) fn start(
    args: &RunArgs,
    cpus: &[u32],
    files: &Files,
    clock: Clock,
    recorder: &Recorder,
) -> anyhow::Result<Workers> {
    let parts = Parts {
        args,
        files,
        clock,
        recorder,
        steering: steering::start(args, cpus.len())?,
        forwarder: forwarder(args, cpus.len(), files.legs, clock)?,
    };
    let bell = Arc::new(Notify::new());
    let (reports_in, reports) = bounded(CHANNEL);
    let mut workers = Workers { links: Vec::new(), threads: Vec::new(), reports, bell };
    for (worker, &cpu) in cpus.iter().enumerate() {
        let (link, thread) = start_one(parts.setup(worker, cpu)?, reports_in.clone(), &workers.bell)?;
        workers.links.push(link);
        workers.threads.push(thread);
    }
    Ok(workers)
}

/// What every worker is set up from.
struct Parts<'a> {
    args: &'a RunArgs,
    files: &'a Files,
    clock: Clock,
    recorder: &'a Recorder,
    steering: Option<Arc<Steering>>,
    forwarder: Option<Arc<Forwarder>>,
}

impl Parts<'_> {
    fn setup(&self, worker: usize, cpu: u32) -> anyhow::Result<WorkerSetup> {
        let traffic_class = self.args.dscp.traffic_class();
        let steer = |steering| steering::open(steering, worker, traffic_class);
        let rules = |forwarder| {
            let patience = self.args.kernel_patience.unwrap_or_default();
            KernelRules::new(worker as u16, Arc::clone(forwarder), patience, traffic_class)
        };
        Ok(WorkerSetup {
            cpu: Some(cpu),
            clock: self.clock,
            ring: ring_config(self.files),
            core: WorkerConfig {
                worker: worker as u16,
                unix_us_at_start: self.clock.unix_us_at_start(),
                seed: u64::from_ne_bytes(random()?),
                max_legs: self.files.legs as usize,
            },
            recorder: self.recorder.clone(),
            min_wait: Duration::from_micros(u64::from(self.args.min_wait_us)),
            steer: self.steering.as_ref().map(steer).transpose()?,
            kernel: self.forwarder.as_ref().map(rules).transpose()?,
        })
    }
}

/// The kernel's forwarder, which follows the network's changes from now on; none if it was not asked for.
fn forwarder(
    args: &RunArgs,
    workers: usize,
    legs: u32,
    clock: Clock,
) -> anyhow::Result<Option<Arc<Forwarder>>> {
    let Some(kernel::Started { forwarder, interfaces }) = kernel::start(args, workers, legs, clock)? else {
        return Ok(None);
    };
    info!(interfaces = interfaces.join(" "), "the kernel forwards what needs nothing but new headers");
    kernel::follow_network(Arc::clone(&forwarder), args.dscp.traffic_class(), clock)
        .context("--kernel: following the network")?;
    Ok(Some(forwarder))
}

/// Starts one worker thread and waits until its ring is set up.
fn start_one(
    setup: WorkerSetup,
    reports: Sender<FromWorker>,
    bell: &Arc<Notify>,
) -> anyhow::Result<(WorkerLink, JoinHandle<()>)> {
    let worker = setup.core.worker;
    let (commands_in, commands) = bounded(CHANNEL);
    let control = ControlLink::new(worker, commands, reports, Arc::clone(bell));
    let (started, start): (Sender<Result<_, SetupError>>, Receiver<_>) = bounded(1);
    let thread = thread::Builder::new().name(format!("worker-{worker}")).spawn(move || {
        let thread = match WorkerThread::new(setup, control) {
            Ok((thread, waker)) => {
                let _ = started.send(Ok(waker));
                thread
            }
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        if let Err(error) = thread.run() {
            error!(worker, %error, "worker failed");
        }
    })?;
    let waker = start.recv().context("a worker thread ended at start")?.map_err(NoRing)?;
    Ok((WorkerLink::new(commands_in, waker), thread))
}

/// Sizes of each worker's ring.
pub(crate) fn ring_config(files: &Files) -> RingConfig {
    // A quarter of the default keeps the buffers in the cache; what finds none waits in its socket.
    RingConfig {
        files: files.table(),
        keep_descriptors: files.keep_descriptors,
        receive_buffers: 1_024,
        send_len: PACKET_BYTES,
        ..RingConfig::default()
    }
}
