//! What a question about the engine alone prints and leaves behind.

use std::fs;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::BenchArgs;

/// Quantiles of a time, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct QuantilesMs {
    p50: f64,
    p99: f64,
    max: f64,
}

impl QuantilesMs {
    /// Of a histogram of nanoseconds.
    pub(crate) fn of(times_ns: &Histogram<u64>) -> Self {
        let at = |quantile: f64| times_ns.value_at_quantile(quantile) as f64 / 1e6;
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// An empty histogram of nanoseconds, up to ten seconds.
///
/// # Errors
/// None with these bounds.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).context("histogram")
}

/// Prints the figures, and writes them beside the others.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn finish(args: &BenchArgs, name: &str, figures: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    println!("{text}");
    fs::create_dir_all(&args.results)?;
    let path = args.results.join(format!("{name}.json"));
    fs::write(&path, text).with_context(|| format!("{}", path.display()))
}
