//! JSON dictionaries, as [`Value`]s.

use serde_json::{Map, Value as Json};

use crate::limits::{DEPTH, VALUES};
use crate::value::{Dict, Value};

/// Reads one JSON object; numbers that are not whole become text, `true` and `false` become `yes` and `no`, and what is
/// `null` is left out.
///
/// None when it is none, or past [`DEPTH`] or [`VALUES`].
pub(crate) fn parse(bytes: &[u8]) -> Option<Dict> {
    let Ok(Json::Object(map)) = serde_json::from_slice(bytes) else { return None };
    let mut values_left = VALUES;
    dict_of(map, DEPTH, &mut values_left)
}

/// Writes a dictionary. Bytes that are not UTF-8 are shown as the replacement character.
pub(crate) fn write(dict: &Dict, out: &mut Vec<u8>) {
    let json = json_of_dict(dict);
    serde_json::to_writer(out, &json).expect("JSON values serialise into memory");
}

/// Looks for the end of an object that is still arriving; what was looked at is not looked at again.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    at: usize,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Scan {
    /// How many bytes the object at the start of `bytes` takes, by its braces: `None` when it is not complete yet. `bytes` only
    /// ever grows.
    pub(crate) fn length(&mut self, bytes: &[u8]) -> Option<usize> {
        for byte in bytes.get(self.at..)? {
            self.at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                b'{' if !self.quoted => self.depth += 1,
                b'}' if !self.quoted => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

fn dict_of(map: Map<String, Json>, depth_left: usize, values_left: &mut usize) -> Option<Dict> {
    let depth_left = depth_left.checked_sub(1)?;
    let mut dict = Dict::default();
    for (key, value) in map {
        if !value.is_null() {
            dict.0.push((key.into_bytes(), value_of(value, depth_left, values_left)?));
        }
    }
    Some(dict)
}

fn value_of(json: Json, depth_left: usize, values_left: &mut usize) -> Option<Value> {
    *values_left = values_left.checked_sub(1)?;
    Some(match json {
        Json::Null => Value::Bytes(Vec::new()),
        Json::Bool(yes) => Value::from(if yes { "yes" } else { "no" }),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::from(number.to_string()),
        },
        Json::String(text) => Value::from(text),
        Json::Array(list) => {
            let depth_left = depth_left.checked_sub(1)?;
            let values = list.into_iter().map(|value| value_of(value, depth_left, values_left));
            Value::List(values.collect::<Option<_>>()?)
        }
        Json::Object(map) => Value::Dict(dict_of(map, depth_left, values_left)?),
    })
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Int(number) => (*number).into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::List(list) => list.iter().map(json_of).collect(),
        Value::Dict(dict) => json_of_dict(dict),
    }
}

fn json_of_dict(dict: &Dict) -> Json {
    let pairs = dict.0.iter().map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), json_of(value)));
    Json::Object(pairs.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(bytes: &[u8]) -> Option<usize> {
        Scan::default().length(bytes)
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse(&bytes), length(&bytes));
        }

        #[test]
        fn an_object_ends_where_its_last_brace_is(text in ".{0,40}", after in "[ {}a]{0,5}") {
            let mut bytes = Vec::new();
            write(&Dict::default().with("a", text.as_str()).with("b", Dict::default()), &mut bytes);
            let whole = bytes.len();
            bytes.extend(after.bytes());
            prop_assert_eq!(length(&bytes), Some(whole));
            prop_assert_eq!(length(&bytes[..whole - 1]), None);
            let mut scan = Scan::default();
            for cut in 0..whole {
                prop_assert_eq!(scan.length(&bytes[..cut]), None);
            }
            prop_assert_eq!(scan.length(&bytes[..whole]), Some(whole));
        }
    }

    #[test]
    fn numbers_and_truths_become_what_bencode_can_say() {
        let dict = parse(br#"{"a": 1, "b": 2.5, "c": true, "d": null, "e": ["x"]}"#).expect("an object");
        assert_eq!(dict.find("a"), Some(&Value::Int(1)));
        assert_eq!(dict.text("b"), Some("2.5"));
        assert_eq!(dict.text("c"), Some("yes"));
        assert_eq!(dict.find("d"), None);
        assert_eq!(dict.texts("e"), ["x"]);
    }
}
