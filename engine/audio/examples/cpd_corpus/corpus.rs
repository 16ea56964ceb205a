//! The calls: what is heard after the answer, and what it is.

use offhook_audio::cpd::SitCause;
use offhook_audio::g711;
use offhook_audio::mix::apply_gain;
use offhook_audio::plc::Concealer;
use offhook_audio::tones::{self, Country, Progress, Segment, Tone, ToneSource};
use std::io;
use std::process::Command;

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Person,
    Machine,
    Fax,
    Sit(SitCause),
    Busy,
    Reorder,
    Ringback,
}

pub(crate) struct Call {
    pub(crate) label: Label,
    pub(crate) held_out: bool,
    pub(crate) samples: Vec<i16>,
    /// When the machine's beep ends, in ms.
    pub(crate) beep_end_ms: Option<u32>,
    /// What to print when it is got wrong.
    pub(crate) about: String,
}

/// `each` calls of persons and of machines, and a fraction of that of each kind of tone.
pub(crate) fn build(each: usize) -> io::Result<Vec<Call>> {
    let mut random = Random(0x5EED_0001);
    let mut calls = Vec::new();
    for _ in 0..each {
        calls.push(person(&mut random)?);
        calls.push(machine(&mut random)?);
    }
    for i in 0..each / 4 {
        calls.push(fax(i, &mut random));
        for (cause, tone) in sits() {
            calls.push(toned(i, Label::Sit(cause), &tone, 1400, &mut random));
        }
        let country = |list: &[Country]| list[i % list.len()];
        // Spain and Sweden use for busy what others use for reorder.
        let c = country(&[
            Country::Us,
            Country::Uk,
            Country::De,
            Country::Nl,
            Country::Fr,
            Country::It,
            Country::Ch,
        ]);
        calls.push(toned(i, Label::Busy, &c.tone(Progress::Busy), 6000, &mut random));
        calls.push(toned(i, Label::Reorder, &c.tone(Progress::Congestion), 6000, &mut random));
        let c = country(&Country::ALL);
        calls.push(toned(i, Label::Ringback, &c.tone(Progress::Ringback), 9000, &mut random));
    }
    Ok(calls)
}

fn person(random: &mut Random) -> io::Result<Call> {
    let phrase = random.below(PERSONS.len());
    let (voice, text) = PERSONS[phrase];
    let lead_ms = random.below(1500);
    let mut samples = silence(lead_ms);
    let spoken = speak(voice, text, random)?;
    samples.extend(&spoken);
    samples.extend(silence(4000));
    let about = format!("{voice} “{text}” {} ms after {lead_ms}", spoken.len() / 8);
    Ok(finish(phrase, Label::Person, samples, None, &about, random))
}

fn machine(random: &mut Random) -> io::Result<Call> {
    let phrase = random.below(MACHINES.len());
    let (voice, text) = MACHINES[phrase];
    let mut samples = silence(random.below(1500));
    samples.extend(speak(voice, text, random)?);
    samples.extend(silence(100 + random.below(1200)));
    let (hz, ms) = (random.pick(BEEPS_HZ), 150 + random.below(900));
    samples.extend(render(&Tone::new(&[Segment::single(hz, -12.0, ms as u32)], false), ms));
    let beep_end_ms = samples.len() as u32 / 8;
    samples.extend(silence(3000));
    let about = format!("{voice} “{text}” beep {hz} Hz {ms} ms");
    Ok(finish(phrase, Label::Machine, samples, Some(beep_end_ms), &about, random))
}

fn fax(i: usize, random: &mut Random) -> Call {
    let lead = silence(200 + random.below(1500));
    let tone = if i.is_multiple_of(2) {
        render(&Tone::new(&[Segment::single(2100.0, -12.0, 3000)], false), 3500)
    } else {
        render(&tones::cng(), 8000)
    };
    finish(i / 2, Label::Fax, [lead, tone].concat(), None, "fax", random)
}

fn toned(i: usize, label: Label, tone: &Tone, ms: usize, random: &mut Random) -> Call {
    let samples = [silence(random.below(800)), render(tone, ms), silence(1500)].concat();
    finish(i, label, samples, None, "", random)
}

