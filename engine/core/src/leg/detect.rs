//! What listens to a leg: its received audio, played out beside the way to its partner, and the detectors of call progress
//! and keys.

use offhook_audio::codec::CodecError;
use offhook_audio::cpd::{
    AmdCause, AmdConfig, AmdVerdict, CallProgressDetector, CpdConfig, CpdEvent, SitCause, ToneConfig,
};
use offhook_audio::dtmf::{DtmfDetector, DtmfEvent};
use offhook_audio::jitter::JitterConfig;
use offhook_audio::playout::Playout;
use offhook_audio::resample::Resampler;
use offhook_proto::{
    AmdParameters, Codec, DetectStart, DetectWhat, DetectedCause, DetectedKind, ToneParameters,
};

use super::encoding::audio_codec;
use crate::Time;

/// One detection on one leg.
pub(crate) struct Detect {
    started: Time,
    ears: Ears,
    progress: Option<Progress>,
    keys: Option<Box<DtmfDetector>>,
    presses: Presses,
    next_tick: Time,
    /// Samples at 8 kHz, one tick of them.
    samples: Box<[i16]>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: DetectedKind,
    pub(crate) cause: Option<DetectedCause>,
    pub(crate) frequency_hz: Option<u32>,
    pub(crate) duration_ms: Option<u32>,
}

/// What a tick tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Finding(Finding),
    Key { key: char, duration_ms: u32 },
}

/// The received stream as samples.
struct Ears {
    codec: Codec,
    playout: Playout,
    /// From the decoder's rate to 8 kHz, and what it is given.
    narrow: Option<(Resampler, Box<[i16]>)>,
}

struct Progress {
    detector: Box<CallProgressDetector>,
    amd: bool,
    tones: bool,
}

impl Detect {
    /// A detection that has heard nothing, whose ticks begin at `first_tick`.
    ///
    /// # Errors
    /// When the codec library cannot decode what the leg receives.
    pub(crate) fn new(
        now: Time,
        first_tick: Time,
        codec: Codec,
        wanted: &DetectStart,
    ) -> Result<Self, CodecError> {
        let listens = |what| wanted.what.contains(&what);
        let (amd, tones) = (listens(DetectWhat::Amd), listens(DetectWhat::Tones));
        let config = CpdConfig { amd: amd_config(&wanted.amd), tones: tone_config(&wanted.tones) };
        Ok(Self {
            started: now,
            ears: Ears::new(codec)?,
            progress: (amd || tones).then(|| Progress {
                detector: Box::new(CallProgressDetector::new(config)),
                amd,
                tones,
            }),
            keys: listens(DetectWhat::Dtmf).then(Box::default),
            presses: Presses::default(),
            next_tick: first_tick,
            samples: vec![0; samples_of(TICK_US, NARROW_HZ)].into(),
        })
    }

    /// When the next samples are listened to.
    pub(crate) fn next_tick(&self) -> Time {
        self.next_tick
    }

    /// Milliseconds that it has been listening.
    pub(crate) fn age_ms(&self, now: Time) -> u64 {
        now.since(self.started) / 1_000
    }

    /// Takes a packet of audio.
    pub(crate) fn on_audio(&mut self, now: Time, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) {
        self.presses.audio_of = Some(ssrc);
        self.ears.playout.on_audio(now.0, sequence, timestamp, payload);
    }

    /// Takes a packet of comfort noise.
    pub(crate) fn on_noise(&mut self, now: Time, sequence: u16, timestamp: u32, payload: &[u8]) {
        self.ears.playout.on_comfort_noise(now.0, sequence, timestamp, payload);
    }

    /// Takes note of a telephone-event.
    pub(crate) fn on_event(&mut self, ssrc: u32) {
        self.presses.events_of = Some(ssrc);
    }

    /// Whether a key that was told by telephone-events was told before, from the audio.
    pub(crate) fn has_told(&mut self, now: Time, key: char) -> bool {
        self.presses
            .heard
            .take()
            .is_some_and(|(heard, at)| heard == key && now.since(at) < TOLD_TWICE_WITHIN_US)
    }

    /// Follows a change of what the leg receives. An encoding that cannot be decoded is silence.
    pub(crate) fn follow(&mut self, codec: Codec) {
        if self.ears.codec != codec
            && let Ok(ears) = Ears::new(codec)
        {
            self.ears = ears;
        }
    }

