//! A child on one processor: its CPU time, its memory, its end.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// A running child. Ends with this value.
pub(crate) struct Process {
    child: std::process::Child,
    name: String,
    log: File,
}

impl Process {
    /// Starts a program on processors by number, as 0 or 0,1, all its threads included.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(cpus: &str, program: &Path, arguments: &[String]) -> Result<Self> {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let log = tempfile::tempfile().context("cannot make a temporary file")?;
        // setpriv becomes taskset, and that the program: the child's id stays the same. It ends when we are killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "--cpu-list"])
            .arg(cpus)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start {name} with setpriv and taskset"))?;
        Ok(Self { child, name, log })
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// The child ended, or took longer than thirty seconds; the text has the end of its log.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at start ({status}): {}", self.name, self.log_end());
            }
            if Instant::now() > deadline {
                bail!("{} does not answer: {}", self.name, self.log_end());
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until it has said something, on its standard output or in its log.
    ///
    /// # Errors
    /// As [`wait_until`](Self::wait_until).
    pub(crate) fn wait_for(&mut self, words: &str) -> Result<()> {
        let log = self.log.try_clone()?;
        self.wait_until(|| text_of(&log).contains(words))
    }

    /// Ends it as no process can prevent (SIGKILL).
    ///
    /// # Errors
    /// It cannot be waited for.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop).with_context(|| format!("{} is killed", self.name))
    }

    /// CPU time of all its threads since its start, user and system, in nanoseconds.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        self.ensure_running()?;
        let spent = clock_getcpuclockid(self.pid()).and_then(clock_gettime);
        let spent = spent.with_context(|| format!("no CPU clock of {}", self.name))?;
        Ok(spent.tv_sec() as u64 * 1_000_000_000 + spent.tv_nsec() as u64)
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.ensure_running()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = kib.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kib.context("no VmRSS in /proc")? * 1_024)
    }

    /// Who has ended, and is not waited for yet, has a CPU clock still.
    fn ensure_running(&self) -> Result<()> {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid()), look)? {
            WaitStatus::StillAlive => Ok(()),
            ended => bail!("{} has ended ({ended:?}): {}", self.name, self.log_end()),
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    fn log_end(&self) -> String {
        let text = text_of(&self.log);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Who was waited for has no id any more.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill(self.pid(), Signal::SIGTERM);
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a child has said. It shares the file's position with us, which therefore stays where it is.
fn text_of(log: &File) -> String {
    let mut text = vec![0; log.metadata().map_or(0, |metadata| metadata.len() as usize)];
    let length = log.read_at(&mut text, 0).unwrap_or(0);
    String::from_utf8_lossy(&text[..length]).into_owned()
}

const LOOK_EVERY: Duration = Duration::from_millis(1);
const START_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::machine::Cpus;
    use clap::Parser as _;

    #[test]
    fn a_child_that_has_ended_is_not_measured() {
        let args = Cli::parse_from(["compare"]).bench;
        let cpu = Cpus::choose(&args).map_or(0, |cpus| cpus.receiver).to_string();
        let script = ["-c".to_owned(), "echo too early >&2; exit 3".to_owned()];
        let child = Process::start(&cpu, Path::new("sh"), &script).expect("a shell");
        let error = loop {
            match child.cpu_ns() {
                Ok(_) => sleep(Duration::from_millis(1)),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("sh has ended") && error.contains("too early"), "{error}");
        assert!(child.resident_bytes().is_err());
    }
}
