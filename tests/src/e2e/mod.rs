//! The real binaries, and peers that are not ours.

mod baresip;
mod browser;
mod child;
mod device;
mod house;
mod line;
mod party;
mod rest;
mod settings;
mod sipp;
mod sound;
mod stalls;

use std::time::{Duration, Instant};

pub use baresip::{Baresip, Manner};
pub use browser::Browser;
pub use child::binary;
pub use device::Device;
pub use house::{House, Phone};
pub use line::Line;
pub use party::{Packet, Party};
pub use rest::{Live, Rest};
pub use settings::Settings;
pub use sipp::{Message, Scenario, Sipp};
pub use sound::{DIGITS, Sound, spoken_digits};
pub use stalls::{STALL, Stalls};

/// Waits until something is there, and returns it.
///
/// # Panics
/// After [`PATIENCE`], saying what was waited for.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// As [`eventually`], with a patience of its own.
///
/// # Panics
/// After `patience`, saying what was waited for.
pub fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < patience, "{what}: not within {} s", patience.as_secs());
        std::thread::sleep(POLL);
    }
}

/// Waits until a condition holds.
///
/// # Panics
/// After [`PATIENCE`], saying what was waited for.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// Lets time pass in which something must not happen; what is asserted afterwards never depends on its length.
pub fn for_a_while() {
    std::thread::sleep(Duration::from_millis(1_500));
}

/// Long enough that only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(20);
