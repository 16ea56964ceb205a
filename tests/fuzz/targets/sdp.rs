//! Session descriptions that a proxy hands over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_ng::sdp::Sdp;

fuzz_target!(|data: &[u8]| {
    let _ = Sdp::parse(data);
});
