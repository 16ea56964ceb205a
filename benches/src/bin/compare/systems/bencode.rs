//! Bencode, as far as `ng` needs it.

/// A value, borrowed from its datagram.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Number(i64),
    List(Vec<Value<'a>>),
    Dictionary(Vec<(&'a [u8], Value<'a>)>),
}

impl Value<'_> {
    /// A dictionary's field.
    pub(super) fn field(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dictionary(fields) => {
                fields.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
            }
            Self::Bytes(_) | Self::Number(_) | Self::List(_) => None,
        }
    }
}

/// A dictionary of strings.
pub(super) fn write_strings(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::from("d");
    for part in fields.iter().flat_map(|&(key, value)| [key, value]) {
        text.push_str(&format!("{}:{part}", part.len()));
    }
    text.push('e');
    text.into_bytes()
}

/// The value that a datagram begins with; nothing when it is malformed or nested deeper than 8.
pub(super) fn parse(mut bytes: &[u8]) -> Option<Value<'_>> {
    value(&mut bytes, DEEPEST)
}

fn value<'a>(bytes: &mut &'a [u8], depth: u32) -> Option<Value<'a>> {
    match bytes.first()? {
        b'0'..=b'9' => string(bytes).map(Value::Bytes),
        b'i' => {
            *bytes = &bytes[1..];
            number(bytes, b'e').map(Value::Number)
        }
        b'l' => {
            *bytes = &bytes[1..];
            let mut items = Vec::new();
            while !ends(bytes)? {
                items.push(value(bytes, depth.checked_sub(1)?)?);
            }
            Some(Value::List(items))
        }
        b'd' => {
            *bytes = &bytes[1..];
            let mut fields = Vec::new();
            while !ends(bytes)? {
                fields.push((string(bytes)?, value(bytes, depth.checked_sub(1)?)?));
            }
            Some(Value::Dictionary(fields))
        }
        _ => None,
    }
}

fn ends(bytes: &mut &[u8]) -> Option<bool> {
    let is_end = *bytes.first()? == b'e';
    if is_end {
        *bytes = &bytes[1..];
    }
    Some(is_end)
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number(bytes, b':')?).ok()?;
    let (string, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(string)
}

fn number(bytes: &mut &[u8], end: u8) -> Option<i64> {
    let at = bytes.iter().position(|&byte| byte == end)?;
    let number = std::str::from_utf8(&bytes[..at]).ok()?.parse().ok()?;
    *bytes = &bytes[at + 1..];
    Some(number)
}

const DEEPEST: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let written = write_strings(&[("command", "ping"), ("sdp", "v=0\r\n")]);
        assert_eq!(written, b"d7:command4:ping3:sdp5:v=0\r\ne");
        let value = parse(&written).expect("a dictionary");
        assert_eq!(value.field("sdp"), Some(&Value::Bytes(b"v=0\r\n")));
        assert_eq!(value.field("none"), None);
    }

    #[test]
    fn lists_and_numbers_are_read() {
        let expected = Value::List(vec![Value::Number(-7), Value::Bytes(b"ab")]);
        assert_eq!(parse(b"li-7e2:abe"), Some(expected));
    }

    #[test]
    fn garbage_is_nothing() {
        for garbage in
            [&b""[..], b"d", b"5:ab", b"i1", b"x", b"d3:abc", b"llllllllllllee", b"99999999999999999999:a"]
        {
            assert_eq!(parse(garbage), None, "{garbage:?}");
        }
    }
}
