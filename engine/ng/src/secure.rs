//! SRTP (SDES) and rtcp-mux between the engine and each side: what is written to it, and what its leg is told.

use offhook_proto::{Crypto, SdesKeys, Srtp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng as _;

use crate::call::{End, Section};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::sdp;

/// What was last written to a side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Our keys; none on a plain section.
    pub(crate) crypto: Vec<Crypto>,
    /// `a=rtcp-mux`.
    pub(crate) mux: bool,
}

/// What becomes of rtcp-mux, by the flags of an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MuxFlags {
    /// It is offered on, whoever asked for it.
    pub(crate) offer: bool,
    /// It is not offered on.
    pub(crate) demux: bool,
    /// It is accepted whatever the other side says.
    pub(crate) accept: bool,
    /// It is refused whatever the other side says.
    pub(crate) reject: bool,
}

/// Agreed for one end of a section.
pub(crate) struct Agreed {
    pub(crate) srtp: Srtp,
    pub(crate) mux: bool,
}

/// Whether a protocol is SRTP that the engine can carry.
pub(crate) fn is_secure_rtp(protocol: &str) -> bool {
    matches!(protocol, "RTP/SAVP" | "RTP/SAVPF")
}

/// The keys of a section that can be used, in order.
pub(crate) fn crypto_of(section: &sdp::Section) -> Vec<Crypto> {
    if !is_secure_rtp(&section.protocol) {
        return Vec::new();
    }
    section.attributes("crypto").filter_map(Crypto::parse).collect()
}

impl End {
    /// What an offer says to this side.
    pub(crate) fn write_offer(
        &mut self,
        protocol: &str,
        offered_mux: bool,
        flags: &Flags<'_>,
        random: &mut ChaCha20Rng,
    ) {
        let mux = flags.mux();
        let crypto = if is_secure_rtp(protocol) {
            let mut lines = self.keys(random).offer();
            lines.retain(|line| flags.takes_suite(line.key.suite.name()));
            lines
        } else {
            Vec::new()
        };
        self.written = Written { crypto, mux: mux.offer || offered_mux && !mux.demux && !mux.reject };
    }

    fn keys(&mut self, random: &mut ChaCha20Rng) -> &SdesKeys {
        self.keys.get_or_insert_with(|| SdesKeys::new(|key| random.fill_bytes(key)))
    }
}

impl Section {
    /// What both sides have agreed on with us, by an answer to an offer of the side `offerer`; each by its side. Notes what the
    /// answer says to the offering side.
    pub(crate) fn agree(&mut self, offerer: usize, random: &mut ChaCha20Rng) -> Result<[Agreed; 2], Failure> {
        let answerer = &self.ends[1 - offerer];
        let srtp = match (answerer.written.crypto.is_empty(), &answerer.keys) {
            (false, Some(keys)) => keys
                .accept(&answerer.signalled.crypto)
                .ok_or_else(|| Failure::error("No key in the answer that was offered"))?,
            _ => Srtp::Off,
        };
        let far = Agreed { srtp, mux: answerer.written.mux && answerer.signalled.mux };
        let near = &mut self.ends[offerer];
        let offered = near.signalled.crypto.clone();
        let (line, srtp) = match near.keys(random).answer(&offered) {
            Some((line, srtp)) => (Some(line), srtp),
            None => (None, Srtp::Off),
        };
        let (offered_mux, flags) = (near.signalled.mux, near.signalled.mux_flags);
        let back = flags.accept || flags.demux || far.mux;
        let near_agreed = Agreed { srtp, mux: offered_mux && !flags.reject && back };
        near.written = Written { crypto: line.into_iter().collect(), mux: near_agreed.mux };
        Ok(if offerer == 0 { [near_agreed, far] } else { [far, near_agreed] })
    }
}
