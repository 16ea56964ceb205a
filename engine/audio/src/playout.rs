//! From packets as they arrive to samples as they play: jitter buffer, decoder, concealment and comfort noise in one.

use crate::codec::{Codec, CodecError, Decoder};
use crate::comfort_noise::{NoiseShape, NoiseSource};
use crate::fifo::Fifo;
use crate::jitter::{Content, JitterBuffer, JitterConfig, JitterStats, Pulled};
use crate::level::mean_magnitude;
use crate::mix::blend;

/// Plays one received stream.
pub struct Playout {
    jitter: JitterBuffer,
    decoder: Decoder,
    pcm: Fifo<i16>,
    noise: NoiseSource,
    between: Between,
    quiet: bool,
    /// Whether what was pulled last stands in for audio that has not come, and whether some of what was rendered last does.
    stand_in: bool,
    concealed: bool,
    /// How what was left out would have gone on from what was played.
    skipped: Fifo<i16>,
    /// Payloads that the decoder refused.
    pub malformed_packets: u64,
}

/// What is heard when the buffer has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// The fading continuation, of which so many samples have been made.
    Fade(usize),
    /// The noise that the sender described.
    Noise,
}

impl Playout {
    /// Plays `codec`, Opus at `wanted_hz` if it has that rate (see [`Decoder::new`]).
    ///
    /// # Errors
    /// `Unsupported` if the decoder cannot be made.
    pub fn new(codec: Codec, wanted_hz: u32, jitter: JitterConfig) -> Result<Self, CodecError> {
        let decoder = Decoder::new(codec, wanted_hz)?;
        let (room, blended) = (
            decoder.rate_hz() as usize * MAX_PENDING_MS / 1000,
            decoder.rate_hz() as usize * BLEND_MS / 1000,
        );
        Ok(Self {
            jitter: JitterBuffer::new(jitter),
            decoder,
            pcm: Fifo::new(room),
            noise: NoiseSource::new(NOISE_SEED),
            between: Between::Fade(0),
            quiet: false,
            stand_in: false,
            concealed: false,
            skipped: Fifo::new(blended),
            malformed_packets: 0,
        })
    }

    /// Rate of the samples, in Hz.
    #[must_use]
    pub const fn rate_hz(&self) -> u32 {
        self.decoder.rate_hz()
    }

    /// Counters of the jitter buffer.
    #[must_use]
    pub const fn jitter_stats(&self) -> JitterStats {
        self.jitter.stats()
    }

    /// The jitter buffer's present aim, in ms.
    #[must_use]
    pub fn target_delay_ms(&self) -> u32 {
        self.jitter.target_delay_ms()
    }

    /// Whether some of the samples rendered last stand in for audio that has not come: concealment, or silence where
    /// nothing has come for long. Comfort noise that the sender described does not.
    #[must_use]
    pub const fn concealed(&self) -> bool {
        self.concealed
    }

    /// Takes a packet of the codec that arrived at `now_us`.
    pub fn on_audio(&mut self, now_us: u64, seq: u16, ts: u32, payload: &[u8]) {
        let duration_ts = self.decoder.codec().payload_ts(payload);
        let samples = self.decoder.samples_in(payload);
        if samples == 0 || samples > self.decoder.rate_hz() as usize * MAX_PACKET_MS / 1000 {
            self.malformed_packets += 1;
            return;
        }
        self.jitter.insert(now_us, seq, ts, Content::Audio { duration_ts }, payload);
    }

    /// Takes a comfort noise packet (RFC 3389) that arrived at `now_us`.
    pub fn on_comfort_noise(&mut self, now_us: u64, seq: u16, ts: u32, payload: &[u8]) {
        self.jitter.insert(now_us, seq, ts, Content::ComfortNoise, payload);
    }

    /// Fills `out` with the next samples, whatever has arrived. Call it at the pace at which they are needed.
    pub fn render(&mut self, now_us: u64, out: &mut [i16]) {
        self.concealed = false;
        self.jitter.pull_in_steps_of((out.len() * 1000 / self.decoder.rate_hz() as usize) as u32);
        for part in out.chunks_mut(self.decoder.rate_hz() as usize * MAX_PACKET_MS / 1000) {
            self.fill(now_us, part.len());
            // `fill` has made at least this many; the queue has room for two of the longest packets.
            self.pcm.pop(part);
        }
    }

