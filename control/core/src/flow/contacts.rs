//! Contacts of preview dialling: stored, offered, tried, done.

use crate::core::{Changed, Core};
use crate::interaction::{Interaction, Outcome, Source, Stage, Way};
use crate::limits::HISTORY;
use crate::preview::{Contact, State, result_code};
use crate::record::{ContactSpec, Fact, FailedAt, ResultCode};
use crate::timer::{Deadline, Timer};
use crate::wait::Wait;
use crate::{AgentId, CallId, ContactId};

impl Core {
    pub(crate) fn add_contact(&mut self, id: &ContactId, spec: ContactSpec) {
        self.record(Fact::ContactAdded { id: id.clone(), spec: spec.clone() });
        self.insert_contact(id, spec, self.now.unix_ms);
        self.schedule_contact(id);
    }

    pub(crate) fn insert_contact(&mut self, id: &ContactId, spec: ContactSpec, at_ms: u64) {
        let due_ms = spec.not_before_ms.unwrap_or(0);
        self.lists.entry(spec.list.clone()).or_default().insert(id.clone());
        let contact = Contact {
            id: id.clone(),
            spec,
            arrival_ms: at_ms,
            due_ms,
            forbidden_until_ms: 0,
            wait: Wait::default(),
            state: State::Queued,
            code: None,
            response: None,
            attempts: 0,
            agent: None,
            running: None,
            interaction: None,
            disposition: None,
        };
        self.contacts.insert(id.clone(), contact);
    }

    pub(crate) fn schedule_contact(&mut self, id: &ContactId) {
        let Some(contact) = self.contacts.get(id) else { return };
        if contact.is_over() || contact.interaction.is_some() {
            return;
        }
        let due_ms = contact.due_ms.max(contact.forbidden_until_ms);
        let waits_until_us = contact.wait.runs_until_us(self.now);
        self.changed(Changed::Contact(id.clone()));
        if waits_until_us.is_none() && due_ms <= self.now.unix_ms {
            return self.queue_contact(id);
        }
        if let Some(contact) = self.contacts.get_mut(id) {
            contact.state = State::Queued;
        }
        match waits_until_us {
            Some(until_us) => self.timers.arm(Timer::ContactDue(id.clone()), Deadline::Ours(until_us)),
            None => self.arm_at(Timer::ContactDue(id.clone()), due_ms),
        }
    }

    pub(crate) fn on_contact_due(&mut self, id: &ContactId) {
        self.schedule_contact(id);
    }

