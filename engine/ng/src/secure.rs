//! SRTP (SDES) and rtcp-mux between the engine and each side: what is written to it, and what its leg is told.

use offhook_proto::{Crypto, SdesKeys, Srtp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng as _;

use crate::call::Section;
use crate::end::{End, Signalled};
use crate::failure::Failure;
use crate::flags::{Flags, is_plain_rtp};
use crate::sdp::{self, Format};

/// What was last written to a side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Our keys; none on a plain section.
    pub(crate) crypto: Vec<Crypto>,
    /// `a=rtcp-mux`.
    pub(crate) mux: bool,
    /// What an offer has listed.
    pub(crate) formats: Vec<Format>,
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
        let mux = mux.offer || offered_mux && !mux.demux && !mux.reject;
        self.written = Written { crypto, mux, formats: Vec::new() };
    }

    /// Takes what this side offered, and notes what is answered to it. `far_mux` says whether it gets the rtcp-mux that it
    /// asks for.
    pub(crate) fn write_answer(&mut self, far_mux: bool, random: &mut ChaCha20Rng) -> Agreed {
        let offered = self.signalled.crypto.clone();
        let (line, srtp) = match self.keys(random).answer(&offered) {
            Some((line, srtp)) => (Some(line), srtp),
            None => (None, Srtp::Off),
        };
        let flags = self.signalled.mux_flags;
        let back = flags.accept || flags.demux || far_mux;
        let mux = self.signalled.mux && !flags.reject && back;
        self.written = Written { crypto: line.into_iter().collect(), mux, formats: Vec::new() };
        Agreed { srtp, mux }
    }

    /// What is agreed by this side's answer to what was last offered to it.
    pub(crate) fn accept_answer(&self, answered: &Signalled) -> Result<Agreed, Failure> {
        let srtp = match (self.written.crypto.is_empty(), &self.keys) {
            (false, Some(keys)) => keys
                .accept(&answered.crypto)
                .ok_or_else(|| Failure::error("No key in the answer that was offered"))?,
            _ => Srtp::Off,
        };
        Ok(Agreed { srtp, mux: self.written.mux && answered.mux })
    }

    /// Whether this side's answer is encrypted as it was offered: with a key that can be used, or not at all.
    pub(crate) fn fits(&self, answered: &sdp::Section) -> bool {
        match &self.keys {
            Some(keys) if !self.written.crypto.is_empty() => keys.accept(&crypto_of(answered)).is_some(),
            Some(_) | None => is_plain_rtp(&answered.protocol),
        }
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
        let far = answerer.accept_answer(&answerer.signalled)?;
        let near = self.ends[offerer].write_answer(far.mux, random);
        Ok(if offerer == 0 { [near, far] } else { [far, near] })
    }
}
