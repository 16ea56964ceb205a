//! A new run over the journal: what follows from the records and from what the engines kept (BY-10).

use std::collections::BTreeSet;

use offhook_proto::{LegInfo, LegState, PlaySource};

use crate::agent::{Activity, Agent, Wanted};
use crate::call::Role;
use crate::connection;
use crate::core::Core;
use crate::flow::calls::leg_name;
use crate::flow::replay::{Caller, Dialog, Marks, Replayed, SetUp, customer_leg};
use crate::flow::taken_up::TakenUp;
use crate::interaction::{Interaction, Source, Stage, Way};
use crate::leg::Link;
use crate::record::{CallKind, Destination, Fact};
use crate::timer::Timer;
use crate::{AgentId, CallId, CallbackId, EngineId};

impl Core {
    /// After the last record: timers run and what was due is queued. What was in flight waits for the engine's word.
    pub(crate) fn rebuild(&mut self) {
        self.replayed.pending = true;
        self.resume_waits();
        self.take_up_operations();
        // Whatever ends the wait for a verdict, they talked.
        for (call, (agent, since_ms)) in std::mem::take(&mut self.replayed.spliced) {
            self.note_past_talk(call, agent, Some(since_ms));
        }
        let now_us = self.now.mono_us;
        let agents: Vec<AgentId> = self.agents.keys().cloned().collect();
        for id in agents {
            if let Some(agent) = self.agents.get_mut(&id) {
                agent.idle_since_us = now_us;
                // They are what they were, since when they were.
                agent.status = agent.current_status();
            }
            self.resume_wrap_up(&id);
            self.agent_changed(&id);
        }
        self.note_unclear_callbacks();
        let callbacks = self.callbacks.iter().filter(|(_, found)| !found.unclear);
        let callbacks: Vec<_> = callbacks.map(|(id, _)| id.clone()).collect();
        self.refresh_callbacks();
        for id in &callbacks {
            self.after_attempt(id);
            self.resume_asking(id);
        }
        self.resume_callback_flows(&callbacks);
        let contacts: Vec<_> = self
            .contacts
            .iter()
            .filter(|(_, found)| found.running.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in contacts {
            self.schedule_contact(&id);
        }
    }

    /// Journal and engine are known: every call of the earlier run is taken up, or ended.
    pub(super) fn decide(&mut self) {
        let replayed = std::mem::take(&mut self.replayed);
        let Replayed {
            mut dialogs,
            mut set_ups,
            legs_up,
            callers,
            let_go,
            attached,
            called_in,
            dialled,
            connected,
            parted,
            transferred,
            requeued,
            skills,
            mut marks,
            mut found,
            ..
        } = replayed;
        self.take_engines_up();
        for (agent, call) in &legs_up {
            let name = leg_name(CallKind::AgentLeg, Some(agent), *call);
            let logged_in = self.agents.get(agent).is_some_and(|agent| agent.wanted != Wanted::LoggedOut);
            if logged_in && let Some(dialog) = dialogs.remove(call) {
                self.take_up_agent(agent, *call, dialog, found.remove(&name).as_ref());
            }
        }
        let customers: BTreeSet<CallId> =
            callers.keys().chain(dialled.keys()).chain(connected.keys()).copied().collect();
        for call in customers {
            let info = found.remove(&customer_leg(call));
            let past = Past {
                call,
                dialog: dialogs.remove(&call),
                set_up: set_ups.remove(&call),
                caller: callers.get(&call),
                called_in: called_in.get(&call),
                dialled: dialled.get(&call),
                connected: connected.get(&call),
                is_parted: parted.contains(&call),
                transferred: transferred.get(&call),
                requeued: requeued.get(&call),
                skill: skills.get(&call).and_then(Option::as_ref),
                marks: marks.remove(&call).unwrap_or_default(),
                info,
            };
            self.take_up_customer(past);
        }
        for (call, callback) in attached {
            if let Some(spec) = self.callbacks.get(&callback).map(|found| found.spec.clone()) {
                self.leave_with_callback(call, &spec);
            }
        }
        for (call, (caller, callback)) in let_go {
            self.let_go_now(call, &caller, &callback, dialogs.remove(&call));
        }
        if !dialogs.is_empty() || !set_ups.is_empty() {
            self.spare_phones();
        }
        for (call, dialog) in dialogs {
            self.discard(call, dialog);
        }
        for (call, set_up) in set_ups {
            self.stop_ringing(call, set_up);
        }
        for (leg, (engine, _)) in found {
            self.delete_orphan(engine, leg);
        }
        self.forget_attempts();
        self.forget_lonely_guests();
        let agents: Vec<AgentId> = self.agents.keys().cloned().collect();
        for id in agents {
            let wants = |agent: &Agent| {
                agent.reopen || (agent.wanted == Wanted::Available && agent.mode.now.persistent)
            };
            if self.agents.get(&id).is_some_and(wants) {
                self.establish(&id);
            }
            self.resume_operations(&id);
            self.agent_changed(&id);
        }
        for id in self.call_ids() {
            self.on_silent(id);
            self.drive(id);
            self.reap(id);
        }
        self.match_due = true;
    }

    /// A phone may be in a call that is being taken up in order to be ended: it is not called meanwhile.
    pub(super) fn spare_phones(&mut self) {
        self.phones_from_us = self.now.mono_us + DISCARD_MS * 1_000;
    }

    /// An open leg of an agent: nobody is redialled.
    fn take_up_agent(
        &mut self,
        id: &AgentId,
        call: CallId,
        dialog: Dialog,
        info: Option<&(EngineId, LegInfo)>,
    ) {
        let number = self.agents.get(id).map(|agent| agent.profile.id.0.clone()).unwrap_or_default();
        let role = Role::Agent(id.clone());
        let taken_up = Some(TakenUp::Dialog(dialog));
        self.restore(call, CallKind::AgentLeg, role, number, Some(id.clone()), taken_up, info);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.call = Some(call);
            agent.dialled = Some(call);
            agent.for_one = !agent.mode.now.persistent;
            agent.connection = connection::State::Restoring;
        }
    }

