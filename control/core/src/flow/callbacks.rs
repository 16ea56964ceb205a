//! Callbacks: taken, queued when due, tried, ended once.

use serde_json::Value;

use crate::callback::{Callback, State, dial_result};
use crate::core::{Changed, Core};
use crate::inbound_flow::Owner;
use crate::interaction::{Interaction, Outcome, Source, Stage, Way};
use crate::limits::HISTORY;
use crate::mutation::Mutation;
use crate::options::CallDirection;
use crate::preview::result_code;
use crate::record::{CallbackReason, CallbackSpec, DialResult, Fact};
use crate::timer::{Deadline, Timer};
use crate::wait::Wait;
use crate::{AgentId, CallId, CallbackId};

impl Core {
    pub(crate) fn add_callback(&mut self, spec: CallbackSpec) {
        let id = spec.id.clone();
        self.record(Fact::CallbackAdded(Box::new(spec.clone())));
        self.insert_callback(spec);
        self.schedule_callback(&id);
    }

    /// Keeps a callback, and counts it.
    pub(crate) fn insert_callback(&mut self, spec: CallbackSpec) {
        let asked_ms = spec.asked_ms();
        self.throttles.entry(spec.service.clone()).or_default().note(asked_ms);
        self.index.add(&spec.id, &spec.service, &spec.number, asked_ms);
        if let Some(code) = &spec.options.access_code {
            self.index.assign_code(code, &spec.id);
        }
        let mut callback = Callback::new(spec);
        callback.accepted_us = i64::try_from(self.now.mono_us).unwrap_or(i64::MAX);
        let id = callback.spec.id.clone();
        self.callbacks.insert(id.clone(), callback);
        self.book_callback(&id);
    }

    /// Queues a callback when it is due, or waits until it is.
    pub(crate) fn schedule_callback(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get(id) else { return };
        if callback.is_over() || callback.unclear || callback.interaction.is_some() || callback.is_asked {
            return;
        }
        let now_ms = self.now.unix_ms;
        let waits_until_us = callback.wait.runs_until_us(self.now);
        let due_ms = callback.due_ms.max(callback.forbidden_until_ms);
        let is_due = due_ms <= now_ms;
        let service = self.config.service(&callback.spec.service).filter(|_| is_due);
        let open_ms = service.map_or(Some(0), |service| service.office_hours.next_open_ms(now_ms));
        let due_ms = due_ms.max(open_ms.unwrap_or(0));
        let waits_for_call =
            callback.spec.options.access_number.is_some() && !callback.spec.options.wait_for_agent;
        self.arm_at(Timer::CallbackTtl(id.clone()), callback.expires_ms());
        if let Some(until_us) = waits_until_us {
            self.set_callback_state(id, State::Scheduled);
            self.timers.arm(Timer::CallbackDue(id.clone()), Deadline::Ours(until_us));
        } else if due_ms > now_ms {
            self.set_callback_state(id, State::Scheduled);
            self.arm_at(Timer::CallbackDue(id.clone()), due_ms);
        } else if open_ms.is_none() {
            self.end_callback(id, CallbackReason::FailQueueing);
        } else if let Some(obstacle) = self.obstacle(id) {
            self.end_callback(id, obstacle);
        } else if waits_for_call {
            self.set_callback_state(id, State::Queued);
        } else {
            self.queue_callback(id);
        }
    }

    /// Why a callback that is due cannot wait in its queue, by the settings as they are now (CB-13).
    pub(super) fn obstacle(&self, id: &CallbackId) -> Option<CallbackReason> {
        let spec = &self.callbacks.get(id)?.spec;
        let own_call = spec.options.direction == CallDirection::UserOriginated;
        if self.config.queue(&spec.queue).is_none() {
            Some(CallbackReason::FailTargetNotFound)
        } else if own_call && spec.options.access_number.is_none() {
            Some(CallbackReason::FailQueueing)
        } else {
            None
        }
    }

    pub(crate) fn on_callback_due(&mut self, id: &CallbackId) {
        self.schedule_callback(id);
    }

