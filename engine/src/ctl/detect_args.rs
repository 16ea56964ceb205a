//! What is typed to start a detection.

use clap::Args;
use offhook_proto::{AmdParameters, DetectStart, DetectWhat};
use serde_json::{Map, Value};

use super::args::parse_word;

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    leg: String,
    /// What to listen for: amd, tones, dtmf or some of them.
    #[arg(required = true, value_parser = parse_word::<DetectWhat>)]
    what: Vec<DetectWhat>,
    /// Parameters of amd, as greeting_ms=2000,silence_threshold=300.
    #[arg(long, value_name = "NAME=VALUE,…", default_value = "", hide_default_value = true, value_parser = parse_amd)]
    amd: AmdParameters,
}

impl DetectArgs {
    pub(crate) fn command(self) -> DetectStart {
        DetectStart { leg: self.leg, what: self.what, amd: self.amd }
    }
}

fn parse_amd(text: &str) -> Result<AmdParameters, String> {
    let mut map = Map::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not NAME=VALUE"))?;
        let number: u32 = value.parse().map_err(|_| format!("{value:?} is not a whole number"))?;
        map.insert(name.to_owned(), Value::from(number));
    }
    serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_protocol_and_others_keep_their_defaults() {
        let wanted = AmdParameters { greeting_ms: 2_000, silence_threshold: 300, ..AmdParameters::default() };
        assert_eq!(parse_amd("greeting_ms=2000,silence_threshold=300"), Ok(wanted));
        assert_eq!(parse_amd(""), Ok(AmdParameters::default()));
        assert!(parse_amd("greeting=1").expect_err("no such parameter").contains("greeting_ms"));
        assert!(parse_amd("greeting_ms").is_err());
    }
}
