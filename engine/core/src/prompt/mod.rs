//! What can be played: encoded once, shared by all who hear it.

mod tone;

use std::sync::Arc;

use offhook_proto::Codec;

pub(crate) use self::tone::{Tones, keys};

/// A prompt that the director asked for; the shell hands it back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptId(pub u64);

/// A prompt or tone, encoded for one codec as one run of payload bytes that is sliced at any packet time.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedPrompt {
    codec: Codec,
    bytes_per_ms: u16,
    payload: Box<[u8]>,
    endless: bool,
}

impl EncodedPrompt {
    /// A prompt of contiguous payload. `bytes_per_ms` is 8 for G.711 and G.722, 16 for L16 at 8 kHz.
    ///
    /// # Panics
    /// When `bytes_per_ms` is 0.
    pub fn new(codec: Codec, bytes_per_ms: u16, payload: impl Into<Box<[u8]>>) -> Self {
        assert!(bytes_per_ms > 0, "a codec has a rate");
        Self { codec, bytes_per_ms, payload: payload.into(), endless: false }
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

    /// Payload bytes per millisecond.
    pub fn bytes_per_ms(&self) -> u16 {
        self.bytes_per_ms
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
        (self.payload.len() as u64).div_ceil(u64::from(self.bytes_per_ms))
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
    /// Keys of `0-9*#A-D` as telephone-events (RFC 4733), 100 ms each with 100 ms between.
    Keys(Arc<str>),
}
