//! A record as it is read: its version and time stand beside the fields of its fact.
//!
//! What `#[serde(flatten)]` would do, without keeping and copying all fields once more on the way: a start reads every record
//! of the journal.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Fact, Record};

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record, A::Error> {
        let (mut v, mut at_ms) = (None, None);
        let fact = Fact::deserialize(MapAccessDeserializer::new(Rest { map, v: &mut v, at_ms: &mut at_ms }))?;
        let missing = |field| move || A::Error::missing_field(field);
        Ok(Record { v: v.ok_or_else(missing("v"))?, at_ms: at_ms.ok_or_else(missing("at_ms"))?, fact })
    }
}

/// The fields of the fact; the record's own are kept as they pass.
struct Rest<'a, A> {
    map: A,
    v: &'a mut Option<u16>,
    at_ms: &'a mut Option<u64>,
}

/// Name of a field.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Name(name)) = self.map.next_key::<Name<'de>>()? {
            match &*name {
                "v" => *self.v = Some(self.map.next_value()?),
                "at_ms" => *self.at_ms = Some(self.map.next_value()?),
                _ => {
                    let key = match name {
                        Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
                        Cow::Owned(name) => seed.deserialize(name.into_deserializer()),
                    };
                    return key.map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallId;

    #[test]
    fn a_record_is_read_in_whatever_order_its_fields_stand_and_not_without_them() {
        let ended = Record::new(7, Fact::CallEnded { call: CallId(5), summary: None });
        let written = serde_json::to_string(&ended).expect("it is written");
        let read = |text: &str| serde_json::from_str::<Record>(text);
        assert_eq!(read(&written).expect("it is read"), ended);
        let backwards = r#"{"summary": null, "call": 5, "fact": "call_ended", "at_ms": 7, "\u0076": 1}"#;
        assert_eq!(read(backwards).expect("it is read"), ended);
        for (wrong, word) in [
            (r#"{"at_ms": 7, "fact": "call_ended", "call": 5}"#, "`v`"),
            (r#"{"v": 1, "fact": "call_ended", "call": 5}"#, "`at_ms`"),
            (r#"{"v": 1, "at_ms": 7, "call": 5}"#, "`fact`"),
            (r#"{"v": 1, "at_ms": 7, "fact": "moon_landed"}"#, "moon_landed"),
            (r#"{"v": 1, "at_ms": 7, "fact": "call_ended"}"#, "`call`"),
            ("[1, 7]", "a record"),
        ] {
            let error = read(wrong).expect_err("it is refused").to_string();
            assert!(error.contains(word), "{wrong}: {error}");
        }
    }
}