    fn fill(&mut self, now_us: u64, wanted: usize) {
        let longest = self.decoder.rate_hz() as usize * MAX_PACKET_MS / 1000;
        self.concealed |= self.stand_in && !self.pcm.is_empty();
        while self.pcm.len() < wanted {
            let scale = (self.decoder.rate_hz(), self.decoder.codec().clock_rate_hz());
            let missing = wanted - self.pcm.len();
            match self.jitter.pull(now_us, self.quiet) {
                Pulled::Audio(payload) => {
                    let space = self.pcm.space(self.decoder.samples_in(payload));
                    self.stand_in = self.decoder.decode(payload, space).is_err();
                    if self.stand_in {
                        self.malformed_packets += 1;
                        self.decoder.conceal(space);
                    }
                    self.quiet = mean_magnitude(space) < QUIET_MAGNITUDE;
                    self.between = Between::Fade(0);
                    follow(&mut self.skipped, space);
                }
                Pulled::Skip(payload) => {
                    // The decoder goes through all of it: what comes next would not be understood otherwise.
                    let samples = self.decoder.samples_in(payload);
                    let space = self.pcm.space(samples);
                    if self.decoder.decode(payload, space).is_err() {
                        self.malformed_packets += 1;
                    } else if self.skipped.is_empty() {
                        self.skipped.push(space);
                    }
                    self.pcm.unpush(samples);
                    self.quiet = false;
                }
                Pulled::Conceal { duration_ts, next } => {
                    let samples = samples_of(duration_ts, scale).clamp(1, longest);
                    let space = self.pcm.space(samples);
                    match next {
                        Some(next) => self.decoder.recover(next, space),
                        None => self.decoder.conceal(space),
                    }
                    self.stand_in = true;
                    follow(&mut self.skipped, space);
                }
                Pulled::ComfortNoise(payload) => {
                    if let Some(shape) = NoiseShape::parse(payload) {
                        self.noise.shape(&shape);
                        self.between = Between::Noise;
                    }
                }
                Pulled::Nothing => self.fill_between(missing),
            }
            self.concealed |= self.stand_in;
        }
    }

    fn fill_between(&mut self, samples: usize) {
        let space = self.pcm.space(samples);
        self.stand_in = self.between != Between::Noise;
        match &mut self.between {
            Between::Noise => self.noise.render(space),
            Between::Fade(made) => {
                let fade_len = self.decoder.rate_hz() as usize * FADE_MS / 1000;
                // Opus makes comfort noise of its own in the pauses of a sender with DTX.
                if *made < fade_len || self.decoder.codec() == Codec::Opus {
                    self.decoder.conceal(space);
                    *made += samples;
                }
            }
        }
    }
}

/// Lets samples go on from what was left out, if anything was.
fn follow(skipped: &mut Fifo<i16>, samples: &mut [i16]) {
    let blended = skipped.len().min(samples.len());
    if let Some(before) = skipped.peek(blended) {
        blend(before, &mut samples[..blended]);
    }
    skipped.clear();
}

fn samples_of(duration_ts: u32, (rate_hz, clock_rate_hz): (u32, u32)) -> usize {
    (u64::from(duration_ts) * u64::from(rate_hz) / u64::from(clock_rate_hz)) as usize
}

