//! One customer's way to an agent: a callback's attempt, a previewed contact's attempt, or a caller.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::{CallKind, DialResult, FailedAt, Origin};
use crate::{AgentId, CallId, CallbackId, ContactId, OfferId, RequestId};

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// In the queue.
    Waiting,
    /// An agent is asked.
    Offered,
    /// The phone of an agent without a lasting leg is being called.
    Calling,
    /// The customer's leg is being opened beside the agent's.
    Preparing,
    /// The agent's leg is being proved alive (BY-02).
    Proving,
    /// INVITE sent to the customer.
    Dialling,
    /// The customer's phone rings.
    Alerting,
    /// The customer is there; the splice is being made.
    Joining,
    /// They talk.
    Connected,
    /// The agent was lost; the customer hears an announcement (BY-03).
    Held,
    /// The customer's call was hung up; its end has not been reported.
    Aborting,
    /// Over.
    Done,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// An agent is chosen and asked.
    Offer,
    /// The agent takes it.
    Take,
    /// The agent takes it and must be called first.
    TakeCalling,
    /// That agent's phone is there.
    AgentUp,
    /// The agent refuses, does not react, or has no living leg.
    Refuse,
    /// The customer's leg is open.
    LegOpen,
    /// The agent's leg is alive.
    Proved,
    /// The customer's phone rings.
    Ringing,
    /// The customer answered.
    Answered,
    /// The engine has made the splice.
    Spliced,
    /// The agent's leg is lost.
    AgentLost,
    /// Hang up on the customer.
    Abort,
    /// The customer's call is over.
    CustomerOver,
    /// Not wanted any more; nobody was called.
    Withdraw,
    /// The agent passes the customer on to somebody.
    Transfer,
    /// The agent passes the customer on to a queue.
    Requeue,
}

/// What kind of way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// We call the customer.
    Outbound,
    /// The customer called us.
    Inbound,
    /// The customer talked with an agent before.
    Resumed,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Outbound, Self::Inbound, Self::Resumed];
}

impl Stage {
    /// The stage after an event; none when it fits nothing, which changes nothing.
    pub(crate) fn next(self, event: Event, way: Way) -> Option<Self> {
        let taken = if way == Way::Outbound { Self::Preparing } else { Self::Proving };
        let back = if way == Way::Resumed { Self::Held } else { Self::Waiting };
        match (self, event) {
            (Self::Waiting | Self::Held, Event::Offer) => Some(Self::Offered),
            (Self::Waiting | Self::Offered | Self::Held, Event::Take) => Some(taken),
            (Self::Waiting | Self::Held, Event::TakeCalling) => Some(Self::Calling),
            (Self::Calling, Event::AgentUp) => Some(taken),
            (Self::Offered | Self::Calling | Self::Preparing | Self::Proving, Event::Refuse) => Some(back),
            (Self::Preparing, Event::LegOpen) => Some(Self::Proving),
            (Self::Proving, Event::Proved) if way == Way::Outbound => Some(Self::Dialling),
            (Self::Proving, Event::Proved) => Some(Self::Joining),
            (Self::Dialling, Event::Ringing) => Some(Self::Alerting),
            (Self::Dialling | Self::Alerting, Event::Answered) => Some(Self::Joining),
            (Self::Joining, Event::Spliced) => Some(Self::Connected),
            (Self::Joining | Self::Connected, Event::AgentLost) => Some(Self::Held),
            (Self::Connected, Event::Transfer) => Some(Self::Held),
            (Self::Connected, Event::Requeue) => Some(Self::Waiting),
            (
                Self::Dialling | Self::Alerting | Self::Joining | Self::Connected | Self::Held,
                Event::Abort,
            ) => Some(Self::Aborting),
            (Self::Waiting | Self::Offered | Self::Calling | Self::Proving, Event::Abort)
                if way != Way::Outbound =>
            {
                Some(Self::Aborting)
            }
            (
                Self::Waiting | Self::Offered | Self::Calling | Self::Preparing | Self::Proving,
                Event::Withdraw,
            ) if way == Way::Outbound => Some(Self::Done),
            (Self::Done, _) => None,
            (_, Event::CustomerOver) => Some(Self::Done),
            (
                Self::Waiting
                | Self::Offered
                | Self::Calling
                | Self::Preparing
                | Self::Proving
                | Self::Dialling
                | Self::Alerting
                | Self::Joining
                | Self::Connected
                | Self::Held
                | Self::Aborting,
                _,
            ) => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Calling => "calling",
            Self::Preparing => "preparing",
            Self::Proving => "proving",
            Self::Dialling => "dialling",
            Self::Alerting => "alerting",
            Self::Joining => "joining",
            Self::Connected => "connected",
            Self::Held => "held",
            Self::Aborting => "aborting",
            Self::Done => "done",
        }
    }

