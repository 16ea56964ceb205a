//! What is received.

use std::fmt;

use offhook_proto::{SrtpKey, SrtpSuite};
use rtc_shared::error::{Error, Result};
use rtc_srtp::context::Context;

use crate::mki::{Place, places};
use crate::rollover::Signature;
use crate::senders::Senders;
use crate::{REPLAY_WINDOW_PACKETS, context, put_back, word};

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

struct Trial {
    context: Context,
    tries: usize,
}

/// SSRCs that one trial context is used for.
const TRIES: usize = 64;
/// Packets between two by which a context is brought to a rollover counter: fewer than half the sequence numbers, so that each
/// is taken as ahead of the last.
const STRIDE: usize = 0x5555;

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

    /// Whether [`Unprotector::rtp_rolled_over`] could open a packet that was refused: its sender is not known, or its number is
    /// not among the latest.
    pub fn may_have_rolled_over(&self, packet: &[u8]) -> bool {
        let Some((ssrc, sequence)) = numbers(packet) else { return false };
        match self.rtp_senders.find(ssrc) {
            Some(at) => {
                let behind = (self.rtp_senders.index(at) as u16).wrapping_sub(sequence);
                usize::from(behind) >= REPLAY_WINDOW_PACKETS
            }
            None => !self.rtp_senders.is_full(),
        }
    }

    /// Opens a packet that [`Unprotector::rtp`] refused, if its sender only has a higher rollover counter than is known here: a
    /// stream that began elsewhere, or of which half the numbers were not heard.
    ///
    /// Looks through [`crate::ROLLOVERS`] counters, each at the price of authenticating a packet: to be called seldom. No packet
    /// from before one that was opened passes.
    ///
    /// # Errors
    /// The packet is left as it was.
    pub fn rtp_rolled_over(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        without(self.mki[0], packet, |packet| self.open_rolled_over(packet))
    }

    fn open_rtp(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        let (ssrc, sequence) = numbers(packet).ok_or(Refusal::Unauthentic)?;
        let at = match self.rtp_senders.find(ssrc) {
            Some(at) => at,
            None => {
                self.try_first(packet, |context, packet| context.decrypt_rtp(packet).map(|_| ()))?;
                self.rtp_senders.add(ssrc, u64::from(sequence)).ok_or(Refusal::Unauthentic)?
            }
        };
        let plain = self.context.decrypt_rtp(packet).map_err(|error| refusal(&error))?;
        self.rtp_senders.note(at, sequence);
        put_back(&plain, packet).ok_or(Refusal::Unauthentic)
    }

    fn open_rolled_over(&mut self, packet: &mut [u8]) -> std::result::Result<usize, Refusal> {
        let (ssrc, sequence) = numbers(packet).ok_or(Refusal::Unauthentic)?;
        let known = self.rtp_senders.find(ssrc);
        if known.is_none() && self.rtp_senders.is_full() {
            return Err(Refusal::Unauthentic);
        }
        let highest = known.map(|at| self.rtp_senders.index(at));
        let first = highest.map_or(1, |highest| {
            let counter = (highest >> 16) as u32;
            if sequence > highest as u16 { counter } else { counter.saturating_add(1) }
        });
        let counter = Signature::new(&self.key).find(packet, first).ok_or(Refusal::Unauthentic)?;
        let index = u64::from(counter) << 16 | u64::from(sequence);
        self.bring_to(ssrc, highest, index).map_err(|error| refusal(&error))?;
        let plain = self.context.decrypt_rtp(packet).map_err(|error| refusal(&error))?;
        match known {
            Some(at) => self.rtp_senders.move_on(at, index),
            None => _ = self.rtp_senders.add(ssrc, index),
        }
        put_back(&plain, packet).ok_or(Refusal::Unauthentic)
    }

    /// Brings a sender's counter from its highest index to the last stride before one. The library below has no other way
    /// than packets: those made here are headers alone and leave nowhere.
    fn bring_to(&mut self, ssrc: u32, highest: Option<u64>, index: u64) -> Result<()> {
        let mut maker = context(&self.key);
        for stride in (0..index).step_by(STRIDE) {
            let [high, low] = (stride as u16).to_be_bytes();
            let [a, b, c, d] = ssrc.to_be_bytes();
            let made = maker.encrypt_rtp(&[0x80, 0, high, low, 0, 0, 0, 0, a, b, c, d])?;
            if highest.is_none_or(|highest| stride > highest) {
                self.context.decrypt_rtp(&made)?;
            }
        }
        Ok(())
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
        if self.rtcp_senders.find(ssrc).is_none() {
            self.try_first(packet, |context, packet| context.decrypt_rtcp(packet).map(|_| ()))?;
            // The index of SRTCP stands in each packet.
            self.rtcp_senders.add(ssrc, 0).ok_or(Refusal::Unauthentic)?;
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

/// SSRC and sequence number of an RTP packet; none when it is shorter than those.
fn numbers(packet: &[u8]) -> Option<(u32, u16)> {
    Some((word(packet, 8)?, word(packet, 0)? as u16))
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
