//! What is shown of the core's state.

use crate::AgentId;
use crate::CallId;
use crate::agent::Activity;
use crate::call::{Role, State as CallState};
use crate::core::Core;
use crate::engines::State as EngineState;
use crate::interaction::Stage;
use crate::view::{AgentView, CallView, EngineView, HealthView, OfferView, QueueView, StatisticsView};

impl Core {
    pub(crate) fn agent_view(&self, id: &AgentId) -> Option<AgentView> {
        let agent = self.agents.get(id)?;
        let profile = &agent.profile;
        let interaction = agent.interaction().and_then(|interaction| self.interactions.get(&interaction));
        let offer =
            interaction.filter(|_| matches!(agent.activity, Activity::Offered { .. })).map(|interaction| {
                OfferView {
                    id: interaction.offer.clone().unwrap_or_default(),
                    agent: id.clone(),
                    kind: interaction.kind(),
                    number: interaction.number.clone(),
                    data: interaction.data.clone(),
                    state: "offered".to_owned(),
                }
            });
        Some(AgentView {
            id: profile.id.clone(),
            name: profile.name.clone(),
            skills: profile.skills.clone(),
            station: profile.station.clone(),
            group: profile.group.clone(),
            persistent: agent.mode.now.persistent,
            auto_accept: agent.mode.now.auto_accept,
            next_mode: Some(self.next_mode(agent)).filter(|next| *next != agent.mode.now),
            may_change: self.config.modes.rights(profile.group.as_deref()),
            pin: profile.pin,
            status: agent.status,
            connection: agent.connection_status(),
            offer,
            call: interaction.and_then(|interaction| interaction.call).map(|call| call.to_string()),
            since_ms: agent.since_ms,
            last_error: agent.last_error.map(str::to_owned),
        })
    }

    pub(crate) fn call_view(&self, id: CallId) -> Option<CallView> {
        let call = self.calls.get(&id)?;
        let stage = match call.role {
            Role::Customer(interaction) => {
                self.interactions.get(&interaction).map(|interaction| interaction.stage)
            }
            Role::Agent(_) | Role::Orphan => None,
        };
        let state = match (call.state, stage) {
            (CallState::Up, Some(Stage::Joining | Stage::Connected)) => "spliced",
            (CallState::Up, Some(_)) => "queued",
            _ => call.view_state(),
        };
        Some(CallView {
            id: id.to_string(),
            kind: call.kind,
            number: call.number.clone(),
            agent: call.agent.clone(),
            state: state.to_owned(),
            started_ms: call.started_ms,
            answered_ms: call.answered_ms,
            ended_ms: call.ended_ms,
            answer_to_audio_ms: call
                .audio
                .both_ms()
                .filter(|_| call.audio.is_past || call.audio_from_us.is_some()),
            answer_to_open_ms: call.audio.open_ms(),
            one_way: self.one_way_of(id),
            one_way_times: call.one_way.clone(),
            result: call.result.clone(),
            keys: call.leg.keys_status(),
            data: call.data.clone(),
        })
    }

    pub(crate) fn queue_views(&self) -> Vec<QueueView> {
        let now_ms = self.now.unix_ms;
        let view = |queue: &crate::config::QueueConfig| {
            let oldest = self.queues.waiting(&queue.name).map(|place| place.1).min();
            QueueView {
                name: queue.name.clone(),
                waiting: self.queues.waiting_count(&queue.name) as u64,
                oldest_ms: oldest.map_or(0, |arrival_ms| now_ms.saturating_sub(arrival_ms)),
                agents_ready: self.queues.ready_count(queue.skill.as_deref()) as u64,
            }
        };
        self.config.queues.iter().map(view).collect()
    }

    pub(crate) fn statistics(&self) -> StatisticsView {
        let mut view = StatisticsView {
            waiting: self.queues.waiting_total() as u64,
            dialled: self.projection.dialled,
            answered: self.projection.answered,
            connected: self.projection.connected,
            abandoned: self.projection.abandoned,
            callbacks: self.projection.callbacks.clone(),
            contacts: self.projection.contacts.clone(),
            answer_to_audio_p50_ms: self.projection.audio.percentile(0.5),
            answer_to_audio_p99_ms: self.projection.audio.percentile(0.99),
            answer_to_open_p50_ms: self.projection.open.percentile(0.5),
            answer_to_open_p99_ms: self.projection.open.percentile(0.99),
            ignored: self.projection.ignored,
            one_way: self.one_way_figures(),
            trunk_outages: self.projection.trunk_outages,
            held_back: if self.trunk.is_open() { 0 } else { self.queues.to_be_called() as u64 },
            ..StatisticsView::default()
        };
        for agent in self.agents.values().filter(|agent| !agent.profile.guest) {
            let name = serde_json::to_value(agent.status).ok();
            let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
            *view.agents.entry(name.to_owned()).or_default() += 1;
            view.legs_up += u64::from(agent.is_up());
        }
        let spliced = self.interactions.values().filter(|interaction| interaction.stage == Stage::Connected);
        view.spliced = spliced.count() as u64;
        view
    }

    pub(crate) fn health(&self) -> HealthView {
        let engine = if self.engines.is_any_up() { "up" } else { "down" };
        let view = |(state, legs): (EngineState, usize)| EngineView {
            state: if state == EngineState::Up { "up" } else { "down" }.to_owned(),
            legs: legs as u64,
        };
        let engines = self.engines.iter().map(view).collect();
        HealthView { status: "ok".to_owned(), engine: engine.to_owned(), engines, trunk: self.trunk.view() }
    }
}
