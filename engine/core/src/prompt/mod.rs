//! What can be played: encoded once, shared by all who hear it.

mod encode;
mod tone;

use std::sync::Arc;

use offhook_proto::{Codec, Keys, Media};

pub(crate) use self::tone::{Tones, keys};
use crate::leg::encoding::{bytes_in, leaves_silence_out, packet_ms};

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
        Self { codec, shape: Shape::Run, payload: payload.into(), endless: false }
    }

    /// A prompt of packets of `packet_ms` each, which end at `ends` in the payload.
    pub(crate) fn packets(codec: Codec, packet_ms: u8, payload: Vec<u8>, ends: Vec<u32>) -> Self {
        let shape = Shape::Packets { packet_ms, ends: ends.into() };
        Self { codec, shape, payload: payload.into(), endless: false }
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
    /// none after the last, and for a prompt that is one run.
    pub(crate) fn packet(&self, number: usize) -> Option<&[u8]> {
        let Shape::Packets { ends, .. } = &self.shape else { return None };
        let number = if self.endless { number % ends.len() } else { number };
        let end = *ends.get(number)? as usize;
        let start = number.checked_sub(1).map_or(0, |before| ends[before] as usize);
        self.payload.get(start..end)
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
