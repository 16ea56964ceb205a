//! What is received.

use std::fmt;

use offhook_proto::{SrtpKey, SrtpSuite};
use rtc_shared::error::{Error, Result};
use rtc_srtp::context::Context;

use crate::mki::{Place, places};
use crate::{MAX_SENDERS, context, put_back, word};

/// Takes the protection off the packets of one direction.
pub struct Unprotector {
    key: SrtpKey,
    context: Context,
    /// Where RTP and RTCP carry the key's identifier.
    mki: [Option<Place>; 2],
    /// Senders of whom a packet was authenticated: only they have state in `context`.
    rtp_senders: Senders,
    rtcp_senders: Senders,
    /// Where first packets of other senders are tried, so that forged ones leave nothing in `context`.
    trial: Option<Trial>,
}

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not what this key has signed, or shorter than any that is.
    Unauthentic,
    /// It came before, or is older than the window.
    Replayed,
}

#[derive(Debug, Default)]
struct Senders(Vec<u32>);

struct Trial {
    context: Context,
    tries: usize,
}

/// SSRCs that one trial context is used for.
const TRIES: usize = 64;

impl Unprotector {
    /// One that knows no sender yet.
    ///
    /// # Panics
    /// When the key has not the length of its suite.
    pub fn new(key: &SrtpKey) -> Self {
        Self {
            key: key.clone(),
            context: context(key),
            mki: places(key),
            rtp_senders: Senders::default(),
            rtcp_senders: Senders::default(),
            trial: None,
        }
    }

    /// Checks the SRTP packet in `packet` and decrypts it where it lies. Returns its length as RTP.
    ///
    /// # Errors
    /// The packet is left as it was.
    pub fn rtp(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        without(self.mki[0], packet, |packet| self.open_rtp(packet))
    }

    fn open_rtp(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        let ssrc = word(packet, 8).ok_or(Refusal::Unauthentic)?;
        if !self.rtp_senders.knows(ssrc) {
            self.try_first(packet, |context, packet| context.decrypt_rtp(packet).map(|_| ()))?;
            self.rtp_senders.add(ssrc)?;
        }
        let plain = self.context.decrypt_rtp(packet).map_err(|error| refusal(&error))?;
        put_back(&plain, packet).ok_or(Refusal::Unauthentic)
    }

    /// Checks the SRTCP packet in `packet` and decrypts it where it lies. Returns its length as RTCP.
    ///
    /// # Errors
    /// The packet is left as it was. SRTCP that is not encrypted (E flag 0, RFC 3711 section 3.4) is `Unauthentic`: no suite
    /// here allows it, and the library below would take it without looking at its tag.
    pub fn rtcp(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        without(self.mki[1], packet, |packet| self.open_rtcp(packet))
    }

    fn open_rtcp(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        let ssrc = word(packet, 4).ok_or(Refusal::Unauthentic)?;
        if !is_encrypted(self.key.suite, packet) {
            return Err(Refusal::Unauthentic);
        }
        if !self.rtcp_senders.knows(ssrc) {
            self.try_first(packet, |context, packet| context.decrypt_rtcp(packet).map(|_| ()))?;
            self.rtcp_senders.add(ssrc)?;
        }
        let plain = self.context.decrypt_rtcp(packet).map_err(|error| refusal(&error))?;
        put_back(&plain, packet).ok_or(Refusal::Unauthentic)
    }

    fn try_first(
        &mut self,
        packet: &[u8],
        decrypt: impl FnOnce(&mut Context, &[u8]) -> Result<()>,
    ) -> std::result::Result<(), Refusal> {
        self.trial.take_if(|trial| trial.tries >= TRIES);
        let key = &self.key;
        let trial = self.trial.get_or_insert_with(|| Trial { context: context(key), tries: 0 });
        trial.tries += 1;
        let result = decrypt(&mut trial.context, packet).map_err(|_| Refusal::Unauthentic);
        // Kept only while strangers knock.
        self.trial.take_if(|_| result.is_ok());
        result
    }
}

/// Opens a packet without the identifier of its key, which is put back when the packet is refused.
fn without(
    mki: Option<Place>,
    packet: &mut [u8],
    open: impl FnOnce(&mut [u8]) -> std::result::Result<usize, Refusal>,
) -> std::result::Result<usize, Refusal> {
    let Some(mki) = mki else { return open(packet) };
    let len = mki.take_out(packet).ok_or(Refusal::Unauthentic)?;
    let opened = open(&mut packet[..len]);
    if opened.is_err() {
        mki.put_in(packet, len);
    }
    opened
}

impl Senders {
    fn knows(&self, ssrc: u32) -> bool {
        self.0.contains(&ssrc)
    }

    /// None gives way: a sender that was forgotten could be replayed from its first packet on.
    fn add(&mut self, ssrc: u32) -> std::result::Result<(), Refusal> {
        if self.0.len() >= MAX_SENDERS {
            return Err(Refusal::Unauthentic);
        }
        self.0.push(ssrc);
        Ok(())
    }
}

/// Whether the E flag is set.
fn is_encrypted(suite: SrtpSuite, packet: &[u8]) -> bool {
    let after_index = match suite {
        SrtpSuite::AesCm128HmacSha1_80
        | SrtpSuite::AesCm128HmacSha1_32
        | SrtpSuite::Aes256CmHmacSha1_80
        | SrtpSuite::Aes256CmHmacSha1_32 => 10,
        SrtpSuite::AeadAes128Gcm | SrtpSuite::AeadAes256Gcm => 0,
    };
    let flag_at = packet.len().checked_sub(after_index + 4);
    flag_at.and_then(|at| packet.get(at)).is_some_and(|byte| byte & 0x80 != 0)
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Refusal::Replayed,
        _ => Refusal::Unauthentic,
    }
}

/// Without the key.
impl fmt::Debug for Unprotector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unprotector").field("suite", &self.key.suite).finish_non_exhaustive()
    }
}