    /// A conversation is on record, and its callback's or contact's end may have been lost with the last records.
    pub(super) fn complete_past(
        &mut self,
        called_in: Option<&CallbackId>,
        dialled: Option<&(Source, AgentId)>,
    ) {
        if let Some(id) = called_in {
            self.leave_queue_of(id);
            self.complete_connected_callback(id);
        }
        match dialled.map(|(source, _)| source) {
            Some(Source::Callback(id)) => self.complete_connected_callback(id),
            Some(Source::Contact(id))
                if self.contacts.get(id).is_some_and(|found| found.running.is_some()) =>
            {
                self.complete_connected_contact(id);
                self.finish_contact(id, false);
            }
            Some(Source::Contact(_) | Source::Caller) | None => {}
        }
    }

    /// What waits for a customer who is on the line again waits no longer.
    pub(super) fn leave_queue_of(&mut self, id: &CallbackId) {
        if let Some(waiting) = self.callbacks.get(id).and_then(|callback| callback.interaction) {
            self.leave_queue(waiting);
        }
    }

    fn take_up_customer(&mut self, mut past: Past<'_>) {
        if past.connected.is_some() {
            self.complete_past(past.called_in, past.dialled);
        }
        let agent = past.agent();
        let heard = past.is_heard();
        let talked = past.connected.is_some() && !past.is_parted;
        let moved = past.info.is_none() && talked && past.dialog.is_some();
        let reachable = agent
            .as_ref()
            .and_then(|agent| self.agents.get(agent))
            .is_some_and(|agent| agent.call.is_some() && agent.interaction().is_none());
        let waits_again = matches!(past.transferred, Some(Destination::Queue(_)));
        let interaction = match (heard || moved, &past.dialog, past.caller) {
            // A machine was being left a message, or was being hung up on.
            _ if past.connected.is_none() && self.is_given_up(past.call, past.dialled) => None,
            (_, Some(_), _) if waits_again => Some((Stage::Waiting, None)),
            (true, _, _) if reachable => Some((Stage::Connected, agent.clone())),
            (true, Some(_), _) => Some((Stage::Held, agent.clone())),
            (_, Some(_), _) if past.connected.is_some() => Some((Stage::Held, agent.clone())),
            (_, Some(_), Some(_)) => Some((Stage::Waiting, None)),
            // A dialog that can be restored was answered: whoever waits there is joined, not hung up on.
            (_, Some(_), None) if past.dialled.is_some() => Some((Stage::Held, agent.clone())),
            _ => None,
        };
        let Some((stage, with)) = interaction else {
            let wanted = reachable && past.dialled.is_some() && !self.is_given_up(past.call, past.dialled);
            if let (None, true, Some(agent)) = (&past.dialog, wanted, &agent)
                && let Some(set_up) = past.set_up.take()
            {
                return self.ring_on(&past, set_up, agent);
            }
            if let Some((engine, _)) = past.info {
                self.delete_orphan(engine, customer_leg(past.call));
            }
            match (past.dialog, past.set_up) {
                (Some(dialog), _) => self.discard(past.call, dialog),
                (None, Some(set_up)) => self.stop_ringing(past.call, set_up),
                (None, None) => self.record(Fact::CallEnded { call: past.call, summary: None }),
            }
            return;
        };
        self.resume(past, stage, with);
    }

