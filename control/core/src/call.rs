//! One SIP call and its engine leg.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::leg::Leg;
use crate::line::Line;
use crate::record::{AudioPath, CallKind, CallTimes};
use crate::sip::Target;
use crate::{AgentId, CallId, EngineId};

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Its leg is being opened; nothing has been sent.
    Opening,
    /// INVITE sent.
    Dialling,
    /// The other phone rings.
    Ringing,
    /// The other side calls us; not answered yet.
    Arriving,
    /// Answered.
    Up,
    /// A dialog or an INVITE of an earlier run is being taken up.
    Restoring,
    /// The same, in order to end it.
    Discarding,
    /// We hung up; its end has not been reported.
    Ending,
    /// Over.
    Over,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// We send the INVITE.
    Dial,
    /// 100, or an INVITE of an earlier run whose phone has not rung.
    Trying,
    /// 18x.
    Ringing,
    /// 2xx.
    Answered,
    /// We want it to end.
    HangUp,
    /// The dialog was taken up.
    Restored,
    /// The adaptor reports its end.
    Over,
}

impl State {
    /// The state after an event; none when it fits nothing, which changes nothing.
    pub(crate) fn next(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Opening, Event::Dial) | (Self::Restoring, Event::Trying) => Some(Self::Dialling),
            (Self::Dialling | Self::Restoring, Event::Ringing) => Some(Self::Ringing),
            (Self::Dialling | Self::Ringing | Self::Arriving | Self::Restoring, Event::Answered) => {
                Some(Self::Up)
            }
            (Self::Dialling | Self::Ringing | Self::Arriving | Self::Up, Event::HangUp) => Some(Self::Ending),
            (Self::Restoring, Event::Restored) => Some(Self::Up),
            (Self::Restoring, Event::HangUp) => Some(Self::Discarding),
            (Self::Discarding, Event::Restored | Event::Trying | Event::Ringing | Event::Answered) => {
                Some(Self::Ending)
            }
            (
                Self::Opening
                | Self::Dialling
                | Self::Ringing
                | Self::Arriving
                | Self::Up
                | Self::Restoring
                | Self::Discarding
                | Self::Ending,
                Event::Over,
            ) => Some(Self::Over),
            (
                Self::Opening
                | Self::Dialling
                | Self::Ringing
                | Self::Arriving
                | Self::Up
                | Self::Restoring
                | Self::Discarding
                | Self::Ending
                | Self::Over,
                Event::Dial
                | Event::Trying
                | Event::Ringing
                | Event::Answered
                | Event::HangUp
                | Event::Restored
                | Event::Over,
            ) => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Dialling => "dialling",
            Self::Ringing => "ringing",
            Self::Arriving => "arriving",
            Self::Up => "up",
            Self::Restoring => "restoring",
            Self::Discarding => "discarding",
            Self::Ending => "ending",
            Self::Over => "over",
        }
    }

    pub(crate) const ALL: [Self; 9] = [
        Self::Opening,
        Self::Dialling,
        Self::Ringing,
        Self::Arriving,
        Self::Up,
        Self::Restoring,
        Self::Discarding,
        Self::Ending,
        Self::Over,
    ];
}

impl Event {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Trying => "trying",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::HangUp => "hang_up",
            Self::Restored => "restored",
            Self::Over => "over",
        }
    }

    pub(crate) const ALL: [Self; 7] =
        [Self::Dial, Self::Trying, Self::Ringing, Self::Answered, Self::HangUp, Self::Restored, Self::Over];
}

