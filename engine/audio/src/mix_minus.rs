//! What one listener hears of several voices, at its own rate and packet time: a mix without its own voice.
//!
//! The listener may be sent one of the voices by a shorter way (the packets as they come) and be taken over into the mix and
//! back without a click: the mix is shown what goes that way, begins where it was and ends where it will go on.

use crate::codec::{Codec, CodecError, Decoder, Encoder, OpusConfig};
use crate::dtmf::KeyFilter;
use crate::jitter::JitterConfig;
use crate::mix::{Mixer, blend};
use crate::packetise::{Packetiser, Payload, possible_ptime};
use crate::playout::Playout;
use crate::resample::Resampler;

/// The mix of one listener.
pub struct MixMinus {
    voices: Vec<Voice>,
    mixer: Mixer,
    encoder: Encoder,
    ptime_ms: u32,
    /// One packet time of the mix, and room for it on the way there.
    frame: Box<[i16]>,
    scratch: Box<[i16]>,
    direct: Direct,
    /// Whether the next frame goes on from where the short way was left.
    takes_over: bool,
}

/// One party that is heard.
struct Voice {
    playout: Playout,
    filter: Option<Box<KeyFilter>>,
    resampler: Resampler,
    /// Present loudness, and the one that it is on its way to.
    gain: f32,
    wanted: f32,
}

/// What the listener hears by the short way.
struct Direct {
    decoder: Decoder,
    samples: Box<[i16]>,
}

impl MixMinus {
    /// A mix of voices in these codecs for a listener with `codec` and `ptime_ms`; `opus` is how Opus is made for it. All voices are
    /// inaudible at first.
    ///
    /// The packet time is shortened as by [`Packetiser::new`].
    ///
    /// # Errors
    /// `Unsupported` if a codec, rate or packet time is not to be had.
    pub fn new(codec: Codec, ptime_ms: u32, opus: &OpusConfig, voices: &[Codec]) -> Result<Self, CodecError> {
        let ptime_ms = possible_ptime(codec, ptime_ms).ok_or(CodecError::Unsupported)?;
        let best_hz = voices.iter().map(|voice| voice.sample_rate_hz()).max().unwrap_or(8_000);
        let encoder = Encoder::new(codec, best_hz, opus)?;
        let rate_hz = encoder.rate_hz();
        let decoder = Decoder::new(codec, rate_hz)?;
        if decoder.rate_hz() != rate_hz {
            return Err(CodecError::Unsupported);
        }
        let frame = rate_hz as usize * ptime_ms as usize / 1_000;
        let longest = rate_hz as usize * LONGEST_MS / 1_000;
        let voices = voices.iter().map(|voice| Voice::new(*voice, rate_hz)).collect::<Result<_, _>>()?;
        Ok(Self {
            voices,
            mixer: Mixer::new(frame),
            encoder,
            ptime_ms,
            frame: vec![0; frame].into(),
            scratch: vec![0; MAX_HZ * LONGEST_MS / 1_000].into(),
            direct: Direct { decoder, samples: vec![0; longest].into() },
            takes_over: false,
        })
    }

    /// Packet time of the listener.
    #[must_use]
    pub const fn ptime_ms(&self) -> u32 {
        self.ptime_ms
    }

    /// Makes a voice audible or not, within 10 ms.
    ///
    /// # Panics
    /// When there is no such voice, as in the other functions that name one.
    pub fn set_audible(&mut self, voice: usize, audible: bool) {
        self.voices[voice].wanted = if audible { 1.0 } else { 0.0 };
    }

    /// Takes the keys out of a voice (see [`KeyFilter`]), which is heard later by that.
    ///
    /// # Errors
    /// `Unsupported` if the voice's rate has no such filter.
    pub fn filter_keys(&mut self, voice: usize) -> Result<(), CodecError> {
        let voice = &mut self.voices[voice];
        let filter = KeyFilter::new(voice.playout.rate_hz()).ok_or(CodecError::Unsupported)?;
        voice.filter = Some(Box::new(filter));
        Ok(())
    }

