//! The encoder that made what a leg was sent last, where its peer's decoder goes on from that: whatever is made next goes on from
//! it too, so that no decoder has to find into another encoder's stream.
//!
//! What was made before for all who hear it, a prompt of G.722, is made anew from its beginning to its first pause, and retraced
//! where it ends. What a partner says in the leg's own encoding goes on as it came.

use offhook_audio::codec::{Codec, Decoder, Encoder, OpusConfig};

use super::Leg;
use super::conversion::Conversion;
use super::supervision::Supervision;

/// An encoder that is kept for what comes next.
pub(crate) struct Continuation {
    encoder: Encoder,
    /// What is played now, and how many bytes of it are still to be made anew.
    lead: Option<(Decoder, usize)>,
    /// Bytes of silence that it has made.
    silent: usize,
}

impl Continuation {
    /// None of an encoding whose decoder remembers nothing.
    fn of(encoder: Encoder) -> Option<Box<Self>> {
        encoder.is_remembered().then(|| Box::new(Self { encoder, lead: None, silent: 0 }))
    }

    /// Of a G.722 stream that ends so: [`MEMORY_BYTES`] of it are enough.
    pub(crate) fn after(payload: &[u8]) -> Option<Box<Self>> {
        let mut decoder = Decoder::new(Codec::G722, G722_HZ).ok()?;
        let mut encoder = Encoder::new(Codec::G722, G722_HZ, &OpusConfig::default()).ok()?;
        let (mut samples, mut made) = ([0; SAMPLES], [0; SAMPLES / 2]);
        for part in payload.chunks(SAMPLES / 2) {
            let count = decoder.decode(part, &mut samples).ok()?;
            encoder.encode(&samples[..count], &mut made).ok()?;
        }
        Self::of(encoder)
    }

    /// Writes so many milliseconds of silence, and returns their bytes; none where silence is always the same packet, as it is in the
    /// end.
    pub(crate) fn silence(&mut self, ms: u8, out: &mut [u8]) -> Option<usize> {
        if self.encoder.codec() != Codec::G722 || self.silent >= MEMORY_BYTES {
            return None;
        }
        let samples = [0; SAMPLES];
        let len =
            self.encoder.encode(samples.get(..usize::from(ms) * G722_HZ as usize / 1_000)?, out).ok()?;
        self.silent += len;
        Some(len)
    }

    /// Makes the next payload of a play anew. Returns whether that goes for the one after it, too.
    fn lead_into(&mut self, payload: &mut [u8]) -> bool {
        if self.encoder.codec() != Codec::G722 {
            return false;
        }
        if self.lead.is_none() {
            self.lead = Decoder::new(Codec::G722, G722_HZ).ok().map(|decoder| (decoder, MEMORY_BYTES));
        }
        let Some((decoder, left)) = &mut self.lead else { return false };
        let mut samples = [0; SAMPLES];
        let Ok(count) = decoder.decode(payload, &mut samples) else { return false };
        *left = left.saturating_sub(payload.len());
        // What is made anew is a millisecond late by its filters: it goes over where nothing is heard.
        let quiet = samples[..count].iter().all(|sample| sample.unsigned_abs() < QUIET);
        self.encoder.encode(&samples[..count], payload).is_ok() && (*left > 0 || !quiet)
    }
}

impl Leg {
    /// Hears through a conversion from now on.
    pub(crate) fn hear_through(&mut self, mut conversion: Conversion) {
        if let Some(kept) = self.continuation.take() {
            conversion.go_on_with(kept.encoder);
        }
        if let Some(report) = self.reports.peer() {
            conversion.expect_loss(report.fraction_lost);
        }
        self.conversion = Some(Box::new(conversion));
    }

    /// Hears through its conversion no longer.
    pub(crate) fn hear_directly(&mut self) {
        let Some(conversion) = self.conversion.take() else { return };
        // While a mix is heard in its stead, the peer's decoder knows nothing of it.
        if !self.supervision.as_ref().is_some_and(|part| part.is_mixed()) {
            self.continuation = Continuation::of(conversion.into_encoder());
        }
    }

    /// Goes on in a mix that it hears from the first packet on.
    pub(crate) fn join_mix(&mut self, part: &mut Supervision) {
        if part.is_mixed()
            && let Some(kept) = self.continuation.take()
        {
            part.mix.go_on_with(kept.encoder);
        }
    }

    /// Hears a mix no longer.
    pub(crate) fn leave_mix(&mut self) {
        if let Some(part) = self.supervision.take().filter(|part| part.is_mixed()) {
            self.continuation = Continuation::of(part.mix.into_encoder());
        }
    }

    /// Begins to hear a play, or another one, of which this comes before.
    pub(crate) fn hear_play(&mut self, before: Option<&[u8]>) {
        if let Some(last) = &mut self.continuation {
            last.lead = before.and_then(decoder_after).map(|decoder| (decoder, MEMORY_BYTES));
        }
    }

    /// Goes on in a play: the payload is what it is sent of it.
    pub(crate) fn go_on_in_play(&mut self, payload: &mut [u8]) {
        self.continuation.take_if(|last| !last.lead_into(payload));
    }
}

/// A decoder that goes on after the end of a G.722 stream.
fn decoder_after(payload: &[u8]) -> Option<Decoder> {
    let mut decoder = Decoder::new(Codec::G722, G722_HZ).ok()?;
    for part in payload.chunks(SAMPLES / 2) {
        decoder.decode(part, &mut [0; SAMPLES]).ok()?;
    }
    Some(decoder)
}

impl std::fmt::Debug for Continuation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Continuation({:?})", self.encoder.codec())
    }
}

/// Bytes of G.722 that its predictors remember: 160 ms.
pub(crate) const MEMORY_BYTES: usize = 1_280;
const G722_HZ: u32 = 16_000;
/// The longest packet that is made.
const SAMPLES: usize = 960;
/// Samples of which none reaches this are no more than a line's noise: about -50 dBm0.
const QUIET: u16 = 64;
