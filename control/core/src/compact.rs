//! Which records of a journal are not needed any more, so that it grows with what there is and not with what was.
//!
//! Replaying what is left gives the same [`crate::Core`] as replaying everything. Two kinds of records die: those that later
//! ones have made void (dialogs of ended calls, former statuses), at once; and finished customers' histories, once they are
//! older than what is reported. Whatever one record makes void has to be removed together with what
//! [`Compactor::take_dead`] gives beside it: half of it would revive an ended call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::compliance::US_DAYS;
use crate::ledger::{CallsSummed, Campaign, CampaignKind, DAY_MS};
use crate::limits::REPORT_ROWS;
use crate::record::{Fact, Record};
use crate::view::AgentStatus;
use crate::{AgentId, CallId, CallbackId, ContactId};

/// Follows a journal, record by record, and says which of them are dead.
#[derive(Debug, Default)]
pub struct Compactor {
    booted: Option<u64>,
    agents: BTreeMap<AgentId, AgentTrail>,
    legs: BTreeMap<AgentId, (CallId, u64)>,
    /// Requests for an agent's connection whose end may not have been heard of, each with its records.
    asked: BTreeMap<String, Vec<u64>>,
    calls: BTreeMap<CallId, CallTrail>,
    cases: BTreeMap<CaseKey, Case>,
    /// The record that put a number onto the do-not-call list.
    listed_by: BTreeMap<String, u64>,
    listings: BTreeMap<u64, Listing>,
    /// The last sums of each campaign's days.
    sums: BTreeMap<Campaign, BTreeMap<u64, u64>>,
    /// Each time that the calendar was set: how long things took follows from it.
    settings: VecDeque<u64>,
    /// Finished cases, oldest first.
    finished: VecDeque<(u64, CaseKey)>,
    dead: Vec<u64>,
}

/// Records that make an agent what they are.
#[derive(Debug, Default)]
struct AgentTrail {
    /// Saved before anything else that is left: without it, there is nobody to whom the rest applies.
    created: u64,
    /// Saved since, before they logged in: what their mode follows from.
    saved: Option<u64>,
    /// Saved since they logged in.
    saved_since: Option<u64>,
    /// Their log-in, and what they asked for last.
    login: Option<u64>,
    status: Option<u64>,
    chosen: Option<u64>,
    mode: Option<u64>,
    wrap_up: Option<u64>,
}

#[derive(Debug, Default)]
struct CallTrail {
    dialog: Option<u64>,
    /// Who answered is not known yet.
    spliced: Option<u64>,
    /// Its keys are blocked.
    keys: Option<u64>,
    /// How often its conversations had no audio.
    missed: Option<u64>,
    /// How soon it had audio.
    audio: Option<u64>,
    /// Whose leg it is, or was.
    leg: Option<AgentId>,
    /// The customer's history that it belongs to.
    case: Option<CaseKey>,
}

/// One customer's history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CaseKey {
    Callback(CallbackId),
    Contact(ContactId),
    Caller(CallId),
}

#[derive(Debug, Default)]
struct Case {
    records: Vec<u64>,
    calls: BTreeSet<CallId>,
    /// The callback or contact is done; a caller has nothing but the call.
    done: bool,
}

/// Numbers that came onto the do-not-call list together.
#[derive(Debug, Default)]
struct Listing {
    /// How many of them are still on it.
    left: usize,
    /// Records that took others off it, without which those would be on it again.
    unlisted: Vec<u64>,
}

impl Case {
    fn is_finished(&self) -> bool {
        self.done && self.calls.is_empty()
    }
}

