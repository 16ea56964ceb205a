//! Builds the workspace's tests and runs those that carry an id.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// One test that was run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// `core`, `control`, `engine`, `e2e`, `simulation`, `loadtest` or `audio`.
    pub(crate) place: String,
    pub(crate) name: String,
    pub(crate) passed: bool,
}

/// A test executable.
struct Target {
    place: String,
    executable: PathBuf,
    directory: PathBuf,
}

/// Runs every test of the workspace whose name carries an id.
///
/// # Errors
/// The tests do not build, or one of their executables cannot be started; the text says which.
pub(crate) fn all(root: &Path) -> Result<Vec<Ran>, String> {
    cargo(root, &["build", "--workspace", "--bins"])?;
    let built = cargo(root, &["test", "--workspace", "--no-run", "--message-format=json"])?;
    let mut all = Vec::new();
    for target in built.lines().filter_map(target) {
        run(&target, &mut all)?;
    }
    Ok(all)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo {} failed", arguments.join(" ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A test executable that cargo tells of.
fn target(line: &str) -> Option<Target> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let directory = manifest.parent()?.to_owned();
    let package = directory.file_name()?.to_str()?;
    let above = directory.parent()?.file_name()?.to_str()?;
    let name = message["target"]["name"].as_str()?;
    let place = match (above, package, name) {
        ("control", "core", _) => "core",
        ("engine", "audio", _) => "audio",
        ("engine", _, _) | (_, "engine", _) => "engine",
        (_, "control", _) => "control",
        (_, "tests", "e2e" | "simulation") => name,
        (_, other, _) => other,
    };
    Some(Target { place: place.to_owned(), executable: message["executable"].as_str()?.into(), directory })
}

fn run(target: &Target, all: &mut Vec<Ran>) -> Result<(), String> {
    let output = Command::new(&target.executable)
        .args(["pc_", "pm_", "cb_", "qc_", "pv_", "by_"])
        .current_dir(&target.directory)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", target.executable.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let before = all.len();
    all.extend(text.lines().filter_map(|line| {
        let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
        Some(Ran { place: target.place.clone(), name: name.to_owned(), passed: verdict == "ok" })
    }));
    let told = all[before..].iter().any(|ran| !ran.passed);
    if !output.status.success() && !told {
        return Err(format!("{} broke off:\n{text}", target.executable.display()));
    }
    if told {
        eprintln!("{text}");
    }
    Ok(())
}
