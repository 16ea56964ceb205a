//! Agents as they are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AgentId;

/// An agent as stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentProfile {
    /// Id.
    pub id: AgentId,
    /// Shown name.
    pub name: String,
    /// Skills.
    pub skills: Vec<String>,
    /// Where the phone is.
    pub station: Option<Station>,
    /// Group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// One leg for the working day, where that is set for this agent.
    #[serde(default)]
    pub persistent: Option<bool>,
    /// Takes offers without a click, where that is set for this agent.
    #[serde(default)]
    pub auto_accept: Option<bool>,
    /// Validates the leg with a PIN.
    pub pin: bool,
    /// SIP digest password.
    pub password: Option<String>,
    /// Nobody of ours: a number that was called for one customer (PV-07).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guest: bool,
}

impl fmt::Debug for AgentProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentProfile")
            .field("id", &self.id)
            .field("station", &self.station)
            .finish_non_exhaustive()
    }
}

/// Where an agent's phone is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Station {
    /// It registers here under the agent's id.
    Registered,
    /// A SIP URI.
    Sip {
        /// `sip:…`.
        uri: String,
    },
    /// A telephone number through the trunk.
    Number {
        /// `+` and digits.
        number: String,
    },
}
