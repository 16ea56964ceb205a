//! The calls: what is heard after the answer, and what it is.

use crate::random::Random;
use offhook_audio::cpd::SitCause;
use offhook_audio::tones::{self, Country, Progress, Segment, Tone, ToneSource};

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Person,
    Machine,
    FaxAnswer,
    FaxCalling,
    Sit(SitCause),
    Busy,
    Reorder,
    Ringback,
    DialTone,
}

/// A call before any line.
pub(crate) struct Call {
    pub(crate) label: Label,
    /// At [`RATE_HZ`].
    pub(crate) samples: Vec<i16>,
    /// When the machine's beep ends, in ms.
    pub(crate) beep_end_ms: Option<u32>,
    /// What to print when it is got wrong.
    pub(crate) about: String,
}

/// A person says `voice` and waits for an answer.
pub(crate) fn person(voice: &[i16], about: &str, random: &mut Random) -> Call {
    let lead_ms = random.below(1500);
    let samples = [&silence(lead_ms), voice, &silence(4000)].concat();
    let about = format!("{about}, {} ms after {lead_ms}", voice.len() / (RATE_HZ as usize / 1000));
    Call { label: Label::Person, samples, beep_end_ms: None, about }
}

/// A machine says `voice`, beeps and listens.
pub(crate) fn machine(voice: &[i16], about: &str, random: &mut Random) -> Call {
    let mut samples = [&silence(random.below(1500)), voice, &silence(100 + random.below(1200))].concat();
    let (hz, ms) = (random.pick(BEEPS_HZ), 150 + random.below(900));
    samples.extend(render(&Tone::new(&[Segment::single(hz, -12.0, ms as u32)], false), ms));
    let beep_end_ms = Some(samples.len() as u32 / (RATE_HZ / 1000));
    samples.extend(silence(3000));
    Call { label: Label::Machine, samples, beep_end_ms, about: format!("{about}, beep {hz} Hz {ms} ms") }
}

/// One of each kind of tone; those of networks from the `i`th country that has such a tone.
pub(crate) fn toned(i: usize, random: &mut Random) -> Vec<Call> {
    use Country::{Ch, De, Fr, It, Nl, Uk, Us};
    let of = |list: &[Country], progress| list[i % list.len()].tone(progress);
    // Spain and Sweden use for busy what others use for reorder, and Australia the reverse.
    let told_apart = [Us, Uk, De, Nl, Fr, It, Ch];
    let ced = Tone::new(&[Segment::single(2100.0, -12.0, 3000)], false);
    let mut kinds = vec![
        (Label::FaxAnswer, ced, 3500),
        (Label::FaxCalling, tones::cng(), 8000),
        (Label::Busy, of(&told_apart, Progress::Busy), 6000),
        (Label::Reorder, of(&told_apart, Progress::Congestion), 6000),
        (Label::Ringback, of(&Country::ALL, Progress::Ringback), 9000),
        (Label::DialTone, of(&told_apart[..5], Progress::Dial), 5000),
    ];
    kinds.extend(sits().map(|(cause, tone)| (Label::Sit(cause), tone, 1400)));
    let call = |(label, tone, ms): (Label, Tone, usize)| {
        let samples = [silence(200 + random.below(800)), render(&tone, ms), silence(1500)].concat();
        Call { label, samples, beep_end_ms: None, about: String::new() }
    };
    kinds.into_iter().map(call).collect()
}

fn sits() -> [(SitCause, Tone); 9] {
    let (low1, high1, low2, high2) = (913.8, 985.2, 1370.6, 1428.5);
    let code = |cause, first, second| (cause, tones::sit([first, second, (1776.7, 380)]));
    [
        code(SitCause::Intercept, (low1, 274), (low2, 274)),
        code(SitCause::VacantCode, (high1, 380), (low2, 274)),
        code(SitCause::ReorderIntra, (low1, 274), (high2, 380)),
        code(SitCause::ReorderInter, (high1, 274), (low2, 380)),
        code(SitCause::NoCircuitIntra, (high1, 380), (high2, 380)),
        code(SitCause::NoCircuitInter, (low1, 380), (low2, 380)),
        code(SitCause::IneffectiveOther, (low1, 380), (high2, 274)),
        code(SitCause::Reserved, (high1, 274), (high2, 274)),
        (SitCause::Unspecified, tones::sit([(950.0, 330), (1400.0, 330), (1800.0, 330)])),
    ]
}

fn render(tone: &Tone, ms: usize) -> Vec<i16> {
    let mut samples = silence(ms);
    ToneSource::new(tone, RATE_HZ).render(&mut samples);
    samples
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * (RATE_HZ as usize / 1000)]
}

/// Of all calls, before their line.
pub(crate) const RATE_HZ: u32 = 16_000;
const BEEPS_HZ: &[f32] = &[440.0, 650.0, 850.0, 1000.0, 1200.0, 1400.0, 1500.0, 2000.0];
