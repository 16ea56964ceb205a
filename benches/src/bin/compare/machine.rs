//! The machine that the figures are of, and what it must allow.

use std::fs;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use offhook_loadtest::files::raise_limit;
use serde::{Deserialize, Serialize};

use crate::cli::BenchArgs;
use crate::clock;

/// What a reader must know to judge the figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) kernel: String,
    /// Processes that wanted a processor, averaged over the last minute, at the start: anything above nothing is noise.
    pub(crate) load_average: String,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            date: clock::today(),
            processor: processor.map_or("unknown".into(), |name| name.trim_matches([' ', '\t', ':']).into()),
            processors: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            load_average: read("/proc/loadavg").split(' ').next().unwrap_or_default().into(),
        }
    }
}

/// Which processor does what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cpus {
    pub(crate) system: usize,
    /// More of the system's, which it shares with the generator.
    pub(crate) shared: Vec<usize>,
    pub(crate) receiver: usize,
    pub(crate) senders: Vec<usize>,
}

impl Cpus {
    /// As asked for, or the measured system on its own processor and the generator on the others.
    ///
    /// # Errors
    /// There is only one processor, or the system's is also the generator's.
    pub(crate) fn choose(args: &BenchArgs) -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).context("cannot ask for the processors")?;
        let is_allowed = |cpu: usize| allowed.is_set(cpu).unwrap_or(false);
        let others = (0..CpuSet::count()).filter(|&cpu| is_allowed(cpu) && cpu != args.cpu);
        let generator: Vec<usize> = args.generator_cpus.clone().unwrap_or_else(|| others.take(3).collect());
        let Some(&receiver) = generator.first() else { bail!("a comparison needs two processors") };
        if generator.contains(&args.cpu) {
            bail!("processor {} cannot be both the system's and the generator's", args.cpu);
        }
        let senders = if generator.len() > 1 { generator[1..].to_vec() } else { vec![receiver] };
        Ok(Self { system: args.cpu, shared: Vec::new(), receiver, senders })
    }

    /// The same, with `processors` for the system.
    ///
    /// # Errors
    /// There are not so many.
    pub(crate) fn with_processors(&self, processors: usize) -> Result<Self> {
        let mut others = [self.receiver].into_iter().chain(self.senders.iter().copied()).collect::<Vec<_>>();
        others.dedup();
        if processors > others.len() + 1 {
            bail!("the system needs {processors} processors: fewer, or more open files (ulimit -Hn)");
        }
        others.truncate(processors.saturating_sub(1));
        Ok(Self { shared: others, ..self.clone() })
    }

    /// The system's, as taskset and the engine take them.
    pub(crate) fn list(&self) -> String {
        let all = [self.system].into_iter().chain(self.shared.iter().copied());
        all.map(|cpu| cpu.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// Keeps the calling thread on one processor.
///
/// # Errors
/// The processor does not exist or is not this process's to use.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu).with_context(|| format!("no processor {cpu}"))?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot use processor {cpu}"))
}

/// Lets this process and its children open so many files.
///
/// # Errors
/// Fewer are allowed.
pub(crate) fn raise_nofile(files: u64) -> Result<()> {
    let allowed = raise_limit(files)?;
    if allowed < files {
        bail!(
            "{files} open files are needed, {allowed} allowed: run as root, or raise LimitNOFILE (ulimit -Hn)"
        );
    }
    Ok(())
}
