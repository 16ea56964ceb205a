//! SRTP of a leg (RFC 3711), with keys that signalling carried (SDES, RFC 4568).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Mki;
use crate::mki::is_number;

/// Whether a leg's packets are encrypted, and with what.
///
/// On the wire `"off"`, or a dictionary as [`SrtpKeys`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Srtp {
    /// Plain RTP and RTCP.
    #[default]
    Off,
    /// SRTP and SRTCP in both directions. What has no key yet does not pass.
    On(Box<SrtpKeys>),
}

impl Srtp {
    /// Whether it is [`Srtp::Off`].
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

impl From<SrtpKeys> for Srtp {
    fn from(keys: SrtpKeys) -> Self {
        Self::On(Box::new(keys))
    }
}

/// The keys of a secure leg, each as signalled by whoever encrypts with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SrtpKeys {
    /// What the peer encrypts with; until it is known, its packets wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<SrtpKey>,
    /// What the engine encrypts with; until it is known, nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<SrtpKey>,
}

/// One direction's suite with its master key and master salt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SrtpKey {
    /// How packets are encrypted and authenticated.
    pub suite: SrtpSuite,
    /// Master key, then master salt: [`SrtpSuite::key_bytes`] and [`SrtpSuite::salt_bytes`]. Base64 on the wire, as in
    /// `inline:` of SDP.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub key: Box<[u8]>,
    /// What each packet says of its key, when signalling wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mki: Option<Mki>,
}

/// Suites, as shown of a leg: never with keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SrtpInfo {
    /// What the peer encrypts with, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<SrtpSuite>,
    /// What the engine encrypts with, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<SrtpSuite>,
    /// How often a rollover counter was searched for, of a peer that goes on with a stream or of packets that nobody has signed.
    #[serde(skip_serializing_if = "is_zero")]
    pub rollover_searches: u64,
}

/// Encryption and authentication of packets, by its name in SDP (RFC 4568 section 6.2, RFC 6188, RFC 7714).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SrtpSuite {
    /// AES-128 in counter mode, 80 bits of HMAC-SHA1.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode, 32 bits of HMAC-SHA1 (80 for SRTCP).
    #[serde(rename = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
    /// AES-256 in counter mode, 80 bits of HMAC-SHA1.
    #[serde(rename = "AES_256_CM_HMAC_SHA1_80")]
    Aes256CmHmacSha1_80,
    /// AES-256 in counter mode, 32 bits of HMAC-SHA1 (80 for SRTCP).
    #[serde(rename = "AES_256_CM_HMAC_SHA1_32")]
    Aes256CmHmacSha1_32,
    /// AES-128 in Galois/counter mode.
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode.
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
}

impl SrtpSuite {
    /// All of them, strongest first.
    pub const ALL: [Self; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::Aes256CmHmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// Name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of its master key.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of its master salt.
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::Aes256CmHmacSha1_80
            | Self::Aes256CmHmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }
}

impl fmt::Display for SrtpSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SrtpSuite {
    type Err = ();

    /// By its name in SDP, which is compared without regard to case (RFC 4568 section 9.2 leaves it open; peers differ).
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name)).ok_or(())
    }
}

impl SrtpKey {
    /// A key whose packets have no [`Mki`].
    pub fn new(suite: SrtpSuite, key: impl Into<Box<[u8]>>) -> Self {
        Self { suite, key: key.into(), mki: None }
    }

    /// A key from what follows `inline:` in SDP (RFC 4568 section 6.1): base64, a lifetime, which our calls never reach, and an
    /// MKI. None when it is not base64 of the suite's length, or anything else stands there.
    pub fn from_inline(suite: SrtpSuite, inline: &str) -> Option<Self> {
        let (mki, inline) = match inline.rsplit_once('|') {
            Some((before, mki)) if mki.contains(':') => (Some(Mki::parse(mki)?), before),
            _ => (None, inline),
        };
        let key = inline.split_once('|').map_or(Some(inline), |(key, lifetime)| {
            let lifetime = lifetime.strip_prefix("2^").unwrap_or(lifetime);
            is_number(lifetime).then_some(key)
        });
        let key = Self { mki, ..Self::new(suite, BASE64.decode(key?).ok()?) };
        key.has_its_length().then_some(key)
    }