    pub(crate) const ALL: [Self; 12] = [
        Self::Waiting,
        Self::Offered,
        Self::Calling,
        Self::Preparing,
        Self::Proving,
        Self::Dialling,
        Self::Alerting,
        Self::Joining,
        Self::Connected,
        Self::Held,
        Self::Aborting,
        Self::Done,
    ];
}

impl Event {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Take => "take",
            Self::TakeCalling => "take_calling",
            Self::AgentUp => "agent_up",
            Self::Refuse => "refuse",
            Self::LegOpen => "leg_open",
            Self::Proved => "proved",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Spliced => "spliced",
            Self::AgentLost => "agent_lost",
            Self::Abort => "abort",
            Self::CustomerOver => "customer_over",
            Self::Withdraw => "withdraw",
            Self::Transfer => "transfer",
            Self::Requeue => "requeue",
        }
    }

    pub(crate) const ALL: [Self; 16] = [
        Self::Offer,
        Self::Take,
        Self::TakeCalling,
        Self::AgentUp,
        Self::Refuse,
        Self::LegOpen,
        Self::Proved,
        Self::Ringing,
        Self::Answered,
        Self::Spliced,
        Self::AgentLost,
        Self::Abort,
        Self::CustomerOver,
        Self::Withdraw,
        Self::Transfer,
        Self::Requeue,
    ];
}

/// Where the customer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Callback(CallbackId),
    Contact(ContactId),
    Caller,
}

/// Why an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The agent's phone was lost before the answer.
    AgentLost,
    /// The agent put the phone down before the answer, and with it all else.
    AgentLeft,
    /// The agent hung up on the customer before the answer.
    AgentHungUp,
    /// The agent cancelled: not to be called again.
    AgentCancelled,
    /// The callback was cancelled.
    Withdrawn,
    /// Its call was ended by somebody who supervises (CB-13).
    Deleted,
    /// Nothing rang in time.
    SetupTimeout,
    /// The customer's side refused.
    Refused {
        status: u16,
        network: bool,
        /// Of ITU-T Q.850.
        cause: Option<u8>,
    },
    /// The engine could not do it.
    Engine,
    /// What answered is no person: a machine, a fax, a tone.
    Detected {
        /// What it is.
        result: DialResult,
        /// Whether it is to be tried again.
        again: bool,
    },
    /// A conversation ended.
    Talked,
    /// It ran when an earlier run of ours died.
    Unknown,
}

