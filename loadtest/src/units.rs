//! Command-line values as people write them: `20/s`, `10%`, `1.5s`, `200ms..3s`.

use std::str::FromStr;

use crate::media::keys::is_key;

/// Events per second. Written `2/s`, `30/min` or `0.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(pub(crate) f64);

/// A share from 0 to 1. Written `10%` or `0.1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

/// A length of time in milliseconds. Written `60s`, `200ms`, `5m` or `60` (seconds).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Millis(pub(crate) u64);

/// An inclusive range of lengths of time. Written `200ms..3s`, or `2s` for exactly that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

/// An inclusive range of UDP ports. Written `20000-29999`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ports {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

/// Keys of a telephone, 1 to 16. Written `12#`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keys(pub(crate) String);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, per_seconds) = match text.split_once('/') {
            None => (text, 1.0),
            Some((number, "s" | "sec" | "second")) => (number, 1.0),
            Some((number, "m" | "min" | "minute")) => (number, 60.0),
            Some((_, unit)) => return Err(format!("unknown unit of time {unit:?}; write 2/s or 30/min")),
        };
        Ok(Self(non_negative(number)? / per_seconds))
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = match text.strip_suffix('%') {
            Some(number) => non_negative(number)? / 100.0,
            None => non_negative(text)?,
        };
        if share > 1.0 {
            return Err(format!("{text:?} is more than everything; write 10% or 0.1"));
        }
        Ok(Self(share))
    }
}

impl FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale_ms = match &text[digits.len()..] {
            "ms" => 1.0,
            "" | "s" => 1_000.0,
            "m" | "min" => 60_000.0,
            "h" => 3_600_000.0,
            unit => return Err(format!("unknown unit of time {unit:?}; write 200ms, 60s or 5m")),
        };
        Ok(Self((non_negative(digits)? * scale_ms).round() as u64))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from_ms, to_ms) = (from.parse::<Millis>()?.0, to.parse::<Millis>()?.0);
        if from_ms > to_ms {
            return Err(format!("{text:?} ends before it begins"));
        }
        Ok(Self { from_ms, to_ms })
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match range {
            Some((first, last)) if first > 0 && first < last => Ok(Self { first, last }),
            _ => Err(format!("{text:?} is not a range of ports; write 20000-29999")),
        }
    }
}

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(1..=16).contains(&text.len()) || !text.chars().all(is_key) {
            return Err(format!("{text:?} are not 1 to 16 keys; write 12#"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_multiple_of(1_000) {
            write!(f, "{}s", self.0 / 1_000)
        } else {
            write!(f, "{}ms", self.0)
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", Millis(self.from_ms), Millis(self.to_ms))
    }
}

fn non_negative(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("{text:?} is not a number of zero or more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!("20/s".parse(), Ok(Rate(20.0)));
        assert_eq!("30/min".parse(), Ok(Rate(0.5)));
        assert_eq!("10%".parse(), Ok(Share(0.1)));
        assert_eq!("1.5s".parse(), Ok(Millis(1_500)));
        assert_eq!("60".parse(), Ok(Millis(60_000)));
        assert_eq!("200ms..3s".parse(), Ok(Span { from_ms: 200, to_ms: 3_000 }));
        assert_eq!("2s".parse(), Ok(Span { from_ms: 2_000, to_ms: 2_000 }));
        assert_eq!("12#".parse(), Ok(Keys("12#".to_owned())));
        assert_eq!("20000-29999".parse(), Ok(Ports { first: 20_000, last: 29_999 }));
    }

    #[test]
    fn nonsense_is_refused_with_a_sentence() {
        assert!("150%".parse::<Share>().is_err());
        assert!("-1/s".parse::<Rate>().is_err());
        assert!("3 fortnights".parse::<Millis>().is_err());
        assert!("3s..1s".parse::<Span>().is_err());
        assert!("9-1".parse::<Ports>().is_err());
        assert!("12x".parse::<Keys>().is_err());
    }
}
