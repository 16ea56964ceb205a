//! Builds a labelled corpus of synthetic answers and prints how call progress detection does on it.
//!
//! Voices come from espeak-ng, which must be installed; everything else is made here. The corpus is split once: the
//! first part is for tuning, the second only for reporting. Every figure is about synthetic audio.
//!
//! `cargo run --release -p offhook-audio --example cpd_corpus [calls of each kind]`

mod corpus;
mod score;

fn main() -> std::io::Result<()> {
    let each = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(60);
    let calls = corpus::build(each)?;
    let (tune, report): (Vec<_>, Vec<_>) = calls.iter().partition(|call| !call.held_out);
    // Only the tuning part may be looked into.
    score::print("tuning part", &tune, std::env::var_os("VERBOSE").is_some());
    score::print("held-out part", &report, false);
    Ok(())
}