impl Outcome {
    /// On whose side it failed, where it did.
    pub(crate) fn failed_at(&self) -> FailedAt {
        match self {
            Self::Engine | Self::Unknown | Self::Withdrawn | Self::Deleted => FailedAt::House,
            Self::AgentLost => FailedAt::AgentPhone,
            Self::AgentLeft | Self::AgentHungUp | Self::AgentCancelled => FailedAt::Agent,
            Self::SetupTimeout | Self::Refused { .. } | Self::Detected { .. } | Self::Talked => {
                FailedAt::Customer
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Interaction {
    pub(crate) id: u64,
    pub(crate) source: Source,
    pub(crate) way: Way,
    pub(crate) stage: Stage,
    pub(crate) queue: String,
    pub(crate) priority: i32,
    /// Place in the queue, in milliseconds since 1970 UTC.
    pub(crate) arrival_ms: u64,
    /// Whose place it is: the interaction with which the contact came (QC-09).
    pub(crate) contact: u64,
    /// The call that a callback was made from.
    pub(crate) origin: Option<Box<Origin>>,
    /// The flow that a caller goes through.
    pub(crate) flow: Option<String>,
    pub(crate) number: String,
    pub(crate) dnis: String,
    pub(crate) data: Value,
    pub(crate) agent: Option<AgentId>,
    pub(crate) last_agent: Option<AgentId>,
    pub(crate) call: Option<CallId>,
    pub(crate) offer: Option<OfferId>,
    /// Who is not asked again before when, in microseconds on our clock.
    pub(crate) refusers: BTreeMap<AgentId, u64>,
    pub(crate) proof: Option<RequestId>,
    pub(crate) proof_sent_us: u64,
    pub(crate) proof_tries: u32,
    pub(crate) outcome: Option<Outcome>,
    /// The conversation is on record.
    pub(crate) connected: bool,
    /// When the customer was put on hold, on our clock.
    pub(crate) held_us: u64,
    /// Codes that its caller keyed in and no callback has (CB-09).
    pub(crate) wrong_codes: u32,
    pub(crate) passing: Passing,
}

/// A customer on the way from one agent to somebody else (PV-07).
#[derive(Clone, Debug, Default)]
pub(crate) struct Passing {
    /// Who gets them back.
    pub(crate) by: Option<AgentId>,
    /// Who is to have them.
    pub(crate) to: Option<AgentId>,
    /// The two speak with each other first.
    pub(crate) consult: bool,
}

impl Interaction {
    pub(crate) fn kind(&self) -> CallKind {
        match self.source {
            Source::Callback(_) => CallKind::Callback,
            Source::Contact(_) => CallKind::Preview,
            Source::Caller => CallKind::Inbound,
        }
    }
}

/// The number is not in use: "unallocated (unassigned) number" (ITU-T Q.850 section 2.2.7.1.1).
pub(crate) const NOT_IN_USE: u8 = 1;
/// "No user responding" (section 2.2.7.1.14): the phone did not say that it rings.
pub(crate) const NO_RESPONSE: u8 = 18;
/// "No answer from user (user alerted)" (section 2.2.7.1.15).
pub(crate) const NO_ANSWER: u8 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_and_event_is_decided() {
        for way in Way::ALL {
            for stage in Stage::ALL {
                for event in Event::ALL {
                    let next = stage.next(event, way).map_or("-", Stage::name);
                    println!("{way:?} {:<10} {:<13} -> {next}", stage.name(), event.name());
                }
            }
        }
    }

    #[test]
    fn by_02_the_only_way_to_dialling_is_a_proof() {
        for stage in Stage::ALL {
            for event in Event::ALL {
                if stage.next(event, Way::Outbound) == Some(Stage::Dialling) {
                    assert_eq!((stage, event), (Stage::Proving, Event::Proved));
                }
            }
        }
    }

    #[test]
    fn qc_02_nobody_is_prepared_for_before_an_agent_took_it() {
        for stage in Stage::ALL {
            for event in Event::ALL {
                if stage.next(event, Way::Outbound) == Some(Stage::Preparing) {
                    assert!(matches!(event, Event::Take | Event::AgentUp));
                }
            }
        }
    }

    #[test]
    fn an_answered_customer_without_agent_is_held_and_not_forgotten() {
        for way in Way::ALL {
            assert_eq!(Stage::Joining.next(Event::AgentLost, way), Some(Stage::Held));
            assert_eq!(Stage::Connected.next(Event::AgentLost, way), Some(Stage::Held));
        }
    }
}
