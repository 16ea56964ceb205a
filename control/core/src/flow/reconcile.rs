//! A new run asks the engines which of its legs they kept (BY-10).

use offhook_proto::{Command, LegInfo, LegList, LegListRequest};

use crate::core::Core;
use crate::engines::State;
use crate::flow::engine::Pending;
use crate::io::EngineReply;
use crate::record::Fact;
use crate::timer::Timer;
use crate::{AgentId, CallId, EngineId};

impl Core {
    /// Asks an engine which of our legs it kept.
    pub(crate) fn begin_reconciling(&mut self, engine: EngineId) {
        self.forget_answers(engine);
        self.ask_list(engine, None);
        if !self.timers.is_armed(&Timer::Reconcile) && !self.replayed.overdue {
            self.arm(Timer::Reconcile, RECONCILE_MS);
        }
    }

    /// An engine that is silent again is not waited for: what it kept is of no use now.
    pub(crate) fn stop_reconciling(&mut self, engine: EngineId) {
        if self.replayed.is_pending() {
            self.forget_answers(engine);
            self.decide_if_known();
        }
    }

    fn forget_answers(&mut self, engine: EngineId) {
        self.replayed.found.retain(|_, (found, _)| *found != engine);
        self.replayed.asked.retain(|(asked, _)| *asked != engine);
        self.replayed.listed.remove(&engine);
    }

    /// The engines that are silent until now are taken as dead.
    pub(crate) fn on_reconciling_overdue(&mut self) {
        self.replayed.overdue = true;
        self.decide_if_known();
    }

    fn ask_list(&mut self, engine: EngineId, after: Option<String>) {
        let owner = Some(self.config.controller.clone());
        let request = LegListRequest { after, owner, limit: Some(offhook_proto::limits::LIST_PAGE) };
        self.ask(engine, Pending::List, Command::LegList(request));
    }

    pub(crate) fn on_listed(&mut self, engine: EngineId, result: EngineReply) {
        if self.engines.state(engine) != State::Reconciling {
            return;
        }
        let Ok(list) = result.and_then(offhook_proto::Reply::parse::<LegList>) else {
            self.arm(Timer::Engine, LIST_RETRY_MS);
            return;
        };
        for leg in &list.legs {
            if self.replayed.is_wanted(leg) {
                self.replayed.asked.insert((engine, leg.clone()));
                self.ask_about(engine, Pending::Query { leg: leg.clone() }, leg.clone());
            } else if !self.legs.contains_key(leg) {
                self.delete_orphan(engine, leg.clone());
            }
        }
        match list.legs.last() {
            Some(last) if list.more => self.ask_list(engine, Some(last.clone())),
            Some(_) | None => {
                self.replayed.listed.insert(engine);
            }
        }
        self.decide_if_known();
    }

    pub(crate) fn on_queried(&mut self, engine: EngineId, leg: String, result: EngineReply) {
        let asked = (engine, leg);
        if self.engines.state(engine) != State::Reconciling || !self.replayed.asked.contains(&asked) {
            return;
        }
        match result.and_then(offhook_proto::Reply::parse::<LegInfo>) {
            Ok(info) => {
                self.replayed.asked.remove(&asked);
                self.note_talk(&asked.1, &info);
                self.note_found(engine, asked.1, info);
            }
            Err(error) if error.code == offhook_proto::ErrorCode::LegNotFound => {
                self.replayed.asked.remove(&asked);
            }
            Err(_) => {
                let leg = asked.1;
                self.ask_about(engine, Pending::Query { leg: leg.clone() }, leg);
            }
        }
        self.decide_if_known();
    }

    /// Two who hear each other are on record as soon as either leg tells: its engine may die before it tells of the other, and so
    /// may we.
    fn note_talk(&mut self, leg: &str, info: &LegInfo) {
        if let Some((call, agent)) = self.replayed.talk(leg, info) {
            // Whoever was called for this agent was joined at the answer; of others nobody knows since when they talk.
            let is_theirs = self.replayed.dialled.get(&call).is_some_and(|(_, of)| *of == agent);
            let at_answer = is_theirs && !self.replayed.parted.contains(&call);
            let times =
                self.replayed.dialogs.get(&call).and_then(|dialog| dialog.times).filter(|_| at_answer);
            self.note_past_talk(call, agent, times.and_then(|times| times.answered_ms));
        }
    }

    /// A customer of the run before talked with an agent: since a moment of before, in milliseconds since 1970 UTC, where that is known.
    pub(super) fn note_past_talk(&mut self, call: CallId, agent: AgentId, since_ms: Option<u64>) {
        let (called_in, dialled) = (self.replayed.called_in.get(&call), self.replayed.dialled.get(&call));
        let (called_in, dialled) = (called_in.cloned(), dialled.cloned());
        // Who talked before had been called in earnest.
        if !self.replayed.connected.contains_key(&call) && self.is_given_up(call, dialled.as_ref()) {
            return;
        }
        let since = (agent.clone(), since_ms.unwrap_or(self.now.unix_ms));
        let is_first = self.replayed.connected.insert(call, since).is_none();
        self.replayed.parted.remove(&call);
        self.projection.connected += u64::from(is_first);
        self.record(Fact::Connected { call, agent, since_ms });
        self.complete_past(called_in.as_ref(), dialled.as_ref());
    }

    /// Of a leg that was being moved, the engine that its phone sends to has the living one.
    fn note_found(&mut self, engine: EngineId, leg: String, info: LegInfo) {
        let age = |info: &LegInfo| info.last_packet_ms.unwrap_or(u64::MAX);
        match self.replayed.found.get(&leg) {
            Some((_, before)) if age(before) <= age(&info) => self.delete_orphan(engine, leg),
            Some((other, _)) => {
                let other = *other;
                self.delete_orphan(other, leg.clone());
                self.replayed.found.insert(leg, (engine, info));
            }
            None => {
                self.replayed.found.insert(leg, (engine, info));
            }
        }
    }

    /// The lists are asked for again.
    pub(crate) fn retry_reconciling(&mut self) {
        let engines: Vec<EngineId> = self.engines.in_state(State::Reconciling).collect();
        for engine in engines {
            if !self.replayed.listed.contains(&engine) {
                self.begin_reconciling(engine);
            }
        }
    }

    fn decide_if_known(&mut self) {
        let silent = self.engines.in_state(State::Down).next().is_some();
        if self.replayed.overdue || !silent {
            self.decide_by_heard();
        }
    }

    /// Waits for the silent ones no longer, if those that are heard have told all. One of them may be about to fall silent too,
    /// and who talked there would be forgotten.
    pub(crate) fn decide_by_heard(&mut self) {
        let any = self.engines.in_state(State::Reconciling).next().is_some();
        let all = self.engines.in_state(State::Reconciling).all(|id| self.replayed.listed.contains(&id));
        if self.replayed.pending && any && all && self.replayed.asked.is_empty() {
            self.decide();
        }
    }

    /// What the silent ones kept is deleted when they are heard.
    pub(super) fn take_engines_up(&mut self) {
        let known: Vec<EngineId> = self.engines.in_state(State::Reconciling).collect();
        let silent: Vec<EngineId> = self.engines.in_state(State::Down).collect();
        for engine in known {
            self.engines.set_state(engine, State::Up, self.now.mono_us);
        }
        for engine in silent {
            self.engines.note_strays(engine);
        }
        self.timers.stop(&Timer::Reconcile);
    }
}

/// How long the other engines are waited for once the first is heard.
const RECONCILE_MS: u64 = 3_000;
const LIST_RETRY_MS: u64 = 500;
