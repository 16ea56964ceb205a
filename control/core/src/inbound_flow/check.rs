//! Everything that is wrong with a flow, found before it runs.

use std::collections::BTreeSet;

use super::step::{Action, CallbackAction, DEFAULT, FlowConfig, FlowMedia, LONGER, ON_ERROR, TIMEOUT};
use super::variables::{GIVEN, is_name, used};
use crate::config::{QueueConfig, ServiceConfig};

/// One mistake in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index of the step; none = the flow itself.
    pub step: Option<usize>,
    /// Where in it.
    pub key: Key,
    /// What is wrong, to be read after the name of the key.
    pub why: String,
}

/// A place in a step or in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A setting.
    Setting(&'static str),
    /// A branch, by its name.
    Branch(String),
}

/// Everything that is wrong with a flow, given what else is configured.
pub fn check(flow: &FlowConfig, queues: &[QueueConfig], services: &[ServiceConfig]) -> Vec<Fault> {
    let mut check = Check { flow, faults: Vec::new() };
    if flow.steps.is_empty() {
        check.add(None, "step", "is missing: a flow needs at least one".to_owned());
        return check.faults;
    }
    check.captions();
    check.branches();
    check.media();
    check.texts();
    check.names(queues, services);
    check.ways();
    check.faults
}

struct Check<'a> {
    flow: &'a FlowConfig,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn add(&mut self, step: Option<usize>, key: &'static str, why: String) {
        self.faults.push(Fault { step, key: Key::Setting(key), why });
    }

    fn captions(&mut self) {
        let mut known = BTreeSet::new();
        for (index, step) in self.flow.steps.iter().enumerate() {
            if !known.insert(&step.caption) && !step.caption.is_empty() {
                self.add(Some(index), "caption", format!("\"{}\" is that of another step", step.caption));
            }
        }
    }

    fn branches(&mut self) {
        for (index, step) in self.flow.steps.iter().enumerate() {
            for (name, target) in &step.branches {
                let why = if !may_branch(&step.action, name) {
                    format!(
                        "is no result of {}; its results are {}",
                        step.action.name(),
                        results(&step.action)
                    )
                } else if self.flow.step(target).is_none() {
                    format!("leads to \"{target}\", and no step has that caption")
                } else {
                    continue;
                };
                self.faults.push(Fault { step: Some(index), key: Key::Branch(name.clone()), why });
            }
        }
    }

    fn media(&mut self) {
        if self.flow.media == FlowMedia::Phone {
            return;
        }
        if !self.flow.dnis.is_empty() {
            self.add(None, "dnis", "stands in a flow that is not for phones".to_owned());
        }
        for (index, step) in self.flow.steps.iter().enumerate() {
            let why = if matches!(step.action, Action::Callback(_)) {
                "is callback: only phone flows may hold it".to_owned()
            } else if step.action.is_voice() {
                format!("is {}: only phone flows have a voice", step.action.name())
            } else {
                continue;
            };
            self.add(Some(index), "action", why);
        }
    }

    fn texts(&mut self) {
        let mut known: BTreeSet<&str> = GIVEN.into();
        for step in &self.flow.steps {
            if let Action::Set { variable, .. } | Action::Menu { variable, .. } = &step.action {
                known.insert(variable);
            }
        }
        for (index, step) in self.flow.steps.iter().enumerate() {
            if let Action::Set { variable, .. } | Action::Menu { variable, .. } = &step.action {
                if !is_name(variable) {
                    self.add(
                        Some(index),
                        "variable",
                        "must be 1 to 32 of A-Z a-z 0-9 _, no digit first".into(),
                    );
                } else if GIVEN.contains(&variable.as_str()) {
                    self.add(Some(index), "variable", format!("\"{variable}\" cannot be set: it is given"));
                }
            }
            for (key, text) in texts(&step.action) {
                match used(text) {
                    Err(why) => self.add(Some(index), key, why),
                    Ok(names) => {
                        for name in names.into_iter().filter(|name| !known.contains(name)) {
                            self.add(Some(index), key, format!("holds {{{name}}}, which nothing sets"));
                        }
                    }
                }
            }
            if let Action::Transfer { number, agent } = &step.action {
                let literal = used(number).is_ok_and(|names| names.is_empty());
                if number.is_empty() == agent.is_empty() {
                    self.add(Some(index), "number", "or agent has to be named, and not both".to_owned());
                } else if let (false, true, Err(error)) =
                    (number.is_empty(), literal, crate::flow::api::check_number("", number))
                {
                    self.add(Some(index), "number", error.message.trim().to_owned());
                }
            }
            if let Action::Callback(callback) = &step.action
                && used(&callback.call_delay_s).is_ok_and(|names| names.is_empty())
                && !callback.call_delay_s.parse::<u32>().is_ok_and(|seconds| seconds < 60)
            {
                let why = "must be 0 to 59 seconds: more would put the agents who accept in refused";
                self.add(Some(index), "call_delay_s", why.to_owned());
            }
        }
    }

    fn names(&mut self, queues: &[QueueConfig], services: &[ServiceConfig]) {
        let asks = self.flow.steps.iter().any(|step| matches!(step.action, Action::RequestAgent { .. }));
        for (index, step) in self.flow.steps.iter().enumerate() {
            if let Action::RequestAgent { queue, .. } = &step.action
                && !queue.is_empty()
                && !queues.iter().any(|found| found.name == *queue)
            {
                let why = format!("names a queue that is not in this file: \"{queue}\"");
                self.add(Some(index), "queue", why);
            }
            let Action::Callback(CallbackAction { service, .. }) = &step.action else { continue };
            if !service.is_empty() && !services.iter().any(|found| found.name == *service) {
                let why = format!("names a service that is not in this file: \"{service}\"");
                self.add(Some(index), "service", why);
            }
            if !asks && self.flow.media == FlowMedia::Phone {
                let why =
                    "is callback, which keeps a place in a queue: a request_agent has to come before it";
                self.add(Some(index), "action", why.to_owned());
            }
        }
    }

    /// Which steps can be come to, with a call and without one.
    fn ways(&mut self) {
        let live = self.reached(true);
        let any = self.reached(false);
        for (index, step) in self.flow.steps.iter().enumerate() {
            if !any.contains(&index) {
                self.add(
                    Some(index),
                    "caption",
                    format!("\"{}\": no branch leads to this step", step.caption),
                );
            } else if step.action.is_voice() && (!live.contains(&index) || self.follows_callback(index)) {
                let why =
                    format!("is {}, and the call has been ended by a callback before it", step.action.name());
                self.add(Some(index), "action", why);
            } else if self.spins(index) {
                let why = format!("\"{}\" is part of a circle in which no time passes", step.caption);
                self.add(Some(index), "caption", why);
            }
        }
    }

    /// Steps that can be come to; with `live`, while there is a call.
    fn reached(&self, live: bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next = vec![0];
        while let Some(index) = next.pop() {
            if !reached.insert(index) {
                continue;
            }
            let Some(step) = self.flow.steps.get(index) else { continue };
            for (name, target) in &step.branches {
                // A failed callback leaves the call; without a branch of its own it takes the default one.
                let drops = matches!(step.action, Action::Callback(_)) && name == DEFAULT;
                if !(live && drops && step.branches.contains_key(ON_ERROR)) {
                    next.extend(self.flow.step(target));
                }
            }
        }
        reached
    }

    /// Whether a callback that succeeds leads straight to this step.
    fn follows_callback(&self, index: usize) -> bool {
        let target = |step: &super::StepConfig| step.branches.get(DEFAULT).and_then(|to| self.flow.step(to));
        let callback = |step: &&super::StepConfig| matches!(step.action, Action::Callback(_));
        self.flow.steps.iter().filter(callback).any(|step| target(step) == Some(index))
    }

    /// Whether a step can come back to itself through steps that take no time.
    fn spins(&self, start: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![start];
        while let Some(index) = next.pop() {
            let Some(step) = self.flow.steps.get(index).filter(|step| step.action.is_instant()) else {
                continue;
            };
            for target in step.branches.values().filter_map(|target| self.flow.step(target)) {
                if target == start {
                    return true;
                }
                if seen.insert(target) {
                    next.push(target);
                }
            }
        }
        false
    }
}

