//! What goes into the core and what comes out of it.

use offhook_proto::{Command, Error, EventBody, Reply};

use crate::api::{ApiReply, ApiRequest};
use crate::config::Secret;
use crate::sip::{SipCommand, SipEvent};
use crate::view::Notification;
use crate::{AgentId, CallId, CallbackId, Config, ContactId, EngineId, OpId, Record, RequestId};

/// The two clocks, read by the shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Microseconds on a clock that never jumps. Timers count on it.
    pub mono_us: u64,
    /// Milliseconds since 1970 UTC: the calendar, which may be set, forward or back. Records tell it, times of day mean it.
    pub unix_ms: u64,
}

/// What the engine's client library brings back for one request.
pub type EngineReply = Result<Reply, Error>;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody asked; answered with exactly one [`Output::Reply`].
    Api {
        /// Which request.
        op: OpId,
        /// What is asked.
        request: ApiRequest,
    },
    /// Something happened to a call.
    Sip {
        /// Which call.
        call: CallId,
        /// What.
        event: SipEvent,
    },
    /// A phone registered, or (without contact) is gone.
    Registration {
        /// Its user name: an agent's id.
        aor: String,
        /// Where it can be reached.
        contact: Option<String>,
    },
    /// The engine answered, refused, or (`timeout`) did not answer: then whether the command was executed is unknown.
    EngineReply {
        /// Which request.
        request: RequestId,
        /// What came back.
        result: EngineReply,
    },
    /// An engine reports.
    EngineEvent {
        /// Which engine.
        engine: EngineId,
        /// What.
        event: EventBody,
    },
    /// An engine can be reached. Commands are sent to it only between this and `EngineDown`.
    EngineUp {
        /// Which engine.
        engine: EngineId,
        /// Its run.
        instance: String,
        /// True when it is another run than the one before: every leg is gone.
        restarted: bool,
    },
    /// An engine cannot be reached. Its legs may live on.
    EngineDown {
        /// Which engine.
        engine: EngineId,
    },
    /// Whether the trunk answers is known anew. Told only where [`Config::trunk_watched`] says so.
    Trunk {
        /// Why it cannot be reached; none = it answers.
        outage: Option<String>,
    },
    /// New configuration, already checked.
    Config(Box<Config>),
    /// A deadline of [`crate::Core::poll_timeout`] has passed, or the calendar was set.
    Tick,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Append to the journal. What follows in the same step waits until it is durable.
    Record(Record),
    /// Ask something of a call.
    Sip {
        /// Which call.
        call: CallId,
        /// What.
        command: SipCommand,
    },
    /// Ask something of an engine.
    Engine {
        /// Which engine.
        engine: EngineId,
        /// Comes back in the reply.
        request: RequestId,
        /// Whose order it belongs to.
        key: Key,
        /// What.
        command: Command,
    },
    /// Answer an API request.
    Reply {
        /// Which.
        op: OpId,
        /// The answer.
        reply: ApiReply,
    },
    /// Tell whoever listens.
    Notify(Notification),
    /// Ask or tell a customer: POST a JSON body, signed; no answer is awaited, the shell retries.
    Push {
        /// Where.
        url: String,
        /// Key of the signature; empty = none.
        secret: Secret,
        /// What.
        body: serde_json::Value,
    },
    /// POST a JSON body; no answer is awaited, the shell retries.
    Webhook {
        /// Where.
        url: String,
        /// What.
        body: serde_json::Value,
    },
}

/// Whose outputs have to be done in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An agent's own: status, leg.
    Agent(AgentId),
    /// A call's own.
    Call(CallId),
    /// A callback's own.
    Callback(CallbackId),
    /// A contact's own.
    Contact(ContactId),
    /// An API answer, statistics: no order with anything but its own step.
    None,
    /// Everything: the record that opens a run.
    All,
}

impl Output {
    /// Whose order this output belongs to. An output whose key has nothing pending, and which follows no record of its own
    /// step, may be done at once.
    pub fn key(&self) -> Key {
        match self {
            Self::Record(record) => record.key(),
            Self::Sip { call, .. } => Key::Call(*call),
            Self::Engine { key, .. } => key.clone(),
            // A listener must not see an older state of a thing after a newer one.
            Self::Notify(notification) => notification.key(),
            Self::Reply { .. } | Self::Webhook { .. } | Self::Push { .. } => Key::None,
        }
    }

    /// Whose outputs this one has to follow besides those of its own key: a phone is hung up on before it is called again.
    pub fn after(&self) -> Option<Key> {
        match self {
            Self::Sip { command: SipCommand::Dial { after, .. }, .. } => after.map(Key::Call),
            Self::Sip { .. }
            | Self::Record(_)
            | Self::Engine { .. }
            | Self::Notify(_)
            | Self::Reply { .. }
            | Self::Webhook { .. }
            | Self::Push { .. } => None,
        }
    }
}
