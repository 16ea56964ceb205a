//! Tones and keys, rendered and encoded once.

use std::sync::Arc;

use offhook_audio::tones::{Country, Progress, Segment, Tone, ToneSource, beep, dtmf};
use offhook_proto::{Error, ErrorCode, Keys, ToneName};

use super::{EncodedPrompt, PromptForm};

/// Usual level of each frequency of a key in band, in dBm0.
const KEY_LEVEL_DBM0: i8 = -7;

/// A tone of a country's plan.
///
/// # Errors
/// `bad_value` for a country without a plan, `codec_mismatch` when the codec library refuses.
pub(crate) fn tone(
    name: ToneName,
    country: Option<&str>,
    form: impl Into<PromptForm>,
) -> Result<EncodedPrompt, Error> {
    let form = form.into();
    let plan = |progress| {
        let code = country.unwrap_or("us");
        let country = Country::from_code(code).ok_or_else(|| {
            Error::new(ErrorCode::BadValue, format!("country: there is no tone plan for {code}"))
        })?;
        Ok::<_, Error>(country.tone(progress))
    };
    let tone = match name {
        ToneName::Dial => plan(Progress::Dial)?,
        ToneName::Ringback => plan(Progress::Ringback)?,
        ToneName::Busy => plan(Progress::Busy)?,
        ToneName::Congestion => plan(Progress::Congestion)?,
        ToneName::Beep => beep(),
    };
    let prompt = EncodedPrompt::encode(form, &render(&tone, form))?;
    Ok(if is_endless(&tone) { prompt.endless() } else { prompt })
}

/// Keys in band.
///
/// # Errors
/// As [`tone`]; `bad_value` for what is no key.
pub(crate) fn keys(keys: &Keys, form: impl Into<PromptForm>) -> Result<EncodedPrompt, Error> {
    let form = form.into();
    let mut all = Vec::new();
    let level_dbm0 = f32::from(keys.level_dbm0.unwrap_or(KEY_LEVEL_DBM0));
    for key in keys.keys.chars() {
        let tone = dtmf(key, keys.on_ms, keys.off_ms, level_dbm0)
            .ok_or_else(|| Error::new(ErrorCode::BadValue, format!("dtmf: {key} is no key")))?;
        all.append(&mut render(&tone, form));
    }
    EncodedPrompt::encode(form, &all)
}

/// Renders one round of a tone, and of one that is endless as many as end with a packet. A tone without a pause is rendered for a
/// second, in which every whole frequency comes round.
fn render(tone: &Tone, form: PromptForm) -> Vec<i16> {
    let rate_hz = EncodedPrompt::rate_hz(form.codec);
    let steady = tone.segments().iter().any(|segment| segment.duration_ms == Segment::FOREVER_MS);
    let round_ms = if steady { 1_000 } else { tone.segments().iter().map(|s| s.duration_ms).sum() };
    let packet_ms = form.packet_ms.filter(|_| is_endless(tone)).map_or(1, u32::from);
    let whole = |rounds: &u32| (rounds * round_ms).is_multiple_of(packet_ms);
    let round_ms = (1..=packet_ms).find(whole).map_or(round_ms, |rounds| rounds * round_ms);
    let mut source = ToneSource::new(tone, rate_hz);
    let mut samples = vec![0; (u64::from(round_ms) * u64::from(rate_hz) / 1_000) as usize];
    source.render(&mut samples);
    if steady {
        // The first second fades in; the second one joins its own beginning.
        source.render(&mut samples);
    }
    samples
}

fn is_endless(tone: &Tone) -> bool {
    tone.repeats() || tone.segments().iter().any(|segment| segment.duration_ms == Segment::FOREVER_MS)
}

/// Tones that were rendered already.
#[derive(Debug, Default)]
pub(crate) struct Tones {
    rendered: Vec<(ToneName, Option<String>, PromptForm, Arc<EncodedPrompt>)>,
}

