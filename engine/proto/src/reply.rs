//! What the engine answers.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Codec, Drops, DtmfMode, Error, Idle, LatchMode, Media, Remote, SrtpInfo, SuperviseMode};

/// The answer to a request: `{"result": "ok", …}` or `{"result": "error", "error": code, "error-reason": sentence}`.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done; the body has the shape that the command names.
    Ok(serde_json::Map<String, serde_json::Value>),
    /// Refused.
    Error(Error),
}

impl Reply {
    /// A success whose body is `body`'s fields. `body` must serialise as a JSON object.
    pub fn ok(body: &impl Serialize) -> Self {
        match serde_json::to_value(body) {
            Ok(serde_json::Value::Object(map)) => Self::Ok(map),
            _ => Self::Ok(serde_json::Map::new()),
        }
    }

    /// A success without a body.
    pub fn done() -> Self {
        Self::Ok(serde_json::Map::new())
    }

    /// The answer to `ping`: `"result": "pong"` and the engine's figures.
    pub fn pong(info: &EngineInfo) -> Self {
        match Self::ok(info) {
            Self::Ok(mut map) => {
                map.insert("result".to_owned(), "pong".into());
                Self::Ok(map)
            }
            Self::Error(error) => Self::Error(error),
        }
    }

    /// The body as the type that the command names.
    ///
    /// # Errors
    /// The engine's own refusal, or `bad_reply` when the body has another shape.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, Error> {
        match self {
            Self::Ok(map) => serde_json::from_value(serde_json::Value::Object(map))
                .map_err(|error| Error::bad_reply(&error)),
            Self::Error(error) => Err(error),
        }
    }
}

impl Serialize for Reply {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        match self {
            Self::Ok(body) => {
                let mut map = serializer.serialize_map(Some(body.len() + 1))?;
                if !body.contains_key("result") {
                    map.serialize_entry("result", "ok")?;
                }
                for (key, value) in body {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Error(error) => {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("result", "error")?;
                map.serialize_entry("error", &error.code)?;
                map.serialize_entry("error-reason", &error.reason)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = serde_json::Map::deserialize(deserializer)?;
        let Some(result) = map.get("result").and_then(|result| result.as_str()) else {
            return Err(serde::de::Error::missing_field("result"));
        };
        if result != "error" {
            if result == "ok" {
                map.remove("result");
            }
            return Ok(Self::Ok(map));
        }
        serde_json::from_value(serde_json::Value::Object(map))
            .map(Self::Error)
            .map_err(serde::de::Error::custom)
    }
}

/// Answer to `leg.create`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegCreated {
    /// The leg's name.
    pub leg: String,
    /// Where it receives RTP.
    pub rtp: SocketAddr,
    /// Where it receives RTCP.
    pub rtcp: SocketAddr,
    /// Worker that it lives on.
    pub worker: u16,
    /// SSRC of everything that it will be sent, for as long as it lives.
    pub ssrc: u32,
}

/// What a leg is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// Open, hears nobody.
    Idle,
    /// Its packets end in the kernel.
    Parked,
    /// Joined to another leg.
    Spliced,
}

/// Packet counters of a leg since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LegCounters {
    /// RTP packets that reached user space.
    pub packets_received: u64,
    /// RTP payload bytes that reached user space.
    pub bytes_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP payload bytes sent.
    pub bytes_sent: u64,
    /// RTP packets of this leg sent on to its partner.
    pub packets_forwarded: u64,
    /// Packets missing by sequence number (RFC 3550 A.3), not counting time spent parked. Negative with duplicates.
    pub packets_lost: i64,
    /// Packets that the park filter kept in the kernel, by sequence number.
    pub packets_filtered: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 A.8).
    pub jitter_ms: f32,
    /// Dropped packets by reason.
    pub drops: Drops,
}

/// What the peer last reported about the stream that it hears (RFC 3550 section 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RtcpReport {
    /// Share lost since its report before, 0 to 1.
    pub fraction_lost: f32,
    /// Packets lost in total.
    pub packets_lost: i32,
    /// Its interarrival jitter in milliseconds.
    pub jitter_ms: f32,
    /// What the peer measured itself, when it sent an extended report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voip: Option<VoipMetrics>,
    /// Round-trip time in milliseconds, when one of our reports was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f32>,
}