    fn queue_callback(&mut self, id: &CallbackId) {
        let number = self.unique();
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        callback.interaction = Some(number);
        let spec = &callback.spec;
        let interaction = Interaction {
            id: number,
            source: Source::Callback(id.clone()),
            way: Way::Outbound,
            stage: Stage::Waiting,
            priority: match &spec.origin {
                Some(origin) => origin.priority,
                None => self.config.queue(&spec.queue).map_or(0, |queue| queue.priority),
            },
            queue: spec.queue.clone(),
            arrival_ms: callback.place_ms(),
            contact: spec.origin.as_ref().map_or(number, |origin| origin.contact),
            number: spec.number.clone(),
            dnis: spec.origin.as_ref().map_or(String::new(), |origin| origin.caller_id.clone()),
            origin: spec.origin.clone(),
            flow: None,
            data: Value::Object(spec.data.clone()),
            agent: None,
            last_agent: None,
            call: None,
            offer: None,
            refusers: std::collections::BTreeMap::new(),
            proof: None,
            proof_sent_us: 0,
            proof_tries: 0,
            outcome: None,
            connected: false,
            held_us: 0,
            wrong_codes: 0,
            passing: crate::interaction::Passing::default(),
        };
        self.enqueue(interaction);
    }

    pub(crate) fn on_callback_stage(&mut self, id: &CallbackId, stage: Stage) {
        let state = match stage {
            Stage::Waiting => State::Queued,
            Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving => State::Routing,
            Stage::Dialling
            | Stage::Alerting
            | Stage::Joining
            | Stage::Connected
            | Stage::Held
            | Stage::Aborting => State::Processing,
            Stage::Done => return,
        };
        self.set_callback_state(id, state);
    }

    fn set_callback_state(&mut self, id: &CallbackId, state: State) {
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        if callback.is_over() || callback.state == state {
            return;
        }
        callback.state = state;
        self.changed(Changed::Callback(id.clone()));
    }

    /// An attempt is on record before its INVITE goes out.
    pub(crate) fn record_callback_dial(&mut self, id: &CallbackId, call: CallId, agent: &AgentId) {
        let unix_ms = self.now.unix_ms;
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        callback.attempts += 1;
        callback.person = false;
        callback.running = Some((call, agent.clone(), unix_ms));
        let (attempt, queue) = (callback.attempts, callback.spec.queue.clone());
        let skill = self.skill_of(&queue).map(str::to_owned);
        self.record(Fact::CallbackDialled { id: id.clone(), attempt, call, agent: agent.clone(), skill });
    }

    pub(crate) fn complete_connected_callback(&mut self, id: &CallbackId) {
        self.end_callback(id, CallbackReason::AgentConnected);
        if self.mutated(Mutation::CompleteTwice) {
            let reason = CallbackReason::AgentConnected;
            self.record(Fact::CallbackEnded { id: id.clone(), reason, result: None });
        }
    }

    /// The end of a callback: on record once.
    pub(crate) fn end_callback(&mut self, id: &CallbackId, reason: CallbackReason) {
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        if callback.is_over() {
            return;
        }
        let result = callback.last_result(reason);
        if let Some(result) = result {
            callback.results.insert(callback.attempts, result);
        }
        callback.state = State::Completed(reason);
        callback.running = None;
        (callback.is_asked, callback.unclear) = (false, false);
        let result = result.filter(|result| *result != DialResult::Connected);
        self.record(Fact::CallbackEnded { id: id.clone(), reason, result });
        self.on_callback_ended(id, reason);
    }

    /// Counts an end and keeps it for queries, within limits.
    pub(crate) fn on_callback_ended(&mut self, id: &CallbackId, reason: CallbackReason) {
        self.timers.stop(&Timer::CallbackDue(id.clone()));
        self.timers.stop(&Timer::CallbackTtl(id.clone()));
        self.timers.stop(&Timer::Confirm(id.clone()));
        if let Some(callback) = self.callbacks.get(id) {
            self.index.end(&callback.spec.service, callback.spec.options.access_code.as_deref());
        }
        self.index.book(id, None);
        let name = serde_json::to_value(reason).ok().and_then(|name| name.as_str().map(str::to_owned));
        *self.projection.callbacks.entry(name.unwrap_or_default()).or_default() += 1;
        self.changed(Changed::Callback(id.clone()));
        self.finished_callbacks.push_back(id.clone());
        if self.finished_callbacks.len() > HISTORY
            && let Some(old) = self.finished_callbacks.pop_front()
            && let Some(callback) = self.callbacks.remove(&old)
        {
            self.index.remove(&old, &callback.spec.number);
        }
        self.leave_flow(&Owner::Callback(id.clone()));
    }

