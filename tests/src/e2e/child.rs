//! Programs under test: found, started, ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus, Stdio};

use super::eventually;

/// A binary of this workspace, from the target directory that the running test or program is from.
///
/// # Panics
/// When it has not been built, saying how to build it.
pub fn binary(name: &str) -> PathBuf {
    let running = std::env::current_exe().expect("a running program has a path");
    let folder = running.parent().expect("it lies in a folder");
    // Programs lie in target/PROFILE, tests in target/PROFILE/deps.
    let profile = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `make test`, or `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// A running program with its log; killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts a program in a directory; what it says is appended to `log`.
    pub(crate) fn start(command: &mut Command, directory: &Path, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).expect("a log can be opened");
        let process = command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("one more descriptor"))
            .stderr(file)
            .spawn();
        let process = process
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", command.get_program().display()));
        Self { process, log }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("our own child can be waited for")
    }

    /// Asks it to end (SIGTERM), as an operator does, and waits for that.
    pub(crate) fn terminate(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(asked.expect("kill runs").success());
        let status = eventually("the program ends", || self.ended());
        assert!(status.success(), "ended ({status:?}):\n{}", self.last_words());
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Child {
    /// SIGKILL: nothing is tidied up, as in a crash.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