    /// Takes a packet of a voice that arrived at `now_us`.
    pub fn on_audio(&mut self, voice: usize, now_us: u64, seq: u16, ts: u32, payload: &[u8]) {
        self.voices[voice].playout.on_audio(now_us, seq, ts, payload);
    }

    /// Takes a comfort noise packet (RFC 3389) of a voice that arrived at `now_us`.
    pub fn on_comfort_noise(&mut self, voice: usize, now_us: u64, seq: u16, ts: u32, payload: &[u8]) {
        self.voices[voice].playout.on_comfort_noise(now_us, seq, ts, payload);
    }

    /// Shows a payload, in the listener's codec, of the short way: whether it is sent or not.
    pub fn on_direct(&mut self, payload: &[u8]) {
        self.direct.decode(payload);
    }

    /// The listener is sent the mix from the next tick on.
    pub fn take_over(&mut self) {
        self.takes_over = true;
    }

    /// Tells Opus what loss in percent the listener reports (see [`Encoder::expect_loss`]).
    pub fn expect_loss(&mut self, percent: u8) {
        self.encoder.expect_loss(percent);
    }

    /// Goes on where another encoder has stopped (see [`Encoder::go_on_with`]).
    pub fn go_on_with(&mut self, encoder: Encoder) {
        self.encoder.go_on_with(encoder);
    }

    /// The encoder as it stopped.
    #[must_use]
    pub fn into_encoder(self) -> Encoder {
        self.encoder
    }

    /// The payload of this tick, in `out`; empty if there is nothing to send (Opus in silence). Call it once every
    /// [`Self::ptime_ms`], also while the short way is used.
    ///
    /// # Errors
    /// `TooShort` if `out` has less room than [`Packetiser::MAX_PAYLOAD`].
    pub fn tick(&mut self, now_us: u64, out: &mut [u8]) -> Result<Payload, CodecError> {
        let len = self.frame.len();
        self.mix(now_us, len);
        if std::mem::take(&mut self.takes_over) {
            let Self { direct, frame, scratch, encoder, .. } = self;
            let fade = fade_len(encoder.rate_hz()).min(len);
            let before = &mut scratch[..fade];
            direct.decoder.conceal(before);
            blend(before, &mut frame[..fade]);
        }
        let room = out.len().min(Packetiser::MAX_PAYLOAD);
        let duration_ts = self.encoder.codec().ptime_ts(self.ptime_ms);
        self.encoder.encode(&self.frame, &mut out[..room]).map(|len| Payload { len, duration_ts })
    }

    /// The first payload of the short way after the mix, blended with what the mix would have gone on with, in `out`. Returns
    /// its length; none when the codec cannot carry it in one packet: send it as it came.
    ///
    /// `payload` is one that [`Self::on_direct`] is not shown.
    pub fn hand_back(&mut self, now_us: u64, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        let samples = self.direct.decode(payload);
        let fade = fade_len(self.encoder.rate_hz()).min(self.frame.len());
        if samples < fade {
            return None;
        }
        self.mix(now_us, fade);
        blend(&self.frame[..fade], &mut self.direct.samples[..fade]);
        let room = out.len().min(Packetiser::MAX_PAYLOAD);
        let len = self.encoder.encode(&self.direct.samples[..samples], &mut out[..room]).ok()?;
        (len > 0).then_some(len)
    }

    /// Renders the next samples of every voice and adds them up in `frame`.
    fn mix(&mut self, now_us: u64, samples: usize) {
        let Self { voices, mixer, frame, scratch, encoder, .. } = self;
        mixer.clear();
        for voice in voices {
            let part = &mut frame[..samples];
            voice.render(now_us, encoder.rate_hz(), scratch, part);
            mixer.add(part);
        }
        mixer.all(&mut frame[..samples]);
    }
}