    /// Listens to what is due, `tell` hears what is found in it.
    pub(crate) fn tick(&mut self, now: Time, mut tell: impl FnMut(Told)) {
        let due = 1 + now.since(self.next_tick) / TICK_US;
        // After a longer standstill, what was missed is left out.
        for _ in 0..due.min(TICKS_AT_ONCE) {
            self.ears.listen(now, &mut self.samples);
            if let Some(progress) = &mut self.progress {
                let concealed = self.ears.playout.concealed();
                progress.push(&self.samples, concealed, |finding| tell(Told::Finding(finding)));
            }
            if let Some(keys) = &mut self.keys {
                keys.push(&self.samples, |event| {
                    let DtmfEvent::Released { key, duration_ms } = event else { return };
                    if self.presses.tells(now, key) {
                        tell(Told::Key { key, duration_ms });
                    }
                });
            }
        }
        self.next_tick = self.next_tick + due * TICK_US;
    }
}

/// Keys come as telephone-events, in the audio, or both ways at once: each is told once.
#[derive(Clone, Copy, Debug, Default)]
struct Presses {
    /// SSRC of the last audio, and of the last telephone-event. Who sends events sends them for every key.
    audio_of: Option<u32>,
    events_of: Option<u32>,
    /// The last key told from the audio, and when: its event may have been late.
    heard: Option<(char, Time)>,
}

impl Presses {
    /// Whether a key heard in the audio is to be told.
    fn tells(&mut self, now: Time, key: char) -> bool {
        let tells = self.events_of.is_none() || self.events_of != self.audio_of;
        if tells {
            self.heard = Some((key, now));
        }
        tells
    }
}

impl Ears {
    fn new(codec: Codec) -> Result<Self, CodecError> {
        let audio = audio_codec(codec);
        let playout = Playout::new(audio, NARROW_HZ, JitterConfig::of(audio))?;
        let rate_hz = playout.rate_hz();
        let narrow = (rate_hz != NARROW_HZ)
            .then(|| Resampler::new(rate_hz, NARROW_HZ).ok_or(CodecError::Unsupported))
            .transpose()?
            .map(|resampler| (resampler, vec![0; samples_of(TICK_US, rate_hz)].into()));
        Ok(Self { codec, playout, narrow })
    }

    /// Fills `out` with the next samples at 8 kHz; silence where a resampler still fills.
    fn listen(&mut self, now: Time, out: &mut [i16]) {
        let Some((resampler, wide)) = &mut self.narrow else { return self.playout.render(now.0, out) };
        self.playout.render(now.0, wide);
        let made = resampler.process(wide, out);
        out[made..].fill(0);
    }
}

impl Progress {
    /// Takes samples, which may be `concealed`: some stand in for lost audio.
    fn push(&mut self, samples: &[i16], concealed: bool, mut tell: impl FnMut(Finding)) {
        let (amd, tones) = (self.amd, self.tones);
        let on_event = |event| {
            let wanted = match event {
                CpdEvent::Verdict(_) | CpdEvent::Beep { .. } => amd,
                CpdEvent::FaxAnswer
                | CpdEvent::FaxCalling
                | CpdEvent::Sit(_)
                | CpdEvent::Busy
                | CpdEvent::Reorder
                | CpdEvent::Ringback
                | CpdEvent::DialTone => tones,
            };
            if wanted {
                tell(finding(event));
            }
        };
        if concealed {
            self.detector.push_concealed(samples, on_event);
        } else {
            self.detector.push(samples, on_event);
        }
    }
}

fn finding(event: CpdEvent) -> Finding {
    let (kind, cause) = match event {
        CpdEvent::Verdict(AmdVerdict::Human(cause)) => (DetectedKind::Person, Some(amd_cause(cause))),
        CpdEvent::Verdict(AmdVerdict::Machine(cause)) => (DetectedKind::Machine, Some(amd_cause(cause))),
        CpdEvent::Verdict(AmdVerdict::NotSure(cause)) => (DetectedKind::NotSure, Some(amd_cause(cause))),
        CpdEvent::Beep { frequency_hz, duration_ms } => {
            return Finding {
                kind: DetectedKind::Beep,
                cause: None,
                frequency_hz: Some(frequency_hz.round() as u32),
                duration_ms: Some(duration_ms),
            };
        }
        CpdEvent::FaxAnswer => (DetectedKind::Fax, Some(DetectedCause::FaxAnswer)),
        CpdEvent::FaxCalling => (DetectedKind::Fax, Some(DetectedCause::FaxCalling)),
        CpdEvent::Sit(cause) => (DetectedKind::Sit, Some(sit_cause(cause))),
        CpdEvent::Busy => (DetectedKind::Busy, None),
        CpdEvent::Reorder => (DetectedKind::Reorder, None),
        CpdEvent::Ringback => (DetectedKind::Ringback, None),
        CpdEvent::DialTone => (DetectedKind::DialTone, None),
    };
    Finding { kind, cause, frequency_hz: None, duration_ms: None }
}

