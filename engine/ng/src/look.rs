//! Calls that nobody ends: a proxy may be gone, so calls without media are given up, as rtpengine does.

use std::time::Duration;

use offhook_proto::{Error, LegInfo, Reply};

use crate::call::Dialogue;
use crate::limits::LOOK_MS;
use crate::root::{Body, Encoding, Ng};
use crate::sdp::Direction;
use crate::solo::Solo;
use crate::transaction::{Plan, Then, Transaction};

/// An answered call without a packet for so long is given up (rtpengine's `timeout`).
const TIMEOUT: Duration = Duration::from_secs(60);
/// A call on hold, or one that was never answered (rtpengine's `silent-timeout` and `offer-timeout`).
const LONG_TIMEOUT: Duration = Duration::from_secs(3_600);

impl Ng {
    /// Plans the next look at a call, unless one is planned.
    pub(crate) fn watch(&mut self, call_id: &[u8]) {
        let due = self.now + Duration::from_millis(LOOK_MS);
        if let Some(call) = self.calls.get_mut(call_id) {
            call.look.get_or_insert(due);
        }
        self.schedule(call_id);
    }

    /// Sets a call's one timer to what is due first of it.
    pub(crate) fn schedule(&mut self, call_id: &[u8]) {
        let Some(call) = self.calls.get_mut(call_id) else { return };
        let of_dialogues = call.dialogues.iter().filter_map(|dialogue| dialogue.ends);
        let of_solos = call.solos.iter().filter_map(|solo| solo.ends);
        let due = of_dialogues.chain(of_solos).chain(call.look).min();
        let before = std::mem::replace(&mut call.timer, due);
        if let Some(before) = before {
            self.timers.remove(&(before, call_id.to_vec()));
        }
        if let Some(due) = due {
            self.timers.insert((due, call_id.to_vec()));
        }
    }

    /// Ends what is to end by now, and asks how the rest is when that is due.
    pub(crate) fn look_at(&mut self, call_id: &[u8]) {
        let ended = self.end_dialogues(call_id);
        self.begin(Transaction::new(None, Encoding::Bencode), Ok(Plan::new(ended, Then::Nothing)));
        let now = self.now;
        if let Some(call) = self.calls.get_mut(call_id)
            && call.look.take_if(|due| *due <= now).is_some()
        {
            let legs = call.legs().map(crate::query::query_leg).collect();
            let then = Then::Look(call_id.to_vec());
            self.begin(Transaction::new(None, Encoding::Bencode), Ok(Plan::new(legs, then)));
        }
        self.schedule(call_id);
    }

    /// Gives a call up whose legs have all been silent for too long, or looks again later.
    pub(crate) fn finish_look(&mut self, call_id: &[u8], results: &[Result<Body, Error>]) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(call_id) else { return };
        let held = |direction: Direction| direction != Direction::SendRecv;
        let talks = |dialogue: &Dialogue| {
            let mut ends = dialogue.sections.iter().flatten().flat_map(|section| &section.ends);
            dialogue.answered && !ends.any(|end| held(end.direction))
        };
        let waits = !call.dialogues.iter().any(talks) && !call.solos.iter().any(Solo::talks);
        let limit = if waits { LONG_TIMEOUT } else { TIMEOUT };
        let infos =
            results.iter().flatten().filter_map(|body| Reply::Ok(body.clone()).parse::<LegInfo>().ok());
        let heard = infos.filter_map(|info| info.last_packet_ms).min().map(Duration::from_millis);
        let silent = heard.unwrap_or(Duration::MAX).min(now.saturating_sub(call.signalled));
        if silent < limit {
            return self.watch(call_id);
        }
        for dialogue in &mut call.dialogues {
            dialogue.ends = Some(now);
        }
        for solo in &mut call.solos {
            solo.ends = Some(now);
        }
        self.totals.timed_out += 1;
        let ended = self.end_dialogues(call_id);
        self.begin(Transaction::new(None, Encoding::Bencode), Ok(Plan::new(ended, Then::Nothing)));
    }
}
