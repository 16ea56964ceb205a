//! Builds a labelled corpus of synthetic answers and prints how call progress detection does on it.
//!
//! Voices come from espeak-ng, which must be installed; everything else is made here. Each call goes over a line of its own: level,
//! noise (white, pink or babble), encoding, loss and jitter, and is heard behind the engine's jitter buffer. The corpus is split once: the
//! first part is for tuning, the second only for reporting. No phrase is in both. Every figure is about synthetic audio.
//!
//! `cargo run --release -p offhook-audio --example cpd_corpus [calls of each kind]`; with `VERBOSE` set, what was got wrong in the
//! tuning part, which alone may be looked into.

mod calls;
mod line;
mod noise;
mod random;
mod score;
mod voices;

use calls::Call;
use line::{Line, Loss};
use random::Random;
use score::Score;
use std::collections::BTreeMap;

fn main() -> std::io::Result<()> {
    let each = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(60_usize);
    let mut random = Random::new(0x5EED_0001);
    let others = voices::OTHERS.iter().map(|&phrase| voices::speak(phrase, &mut random));
    let babble = noise::babble(&others.collect::<Result<Vec<_>, _>>()?, &mut random);
    let mut parts = [Part::default(), Part::default()];
    for i in 0..each {
        let phrase = random.below(voices::PERSONS.len());
        let (voice, text) = voices::PERSONS[phrase];
        let spoken = voices::speak((voice, text), &mut random)?;
        let call = calls::person(&spoken, &format!("{voice} “{text}”"), &mut random);
        parts[phrase % 2].add(&call, &babble, &mut random);
        let phrase = random.below(voices::MACHINES.len());
        let (voice, text) = voices::MACHINES[phrase];
        let spoken = voices::speak((voice, text), &mut random)?;
        let call = calls::machine(&spoken, &format!("{voice} “{text}”"), &mut random);
        parts[phrase % 2].add(&call, &babble, &mut random);
        if i.is_multiple_of(4) {
            for call in calls::toned(i / 4, &mut random) {
                parts[i / 4 % 2].add(&call, &babble, &mut random);
            }
        }
    }
    let [tuning, held_out] = &parts;
    tuning.print("tuning part", std::env::var_os("VERBOSE").is_some());
    held_out.print("held-out part", false);
    Ok(())
}

/// A half of the corpus.
#[derive(Default)]
struct Part {
    score: Score,
    faults: Vec<String>,
    /// Calls that were heard right, and all, by what their lines have in common.
    by_line: BTreeMap<String, (usize, usize)>,
}

impl Part {
    fn add(&mut self, call: &Call, babble: &[i16], random: &mut Random) {
        let line = Line::any(random);
        let received = line.carry(&call.samples, babble, random);
        let (right_before, _) = self.score.right(|_| true);
        if let Some(fault) = self.score.add(call.label, call.beep_end_ms, &received) {
            self.faults.push(format!("{fault} {}; {line}", call.about));
        }
        let right = self.score.right(|_| true).0 - right_before;
        let loss = match line.loss {
            Loss::None => "no loss",
            Loss::Single(_) => "single losses",
            Loss::Burst(_) => "losses in bursts",
        };
        let noise = line.noise.map_or_else(|| "no noise".into(), |(noise, _)| format!("{noise:?} noise"));
        for key in [format!("{:?}", line.codec), noise, loss.into(), format!("jitter {} ms", line.jitter_ms)]
        {
            let (rights, all) = self.by_line.entry(key).or_default();
            *rights += right;
            *all += 1;
        }
    }

    fn print(&self, title: &str, verbose: bool) {
        let (right, all) = self.score.right(|_| true);
        println!(
            "\n{title}: {right} of {all} synthetic calls heard as what they are\n{}",
            self.score.table()
        );
        let (beeps_found, beeps, beeps_false) = self.score.beeps();
        println!("beeps: {beeps_found} of {beeps} found, {beeps_false} where there was none");
        let (keys, seconds) = self.score.keys();
        println!("keys heard where there are none: {keys} in {seconds} s");
        for (key, (right, all)) in &self.by_line {
            println!("{key}: {right} of {all}");
        }
        for fault in self.faults.iter().filter(|_| verbose) {
            println!("  {fault}");
        }
    }
}
