//! A TCP stream of ng frames, in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_ng::frame::Splitter;

fuzz_target!(|data: &[u8]| {
    let mut splitter = Splitter::default();
    for piece in data.chunks(7) {
        splitter.push(piece);
        while let Ok(Some(_)) = splitter.next_frame() {}
    }
});
