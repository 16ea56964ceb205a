//! A callback: asked for once, ended once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::calendar;
use crate::interaction::{NOT_IN_USE, Outcome};
use crate::record::{CallbackReason, CallbackSpec, DialResult, FailedAt};
use crate::view::CallbackView;
use crate::wait::Wait;
use crate::{AgentId, CallId};

/// Where a callback is (CB-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its time has not come.
    Scheduled,
    /// In the queue.
    Queued,
    /// An agent is asked, or has accepted.
    Routing,
    /// The customer is being called.
    Processing,
    /// Over.
    Completed(CallbackReason),
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Queued => "QUEUED",
            Self::Routing => "ROUTING",
            Self::Processing => "PROCESSING",
            Self::Completed(_) => "COMPLETED",
        }
    }

    /// Why it is over, once it is.
    pub(crate) fn reason(self) -> Option<CallbackReason> {
        match self {
            Self::Completed(reason) => Some(reason),
            Self::Scheduled | Self::Queued | Self::Routing | Self::Processing => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Callback {
    pub(crate) spec: CallbackSpec,
    pub(crate) state: State,
    /// Not called before this, in milliseconds since 1970 UTC; 0 = as soon as possible.
    pub(crate) due_ms: u64,
    /// A rule forbids it until then, in milliseconds since 1970 UTC.
    pub(crate) forbidden_until_ms: u64,
    /// Between two attempts.
    pub(crate) wait: Wait,
    /// When its caller accepted it, in microseconds on our clock: before its beginning, in an earlier run.
    pub(crate) accepted_us: i64,
    /// `_CB_DIAL_n_RESULT` by n.
    pub(crate) results: BTreeMap<u32, DialResult>,
    pub(crate) attempts: u32,
    /// On whose side attempts have failed: the customer's counts before all others.
    pub(crate) failed_at: Option<FailedAt>,
    /// The attempt that runs.
    pub(crate) running: Option<(CallId, AgentId, u64)>,
    pub(crate) interaction: Option<u64>,
    /// An attempt, or a call of its customer, of the run before: engines have yet to tell what became of it. Until then nothing ends or
    /// moves the callback but what they tell.
    pub(crate) unclear: bool,
    /// A detection says that a person has answered the attempt that runs.
    pub(crate) person: bool,
    /// Times that the customer was asked whether they are ready, or told that they may call.
    pub(crate) asked: u32,
    /// When that was last, in milliseconds since 1970 UTC.
    pub(crate) asked_ms: u64,
    /// The answer is awaited.
    pub(crate) is_asked: bool,
    /// They are ready.
    pub(crate) confirmed: bool,
}

impl Callback {
    pub(crate) fn new(spec: CallbackSpec) -> Self {
        Self {
            due_ms: if spec.scheduled { spec.desired_ms } else { 0 },
            forbidden_until_ms: 0,
            wait: Wait::default(),
            accepted_us: 0,
            spec,
            state: State::Scheduled,
            results: BTreeMap::new(),
            attempts: 0,
            failed_at: None,
            running: None,
            interaction: None,
            unclear: false,
            person: false,
            asked: 0,
            asked_ms: 0,
            is_asked: false,
            confirmed: false,
        }
    }

    /// Another time was asked for. By its own time it keeps its place.
    pub(crate) fn move_to(&mut self, desired_ms: u64) {
        self.spec.scheduled |= desired_ms != self.spec.desired_ms;
        self.spec.desired_ms = desired_ms;
        (self.due_ms, self.forbidden_until_ms) = (desired_ms, 0);
        if !self.wait.is_firm {
            self.wait = Wait::default();
        }
        (self.asked, self.is_asked, self.confirmed) = (0, false, false);
    }

    /// When it expires, in milliseconds since 1970 UTC (CB-10).
    pub(crate) fn expires_ms(&self) -> u64 {
        self.spec.desired_ms.saturating_add(self.spec.ttl_s.saturating_mul(1_000))
    }

    /// Its place in the queue: when it was asked for, or the later time that was asked for (BY-07).
    pub(crate) fn place_ms(&self) -> u64 {
        let spec = &self.spec;
        if spec.scheduled { spec.desired_ms.max(spec.arrival_ms) } else { spec.arrival_ms }
    }

    /// What the customer may call, as soon as they may (CB-04).
    pub(crate) fn access_number(&self) -> Option<&str> {
        let may_call = !self.spec.options.wait_for_agent || self.is_asked;
        self.spec.options.access_number.as_deref().filter(|_| may_call && !self.is_over())
    }

    /// The code beside it.
    pub(crate) fn access_code(&self) -> Option<&str> {
        self.access_number().and(self.spec.options.access_code.as_deref())
    }

    /// What it ends with when there are no more attempts (CB-13).
    pub(crate) fn exhausted(&self) -> CallbackReason {
        match self.failed_at {
            Some(FailedAt::Customer) | None => CallbackReason::FailCallToCustomer,
            Some(FailedAt::Agent | FailedAt::AgentPhone) => CallbackReason::FailAgentConnect,
            Some(FailedAt::House) => CallbackReason::FailError,
        }
    }

    /// Result of the attempt that the end of the callback ends with it, or that led to the conversation (CB-15).
    pub(crate) fn last_result(&self, reason: CallbackReason) -> Option<DialResult> {
        match reason {
            CallbackReason::AgentConnected if self.attempts == 0 => None,
            CallbackReason::AgentConnected if self.person => Some(DialResult::Person),
            CallbackReason::AgentConnected => Some(DialResult::Connected),
            _ => self.running.as_ref().map(|_| DialResult::Unknown),
        }
    }

    /// Nothing has been done about it but to queue it: settings of its service count for it (CB-06).
    pub(crate) fn is_untouched(&self) -> bool {
        let untouched = self.attempts == 0 && self.asked == 0 && self.running.is_none();
        untouched && matches!(self.state, State::Scheduled | State::Queued)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Completed(_))
    }

    pub(crate) fn view(&self) -> CallbackView {
        let mut more: Map<String, Value> = self.spec.data.clone();
        // What a request calls by our names does not show as if it were ours.
        more.retain(|name, _| !OWN.contains(&name.as_str()) && !is_dial_result(name));
        for (n, result) in &self.results {
            more.insert(format!("_CB_DIAL_{n}_RESULT"), text(result));
        }
        more.insert("_call_direction".to_owned(), text(&self.spec.options.direction));
        if let Some(number) = self.access_number() {
            more.insert("_access_number".to_owned(), number.into());
        }
        if let Some(code) = self.access_code() {
            more.insert("_access_code".to_owned(), code.into());
        }
        CallbackView {
            id: self.spec.id.clone(),
            desired_time: calendar::write(self.spec.desired_ms),
            service_name: self.spec.service.clone(),
            state: self.state.name().to_owned(),
            reason: match self.state {
                State::Completed(reason) => text(&reason).as_str().unwrap_or_default().to_owned(),
                State::Scheduled | State::Queued | State::Routing | State::Processing => String::new(),
            },
            expiration_time: calendar::write(self.expires_ms()),
            customer_number: self.spec.number.clone(),
            url: format!("/genesys/1/service/callback/{}/{}", self.spec.service, self.spec.id),
            more,
        }
    }
}

fn is_dial_result(name: &str) -> bool {
    name.starts_with("_CB_DIAL_") && name.ends_with("_RESULT")
}

/// Fields of a callback that are not its request's.
const OWN: [&str; 14] = [
    "_id",
    "_desired_time",
    "_service_name",
    "_callback_state",
    "_callback_reason",
    "_expiration_time",
    "_customer_number",
    "_url",
    "_call_direction",
    "_access_number",
    "_access_code",
    "_position",
    "_ewt",
    "_total_waiting",
];

/// `_CB_DIAL_n_RESULT` of an attempt that led to no conversation (CB-15).
pub(crate) fn dial_result(outcome: &Outcome) -> DialResult {
    match outcome {
        Outcome::Refused { cause: Some(NOT_IN_USE), .. } => DialResult::ErrorTone,
        Outcome::Refused { status: 486 | 600, .. } => DialResult::Busy,
        Outcome::Refused { status: 408 | 480 | 487 | 603, network: false, .. } => DialResult::NoAnswer,
        Outcome::Refused { status: 404 | 410 | 484 | 604, network: false, .. } => DialResult::ErrorTone,
        Outcome::SetupTimeout => DialResult::NoAnswer,
        Outcome::Refused { .. } | Outcome::Engine => DialResult::CreateCallError,
        Outcome::AgentLost
        | Outcome::AgentLeft
        | Outcome::AgentHungUp
        | Outcome::AgentCancelled
        | Outcome::Withdrawn
        | Outcome::Deleted
        | Outcome::Unknown => DialResult::Unknown,
        Outcome::Detected { result, .. } => *result,
        Outcome::Talked => DialResult::Connected,
    }
}

fn text(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cb_15_each_refusal_has_its_dial_result() {
        let refused = |status, network| dial_result(&Outcome::Refused { status, network, cause: None });
        let not_in_use = Outcome::Refused { status: 480, network: false, cause: Some(NOT_IN_USE) };
        assert_eq!(dial_result(&not_in_use), DialResult::ErrorTone);
        assert_eq!(refused(486, false), DialResult::Busy);
        assert_eq!(refused(408, false), DialResult::NoAnswer);
        assert_eq!(refused(408, true), DialResult::CreateCallError);
        assert_eq!(refused(404, false), DialResult::ErrorTone);
        assert_eq!(refused(503, true), DialResult::CreateCallError);
        assert_eq!(text(&DialResult::CreateCallError), "CREATE_CALL_ERROR");
        assert_eq!(text(&CallbackReason::FailTimeoutTtl), "FAIL_TIMEOUT_TTL");
    }
}
