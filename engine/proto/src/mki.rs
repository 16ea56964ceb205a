//! Master key identifiers of SRTP (RFC 3711 section 3.1), as signalled (RFC 4568 section 6.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What each packet under a key says of it: a number, in so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Mki {
    value: u64,
    len: u8,
}

/// As on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    value: u64,
    bytes: u8,
}

impl Mki {
    /// Bytes of the longest.
    pub const MAX_BYTES: usize = 128;

    /// One of `len` bytes, 1 to [`Mki::MAX_BYTES`]; none when the value does not fit.
    pub fn new(value: u64, len: u8) -> Option<Self> {
        let fits = u32::from(len) * 8 >= u64::BITS - value.leading_zeros();
        ((1..=Self::MAX_BYTES).contains(&usize::from(len)) && fits).then_some(Self { value, len })
    }

    /// One from `VALUE:LENGTH` of SDP.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (value, len) = text.split_once(':')?;
        let both = is_number(value) && is_number(len);
        both.then(|| Self::new(value.parse().ok()?, len.parse().ok()?)).flatten()
    }

    /// How long it is in each packet: 1 to [`Mki::MAX_BYTES`].
    pub const fn size_bytes(self) -> usize {
        self.len as usize
    }

    /// As it stands in a packet.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        (0..u32::from(self.len))
            .rev()
            .map(move |at| self.value.checked_shr(8 * at).map_or(0, |byte| byte as u8))
    }
}

/// Whether a text is digits and nothing else.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl TryFrom<Fields> for Mki {
    type Error = &'static str;

    fn try_from(Fields { value, bytes }: Fields) -> Result<Self, Self::Error> {
        Self::new(value, bytes).ok_or("an MKI must be 1 to 128 bytes, and its value must fit in them")
    }
}

impl From<Mki> for Fields {
    fn from(Mki { value, len }: Mki) -> Self {
        Self { value, bytes: len }
    }
}

/// As in SDP.
impl fmt::Display for Mki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.value, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_its_bytes_most_significant_first() {
        let bytes = |value, len| Mki::new(value, len).map(|mki| mki.bytes().collect::<Vec<_>>());
        assert_eq!(bytes(1, 4), Some(vec![0, 0, 0, 1]));
        assert_eq!(bytes(0x0102_0304_0506_0708, 10), Some(vec![0, 0, 1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(bytes(u64::MAX, 8), Some(vec![0xFF; 8]));
        for (value, len) in [(256, 1), (u64::MAX, 7), (0, 0), (0, 129)] {
            assert_eq!(bytes(value, len), None, "{value}:{len}");
        }
    }

    #[test]
    fn one_that_does_not_fit_is_refused_in_json_too() {
        let sound: Mki = serde_json::from_str(r#"{"value":1,"bytes":4}"#).expect("it is sound");
        assert_eq!(serde_json::to_string(&sound).expect("it can be written"), r#"{"value":1,"bytes":4}"#);
        let error = serde_json::from_str::<Mki>(r#"{"value":256,"bytes":1}"#).expect_err("it does not fit");
        assert!(error.to_string().contains("1 to 128 bytes"));
    }
}
