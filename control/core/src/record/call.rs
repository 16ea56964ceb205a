//! Calls as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::AgentId;
use crate::report::Direction;

/// Where a customer is passed on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Another agent.
    Agent(AgentId),
    /// A telephone number through the trunk.
    Number(String),
    /// A queue.
    Queue(String),
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// An agent's persistent leg.
    AgentLeg,
    /// A customer who asked to be called back.
    Callback,
    /// A contact that an agent has seen before.
    Preview,
    /// A caller.
    Inbound,
}

/// One direction of the audio of a conversation, by one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioPath {
    /// What the agent says.
    FromAgent,
    /// What the agent hears.
    ToAgent,
    /// What the customer says.
    FromCustomer,
    /// What the customer hears.
    ToCustomer,
}

impl AudioPath {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::FromAgent, Self::ToAgent, Self::FromCustomer, Self::ToCustomer];

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FromAgent => "from_agent",
            Self::ToAgent => "to_agent",
            Self::FromCustomer => "from_customer",
            Self::ToCustomer => "to_customer",
        }
    }
}

/// When what happened to a call, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTimes {
    /// It was placed, or came.
    pub started_ms: u64,
    /// Their phone began to ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_ms: Option<u64>,
    /// It was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
}

/// A call with a customer, once it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallSummary {
    /// What it was for.
    pub kind: CallKind,
    /// The customer's number.
    pub number: String,
    /// Agent.
    pub agent: Option<AgentId>,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// When their phone began to ring, in milliseconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_ms: Option<u64>,
    /// Milliseconds since 1970 UTC.
    pub answered_ms: Option<u64>,
    /// Milliseconds from answer to audio in both directions (BY-01).
    pub answer_to_audio_ms: Option<f64>,
    /// Our part of these: milliseconds from the answer until the engine had said that both hear each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_to_open_ms: Option<f64>,
    /// How often audio was missing, by direction (BY-02).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub one_way: BTreeMap<AudioPath, u32>,
    /// How it ended.
    pub result: String,
    /// What was attached to it (CB-11).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// The contact's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<u64>,
    /// Who called, or whom we called (QC-06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ani: Option<String>,
    /// What was called, or the number that was shown (QC-06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnis: Option<String>,
    /// The ANI of the call that a queued callback was made from (QC-06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_ani: Option<String>,
    /// Its DNIS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_dnis: Option<String>,
    /// As what it is reported (QC-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Direction>,
    /// As what it is billed (QC-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Direction>,
}