fn may_branch(action: &Action, name: &str) -> bool {
    match (name, action) {
        (DEFAULT | ON_ERROR, _) => !matches!(action, Action::HangUp),
        (TIMEOUT, Action::Menu { .. }) | (LONGER, Action::EstimatedWait { .. }) => true,
        (keys, Action::Menu { digits, .. }) => {
            (1..=usize::from(*digits)).contains(&keys.len()) && keys.chars().all(is_key)
        }
        _ => false,
    }
}

fn results(action: &Action) -> &'static str {
    match action {
        Action::Menu { .. } => "keys, Timeout, Default and OnError",
        Action::EstimatedWait { .. } => "Longer, Default and OnError",
        Action::HangUp => "none: it ends the flow",
        Action::Announce { .. }
        | Action::Music { .. }
        | Action::RequestAgent { .. }
        | Action::Callback(_)
        | Action::Transfer { .. }
        | Action::Wait { .. }
        | Action::Set { .. } => "Default and OnError",
    }
}

/// Whether a telephone has such a key (RFC 4733 section 3.2).
pub(super) fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')
}

/// Settings that may hold variables.
fn texts(action: &Action) -> Vec<(&'static str, &str)> {
    match action {
        Action::Announce { prompts } | Action::Menu { prompts, .. } => {
            prompts.iter().map(|prompt| ("prompts", prompt.as_str())).collect()
        }
        Action::Music { file, .. } => vec![("file", file)],
        Action::Callback(callback) => vec![
            ("phone_number", &callback.phone_number),
            ("caller_id", &callback.caller_id),
            ("call_delay_s", &callback.call_delay_s),
            ("prompt", &callback.prompt),
        ],
        Action::Transfer { number, agent } => vec![("number", number), ("agent", agent)],
        Action::Set { value, .. } => vec![("value", value)],
        Action::RequestAgent { .. } | Action::EstimatedWait { .. } | Action::Wait { .. } | Action::HangUp => {
            Vec::new()
        }
    }
}
