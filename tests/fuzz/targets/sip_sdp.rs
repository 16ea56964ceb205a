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

use std::net::SocketAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use offhook_control_core::sip::LocalMedia;
use offhook_proto::Media;
use sdp::Description;
use secrets::{Secrets, Security};

/// Where we receive, with keys of each kind.
static OURS: LazyLock<(LocalMedia, [Secrets; 3])> = LazyLock::new(|| {
    let [rtp, rtcp] = [30_000, 30_001].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let local = LocalMedia { rtp, rtcp, media: vec![Media::default()], session_version: 1 };
    (local, [Security::Off, Security::Optional, Security::Required].map(Secrets::new))
});

fuzz_target!(|data: &[u8]| {
    let (local, all_secrets) = &*OURS;
    for secrets in all_secrets {
        if let Ok(offer) = Description::parse(data, secrets.security)
            && let Ok((text, agreed)) = sdp::answer(&offer, local, secrets)
        {
            assert!(agreed.remote.rtp.is_ipv4());
            // What we refuse is repeated as it came, under port 0.
            let is_taken = |line: &&str| !line.starts_with("m=") || line.split(' ').nth(1) != Some("0");
            let taken: String = text.split_inclusive('\n').filter(is_taken).collect();
            Description::parse(taken.as_bytes(), Security::Optional).expect("an answer of ours can be read");
        }
        if let Ok(agreed) = sdp::accept(data, local, secrets) {
            assert!(agreed.remote.rtp.is_ipv4());
        }
    }
});
