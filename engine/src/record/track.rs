//! One side of a recording: decoded, and placed by its timestamps.

use offhook_audio::codec::{Codec as AudioCodec, Decoder};
use offhook_audio::resample::Resampler;
use offhook_proto::Codec;

use super::Frame;

/// The decoder of one side, and where its stream is anchored.
pub(crate) struct Track {
    /// Samples a second of the recording, in which positions are counted.
    rate_hz: u32,
    decoder: Option<(Codec, Decoder, Option<Resampler>)>,
    anchor: Option<Anchor>,
    decoded: Vec<i16>,
    resampled: Vec<i16>,
}

/// Where the newest timestamp of a stream lies in the recording, and how late its frames came of late.
#[derive(Clone, Copy)]
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    position: u64,
    /// Position at which the present look at lateness began.
    since: u64,
    /// The least lateness since then, in samples; less than nothing for frames that come early.
    least: i64,
}

impl Track {
    /// A side that has said nothing, in a recording of a rate in Hz.
    pub(crate) fn new(rate_hz: u32) -> Self {
        Self { rate_hz, decoder: None, anchor: None, decoded: Vec::new(), resampled: Vec::new() }
    }

    /// The samples of a frame that arrived at a position, and the position that they belong to, which may lie before `open`
    /// only if a newer frame came earlier. None when it cannot be decoded.
    pub(crate) fn decode(&mut self, arrived: u64, open: u64, frame: &Frame) -> Option<(u64, &[i16])> {
        if self.decoder.as_ref().is_none_or(|(codec, ..)| *codec != frame.codec) {
            self.decoder = Some(decoder(frame.codec, self.rate_hz)?);
        }
        let (_, decoder, resampler) = self.decoder.as_mut()?;
        let count = decoder.samples_in(frame.payload());
        if count > decoder.rate_hz() as usize * MAX_FRAME_MS / 1_000 {
            return None;
        }
        self.decoded.resize(count, 0);
        decoder.decode(frame.payload(), &mut self.decoded).ok()?;
        let position = place(&mut self.anchor, self.rate_hz, arrived, open, frame);
        let Some(resampler) = resampler else { return Some((position, &self.decoded)) };
        self.resampled.resize(resampler.max_output(count), 0);
        let made = resampler.process(&self.decoded, &mut self.resampled);
        Some((position, &self.resampled[..made]))
    }
}

/// By the timestamp, unless it is another stream's or contradicts the clock. A phone whose clock runs slow or fast, or that
/// stopped its timestamps for a while, is led back to the time of arrival: a stream that fell behind is never too late for good.
fn place(anchor: &mut Option<Anchor>, rate_hz: u32, arrived: u64, open: u64, frame: &Frame) -> u64 {
    let samples = |ms: u64| ms * u64::from(rate_hz) / 1_000;
    let known = anchor.filter(|anchor| anchor.ssrc == frame.ssrc).and_then(|anchor| {
        let moved = i64::from(frame.timestamp.wrapping_sub(anchor.timestamp) as i32);
        let moved = moved * i64::from(rate_hz) / i64::from(frame.clock_rate_hz.max(1));
        let position = anchor.position.checked_add_signed(moved)?;
        (position.abs_diff(arrived) <= samples(MAX_OFF_MS)).then_some((anchor, moved, position))
    });
    let Some((mut known, moved, told)) = known else {
        let timestamp = frame.timestamp;
        *anchor =
            Some(Anchor { ssrc: frame.ssrc, timestamp, position: arrived, since: arrived, least: i64::MAX });
        return arrived;
    };
    if moved <= 0 {
        return told;
    }
    let mut position = told.max(open);
    known.least = known.least.min(arrived as i64 - position as i64);
    if arrived >= known.since + samples(LOOK_MS) {
        if known.least.unsigned_abs() > samples(STEADY_MS) {
            position = position.saturating_add_signed(known.least);
        }
        (known.since, known.least) = (arrived, i64::MAX);
    }
    *anchor = Some(Anchor { timestamp: frame.timestamp, position, ..known });
    position
}

fn decoder(codec: Codec, rate_hz: u32) -> Option<(Codec, Decoder, Option<Resampler>)> {
    let audio = match codec {
        Codec::Pcmu => AudioCodec::Pcmu,
        Codec::Pcma => AudioCodec::Pcma,
        Codec::G722 => AudioCodec::G722,
        Codec::Opus => AudioCodec::Opus,
        Codec::L16 { rate_hz } => AudioCodec::L16 { rate_hz },
    };
    let decoder = Decoder::new(audio, rate_hz).ok()?;
    let resampler = match decoder.rate_hz() {
        same if same == rate_hz => None,
        other => Some(Resampler::new(other, rate_hz)?),
    };
    Some((codec, decoder, resampler))
}

const MAX_FRAME_MS: usize = 120;
/// Beyond so much between a timestamp and the clock, the stream has jumped.
const MAX_OFF_MS: u64 = 2_000;
/// Lateness is looked at for so long before it is taken for the phone's and not the network's.
const LOOK_MS: u64 = 2_000;
/// Less than this is let be: nobody hears it.
const STEADY_MS: u64 = 10;
