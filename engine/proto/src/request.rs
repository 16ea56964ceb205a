//! What a controller asks of the engine.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{
    DetectStart, DetectStop, DtmfMode, Idle, LatchMode, Media, PlaySource, RecordMode, Remote, Srtp,
    SuperviseMode,
};

/// One request: who asks, and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Name of the controller, 1 to 64 of `A-Z a-z 0-9 . _ -`. Legs that it creates are leased to it (see [`Subscribe`]);
    /// a request without a name creates legs that no lease ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// What is asked.
    #[serde(flatten)]
    pub command: Command,
}

/// What is asked. Every command is idempotent: by its cookie within the reply cache, and by its own names after that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command")]
pub enum Command {
    /// Are you there? Answered with `"result": "pong"` and [`crate::EngineInfo`].
    #[serde(rename = "ping")]
    Ping,
    /// Opens a leg. Answered with [`crate::LegCreated`].
    #[serde(rename = "leg.create")]
    LegCreate(LegCreate),
    /// Changes a leg. Answered with [`crate::LegInfo`].
    #[serde(rename = "leg.update")]
    LegUpdate(LegUpdate),
    /// Closes a leg, unsplicing it first. Answered with its last [`crate::LegInfo`]. A leg that does not exist is an error
    /// (`leg_not_found`).
    #[serde(rename = "leg.delete")]
    LegDelete(LegDelete),
    /// Names of legs, in order. Answered with [`crate::LegList`].
    #[serde(rename = "leg.list")]
    LegList(LegList),
    /// One leg with its counters. Answered with [`crate::LegInfo`].
    #[serde(rename = "leg.query")]
    LegQuery(LegQuery),
    /// Stops all but one in N packets of a leg in the kernel, until it is unparked or spliced.
    #[serde(rename = "leg.park")]
    LegPark(LegPark),
    /// Lets a leg's packets through again.
    #[serde(rename = "leg.unpark")]
    LegUnpark(LegUnpark),
    /// Joins two legs, or changes the gates of a pair that is joined. A leg that is joined to a third is an error
    /// (`already_spliced`) unless `replace` is true.
    #[serde(rename = "splice")]
    Splice(Splice),
    /// Parts a leg from its partner. Success also when it has none.
    #[serde(rename = "unsplice")]
    Unsplice(Unsplice),
    /// Lets a third leg take part in the call of a pair, or changes how. A supervisor's leg that is spliced is an error
    /// (`already_spliced`), an agent's that is not is one too (`not_spliced`).
    #[serde(rename = "supervise")]
    Supervise(Supervise),
    /// Ends a supervision. Success also when there is none.
    #[serde(rename = "supervise.stop")]
    SuperviseStop(SuperviseStop),
    /// Lets a leg hear a copy of what another one says. Answered with an empty body.
    #[serde(rename = "listen")]
    Listen(Listen),
    /// Ends that. Answered with an empty body.
    #[serde(rename = "listen.stop")]
    ListenStop(ListenStop),
    /// Plays to a leg, in place of what it hears. Answered with [`crate::PlayStarted`].
    #[serde(rename = "play")]
    Play(Play),
    /// Stops playing. Success also when nothing plays.
    #[serde(rename = "play.stop")]
    PlayStop(PlayStop),
    /// Records a leg into a WAV file, in place of what was recorded of it.
    #[serde(rename = "record.start")]
    RecordStart(RecordStart),
    /// Leaves out what is said from now on: silence in the file.
    #[serde(rename = "record.pause")]
    RecordPause(Recorded),
    /// Records again after a pause.
    #[serde(rename = "record.resume")]
    RecordResume(Recorded),
    /// Ends the recording of a leg. Success also when there is none.
    #[serde(rename = "record.stop")]
    RecordStop(Recorded),
    /// Listens to what a leg receives for a person, a machine, tones or keys.
    #[serde(rename = "detect.start")]
    DetectStart(DetectStart),
    /// Ends the detection of a leg. Success also when there is none.
    #[serde(rename = "detect.stop")]
    DetectStop(DetectStop),
    /// Engine and worker figures. Answered with [`crate::EngineInfo`].
    #[serde(rename = "statistics")]
    Statistics,
    /// Sends events to the address that this datagram came from, and sets the controller's lease. Answered with
    /// [`crate::Subscribed`].
    #[serde(rename = "subscribe")]
    Subscribe(Subscribe),
    /// Ends the subscription of this controller. Its lease ends with it: its legs stay until deleted.
    #[serde(rename = "unsubscribe")]
    Unsubscribe,
    /// Acknowledges events up to and with a number.
    #[serde(rename = "event.ack")]
    EventAck(EventAck),
}