impl Voice {
    fn new(codec: Codec, rate_hz: u32) -> Result<Self, CodecError> {
        let playout = Playout::new(codec, rate_hz, JitterConfig::of(codec))?;
        let resampler = Resampler::new(playout.rate_hz(), rate_hz).ok_or(CodecError::Unsupported)?;
        Ok(Self { playout, filter: None, resampler, gain: 0.0, wanted: 0.0 })
    }

    /// Fills `out`, at `rate_hz`, with what is heard of it.
    fn render(&mut self, now_us: u64, rate_hz: u32, scratch: &mut [i16], out: &mut [i16]) {
        let own_hz = self.playout.rate_hz() as usize;
        let own = &mut scratch[..out.len() * own_hz / rate_hz as usize];
        self.playout.render(now_us, own);
        if let Some(filter) = &mut self.filter {
            filter.process(own, |_| {});
        }
        if own_hz == rate_hz as usize {
            out.copy_from_slice(own);
        } else {
            let most = self.resampler.max_output(own.len());
            let wrote = self.resampler.process(own, &mut out[..most]);
            out[wrote..].fill(0);
        }
        let step = 1_000.0 / (rate_hz as f32 * FADE_MS as f32);
        for sample in out {
            if self.gain != self.wanted {
                let towards = self.wanted - self.gain;
                self.gain += towards.clamp(-step, step);
            }
            *sample = (f32::from(*sample) * self.gain) as i16;
        }
    }
}

impl Direct {
    /// Decodes a payload; returns its samples, 0 when it is none of the codec's.
    fn decode(&mut self, payload: &[u8]) -> usize {
        let wanted = self.decoder.samples_in(payload);
        match self.samples.get_mut(..wanted) {
            Some(room) => self.decoder.decode(payload, room).unwrap_or(0),
            None => 0,
        }
    }
}

const fn fade_len(rate_hz: u32) -> usize {
    rate_hz as usize * FADE_MS / 1_000
}