/// Whose call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An agent's persistent leg.
    Agent(AgentId),
    /// The customer of an interaction.
    Customer(u64),
    /// Nobody's any more.
    Orphan,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) kind: CallKind,
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) leg: Leg,
    /// Where the leg is, or is to be.
    pub(crate) engine: Option<EngineId>,
    /// When the leg was opened, or opened again, or told where its peer is, on our clock.
    pub(crate) opened_us: Option<u64>,
    pub(crate) target: Option<Target>,
    pub(crate) number: String,
    pub(crate) agent: Option<AgentId>,
    pub(crate) auto_answer: bool,
    /// Address of ours that the peer was last told.
    pub(crate) offered: Option<SocketAddr>,
    pub(crate) version: u64,
    /// The INVITE or its answer has been sent, or the call is known to the journal.
    pub(crate) signalled: bool,
    /// An answer was given to an incoming call.
    pub(crate) answering: bool,
    pub(crate) rang: bool,
    /// When it began to, in milliseconds since 1970 UTC.
    pub(crate) rang_ms: Option<u64>,
    pub(crate) early_media: bool,
    /// No dialog can be restored: nothing can be signalled, the media alone lives on.
    pub(crate) deaf: bool,
    pub(crate) started_ms: u64,
    pub(crate) answered_ms: Option<u64>,
    pub(crate) answered_us: Option<u64>,
    /// Moment from which audio is measured, on our clock: the answer, or when an agent took a waiting caller.
    pub(crate) audio_from_us: Option<u64>,
    pub(crate) ended_ms: Option<u64>,
    pub(crate) audio: Audio,
    /// How often audio of the customer's conversations was missing, by direction (BY-02).
    pub(crate) one_way: BTreeMap<AudioPath, u32>,
    pub(crate) probe: Probe,
    /// Its dialog was taken up, of which a snapshot is still to come.
    pub(crate) taken_up: bool,
    pub(crate) result: Option<String>,
    pub(crate) line: Line,
    /// It is on record that nobody hears the customer's keys.
    pub(crate) keys_on_record: bool,
    /// What was attached to it (CB-11).
    pub(crate) data: serde_json::Map<String, serde_json::Value>,
}

/// What SIP says of a peer that is not heard, on our clock (BY-02).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probe {
    /// It is being asked, since then.
    pub(crate) asked_us: Option<u64>,
    /// It answered last.
    pub(crate) answered_us: Option<u64>,
    /// It has not been heard since then.
    pub(crate) silent_us: Option<u64>,
}

/// Microseconds from the answer to the first packet, per direction (BY-01).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audio {
    /// From the customer.
    pub(crate) from_us: Option<u64>,
    /// To the customer.
    pub(crate) to_us: Option<u64>,
    /// Until the engine had said that both gates are open.
    pub(crate) open_us: Option<u64>,
    /// They talked in an earlier run: there is no more to measure than was on record.
    pub(crate) is_past: bool,
}

impl Audio {
    /// What an earlier run measured.
    pub(crate) fn of_record(after_us: u64, open_us: Option<u64>) -> Self {
        Self { from_us: Some(after_us), to_us: Some(after_us), open_us, is_past: true }
    }

    /// Microseconds until audio flowed both ways.
    pub(crate) fn both_us(self) -> Option<u64> {
        Some(self.from_us?.max(self.to_us?))
    }

    /// Milliseconds until audio flowed both ways.
    pub(crate) fn both_ms(self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        Some(self.both_us()? as f64 / 1_000.0)
    }

    /// Milliseconds until both could be heard, if they spoke.
    pub(crate) fn open_ms(self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        Some(self.open_us? as f64 / 1_000.0)
    }
}

impl Call {
    /// For the record, so that another run knows them too.
    pub(crate) fn times(&self) -> CallTimes {
        CallTimes { started_ms: self.started_ms, rang_ms: self.rang_ms, answered_ms: self.answered_ms }
    }

    pub(crate) fn view_state(&self) -> &'static str {
        match self.state {
            State::Opening | State::Dialling => "dialling",
            State::Ringing => "ringing",
            State::Arriving | State::Restoring | State::Discarding => "queued",
            State::Up => "up",
            State::Ending | State::Over => "ended",
        }
    }
}

/// Result of a call that whoever runs the place ended.
pub(crate) const DELETED: &str = "deleted";
/// Result of a caller's call that the flow ended.
pub(crate) const FLOW_HUNG_UP: &str = "flow_hung_up";
/// Result of a caller's call that waited for as long as its queue lets anybody wait.
pub(crate) const WAITED_TOO_LONG: &str = "waited_too_long";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_event_is_decided() {
        for state in State::ALL {
            for event in Event::ALL {
                let next = state.next(event).map_or("-", State::name);
                println!("call {:<11} {:<9} -> {next}", state.name(), event.name());
            }
        }
    }

    #[test]
    fn a_call_that_is_over_stays_over() {
        for event in Event::ALL {
            assert_eq!(State::Over.next(event), None);
        }
    }

    #[test]
    fn the_end_of_a_call_is_heard_in_every_state() {
        for state in State::ALL.into_iter().filter(|state| *state != State::Over) {
            assert_eq!(state.next(Event::Over), Some(State::Over));
        }
    }

    #[test]
    fn an_answer_after_the_hang_up_changes_nothing() {
        assert_eq!(State::Ending.next(Event::Answered), None);
    }
}
