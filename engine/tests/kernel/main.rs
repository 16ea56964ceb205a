//! The tests of the real binary that have to do with packets once more, with everything handed over to the kernel as soon as it
//! can be; and those that are about that.
//!
//! Where this process may not load programs they run as they do without, and say so.

#[path = "../engine/answering.rs"]
mod answering;
#[path = "../engine/bleed.rs"]
mod bleed;
#[path = "../engine/converting.rs"]
mod converting;
#[path = "../engine/forwarding.rs"]
mod forwarding;
mod interfaces;
#[path = "../engine/marking.rs"]
mod marking;
mod network;
mod past_the_worker;
#[path = "../engine/playing.rs"]
mod playing;
#[path = "../engine/recording.rs"]
mod recording;
#[path = "../engine/reports.rs"]
mod reports;
#[path = "../engine/safety.rs"]
mod safety;
#[path = "../engine/secure.rs"]
mod secure;
#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;

/// Arguments of every engine here.
pub(crate) fn more_arguments(_: &[&str]) -> &'static [&'static str] {
    if may_load() { &["--kernel", "--kernel-patience", "1,1"] } else { &[] }
}

/// Whether this process may have the kernel forward.
pub(crate) fn may_load() -> bool {
    let forwarder = offhook_uring::kernel::Forwarder::new(1, 1, 0);
    if let Err(error) = &forwarder {
        eprintln!("not tested in the kernel: {error}");
    }
    forwarder.is_ok()
}

/// Whether strangers are seen by the engine: a steered leg's socket is not connected.
pub(crate) const STEERED: bool = false;
