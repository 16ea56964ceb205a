//! Dictionaries with something in them that does not belong there.

use serde_json::Value;

/// What stands where something else should, as it is written.
const WRONG: [&str; 14] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e308",
    "18446744073709551616",
    "-9223372036854775809",
    "\"\"",
    "\"\\u0000\\ud83d\\ude00/../%s\"",
    "[]",
    "[[[[{}]]]]",
    "{}",
    "{\"a\":{\"a\":{\"a\":[]}}}",
];

/// Each value of a dictionary, at any depth, replaced by each of [`WRONG`] and by a long text; with whether that is of the same kind.
pub(crate) fn mangled(whole: &Value) -> Vec<(String, bool)> {
    let long = format!("\"{}\"", "x".repeat(4_000));
    let mut made = Vec::new();
    for path in paths(whole) {
        let was = whole.pointer(&path).expect("a path of it");
        let mut marked = whole.clone();
        *marked.pointer_mut(&path).expect("the same") = Value::from(MARK);
        let text = marked.to_string();
        for wrong in WRONG.iter().copied().chain([long.as_str()]) {
            let is_alike = match was {
                Value::Null => true,
                Value::Bool(_) => wrong == "true",
                Value::Number(_) => wrong.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
                Value::String(_) => wrong.starts_with('"'),
                Value::Array(_) => wrong.starts_with('['),
                Value::Object(_) => wrong.starts_with('{'),
            };
            made.push((text.replace(&format!("\"{MARK}\""), wrong), is_alike || wrong == "null"));
        }
    }
    made
}

/// Where each value of it is, as JSON pointers (RFC 6901).
fn paths(value: &Value) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(values) => {
            values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = |(name, value): (String, &Value)| {
        let own = format!("/{name}");
        paths(value).into_iter().map(|path| format!("{own}{path}")).chain([own.clone()]).collect::<Vec<_>>()
    };
    parts.into_iter().flat_map(below).collect()
}

const MARK: &str = "@here@";
