//! Callers go through their flow: what the interpreter wants is done, and it is told what came of it.

use std::collections::BTreeMap;

use offhook_proto::PlaySource;

use crate::CallId;
use crate::call::{FLOW_HUNG_UP, Role};
use crate::core::Core;
use crate::flow::access_codes::{ASKS_CODE, CODE};
use crate::flow::replay::Caller;
use crate::inbound_flow::{Effect, Event, Owner, Run};
use crate::interaction::{Interaction, Outcome, Stage};
use crate::record::Fact;
use crate::timer::Timer;

impl Core {
    /// A caller is through to us: their flow begins.
    pub(crate) fn begin_flow(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let config = interaction.flow.as_ref().and_then(|name| self.config.flow(name)).cloned();
        match config {
            Some(config) => {
                let run = Run::new(config, given(interaction));
                self.flows.insert(Owner::Caller(id), run);
                self.run_flow(Owner::Caller(id), Event::Begin);
            }
            None => self.end_flow(&Owner::Caller(id)),
        }
    }

    /// A restored caller's flow, from where it took the place in the queue; from its beginning when it had not.
    pub(super) fn restore_flow(&mut self, interaction: &mut Interaction, caller: &Caller) {
        interaction.flow.clone_from(&caller.flow);
        let (Some(name), Some((step, variables))) = (&interaction.flow, &caller.step) else { return };
        let config = self.config.flow(name).cloned();
        if let Some(run) = config.and_then(|config| Run::after(config, step, variables.clone())) {
            self.flows.insert(Owner::Caller(interaction.id), run);
        }
    }

    /// The dialog of a caller in a flow was taken up after a restart.
    pub(crate) fn resume_flow(&mut self, id: u64) {
        let queued = self.interactions.get(&id).is_some_and(|found| !found.queue.is_empty());
        if queued {
            self.enter_queue(id);
        }
        let owner = Owner::Caller(id);
        match (self.flows.contains_key(&owner), queued) {
            (true, _) => self.run_flow(owner, Event::Done),
            // The flow is not configured any more, or not the step.
            (false, true) => self.play_queue_music(id),
            (false, false) => self.begin_flow(id),
        }
    }

    /// Nobody goes through it any more.
    pub(crate) fn leave_flow(&mut self, owner: &Owner) {
        if self.flows.remove(owner).is_some() {
            self.timers.stop(&Timer::Flow(owner.clone()));
        }
    }

    /// A key was pressed on a call's phone.
    pub(super) fn on_key(&mut self, leg: &str, digit: char) {
        if let Some(Role::Customer(id)) = self.role_of(leg) {
            self.run_flow(Owner::Caller(id), Event::Key(digit));
        }
    }

