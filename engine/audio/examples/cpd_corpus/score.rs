//! Runs the detector on calls: the confusion matrix, and the times to the verdict.

use crate::calls::Label;
use crate::line::Received;
use offhook_audio::cpd::{AmdVerdict, CallProgressDetector, CpdEvent, SitCause};
use offhook_audio::dtmf::{DtmfDetector, DtmfEvent};

/// What a call was heard as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    As(Label),
    NotSure,
    Nothing,
}

/// How many calls of each kind were heard as what.
#[derive(Default)]
pub(crate) struct Score {
    heard: Vec<(Label, Heard, u32)>,
    beeps: usize,
    beeps_found: usize,
    beeps_false: usize,
    keys: usize,
    samples: usize,
}

impl Score {
    /// Hears a call; what is to be said of it if it is got wrong.
    pub(crate) fn add(&mut self, label: Label, beep_end_ms: Option<u32>, call: &Received) -> Option<String> {
        let events = events(call);
        let (heard, at_ms) = verdict(&events);
        self.heard.push((label, heard, at_ms));
        let due = |at_ms: u32| beep_end_ms.is_some_and(|end| (end..=end + BEEP_TOLD_MS).contains(&at_ms));
        let beeps = events.iter().filter(|(_, event)| matches!(event, CpdEvent::Beep { .. }));
        let (right, wrong): (Vec<u32>, Vec<u32>) =
            beeps.map(|(at_ms, _)| *at_ms).partition(|at_ms| due(*at_ms));
        self.beeps += usize::from(beep_end_ms.is_some());
        self.beeps_found += right.len().min(1);
        self.beeps_false += wrong.len();
        self.keys += keys_heard(&call.samples);
        self.samples += call.samples.len();
        let fault =
            heard != Heard::As(label) || !wrong.is_empty() || (beep_end_ms.is_some() && right.is_empty());
        fault.then(|| format!("{label:?} heard as {heard:?}, beep until {beep_end_ms:?}: {events:?}"))
    }

    /// Calls that were heard as what they are, and all, of those that a filter names.
    pub(crate) fn right(&self, of: impl Fn(Label) -> bool) -> (usize, usize) {
        let all = self.heard.iter().filter(|(label, ..)| of(*label));
        let right = all.clone().filter(|(label, heard, _)| *heard == Heard::As(*label));
        (right.count(), all.count())
    }

    /// Beeps that were found, all beeps, and those that were none.
    pub(crate) fn beeps(&self) -> (usize, usize, usize) {
        (self.beeps_found, self.beeps, self.beeps_false)
    }

    /// Keys that were heard where there are none, and seconds listened.
    pub(crate) fn keys(&self) -> (usize, usize) {
        (self.keys, self.samples / 8000)
    }

    /// The matrix and the times, as a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("| |{} p50 | p95 |\n", COLUMNS.map(|(name, _)| format!(" {name} |")).concat());
        text += &format!("|---|{}---|---|\n", "---|".repeat(COLUMNS.len()));
        for (name, row) in COLUMNS {
            let Heard::As(row) = row else { continue };
            let calls = || self.heard.iter().filter(move |(label, ..)| *label == row);
            let cell = |column| match calls().filter(|(_, heard, _)| *heard == column).count() {
                0 => String::from(" |"),
                count if column == Heard::As(row) => format!(" **{count}** |"),
                count => format!(" {count} |"),
            };
            let cells = COLUMNS.map(|(_, column)| cell(column)).concat();
            let right = calls().filter(|(_, heard, _)| *heard == Heard::As(row));
            let mut times: Vec<u32> = right.map(|(.., at_ms)| *at_ms).collect();
            times.sort_unstable();
            let at = |percent: usize| {
                let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
                times.get(index).map_or_else(String::new, |ms| format!("{:.2}", f64::from(*ms) / 1000.0))
            };
            text += &format!("| {name} |{cells} {} | {} |\n", at(50), at(95));
        }
        text
    }
}

fn events(call: &Received) -> Vec<(u32, CpdEvent)> {
    let mut detector = CallProgressDetector::default();
    let mut events = Vec::new();
    for (i, (frame, concealed)) in call.samples.chunks(160).zip(&call.concealed).enumerate() {
        let on_event = |event| events.push((i as u32 * 20 + 20, event));
        if *concealed {
            detector.push_concealed(frame, on_event);
        } else {
            detector.push(frame, on_event);
        }
    }
    events
}

/// Talk-off: keys that the DTMF detector hears in voices and tones.
fn keys_heard(samples: &[i16]) -> usize {
    let mut keys = 0;
    DtmfDetector::default()
        .push(samples, |event| keys += usize::from(matches!(event, DtmfEvent::Pressed { .. })));
    keys
}

/// The first event that says what the call is; ringback only where nothing follows it, for somebody may still answer.
fn verdict(events: &[(u32, CpdEvent)]) -> (Heard, u32) {
    let mut rings = (Heard::Nothing, 0);
    for &(at_ms, event) in events {
        let heard = match event {
            CpdEvent::Verdict(AmdVerdict::Human(_)) => Heard::As(Label::Person),
            CpdEvent::Verdict(AmdVerdict::Machine(_)) => Heard::As(Label::Machine),
            CpdEvent::Verdict(AmdVerdict::NotSure(_)) => Heard::NotSure,
            CpdEvent::FaxAnswer => Heard::As(Label::FaxAnswer),
            CpdEvent::FaxCalling => Heard::As(Label::FaxCalling),
            CpdEvent::Sit(cause) => Heard::As(Label::Sit(cause)),
            CpdEvent::Busy => Heard::As(Label::Busy),
            CpdEvent::Reorder => Heard::As(Label::Reorder),
            CpdEvent::DialTone => Heard::As(Label::DialTone),
            CpdEvent::Ringback if rings.0 == Heard::Nothing => {
                rings = (Heard::As(Label::Ringback), at_ms);
                continue;
            }
            CpdEvent::Ringback | CpdEvent::Beep { .. } => continue,
        };
        return (heard, at_ms);
    }
    rings
}

/// Rows and columns, by the names of the recommendations where those are shorter.
const COLUMNS: [(&str, Heard); 19] = [
    ("person", Heard::As(Label::Person)),
    ("machine", Heard::As(Label::Machine)),
    ("CED", Heard::As(Label::FaxAnswer)),
    ("CNG", Heard::As(Label::FaxCalling)),
    ("IC", Heard::As(Label::Sit(SitCause::Intercept))),
    ("VC", Heard::As(Label::Sit(SitCause::VacantCode))),
    ("RO′", Heard::As(Label::Sit(SitCause::ReorderIntra))),
    ("RO″", Heard::As(Label::Sit(SitCause::ReorderInter))),
    ("NC′", Heard::As(Label::Sit(SitCause::NoCircuitIntra))),
    ("NC″", Heard::As(Label::Sit(SitCause::NoCircuitInter))),
    ("#1", Heard::As(Label::Sit(SitCause::IneffectiveOther))),
    ("#2", Heard::As(Label::Sit(SitCause::Reserved))),
    ("E.180", Heard::As(Label::Sit(SitCause::Unspecified))),
    ("busy", Heard::As(Label::Busy)),
    ("reorder", Heard::As(Label::Reorder)),
    ("ringback", Heard::As(Label::Ringback)),
    ("dial", Heard::As(Label::DialTone)),
    ("not sure", Heard::NotSure),
    ("nothing", Heard::Nothing),
];
/// A beep is told once it is known that nothing follows it, behind the jitter buffer.
const BEEP_TOLD_MS: u32 = 600;
