//! How packets ask to be treated on their way (RFC 2474).

use std::fmt;
use std::str::FromStr;

/// A differentiated services code point, 0 to 63.
///
/// As text: a number, or a name of RFC 2474 (`cs0` to `cs7`), RFC 2597 (`af11` to `af43`), RFC 3246 (`ef`) or RFC 5865 (`va`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dscp(u8);

impl Dscp {
    /// Expedited forwarding: telephony (RFC 4594 section 4.1).
    pub const EF: Self = Self(46);
    /// Class selector 3: signalling, as most networks of telephones have it.
    pub const CS3: Self = Self(24);

    /// One by its number; none above 63.
    pub fn new(number: u8) -> Option<Self> {
        (number <= MAX).then_some(Self(number))
    }

    /// The number, 0 to 63.
    pub fn number(self) -> u8 {
        self.0
    }

    /// As it stands in an IP header: above two bits that say nothing of congestion (RFC 3168 section 5: not ECT).
    pub fn traffic_class(self) -> u8 {
        self.0 << 2
    }
}

impl FromStr for Dscp {
    type Err = NotDscp;

    fn from_str(text: &str) -> Result<Self, NotDscp> {
        let lower = text.to_ascii_lowercase();
        let digits = |text: &str| text.bytes().map(|byte| byte.wrapping_sub(b'0')).collect::<Vec<_>>();
        let number = match lower.as_str() {
            "ef" => Some(Self::EF.0),
            "va" => Some(VOICE_ADMIT),
            name => match name.split_at_checked(2) {
                Some(("cs", class)) => match digits(class)[..] {
                    [class @ 0..=7] => Some(class << 3),
                    _ => None,
                },
                Some(("af", class)) => match digits(class)[..] {
                    [class @ 1..=4, drop @ 1..=3] => Some(class << 3 | drop << 1),
                    _ => None,
                },
                _ => name.parse().ok(),
            },
        };
        number.and_then(Self::new).ok_or(NotDscp)
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 >> 3, self.0 & 7) {
            _ if *self == Self::EF => f.write_str("ef"),
            _ if self.0 == VOICE_ADMIT => f.write_str("va"),
            (class, 0) => write!(f, "cs{class}"),
            (class @ 1..=4, drop @ (2 | 4 | 6)) => write!(f, "af{class}{}", drop >> 1),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// A text that names no code point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number from 0 to 63, or ef, va, cs0 to cs7, af11 to af43")]
pub struct NotDscp;

const MAX: u8 = 63;
const VOICE_ADMIT: u8 = 44;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_numbers_of_their_rfcs_and_are_told_again() {
        // RFC 4594, figure 3; RFC 5865 section 3.
        let names = [
            ("cs0", 0),
            ("cs1", 8),
            ("cs2", 16),
            ("cs3", 24),
            ("cs4", 32),
            ("cs5", 40),
            ("cs6", 48),
            ("cs7", 56),
            ("af11", 10),
            ("af12", 12),
            ("af13", 14),
            ("af21", 18),
            ("af31", 26),
            ("af41", 34),
            ("af43", 38),
            ("ef", 46),
            ("va", 44),
            ("1", 1),
            ("63", 63),
        ];
        for (name, number) in names {
            let dscp: Dscp = name.parse().unwrap();
            assert_eq!((dscp.number(), dscp.traffic_class()), (number, number * 4), "{name}");
            assert_eq!(dscp.to_string(), name);
            assert_eq!(name.to_uppercase().parse(), Ok(dscp));
            assert_eq!(number.to_string().parse(), Ok(dscp));
        }
    }

    #[test]
    fn what_names_no_code_point_is_refused() {
        for text in
            ["", "64", "256", "-1", "e", "eff", "cs8", "cs", "cs10", "af14", "af01", "af5", "af51", "ä", "äé"]
        {
            assert_eq!(text.parse::<Dscp>(), Err(NotDscp), "{text}");
        }
    }
}