/// What the peer measured of the stream that it hears: VoIP metrics of an extended report (RFC 3611 section 4.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoipMetrics {
    /// Share of the packets lost on the way, 0 to 1, since the call began.
    pub loss_rate: f32,
    /// Share that came too late for its jitter buffer, 0 to 1.
    pub discard_rate: f32,
    /// Share lost or discarded within bursts, 0 to 1.
    pub burst_density: f32,
    /// Share lost or discarded between bursts, 0 to 1.
    pub gap_density: f32,
    /// Mean length of the bursts, in milliseconds.
    pub burst_duration_ms: u16,
    /// Mean length of the gaps between them, in milliseconds.
    pub gap_duration_ms: u16,
    /// Round-trip time of the packets, in milliseconds; 0 when it is not known.
    pub round_trip_ms: u16,
    /// What its own buffers, encoder and decoder add, in milliseconds.
    pub end_system_delay_ms: u16,
    /// Its rating of the line (ITU-T G.107), 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_factor: Option<u8>,
    /// Its opinion of what is heard, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_listening: Option<f32>,
    /// Its opinion of the conversation, delay included, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_conversation: Option<f32>,
    /// Nominal delay of its jitter buffer, in milliseconds.
    pub jitter_buffer_ms: u16,
}

/// How well a leg's peer is heard, by the E-model from its codec, loss, jitter and delay: a conversation's opinion, estimated
/// (MOS-CQE, ITU-T P.800.1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Opinion of the call so far, 1 to 4.5. A line without fault has 4.41 with G.711, 4.34 with G.722, 4.5 with Opus.
    pub mos: f32,
    /// Rating of the call so far: 0 to 93.2 on the narrowband scale, to 129 on the wideband one.
    pub r_factor: f32,
    /// Opinion of the last seconds (3 to 15); absent when nothing was received in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent_mos: Option<f32>,
    /// What these are to be compared with.
    #[serde(default, skip_serializing_if = "QualityScale::is_narrowband")]
    pub scale: QualityScale,
}

/// What listeners expect, by what a leg's codec carries. Opinions of one scale say nothing about those of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityScale {
    /// The telephone band (ITU-T G.107).
    #[default]
    Narrowband,
    /// 50 to 7,000 Hz (ITU-T G.107.1).
    Wideband,
}

impl QualityScale {
    /// Whether it is the telephone's.
    #[must_use]
    pub fn is_narrowband(&self) -> bool {
        *self == Self::Narrowband
    }
}

/// One leg, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegInfo {
    /// Name.
    pub leg: String,
    /// Controller that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is doing.
    pub state: LegState,
    /// Partner, when spliced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spliced_to: Option<String>,
    /// Whether it hears its partner.
    #[serde(default)]
    pub hears: bool,
    /// Whether its partner hears it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heard: bool,
    /// Name of what plays to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playing: Option<String>,
    /// The call of others that it takes part in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervises: Option<Supervising>,
    /// The supervisor's leg that takes part in its call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervised_by: Option<String>,
    /// The leg that it hears a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens_to: Option<String>,
    /// Worker that it lives on.
    pub worker: u16,
    /// Where it receives RTP.
    pub rtp: SocketAddr,
    /// Where it receives RTCP.
    pub rtcp: SocketAddr,
    /// Where the peer said that it receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// Source learnt and connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latched: Option<SocketAddr>,
    /// Latching rule.
    pub latch: LatchMode,
    /// Idle sending.
    pub idle: Idle,
    /// Encoding.
    pub codec: Codec,
    /// Suites, when its packets are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srtp: Option<SrtpInfo>,
    /// Whether RTCP goes over the RTP port.
    #[serde(default)]
    pub rtcp_mux: bool,
    /// What becomes of the keys pressed on it.
    #[serde(default, skip_serializing_if = "DtmfMode::is_pass")]
    pub dtmf: DtmfMode,
    /// SSRC of everything that it is sent.
    pub ssrc: u32,
    /// SSRC last received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ssrc: Option<u32>,
    /// Milliseconds since it was created.
    pub age_ms: u64,
    /// Milliseconds since its last RTP or RTCP packet reached user space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_packet_ms: Option<u64>,
    /// Counters.
    pub counters: LegCounters,
    /// How well the peer is heard; absent when nothing was received in this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// The peer's last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtcp_report: Option<RtcpReport>,
}

