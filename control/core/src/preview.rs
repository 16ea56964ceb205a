//! A contact that an agent sees before it is called.

use crate::interaction::{NO_ANSWER, NO_RESPONSE, NOT_IN_USE, Outcome};
use crate::record::{ContactSpec, DialResult, ResultCode};
use crate::view::ContactView;
use crate::wait::Wait;
use crate::{AgentId, CallId, ContactId, calendar};

/// Where a contact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Offered,
    Dialling,
    Connected,
    Done,
    Disabled,
}

#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) id: ContactId,
    pub(crate) spec: ContactSpec,
    pub(crate) arrival_ms: u64,
    /// Not called before this, in milliseconds since 1970 UTC; 0 = as soon as possible.
    pub(crate) due_ms: u64,
    /// A rule forbids it until then, in milliseconds since 1970 UTC.
    pub(crate) forbidden_until_ms: u64,
    /// Between two attempts.
    pub(crate) wait: Wait,
    pub(crate) state: State,
    pub(crate) code: Option<ResultCode>,
    pub(crate) response: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) agent: Option<AgentId>,
    /// The attempt that runs.
    pub(crate) running: Option<(CallId, AgentId, u64)>,
    pub(crate) interaction: Option<u64>,
    pub(crate) disposition: Option<String>,
}

impl Contact {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Disabled)
    }

    pub(crate) fn view(&self) -> ContactView {
        let booked_ms = self.due_ms.max(self.forbidden_until_ms).max(self.wait.until_ms);
        let not_before_ms = if booked_ms == 0 { self.arrival_ms } else { booked_ms };
        ContactView {
            id: self.id.clone(),
            queue: self.spec.queue.clone(),
            number: self.spec.number.clone(),
            state: self.state.name().to_owned(),
            result_code: self.code.map(|code| code.name().to_owned()),
            result_response: self.response,
            attempts: self.attempts,
            agent: self.agent.clone(),
            disposition: self.disposition.clone(),
            list: Some(self.spec.list.clone()).filter(|list| !list.is_empty()),
            not_before: calendar::write(not_before_ms),
        }
    }
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Offered => "offered",
            Self::Dialling => "dialling",
            Self::Connected => "connected",
            Self::Done => "done",
            Self::Disabled => "disabled",
        }
    }
}

impl ResultCode {
    /// The letter.
    pub fn name(self) -> &'static str {
        match self {
            Self::K => "k",
            Self::B => "b",
            Self::T => "t",
            Self::H => "h",
            Self::Q => "q",
            Self::C => "c",
            Self::E => "e",
            Self::D => "d",
        }
    }
}

/// Result code and response of a contact's leg that was not answered (PV-06). `rang`: the phone had been ringing.
pub(crate) fn result_code(outcome: &Outcome, rang: bool) -> (ResultCode, Option<u16>) {
    match outcome {
        Outcome::AgentCancelled => (ResultCode::H, None),
        Outcome::AgentHungUp | Outcome::AgentLeft if rang => (ResultCode::H, None),
        Outcome::AgentHungUp | Outcome::AgentLeft => (ResultCode::Q, None),
        Outcome::Withdrawn | Outcome::Deleted => (ResultCode::D, None),
        Outcome::SetupTimeout => (ResultCode::C, None),
        Outcome::AgentLost | Outcome::Engine | Outcome::Unknown => (ResultCode::E, None),
        Outcome::Refused { cause: Some(NOT_IN_USE), .. } => (ResultCode::E, Some(NOT_IN_USE.into())),
        Outcome::Refused { status, network: true, .. } => (ResultCode::E, Some(*status)),
        // 480 stands for several causes (RFC 3398 section 7.2.4.1).
        Outcome::Refused { cause: Some(NO_ANSWER), .. } => (ResultCode::T, None),
        Outcome::Refused { cause: Some(NO_RESPONSE), .. } if rang => (ResultCode::T, None),
        Outcome::Refused { cause: Some(NO_RESPONSE), .. } => (ResultCode::C, None),
        Outcome::Refused { status: 408 | 487, .. } if rang => (ResultCode::T, None),
        Outcome::Refused { status: 408 | 487, .. } => (ResultCode::C, None),
        Outcome::Refused { status: 486 | 600 | 603 | 607 | 403 | 480, .. } => (ResultCode::B, None),
        Outcome::Refused { status, cause, .. } => (ResultCode::E, Some(cause.map_or(*status, u16::from))),
        Outcome::Detected { result: DialResult::AnsweringMachine | DialResult::Fax, .. } => {
            (ResultCode::K, None)
        }
        Outcome::Detected { result: DialResult::Busy, .. } => (ResultCode::B, None),
        Outcome::Detected { .. } => (ResultCode::E, None),
        Outcome::Talked => (ResultCode::K, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pv_06_each_end_of_an_unanswered_leg_has_its_result_code() {
        let refused = |status, network| Outcome::Refused { status, network, cause: None };
        let told = |status, cause| Outcome::Refused { status, network: false, cause: Some(cause) };
        let cases = [
            (refused(408, false), true, ResultCode::T, None),
            (Outcome::AgentHungUp, true, ResultCode::H, None),
            (Outcome::AgentHungUp, false, ResultCode::Q, None),
            (refused(486, false), true, ResultCode::B, None),
            (refused(603, false), true, ResultCode::B, None),
            (Outcome::SetupTimeout, false, ResultCode::C, None),
            (refused(408, false), false, ResultCode::C, None),
            (refused(404, false), false, ResultCode::E, Some(404)),
            (refused(503, true), false, ResultCode::E, Some(503)),
            (told(404, 1), false, ResultCode::E, Some(1)),
            (told(480, 1), true, ResultCode::E, Some(1)),
            (told(502, 38), false, ResultCode::E, Some(38)),
            (told(486, 17), true, ResultCode::B, None),
            (told(480, 19), true, ResultCode::T, None),
            (told(480, 18), true, ResultCode::T, None),
            (told(408, 18), false, ResultCode::C, None),
            (told(480, 20), true, ResultCode::B, None),
            (Outcome::AgentLost, true, ResultCode::E, None),
            (Outcome::AgentLeft, true, ResultCode::H, None),
            (Outcome::Deleted, true, ResultCode::D, None),
            (Outcome::Deleted, false, ResultCode::D, None),
            (Outcome::Talked, true, ResultCode::K, None),
        ];
        for (outcome, rang, code, response) in cases {
            assert_eq!(result_code(&outcome, rang), (code, response), "{outcome:?} rang={rang}");
        }
    }

    #[test]
    fn pv_05_a_cancelled_contact_has_result_h() {
        assert_eq!(result_code(&Outcome::AgentCancelled, false).0, ResultCode::H);
        assert_eq!(result_code(&Outcome::AgentCancelled, true).0, ResultCode::H);
    }
}
