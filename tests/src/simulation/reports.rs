//! Reports follow from the journal alone, and tell of every request once.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::limits::REPORT_PAGE;
use offhook_control_core::record::{CallKind, Fact};
use offhook_control_core::report::{ArchiveRow, Direction, Page, Report};
use offhook_control_core::{Core, Input, Now, OpId, Output};

use super::world::World;

impl World {
    /// At the very end. What was not durable when control died is on no record, and in no report.
    pub(super) fn judge_reports(&mut self) {
        // Slow, so not each time.
        if !self.outcome.steps.is_multiple_of(4) {
            return;
        }
        let now = self.now();
        let mut rebuilt = Core::new(self.config.clone(), [0; 32]);
        for record in self.shell.written() {
            rebuilt.replay(record.clone());
        }
        let Some(core) = &mut self.shell.core else { return };
        let [queue_events, call_events, archive, callbacks] = ALL.map(|report| {
            let live = page(core, now, report);
            let same = live == page(&mut rebuilt, now, report);
            (live, same.then_some(()).ok_or(report))
        });
        let differs =
            [queue_events.1, call_events.1, archive.1, callbacks.1].into_iter().find_map(Result::err);
        if let Some(report) = differs {
            self.violate(format!("{report:?} differs when it is rebuilt from the journal"));
        }
        let mut told: BTreeMap<String, [u32; 2]> = BTreeMap::new();
        if let Some(Page::Events(rows)) = queue_events.0 {
            for (_, row) in rows.into_iter().filter(|(_, row)| row.result_code == "q") {
                told.entry(row.call_id).or_default()[0] += 1;
            }
        }
        if let Some(Page::Archive(rows)) = archive.0 {
            self.judge_archive(&rows);
            for (_, row) in rows {
                told.entry(row.call_id).or_default()[1] += 1;
            }
        }
        for id in self.oracle.on_record() {
            let found = told.get(&id).copied().unwrap_or_default();
            if found != [1, 1] {
                self.violate(format!("{id} was queued and archived {found:?} times by the reports"));
                return;
            }
        }
    }

    /// Who called whom over the trunk is who pays, and whoever called for a callback is archived as that alone (QC-13).
    fn judge_archive(&mut self, rows: &[(u64, ArchiveRow)]) {
        let (mut calls, mut own) = (BTreeSet::new(), BTreeSet::new());
        for record in self.shell.written() {
            match &record.fact {
                Fact::CallbackCalledIn { id, call, .. } => {
                    calls.insert(call.to_string());
                    own.insert(id.0.clone());
                }
                Fact::CallbackDialled { id, .. } => {
                    own.remove(&id.0);
                }
                _ => {}
            }
        }
        for (_, row) in rows {
            let came = row.kind == CallKind::Inbound || own.contains(&row.call_id);
            let billed = if came { Direction::Inbound } else { Direction::Outbound };
            if calls.contains(&row.call_id) {
                self.violate(format!("call {} is archived, and was made for a callback", row.call_id));
            } else if row.billed_as != billed {
                self.violate(format!("{} is billed as {:?}", row.call_id, row.billed_as));
            }
        }
    }
}

fn page(core: &mut Core, now: Now, report: Report) -> Option<Page> {
    let request = ApiRequest::Report { report, after: 0, limit: REPORT_PAGE };
    core.handle(now, Input::Api { op: OpId(u64::MAX), request });
    std::iter::from_fn(|| core.poll_output()).find_map(|output| match output {
        Output::Reply { reply: ApiReply::Report(page), .. } => Some(page),
        _ => None,
    })
}

const ALL: [Report; 4] = [Report::QueueEvents, Report::CallEvents, Report::Archive, Report::Callbacks];