    fn queue_contact(&mut self, id: &ContactId) {
        let number = self.unique();
        let Some(contact) = self.contacts.get_mut(id) else { return };
        contact.interaction = Some(number);
        contact.state = State::Queued;
        let interaction = Interaction {
            id: number,
            source: Source::Contact(id.clone()),
            way: Way::Outbound,
            stage: Stage::Waiting,
            priority: self.config.queue(&contact.spec.queue).map_or(0, |queue| queue.priority),
            queue: contact.spec.queue.clone(),
            arrival_ms: contact.arrival_ms,
            contact: number,
            origin: None,
            flow: None,
            number: contact.spec.number.clone(),
            dnis: String::new(),
            data: contact.spec.data.clone(),
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

    pub(crate) fn on_contact_stage(&mut self, id: &ContactId, stage: Stage, agent: Option<AgentId>) {
        let Some(contact) = self.contacts.get_mut(id) else { return };
        if contact.is_over() {
            return;
        }
        contact.state = match stage {
            // Whoever is passed on after a conversation is on the line, and not in the list.
            _ if contact.code == Some(ResultCode::K) => State::Connected,
            Stage::Waiting => State::Queued,
            Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving => State::Offered,
            Stage::Dialling | Stage::Alerting => State::Dialling,
            Stage::Joining | Stage::Connected | Stage::Held => State::Connected,
            Stage::Aborting | Stage::Done => contact.state,
        };
        if agent.is_some() {
            contact.agent = agent;
        }
        self.changed(Changed::Contact(id.clone()));
    }

    /// An attempt is on record before its INVITE goes out.
    pub(crate) fn record_contact_dial(&mut self, id: &ContactId, call: CallId, agent: &AgentId) {
        let unix_ms = self.now.unix_ms;
        let Some(contact) = self.contacts.get_mut(id) else { return };
        contact.attempts += 1;
        contact.running = Some((call, agent.clone(), unix_ms));
        let (attempt, queue) = (contact.attempts, contact.spec.queue.clone());
        let skill = self.skill_of(&queue).map(str::to_owned);
        self.record(Fact::ContactDialled { id: id.clone(), attempt, call, agent: agent.clone(), skill });
    }

    pub(crate) fn complete_connected_contact(&mut self, id: &ContactId) {
        let Some(contact) = self.contacts.get_mut(id) else { return };
        contact.code = Some(ResultCode::K);
        contact.state = State::Connected;
        contact.running = None;
        let agent = contact.agent.clone();
        self.changed(Changed::Contact(id.clone()));
        self.record(Fact::ContactResult {
            id: id.clone(),
            code: ResultCode::K,
            response: None,
            again_ms: None,
            disabled: false,
            agent,
            failed_at: FailedAt::default(),
        });
        self.count_contact(ResultCode::K);
    }

    fn count_contact(&mut self, code: ResultCode) {
        *self.projection.contacts.entry(code.name().to_owned()).or_default() += 1;
    }

    /// An interaction for a contact is over.
    pub(crate) fn conclude_contact(
        &mut self,
        id: &ContactId,
        outcome: &Outcome,
        rang: bool,
        connected: bool,
    ) {
        let (now, unknown_wait_ms) = (self.now, self.unknown_wait_ms());
        let Some(contact) = self.contacts.get_mut(id) else { return };
        contact.interaction = None;
        let dialled = contact.running.take().is_some();
        if contact.is_over() {
            return;
        }
        if connected {
            self.finish_contact(id, false);
            return;
        }
        let disabled = *outcome == Outcome::AgentCancelled;
        if !dialled && !disabled {
            if *outcome == Outcome::Engine {
                contact.wait = Wait::begin(now, ENGINE_RETRY_MS, false);
            }
            self.schedule_contact(id);
            return;
        }
        let (code, response) = result_code(outcome, rang);
        let queue = self.config.queue(&contact.spec.queue);
        let (max, retry_s) = queue.map_or((1, 300), |queue| {
            let own = queue.retry_by_result.get(code.name()).copied();
            (queue.max_attempts, own.unwrap_or(queue.retry_s))
        });
        let ours =
            matches!(outcome, Outcome::AgentLost | Outcome::AgentLeft | Outcome::Engine | Outcome::Unknown);
        let wait_ms = match outcome {
            Outcome::Unknown => unknown_wait_ms,
            _ if ours => OWN_RETRY_MS,
            _ => u64::from(retry_s) * 1_000,
        };
        // An attempt that our own side spoilt is not the contact's.
        let limit = if ours { max.max(OWN_ATTEMPTS) } else { max };
        let dropped = matches!(outcome, Outcome::Detected { again: false, .. });
        let never = dropped || retry_s == 0 && !ours;
        let hung_up = matches!(outcome, Outcome::AgentHungUp | Outcome::Deleted);
        let again = !disabled && !never && !hung_up && contact.attempts < limit;
        let wait = again.then(|| Wait::begin(now, wait_ms, outcome.failed_at() == FailedAt::House));
        let Some(contact) = self.contacts.get_mut(id) else { return };
        contact.code = Some(code);
        contact.response = response;
        let agent = contact.agent.clone();
        let (id, failed_at) = (id.clone(), outcome.failed_at());
        self.record(Fact::ContactResult {
            id: id.clone(),
            code,
            response,
            again_ms: wait.map(|wait| wait.until_ms),
            disabled,
            agent,
            failed_at,
        });
        self.count_contact(code);
        match wait {
            Some(wait) => {
                if let Some(contact) = self.contacts.get_mut(&id) {
                    contact.wait = wait;
                    contact.state = State::Queued;
                }
                self.schedule_contact(&id);
            }
            None => self.finish_contact(&id, disabled),
        }
    }

    pub(crate) fn finish_contact(&mut self, id: &ContactId, disabled: bool) {
        let Some(contact) = self.contacts.get_mut(id) else { return };
        if contact.is_over() {
            return;
        }
        contact.state = if disabled { State::Disabled } else { State::Done };
        self.timers.stop(&Timer::ContactDue(id.clone()));
        self.changed(Changed::Contact(id.clone()));
        self.finished_contacts.push_back(id.clone());
        if self.finished_contacts.len() > HISTORY
            && let Some(old) = self.finished_contacts.pop_front()
        {
            self.forget_contact(&old);
        }
    }
}

/// Attempts at a contact when our own side spoils them.
const OWN_ATTEMPTS: u32 = 3;
/// Wait after an attempt that our own side ended.
const OWN_RETRY_MS: u64 = 2_000;
/// Wait after the engine refused a leg.
const ENGINE_RETRY_MS: u64 = 5_000;
