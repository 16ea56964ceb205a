//! Values that requests, replies and events share.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Codec, Opus};

/// What a leg's packets carry, as signalled in its SDP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Audio encoding in both directions.
    pub codec: Codec,
    /// RTP payload type of the audio, 0 to 127.
    pub payload_type: u8,
    /// RTP payload type of telephone-events (RFC 4733), where negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telephone_event: Option<u8>,
    /// Clock rate of the telephone-events in Hz, 8,000 to 48,000, where their `a=rtpmap` has another than the audio's: durations
    /// count in it (RFC 4733 section 2.3.5). RTP timestamps are the audio's all the same, in one stream of one clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telephone_event_rate_hz: Option<u32>,
    /// RTP payload type of comfort noise (RFC 3389), where negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comfort_noise: Option<u8>,
    /// Packet time of what the engine makes, 10 to 60 ms in steps of 10.
    pub ptime_ms: u8,
    /// Longest packet that the peer takes of whoever it hears, `ptime_ms` to 255 ms: longer ones of the same encoding are made anew
    /// too. Any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ptime_ms: Option<u8>,
    /// Whether packets of the same encoding that last otherwise than `ptime_ms` are made anew too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repacketise: bool,
    /// What the peer asks for of Opus; of no account for other encodings.
    #[serde(skip_serializing_if = "Opus::is_default")]
    pub opus: Opus,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: Some(101),
            telephone_event_rate_hz: None,
            comfort_noise: Some(13),
            ptime_ms: 20,
            max_ptime_ms: None,
            repacketise: false,
            opus: Opus::default(),
        }
    }
}

/// What becomes of the keys (DTMF) that are pressed on a leg, on their way to whoever hears it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtmfMode {
    /// They go on as they come: telephone-events to a leg that takes them, tones as the audio that they are.
    #[default]
    Pass,
    /// Telephone-events are tones for a leg that takes none, and tones of a leg that sends none are telephone-events for one
    /// that does.
    Convert,
    /// They go nowhere, in either form.
    Block,
}

impl DtmfMode {
    /// Whether keys go on as they come, as they do unless something else is asked for.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        *self == Self::Pass
    }
}

/// How a supervisor takes part in a call of two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuperviseMode {
    /// Hears both and is heard by nobody.
    Listen,
    /// Hears both and is heard by the agent only.
    Whisper,
    /// Hears both and is heard by both.
    Barge,
}

/// Where the peer said that it receives media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Address and port of its RTP.
    pub rtp: SocketAddr,
    /// Address and port of its RTCP; the port after `rtp` when absent (RFC 3550 section 11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtcp: Option<SocketAddr>,
}

/// How a leg learns the address that its peer really sends from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchMode {
    /// The signalled address and port; without a packet from there, another port of the signalled address, or the signalled
    /// network (/24 or /64). A nearer one takes the place of a farther one for three seconds. Anything else is dropped. The
    /// default.
    #[default]
    Signalled,
    /// As `Signalled`, and any source without a packet from nearer ones. For peers behind NAT; open to RTP injection until the
    /// peer speaks.
    Any,
    /// Never learnt: only the signalled address and port may send.
    Strict,
    /// Whoever speaks first. Not safe before the peer has spoken (rtpengine's `immediate`).
    Immediate,
    /// For three seconds whoever spoke last, then for good whoever speaks; the signalled address and port at once and for good
    /// (rtpengine's `delayed`).
    Delayed,
    /// For three seconds the nearest who has spoken, then that one for good: another port of the signalled address, the signalled
    /// port of another one, anybody; the signalled address and port at once and for good (rtpengine's `heuristic`).
    Heuristic,
}

/// What the engine sends to a leg that hears nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Idle {
    /// Nothing at all.
    None,
    /// Encoded silence, one packet per packet time.
    Silence,
    /// A comfort-noise packet (RFC 3389) every `interval_ms`; encoded silence at that rate where none was negotiated.
    ComfortNoise {
        /// Milliseconds between packets, 20 to 60,000.
        interval_ms: u32,
    },
    /// An empty RTP packet every `interval_ms` (RFC 6263 section 4.1), to keep a NAT binding open.
    Keepalive {
        /// Milliseconds between packets, 1,000 to 60,000.
        interval_ms: u32,
    },
}

