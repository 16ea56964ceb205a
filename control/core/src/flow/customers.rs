//! A customer's way: queued, offered, taken. What follows: [`super::proof`], [`super::dialling`], [`super::joining`],
//! [`super::endings`].

use std::cmp::Reverse;

use crate::AgentId;
use crate::Output;
use crate::agent::Activity;
use crate::core::{Changed, Core};
use crate::interaction::{Event, Interaction, Source, Stage, Way};
use crate::mutation::Mutation;
use crate::timer::Timer;
use crate::view::{Notification, OfferView};

impl Core {
    /// Moves an interaction by an event; none when it fits nothing. Keeps its place in the queue.
    pub(crate) fn step(&mut self, id: u64, event: Event) -> Option<Stage> {
        let interaction = self.interactions.get_mut(&id)?;
        let before = interaction.stage;
        let next = before.next(event, interaction.way);
        if let Some(next) = next {
            interaction.stage = next;
            let (queue, place, way) = (interaction.queue.clone(), place(interaction), interaction.way);
            let call = interaction.call;
            if next == Stage::Waiting {
                // A flow's caller for whom no agent was requested has no place.
                if !queue.is_empty() && !self.mutated(Mutation::ForgetPlace) {
                    self.queues.enter(&queue, place, way);
                }
                self.match_due = true;
            } else if before == Stage::Waiting {
                self.queues.leave(&queue, &place);
            }
            if next == Stage::Held {
                self.held.insert(id);
                self.match_due = true;
            } else if before == Stage::Held {
                self.held.remove(&id);
            }
            self.source_changed(id);
            if let Some(call) = call {
                self.changed(Changed::Call(call));
            }
        } else {
            self.projection.ignored += 1;
        }
        self.saw("interaction", before.name(), event.name());
        next
    }

    /// Puts a new interaction into its queue.
    pub(crate) fn enqueue(&mut self, mut interaction: Interaction) -> u64 {
        if self.mutated(Mutation::Overtake) && interaction.way == Way::Outbound {
            interaction.arrival_ms = u64::MAX - interaction.arrival_ms;
        }
        let id = interaction.id;
        if interaction.stage == Stage::Waiting {
            self.queues.enter(&interaction.queue, place(&interaction), interaction.way);
            self.match_due = true;
        }
        self.interactions.insert(id, interaction);
        self.source_changed(id);
        id
    }

    /// Callback or contact follow their interaction.
    pub(super) fn source_changed(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let (stage, agent) = (interaction.stage, interaction.agent.clone());
        match interaction.source.clone() {
            Source::Callback(callback) => self.on_callback_stage(&callback, stage),
            Source::Contact(contact) => self.on_contact_stage(&contact, stage, agent),
            Source::Caller => {}
        }
    }

    /// Gives an interaction to an agent: asks them, or takes it at once.
    pub(crate) fn assign(&mut self, id: u64, agent_id: &AgentId) {
        if self.refuses_dial(id) || self.asks_first(id) {
            return;
        }
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let returns = interaction.stage == Stage::Held && interaction.passing.to.is_none();
        interaction.agent = Some(agent_id.clone());
        interaction.offer = None;
        interaction.proof_tries = 0;
        let preview = matches!(interaction.source, Source::Contact(_)) && !interaction.connected;
        if !agent.is_up() {
            agent.activity = Activity::Busy { interaction: id };
            self.agent_changed(agent_id);
            if self.step(id, Event::TakeCalling).is_some() {
                self.handling.start(id, self.now.mono_us);
                self.announce_offer(id, "accepted");
                self.establish(agent_id);
            }
        } else if !agent.has_to_click() || returns {
            self.take(id);
        } else {
            agent.activity = Activity::Offered { interaction: id, preview };
            self.agent_changed(agent_id);
            if self.step(id, Event::Offer).is_some() {
                self.offer_to(id, agent_id);
            }
        }
    }

    /// Tells an agent that they are asked, and waits for their click.
    pub(super) fn offer_to(&mut self, id: u64, agent: &AgentId) {
        let ms = self.queue_of(id).map_or(15_000, |queue| queue.offer_timeout_ms);
        self.announce_offer_to(id, agent.clone(), "offered");
        self.arm(Timer::Offer(agent.clone()), u64::from(ms));
    }

    pub(super) fn queue_of(&self, id: u64) -> Option<&crate::config::QueueConfig> {
        self.queue(&self.interactions.get(&id)?.queue)
    }

    /// Tells whoever listens what became of an offer.
    pub(crate) fn announce_offer(&mut self, id: u64, state: &str) {
        if let Some(agent) = self.interactions.get(&id).and_then(|interaction| interaction.agent.clone()) {
            self.announce_offer_to(id, agent, state);
        }
    }

    pub(super) fn announce_offer_to(&mut self, id: u64, agent: AgentId, state: &str) {
        let offer = self.next_offer();
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        let view = OfferView {
            id: interaction.offer.get_or_insert(offer).clone(),
            agent,
            kind: interaction.kind(),
            number: interaction.number.clone(),
            data: interaction.data.clone(),
            state: state.to_owned(),
        };
        self.push(Output::Notify(Notification::Offer(Box::new(view))));
    }

    /// The agent takes it.
    pub(crate) fn take(&mut self, id: u64) {
        let Some(agent) = self.interactions.get(&id).and_then(|interaction| interaction.agent.clone()) else {
            return;
        };
        let Some(stage) = self.step(id, Event::Take) else { return };
        self.timers.stop(&Timer::Offer(agent.clone()));
        let free = self.mutated(Mutation::FreeTooEarly);
        if let Some(found) = self.agents.get_mut(&agent) {
            found.activity = if free { Activity::Free } else { Activity::Busy { interaction: id } };
        }
        self.handling.start(id, self.now.mono_us);
        self.announce_offer(id, "accepted");
        self.agent_changed(&agent);
        self.prepare(id, stage);
    }

    /// The phone of an agent without a lasting leg is there.
    pub(crate) fn on_agent_up(&mut self, id: u64) {
        if self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Calling)
            && let Some(stage) = self.step(id, Event::AgentUp)
        {
            self.prepare(id, stage);
        }
    }

    fn prepare(&mut self, id: u64, stage: Stage) {
        if stage == Stage::Preparing {
            self.open_customer_leg_after_delay(id);
        } else {
            self.prove(id);
        }
    }
}

/// Place in the queue.
pub(crate) fn place(interaction: &Interaction) -> crate::queue::Place {
    (Reverse(interaction.priority), interaction.arrival_ms, interaction.contact, interaction.id)
}
