//! Runs the detector on calls and prints the confusion matrix and the times to the verdict.

use crate::corpus::{Call, Label};
use offhook_audio::cpd::{AmdVerdict, CallProgressDetector, CpdEvent};
use offhook_audio::dtmf::{DtmfDetector, DtmfEvent};
use std::collections::BTreeMap;

/// Prints the figures, and with `verbose` each call that was got wrong.
pub(crate) fn print(title: &str, calls: &[&Call], verbose: bool) {
    let mut matrix: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut times: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let (mut beeps, mut beeps_found, mut beeps_false) = (0, 0, 0);
    println!("\n{title}: {} synthetic calls", calls.len());
    for call in calls {
        let events = run(call);
        let (found, at_ms) = verdict(&events);
        let is = name(call.label);
        if found == is {
            times.entry(is.clone()).or_default().push(at_ms);
        } else if verbose {
            println!("  {found} at {at_ms} ms: {} {events:?}", call.about);
        }
        *matrix.entry((is, found)).or_default() += 1;
        for (at_ms, event) in &events {
            if matches!(event, CpdEvent::Beep { .. }) {
                let true_one = call.beep_end_ms.is_some_and(|end| at_ms.abs_diff(end + 100) <= 200);
                beeps_found += usize::from(true_one);
                beeps_false += usize::from(!true_one);
                if verbose && !true_one {
                    println!("  false {event:?} at {at_ms} ms: {}", call.about);
                }
            }
        }
        beeps += usize::from(call.beep_end_ms.is_some());
    }
    for ((is, found), count) in &matrix {
        let mark = if is == found { ' ' } else { '!' };
        println!("{mark} {is:<24} heard as {found:<24} {count:>5}");
    }
    println!("beeps: {beeps_found} of {beeps} found, {beeps_false} false");
    let seconds: usize = calls.iter().map(|call| call.samples.len() / 8000).sum();
    let keys: usize = calls.iter().map(|call| keys_heard(call)).sum();
    println!("DTMF keys heard where there are none: {keys} in {seconds} s");
    for (is, times) in &mut times {
        times.sort_unstable();
        let at = |q: usize| times[(times.len() * q / 100).min(times.len() - 1)];
        println!("  {is:<24} time to verdict p50 {:>5} ms, p95 {:>5} ms", at(50), at(95));
    }
}

fn run(call: &Call) -> Vec<(u32, CpdEvent)> {
    let mut detector = CallProgressDetector::default();
    let mut events = Vec::new();
    for (i, frame) in call.samples.chunks(160).enumerate() {
        detector.push(frame, |event| events.push((i as u32 * 20 + 20, event)));
    }
    events
}

/// Talk-off: keys that the DTMF detector hears in voices and tones.
fn keys_heard(call: &Call) -> usize {
    let mut keys = 0;
    DtmfDetector::default()
        .push(&call.samples, |event| keys += usize::from(matches!(event, DtmfEvent::Pressed { .. })));
    keys
}

/// The first event that says what the call is.
fn verdict(events: &[(u32, CpdEvent)]) -> (String, u32) {
    for &(at_ms, event) in events {
        let found = match event {
            CpdEvent::Verdict(AmdVerdict::Human(_)) => name(Label::Person),
            CpdEvent::Verdict(AmdVerdict::Machine(_)) => name(Label::Machine),
            CpdEvent::Verdict(AmdVerdict::NotSure(_)) => String::from("NotSure"),
            CpdEvent::FaxAnswer | CpdEvent::FaxCalling => name(Label::Fax),
            CpdEvent::Sit(cause) => name(Label::Sit(cause)),
            CpdEvent::Busy => name(Label::Busy),
            CpdEvent::Reorder => name(Label::Reorder),
            CpdEvent::Ringback => name(Label::Ringback),
            CpdEvent::DialTone => String::from("DialTone"),
            CpdEvent::Beep { .. } => continue,
        };
        return (found, at_ms);
    }
    (String::from("nothing"), 0)
}

fn name(label: Label) -> String {
    match label {
        Label::Sit(cause) => format!("Sit {cause:?}"),
        Label::Person | Label::Machine | Label::Fax | Label::Busy | Label::Reorder | Label::Ringback => {
            format!("{label:?}")
        }
    }
}
