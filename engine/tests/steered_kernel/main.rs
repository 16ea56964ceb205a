//! Steered engines that hand everything over to the kernel as soon as it can be: both ways past a leg's own socket at once.

#[path = "../engine/bleed.rs"]
mod bleed;
#[path = "../engine/forwarding.rs"]
mod forwarding;
#[path = "../engine/marking.rs"]
mod marking;
#[path = "../kernel/past_the_worker.rs"]
mod past_the_worker;
#[path = "../engine/safety.rs"]
mod safety;
#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;

/// Arguments of every engine here.
pub(crate) fn more_arguments(arguments: &[&str]) -> &'static [&'static str] {
    // Steering takes one address.
    let addresses = arguments.iter().filter(|argument| **argument == "--media-address").count();
    if addresses <= 1 && may_load() { &["--steer", "--kernel", "--kernel-patience", "1,1"] } else { &[] }
}

/// Whether this process may steer, and have the kernel forward.
pub(crate) fn may_load() -> bool {
    let steering = offhook_uring::Steering::new(std::net::Ipv4Addr::new(127, 0, 79, 2), 1);
    let raw = offhook_uring::raw::open(std::net::Ipv4Addr::LOCALHOST, 1 << 16, 0);
    let loaded = steering.and(raw).and(offhook_uring::kernel::Forwarder::new(1, 1, 0));
    if let Err(error) = &loaded {
        eprintln!("neither steered nor in the kernel: {error}");
    }
    loaded.is_ok()
}

/// Whether strangers are seen by the engine: a steered leg's socket is not connected.
pub(crate) const STEERED: bool = true;