impl Compactor {
    /// Takes note of the record that has this sequence number; they come in order, without those removed before.
    pub fn note(&mut self, seq: u64, record: &Record) {
        match &record.fact {
            Fact::Booted { .. } => {
                let before = self.booted.replace(seq);
                self.dead.extend(before);
            }
            Fact::AgentSaved(profile) => self.on_saved(seq, &profile.id),
            Fact::AgentStatus { agent, status } => self.on_status(seq, agent, *status),
            Fact::ModeChosen { agent, .. } => self.replace(seq, agent, |trail| &mut trail.chosen),
            Fact::ModeInForce { agent, .. } => self.replace(seq, agent, |trail| &mut trail.mode),
            Fact::WrapUp { agent, until_ms: Some(_) } => self.replace(seq, agent, |trail| &mut trail.wrap_up),
            Fact::WrapUp { agent, until_ms: None } => {
                self.dead.extend(self.agents.get_mut(agent).and_then(|trail| trail.wrap_up.take()));
                self.dead.push(seq);
            }
            Fact::AgentRemoved { agent } => {
                let trail = self.agents.remove(agent);
                self.dead.extend(trail.into_iter().flat_map(AgentTrail::into_records));
                self.dead.push(seq);
            }
            Fact::ConnectionAsked { operation, .. } | Fact::ConnectionEnded { operation, .. } => {
                self.asked.entry(operation.clone()).or_default().push(seq);
            }
            Fact::ConnectionTold { operation, .. } => {
                self.dead.extend(self.asked.remove(operation).into_iter().flatten());
                self.dead.push(seq);
            }
            Fact::LegUp { agent, call } => self.on_leg_up(seq, agent, *call),
            // The dialog stands for the set-up that it came of.
            Fact::SettingUp { call, .. } | Fact::Dialog { call, .. } => {
                let before = self.calls.entry(*call).or_default().dialog.replace(seq);
                self.dead.extend(before);
            }
            Fact::Spliced { call, .. } => {
                let before = self.calls.entry(*call).or_default().spliced.replace(seq);
                self.dead.extend(before);
            }
            Fact::NoPerson { call } => {
                self.on_known(*call);
                self.dead.push(seq);
            }
            Fact::Connected { call, .. } => {
                self.on_known(*call);
                self.on_customer(seq, *call, record.at_ms);
            }
            Fact::KeysBlocked { call, blocked } => {
                let trail = self.calls.entry(*call).or_default();
                self.dead.extend(trail.keys.take());
                if *blocked {
                    trail.keys = Some(seq);
                } else {
                    self.dead.push(seq);
                }
            }
            // The last one counts all of them.
            Fact::AudioMissed { call, .. } => {
                let before = self.calls.entry(*call).or_default().missed.replace(seq);
                self.dead.extend(before);
            }
            Fact::AudioFlowed { call, .. } => {
                let before = self.calls.entry(*call).or_default().audio.replace(seq);
                self.dead.extend(before);
            }
            Fact::CalendarSet { .. } => {
                self.settings.push_back(seq);
                if self.settings.len() > CALENDAR_SET {
                    self.dead.extend(self.settings.pop_front());
                }
            }
            Fact::CallEnded { call, .. } => self.on_ended(seq, *call, record.at_ms),
            Fact::InboundArrived { call, .. }
            | Fact::AgentRequested { call, .. }
            | Fact::Parted { call, .. }
            | Fact::Transferred { call, .. } => self.on_customer(seq, *call, record.at_ms),
            fact @ (Fact::CallbackAdded(_)
            | Fact::CallbackRevised(_)
            | Fact::CallbackDialled { .. }
            | Fact::CallbackCalledIn { .. }
            | Fact::CallbackAttempted { .. }
            | Fact::CallbackMoved { .. }
            | Fact::CallbackAsked { .. }
            | Fact::CallbackConfirmed { .. }
            | Fact::CallbackEnded { .. }
            | Fact::ContactAdded { .. }
            | Fact::ContactRemoved { .. }
            | Fact::ContactDialled { .. }
            | Fact::ContactResult { .. }
            | Fact::ContactDisposed { .. }
            | Fact::DialRefused(_)) => self.note_case(seq, fact, record.at_ms),
            Fact::CallsSummed(summed) => self.on_summed(seq, summed, record.at_ms),
            Fact::NumbersListed { numbers } => self.on_listed(seq, numbers),
            Fact::NumberUnlisted { number } => self.on_unlisted(seq, number),
        }
    }

