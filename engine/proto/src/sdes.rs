//! The `crypto` attribute of SDP (SDES, RFC 4568).

use std::fmt;

use crate::{Srtp, SrtpKey, SrtpKeys, SrtpSuite};

/// One `a=crypto` line: what its writer encrypts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Number by which an answer names the line of the offer.
    pub tag: u32,
    /// Suite and key.
    pub key: SrtpKey,
}

impl Crypto {
    /// Reads what follows `a=crypto:`. None when it cannot be used: a suite that we do not know, no key of its length, more than
    /// one key, or parameters that switch protection off or change it (RFC 4568 section 6.3).
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| (1..=9).contains(&tag.len()))?.parse().ok()?;
        let suite: SrtpSuite = words.next()?.parse().ok()?;
        let keys = words.next()?;
        let (method, info) = keys.split_once(':')?;
        let key = SrtpKey::from_inline(suite, info)?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        // A hint about the peer's window is all that may follow.
        words.all(|parameter| parameter.starts_with("WSH=")).then_some(Self { tag, key })
    }
}

/// As it stands after `a=crypto:`, with the key.
impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} inline:{}", self.tag, self.key.suite, self.key.inline())
    }
}

/// Our own keys towards one peer, one for each suite. They are made once and stay the same in all offers and answers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdesKeys(Vec<SrtpKey>);

/// What is offered, in this order. The other suites are taken when the peer offers them.
const OFFERED: [SrtpSuite; 3] =
    [SrtpSuite::AeadAes256Gcm, SrtpSuite::AeadAes128Gcm, SrtpSuite::AesCm128HmacSha1_80];

impl SdesKeys {
    /// Keys of the bytes that `fill` writes, which must come from a generator fit for keys.
    pub fn new(mut fill: impl FnMut(&mut [u8])) -> Self {
        let keys = SrtpSuite::ALL.into_iter().map(|suite| {
            let mut key = vec![0; suite.key_bytes() + suite.salt_bytes()].into_boxed_slice();
            fill(&mut key);
            SrtpKey::new(suite, key)
        });
        Self(keys.collect())
    }

    /// The lines of an offer.
    pub fn offer(&self) -> Vec<Crypto> {
        let keys = OFFERED.iter().filter_map(|&suite| self.key(suite));
        keys.zip(1..).map(|(key, tag)| Crypto { tag, key: key.clone() }).collect()
    }

    /// Our line in an answer to an offer with these lines, and what is agreed: the offer's first.
    pub fn answer(&self, offered: &[Crypto]) -> Option<(Crypto, Srtp)> {
        let theirs = offered.first()?;
        let ours = self.key(theirs.key.suite)?.clone();
        let agreed = SrtpKeys { receive: Some(theirs.key.clone()), send: Some(ours.clone()) };
        Some((Crypto { tag: theirs.tag, key: ours }, Srtp::from(agreed)))
    }

    /// What is agreed by an answer with these lines to [`Self::offer`]: its first that names one of ours.
    pub fn accept(&self, answered: &[Crypto]) -> Option<Srtp> {
        let offer = self.offer();
        let agreed = answered.iter().find_map(|theirs| {
            let ours =
                offer.iter().find(|ours| ours.tag == theirs.tag && ours.key.suite == theirs.key.suite)?;
            Some(SrtpKeys { receive: Some(theirs.key.clone()), send: Some(ours.key.clone()) })
        });
        agreed.map(Srtp::from)
    }

    fn key(&self, suite: SrtpSuite) -> Option<&SrtpKey> {
        self.0.iter().find(|key| key.suite == suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn the_lines_of_rfc_4568_are_read() {
        for (line, tag) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20"), 1),
            (format!("2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"), 2),
            (format!("31 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^48 WSH=64"), 31),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"), 1),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4"), 1),
        ] {
            let crypto = Crypto::parse(&line).unwrap_or_else(|| panic!("{line}"));
            let mki = if line.ends_with(":4") { "|1:4" } else { "" };
            assert_eq!((crypto.tag, crypto.key.inline()), (tag, format!("{KEY}{mki}")));
            assert_eq!(Crypto::parse(&crypto.to_string()), Some(crypto));
        }
    }

    #[test]
    fn what_would_weaken_or_confuse_us_is_left_alone() {
        for line in [
            String::new(),
            "1".to_owned(),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA".to_owned(),
            format!("1 AEAD_AES_128_GCM inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|256:1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4;inline:{KEY}|2:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
        ] {
            assert_eq!(Crypto::parse(&line), None, "{line}");
        }
    }
}