impl LegInfo {
    /// A leg that was created a moment ago with nothing but its name: idle, with nothing heard or sent yet, and receiving at
    /// `rtp` and `rtcp`.
    ///
    /// For what answers in an engine's place: it changes what is otherwise.
    pub fn new(leg: impl Into<String>, rtp: SocketAddr, rtcp: SocketAddr) -> Self {
        Self {
            leg: leg.into(),
            owner: None,
            state: LegState::Idle,
            spliced_to: None,
            hears: false,
            heard: false,
            playing: None,
            supervises: None,
            supervised_by: None,
            listens_to: None,
            worker: 0,
            rtp,
            rtcp,
            remote: None,
            latched: None,
            latch: LatchMode::default(),
            idle: Idle::default(),
            codec: Media::default().codec,
            srtp: None,
            rtcp_mux: false,
            dtmf: DtmfMode::default(),
            ssrc: 1,
            remote_ssrc: None,
            age_ms: 0,
            last_packet_ms: None,
            counters: LegCounters::default(),
            quality: None,
            rtcp_report: None,
        }
    }
}

/// A supervision, as the supervisor's leg shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervising {
    /// The agent's leg.
    pub of: String,
    /// The other leg of the pair.
    pub with: String,
    /// Who hears the supervisor.
    pub mode: SuperviseMode,
}

/// Answer to `leg.list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegList {
    /// Names in order.
    pub legs: Vec<String>,
    /// True when there are more after the last.
    pub more: bool,
    /// Legs in the engine, of all owners.
    pub total: u64,
}

/// Answer to `play`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlayStarted {
    /// Name of the play.
    pub play: String,
    /// Length of the whole list played once, in milliseconds; absent for an endless tone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Answer to `play.stop`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlayStopped {
    /// How much of the list's last round had been sent, in milliseconds; absent when nothing was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_ms: Option<u64>,
}

/// Answer to `subscribe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Random name of this run of the engine: another one means that every leg is gone.
    pub instance: String,
    /// Number of the last event raised so far.
    pub seq: u64,
}

/// One worker's figures since start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerInfo {
    /// Index from 0.
    pub worker: u16,
    /// Processor that it is pinned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Legs that live on it.
    pub legs: u64,
    /// Pairs spliced on it.
    pub splices: u64,
    /// Players running on it.
    pub plays: u64,
    /// CPU time of its thread in microseconds.
    pub cpu_us: u64,
    /// RTP packets received.
    pub packets_received: u64,
    /// RTP packets sent on.
    pub packets_forwarded: u64,
    /// RTP packets made here and sent.
    pub packets_generated: u64,
    /// Times that it woke.
    pub wakeups: u64,
    /// Times that the receive buffers ran out.
    pub buffers_exhausted: u64,
    /// Directions of splices that the kernel forwards by itself now.
    #[serde(default)]
    pub kernel_rules: u64,
    /// RTP packets that it has forwarded, of those sent on.
    #[serde(default)]
    pub kernel_packets: u64,
    /// Packets dropped, by reason.
    pub drops: Drops,
}

/// Answer to `ping` and `statistics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineInfo {
    /// Random name of this run.
    pub instance: String,
    /// Version of the software.
    pub version: String,
    /// Milliseconds since start.
    pub uptime_ms: u64,
    /// Legs open.
    pub legs: u64,
    /// Port pairs still free.
    pub ports_free: u64,
    /// Requests executed.
    pub requests: u64,
    /// Requests answered from the reply cache.
    pub requests_repeated: u64,
    /// Datagrams on the control socket that were refused (no parse, wrong key).
    pub requests_refused: u64,
    /// Recordings being made.
    #[serde(default)]
    pub recordings: u64,
    /// Recordings that could not be written to their end.
    #[serde(default)]
    pub recordings_failed: u64,
    /// Frames that were left out of recordings because their writer did not keep up.
    #[serde(default)]
    pub record_frames_lost: u64,
    /// Each worker.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerInfo>,
}
