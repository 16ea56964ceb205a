//! Call progress detection: who or what has answered, from the audio alone, as it streams.
//!
//! Every 10 ms a spectrum of the last 32 ms says whether a tone sounds, and which. Tones go to the recognisers of
//! beeps, fax, special information tones and cadences; the rest goes to the word counter that tells a person's short
//! greeting from a machine's long one. It runs beside a spliced call and delays nothing.

mod amd;
mod background;
mod cadence;
mod fft;
mod parameters;
mod sit;
mod spectrum;
mod tone;

pub use amd::{AmdCause, AmdConfig, AmdVerdict};
pub use parameters::ToneConfig;
pub use sit::SitCause;

use amd::{Amd, Hop};
use cadence::{Cadence, CadenceTracker};
use sit::SitTracker;
use spectrum::SpectrumAnalyser;
use tone::{Tone, ToneChange, ToneTracker};

/// What a detector finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CpdEvent {
    /// Person, machine or not sure, once per call.
    Verdict(AmdVerdict),
    /// A machine's beep has ended: time to leave a message.
    Beep {
        /// Its frequency.
        frequency_hz: f32,
        /// How long it was.
        duration_ms: u32,
    },
    /// A fax answers: 2100 Hz (CED, ITU-T V.25 and T.30).
    FaxAnswer,
    /// A fax calls: 1100 Hz (CNG, T.30).
    FaxCalling,
    /// A special information tone.
    Sit(SitCause),
    /// Busy.
    Busy,
    /// Reorder, or congestion. Some networks use the same fast cadence for busy.
    Reorder,
    /// The called phone still rings.
    Ringback,
    /// Dial tone: the far end has hung up, or never was called.
    DialTone,
}

/// Parameters of a [`CallProgressDetector`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpdConfig {
    /// Person or machine.
    pub amd: AmdConfig,
    /// Beep, fax, special information and call progress tones.
    pub tones: ToneConfig,
}

/// Listens to one party from the moment of answer, or before for ringback and network tones.
#[derive(Clone, Debug)]
pub struct CallProgressDetector {
    config: ToneConfig,
    spectrum: SpectrumAnalyser,
    tones: ToneTracker,
    amd: Amd,
    sit: SitTracker,
    cadence: CadenceTracker,
    now_ms: u32,
    /// How much of the time since the last tone was lost.
    unheard_ms: u32,
    /// A tone that may be a beep, when it ended and whether it was followed at once by another.
    beep: Option<(Tone, u32)>,
    /// When the last burst of 1100 Hz ended.
    cng_end_ms: Option<u32>,
    /// A tone has told what this is: no machine that beeps.
    told: bool,
    fax_reported: bool,
    dial_reported: bool,
}

impl Default for CallProgressDetector {
    fn default() -> Self {
        Self::new(CpdConfig::default())
    }
}

impl CallProgressDetector {
    /// A detector whose time starts now.
    #[must_use]
    pub fn new(config: CpdConfig) -> Self {
        Self {
            spectrum: SpectrumAnalyser::default(),
            tones: ToneTracker::new(config.tones.min_level_dbm0),
            amd: Amd::new(config.amd),
            sit: SitTracker::default(),
            cadence: CadenceTracker::default(),
            now_ms: 0,
            unheard_ms: 0,
            beep: None,
            cng_end_ms: None,
            told: false,
            fax_reported: false,
            dial_reported: false,
            config: config.tones,
        }
    }

    /// Time listened, in ms.
    #[must_use]
    pub const fn now_ms(&self) -> u32 {
        self.now_ms
    }

    /// The verdict on person or machine, once there is one.
    #[must_use]
    pub const fn verdict(&self) -> Option<AmdVerdict> {
        self.amd.verdict()
    }

    /// Takes samples at 8 kHz, any number; `on_event` hears of each finding.
    pub fn push(&mut self, samples: &[i16], on_event: impl FnMut(CpdEvent)) {
        self.take(samples, false, on_event);
    }

    /// Takes samples that stand in for lost ones (see [`Playout::concealed`](crate::playout::Playout::concealed)): what
    /// sounded before may go on, and for 300 ms is not taken to be over.
    pub fn push_concealed(&mut self, samples: &[i16], on_event: impl FnMut(CpdEvent)) {
        self.take(samples, true, on_event);
    }