impl Default for Idle {
    fn default() -> Self {
        Self::ComfortNoise { interval_ms: 1_000 }
    }
}

/// A tone that the engine can make by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToneName {
    /// Dial tone.
    Dial,
    /// Ringback: what a caller hears while the called phone rings.
    Ringback,
    /// Subscriber busy.
    Busy,
    /// Network busy, reorder.
    Congestion,
    /// One beep of 1 kHz, 200 ms.
    Beep,
}

/// One thing to play.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaySource {
    /// A WAV file under the engine's prompt directory, by relative name.
    File(String),
    /// A tone of a country's plan, by ISO 3166 code in lower case (`us`, `uk`, `de`, `nl`, `fr`); `us` when absent.
    Tone {
        /// Which tone.
        name: ToneName,
        /// Whose plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
    },
    /// A DTMF key sequence of `0-9*#A-D`, 100 ms each with 100 ms between.
    Dtmf(String),
    /// A DTMF key sequence by times and a level of its own.
    Keys(Keys),
    /// Silence of so many milliseconds.
    SilenceMs(u32),
    /// A number, spoken in English by the recordings `0` to `20`, the tens to `90`, `hundred`, `thousand` and `million`.
    Number {
        /// 0 to [`SPOKEN_NUMBER`](crate::limits::SPOKEN_NUMBER).
        value: u32,
        /// What comes before the recordings' names, as `en/`; nothing when absent.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        folder: String,
    },
}

/// A DTMF key sequence. All of it takes at most [`KEYS_MS`](crate::limits::KEYS_MS).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// 1 to 64 of `0-9*#A-D`.
    pub keys: String,
    /// Milliseconds that each is held, 40 to 5,000.
    #[serde(default = "usual_key_ms")]
    pub on_ms: u32,
    /// Milliseconds of pause after each, 40 to 5,000.
    #[serde(default = "usual_key_ms")]
    pub off_ms: u32,
    /// Level in dBm0, -63 to 0: of the telephone-event (RFC 4733 section 2.3.3), or of each of the tone's two frequencies. The
    /// usual ones, -10 and -7, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_dbm0: Option<i8>,
}

/// These keys, 100 ms each with 100 ms between.
impl From<&str> for Keys {
    fn from(keys: &str) -> Self {
        let (on_ms, off_ms) = (usual_key_ms(), usual_key_ms());
        Self { keys: keys.to_owned(), on_ms, off_ms, level_dbm0: None }
    }
}

const fn usual_key_ms() -> u32 {
    100
}

/// What a recording holds. Only what one leg says and another hears is recorded, never an idle microphone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordMode {
    /// What the leg says, in one channel.
    Leg,
    /// What the leg says and what it hears of its partners, mixed into one channel.
    #[default]
    Mixed,
    /// What the leg says on the left, what it hears of its partners on the right.
    Stereo,
}

/// Packets dropped on arrival, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drops {
    /// Shorter than a header, wrong version, or lengths that do not add up.
    pub malformed: u64,
    /// From an address that the latching rules refuse.
    pub stranger: u64,
    /// The leg hears and is heard by nobody.
    pub not_spliced: u64,
    /// The direction's gate is closed.
    pub gate_closed: u64,
    /// A payload type that was not negotiated.
    pub payload_type: u64,
    /// Older than what the other side has already been sent; where that is secure, also the same number again. Or the rest of a
    /// key that was pressed before the other side heard the leg.
    pub late: u64,
    /// Larger than the receive buffer.
    pub truncated: u64,
    /// The kernel refused to send it on.
    pub send_failed: u64,
    /// The other leg plays a prompt or tone.
    pub covered: u64,
    /// The other leg has no known address yet.
    pub no_remote: u64,
    /// Not what the leg's SRTP key has signed.
    pub auth_failed: u64,
    /// SRTP that came before, or from before the window of 128 packets.
    pub replayed: u64,
    /// The key of a secure leg's direction is not known yet.
    pub no_key: u64,
}