/// Level, noise, codec and loss of a real line. Every other phrase, and every other tone, is held out: no phrase is in
/// both parts.
fn finish(
    index: usize,
    label: Label,
    mut samples: Vec<i16>,
    beep_end_ms: Option<u32>,
    about: &str,
    random: &mut Random,
) -> Call {
    let gain_db = random.below(22) as f32 - 16.0;
    let noise_peak = random.pick(&[0, 10, 40, 120, 300]);
    let (alaw, loss_percent) = (random.below(2) == 0, random.pick(&[0, 0, 1, 3]));
    apply_gain(&mut samples, gain_db);
    let mut concealer = Concealer::new(8000);
    for frame in samples.chunks_mut(160) {
        for sample in frame.iter_mut() {
            let noise = random.below(2 * noise_peak + 1) as i16 - noise_peak as i16;
            let noisy = sample.saturating_add(noise);
            *sample = if alaw {
                g711::alaw_to_linear(g711::linear_to_alaw(noisy))
            } else {
                g711::ulaw_to_linear(g711::linear_to_ulaw(noisy))
            };
        }
        if random.below(100) < loss_percent {
            concealer.conceal(frame);
        } else {
            concealer.good(frame);
        }
    }
    let about = format!("{label:?} {about} gain {gain_db} dB noise {noise_peak} loss {loss_percent} %");
    Call { label, held_out: index % 2 == 1, samples, beep_end_ms, about }
}

fn speak(voice: &str, text: &str, random: &mut Random) -> io::Result<Vec<i16>> {
    let path = std::env::temp_dir().join(format!("cpd_corpus_{}.wav", std::process::id()));
    let (speed, pitch) = (135 + random.below(55), 25 + random.below(50));
    let status = Command::new("espeak-ng")
        .args(["-v", voice, "-s", &speed.to_string(), "-p", &pitch.to_string(), "-w"])
        .args([path.as_os_str(), text.as_ref()])
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("espeak-ng failed for {voice}")));
    }
    let read =
        hound::WavReader::open(&path).and_then(|mut wav| wav.samples().collect::<Result<Vec<i16>, _>>());
    std::fs::remove_file(&path)?;
    let wide = read.map_err(io::Error::other)?;
    let mut resampler =
        offhook_audio::resample::Resampler::new(22_050, 8000).expect("a ratio of small terms");
    let mut samples = vec![0; resampler.max_output(wide.len())];
    let n = resampler.process(&wide, &mut samples);
    let from = samples[..n].iter().position(|s| s.abs() > 100).unwrap_or(0);
    let to = samples[..n].iter().rposition(|s| s.abs() > 100).unwrap_or(n);
    Ok(samples[from..to].to_vec())
}

fn sits() -> Vec<(SitCause, Tone)> {
    let (low1, high1, low2, high2) = (913.8, 985.2, 1370.6, 1428.5);
    let code = |cause, first, second| (cause, tones::sit([first, second, (1776.7, 380)]));
    vec![
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
    ToneSource::new(tone, 8000).render(&mut samples);
    samples
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

struct Random(u32);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 4) as usize % below.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const BEEPS_HZ: &[f32] = &[440.0, 650.0, 850.0, 1000.0, 1200.0, 1400.0, 1500.0, 2000.0];

const PERSONS: &[(&str, &str)] = &[
    ("en-us", "Hello?"),
    ("en-us+f3", "Hello?"),
    ("en-gb+f2", "Hello"),
    ("en-gb", "Yes?"),
    ("en-us+m3", "Yeah, hello?"),
    ("en-us+f4", "Hi, this is Anna."),
    ("en-gb+m2", "Smith speaking."),
    ("en-gb+f1", "Good morning."),
    ("en-us+m7", "Hello, this is Peter."),
    ("de", "Hallo?"),
    ("de+f2", "Müller."),
    ("de+m3", "Guten Tag, Schneider."),
    ("nl", "Hallo?"),
    ("nl+f2", "Met Jansen."),
    ("fr-fr", "Allô?"),
    ("fr-fr+f2", "Oui, bonjour?"),
    ("es", "¿Diga?"),
    ("it+f2", "Pronto?"),
    ("sv", "Hej, det är Erik."),
];

const MACHINES: &[(&str, &str)] = &[
    ("en-us", "Hi, you have reached the Carter family. Please leave a message after the tone."),
    (
        "en-us+f3",
        "Your call has been forwarded to an automatic voice message system. At the tone, please record.",
    ),
    ("en-gb+f2", "Hello. I can't come to the phone right now, so please leave your name and number."),
    ("en-gb+m2", "This is the voicemail of Doctor Brown. Leave a message and I will call you back."),
    ("en-us+m7", "The person you have called is not available. Please leave your message after the beep."),
    ("de", "Guten Tag, hier ist der Anrufbeantworter von Familie Schmidt. Bitte sprechen Sie nach dem Ton."),
    (
        "de+f2",
        "Der gewünschte Teilnehmer ist im Moment nicht erreichbar. Bitte hinterlassen Sie eine Nachricht.",
    ),
    ("nl+f2", "U bent verbonden met de voicemail van Jan. Spreek uw boodschap in na de piep."),
    ("fr-fr+f2", "Bonjour, vous êtes bien sur la messagerie de Marie. Laissez un message après le bip."),
    ("es", "Este es el buzón de voz de Carlos. Por favor, deje su mensaje después de la señal."),
    ("it+f2", "Risponde la segreteria telefonica. Lasciate un messaggio dopo il segnale acustico."),
];
