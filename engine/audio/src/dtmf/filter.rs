//! A voice without the keys that are heard in it.

use super::{DtmfDetector, DtmfEvent};
use crate::fifo::Fifo;
use crate::resample::Resampler;

/// Takes the tones of keys out of a voice, whole, and tells which keys they were.
///
/// A tone is only known for a key after 35 ms, so that what is heard is [`KeyFilter::DELAY_MS`] old: the beginning of a tone is
/// still here when it is known. There is silence in its place, and until 35 ms after it.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    detector: DtmfDetector,
    /// To the detector's 8 kHz, and room for a chunk of it.
    narrow: Resampler,
    heard: Box<[i16]>,
    /// What is on its way, at the voice's rate.
    delayed: Fifo<i16>,
    /// Samples of a chunk, the step in which tones are looked for.
    chunk: usize,
    keys: Keys,
}

/// Where the newest sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    Speech,
    Tone,
    /// The first chunk after a tone, which fades in.
    After,
}

impl KeyFilter {
    /// How much later a voice is heard through it.
    pub const DELAY_MS: u32 = 45;

    /// A filter for a voice at a rate in Hz; none for a rate that no codec has.
    #[must_use]
    pub fn new(rate_hz: u32) -> Option<Self> {
        let narrow = Resampler::new(rate_hz, NARROW_HZ).filter(|_| rate_hz >= NARROW_HZ)?;
        let chunk = (rate_hz * CHUNK_MS / 1_000) as usize;
        let delay = (rate_hz * Self::DELAY_MS / 1_000) as usize;
        let mut delayed = Fifo::new(3 * (delay + chunk));
        delayed.space(delay);
        Some(Self {
            detector: DtmfDetector::default(),
            heard: vec![0; narrow.max_output(chunk)].into(),
            narrow,
            delayed,
            chunk,
            keys: Keys::Speech,
        })
    }

    /// Puts what is to be heard in the place of `samples`; `on_event` hears of each key.
    pub fn process(&mut self, samples: &mut [i16], mut on_event: impl FnMut(DtmfEvent)) {
        for chunk in samples.chunks_mut(self.chunk) {
            let heard = self.narrow.process(chunk, &mut self.heard);
            let mut pressed = false;
            let keys = &mut self.keys;
            self.detector.push(&self.heard[..heard], |event| {
                match event {
                    DtmfEvent::Pressed { .. } => (pressed, *keys) = (true, Keys::Tone),
                    DtmfEvent::Released { .. } => *keys = Keys::After,
                }
                on_event(event);
            });
            if pressed {
                self.silence_delayed();
            }
            let newest = self.delayed.space(chunk.len());
            match self.keys {
                Keys::Speech => newest.copy_from_slice(chunk),
                Keys::Tone => {}
                Keys::After => {
                    newest.copy_from_slice(chunk);
                    fade(newest, true);
                    self.keys = Keys::Speech;
                }
            }
            // As many went in as come out, and a delay's worth was there.
            self.delayed.pop(chunk);
        }
    }

    /// The tone began somewhere in what is on its way.
    fn silence_delayed(&mut self) {
        let all = self.delayed.len();
        let mut edge = vec![0; self.chunk.min(all)];
        self.delayed.pop(&mut edge);
        fade(&mut edge, false);
        self.delayed.clear();
        self.delayed.push(&edge);
        self.delayed.space(all - edge.len());
    }
}

/// Lets samples come in or go out over their length.
fn fade(samples: &mut [i16], comes: bool) {
    let len = samples.len() as f32;
    for (at, sample) in samples.iter_mut().enumerate() {
        let share = (at as f32 + 0.5) / len;
        *sample = (f32::from(*sample) * if comes { share } else { 1.0 - share }) as i16;
    }
}

