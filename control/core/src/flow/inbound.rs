//! Callers: answered, music while they wait, then an agent.

use offhook_proto::{PlaySource, ToneName};

use crate::call::{Role, State as CallState, WAITED_TOO_LONG};
use crate::core::Core;
use crate::flow::calls::NewCall;
use crate::interaction::{Interaction, Outcome, Source, Stage, Way};
use crate::record::{CallKind, Fact};
use crate::sip::{RemoteMedia, SipCommand};
use crate::timer::Timer;
use crate::{CallId, Output};

impl Core {
    pub(crate) fn on_incoming(
        &mut self,
        id: CallId,
        from: String,
        to: &str,
        remote: Option<RemoteMedia>,
        trunk: bool,
    ) {
        if self.calls.contains_key(&id) || self.past_incoming.contains(&id) {
            self.projection.ignored += 1;
            return;
        }
        let leads = |dnis: &[String]| dnis.iter().any(|dnis| dnis == to);
        let flow = self.config.flows.iter().find(|flow| leads(&flow.dnis)).map(|flow| flow.name.clone());
        let queue = self.config.queues.iter().find(|queue| leads(&queue.dnis));
        let entry = match (&flow, queue) {
            (Some(_), _) => Some((String::new(), 0)),
            (None, Some(queue)) => Some((queue.name.clone(), queue.priority)),
            (None, None) => None,
        };
        let refusal = match entry {
            _ if !trunk => Some((403, "Forbidden")),
            _ if !self.engines.is_any_up() || self.calls.len() >= crate::limits::CALLS => {
                Some((503, "Service Unavailable"))
            }
            None => Some((404, "Not Found")),
            Some(_) => None,
        };
        let (Some((queue, priority)), None) = (entry, refusal) else {
            let (status, reason) = refusal.unwrap_or((404, "Not Found"));
            let command = SipCommand::Reject { status, reason: reason.to_owned() };
            self.push(Output::Sip { call: id, command });
            return;
        };
        let mut number = from;
        truncate(&mut number);
        let expected = self.expected_call(&number, to);
        let mut interaction = self.caller(id, queue, priority, number.clone(), to.to_owned());
        interaction.flow = flow;
        if let Some(callback) = expected {
            self.call_in(&mut interaction, &callback);
        }
        let role = Role::Customer(interaction.id);
        self.interactions.insert(interaction.id, interaction);
        self.new_call(NewCall {
            id,
            kind: CallKind::Inbound,
            role,
            state: CallState::Arriving,
            target: None,
            number,
            agent: None,
            beside: None,
            remote,
        });
        self.drive(id);
    }

    /// A caller's interaction, not yet in the queue.
    pub(crate) fn caller(
        &mut self,
        call: CallId,
        queue: String,
        priority: i32,
        number: String,
        dnis: String,
    ) -> Interaction {
        let id = self.unique();
        Interaction {
            id,
            source: Source::Caller,
            way: Way::Inbound,
            stage: Stage::Waiting,
            queue,
            priority,
            arrival_ms: self.now.unix_ms,
            contact: id,
            origin: None,
            flow: None,
            data: serde_json::json!({ "dnis": dnis }),
            number,
            dnis,
            agent: None,
            last_agent: None,
            call: Some(call),
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
        }
    }

    /// The caller is through to us: music, and a place in the queue.
    pub(crate) fn on_caller_answered(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let Some(call) = interaction.call else { return };
        if interaction.stage != Stage::Waiting {
            return;
        }
        let (queue, number) = (interaction.queue.clone(), interaction.number.clone());
        let (dnis, arrival_ms) = (interaction.dnis.clone(), Some(interaction.arrival_ms));
        let (contact, priority) = (Some(interaction.contact), Some(interaction.priority));
        let flow = interaction.flow.clone();
        let skill = self.skill_of(&queue).map(str::to_owned);
        self.record(Fact::InboundArrived {
            call,
            queue,
            number,
            dnis,
            arrival_ms,
            contact,
            priority,
            flow,
            skill,
        });
        self.record_call_in(id);
        if self.asks_for_code(id) {
            self.ask_for_code(id);
        } else {
            self.receive(id);
        }
    }

    /// Lets a caller into their flow, or their queue.
    pub(super) fn receive(&mut self, id: u64) {
        if self.interactions.get(&id).is_some_and(|found| found.flow.is_some()) {
            self.begin_flow(id);
        } else {
            self.wait_in_queue(id);
        }
    }

    pub(crate) fn wait_in_queue(&mut self, id: u64) {
        self.enter_queue(id);
        self.play_queue_music(id);
    }

    /// Takes the caller's place in the queue; what they hear is another matter.
    pub(crate) fn enter_queue(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let Some(call) = interaction.call else { return };
        let (queue, place) = (interaction.queue.clone(), crate::flow::customers::place(interaction));
        self.queues.enter(&queue, place, interaction.way);
        self.match_due = true;
        self.changed(crate::core::Changed::Call(call));
        let max_wait_s = self.queue(&queue).map_or(0, |queue| queue.max_wait_s);
        match max_wait_s {
            // Nor does what another queue allowed count any more.
            0 => self.timers.stop(&Timer::MaxWait(call)),
            seconds => self.arm(Timer::MaxWait(call), u64::from(seconds) * 1_000),
        }
    }

    pub(crate) fn play_queue_music(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let Some(call) = interaction.call else { return };
        let config = self.queue(&interaction.queue);
        let music = config.map(|queue| queue.music.clone()).unwrap_or_default();
        let source = if music.is_empty() {
            PlaySource::Tone { name: ToneName::Ringback, country: Some(self.config.country.clone()) }
        } else {
            PlaySource::File(music)
        };
        self.play_to(call, vec![source], 0);
    }

    /// Whether an agent has taken a caller, or somebody's phone rings for them.
    pub(super) fn is_reached_for(&self, id: u64) -> bool {
        let found = self.interactions.get(&id);
        found.is_some_and(|found| matches!(found.stage, Stage::Calling | Stage::Proving))
    }

    /// The caller has waited for as long as may be. Whom somebody is being reached for is let go only when that is in vain.
    pub(crate) fn on_max_wait(&mut self, call: CallId) {
        let Some(Role::Customer(id)) = self.calls.get(&call).map(|call| call.role.clone()) else { return };
        if self.is_reached_for(id) {
            return self.arm(Timer::MaxWait(call), TAKEN_MS);
        }
        if let Some(call) = self.calls.get_mut(&call) {
            call.result = Some(WAITED_TOO_LONG.to_owned());
        }
        self.give_up(id, Outcome::Withdrawn);
    }

    /// A customer's dialog was taken up after a restart.
    pub(crate) fn on_customer_restored(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id).filter(|found| found.stage == Stage::Waiting)
        else {
            return;
        };
        let in_flow = interaction.flow.is_some();
        if self.asks_for_code(id) {
            self.ask_for_code(id);
        } else if in_flow {
            self.resume_flow(id);
        } else {
            self.wait_in_queue(id);
        }
    }
}

/// How often it is looked whether a caller who has waited for too long is reached for still.
const TAKEN_MS: u64 = 1_000;

fn truncate(text: &mut String) {
    let end = text.char_indices().nth(crate::limits::NUMBER_CHARS).map_or(text.len(), |(at, _)| at);
    text.truncate(end);
}
