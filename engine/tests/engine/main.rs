//! The real binary, driven over its control socket and listened to on its ports. Nothing here depends on how fast it is:
//! waits end when something happens, and a limit only turns a hang into a failure.

mod answering;
mod bleed;
mod converting;
mod files;
mod forwarding;
mod hostile;
mod learning;
mod mangled;
mod marking;
mod metrics;
mod moving;
mod playing;
mod recording;
mod reports;
mod requests;
mod safety;
mod secure;
mod starting;
mod support;

/// Arguments of every engine here.
pub(crate) fn more_arguments(_: &[&str]) -> &'static [&'static str] {
    &[]
}

/// Whether strangers are seen by the engine: a steered leg's socket is not connected.
pub(crate) const STEERED: bool = false;
