//! The machine: processor time of processes, and what it is made of.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Processor time of one thread since it started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ThreadCpu {
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) cpu_ns: u64,
}

/// Every thread of a process; empty when there is no such process.
pub(crate) fn thread_cpu(pid: u32) -> Vec<ThreadCpu> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut threads: Vec<_> = tasks.flatten().filter_map(|task| read_thread(&task.path())).collect();
    threads.sort_by_key(|thread| thread.tid);
    threads
}

/// Processor time of a whole process, as far as its threads still live.
pub(crate) fn process_cpu_ns(pid: u32) -> u64 {
    thread_cpu(pid).iter().map(|thread| thread.cpu_ns).sum()
}

/// What the run ran on.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) system: String,
}

/// Reads what /proc and /etc tell; blanks where they tell nothing.
pub(crate) fn machine() -> Machine {
    let cpuinfo = read("/proc/cpuinfo");
    let meminfo = read("/proc/meminfo");
    let kib = field(&meminfo, "MemTotal", ':').and_then(|v| v.split(' ').next()?.parse::<f64>().ok());
    Machine {
        cpu: field(&cpuinfo, "model name", ':').unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        memory_gib: kib.unwrap_or(0.0) / (1024.0 * 1024.0),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        system: field(&read("/etc/os-release"), "PRETTY_NAME", '=')
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
    }
}

/// First line of a program's `--version`; blank when it has none.
pub(crate) fn version_of(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("").trim().to_owned()
}

fn read_thread(task: &Path) -> Option<ThreadCpu> {
    let tid = task.file_name()?.to_str()?.parse().ok()?;
    let name = std::fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
    // First field: nanoseconds on a processor; /proc/…/stat has only hundredths of a second.
    let schedstat = std::fs::read_to_string(task.join("schedstat")).ok()?;
    let cpu_ns = schedstat.split(' ').next()?.parse().ok()?;
    Some(ThreadCpu { tid, name, cpu_ns })
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str, separator: char) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(separator).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_threads_are_found_and_strangers_are_not() {
        let threads = thread_cpu(std::process::id());
        assert!(threads.iter().any(|thread| thread.cpu_ns > 0), "{threads:?}");
        assert_eq!(thread_cpu(u32::MAX), []);
        assert!(machine().cores > 0);
    }
}
