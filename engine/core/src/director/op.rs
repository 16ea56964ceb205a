//! One operation under way.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_proto::{
    Command, DetectStart, EventAck, LegCreate, LegListRequest, LegPark, LegUpdate, Listen, Play, PlayStop,
    RecordStart, Splice, Subscribe, Supervise, Unsplice, WorkerInfo,
};

use super::replies::Asker;
use crate::prompt::Segment;
use crate::{LegId, PromptId, RecordId, Time};

/// One operation under way.
#[derive(Debug)]
pub(crate) struct Op {
    /// Who is answered; nobody when the engine itself wants it.
    pub(crate) asker: Option<Asker>,
    pub(crate) controller: Option<Arc<str>>,
    pub(crate) arrived: Time,
    pub(crate) task: Task,
    /// Legs that no other operation touches meanwhile.
    pub(crate) legs: Vec<Arc<str>>,
    pub(crate) stage: Stage,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    Create(Box<LegCreate>),
    Update(Box<LegUpdate>),
    Delete(String),
    /// A leg that ends without being asked to, and why.
    Release {
        leg: Arc<str>,
        id: LegId,
        reason: Arc<str>,
    },
    Query(String),
    Park(LegPark),
    Unpark(String),
    Splice(Splice),
    Unsplice(Unsplice),
    Supervise(Supervise),
    SuperviseStop(String),
    Listen(Listen),
    ListenStop(String),
    Play(Play),
    PlayStop(PlayStop),
    RecordStart(RecordStart),
    RecordPause {
        leg: String,
        paused: bool,
    },
    RecordStop(String),
    DetectStart(Box<DetectStart>),
    DetectStop(String),
    Statistics,
}

/// How far it has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Waits for its turn.
    Queued,
    /// A leg's ports are being bound.
    Binding { leg: LegId, worker: u16, rtp: SocketAddr, ssrc: u32, attempts: u8 },
    /// Prompts are being loaded; parts that are ready already are in their places.
    Loading { segments: Vec<Option<Segment>>, waiting: Vec<PromptId> },
    /// A recording's file is being made.
    Recording(RecordId),
    /// A leg is leaving its worker.
    Detaching,
    /// A worker is at it.
    Working { play_ms: Option<u64> },
    /// Workers' figures are being gathered.
    Gathering { workers: Vec<WorkerInfo>, missing: u16 },
}

/// A request, as something that waits for a turn or is answered at once.
pub(crate) enum Sorted {
    Task(Task),
    AtOnce(AtOnce),
}

/// What no worker is needed for.
pub(crate) enum AtOnce {
    Ping,
    LegList(LegListRequest),
    Subscribe(Subscribe),
    Unsubscribe,
    EventAck(EventAck),
}

impl Sorted {
    pub(crate) fn new(command: Command) -> Self {
        match command {
            Command::LegCreate(body) => Self::Task(Task::Create(Box::new(body))),
            Command::LegUpdate(body) => Self::Task(Task::Update(Box::new(body))),
            Command::LegDelete(body) => Self::Task(Task::Delete(body.leg)),
            Command::LegQuery(body) => Self::Task(Task::Query(body.leg)),
            Command::LegPark(body) => Self::Task(Task::Park(body)),
            Command::LegUnpark(body) => Self::Task(Task::Unpark(body.leg)),
            Command::Splice(body) => Self::Task(Task::Splice(body)),
            Command::Unsplice(body) => Self::Task(Task::Unsplice(body)),
            Command::Supervise(body) => Self::Task(Task::Supervise(body)),
            Command::SuperviseStop(body) => Self::Task(Task::SuperviseStop(body.leg)),
            Command::Listen(body) => Self::Task(Task::Listen(body)),
            Command::ListenStop(body) => Self::Task(Task::ListenStop(body.leg)),
            Command::Play(body) => Self::Task(Task::Play(body)),
            Command::PlayStop(body) => Self::Task(Task::PlayStop(body)),
            Command::RecordStart(body) => Self::Task(Task::RecordStart(body)),
            Command::RecordPause(body) => Self::Task(Task::RecordPause { leg: body.leg, paused: true }),
            Command::RecordResume(body) => Self::Task(Task::RecordPause { leg: body.leg, paused: false }),
            Command::RecordStop(body) => Self::Task(Task::RecordStop(body.leg)),
            Command::DetectStart(body) => Self::Task(Task::DetectStart(Box::new(body))),
            Command::DetectStop(body) => Self::Task(Task::DetectStop(body.leg)),
            Command::Statistics => Self::Task(Task::Statistics),
            Command::Ping => Self::AtOnce(AtOnce::Ping),
            Command::LegList(body) => Self::AtOnce(AtOnce::LegList(body)),
            Command::Subscribe(body) => Self::AtOnce(AtOnce::Subscribe(body)),
            Command::Unsubscribe => Self::AtOnce(AtOnce::Unsubscribe),
            Command::EventAck(body) => Self::AtOnce(AtOnce::EventAck(body)),
        }
    }
}

impl Task {
    /// Names of the legs that it touches, none twice.
    pub(crate) fn legs(&self) -> Vec<Arc<str>> {
        let mut legs: Vec<Arc<str>> = match self {
            Self::Create(body) => [Some(body.leg.as_str()), body.beside.as_deref()]
                .into_iter()
                .flatten()
                .map(Arc::from)
                .collect(),
            Self::Update(body) => vec![body.leg.as_str().into()],
            Self::Delete(leg)
            | Self::Query(leg)
            | Self::Unpark(leg)
            | Self::SuperviseStop(leg)
            | Self::ListenStop(leg)
            | Self::RecordStop(leg)
            | Self::DetectStop(leg)
            | Self::RecordPause { leg, .. } => vec![leg.as_str().into()],
            Self::Release { leg, .. } => vec![Arc::clone(leg)],
            Self::Park(body) => vec![body.leg.as_str().into()],
            Self::Splice(body) => vec![body.a.as_str().into(), body.b.as_str().into()],
            Self::Unsplice(body) => {
                std::iter::once(&body.leg).chain(&body.park).map(|leg| leg.as_str().into()).collect()
            }
            Self::Supervise(body) => [Some(&body.leg), Some(&body.of), body.with.as_ref()]
                .into_iter()
                .flatten()
                .map(|leg| leg.as_str().into())
                .collect(),
            Self::Listen(body) => vec![body.leg.as_str().into(), body.of.as_str().into()],
            Self::Play(body) => vec![body.leg.as_str().into()],
            Self::DetectStart(body) => vec![body.leg.as_str().into()],
            Self::RecordStart(body) => vec![body.leg.as_str().into()],
            Self::PlayStop(body) => vec![body.leg.as_str().into()],
            Self::Statistics => Vec::new(),
        };
        legs.sort_unstable();
        legs.dedup();
        legs
    }
}
