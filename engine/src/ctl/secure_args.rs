//! The options of `ctl` for SRTP and rtcp-mux.

use clap::Args;
use offhook_proto::{Srtp, SrtpKey, SrtpKeys};

#[derive(Debug, Args)]
pub(crate) struct SecureArgs {
    #[arg(
        long,
        value_name = "SUITE:KEY",
        help = "SRTP: what the peer encrypts with, as in its SDP: suite, and the base64 after inline:",
        value_parser = parse_key
    )]
    srtp_receive: Option<SrtpKey>,
    /// SRTP: what the engine encrypts with. Other users of this machine can read a command line.
    #[arg(long, value_name = "SUITE:KEY", value_parser = parse_key)]
    srtp_send: Option<SrtpKey>,
    /// Plain RTP, also when it was encrypted before.
    #[arg(long, conflicts_with_all = ["srtp_receive", "srtp_send"])]
    srtp_off: bool,
    /// RTCP goes over the RTP port: true or false.
    #[arg(long, value_name = "BOOL")]
    pub(super) rtcp_mux: Option<bool>,
}

impl SecureArgs {
    /// None when nothing is said of it.
    pub(super) fn srtp(&self) -> Option<Srtp> {
        if self.srtp_off {
            return Some(Srtp::Off);
        }
        if self.srtp_receive.is_none() && self.srtp_send.is_none() {
            return None;
        }
        Some(Srtp::from(SrtpKeys { receive: self.srtp_receive.clone(), send: self.srtp_send.clone() }))
    }
}

fn parse_key(text: &str) -> Result<SrtpKey, String> {
    let (suite, key) = text.split_once(':').ok_or("must be SUITE:KEY")?;
    let suite = suite.parse().map_err(|()| format!("there is no suite {suite:?}"))?;
    SrtpKey::from_inline(suite, key).ok_or_else(|| format!("the key is not base64 of {suite}'s length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_as_it_stands_in_sdp_and_refused_without_being_shown() {
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        let parsed = parse_key(&format!("AES_CM_128_HMAC_SHA1_80:{key}")).expect("it is sound");
        assert_eq!(parsed.inline(), key);
        for wrong in ["AES_CM_128_HMAC_SHA1_80", "NULL:S3cret", "AES_CM_128_HMAC_SHA1_80:S3cret"] {
            assert!(!parse_key(wrong).expect_err("it is wrong").contains("S3cret"));
        }
    }
}