impl Tones {
    /// A tone, from memory after the first time.
    ///
    /// # Errors
    /// As [`tone`].
    pub(crate) fn tone(
        &mut self,
        name: ToneName,
        country: Option<&str>,
        form: PromptForm,
    ) -> Result<Arc<EncodedPrompt>, Error> {
        let known = self
            .rendered
            .iter()
            .find(|(known, plan, encoded, _)| (*known, plan.as_deref(), *encoded) == (name, country, form));
        if let Some((.., prompt)) = known {
            return Ok(Arc::clone(prompt));
        }
        let prompt = Arc::new(tone(name, country, form)?);
        self.rendered.push((name, country.map(str::to_owned), form, Arc::clone(&prompt)));
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests {
    use offhook_proto::{Codec, Media};

    use super::*;

    #[test]
    fn a_ringback_is_one_round_of_its_cadence_and_endless() {
        let us = tone(ToneName::Ringback, None, Codec::Pcmu).expect("it is planned");
        assert_eq!((us.duration_ms(), us.is_endless()), (6_000, true));
        let beep = tone(ToneName::Beep, None, Codec::Pcma).expect("it is planned");
        assert_eq!((beep.duration_ms(), beep.is_endless()), (200, false));
    }

    #[test]
    fn an_endless_tone_ends_with_a_packet() {
        for (country, ptime_ms) in
            ["us", "gb", "de", "nl", "fr"].into_iter().flat_map(|of| [10, 40, 60].map(|ms| (of, ms)))
        {
            let media = Media { codec: Codec::Opus, ptime_ms, ..Media::default() };
            for name in [ToneName::Dial, ToneName::Ringback, ToneName::Busy, ToneName::Congestion] {
                let round = |form: PromptForm| tone(name, Some(country), form).expect("it is planned");
                let (packets, run) = (round((&media).into()), round(Codec::Pcmu.into()));
                assert!(packets.is_endless() && packets.packet_ms() == Some(ptime_ms));
                assert!(packets.duration_ms().is_multiple_of(run.duration_ms()), "{name:?} of {country}");
            }
        }
    }

    #[test]
    fn a_steady_tone_joins_its_own_beginning() {
        let dial = tone(ToneName::Dial, Some("us"), Codec::L16 { rate_hz: 8_000 }).expect("it is planned");
        let samples: Vec<i32> =
            dial.payload().chunks(2).map(|s| i32::from(i16::from_be_bytes([s[0], s[1]]))).collect();
        assert_eq!(samples.len(), 8_000);
        let steps = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        let seam = (samples[0] - samples[7_999]).abs();
        assert!(Some(seam) <= steps, "{seam} at the seam, {steps:?} elsewhere");
    }

    #[test]
    fn a_country_without_a_plan_is_named() {
        let error = tone(ToneName::Busy, Some("zz"), Codec::Pcmu).expect_err("there is no such country");
        assert_eq!(error.code, ErrorCode::BadValue);
        assert!(error.reason.contains("zz"));
    }

    #[test]
    fn keys_in_band_last_two_hundred_ms_each_unless_they_say_otherwise() {
        let duration_ms = |of: Keys, codec| keys(&of, codec).map(|keys| keys.duration_ms());
        assert_eq!(duration_ms("12#".into(), Codec::Pcmu), Ok(600));
        assert!(duration_ms("x".into(), Codec::Pcmu).is_err());
        assert_eq!(duration_ms("1".into(), Codec::Opus), Ok(200));
        assert_eq!(duration_ms(Keys { on_ms: 400, off_ms: 60, ..Keys::from("12") }, Codec::Pcma), Ok(920));
    }

    #[test]
    fn keys_in_band_are_as_loud_as_they_are_asked_to_be() {
        let loudest = |level_dbm0| {
            let keys =
                keys(&Keys { level_dbm0, ..Keys::from("5") }, Codec::L16 { rate_hz: 8_000 }).expect("keys");
            let samples = keys.payload().chunks(2).map(|s| i16::from_be_bytes([s[0], s[1]]).unsigned_abs());
            f32::from(samples.max().expect("samples"))
        };
        let db = |quiet: f32| 20.0 * (loudest(None) / quiet).log10();
        assert!((db(loudest(Some(-27))) - 20.0).abs() < 0.5, "{}", db(loudest(Some(-27))));
    }
}
