//! A queued callback: the call is let go, its place in the queue is kept.

use serde_json::{Map, Value, json};

use crate::CallbackId;
use crate::core::Core;
use crate::inbound_flow::{Event, Order, Owner, Run};
use crate::interaction::{Interaction, Stage};
use crate::mutation::Mutation;
use crate::options::CallbackOptions;
use crate::record::{CallbackReason, CallbackSpec, Origin};
use crate::timer::{Deadline, Timer};

impl Core {
    /// Whether a flow may make a callback of a caller now.
    pub(super) fn may_call_back(&self, id: u64, order: &Order) -> Result<(), String> {
        let interaction = self.interactions.get(&id).ok_or("the caller left")?;
        match interaction.stage {
            Stage::Waiting | Stage::Offered => {}
            Stage::Calling
            | Stage::Preparing
            | Stage::Proving
            | Stage::Dialling
            | Stage::Alerting
            | Stage::Joining
            | Stage::Connected
            | Stage::Held
            | Stage::Aborting
            | Stage::Done => return Err("an agent has taken the call".to_owned()),
        }
        if self.config.queue(&interaction.queue).is_none() {
            return Err("the caller is in no queue that a callback could wait in".to_owned());
        }
        let service = self.config.service(&order.service);
        let service = service.ok_or_else(|| format!("there is no service {}", order.service))?;
        self.check_throttles(service, &order.number).map_err(|refusal| refusal.message)
    }

    /// Stores the callback, then drops the call: the record comes first, and the drop waits for it (QC-04).
    pub(super) fn call_back(&mut self, id: u64, order: Order) -> Result<Owner, String> {
        self.may_call_back(id, &order)?;
        if self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Offered) {
            self.announce_offer(id, "withdrawn");
            self.step_back(id, 0);
        }
        let caller = Owner::Caller(id);
        let Some(run) = self.flows.remove(&caller) else { return Err("the flow has ended".to_owned()) };
        let Some(interaction) = self.interactions.remove(&id) else {
            return Err("the caller left".to_owned());
        };
        let Some(call) = interaction.call else { return Err("the caller left".to_owned()) };
        self.queues.leave(&interaction.queue, &crate::flow::customers::place(&interaction));
        let spec = self.spec_of(&interaction, order, &run);
        let after = Owner::Callback(spec.id.clone());
        self.flows.insert(after.clone(), run);
        if let Some(call) = self.calls.get_mut(&call) {
            call.result = Some("callback".to_owned());
        }
        if self.mutated(Mutation::DropBeforeStore) {
            self.hang_up(call, "Callback");
        }
        self.add_callback(spec.clone());
        self.attach(call, &spec);
        self.hang_up(call, "Callback");
        Ok(after)
    }

    fn spec_of(&mut self, interaction: &Interaction, order: Order, run: &Run) -> CallbackSpec {
        let id = CallbackId(self.random_id());
        let accepted_ms = self.now.unix_ms;
        let service = self.config.service(&order.service).cloned().unwrap_or_default();
        let data = data(&id, interaction, &order, accepted_ms);
        let origin = Origin {
            contact: interaction.contact,
            call: interaction.call.unwrap_or_default(),
            priority: interaction.priority,
            ani: interaction.number.clone(),
            dnis: interaction.dnis.clone(),
            caller_id: order.caller_id,
            extension: order.extension,
            call_delay_s: order.delay_s,
            accepted_ms,
            flow: run.flow().to_owned(),
            step: run.caption().to_owned(),
            variables: run.variables().clone(),
        };
        CallbackSpec {
            id,
            service: service.name,
            queue: interaction.queue.clone(),
            number: order.number,
            arrival_ms: if self.mutated(Mutation::LatePlace) { accepted_ms } else { interaction.arrival_ms },
            desired_ms: accepted_ms,
            scheduled: false,
            ttl_s: service.ttl_s,
            max_attempts: service.max_dial_attempts,
            retry_s: service.dial_retry_timeout_s,
            data,
            options: CallbackOptions::default(),
            origin: Some(Box::new(origin)),
            originating: None,
        }
    }

    /// The flow of a callback hangs up: that ends the callback, unless the customer is there (QC-07).
    pub(super) fn end_queue_callback(&mut self, id: &CallbackId) {
        let interaction = self.callbacks.get(id).and_then(|callback| callback.interaction);
        let stage = interaction.and_then(|found| self.interactions.get(&found)).map(|found| found.stage);
        if !matches!(stage, Some(Stage::Joining | Stage::Connected | Stage::Held)) {
            self.withdraw_callback(id, CallbackReason::Cancelled);
        }
    }

    /// A step of a flow takes time. After a callback it counts from when that was accepted, so that a restart adds nothing.
    pub(super) fn arm_flow(&mut self, owner: Owner, ms: u64) {
        let Owner::Callback(id) = &owner else { return self.arm(Timer::Flow(owner), ms) };
        let Some(callback) = self.callbacks.get(id) else { return };
        let waited_ms = self.flows.get(&owner).map_or(ms, |run| run.waited_ms);
        let until_us = waited_ms.saturating_mul(1_000).saturating_add_signed(callback.accepted_us);
        self.timers.arm(Timer::Flow(owner), Deadline::Ours(until_us));
    }

    /// After a restart: the flows of these callbacks go on behind their callback step.
    pub(crate) fn resume_callback_flows(&mut self, ids: &[CallbackId]) {
        let mut runs = Vec::new();
        for (id, callback) in ids.iter().filter_map(|id| Some((id, self.callbacks.get(id)?))) {
            let Some(origin) = callback.spec.origin.as_ref().filter(|_| !callback.is_over()) else {
                continue;
            };
            let config = self.config.flow(&origin.flow).cloned();
            let run = config.and_then(|config| Run::after(config, &origin.step, origin.variables.clone()));
            if let Some(run) = run {
                let number = callback.spec.number.clone();
                runs.push((Owner::Callback(id.clone()), run.called_back(number, origin.caller_id.clone())));
            }
        }
        for (owner, run) in runs {
            self.flows.insert(owner.clone(), run);
            self.run_flow(owner, Event::Done);
        }
    }
}

/// What agents and those who ask for the callback see of it (QC-06, QC-09, CB-11).
fn data(id: &CallbackId, interaction: &Interaction, order: &Order, accepted_ms: u64) -> Map<String, Value> {
    let mut data = Map::new();
    if let Some(more) = interaction.data.as_object() {
        data.extend(
            more.iter()
                .filter(|(name, _)| *name != "dnis")
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    let accepted_s = accepted_ms / 1_000;
    let own = [
        ("ContactID", json!(interaction.contact.to_string())),
        ("ANI", json!(order.number)),
        ("DNIS", json!(order.caller_id)),
        ("OriginalANI", json!(interaction.number)),
        ("OriginalDNIS", json!(interaction.dnis)),
        ("_CB_SERVICE_ID", json!(id)),
        ("_CB_T_SERVICE_START", json!(accepted_s)),
        ("_CB_T_CALLBACK_ACCEPTED", json!(accepted_s)),
    ];
    data.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    if let Some(extension) = &order.extension {
        data.insert("Extension".to_owned(), json!(extension));
    }
    data
}
