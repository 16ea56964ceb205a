//! Opus behind a seam: the traits are ours, the only implementation is libopus.

use super::{CodecError, OpusConfig};
use crate::level::dbm0;
use audiopus::coder::{Decoder, Encoder};
use audiopus::packet::{Packet, nb_samples};
use audiopus::{Application, Bandwidth, Bitrate, Channels, MutSignals, SampleRate, Signal};

/// Decodes Opus to mono.
pub trait OpusDecode {
    /// Decodes a packet and returns the number of samples.
    ///
    /// # Errors
    /// `Malformed` if it is no Opus packet.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError>;

    /// Fills `out` with the likely continuation.
    fn conceal(&mut self, out: &mut [i16]);

    /// Fills `out` with what was lost just before `next`.
    fn recover(&mut self, next: &[u8], out: &mut [i16]);
}

/// Encodes mono as Opus.
pub trait OpusEncode {
    /// Encodes one frame and returns the packet's length, zero if there is nothing to send.
    ///
    /// # Errors
    /// `Unsupported` if the frame is none of Opus's lengths, `TooShort` if `out` has no room.
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError>;

    /// Prepares for a loss in percent, 0 to 100.
    fn expect_loss(&mut self, percent: u8);
}

pub(super) struct LibopusDecoder {
    decoder: Decoder,
    rate_hz: u32,
}

pub(super) struct LibopusEncoder {
    encoder: Encoder,
    rate_hz: u32,
    /// Whether silence need not be sent.
    dtx: bool,
}

/// `wanted_hz` if Opus has that rate, else 48 kHz.
pub(super) fn rate_near(wanted_hz: u32) -> u32 {
    if rate_of(wanted_hz).is_some() { wanted_hz } else { 48_000 }
}

/// How long a packet plays, in units of 48 kHz; zero if it is malformed (RFC 6716 §3.4).
pub(super) fn payload_ts(payload: &[u8]) -> u32 {
    Packet::try_from(payload).and_then(|p| nb_samples(p, SampleRate::Hz48000)).map_or(0, |n| n as u32)
}

fn rate_of(hz: u32) -> Option<SampleRate> {
    match hz {
        8000 => Some(SampleRate::Hz8000),
        12_000 => Some(SampleRate::Hz12000),
        16_000 => Some(SampleRate::Hz16000),
        24_000 => Some(SampleRate::Hz24000),
        48_000 => Some(SampleRate::Hz48000),
        _ => None,
    }
}

/// The least bandwidth that has all of what is played at a rate (RFC 7587 section 3.1.1).
fn bandwidth_of(rate_hz: u32) -> Bandwidth {
    match rate_hz {
        0..=8_000 => Bandwidth::Narrowband,
        8_001..=12_000 => Bandwidth::Mediumband,
        12_001..=16_000 => Bandwidth::Wideband,
        16_001..=24_000 => Bandwidth::Superwideband,
        24_001.. => Bandwidth::Fullband,
    }
}

impl LibopusDecoder {
    pub(super) fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let rate = rate_of(rate_hz).ok_or(CodecError::Unsupported)?;
        let decoder = Decoder::new(rate, Channels::Mono).map_err(|_| CodecError::Unsupported)?;
        Ok(Self { decoder, rate_hz })
    }

    /// Decodes into all of `out`; Opus writes multiples of 2.5 ms, the rest stays silent.
    fn fill(&mut self, packet: Option<&[u8]>, out: &mut [i16], fec: bool) {
        out.fill(0);
        let step = self.rate_hz as usize / 400;
        // Opus conceals at most 120 ms at once.
        for part in out.chunks_mut(step * 48) {
            let whole = part.len() / step * step;
            let packet = packet.and_then(|p| Packet::try_from(p).ok());
            if let Ok(signals) = MutSignals::try_from(&mut part[..whole])
                && whole > 0
            {
                // A failure leaves silence, which is the last resort of concealment anyway.
                let _ = self.decoder.decode(packet, signals, fec);
            }
        }
    }
}

impl OpusDecode for LibopusDecoder {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let packet = Packet::try_from(payload).map_err(|_| CodecError::Malformed)?;
        let signals = MutSignals::try_from(out).map_err(|_| CodecError::TooShort)?;
        self.decoder.decode(Some(packet), signals, false).map_err(|_| CodecError::Malformed)
    }

    fn conceal(&mut self, out: &mut [i16]) {
        self.fill(None, out, false);
    }

    fn recover(&mut self, next: &[u8], out: &mut [i16]) {
        self.fill(Some(next), out, true);
    }
}

impl LibopusEncoder {
    pub(super) fn new(rate_hz: u32, config: &OpusConfig) -> Result<Self, CodecError> {
        let rate = rate_of(rate_hz).ok_or(CodecError::Unsupported)?;
        let build = || -> audiopus::Result<Encoder> {
            let mut encoder = Encoder::new(rate, Channels::Mono, Application::Voip)?;
            let bitrate = config.bitrate.clamp(MIN_BITRATE, MAX_BITRATE) as i32;
            encoder.set_bitrate(Bitrate::BitsPerSecond(bitrate))?;
            encoder.set_complexity(config.complexity.min(10))?;
            encoder.set_signal(Signal::Voice)?;
            encoder.set_inband_fec(config.fec)?;
            encoder.set_dtx(config.dtx)?;
            encoder.set_max_bandwidth(bandwidth_of(config.max_rate_hz))?;
            encoder.set_vbr(!config.cbr)?;
            encoder.set_packet_loss_perc(config.expected_loss_percent.min(100))?;
            Ok(encoder)
        };
        Ok(Self { encoder: build().map_err(|_| CodecError::Unsupported)?, rate_hz, dtx: config.dtx })
    }
}

impl OpusEncode for LibopusEncoder {
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let tenths = samples.len() * 10_000 / self.rate_hz as usize;
        if !FRAME_TENTHS_MS.contains(&tenths) {
            return Err(CodecError::Unsupported);
        }
        // libopus fits the packet into the room it is given; too little would only spoil the sound.
        if out.len() < MIN_ROOM {
            return Err(CodecError::TooShort);
        }
        if self.dtx {
            // libopus takes a tone that goes on for a second, as a dial tone does, for the noise of a room.
            self.encoder.set_dtx(dbm0(samples) < QUIET_DBM0).map_err(|_| CodecError::Unsupported)?;
        }
        let length = self.encoder.encode(samples, out).map_err(|_| CodecError::Unsupported)?;
        // One or two bytes mean that the packet need not be sent (opus_encode, DTX).
        Ok(if length <= 2 { 0 } else { length })
    }

    fn expect_loss(&mut self, percent: u8) {
        // Only a value out of range fails.
        let _ = self.encoder.set_packet_loss_perc(percent);
    }
}

const MIN_BITRATE: u32 = 6000;
const MAX_BITRATE: u32 = 510_000;
const FRAME_TENTHS_MS: [usize; 6] = [25, 50, 100, 200, 400, 600];
const MIN_ROOM: usize = 128;
/// Below this libopus may judge that a frame is silence: a room and a line are quieter, the tones of the network louder.
const QUIET_DBM0: f32 = -45.0;