    /// What follows `inline:` in SDP.
    pub fn inline(&self) -> String {
        let mki = self.mki.map(|mki| format!("|{mki}")).unwrap_or_default();
        BASE64.encode(&self.key) + &mki
    }

    /// Whether key and salt together have the suite's length.
    pub fn has_its_length(&self) -> bool {
        self.key.len() == self.suite.key_bytes() + self.suite.salt_bytes()
    }
}

/// Without the key, so that no log ever holds one.
impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKey({})", self.suite)
    }
}

impl Serialize for Srtp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::On(keys) => keys.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Srtp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OffOrKeys)
    }
}

struct OffOrKeys;

impl<'de> Visitor<'de> for OffOrKeys {
    type Value = Srtp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"off\" or a dictionary of receive and send")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Srtp, E> {
        match word {
            "off" => Ok(Srtp::Off),
            _ => Err(E::invalid_value(de::Unexpected::Other("another word"), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Srtp, A::Error> {
        SrtpKeys::deserialize(MapAccessDeserializer::new(map)).map(Srtp::from)
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn to_base64<S: Serializer>(key: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(key))
}

/// The error does not repeat what it was given.
fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let key = BASE64.decode(text).map_err(|_| de::Error::custom("must be base64"))?;
    Ok(key.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_through_json_and_never_through_debug() {
        let json =
            r#"{"send":{"suite":"AEAD_AES_128_GCM","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="}}"#;
        let srtp: Srtp = serde_json::from_str(json).expect("it is sound");
        assert_eq!(serde_json::to_string(&srtp).expect("it can be written"), json);
        assert_eq!(
            format!("{srtp:?}"),
            "On(SrtpKeys { receive: None, send: Some(SrtpKey(AEAD_AES_128_GCM)) })"
        );
        let off: Srtp = serde_json::from_str(r#""off""#).expect("it is sound");
        assert!(off.is_off());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for json in [r#"{"send":{"suite":"AEAD_AES_128_GCM","key":"S3cret!!"}}"#, r#""S3cret!!""#] {
            let error = serde_json::from_str::<Srtp>(json).expect_err("it is no key").to_string();
            assert!(!error.contains("S3cret"), "{error}");
        }
    }

    #[test]
    fn what_stands_behind_a_key_in_sdp_is_read_or_the_key_is_refused() {
        let suite = SrtpSuite::AeadAes128Gcm;
        let key = BASE64.encode([7; 28]);
        let read = |more: &str| SrtpKey::from_inline(suite, &format!("{key}{more}")).map(|key| key.mki);
        for (more, mki) in [("", None), ("|2^20", None), ("|1048576", None)] {
            assert_eq!(read(more), Some(mki), "{more}");
        }
        for (more, value, len) in [("|1:4", 1, 4), ("|2^31|66051:3", 66_051, 3), ("|0:128", 0, 128)] {
            let mki = read(more).expect("it is sound").expect("there is one");
            assert_eq!(Some(mki), Mki::new(value, len));
            let again = SrtpKey { mki: Some(mki), ..SrtpKey::new(suite, [7; 28]) };
            assert_eq!(SrtpKey::from_inline(suite, &again.inline()), Some(again));
        }
        for more in
            ["|", "|x", "|2^", "|2^20|", "|1:", "|:4", "|1:0", "|1:129", "|256:1", "|1:4|2^20", "|2^3|2^4"]
        {
            assert_eq!(read(more), None, "{more}");
        }
    }

    #[test]
    fn every_suite_is_found_by_its_name_and_knows_the_length_of_its_key() {
        for suite in SrtpSuite::ALL {
            assert_eq!(suite.name().parse(), Ok(suite));
            assert_eq!(serde_json::to_string(&suite).expect("it has a name"), format!("{:?}", suite.name()));
            let key = BASE64.encode(vec![7; suite.key_bytes() + suite.salt_bytes()]);
            assert_eq!(SrtpKey::from_inline(suite, &key).expect("it fits").inline(), key);
            assert!(SrtpKey::from_inline(suite, &key[4..]).is_none(), "too short");
        }
        assert_eq!("NULL_HMAC_SHA1_80".parse::<SrtpSuite>(), Err(()));
    }
}
