//! What can be played: encoded once, shared by all who hear it.

mod encode;
mod tone;

use std::sync::Arc;

use offhook_proto::{Codec, Keys, Media};

pub(crate) use self::tone::{Tones, keys};
use crate::leg::encoding::{bytes_in, leaves_silence_out, packet_ms};
use crate::leg::player::keys_ms;

/// A prompt that the director asked for; the shell hands it back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptId(pub u64);

/// What a prompt is encoded as, for all whom that suits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PromptForm {
    /// Its encoding.
    pub codec: Codec,
    /// Milliseconds of each packet, for an encoding whose packets are no slices of one run of bytes.
    pub packet_ms: Option<u8>,
    /// Whether its silence is not sent (`usedtx` of Opus).
    pub dtx: bool,
}

impl From<Codec> for PromptForm {
    fn from(codec: Codec) -> Self {
        (&Media { codec, ..Media::default() }).into()
    }
}

impl From<&Media> for PromptForm {
    fn from(media: &Media) -> Self {
        let packet_ms = bytes_in(media.codec, 1_000).is_none().then(|| packet_ms(media));
        Self { codec: media.codec, packet_ms, dtx: leaves_silence_out(media) }
    }
}

/// A prompt or tone, encoded once for one form.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedPrompt {
    codec: Codec,
    shape: Shape,
    payload: Box<[u8]>,
    /// Its beginning once more, as it follows its own end, for decoders that remember that.
    again: Option<Box<EncodedPrompt>>,
    endless: bool,
}

/// How the payload is cut into packets.
#[derive(Clone, PartialEq, Eq)]
enum Shape {
    /// Anywhere: one run of bytes, sliced at any packet time.
    Run,
    /// As it was encoded: packets of one length in time, which end at these bytes.
    Packets { packet_ms: u8, ends: Box<[u32]> },
}

impl EncodedPrompt {
    /// A prompt of contiguous payload.
    ///
    /// # Panics
    /// When it is Opus, whose packets are no such thing.
    pub fn new(codec: Codec, payload: impl Into<Box<[u8]>>) -> Self {
        assert!(bytes_in(codec, 1_000).is_some(), "packets of {codec} are not slices of one run of bytes");
        Self { codec, shape: Shape::Run, payload: payload.into(), again: None, endless: false }
    }

    /// A prompt of packets of `packet_ms` each, which end at `ends` in the payload.
    pub(crate) fn packets(codec: Codec, packet_ms: u8, payload: Vec<u8>, ends: Vec<u32>) -> Self {
        let shape = Shape::Packets { packet_ms, ends: ends.into() };
        Self { codec, shape, payload: payload.into(), again: None, endless: false }
    }

    /// The same with another beginning after its own end.
    fn with_beginning_again(mut self, again: Self) -> Self {
        self.again = Some(Box::new(again));
        self
    }

    /// The same, played round and round until stopped: the cadence of a tone.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.endless = !self.payload.is_empty();
        self
    }

    /// Its encoding.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// A packet of a prompt that was encoded in packets, round and round when it is endless: empty where its silence is not sent,
    /// none after the last, and for a prompt that is one run. `again` tells that it follows its own end.
    pub(crate) fn packet(&self, number: usize, again: bool) -> Option<&[u8]> {
        let Shape::Packets { ends, .. } = &self.shape else { return None };
        let again = again || self.endless && number >= ends.len();
        let number = if self.endless { number % ends.len() } else { number };
        if let Some(packet) =
            self.again.as_ref().filter(|_| again).and_then(|lead| lead.packet(number, false))
        {
            return Some(packet);
        }
        let end = *ends.get(number)? as usize;
        let start = number.checked_sub(1).map_or(0, |before| ends[before] as usize);
        self.payload.get(start..end)
    }

    /// Payload of one run from a byte on, round and round when it is endless, as far as it lies together; empty after the last.
    /// `again` tells that it follows its own end.
    pub(crate) fn run(&self, position: usize, again: bool) -> &[u8] {
        let again = again || self.endless && position >= self.payload.len();
        let position = if self.endless { position % self.payload.len() } else { position };
        let lead = self.again.as_ref().filter(|_| again).and_then(|lead| lead.payload.get(position..));
        let lead = lead.filter(|lead| !lead.is_empty());
        lead.or_else(|| self.payload.get(position..)).unwrap_or_default()
    }

    /// Milliseconds of each of its packets, where it was encoded in packets.
    pub(crate) fn packet_ms(&self) -> Option<u8> {
        match self.shape {
            Shape::Run => None,
            Shape::Packets { packet_ms, .. } => Some(packet_ms),
        }
    }

    /// All of its payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether it only ends when it is stopped.
    pub fn is_endless(&self) -> bool {
        self.endless
    }

    /// Its length in milliseconds, rounded up; one round of an endless one.
    pub fn duration_ms(&self) -> u64 {
        match &self.shape {
            Shape::Run => {
                let a_second = bytes_in(self.codec, 1_000).unwrap_or(1);
                (self.payload.len() as u64 * 1_000).div_ceil(a_second as u64)
            }
            Shape::Packets { packet_ms, ends } => ends.len() as u64 * u64::from(*packet_ms),
        }
    }
}

impl std::fmt::Debug for EncodedPrompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodedPrompt({:?}, {} ms)", self.codec, self.duration_ms())
    }
}

/// One part of a play.
#[derive(Clone, Debug)]
pub enum Segment {
    /// Encoded audio.
    Audio(Arc<EncodedPrompt>),
    /// Silence of so many milliseconds.
    SilenceMs(u32),
    /// Keys as telephone-events (RFC 4733).
    Keys(Keys),
}

impl Segment {
    /// Its length in milliseconds to a leg whose packets last `ptime_ms`; none when it has no end.
    pub(crate) fn duration_ms(&self, ptime_ms: u8) -> Option<u64> {
        match self {
            Self::Audio(prompt) => (!prompt.is_endless()).then(|| prompt.duration_ms()),
            Self::SilenceMs(ms) => Some(u64::from(*ms)),
            Self::Keys(keys) => Some(keys_ms(keys, ptime_ms)),
        }
    }
}
