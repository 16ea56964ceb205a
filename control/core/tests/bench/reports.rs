//! Reports, as whoever exports them sees them.

use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::report::{ArchiveRow, EventRow, Page, Report};

use super::Bench;

pub(crate) fn page(bench: &mut Bench, report: Report, after: u64, limit: usize) -> Page {
    match bench.ask(ApiRequest::Report { report, after, limit }) {
        ApiReply::Report(page) => page,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn events(bench: &mut Bench, report: Report) -> Vec<EventRow> {
    match page(bench, report, 0, 1_000) {
        Page::Events(rows) => rows.into_iter().map(|(_, row)| row).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn archive(bench: &mut Bench) -> Vec<ArchiveRow> {
    match page(bench, Report::Archive, 0, 1_000) {
        Page::Archive(rows) => rows.into_iter().map(|(_, row)| row).collect(),
        other => panic!("{other:?}"),
    }
}
