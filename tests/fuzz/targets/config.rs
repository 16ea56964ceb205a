//! Configuration files of the control plane.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use offhook_control::config::Config;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Err(mistakes) = Config::parse(text, Path::new("/"))
    {
        assert!(!mistakes.is_empty());
    }
});
