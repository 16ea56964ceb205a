//! Session descriptions of SIP peers: as offers and as answers.
#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the program's own modules, used in part")]

#[path = "../../../control/src/sip/limits.rs"]
mod limits;
#[path = "../../../control/src/sip/sdp.rs"]
mod sdp;
#[path = "../../../control/src/sip/sdp_error.rs"]
mod sdp_error;
#[path = "../../../control/src/sip/secrets.rs"]
mod secrets;

use libfuzzer_sys::fuzz_target;
use offhook_proto::Media;
use sdp::Description;
use secrets::Security;

fuzz_target!(|data: &[u8]| {
    for security in [Security::Off, Security::Optional, Security::Required] {
        if let Ok(description) = Description::parse(data, security) {
            let _ = description.choose(&[Media::default()]);
        }
    }
});