/// Opens a leg. Creating a leg that exists with the same parameters answers as the first time; with others it is an error
/// (`leg_exists`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LegCreate {
    /// Name, chosen by the controller: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub leg: String,
    /// Local address to receive on; the engine's first media address, of the IP version of `remote`, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Where the peer receives, when it is known already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// What the packets carry.
    pub media: Media,
    /// How the peer's real source is learnt.
    pub latch: LatchMode,
    /// What the leg is sent when it hears nobody.
    pub idle: Idle,
    /// Worker to live on; the least loaded when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<u16>,
    /// Leg whose worker to live on; goes before `worker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Whether the leg starts parked.
    pub park: bool,
    /// Milliseconds without a packet after which `leg.silent` is raised; 0 never.
    pub silent_after_ms: u32,
    /// Milliseconds without audio in a conversation after which `leg.one_way` is raised; 0 never, 5,000 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_way_after_ms: Option<u32>,
    /// Encryption of its packets.
    #[serde(skip_serializing_if = "Srtp::is_off")]
    pub srtp: Srtp,
    /// What becomes of the keys pressed on the leg.
    #[serde(skip_serializing_if = "DtmfMode::is_pass")]
    pub dtmf: DtmfMode,
    /// RTCP goes over the RTP port (RFC 5761).
    #[serde(skip_serializing_if = "is_false")]
    pub rtcp_mux: bool,
}

/// Changes the named parts of a leg and leaves the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LegUpdate {
    /// Which leg.
    pub leg: String,
    /// New signalled address: the latch starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// New encoding or payload types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// New latching rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latch: Option<LatchMode>,
    /// New idle sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
    /// New limit for `leg.silent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_after_ms: Option<u32>,
    /// New limit for `leg.one_way`, counted from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_way_after_ms: Option<u32>,
    /// New encryption, whole. A direction whose key stays the same goes on with its counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srtp: Option<Srtp>,
    /// What becomes of the keys pressed on the leg from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtmf: Option<DtmfMode>,
    /// Whether RTCP goes over the RTP port from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtcp_mux: Option<bool>,
    /// True: forget the learnt source and learn again.
    pub relatch: bool,
}

/// Closes a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegDelete {
    /// Which leg.
    pub leg: String,
}

/// Asks for a page of leg names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LegList {
    /// Only names that sort after this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only legs of this controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// At most so many, 1 to [`crate::limits::LIST_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
}

/// Asks for one leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegQuery {
    /// Which leg.
    pub leg: String,
}

/// Parks a leg. A spliced leg is an error (`already_spliced`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegPark {
    /// Which leg.
    pub leg: String,
    /// Pass one packet in so many, a power of two from 1 to 1,024; 32 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_one_in: Option<u16>,
}

/// Unparks a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegUnpark {
    /// Which leg.
    pub leg: String,
}