    /// An interaction for a callback is over.
    pub(crate) fn conclude_callback(
        &mut self,
        id: &CallbackId,
        outcome: &Outcome,
        rang: bool,
        connected: bool,
    ) {
        let (now, unknown_wait_ms) = (self.now, self.unknown_wait_ms());
        let Some(callback) = self.callbacks.get_mut(id) else { return };
        callback.interaction = None;
        if callback.is_over() || connected {
            return;
        }
        if *outcome == Outcome::Deleted {
            return self.end_callback(id, CallbackReason::FailInteractionDeleted);
        }
        let Some(_) = callback.running.take() else {
            // Nobody was dialled.
            if *outcome == Outcome::Engine {
                callback.wait = Wait::begin(now, ENGINE_RETRY_MS, false);
            }
            self.after_attempt(id);
            return;
        };
        let wait_ms = match outcome {
            Outcome::AgentLost | Outcome::AgentLeft | Outcome::AgentHungUp | Outcome::AgentCancelled => {
                OWN_RETRY_MS
            }
            Outcome::Unknown => unknown_wait_ms,
            Outcome::Withdrawn
            | Outcome::Deleted
            | Outcome::SetupTimeout
            | Outcome::Refused { .. }
            | Outcome::Engine
            | Outcome::Detected { .. }
            | Outcome::Talked => u64::from(callback.spec.retry_s) * 1_000,
        };
        let result = match outcome {
            Outcome::Talked => DialResult::Person,
            other => dial_result(other),
        };
        callback.wait = Wait::begin(now, wait_ms, result == DialResult::Unknown);
        callback.results.insert(callback.attempts, result);
        let failed_at = outcome.failed_at();
        callback.failed_at = callback.failed_at.max(Some(failed_at));
        let (attempt, not_before_ms) = (callback.attempts, callback.wait.until_ms);
        let (code, response) = result_code(outcome, rang);
        self.record(Fact::CallbackAttempted {
            id: id.clone(),
            attempt,
            result,
            not_before_ms,
            failed_at,
            code: Some(code),
            response,
        });
        if matches!(outcome, Outcome::Detected { again: false, .. }) {
            return self.end_callback(id, CallbackReason::FailCallToCustomer);
        }
        self.after_attempt(id);
    }

    /// Again, or the end.
    pub(crate) fn after_attempt(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get(id).filter(|found| !found.unclear) else { return };
        if callback.attempts >= callback.spec.max_attempts {
            self.end_callback(id, callback.exhausted());
        } else if callback.expires_ms() <= self.now.unix_ms {
            self.end_callback(id, CallbackReason::FailTimeoutTtl);
        } else {
            self.schedule_callback(id);
        }
    }

    /// Of a planted fault alone: the next attempt waits for nothing.
    pub(super) fn requeue_at_once(&mut self, id: &CallbackId) {
        if let Some(callback) = self.callbacks.get_mut(id) {
            (callback.due_ms, callback.wait) = (0, Wait::default());
            self.schedule_callback(id);
        }
    }

    /// Its time to live is over: an attempt that runs may still succeed (CB-10).
    pub(crate) fn on_callback_ttl(&mut self, id: &CallbackId) {
        let Some(callback) = self.callbacks.get(id) else { return };
        if callback.is_over() || callback.running.is_some() || self.is_called_in(id) {
            return;
        }
        if callback.expires_ms() > self.now.unix_ms {
            self.schedule_callback(id);
            return;
        }
        self.withdraw_callback(id, CallbackReason::FailTimeoutTtl);
    }

    /// Ends a callback whose customer has not answered.
    pub(crate) fn withdraw_callback(&mut self, id: &CallbackId, reason: CallbackReason) {
        let Some(callback) = self.callbacks.get(id).filter(|found| !found.unclear) else { return };
        let interaction = callback.interaction;
        self.end_callback(id, reason);
        if let Some(interaction) = interaction {
            self.announce_offer(interaction, "withdrawn");
            self.give_up(interaction, Outcome::Withdrawn);
        }
    }
}

/// Wait after an attempt that our own side ended.
const OWN_RETRY_MS: u64 = 2_000;
/// Wait after the engine refused a leg.
const ENGINE_RETRY_MS: u64 = 5_000;
