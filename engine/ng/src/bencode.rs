//! Bencode, as rtpengine's clients write it: keys in any order, bytes that need not be UTF-8.
//!
//! The libraries that were looked at refuse dictionaries whose keys are not sorted, which Kamailio's are not.

use crate::limits::{DEPTH, VALUES};
use crate::value::{Dict, Value};

/// Reads one dictionary that fills `bytes`, but for white space after it.
///
/// None when it is none, when it is nested deeper than [`DEPTH`] or holds more than [`VALUES`] values.
pub fn parse(bytes: &[u8]) -> Option<Dict> {
    let mut reader = Reader { rest: bytes, values_left: VALUES };
    let value = reader.value(DEPTH)?;
    match value {
        Value::Dict(dict) if reader.rest.iter().all(u8::is_ascii_whitespace) => Some(dict),
        Value::Dict(_) | Value::Int(_) | Value::Bytes(_) | Value::List(_) => None,
    }
}

/// Writes a dictionary, keys in its order.
pub fn write(dict: &Dict, out: &mut Vec<u8>) {
    out.push(b'd');
    for (key, value) in &dict.0 {
        write_bytes(key, out);
        write_value(value, out);
    }
    out.push(b'e');
}

/// Looks for the end of a value that is still arriving; what was looked at is not looked at again.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    at: usize,
    depth: usize,
}

impl Scan {
    /// How many bytes the value at the start of `bytes` takes: `Ok(None)` when it is not complete yet. `bytes` only ever grows.
    ///
    /// # Errors
    /// It is no bencode.
    pub(crate) fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, ()> {
        while self.at == 0 || self.depth > 0 {
            let Some(&byte) = bytes.get(self.at) else { return Ok(None) };
            let rest = &bytes[self.at..];
            match byte {
                b'd' | b'l' if self.depth < DEPTH => (self.at, self.depth) = (self.at + 1, self.depth + 1),
                b'e' if self.depth > 0 => (self.at, self.depth) = (self.at + 1, self.depth - 1),
                b'i' => match rest.iter().take(INT_BYTES).position(|&byte| byte == b'e') {
                    Some(end) => self.at += end + 1,
                    None if rest.len() < INT_BYTES => return Ok(None),
                    None => return Err(()),
                },
                b'0'..=b'9' => match string_header(rest) {
                    Header::Of { length, header } => self.at += header + length,
                    Header::Incomplete => return Ok(None),
                    Header::Wrong => return Err(()),
                },
                _ => return Err(()),
            }
        }
        Ok((self.at <= bytes.len()).then_some(self.at))
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth_left: usize) -> Option<Value> {
        self.values_left = self.values_left.checked_sub(1)?;
        match self.rest.first()? {
            b'i' => {
                let end = self.rest.iter().take(INT_BYTES).position(|&byte| byte == b'e')?;
                let digits = std::str::from_utf8(&self.rest[1..end]).ok()?;
                self.rest = &self.rest[end + 1..];
                digits.parse().ok().map(Value::Int)
            }
            b'l' => {
                let depth_left = depth_left.checked_sub(1)?;
                self.rest = &self.rest[1..];
                let mut list = Vec::new();
                while !self.ends()? {
                    list.push(self.value(depth_left)?);
                }
                Some(Value::List(list))
            }
            b'd' => {
                let depth_left = depth_left.checked_sub(1)?;
                self.rest = &self.rest[1..];
                let mut dict = Dict::default();
                while !self.ends()? {
                    let key = self.string()?.to_vec();
                    dict.0.push((key, self.value(depth_left)?));
                }
                Some(Value::Dict(dict))
            }
            b'0'..=b'9' => self.string().map(|bytes| Value::Bytes(bytes.to_vec())),
            _ => None,
        }
    }

    /// Whether a list or dictionary ends here; takes its end.
    fn ends(&mut self) -> Option<bool> {
        let ends = *self.rest.first()? == b'e';
        if ends {
            self.rest = &self.rest[1..];
        }
        Some(ends)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let Header::Of { length, header } = string_header(self.rest) else { return None };
        let string = self.rest.get(header..header.checked_add(length)?)?;
        self.rest = &self.rest[header + length..];
        Some(string)
    }
}

enum Header {
    Of { length: usize, header: usize },
    Incomplete,
    Wrong,
}

/// The length before a string, and the bytes that say it.
fn string_header(bytes: &[u8]) -> Header {
    let digits = bytes.iter().take(LENGTH_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > LENGTH_DIGITS {
        return Header::Wrong;
    }
    match bytes.get(digits) {
        None => Header::Incomplete,
        Some(b':') => {
            let length = bytes[..digits].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            Header::Of { length, header: digits + 1 }
        }
        Some(_) => Header::Wrong,
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
        Value::Bytes(bytes) => write_bytes(bytes, out),
        Value::List(list) => {
            out.push(b'l');
            list.iter().for_each(|value| write_value(value, out));
            out.push(b'e');
        }
        Value::Dict(dict) => write(dict, out),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

/// `i`, a sign, 19 digits and `e`.
const INT_BYTES: usize = 22;
/// Digits of a string's length: far above [`crate::limits::FRAME_BYTES`].
const LENGTH_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(bytes: &[u8]) -> Result<Option<usize>, ()> {
        Scan::default().length(bytes)
    }

    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Int),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let key = proptest::collection::vec(any::<u8>(), 0..8);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                proptest::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Dict(Dict(pairs))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(value in any_value()) {
            let dict = Dict::default().with("v", value);
            let mut bytes = Vec::new();
            write(&dict, &mut bytes);
            prop_assert_eq!(parse(&bytes), Some(dict));
            prop_assert_eq!(length(&bytes), Ok(Some(bytes.len())));
            let mut scan = Scan::default();
            for cut in 0..bytes.len() {
                prop_assert_eq!(length(&bytes[..cut]), Ok(None));
                prop_assert_eq!(scan.length(&bytes[..cut]), Ok(None));
                prop_assert_eq!(parse(&bytes[..cut]), None);
            }
            prop_assert_eq!(scan.length(&bytes), Ok(Some(bytes.len())));
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse(&bytes), length(&bytes));
        }

        #[test]
        fn bytes_that_look_like_bencode_are_taken_without_a_panic(text in "d?([dlei]|[0-9]{1,9}:|i-?[0-9]{1,20}e|[a-z]){0,60}e?") {
            let _ = (parse(text.as_bytes()), length(text.as_bytes()));
        }
    }

    #[test]
    fn keys_may_come_in_any_order_and_bytes_need_not_be_text() {
        let dict = parse(b"d3:sdp2:\xff\x007:command4:ping1:ai-7ee").expect("a dictionary");
        assert_eq!(dict.bytes("sdp"), Some(&b"\xff\x00"[..]));
        assert_eq!(dict.text("command"), Some("ping"));
        assert_eq!(dict.find("a").and_then(Value::int), Some(-7));
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| {
            [b"d1:a".to_vec(), b"l".repeat(depth - 1), b"e".repeat(depth - 1), b"e".to_vec()].concat()
        };
        assert!(parse(&nested(DEPTH)).is_some());
        assert!(parse(&nested(DEPTH + 1)).is_none());
        assert!(length(&nested(DEPTH + 1)).is_err());
    }
}
