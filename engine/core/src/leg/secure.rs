//! A leg's SRTP: a key and a context for each direction.

use offhook_proto::{SrtpInfo, SrtpKey, SrtpKeys};
use offhook_srtp::{Protector, Refusal, Unprotected, Unprotector};

use crate::limits::ROLLOVER_SEARCH_MS;
use crate::{DropReason, Time};

/// The encryption of one leg; absent on a plain one.
#[derive(Debug, Default)]
pub(crate) struct Secure {
    receive: Option<(SrtpKey, Unprotector)>,
    send: Option<(SrtpKey, Protector)>,
    /// When a rollover counter may be searched for again, and how often that was done.
    search_at: Time,
    searches: u64,
}

impl Secure {
    /// With the keys that are known.
    pub(crate) fn new(keys: &SrtpKeys) -> Self {
        let mut secure = Self::default();
        secure.rekey(keys);
        secure
    }

    /// Takes other keys. A direction whose key stays the same keeps its rollover counter and its window: starting again
    /// would encrypt two packets alike.
    pub(crate) fn rekey(&mut self, keys: &SrtpKeys) {
        if self.receive.as_ref().map(|(key, _)| key) != keys.receive.as_ref() {
            self.receive = keys.receive.clone().map(|key| (key.clone(), Unprotector::new(&key)));
            self.search_at = Time::default();
        }
        if self.send.as_ref().map(|(key, _)| key) != keys.send.as_ref() {
            self.send = keys.send.clone().map(|key| (key.clone(), Protector::new(&key)));
        }
    }

    /// Authenticates a packet and decrypts it where it lies. Returns its length without protection.
    pub(crate) fn open(&mut self, reports: bool, packet: &mut [u8]) -> Result<usize, DropReason> {
        let (_, unprotector) = self.receive.as_mut().ok_or(DropReason::NoKey)?;
        let opened = if reports { unprotector.rtcp(packet) } else { unprotector.rtp(packet) };
        opened.map_err(|refusal| match refusal {
            Refusal::Unauthentic => DropReason::AuthFailed,
            Refusal::Replayed => DropReason::Replayed,
        })
    }

    /// Takes an RTP packet that [`Secure::open`] refused to be from a stream that has rolled over unheard: a phone whose leg was
    /// made anew goes on with its counter. It is searched for at most once in [`ROLLOVER_SEARCH_MS`].
    pub(crate) fn open_rolled_over(
        &mut self,
        now: Time,
        refused: DropReason,
        packet: &mut [u8],
    ) -> Result<usize, DropReason> {
        let Some((_, unprotector)) = &mut self.receive else { return Err(refused) };
        if now < self.search_at || !unprotector.may_have_rolled_over(packet) {
            return Err(refused);
        }
        self.search_at = now.plus_ms(ROLLOVER_SEARCH_MS);
        self.searches += 1;
        unprotector.rtp_rolled_over(packet).map_err(|_| refused)
    }

    /// Protects the packet in the first `len` bytes of a buffer. Returns its length then.
    pub(crate) fn seal(&mut self, reports: bool, buffer: &mut [u8], len: usize) -> Result<usize, DropReason> {
        let (_, protector) = self.send.as_mut().ok_or(DropReason::NoKey)?;
        let sealed = if reports { protector.rtcp(buffer, len) } else { protector.rtp(buffer, len) };
        sealed.map_err(|unprotected| match unprotected {
            Unprotected::Repeated => DropReason::Late,
            Unprotected::Impossible => DropReason::SendFailed,
        })
    }

    /// What may be shown of it.
    pub(crate) fn info(&self) -> SrtpInfo {
        SrtpInfo {
            receive: self.receive.as_ref().map(|(key, _)| key.suite),
            send: self.send.as_ref().map(|(key, _)| key.suite),
            rollover_searches: self.searches,
        }
    }
}
