//! The real binary, driven by rtpengine's clients: Kamailio, the Perl client, and dictionaries written by hand. Tests with a
//! peer that is not installed say so and pass; `tests/setup.sh peers` installs it.

#[path = "../engine/bleed.rs"]
mod bleed;
mod calls;
mod client;
mod creating;
mod hostile;
mod kamailio;
mod learning;
#[path = "../engine/mangled.rs"]
mod mangled;
mod packet_times;
mod perl;
mod publishing;
mod recording;
mod rewriting;
mod secure;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "the tests of the native family use the rest")]
mod support;
mod transcoding;

use std::process::{Command, Stdio};

/// Whether a peer is installed; says loudly when it is not.
fn installed(program: &str, version_flag: &str) -> bool {
    let found =
        Command::new(program).arg(version_flag).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is not installed; tests/setup.sh peers installs it");
    }
    found
}

/// Arguments of every engine here.
pub(crate) fn more_arguments(_: &[&str]) -> &'static [&'static str] {
    &[]
}