    fn note_case(&mut self, seq: u64, fact: &Fact, at_ms: u64) {
        match fact {
            Fact::CallbackAdded(spec) => {
                let key = CaseKey::Callback(spec.id.clone());
                if let Some(call) = spec.first_call() {
                    self.go_on_as(call, &key);
                }
                self.on_case(seq, key, at_ms, |_| {});
            }
            Fact::CallbackDialled { id, call, .. } => {
                self.on_dialled(seq, CaseKey::Callback(id.clone()), *call, at_ms);
            }
            Fact::CallbackCalledIn { id, call, .. } => {
                let key = CaseKey::Callback(id.clone());
                self.go_on_as(*call, &key);
                self.on_case(seq, key, at_ms, |_| {});
            }
            Fact::CallbackAttempted { id, .. }
            | Fact::CallbackMoved { id, .. }
            | Fact::CallbackAsked { id, .. }
            | Fact::CallbackConfirmed { id } => {
                self.on_case(seq, CaseKey::Callback(id.clone()), at_ms, |_| {});
            }
            Fact::CallbackRevised(spec) => {
                self.on_case(seq, CaseKey::Callback(spec.id.clone()), at_ms, |_| {});
            }
            Fact::CallbackEnded { id, .. } => {
                self.on_case(seq, CaseKey::Callback(id.clone()), at_ms, |case| case.done = true);
            }
            Fact::ContactAdded { id, .. } => {
                self.on_case(seq, CaseKey::Contact(id.clone()), at_ms, |_| {});
            }
            Fact::ContactRemoved { id } => {
                self.on_case(seq, CaseKey::Contact(id.clone()), at_ms, |case| case.done = true);
            }
            Fact::ContactDisposed { id, .. } => match self.cases.get_mut(&CaseKey::Contact(id.clone())) {
                Some(case) => case.records.push(seq),
                None => self.dead.push(seq),
            },
            Fact::ContactDialled { id, call, .. } => {
                self.on_dialled(seq, CaseKey::Contact(id.clone()), *call, at_ms);
            }
            Fact::DialRefused(refused) => {
                let key = match refused.campaign.kind {
                    CampaignKind::Service => CaseKey::Callback(CallbackId(refused.id.clone())),
                    CampaignKind::List | CampaignKind::Queue => {
                        CaseKey::Contact(ContactId(refused.id.clone()))
                    }
                };
                self.on_case(seq, key, at_ms, |_| {});
            }
            Fact::ContactResult { id, again_ms, .. } => {
                let last = again_ms.is_none();
                self.on_case(seq, CaseKey::Contact(id.clone()), at_ms, |case| case.done |= last);
            }
            _ => {}
        }
    }

    /// Lets finished histories die that ended longer ago than `keep_ms`, or are more than reports hold: a few with each call.
    pub fn expire(&mut self, now_ms: u64, keep_ms: u64) {
        let from_ms = now_ms.saturating_sub(keep_ms);
        for _ in 0..EXPIRE_AT_ONCE {
            let too_many = self.finished.len() > REPORT_ROWS;
            let oldest = self.finished.pop_front_if(|(at_ms, _)| too_many || *at_ms < from_ms);
            let Some((_, key)) = oldest else { return };
            if self.cases.get(&key).is_some_and(Case::is_finished)
                && let Some(case) = self.cases.remove(&key)
            {
                self.dead.extend(case.records);
            }
        }
    }

    /// Number of records that can be taken.
    pub fn dead(&self) -> usize {
        self.dead.len()
    }