    /// What was played to a call has ended, or cannot be played.
    pub(super) fn on_caller_play(&mut self, call: CallId, played: bool) {
        if let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) {
            let failed = || Event::Failed("the engine cannot play it".to_owned());
            self.run_flow(Owner::Caller(id), if played { Event::PlayEnded } else { failed() });
        }
    }

    pub(crate) fn on_flow_time(&mut self, owner: Owner) {
        self.run_flow(owner, Event::Elapsed);
    }

    /// Lets a flow go on until it waits for something.
    pub(super) fn run_flow(&mut self, mut owner: Owner, mut event: Event) {
        loop {
            let Some(run) = self.flows.get_mut(&owner) else { return };
            let Some(effect) = run.handle(event) else { return };
            self.timers.stop(&Timer::Flow(owner.clone()));
            event = match (effect, &owner) {
                (Effect::RequestAgent { queue, priority }, _) => {
                    answer(self.request_agent(&owner, &queue, priority))
                }
                (Effect::Estimate, _) => self.estimate(&owner),
                (Effect::MayCallBack(order), Owner::Caller(id)) => answer(self.may_call_back(*id, &order)),
                (Effect::CallBack(order), Owner::Caller(id)) => match self.call_back(*id, order) {
                    Ok(after) => {
                        owner = after;
                        Event::Done
                    }
                    Err(why) => Event::Failed(why),
                },
                (Effect::MayCallBack(_) | Effect::CallBack(_), Owner::Callback(_)) => {
                    Event::Failed("there is no call".to_owned())
                }
                (Effect::Prompt { prompts, within_ms }, Owner::Caller(id)) => {
                    self.play_in_flow(*id, prompts, 1);
                    return self.arm(Timer::Flow(owner), within_ms);
                }
                (Effect::Music { file, ms }, Owner::Caller(id)) => {
                    if file.is_empty() {
                        self.play_queue_music(*id);
                    } else {
                        self.play_in_flow(*id, vec![PlaySource::File(file)], 0);
                    }
                    return self.arm(Timer::Flow(owner), ms);
                }
                (Effect::Keys { ms }, Owner::Caller(id)) => {
                    self.play_in_flow(*id, Vec::new(), 0);
                    return self.arm(Timer::Flow(owner), ms);
                }
                (Effect::Transfer(other), Owner::Caller(id)) => match self.transfer_in_flow(*id, other) {
                    Ok(()) => return,
                    Err(why) => Event::NotReached(why),
                },
                (Effect::Transfer(_), Owner::Callback(_)) => Event::NotReached("there is no call".to_owned()),
                (Effect::Prompt { .. } | Effect::Music { .. } | Effect::Keys { .. }, Owner::Callback(_)) => {
                    Event::Failed("there is no call".to_owned())
                }
                (Effect::Time { ms }, _) => return self.arm_flow(owner, ms),
                (Effect::HangUp, _) => return self.hang_up_in_flow(owner),
                (Effect::End, _) => return self.end_flow(&owner),
            };
        }
    }

    pub(super) fn play_in_flow(&mut self, id: u64, sources: Vec<PlaySource>, times: u32) {
        if let Some(call) = self.interactions.get(&id).and_then(|interaction| interaction.call) {
            self.play_to(call, sources, times);
        }
    }

    /// A place in a queue: the contact's first arrival counts, however late it is asked for (BY-07).
    fn request_agent(&mut self, owner: &Owner, queue: &str, priority: Option<i32>) -> Result<(), String> {
        let Owner::Caller(id) = owner else {
            return Err("the callback keeps its place in its queue".to_owned());
        };
        let config = self.config.queue(queue).ok_or_else(|| format!("there is no queue {queue}"))?;
        let priority = priority.unwrap_or(config.priority);
        let Some(run) = self.flows.get(owner) else { return Err("the flow has ended".to_owned()) };
        let (step, mut variables) = (run.caption().to_owned(), run.variables().clone());
        variables.insert("Queue".to_owned(), queue.to_owned());
        let Some(interaction) = self.interactions.get_mut(id) else {
            return Err("the caller left".to_owned());
        };
        let same = interaction.queue == queue && interaction.priority == priority;
        if interaction.stage != Stage::Waiting && !same {
            return Err("an agent is being asked already".to_owned());
        }
        if !same {
            let before = (interaction.queue.clone(), crate::flow::customers::place(interaction));
            queue.clone_into(&mut interaction.queue);
            interaction.priority = priority;
            self.queues.leave(&before.0, &before.1);
        }
        if let (Some(call), false) = (interaction.call, same) {
            let queue = queue.to_owned();
            let skill = self.skill_of(&queue).map(str::to_owned);
            self.record(Fact::AgentRequested { call, queue, priority, step, variables, skill });
            self.enter_queue(*id);
        }
        if let Some(run) = self.flows.get_mut(owner) {
            run.set("Queue", queue.to_owned());
        }
        Ok(())
    }

    /// How long the contact will probably wait at its place (CB-07).
    fn estimate(&self, owner: &Owner) -> Event {
        let interaction = match owner {
            Owner::Caller(id) => Some(*id),
            Owner::Callback(id) => self.callbacks.get(id).and_then(|callback| callback.interaction),
        };
        let Some(interaction) = interaction.and_then(|id| self.interactions.get(&id)) else {
            return Event::Failed("the contact is in no queue".to_owned());
        };
        let queue = &interaction.queue;
        if queue.is_empty() {
            return Event::Failed("no agent has been requested".to_owned());
        }
        // Who is being offered to an agent waits no more.
        let place = crate::flow::customers::place(interaction);
        let Some(position) = self.queues.position(queue, &place) else {
            return Event::Estimated { wait_s: Some(0), position: 0 };
        };
        let wait_ms = self.estimated_wait_ms(queue, position as u64);
        Event::Estimated { wait_s: wait_ms.map(|ms| ms.div_ceil(1_000)), position }
    }

    fn hang_up_in_flow(&mut self, owner: Owner) {
        self.flows.remove(&owner);
        match owner {
            Owner::Caller(id) => {
                let call = self.interactions.get(&id).and_then(|interaction| interaction.call);
                if let Some(call) = call.filter(|_| self.is_reached_for(id)) {
                    // Their wait is over as soon as that is in vain.
                    return self.arm(Timer::MaxWait(call), 0);
                }
                if let Some(call) = call.and_then(|call| self.calls.get_mut(&call)) {
                    call.result = Some(FLOW_HUNG_UP.to_owned());
                }
                self.give_up(id, Outcome::Withdrawn);
            }
            Owner::Callback(id) => self.end_queue_callback(&id),
        }
    }

    /// Who is in a queue goes on waiting there; anybody else is hung up on.
    fn end_flow(&mut self, owner: &Owner) {
        let run = self.flows.remove(owner);
        let Owner::Caller(id) = owner else { return };
        if let Some(run) = run.filter(|run| run.flow() == ASKS_CODE) {
            return self.on_access_code(*id, run.variables().get(CODE).map_or("", String::as_str));
        }
        let queued = self.interactions.get(id).is_some_and(|found| !found.queue.is_empty());
        if queued {
            self.play_queue_music(*id);
        } else {
            self.hang_up_in_flow(owner.clone());
        }
    }
}

fn answer(result: Result<(), String>) -> Event {
    match result {
        Ok(()) => Event::Done,
        Err(why) => Event::Failed(why),
    }
}

/// The variables that a flow finds set.
fn given(interaction: &Interaction) -> BTreeMap<String, String> {
    let given = [
        ("ANI", interaction.number.clone()),
        ("DNIS", interaction.dnis.clone()),
        ("OriginalANI", interaction.number.clone()),
        ("OriginalDNIS", interaction.dnis.clone()),
        ("ContactID", interaction.contact.to_string()),
        ("Queue", String::new()),
        ("Position", String::new()),
        ("EstimatedWait", String::new()),
        ("_ERR", String::new()),
    ];
    given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
