//! No dial breaks a rule that is in force: it is refused, with the reason on record (BY-08).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::{ApiError, ApiReply};
use crate::callback_index::canonical;
use crate::compliance::{RING_MS, Rule};
use crate::core::Core;
use crate::flow::api::{Answer, bad, check_number, missing};
use crate::interaction::{Outcome, Source, Way};
use crate::ledger::{Campaign, DAY_MS};
use crate::limits::{DO_NOT_CALL, IMPORT, LISTING};
use crate::mutation::Mutation;
use crate::record::{CallKind, CallbackReason, Fact, Refused};
use crate::view::ComplianceView;

impl Core {
    /// Refuses to dial for an interaction where that would break a rule. True when it was refused: nobody has it any more.
    pub(super) fn refuses_dial(&mut self, id: u64) -> bool {
        let Some(refused) = self.broken_rule(id) else { return false };
        let source = self.interactions.get(&id).map(|found| found.source.clone());
        let not_before_ms = refused.not_before_ms;
        self.record(Fact::DialRefused(Box::new(refused)));
        self.announce_offer_withdrawn(id);
        match (source, not_before_ms) {
            (Some(Source::Callback(callback)), Some(at_ms)) => {
                if let Some(callback) = self.callbacks.get_mut(&callback) {
                    callback.forbidden_until_ms = at_ms;
                }
                self.give_up(id, Outcome::Withdrawn);
            }
            (Some(Source::Callback(callback)), None) => {
                self.end_callback(&callback, CallbackReason::NotAvailable);
                self.give_up(id, Outcome::Withdrawn);
            }
            (Some(Source::Contact(contact)), Some(at_ms)) => {
                if let Some(contact) = self.contacts.get_mut(&contact) {
                    contact.forbidden_until_ms = at_ms;
                }
                self.give_up(id, Outcome::Withdrawn);
            }
            (Some(Source::Contact(contact)), None) => {
                self.record(Fact::ContactRemoved { id: contact.clone() });
                self.finish_contact(&contact, true);
                self.give_up(id, Outcome::Withdrawn);
            }
            (Some(Source::Caller) | None, _) => {}
        }
        true
    }

    pub(super) fn announce_offer_withdrawn(&mut self, id: u64) {
        if self.interactions.get(&id).is_some_and(|found| found.offer.is_some()) {
            self.announce_offer(id, "withdrawn");
        }
    }

    /// The rule that dialling now would break.
    fn broken_rule(&self, id: u64) -> Option<Refused> {
        let rules = &self.config.compliance;
        let found = self.interactions.get(&id)?;
        let enforced = rules.enforced(found.kind());
        if enforced.is_empty() || found.way != Way::Outbound || found.connected {
            return None;
        }
        let now_ms = self.now.unix_ms;
        let (source, campaign) = match &found.source {
            Source::Callback(id) => {
                (id.to_string(), Campaign::of_service(&self.callbacks.get(id)?.spec.service))
            }
            Source::Contact(id) => {
                let spec = &self.contacts.get(id)?.spec;
                (id.to_string(), Campaign::of_contact(&spec.list, &spec.queue))
            }
            Source::Caller => return None,
        };
        let refused = |rule, campaign, not_before_ms| {
            Some(Refused { id: source.clone(), number: found.number.clone(), campaign, rule, not_before_ms })
        };
        let is_unwanted = self.do_not_call.contains(&canonical(&found.number));
        if enforced.contains(&Rule::DoNotCall) && is_unwanted && !self.mutated(Mutation::DialUnwanted) {
            return refused(Rule::DoNotCall, campaign, None);
        }
        if enforced.contains(&Rule::CallingHours) {
            let own = found.data.get("time_zone").and_then(Value::as_str);
            let from_ms = rules.may_call_from_ms(&found.number, own, now_ms);
            if from_ms != Some(now_ms) {
                return refused(Rule::CallingHours, campaign, from_ms);
            }
        }
        if enforced.contains(&Rule::AbandonedRate) {
            let us = self.ledger.view(&campaign, now_ms).us;
            let over = us.abandoned * 1_000 > us.answered * u64::from(rules.max_abandoned_permille);
            if over && us.answered >= u64::from(rules.min_answered) {
                return refused(Rule::AbandonedRate, campaign, Some((now_ms / DAY_MS + 1) * DAY_MS));
            }
        }
        None
    }

    /// How long a customer's phone rings, where there is a rule about that.
    pub(super) fn lawful_ring_ms(&self, kind: CallKind, ring_ms: u32) -> u32 {
        let least_ms = u32::try_from(RING_MS).unwrap_or(u32::MAX);
        let is_rule = self.config.compliance.enforced(kind).contains(&Rule::RingTime);
        if is_rule { ring_ms.max(least_ms) } else { ring_ms }
    }

    /// `GET /compliance`.
    pub(super) fn show_compliance(&self) -> Answer {
        let rules = &self.config.compliance;
        Ok(ApiReply::Compliance(Box::new(ComplianceView {
            enforced: rules.enforce.iter().copied().collect(),
            enforced_callbacks: rules.enforce_callbacks.iter().copied().collect(),
            max_abandoned_percent: f64::from(rules.max_abandoned_permille) / 10.0,
            do_not_call: self.do_not_call.len() as u64,
            campaigns: self.ledger.views(self.now.unix_ms),
        })))
    }

    /// `GET /do_not_call`, in the order of the digits.
    pub(super) fn show_do_not_call(&self, after: Option<&str>, limit: usize) -> Answer {
        if !(1..=LISTING).contains(&limit) {
            return Err(bad("limit", "must be 1 to 10,000"));
        }
        let from = std::ops::Bound::Excluded(after.map(canonical).unwrap_or_default());
        let numbers = self.do_not_call.range((from, std::ops::Bound::Unbounded)).take(limit);
        Ok(ApiReply::Numbers(numbers.cloned().collect()))
    }

    /// `POST /do_not_call`: all of them, or none.
    pub(super) fn list_numbers(&mut self, numbers: &[String]) -> Answer {
        if numbers.is_empty() || numbers.len() > IMPORT {
            return Err(bad("numbers", &format!("must be 1 to {IMPORT} at once")));
        }
        for (row, number) in (1..).zip(numbers) {
            check_number(&format!("number {row}"), number)?;
        }
        if self.do_not_call.len() + numbers.len() > DO_NOT_CALL {
            let message = format!("the list holds at most {DO_NOT_CALL} numbers");
            return Err(ApiError::new(503, "too_many_numbers", message));
        }
        let numbers: BTreeSet<String> = numbers.iter().map(|number| canonical(number)).collect();
        let new: Vec<String> = numbers.difference(&self.do_not_call).cloned().collect();
        if !new.is_empty() {
            self.record(Fact::NumbersListed { numbers: new.clone() });
            self.do_not_call.extend(new);
        }
        Ok(ApiReply::NumbersStored(numbers.len()))
    }

    /// `GET /do_not_call/{number}`.
    pub(super) fn show_number(&self, number: &str) -> Answer {
        let number = canonical(number);
        if !self.do_not_call.contains(&number) {
            return Err(missing("number"));
        }
        Ok(ApiReply::Numbers(vec![number]))
    }

    /// `DELETE /do_not_call/{number}`.
    pub(super) fn unlist_number(&mut self, number: &str) -> Answer {
        let number = canonical(number);
        if !self.do_not_call.remove(&number) {
            return Err(missing("number"));
        }
        self.record(Fact::NumberUnlisted { number: number.clone() });
        Ok(ApiReply::Numbers(vec![number]))
    }
}