const NARROW_HZ: u32 = 8_000;
/// The detector's own step.
const CHUNK_MS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{FLOOR_DBM0, dbm0};
    use crate::testing::{add, noise, speech_8k, speech_16k};
    use crate::tones::{ToneSource, dtmf};

    const RATES_HZ: [u32; 4] = [8_000, 16_000, 44_100, 48_000];

    fn key(key: char, on_ms: u32, level_dbm0: f32, rate_hz: u32) -> Vec<i16> {
        let mut out = vec![0; (rate_hz * on_ms / 1_000) as usize];
        ToneSource::new(&dtmf(key, on_ms, 0, level_dbm0).expect("a key"), rate_hz).render(&mut out);
        out
    }

    /// What is heard of a signal taken in frames, and the keys.
    fn through(signal: &[i16], rate_hz: u32, frame_ms: u32) -> (Vec<i16>, Vec<DtmfEvent>) {
        let mut filter = KeyFilter::new(rate_hz).expect("a filter");
        let (mut heard, mut events) = (signal.to_vec(), Vec::new());
        for frame in heard.chunks_mut((rate_hz * frame_ms / 1_000) as usize) {
            filter.process(frame, |event| events.push(event));
        }
        (heard, events)
    }

    #[test]
    fn speech_is_only_delayed() {
        for (rate_hz, speech) in [(8_000, speech_8k()), (16_000, speech_16k())] {
            for frame_ms in [10, 20, 60] {
                let (heard, events) = through(&speech, rate_hz, frame_ms);
                let delay = (rate_hz / 1_000 * KeyFilter::DELAY_MS) as usize;
                assert_eq!(heard[delay..], speech[..speech.len() - delay], "{rate_hz} Hz, {frame_ms} ms");
                assert_eq!(events, []);
            }
        }
    }

    #[test]
    fn nothing_of_a_key_is_heard_whenever_it_begins_and_however_long_it_lasts() {
        for rate_hz in RATES_HZ {
            let ms = |ms: u32| vec![0; (rate_hz * ms / 1_000) as usize];
            for begins_at in [0, 3, 7, 13, 20, 39] {
                for on_ms in [40, 50, 85, 100, 1_000] {
                    for level_dbm0 in [-4.0, -7.0, -20.0, -30.0] {
                        let signal =
                            [ms(100 + begins_at), key('5', on_ms, level_dbm0, rate_hz), ms(200)].concat();
                        let (heard, events) = through(&signal, rate_hz, 20);
                        let case = format!("{rate_hz} Hz, at {begins_at}, {on_ms} ms, {level_dbm0} dBm0");
                        assert_eq!(dbm0(&heard), FLOOR_DBM0, "{case}");
                        assert_eq!(events[0], DtmfEvent::Pressed { key: '5' }, "{case}");
                        assert_eq!(events.len(), 2, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn keys_in_noise_are_silent_and_the_noise_comes_back_after_each() {
        let mut signal = noise(9, -45.0, 8_000);
        for (nth, digit) in ['1', '9', '#', 'D'].into_iter().enumerate() {
            let at = 800 + nth * 1_600;
            let mixed = add(&signal[at..at + 800], &key(digit, 100, -10.0, 8_000));
            signal[at..at + 800].copy_from_slice(&mixed);
        }
        let (heard, events) = through(&signal, 8_000, 20);
        assert_eq!(events.len(), 8);
        assert!(dbm0(&heard) < -45.0, "{}", dbm0(&heard));
        let again = KeyFilter::new(8_000).map(|mut filter| {
            let mut heard = heard.clone();
            filter.process(&mut heard, |event| panic!("{event:?} is still there"));
        });
        assert!(again.is_some());
        let pause = &heard[800 + 360 + 800 + 400..][..300];
        assert!((dbm0(pause) + 45.0).abs() < 2.0, "{}", dbm0(pause));
    }

    #[test]
    fn impossible_rates_are_refused() {
        assert!(KeyFilter::new(0).is_none());
        assert!(KeyFilter::new(7_999).is_none());
    }
}
