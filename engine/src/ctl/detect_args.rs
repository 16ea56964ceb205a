//! What is typed to start a detection.

use clap::Args;
use offhook_proto::{AmdParameters, DetectStart, DetectWhat, ToneParameters};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::args::parse_word;

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// Name of the leg.
    leg: String,
    /// What to listen for: amd, tones, dtmf or some of them.
    #[arg(required = true, value_parser = parse_word::<DetectWhat>)]
    what: Vec<DetectWhat>,
    /// Parameters of amd, as greeting_ms=2000,silence_threshold=300.
    #[arg(long, value_name = "NAME=VALUE,…", default_value = "", hide_default_value = true, value_parser = parse_parameters::<AmdParameters>)]
    amd: AmdParameters,
    /// Parameters of tones, as busy_min_ms=150,busy_max_ms=309,fax=false.
    #[arg(long, value_name = "NAME=VALUE,…", default_value = "", hide_default_value = true, value_parser = parse_parameters::<ToneParameters>)]
    tones: ToneParameters,
}

impl DetectArgs {
    pub(crate) fn command(self) -> DetectStart {
        DetectStart { leg: self.leg, what: self.what, amd: self.amd, tones: self.tones }
    }
}

fn parse_parameters<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut map = Map::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not NAME=VALUE"))?;
        let value: Value = match value.parse() {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
            Ok(_) | Err(_) => return Err(format!("{value:?} is neither a number nor true or false")),
        };
        map.insert(name.to_owned(), value);
    }
    serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_protocol_and_others_keep_their_defaults() {
        let wanted = AmdParameters { greeting_ms: 2_000, silence_threshold: 300, ..AmdParameters::default() };
        assert_eq!(parse_parameters("greeting_ms=2000,silence_threshold=300"), Ok(wanted));
        assert_eq!(parse_parameters(""), Ok(AmdParameters::default()));
        let wanted = ToneParameters { fax: false, min_level_dbm0: -30, ..ToneParameters::default() };
        assert_eq!(parse_parameters("fax=false,min_level_dbm0=-30"), Ok(wanted));
        let parse_amd = parse_parameters::<AmdParameters>;
        assert!(parse_amd("greeting=1").expect_err("no such parameter").contains("greeting_ms"));
        for text in ["greeting_ms", "greeting_ms=", "greeting_ms=long", "greeting_ms=-1", "greeting_ms=[1]"] {
            assert!(parse_amd(text).is_err(), "{text}");
        }
    }
}
