//! The tests of the real binary that have to do with packets once more, with every port steered.
//!
//! Where this process may not steer they run as they do without, and say so.

#[path = "../engine/answering.rs"]
mod answering;
#[path = "../engine/bleed.rs"]
mod bleed;
#[path = "../engine/forwarding.rs"]
mod forwarding;
#[path = "../engine/marking.rs"]
mod marking;
#[path = "../engine/moving.rs"]
mod moving;
#[path = "../engine/playing.rs"]
mod playing;
#[path = "../engine/safety.rs"]
mod safety;
#[path = "../engine/secure.rs"]
mod secure;
#[path = "../engine/support.rs"]
#[allow(dead_code)]
mod support;

/// Arguments of every engine here.
pub(crate) fn more_arguments(arguments: &[&str]) -> &'static [&'static str] {
    // Steering takes one address.
    if arguments.iter().filter(|argument| **argument == "--media-address").count() > 1 {
        return &[];
    }
    let address = std::net::Ipv4Addr::new(127, 0, 79, 1);
    match offhook_uring::Steering::new(address, 1)
        .and_then(|_| offhook_uring::raw::open(std::net::Ipv4Addr::LOCALHOST, 1 << 16, 0))
    {
        Ok(_) => &["--steer"],
        Err(error) => {
            eprintln!("not steered: {error}");
            &[]
        }
    }
}

/// Whether strangers are seen by the engine: a steered leg's socket is not connected.
pub(crate) const STEERED: bool = true;