/// Joins two legs. Each direction has a gate, so that a leg can be joined while it still rings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splice {
    /// One leg. When the two live on different workers, `b` moves to the worker of `a`.
    pub a: String,
    /// The other leg.
    pub b: String,
    /// Whether `a` hears `b`.
    #[serde(default = "yes")]
    pub a_hears_b: bool,
    /// Whether `b` hears `a`.
    #[serde(default = "yes")]
    pub b_hears_a: bool,
    /// Part either leg from a third partner first.
    #[serde(default)]
    pub replace: bool,
    /// Microseconds since the moment that the controller wants measured (the customer's 200 OK), as it saw it when it sent
    /// this request. The `splice.audio` event then counts from there; absent = from the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_us: Option<u64>,
}

/// Parts a leg from its partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsplice {
    /// Either leg of the pair.
    pub leg: String,
    /// Park this leg's partner or the leg itself once parted, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub park: Vec<String>,
}

/// Lets a third leg take part in the call of a pair: the same again with another mode changes who hears it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervise {
    /// The supervisor's leg, which is spliced to none. It moves to the worker of `of`.
    pub leg: String,
    /// The agent's leg: the one that a whisper is for.
    pub of: String,
    /// Only while the agent is spliced to this leg; whoever it is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// Who hears the supervisor.
    pub mode: SuperviseMode,
}

/// Ends a supervision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperviseStop {
    /// The supervisor's leg.
    pub leg: String,
}

/// Lets a leg hear a copy of what another one says, whoever else hears that, for as long as both live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The leg that hears it, which is spliced to none. It moves to the worker of `of`.
    pub leg: String,
    /// The leg that is heard.
    pub of: String,
}

/// Ends what a leg listens to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenStop {
    /// The leg that hears.
    pub leg: String,
}

/// Plays a list of sources to a leg, in place of whatever it hears, and of what was playing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// Which leg.
    pub leg: String,
    /// What to play, one after another; 1 to 64.
    pub sources: Vec<PlaySource>,
    /// How often to play the whole list; 0 = until stopped.
    #[serde(default = "once")]
    pub times: u32,
    /// Where in the list its first round begins, in milliseconds, at most [`PLAY_MS`](crate::limits::PLAY_MS). Of a key sequence it is
    /// the beginning of a key; from the list's end on, that round is over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_ms: u32,
    /// Milliseconds after which the play ends wherever it is, but for a key sequence, which is finished; at most
    /// [`PLAY_MS`](crate::limits::PLAY_MS), 0 = never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit_ms: u32,
    /// Name that the `play.ended` event carries, chosen by the controller; at most 64 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub play: String,
}

impl Play {
    /// Plays a list once, from its beginning to its end, without a name.
    pub fn new(leg: impl Into<String>, sources: Vec<PlaySource>) -> Self {
        Self { leg: leg.into(), sources, times: once(), start_ms: 0, limit_ms: 0, play: String::new() }
    }
}

/// Stops playing. Answered with [`crate::PlayStopped`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayStop {
    /// Which leg.
    pub leg: String,
    /// Only the play of this name; whatever plays when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub play: Option<String>,
}

/// Records a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordStart {
    /// Which leg.
    pub leg: String,
    /// Name of a new file under the engine's recording directory.
    pub file: String,
    /// What is recorded.
    #[serde(default)]
    pub mode: RecordMode,
    /// Samples a second of the file: one of [`RECORD_RATES_HZ`](crate::limits::RECORD_RATES_HZ). As wide as the leg's codec is now, of
    /// 8,000 and 16,000, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_hz: Option<u32>,
}

/// Names a leg that is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Which leg.
    pub leg: String,
}

/// Asks for events and sets the lease. Sent again, it only renews.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscribe {
    /// Milliseconds of silence of this controller after which its legs are reported (`lease.expired`), 1,000 to 3,600,000;
    /// they are released after as much again. 0 = no lease.
    pub lease_ms: u32,
    /// Last event number seen, to continue a subscription to the same engine instance after a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Where events go; the source of this datagram when absent. Only an address of the same host as the source is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
}

/// Acknowledges all events up to and with `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventAck {
    /// Highest number seen without a gap below it.
    pub seq: u64,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

fn yes() -> bool {
    true
}

fn once() -> u32 {
    1
}
