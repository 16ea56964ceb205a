//! `delete`: the end of a call or of one of its dialogues, at once or after a while.

use std::time::Duration;

use offhook_proto::Command;

use crate::call::{Call, Dialogue};
use crate::end::delete_leg;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::query::{Snapshot, query_leg};
use crate::root::{Encoding, Ng};
use crate::solo::Solo;
use crate::transaction::{Plan, Then, Transaction};
use crate::value::Dict;

impl Ng {
    pub(crate) fn delete(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let (from, to, branch) = (flags.name("from-tag")?, flags.name("to-tag")?, flags.branch()?);
        let delay_s = flags.delete_delay_s().unwrap_or(self.config.delete_delay_s);
        let ends = self.now + Duration::from_secs(delay_s);
        let call = self.calls.get_mut(call_id);
        let numbers = call.as_ref().map(|call| call.of_delete(from, to, branch)).unwrap_or_default();
        let is_meant = |solo: &Solo| from.is_none_or(|from| solo.tag == from);
        let solos = call.as_ref().is_some_and(|call| call.solos.iter().any(is_meant));
        let Some(call) = call.filter(|_| solos || !numbers.is_empty()) else {
            return if flags.has("fatal") {
                Err(Failure::error(NOT_FOUND))
            } else {
                Ok(Plan::answered(Dict::default().with("warning", NOT_FOUND).with("result", "ok")))
            };
        };
        let snapshot = Box::new(Snapshot::of(call, self.config.unix_s));
        for dialogue in &mut call.dialogues {
            if numbers.contains(&dialogue.number) {
                dialogue.ends = Some(ends);
            }
        }
        for solo in call.solos.iter_mut().filter(|solo| is_meant(solo)) {
            solo.ends = Some(ends);
        }
        // Closing a leg is answered with its figures.
        let legs = call.legs().map(query_leg).collect();
        let commands = if delay_s == 0 { self.end_dialogues(call_id) } else { legs };
        self.schedule(call_id);
        Ok(Plan::new(commands, Then::Query(snapshot)))
    }

    /// Takes away the dialogues of a call that are to end by now, and the call with its last one. Returns what closes their
    /// legs.
    pub(crate) fn end_dialogues(&mut self, call_id: &[u8]) -> Vec<Command> {
        let now = self.now;
        let Some(call) = self.calls.get_mut(call_id) else { return Vec::new() };
        let due = |dialogue: &mut Dialogue| dialogue.ends.is_some_and(|ends| ends <= now);
        let ended: Vec<Dialogue> = call.dialogues.extract_if(.., due).collect();
        let parted = |solo: &mut Solo| solo.ends.is_some_and(|ends| ends <= now);
        let solos: Vec<Solo> = call.solos.extract_if(.., parted).collect();
        self.totals.terminated += u64::from(self.forget_empty(call_id));
        let legs = ended.iter().flat_map(Dialogue::legs).chain(solos.iter().flat_map(Solo::legs));
        legs.map(|leg| delete_leg(leg.to_owned())).collect()
    }

    /// Takes a call away that has no party any more, with its timer. Whether it was one.
    pub(crate) fn forget_empty(&mut self, call_id: &[u8]) -> bool {
        if !self.calls.get(call_id).is_some_and(Call::is_empty) {
            return false;
        }
        if let Some(due) = self.calls.remove(call_id).and_then(|call| call.timer) {
            self.timers.remove(&(due, call_id.to_vec()));
        }
        true
    }

    /// Closes legs without telling anybody.
    pub(crate) fn close_legs(&mut self, legs: Vec<String>) {
        let commands = legs.into_iter().map(delete_leg).collect();
        self.begin(Transaction::new(None, Encoding::Bencode), Ok(Plan::new(commands, Then::Nothing)));
    }
}

const NOT_FOUND: &str = "Call-ID not found or tags didn't match";
