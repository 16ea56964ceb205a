//! What is reported: a projection of the journal's records, the same whether they are seen live or read again.
//!
//! Rows carry numbers that only grow, so that an export can be paged while calls go on. A number follows from the time of its
//! record, so that it stays the same when the journal has lost its oldest records. Old rows make way by age
//! ([`crate::config::ReportConfig::retention_days`]) and by number ([`crate::limits::REPORT_ROWS`]).

mod callback;
mod fold;
mod moment;
mod refusal;
mod row;
mod talk;

pub use callback::CallbackRow;
pub use refusal::RefusedRow;
pub(crate) use row::directions;
pub use row::{ArchiveRow, Direction, EventRow, Page, Report};

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{REPORT_PAGE, REPORT_ROWS};
use crate::{CallId, CallbackId, calendar};
use callback::Asked;
use talk::{Request, Talk};

/// Rows that are kept, and what is still running.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue_events: Rows<EventRow>,
    call_events: Rows<EventRow>,
    archive: Rows<ArchiveRow>,
    callbacks: Rows<CallbackRow>,
    refused: Rows<RefusedRow>,
    /// Callbacks and contacts that are not done.
    requests: BTreeMap<String, Request>,
    asked: BTreeMap<CallbackId, Asked>,
    talks: BTreeMap<CallId, Talk>,
    /// By how much the calendar was set since the first record, in milliseconds forward.
    set_ms: i64,
}

impl Reports {
    /// At most [`REPORT_PAGE`] rows with numbers above `after`, none from before `keep_from_ms`.
    pub(crate) fn page(&self, report: Report, after: u64, limit: usize, keep_from_ms: u64) -> Page {
        let after = after.max((keep_from_ms * ROWS_PER_MS).saturating_sub(1));
        match report {
            Report::QueueEvents => Page::Events(self.queue_events.above(after, limit)),
            Report::CallEvents => Page::Events(self.call_events.above(after, limit)),
            Report::Callbacks => Page::Callbacks(self.callbacks.above(after, limit)),
            Report::RefusedDials => Page::Refused(self.refused.above(after, limit)),
            Report::Archive => Page::Archive(self.archive.above(after, limit)),
        }
    }
}

/// Where a page goes on from that begins with the rows of a time such as `2026-11-20T09:30:00Z`; none when it is no such time.
pub fn before(time: &str) -> Option<u64> {
    calendar::parse(time).map(|ms| (ms * ROWS_PER_MS).saturating_sub(1))
}

/// Numbered rows, oldest first.
#[derive(Debug)]
struct Rows<T> {
    /// Number and row.
    rows: VecDeque<(u64, T)>,
    last: u64,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: VecDeque::new(), last: 0 }
    }
}

impl<T: Clone> Rows<T> {
    fn push(&mut self, at_ms: u64, keep_from_ms: u64, row: T) {
        self.last = (at_ms * ROWS_PER_MS).max(self.last + 1);
        self.rows.push_back((self.last, row));
        let oldest = keep_from_ms * ROWS_PER_MS;
        while self.rows.len() > REPORT_ROWS || self.rows.front().is_some_and(|(number, _)| *number < oldest) {
            self.rows.pop_front();
        }
    }

    fn above(&self, after: u64, limit: usize) -> Vec<(u64, T)> {
        let from = self.rows.partition_point(|(number, _)| *number <= after);
        self.rows.range(from..).take(limit.min(REPORT_PAGE)).cloned().collect()
    }

    fn newest_mut(&mut self, found: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.rows.iter_mut().rev().map(|(_, row)| row).find(|row| found(row))
    }
}

/// Numbers that each millisecond has; they stay exact in a JSON number until the year 2255.
const ROWS_PER_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pv_08_pages_go_on_from_the_last_number_and_old_rows_make_way() {
        let mut rows = Rows::default();
        for at_ms in 1..=10 {
            rows.push(at_ms, 4, at_ms * 10);
        }
        assert_eq!(rows.above(0, 2), [(4_000, 40), (5_000, 50)], "what is older than the retention is gone");
        assert_eq!(rows.above(5_000, 2), [(6_000, 60), (7_000, 70)]);
        assert_eq!(rows.above(10_000, 2), []);
    }

    #[test]
    fn pv_08_a_row_keeps_its_number_when_older_ones_are_forgotten_and_no_two_share_one() {
        let (mut all, mut some) = (Rows::default(), Rows::default());
        for (place, at_ms) in [5, 5, 7, 6, 7, 9].into_iter().enumerate() {
            all.push(at_ms, 0, place);
            if place > 1 {
                some.push(at_ms, 0, place);
            }
        }
        assert_eq!(all.above(5_001, 10), some.above(0, 10));
        let numbers: Vec<u64> = all.above(0, 10).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [5_000, 5_001, 7_000, 7_001, 7_002, 9_000]);
    }
}
