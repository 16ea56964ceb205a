//! Figures and past calls, as they follow from what happened.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::HISTORY;
use crate::record::AudioPath;
use crate::view::CallView;

/// Counters since start, and the last calls.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    pub(crate) dialled: u64,
    pub(crate) answered: u64,
    pub(crate) connected: u64,
    pub(crate) abandoned: u64,
    pub(crate) ignored: u64,
    pub(crate) trunk_outages: u64,
    /// Times that a direction had no audio.
    pub(crate) one_way: BTreeMap<AudioPath, u64>,
    pub(crate) callbacks: BTreeMap<String, u64>,
    pub(crate) contacts: BTreeMap<String, u64>,
    calls: VecDeque<CallView>,
    /// Milliseconds from answer to two-way audio.
    pub(crate) audio: Times,
    /// Milliseconds from answer to open gates.
    pub(crate) open: Times,
}

/// The last times of a kind, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Times(VecDeque<f64>);

impl Projection {
    /// Keeps an ended call.
    pub(crate) fn keep(&mut self, call: CallView) {
        if self.calls.len() == HISTORY {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &CallView> {
        self.calls.iter()
    }
}

impl Times {
    /// Counts one.
    pub(crate) fn measure(&mut self, ms: f64) {
        if self.0.len() == HISTORY {
            self.0.pop_front();
        }
        self.0.push_back(ms);
    }

    /// The value below which a share of them lies (nearest rank).
    pub(crate) fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most HISTORY"
        )]
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_01_percentiles_are_by_nearest_rank() {
        let mut times = Times::default();
        assert_eq!(times.percentile(0.5), None);
        for ms in 1..=100 {
            times.measure(f64::from(ms));
        }
        assert_eq!(times.percentile(0.5), Some(50.0));
        assert_eq!(times.percentile(0.99), Some(99.0));
    }
}