fn amd_cause(cause: AmdCause) -> DetectedCause {
    match cause {
        AmdCause::ShortGreeting => DetectedCause::ShortGreeting,
        AmdCause::InitialSilence => DetectedCause::InitialSilence,
        AmdCause::LongGreeting => DetectedCause::LongGreeting,
        AmdCause::TooManyWords => DetectedCause::TooManyWords,
        AmdCause::LongWord => DetectedCause::LongWord,
        AmdCause::Beep => DetectedCause::Beep,
        AmdCause::TooLong => DetectedCause::TooLong,
    }
}

fn sit_cause(cause: SitCause) -> DetectedCause {
    match cause {
        SitCause::Intercept => DetectedCause::Intercept,
        SitCause::VacantCode => DetectedCause::VacantCode,
        SitCause::ReorderIntra => DetectedCause::ReorderIntra,
        SitCause::ReorderInter => DetectedCause::ReorderInter,
        SitCause::NoCircuitIntra => DetectedCause::NoCircuitIntra,
        SitCause::NoCircuitInter => DetectedCause::NoCircuitInter,
        SitCause::IneffectiveOther => DetectedCause::IneffectiveOther,
        SitCause::Reserved => DetectedCause::Reserved,
        SitCause::Unspecified => DetectedCause::Unspecified,
    }
}

fn amd_config(wanted: &AmdParameters) -> AmdConfig {
    AmdConfig {
        initial_silence_ms: wanted.initial_silence_ms,
        greeting_ms: wanted.greeting_ms,
        after_greeting_silence_ms: wanted.after_greeting_silence_ms,
        total_analysis_time_ms: wanted.total_analysis_time_ms,
        min_word_length_ms: wanted.min_word_length_ms,
        maximum_word_length_ms: wanted.maximum_word_length_ms,
        between_words_silence_ms: wanted.between_words_silence_ms,
        maximum_number_of_words: wanted.maximum_number_of_words,
        silence_threshold: wanted.silence_threshold,
    }
}

fn tone_config(wanted: &ToneParameters) -> ToneConfig {
    ToneConfig {
        min_level_dbm0: wanted.min_level_dbm0,
        beep_hz: wanted.beep_min_hz..=wanted.beep_max_hz,
        beep_ms: wanted.beep_min_ms..=wanted.beep_max_ms,
        fax: wanted.fax,
        fax_answer_min_ms: wanted.fax_answer_min_ms,
        fax_calling_ms: wanted.fax_calling_min_ms..=wanted.fax_calling_max_ms,
        sit: wanted.sit,
        sit_part_ms: wanted.sit_part_min_ms..=wanted.sit_part_max_ms,
        sit_long_ms: wanted.sit_long_ms,
        dial_min_ms: wanted.dial_min_ms,
        busy_ms: wanted.busy_min_ms..=wanted.busy_max_ms,
        reorder_ms: wanted.reorder_min_ms..=wanted.reorder_max_ms,
        ringback_ms: wanted.ringback_min_ms..=wanted.ringback_max_ms,
        ringback_pause_ms: wanted.ringback_pause_ms,
    }
}

const fn samples_of(us: u64, rate_hz: u32) -> usize {
    (us * rate_hz as u64 / 1_000_000) as usize
}

impl std::fmt::Debug for Detect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detect(next at {} µs)", self.next_tick.0)
    }
}

/// How much is listened to at once.
pub(crate) const TICK_US: u64 = 20_000;
const TICKS_AT_ONCE: u64 = 5;
const NARROW_HZ: u32 = 8_000;
/// An event that comes so long after its tone is still that tone's: its first packets may have been lost.
const TOLD_TWICE_WITHIN_US: u64 = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_protocol_are_those_of_the_detector() {
        assert_eq!(amd_config(&AmdParameters::default()), AmdConfig::default());
        assert_eq!(tone_config(&ToneParameters::default()), ToneConfig::default());
    }
}
