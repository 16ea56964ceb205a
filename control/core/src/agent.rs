//! An agent: what was asked for, what they do, and their leg.

use crate::connection;
use crate::modes::AgentMode;
use crate::record::AgentProfile;
use crate::view::{AgentStatus, ConnectionStatus};
use crate::{AgentId, CallId};

/// What the agent asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    #[default]
    LoggedOut,
    OnBreak,
    WorkingOffline,
    Available,
}

impl Wanted {
    pub(crate) fn status(self) -> AgentStatus {
        match self {
            Self::LoggedOut => AgentStatus::LoggedOut,
            Self::OnBreak => AgentStatus::OnBreak,
            Self::WorkingOffline => AgentStatus::WorkingOffline,
            Self::Available => AgentStatus::Available,
        }
    }
}

/// What the agent does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing with a customer.
    #[default]
    Free,
    /// Is asked.
    Offered { interaction: u64, preview: bool },
    /// Has taken it, until the customer is gone.
    Busy { interaction: u64 },
    /// After a conversation.
    WrapUp,
    /// Let an offer go by; is asked nothing until they say that they are available.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) profile: AgentProfile,
    /// How the phone is used; the profile holds only what is set for this agent.
    pub(crate) mode: AgentMode,
    pub(crate) wanted: Wanted,
    pub(crate) activity: Activity,
    pub(crate) connection: connection::State,
    /// The leg's call, while there is one.
    pub(crate) call: Option<CallId>,
    /// The last call to the phone, over or not.
    pub(crate) dialled: Option<CallId>,
    /// The leg was opened for one customer, on demand: it does not stay.
    pub(crate) for_one: bool,
    /// Call again as soon as the old call has ended.
    pub(crate) reopen: bool,
    /// The secret of this validation call (PM-05).
    pub(crate) pin: Option<Pin>,
    /// Times that a lost leg is still dialled again.
    pub(crate) redials: u32,
    /// Without a PIN until then, on our clock: the leg was lost a moment ago (BY-03).
    pub(crate) grace_us: u64,
    pub(crate) last_error: Option<&'static str>,
    pub(crate) status: AgentStatus,
    pub(crate) since_ms: u64,
    pub(crate) idle_since_us: u64,
    /// Who waits to hear whether the connection came up.
    pub(crate) operations: Vec<Operation>,
    /// Those whose end may not have been heard of yet, in the order in which it was told.
    pub(crate) ended: Vec<Ended>,
}

/// A validation's secret. Never shown.
pub(crate) struct Pin {
    pub(crate) digits: String,
    pub(crate) attempts_left: u32,
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// An asynchronous request for a connection (PC-07).
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) url: Option<String>,
}

/// What came of an operation.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) operation: Operation,
    /// Why the connection did not come up.
    pub(crate) error: Option<String>,
    /// When this run told it, in microseconds on our clock.
    pub(crate) told_us: u64,
}

impl Agent {
    pub(crate) fn new(profile: AgentProfile, mode: AgentMode) -> Self {
        Self {
            profile,
            mode,
            wanted: Wanted::LoggedOut,
            activity: Activity::Free,
            connection: connection::State::Down,
            call: None,
            dialled: None,
            for_one: false,
            reopen: false,
            pin: None,
            redials: 0,
            grace_us: 0,
            last_error: None,
            status: AgentStatus::LoggedOut,
            since_ms: 0,
            idle_since_us: 0,
            operations: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> &AgentId {
        &self.profile.id
    }

    pub(crate) fn is_up(&self) -> bool {
        self.connection == connection::State::Up
    }

    /// Whether a customer can be offered.
    pub(crate) fn is_ready(&self) -> bool {
        let reachable = match self.mode.now.persistent {
            true => self.is_up(),
            false => self.is_up() || self.connection == connection::State::Down,
        };
        self.wanted == Wanted::Available
            && self.activity == Activity::Free
            && self.profile.station.is_some()
            && !self.profile.guest
            && reachable
    }

    /// Whether an offer off hook needs a click (PM-12).
    pub(crate) fn has_to_click(&self) -> bool {
        self.mode.now.persistent && !self.mode.now.auto_accept
    }

    pub(crate) fn has_skill(&self, skill: Option<&str>) -> bool {
        skill.is_none_or(|skill| self.profile.skills.iter().any(|own| own == skill))
    }

    pub(crate) fn interaction(&self) -> Option<u64> {
        match self.activity {
            Activity::Offered { interaction, .. } | Activity::Busy { interaction } => Some(interaction),
            Activity::Free | Activity::WrapUp | Activity::Refused => None,
        }
    }

    /// The status that follows from everything else.
    pub(crate) fn current_status(&self) -> AgentStatus {
        if self.wanted == Wanted::LoggedOut && self.interaction().is_none() {
            return AgentStatus::LoggedOut;
        }
        match self.activity {
            Activity::Offered { preview: true, .. } => AgentStatus::Preview,
            Activity::Offered { preview: false, .. } => AgentStatus::Offered,
            Activity::Busy { .. } => AgentStatus::OnCall,
            Activity::WrapUp => AgentStatus::WrapUp,
            Activity::Refused => AgentStatus::Refused,
            Activity::Free if self.wanted != Wanted::Available => self.wanted.status(),
            Activity::Free if self.is_up() || !self.mode.now.persistent => AgentStatus::Available,
            Activity::Free => AgentStatus::PersistentCallOffered,
        }
    }

    pub(crate) fn connection_status(&self) -> ConnectionStatus {
        match self.connection {
            connection::State::Down | connection::State::Closing => ConnectionStatus::Down,
            connection::State::Dialling | connection::State::Restoring => ConnectionStatus::Dialling,
            connection::State::Validating => ConnectionStatus::Validating,
            connection::State::Announcing | connection::State::Up => ConnectionStatus::Up,
        }
    }
}