/// The longest packet that is played, and asked for, at once.
const MAX_PACKET_MS: usize = 120;
const MAX_PENDING_MS: usize = 2 * MAX_PACKET_MS;
/// How long what is left out passes into what follows.
const BLEND_MS: usize = 10;
/// After this the continuation has faded to silence.
const FADE_MS: usize = 80;
/// Mean sample below which the delay is corrected: about -50 dBm0.
const QUIET_MAGNITUDE: u16 = 60;
const NOISE_SEED: u32 = 0x0FF_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Encoder, OpusConfig};
    use crate::level::{FLOOR_DBM0, dbm0};
    use crate::testing::{largest_click, noise, sine, speech_8k};

    fn playout(codec: Codec) -> Playout {
        Playout::new(codec, 8000, JitterConfig::new(codec.clock_rate_hz())).expect("a decoder")
    }

    fn encoded(samples: &[i16]) -> Vec<u8> {
        let mut payload = vec![0; samples.len()];
        crate::g711::encode_ulaw(samples, &mut payload);
        payload
    }

    /// Plays a signal sent as PCMU in 20 ms packets, except the lost ones, in frames of `frame` samples.
    fn play(signal: &[i16], frame: usize, lost: impl Fn(usize) -> bool) -> Vec<i16> {
        let mut playout = playout(Codec::Pcmu);
        let mut out = vec![0; signal.len()];
        let mut packets = signal.chunks(160).enumerate().peekable();
        for (tick, frame) in out.chunks_mut(frame).enumerate() {
            let now_us = (tick * frame.len()) as u64 * 125;
            while let Some((i, samples)) = packets.next_if(|(i, _)| *i as u64 * 20_000 <= now_us) {
                if !lost(i) {
                    playout.on_audio(now_us, i as u16, i as u32 * 160, &encoded(samples));
                }
            }
            playout.render(now_us, frame);
        }
        out
    }

    #[test]
    fn what_was_sent_is_heard_one_buffer_later_at_any_frame_length() {
        let speech = speech_8k();
        for frame in [80, 160, 240, 480] {
            let heard = play(&speech, frame, |_| false);
            let delay = (0..800)
                .step_by(80)
                .min_by_key(|d| {
                    let pairs = speech.iter().zip(&heard[*d..]);
                    pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
                })
                .expect("delays");
            // What is rendered at once waits for its last packet.
            assert!((160..=320 + frame.max(160)).contains(&delay), "{frame}: {delay}");
            assert!((dbm0(&heard) - dbm0(&speech)).abs() < 0.5, "{frame}");
        }
    }

    #[test]
    fn five_percent_of_loss_keep_the_level() {
        let speech = speech_8k();
        let heard = play(&speech, 160, |i| i % 20 == 13);
        assert!((dbm0(&heard) - dbm0(&speech)).abs() < 0.5);
    }

    #[test]
    fn what_stands_in_for_lost_audio_is_told_from_what_came() {
        let tone = sine(8000, 430.0, -10.0, 16_000);
        let mut playout = playout(Codec::Pcmu);
        let told = tone.chunks(160).enumerate().map(|(i, samples)| {
            let now_us = i as u64 * 20_000;
            if i % 10 != 7 {
                playout.on_audio(now_us, i as u16, i as u32 * 160, &encoded(samples));
            }
            playout.render(now_us, &mut [0; 160]);
            playout.concealed()
        });
        let told: Vec<bool> = told.collect();
        assert!(told[0], "nothing has come");
        assert_eq!(told[20..].iter().filter(|concealed| **concealed).count(), 8, "{told:?}");
    }

    #[test]
    fn what_is_left_out_to_lower_the_delay_leaves_no_click() {
        // 430 Hz: not a whole number of cycles in a packet.
        let tone = sine(8000, 430.0, -10.0, 24_000);
        let mut playout = playout(Codec::Pcmu);
        let (mut heard, mut sent, mut out) = (Vec::new(), 0, [0; 160]);
        for tick in 0..150_u64 {
            // The first ten come at once, so that the delay is too long by far as soon as the jitter is known.
            let came = if tick < 10 { 0 } else { tick as usize + 1 };
            for (i, samples) in tone.chunks(160).enumerate().take(came).skip(sent) {
                playout.on_audio(tick * 20_000, i as u16, i as u32 * 160, &encoded(samples));
            }
            sent = sent.max(came);
            playout.render(tick * 20_000, &mut out);
            heard.extend(out);
        }
        assert!(playout.jitter_stats().skipped > 0, "{:?}", playout.jitter_stats());
        let steady = largest_click(&heard[20_000..]);
        let whole = &heard[heard.iter().position(|sample| *sample != 0).expect("the tone")..];
        assert!(largest_click(whole) < 1.5 * steady, "{} for {steady}", largest_click(whole));
    }

    #[test]
    fn a_stream_that_ends_fades_to_silence() {
        let mut tone = sine(8000, 300.0, -10.0, 16_000);
        let heard = play(&tone, 160, |i| i >= 50);
        tone.truncate(8000);
        assert!(dbm0(&heard[400..8000]) > -10.5);
        assert_eq!(dbm0(&heard[10_000..]), FLOOR_DBM0);
    }

    #[test]
    fn comfort_noise_sounds_until_audio_comes() {
        let mut playout = playout(Codec::Pcmu);
        let mut out = [0; 160];
        playout.on_comfort_noise(0, 0, 0, &[50]);
        for tick in 0..50 {
            playout.render(tick * 20_000, &mut out);
        }
        assert!((crate::level::dbov(&out) + 50.0).abs() < 2.0);
        playout.on_audio(1_000_000, 1, 8000, &encoded(&sine(8000, 300.0, -10.0, 160)));
        for tick in 50..54 {
            playout.render(tick * 20_000, &mut out);
            if dbm0(&out) > -12.0 {
                return;
            }
        }
        panic!("the audio was not heard");
    }

    #[test]
    fn rubbish_is_counted_and_never_stops_the_audio() {
        for codec in [Codec::Pcmu, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 8000 }] {
            let mut playout = playout(codec);
            let rubbish: Vec<u8> = noise(5, 0.0, 4000).iter().map(|s| *s as u8).collect();
            let mut out = [0; 160];
            for i in 0..2000u32 {
                let from = (i * 7 % 3000) as usize;
                let payload = &rubbish[from..from + (i % 900) as usize];
                if i % 7 == 0 {
                    playout.on_comfort_noise(u64::from(i) * 20_000, i as u16, i * 160, payload);
                } else {
                    playout.on_audio(u64::from(i) * 20_000, i as u16, i * 160, payload);
                }
                playout.render(u64::from(i) * 20_000, &mut out);
            }
            playout.render(0, &mut [0; 48_000]);
        }
    }

    #[test]
    fn opus_plays_at_8_khz() {
        let mut playout = playout(Codec::Opus);
        let mut encoder = Encoder::new(Codec::Opus, 8000, &OpusConfig::default()).expect("an encoder");
        let tone = sine(8000, 500.0, -12.0, 8000);
        let mut heard = Vec::new();
        for (i, frame) in tone.chunks(160).enumerate() {
            let (mut payload, mut out) = ([0; 1000], [0; 160]);
            let n = encoder.encode(frame, &mut payload).expect("encodes");
            playout.on_audio(i as u64 * 20_000, i as u16, i as u32 * 960, &payload[..n]);
            playout.render(i as u64 * 20_000, &mut out);
            heard.extend(out);
        }
        assert!((dbm0(&heard[2000..]) + 12.0).abs() < 0.5, "{}", dbm0(&heard[2000..]));
    }
}
