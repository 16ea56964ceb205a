//! What is reported: a projection of the journal's records, the same whether they are seen live or read again.
//!
//! Rows carry numbers that only grow, so that an export can be paged while calls go on. Old rows make way by age
//! ([`crate::config::ReportConfig::retention_days`]) and by number ([`crate::limits::REPORT_ROWS`]).

mod fold;
mod row;
mod talk;

pub(crate) use row::directions;
pub use row::{ArchiveRow, Direction, EventRow, Page, Report};

use std::collections::{BTreeMap, VecDeque};

use crate::CallId;
use crate::limits::{REPORT_PAGE, REPORT_ROWS};
use talk::{Request, Talk};

/// Rows that are kept, and what is still running.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue_events: Rows<EventRow>,
    call_events: Rows<EventRow>,
    archive: Rows<ArchiveRow>,
    /// Callbacks and contacts that are not done.
    requests: BTreeMap<String, Request>,
    talks: BTreeMap<CallId, Talk>,
}

impl Reports {
    /// At most [`REPORT_PAGE`] rows with numbers above `after`.
    pub(crate) fn page(&self, report: Report, after: u64, limit: usize) -> Page {
        match report {
            Report::QueueEvents => Page::Events(self.queue_events.above(after, limit)),
            Report::CallEvents => Page::Events(self.call_events.above(after, limit)),
            Report::Archive => Page::Archive(self.archive.above(after, limit)),
        }
    }
}

/// Numbered rows, oldest first.
#[derive(Debug)]
struct Rows<T> {
    rows: VecDeque<(u64, u64, T)>,
    next: u64,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: VecDeque::new(), next: 1 }
    }
}

impl<T: Clone> Rows<T> {
    fn push(&mut self, at_ms: u64, keep_from_ms: u64, row: T) {
        self.rows.push_back((self.next, at_ms, row));
        self.next += 1;
        while self.rows.len() > REPORT_ROWS
            || self.rows.front().is_some_and(|(_, at_ms, _)| *at_ms < keep_from_ms)
        {
            self.rows.pop_front();
        }
    }

    fn above(&self, after: u64, limit: usize) -> Vec<(u64, T)> {
        let from = self.rows.partition_point(|(number, ..)| *number <= after);
        let rows = self.rows.range(from..).take(limit.min(REPORT_PAGE));
        rows.map(|(number, _, row)| (*number, row.clone())).collect()
    }

    fn newest_mut(&mut self, found: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.rows.iter_mut().rev().map(|(.., row)| row).find(|row| found(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pv_08_pages_go_on_from_the_last_number_and_old_rows_make_way() {
        let mut rows = Rows::default();
        for at_ms in 1..=10 {
            rows.push(at_ms, 4, at_ms * 10);
        }
        assert_eq!(rows.above(0, 2), [(4, 40), (5, 50)], "what is older than the retention is gone");
        assert_eq!(rows.above(5, 2), [(6, 60), (7, 70)]);
        assert_eq!(rows.above(10, 2), []);
    }
}
