//! Who calls an access number and withholds their own is asked for the code of their callback (CB-09).

use std::collections::BTreeMap;

use rand::RngExt as _;

use crate::api::ApiError;
use crate::core::Core;
use crate::inbound_flow::{Action, Event, FlowConfig, Owner, Run, StepConfig};
use crate::interaction::Source;
use crate::limits::{ACCESS_CODES, WRONG_CODES};

impl Core {
    /// A code that no open callback has.
    pub(super) fn new_access_code(&mut self) -> Result<String, ApiError> {
        let full = || {
            ApiError::new(503, "no_access_code", "10,000 callbacks with an access code are waiting already")
        };
        if self.index.with_code().len() >= ACCESS_CODES {
            return Err(full());
        }
        loop {
            let code = format!("{:06}", self.rng.random_range(0..1_000_000_u32));
            if self.index.of_code(&code).is_none() {
                return Ok(code);
            }
        }
    }

    /// Whether a caller may be somebody's customer and only a code can tell. Who has gone on to a queue by a flow, or has talked with
    /// an agent, is not asked.
    pub(super) fn asks_for_code(&self, id: u64) -> bool {
        let Some(found) = self.interactions.get(&id) else { return false };
        let has_gone_on = found.connected || (found.flow.is_some() && !found.queue.is_empty());
        // RFC 3323 section 4.1 puts "anonymous" there, and carriers have words of their own.
        let withheld = !found.number.contains(|char: char| char.is_ascii_digit());
        withheld
            && !has_gone_on
            && found.source == Source::Caller
            && self.index.with_code().any(|callback| self.awaits_call(callback, &found.dnis))
    }

    /// They are asked as by a menu of a flow, before anything else: nobody is offered to an agent meanwhile.
    pub(super) fn ask_for_code(&mut self, id: u64) {
        let Some(found) = self.interactions.get(&id) else { return };
        let prompts = &self.config.prompts;
        let prompt = if found.wrong_codes == 0 { &prompts.access_code } else { &prompts.wrong_code };
        let action = Action::Menu {
            prompts: [prompt].into_iter().filter(|prompt| !prompt.is_empty()).cloned().collect(),
            digits: CODE_DIGITS,
            terminator: Some('#'),
            timeout_s: KEY_TIMEOUT_S,
            variable: CODE.to_owned(),
        };
        let step = StepConfig { caption: CODE.to_owned(), action, branches: BTreeMap::new() };
        let flow = FlowConfig { name: ASKS_CODE.to_owned(), steps: vec![step], ..FlowConfig::default() };
        let owner = Owner::Caller(id);
        self.flows.insert(owner.clone(), Run::new(flow, BTreeMap::new()));
        self.run_flow(owner, Event::Begin);
    }

    /// A right code makes them the customer. After a wrong one they are asked again; whoever keys in nothing, or too many wrong ones,
    /// is an ordinary caller.
    pub(super) fn on_access_code(&mut self, id: u64, code: &str) {
        let Some(found) = self.interactions.get_mut(&id) else { return };
        let callback = self.index.of_code(code).cloned();
        found.wrong_codes += u32::from(!code.is_empty());
        let again = !code.is_empty() && found.wrong_codes < WRONG_CODES;
        let dnis = found.dnis.clone();
        let Some(callback) = callback.filter(|callback| self.awaits_call(callback, &dnis)) else {
            return if again { self.ask_for_code(id) } else { self.receive(id) };
        };
        if let Some(mut interaction) = self.interactions.remove(&id) {
            self.call_in(&mut interaction, &callback);
            self.interactions.insert(id, interaction);
            self.record_call_in(id);
            self.wait_in_queue(id);
        }
    }
}

/// Name of the flow that asks: one that is configured has another.
pub(super) const ASKS_CODE: &str = "";
/// Variable of that flow which keeps the code, and caption of its step.
pub(super) const CODE: &str = "Code";
/// As long as Genesys Mobile Services has them unless told otherwise (`_access_code_length`).
const CODE_DIGITS: u8 = 6;
/// Seconds for each key.
const KEY_TIMEOUT_S: u32 = 10;
