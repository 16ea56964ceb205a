//! Names of things.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

impl AgentId {
    /// What the ids of numbers that are called for one customer begin with, and agents' never (PV-07).
    pub(crate) const GUEST: &str = ".";

    /// Whether this is a number that was called for one customer, and no agent.
    pub fn is_guest(&self) -> bool {
        self.0.starts_with(Self::GUEST)
    }
}

number_id!(
    /// One SIP call. The core numbers outgoing calls, the shell incoming ones, from [`CallId::FIRST_INCOMING`] on. Never
    /// used twice, not even by a later run over the same journal.
    CallId
);
number_id!(
    /// One engine request, numbered by the core.
    RequestId
);
number_id!(
    /// One API request, numbered by the shell.
    OpId
);
text_id!(
    /// An agent: 1 to 40 of `A-Z a-z 0-9 . _ -`. Also the user name of the agent's phone.
    AgentId
);
text_id!(
    /// A callback (`_id`).
    CallbackId
);
text_id!(
    /// A contact of preview dialling.
    ContactId
);
text_id!(
    /// One offer of one contact to one agent.
    OfferId
);

/// One engine: its place among the configured ones, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineId(pub u16);

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl CallId {
    /// Incoming calls are numbered from here.
    pub const FIRST_INCOMING: u64 = 1 << 62;

    /// Whether the other side placed the call.
    pub fn is_incoming(self) -> bool {
        self.0 >= Self::FIRST_INCOMING
    }
}