/// How long a voice takes to come or go, and one way to pass into the other.
const FADE_MS: usize = 10;
/// The longest packet of any codec here (RFC 6716 section 3.1).
const LONGEST_MS: usize = 120;
const MAX_HZ: usize = 48_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0;
    use crate::testing::{largest_click, power_at, sine};

    const LAW: Codec = Codec::Pcmu;

    fn encoded(samples: &[i16]) -> Vec<u8> {
        let mut payload = vec![0; samples.len()];
        crate::g711::encode_ulaw(samples, &mut payload);
        payload
    }

    fn decoded(payload: &[u8]) -> Vec<i16> {
        let mut decoder = Decoder::new(LAW, 8_000).expect("a decoder");
        let mut samples = vec![0; payload.len()];
        decoder.decode(payload, &mut samples).expect("it decodes");
        samples
    }

    /// Lets two tones of 20 ms packets through a mix; `each` is called before every tick.
    fn run(mix: &mut MixMinus, ticks: usize, mut each: impl FnMut(usize, &mut MixMinus)) -> Vec<i16> {
        let tones = [sine(8_000, 400.0, -15.0, ticks * 160), sine(8_000, 1_000.0, -15.0, ticks * 160)];
        let (mut heard, mut out) = (Vec::new(), [0; 1_400]);
        for tick in 0..ticks {
            let now_us = tick as u64 * 20_000;
            for (voice, tone) in tones.iter().enumerate() {
                let payload = encoded(&tone[tick * 160..(tick + 1) * 160]);
                mix.on_audio(voice, now_us, tick as u16, tick as u32 * 160, &payload);
            }
            each(tick, mix);
            let made = mix.tick(now_us + 1_000, &mut out).expect("room");
            heard.extend(decoded(&out[..made.len]));
        }
        heard
    }

    fn level(samples: &[i16], hz: f32) -> f32 {
        10.0 * power_at(samples, hz, 8_000).log10()
    }

    #[test]
    fn who_is_made_inaudible_is_gone_to_the_last_bit_and_nobody_hears_a_click() {
        let mut mix = MixMinus::new(LAW, 20, &OpusConfig::default(), &[LAW, LAW]).expect("a mix");
        mix.set_audible(0, true);
        let heard = run(&mut mix, 200, |tick, mix| match tick {
            50 => mix.set_audible(1, true),
            100 => mix.set_audible(1, false),
            150 => mix.set_audible(0, false),
            _ => {}
        });
        let part = |from: usize| &heard[from * 160..(from + 40) * 160];
        assert!(level(part(10), 400.0) - level(part(10), 1_000.0) > 30.0);
        assert!((level(part(55), 400.0) - level(part(55), 1_000.0)).abs() < 1.0);
        assert!(level(part(105), 400.0) - level(part(105), 1_000.0) > 30.0);
        assert_eq!(dbm0(part(155)), crate::level::FLOOR_DBM0);
        let steady = largest_click(&heard[60 * 160..90 * 160]);
        assert!(largest_click(&heard[10 * 160..]) < 1.1 * steady, "{}", largest_click(&heard[10 * 160..]));
    }

    #[test]
    fn going_from_the_packets_to_the_mix_and_back_does_not_click() {
        let mut mix = MixMinus::new(LAW, 20, &OpusConfig::default(), &[LAW]).expect("a mix");
        mix.set_audible(0, true);
        // 430 Hz: not a whole number of cycles in a packet or in the buffer's delay.
        let tone = sine(8_000, 430.0, -10.0, 300 * 160);
        let (mut heard, mut out) = (Vec::new(), [0; 1_400]);
        for (tick, part) in tone.chunks(160).enumerate() {
            let now_us = tick as u64 * 20_000;
            let payload = encoded(part);
            mix.on_audio(0, now_us, tick as u16, tick as u32 * 160, &payload);
            let mixed = (100..200).contains(&tick);
            if tick == 100 {
                mix.take_over();
            }
            if tick == 200 {
                let len = mix.hand_back(now_us, &payload, &mut out).expect("G.711 takes any length");
                heard.extend(decoded(&out[..len]));
                continue;
            }
            let made = mix.tick(now_us + 1_000, &mut out).expect("room");
            heard.extend(decoded(if mixed { &out[..made.len] } else { &payload }));
            mix.on_direct(&payload);
        }
        assert_eq!(heard.len(), tone.len());
        let steady = largest_click(&heard[..90 * 160]);
        for at in [100, 200] {
            let around = &heard[(at - 2) * 160..(at + 3) * 160];
            assert!(largest_click(around) < 1.5 * steady, "at {at}: {} {steady}", largest_click(around));
        }
    }

    #[test]
    fn every_listener_hears_every_codec_at_its_level() {
        let all = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 8_000 }];
        for listener in all {
            for voice in all {
                let mut mix =
                    MixMinus::new(listener, 20, &OpusConfig::default(), &[voice, LAW]).expect("a mix");
                mix.set_audible(0, true);
                let mut speaker =
                    Packetiser::new(8_000, voice, 20, &OpusConfig::default()).expect("a speaker");
                let mut decoder = Decoder::new(listener, 8_000).expect("a decoder");
                let (mut payload, mut out, mut pcm) = ([0; 1_400], [0; 1_400], [0; 5_760]);
                let (mut ts, mut heard) = (0, Vec::new());
                for (tick, part) in sine(8_000, 700.0, -12.0, 16_000).chunks(160).enumerate() {
                    let now_us = tick as u64 * 20_000;
                    speaker.push(part);
                    while let Some(sent) = speaker.poll(&mut payload) {
                        let sent = sent.expect("room");
                        mix.on_audio(0, now_us, tick as u16, ts, &payload[..sent.len]);
                        ts += sent.duration_ts;
                    }
                    let made = mix.tick(now_us + 1_000, &mut out).expect("room");
                    let count = decoder.decode(&out[..made.len], &mut pcm).expect("it decodes");
                    heard.extend_from_slice(&pcm[..count]);
                }
                let off = dbm0(&heard[heard.len() / 3..]) + 12.0;
                assert!(off.abs() < 0.5, "{voice:?} to {listener:?}: {off} dB");
            }
        }
    }
}
