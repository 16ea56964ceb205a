//! What the engine tells its subscribers.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Detected, Quality};

/// One event: numbered per subscription without gaps, sent again until acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Run of the engine that raised it.
    pub instance: String,
    /// Number within the subscription, from 1.
    pub seq: u64,
    /// Milliseconds since the engine started.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum EventBody {
    /// A leg's source was learnt.
    #[serde(rename = "leg.latched")]
    LegLatched {
        /// Which leg.
        leg: String,
        /// The source.
        source: SocketAddr,
    },
    /// No packet of a leg came for its `silent_after_ms`.
    #[serde(rename = "leg.silent")]
    LegSilent {
        /// Which leg.
        leg: String,
        /// Milliseconds since its last packet, or since it was created.
        silent_ms: u64,
    },
    /// Packets of a silent leg come again.
    #[serde(rename = "leg.alive")]
    LegAlive {
        /// Which leg.
        leg: String,
    },
    /// One direction of a conversation carries no audio that should be there: for the leg's `one_way_after_ms`, or by two reports
    /// of the peer.
    #[serde(rename = "leg.one_way")]
    LegOneWay {
        /// Which leg.
        leg: String,
        /// Which direction.
        direction: AudioDirection,
        /// Milliseconds since audio came last in this direction, or since the two hear each other.
        unheard_ms: u64,
    },
    /// A direction that was told as [`EventBody::LegOneWay`] carries audio again.
    #[serde(rename = "leg.two_way")]
    LegTwoWay {
        /// Which leg.
        leg: String,
        /// Which direction.
        direction: AudioDirection,
    },
    /// A leg's peer has become hard to hear in the last seconds, or is heard well again: its opinion crossed 3.6.
    #[serde(rename = "leg.quality")]
    LegQuality {
        /// Which leg.
        leg: String,
        /// How it is heard now.
        quality: Quality,
    },
    /// The peer closed its stream (RTCP BYE, RFC 3550 section 6.6).
    #[serde(rename = "leg.bye")]
    LegBye {
        /// Which leg.
        leg: String,
    },
    /// A leg ended without being deleted: its lease ran out, or its socket failed.
    #[serde(rename = "leg.released")]
    LegReleased {
        /// Which leg.
        leg: String,
        /// Why, in a sentence.
        reason: String,
    },
    /// A key was pressed on a leg: one event per press, by RFC 4733, or in the audio where that is listened to.
    #[serde(rename = "dtmf")]
    Dtmf {
        /// Which leg.
        leg: String,
        /// One of `0-9*#A-D`.
        digit: char,
        /// How long it was held, in milliseconds.
        duration_ms: u32,
    },
    /// A detection found something.
    #[serde(rename = "detected")]
    Detected(Detected),
    /// Audio flows in a direction of a new splice, or of one whose gate was opened: the first packet was sent on.
    #[serde(rename = "splice.audio")]
    SpliceAudio(SpliceAudio),
    /// A play ended.
    #[serde(rename = "play.ended")]
    PlayEnded {
        /// Which leg.
        leg: String,
        /// Name of the play.
        play: String,
        /// How.
        end: PlayEnd,
    },
    /// A supervision ended: its leg hears nobody.
    #[serde(rename = "supervise.ended")]
    SuperviseEnded {
        /// The supervisor's leg.
        leg: String,
        /// The agent's leg.
        of: String,
        /// How.
        end: SuperviseEnd,
    },
    /// A recording ended; its file is complete.
    #[serde(rename = "record.ended")]
    RecordEnded {
        /// Which leg.
        leg: String,
        /// The file.
        file: String,
        /// How.
        end: RecordEnd,
        /// Length of what is in the file, in milliseconds.
        duration_ms: u64,
        /// What went wrong, in a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A controller has been silent for its lease; its legs are released after as much again.
    #[serde(rename = "lease.expired")]
    LeaseExpired {
        /// Which controller.
        controller: String,
        /// How many legs it owns.
        legs: u64,
    },
    /// The subscriber did not keep up: events were thrown away.
    #[serde(rename = "events.lost")]
    EventsLost {
        /// How many.
        count: u64,
    },
}

/// Which way audio goes between a leg and its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioDirection {
    /// What the peer says.
    FromPeer,
    /// What the peer hears.
    ToPeer,
}

/// First packet sent on in one direction of a splice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpliceAudio {
    /// Leg whose packet it was.
    pub from: String,
    /// Leg that hears it.
    pub to: String,
    /// Microseconds since the moment named in the splice request.
    pub after_us: u64,
    /// Packets of `from` that were dropped between that moment and this one.
    pub dropped_packets: u32,
}

/// How a supervision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuperviseEnd {
    /// Stopped by request.
    Stopped,
    /// The two were parted: their call is over.
    Parted,
    /// The supervisor's leg was joined to another, or supervises another pair.
    Replaced,
    /// The supervisor's leg was deleted.
    LegDeleted,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordEnd {
    /// Stopped by request, or another took its place.
    Stopped,
    /// The leg ended.
    LegDeleted,
    /// The file could not be written any more, say for a full disk. The call goes on.
    Failed,
}

/// How a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayEnd {
    /// Played to its end.
    Finished,
    /// Stopped by request.
    Stopped,
    /// Another play took its place.
    Replaced,
    /// The leg was deleted.
    LegDeleted,
}