    fn take(&mut self, samples: &[i16], concealed: bool, mut on_event: impl FnMut(CpdEvent)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (used, frame) = self.spectrum.push(rest, concealed);
            rest = &rest[used..];
            if let Some(frame) = frame {
                self.on_frame(&frame, &mut on_event);
            }
        }
    }

    fn on_frame(&mut self, frame: &spectrum::Frame, on_event: &mut impl FnMut(CpdEvent)) {
        self.now_ms += spectrum::HOP_MS;
        let change = self.tones.on_frame(frame);
        let sounding = self.tones.sounding();
        match change {
            Some(ToneChange::Began) => self.amd.take_back(tone::CONFIRM_MS),
            Some(ToneChange::Ended(tone)) if tone.steady => {
                self.amd.on_tone_end();
                self.on_tone(tone, on_event);
            }
            Some(ToneChange::Ended(vowel)) => self.amd.give_back(vowel.duration_ms),
            None => {}
        }
        if let Some(tone) = sounding {
            self.on_sounding(tone, on_event);
        }
        let pause_ms = if sounding.is_some() { 0 } else { self.now_ms - self.tones.last_end_ms() };
        if frame.blurred {
            self.unheard_ms = (self.unheard_ms + spectrum::HOP_MS).min(tone::MAX_LOSS_MS);
        }
        self.on_pause(pause_ms, on_event);
        let rings = sounding.is_some_and(|t| t.is_progress()) || self.cadence.rings(pause_ms);
        let hop = Hop {
            magnitude: frame.magnitude,
            pitch: (!frame.blurred).then_some(frame.first.share),
            tone: sounding.is_some(),
            concealed: frame.concealed,
        };
        if let Some(verdict) = self.amd.on_hop(hop, rings) {
            on_event(CpdEvent::Verdict(verdict));
        }
    }

    /// A tone has ended.
    fn on_tone(&mut self, tone: Tone, on_event: &mut impl FnMut(CpdEvent)) {
        let end_ms = self.tones.last_end_ms();
        self.unheard_ms = tone.lost_ms / 2;
        // Another tone before this one was done: it was no beep on its own.
        let alone = self.beep.take().is_none();
        if let Some(cause) = self.sit.on_tone(&tone, end_ms, &self.config) {
            if self.config.sit {
                self.tell(CpdEvent::Sit(cause), on_event);
            }
            return;
        }
        if self.is_calling_fax(&tone, end_ms) {
            self.tell_fax(CpdEvent::FaxCalling, on_event);
            return;
        }
        if tone.is_progress() {
            if let Some(cadence) = self.cadence.on_burst(&tone, end_ms, &self.config) {
                self.report_cadence(cadence, on_event);
                return;
            }
            if !self.amd.voice_heard() {
                return;
            }
        }
        if alone && !self.told && self.is_beep(&tone) {
            self.beep = Some((tone, end_ms));
        }
    }

    /// A tone goes on.
    fn on_sounding(&mut self, tone: Tone, on_event: &mut impl FnMut(CpdEvent)) {
        if self.is_answering_fax(&tone) && tone.duration_ms >= self.config.fax_answer_min_ms {
            self.tell_fax(CpdEvent::FaxAnswer, on_event);
        }
        if tone.is_progress() && tone.duration_ms >= self.config.dial_min_ms && !self.dial_reported {
            self.dial_reported = true;
            self.tell(CpdEvent::DialTone, on_event);
        }
        if self.beep.is_some_and(|(_, end_ms)| tone.earliest_ms <= end_ms + SIT_MAX_GAP_MS) {
            self.beep = None;
        }
    }

    /// No tone sounds, for `pause_ms` so far.
    fn on_pause(&mut self, pause_ms: u32, on_event: &mut impl FnMut(CpdEvent)) {
        // What followed at once may have been lost.
        if pause_ms > BEEP_ALONE_MS + self.unheard_ms
            && let Some((tone, _)) = self.beep.take()
        {
            if self.amd.verdict().is_none() && self.amd.voice_heard() {
                let verdict = self.amd.decide(AmdVerdict::Machine(AmdCause::Beep));
                on_event(CpdEvent::Verdict(verdict));
            }
            on_event(CpdEvent::Beep { frequency_hz: tone.frequency_hz, duration_ms: tone.duration_ms });
        }
        let voice = self.amd.voice_heard();
        if let Some(cadence) = self.cadence.on_pause(pause_ms, voice, &self.config) {
            self.report_cadence(cadence, on_event);
        }
    }

    /// Whether it can be a machine's beep.
    fn is_beep(&self, tone: &Tone) -> bool {
        let config = &self.config;
        let hz = tone.frequency_hz.round() as u32;
        let fits = config.beep_hz.contains(&hz) && tone.lasts(&config.beep_ms);
        !tone.dual && fits && !self.is_answering_fax(tone)
    }

    fn is_answering_fax(&self, tone: &Tone) -> bool {
        self.config.fax && is_near(tone.frequency_hz, CED_HZ, 25.0) && !tone.dual
    }

    fn is_calling_fax(&mut self, tone: &Tone, end_ms: u32) -> bool {
        let fits = is_near(tone.frequency_hz, CNG_HZ, 40.0) && tone.lasts(&self.config.fax_calling_ms);
        if !self.config.fax || tone.dual || !fits {
            return false;
        }
        let before = self.cng_end_ms.replace(end_ms);
        // After speech, one such burst may be a machine's beep; two, 3.5 s apart, are a fax.
        !self.amd.voice_heard() || before.is_some_and(|b| (3000..=4000).contains(&(end_ms - b)))
    }

    /// A tone says what this is.
    fn tell(&mut self, event: CpdEvent, on_event: &mut impl FnMut(CpdEvent)) {
        self.told = true;
        self.amd.cancel();
        on_event(event);
    }

    fn tell_fax(&mut self, event: CpdEvent, on_event: &mut impl FnMut(CpdEvent)) {
        if !self.fax_reported {
            self.fax_reported = true;
            self.tell(event, on_event);
        }
    }

    fn report_cadence(&mut self, cadence: Cadence, on_event: &mut impl FnMut(CpdEvent)) {
        match cadence {
            Cadence::Ringback => on_event(CpdEvent::Ringback),
            Cadence::Busy => self.tell(CpdEvent::Busy, on_event),
            Cadence::Reorder => self.tell(CpdEvent::Reorder, on_event),
        }
    }
}

fn is_near(hz: f32, nominal_hz: f32, tolerance_hz: f32) -> bool {
    (hz - nominal_hz).abs() <= tolerance_hz
}

const CED_HZ: f32 = 2100.0;
const CNG_HZ: f32 = 1100.0;
/// A special information tone's next part begins within this time.
const SIT_MAX_GAP_MS: u32 = 60;
/// Two lost packets may hide its beginning.
const BEEP_ALONE_MS: u32 = 120;

#[cfg(test)]
mod tests;
