//! SIP messages as they come in, before their sender is trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_control::sip::strangers;

fuzz_target!(|data: &[u8]| {
    let _ = strangers::read(data);
});
