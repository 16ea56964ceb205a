//! Prompt files.
#![no_main]
#![allow(dead_code, reason = "the program's own module, used in part")]

#[path = "../../../engine/src/prompt/wav.rs"]
mod wav;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(sound) = wav::decode(data) {
        assert!(!sound.samples.is_empty() && sound.rate > 0);
    }
});