    /// Whether the attempt that a call was is on record as ended, though the call is not.
    pub(super) fn is_given_up(&self, call: CallId, dialled: Option<&(Source, AgentId)>) -> bool {
        let running = match dialled {
            Some((Source::Callback(id), _)) => self.callbacks.get(id).map(|found| &found.running),
            Some((Source::Contact(id), _)) => self.contacts.get(id).map(|found| &found.running),
            Some((Source::Caller, _)) | None => return false,
        };
        running.and_then(|running| running.as_ref()).is_none_or(|(running, ..)| *running != call)
    }

    fn resume(&mut self, past: Past<'_>, stage: Stage, agent: Option<AgentId>) {
        let mut interaction = self.interaction_of(&past);
        let id = interaction.id;
        interaction.stage = stage;
        interaction.connected = past.connected.is_some();
        interaction.last_agent.clone_from(&agent);
        interaction.way = if stage == Stage::Waiting { Way::Inbound } else { Way::Resumed };
        if let Some((queue, priority)) = past.requeued {
            let own = self.config.queue(queue).map_or(0, |queue| queue.priority);
            interaction.queue.clone_from(queue);
            interaction.priority = priority.unwrap_or(own);
        }
        if let (Some(Destination::Agent(to)), Stage::Held) = (past.transferred, stage) {
            interaction.last_agent = Some(to.clone());
        }
        self.remember_queue(&interaction.queue, past.skill);
        // Whoever called for a callback is a caller still.
        let kind = if past.called_in.is_some() { CallKind::Inbound } else { interaction.kind() };
        let number = interaction.number.clone();
        // We called, and what their answer took to be heard cannot be measured any more.
        let answered_before = past.connected.is_some() || (past.dialled.is_some() && past.dialog.is_some());
        let was_parted = past.is_parted || past.transferred.is_some();
        if stage == Stage::Connected {
            interaction.agent.clone_from(&agent);
        }
        self.own(id, &interaction.source);
        self.interactions.insert(id, interaction);
        self.restore(
            past.call,
            kind,
            Role::Customer(id),
            number,
            agent.clone(),
            past.dialog.map(TakenUp::Dialog),
            past.info.as_ref(),
        );
        if let (Some(call), Some((_, since_ms))) = (self.calls.get_mut(&past.call), past.connected) {
            // Whoever talks has been answered.
            call.answered_ms = call.answered_ms.min(Some(*since_ms));
        }
        if let (Some(call), true) = (self.calls.get_mut(&past.call), answered_before) {
            call.audio.is_past = true;
        }
        self.restore_marks(past.call, past.marks);
        match stage {
            Stage::Connected => self.resume_talk(id, past.call, agent),
            Stage::Held => {
                if let Some(agent) = agent.filter(|_| !was_parted) {
                    self.note_parted(id, &agent);
                }
                self.held.insert(id);
                self.arm(Timer::Hold(past.call), u64::from(self.config.agents.hold_timeout_s) * 1_000);
                let prompt = self.config.prompts.hold.clone();
                if !prompt.is_empty() {
                    self.play_to(past.call, vec![PlaySource::File(prompt), PlaySource::SilenceMs(2_000)], 0);
                }
            }
            Stage::Waiting
            | Stage::Offered
            | Stage::Calling
            | Stage::Preparing
            | Stage::Proving
            | Stage::Dialling
            | Stage::Alerting
            | Stage::Joining
            | Stage::Aborting
            | Stage::Done => {}
        }
    }