    /// The records that died since the last time; they are to be removed in one transaction.
    pub fn take_dead(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dead)
    }

    /// Takes back what could not be removed.
    pub fn put_back(&mut self, mut void: Vec<u64>) {
        void.append(&mut self.dead);
        self.dead = void;
    }

    fn on_saved(&mut self, seq: u64, agent: &AgentId) {
        let Some(trail) = self.agents.get_mut(agent) else {
            self.agents.insert(agent.clone(), AgentTrail { created: seq, ..AgentTrail::default() });
            return;
        };
        if trail.login.is_some() {
            self.dead.extend(trail.saved_since.replace(seq));
        } else {
            self.dead.extend(trail.mode.take());
            self.dead.extend(trail.saved.replace(seq));
        }
    }

    fn on_status(&mut self, seq: u64, agent: &AgentId, status: AgentStatus) {
        let Some(trail) = self.agents.get_mut(agent) else {
            self.dead.push(seq);
            return;
        };
        self.dead.extend(trail.status.take());
        if status == AgentStatus::LoggedOut {
            let over = [trail.login.take(), trail.chosen.take(), trail.mode.take(), trail.wrap_up.take()];
            self.dead.extend(over.into_iter().flatten());
            self.dead.extend(trail.settle());
            trail.status = Some(seq);
        } else if trail.login.is_none() {
            self.dead.extend(trail.settle());
            trail.login = Some(seq);
        } else {
            trail.status = Some(seq);
        }
    }

    fn replace(&mut self, seq: u64, agent: &AgentId, place: fn(&mut AgentTrail) -> &mut Option<u64>) {
        match self.agents.get_mut(agent) {
            Some(trail) => self.dead.extend(place(trail).replace(seq)),
            None => self.dead.push(seq),
        }
    }

    /// The last sum of a day is enough, and none of a day that the ledger does not hold any more.
    fn on_summed(&mut self, seq: u64, summed: &CallsSummed, at_ms: u64) {
        let days = self.sums.entry(summed.campaign.clone()).or_default();
        self.dead.extend(days.insert(summed.day, seq));
        let held = days.split_off(&(at_ms / DAY_MS + 1).saturating_sub(US_DAYS));
        self.dead.extend(std::mem::replace(days, held).into_values());
    }

    fn on_listed(&mut self, seq: u64, numbers: &[String]) {
        let mut left = 0;
        for number in numbers {
            // A number is listed once at a time.
            if !self.listed_by.contains_key(number) {
                self.listed_by.insert(number.clone(), seq);
                left += 1;
            }
        }
        match left {
            0 => self.dead.push(seq),
            left => {
                self.listings.insert(seq, Listing { left, unlisted: Vec::new() });
            }
        }
    }

    fn on_unlisted(&mut self, seq: u64, number: &str) {
        let by = self.listed_by.remove(number);
        let Some((by, listing)) = by.and_then(|by| Some((by, self.listings.get_mut(&by)?))) else {
            return self.dead.push(seq);
        };
        listing.left -= 1;
        listing.unlisted.push(seq);
        if listing.left == 0 {
            let listing = self.listings.remove(&by).unwrap_or_default();
            self.dead.push(by);
            self.dead.extend(listing.unlisted);
        }
    }

    fn on_leg_up(&mut self, seq: u64, agent: &AgentId, call: CallId) {
        if let Some((_, before)) = self.legs.insert(agent.clone(), (call, seq)) {
            self.dead.push(before);
        }
        self.calls.entry(call).or_default().leg = Some(agent.clone());
    }

    /// It is known who answered.
    fn on_known(&mut self, call: CallId) {
        let spliced = self.calls.get_mut(&call).and_then(|trail| trail.spliced.take());
        self.dead.extend(spliced);
    }

    fn on_ended(&mut self, seq: u64, call: CallId, at_ms: u64) {
        let trail = self.calls.remove(&call).unwrap_or_default();
        let void = [trail.dialog, trail.spliced, trail.keys, trail.missed, trail.audio];
        self.dead.extend(void.into_iter().flatten());
        if let Some(agent) = trail.leg
            && self.legs.get(&agent).is_some_and(|(own, _)| *own == call)
            && let Some((_, leg)) = self.legs.remove(&agent)
        {
            self.dead.push(leg);
        }
        match trail.case {
            Some(key) => self.on_case(seq, key, at_ms, |case| {
                case.calls.remove(&call);
            }),
            None => self.dead.push(seq),
        }
    }

    /// Something about a customer's call; a caller's first word opens a history.
    fn on_customer(&mut self, seq: u64, call: CallId, at_ms: u64) {
        let known = self.calls.get(&call).and_then(|trail| trail.case.clone());
        let key = known.unwrap_or(CaseKey::Caller(call));
        self.calls.entry(call).or_default().case = Some(key.clone());
        self.on_case(seq, key, at_ms, |case| {
            case.done |= case.records.is_empty();
            case.calls.insert(call);
        });
    }

    /// A caller's history goes on as their callback's: without the callback, a call not yet over would be a caller again.
    fn go_on_as(&mut self, call: CallId, key: &CaseKey) {
        let Some(trail) = self.calls.get_mut(&call) else { return };
        let before = trail.case.replace(key.clone()).filter(|before| before != key);
        if let Some(before) = before.and_then(|before| self.cases.remove(&before)) {
            let case = self.cases.entry(key.clone()).or_default();
            case.records.extend(before.records);
            case.calls.extend(before.calls);
        }
    }

    fn on_dialled(&mut self, seq: u64, key: CaseKey, call: CallId, at_ms: u64) {
        self.calls.entry(call).or_default().case = Some(key.clone());
        self.on_case(seq, key, at_ms, |case| {
            case.calls.insert(call);
        });
    }

    fn on_case(&mut self, seq: u64, key: CaseKey, at_ms: u64, change: impl FnOnce(&mut Case)) {
        let case = self.cases.entry(key.clone()).or_default();
        let before = case.is_finished();
        change(case);
        case.records.push(seq);
        if case.is_finished() && !before {
            self.finished.push_back((at_ms, key));
        }
    }
}

impl AgentTrail {
    /// Nothing is left between the times that they were saved: the last one is enough. Gives the others.
    fn settle(&mut self) -> impl Iterator<Item = u64> + use<> {
        let mut void = [None; 2];
        for (void, last) in void.iter_mut().zip([self.saved.take(), self.saved_since.take()]) {
            *void = last.map(|last| std::mem::replace(&mut self.created, last));
        }
        void.into_iter().flatten()
    }

    fn into_records(self) -> impl Iterator<Item = u64> {
        let of_session = [self.login, self.status, self.chosen, self.mode, self.wrap_up];
        let rest = [self.saved, self.saved_since].into_iter().chain(of_session);
        std::iter::once(self.created).chain(rest.flatten())
    }
}

/// So that no transaction that removes them is long, however many come of age after a quiet night.
const EXPIRE_AT_ONCE: usize = 64;
/// Times that the calendar was set that are kept. With more in what is reported, how long the oldest calls took is told by the calendar.
const CALENDAR_SET: usize = 1_000;