    /// They still talk.
    fn resume_talk(&mut self, id: u64, call: CallId, agent: Option<AgentId>) {
        let Some(agent) = agent else { return };
        let Some(found) = self.agents.get_mut(&agent) else { return };
        found.activity = Activity::Busy { interaction: id };
        self.timers.stop(&Timer::WrapUp(agent.clone()));
        let Some(found) = self.agents.get(&agent) else { return };
        let agent_call = found.call;
        let partner = customer_leg(call);
        if let Some(leg) = agent_call.and_then(|call| self.calls.get_mut(&call)) {
            leg.leg.link(Link::Spliced { partner, hears: true, heard: true });
        }
        self.agent_changed(&agent);
    }

    pub(super) fn interaction_of(&mut self, past: &Past<'_>) -> Interaction {
        let call = past.call;
        if let Some(caller) = past.caller {
            let own = self.config.queue(&caller.queue).map_or(0, |queue| queue.priority);
            let priority = caller.priority.unwrap_or(own);
            let mut interaction =
                self.caller(call, caller.queue.clone(), priority, caller.number.clone(), caller.dnis.clone());
            interaction.arrival_ms = caller.arrival_ms;
            interaction.contact = caller.contact.unwrap_or(interaction.id);
            // With the first conversation a flow is over.
            if past.connected.is_none() {
                self.restore_flow(&mut interaction, caller);
            }
            if let Some(id) = past.called_in {
                self.stand_for(&mut interaction, id);
            }
            return interaction;
        }
        let mut interaction = self.caller(call, String::new(), 0, String::new(), String::new());
        interaction.way = Way::Outbound;
        let Some((source, _)) = past.dialled else { return interaction };
        interaction.source = source.clone();
        match source {
            Source::Callback(id) => {
                if let Some(callback) = self.callbacks.get(id) {
                    interaction.queue.clone_from(&callback.spec.queue);
                    interaction.number.clone_from(&callback.spec.number);
                    interaction.arrival_ms = callback.place_ms();
                    interaction.origin.clone_from(&callback.spec.origin);
                    if let Some(origin) = &callback.spec.origin {
                        interaction.contact = origin.contact;
                        interaction.priority = origin.priority;
                        interaction.dnis.clone_from(&origin.caller_id);
                    }
                    interaction.data = serde_json::Value::Object(callback.spec.data.clone());
                }
            }
            Source::Contact(id) => {
                if let Some(contact) = self.contacts.get(id) {
                    interaction.queue.clone_from(&contact.spec.queue);
                    interaction.number.clone_from(&contact.spec.number);
                    interaction.arrival_ms = contact.arrival_ms;
                    interaction.data = contact.spec.data.clone();
                }
            }
            Source::Caller => {}
        }
        interaction
    }
}

/// One customer's call of an earlier run.
pub(super) struct Past<'a> {
    pub(super) call: CallId,
    dialog: Option<Dialog>,
    set_up: Option<SetUp>,
    caller: Option<&'a Caller>,
    called_in: Option<&'a CallbackId>,
    dialled: Option<&'a (Source, AgentId)>,
    connected: Option<&'a (AgentId, u64)>,
    /// The agent was lost before.
    is_parted: bool,
    transferred: Option<&'a Destination>,
    requeued: Option<&'a (String, Option<i32>)>,
    skill: Option<&'a String>,
    marks: Marks,
    pub(super) info: Option<(EngineId, LegInfo)>,
}

impl Past<'_> {
    /// Whether the engine has the customer spliced to an agent, both ways.
    fn is_heard(&self) -> bool {
        self.info.as_ref().is_some_and(|(_, info)| info.state == LegState::Spliced && info.hears)
    }

    /// Whose they are: who talked with them, else for whom they were called.
    fn agent(&self) -> Option<AgentId> {
        let connected = self.connected.map(|(agent, _)| agent);
        connected.or(self.dialled.map(|(_, agent)| agent)).cloned()
    }
}

/// Time for the dialogs that nobody wants to be taken up and ended.
const DISCARD_MS: u64 = 2_000;
