//! Several engines: each leg on one of them, a call's legs together, and all of them elsewhere when one dies (BY-09).

use std::collections::BTreeSet;

use offhook_proto::{Command, Error, LegInfo, LegList, LegListRequest};

use crate::call::{Role, State as CallState};
use crate::core::Core;
use crate::engines::State;
use crate::flow::engine::Pending;
use crate::io::EngineReply;
use crate::leg::Link;
use crate::mutation::Mutation;
use crate::timer::Timer;
use crate::{CallId, EngineId};

impl Core {
    /// The engine of a call's leg, if it can be commanded. A leg without one is given one first: its partner's, else the one
    /// with the fewest legs.
    pub(crate) fn engine_of(&mut self, id: CallId) -> Option<EngineId> {
        let call = self.calls.get(&id)?;
        let engine = match call.engine {
            Some(engine) => engine,
            None if !call.leg.is_wanted() => return None,
            None => {
                let beside = self.partner_of(id).and_then(|partner| self.calls.get(&partner)?.engine);
                let beside = beside.filter(|engine| self.engines.state(*engine) == State::Up);
                let engine = beside.or_else(|| self.engines.least_loaded())?;
                self.settle(id, engine);
                engine
            }
        };
        (self.engines.state(engine) == State::Up).then_some(engine)
    }

    /// The call that this one's leg is or will be spliced with.
    fn partner_of(&self, id: CallId) -> Option<CallId> {
        let call = self.calls.get(&id)?;
        let named = call.leg.partner().and_then(|partner| self.legs.get(partner)).copied();
        named.or_else(|| match call.role {
            Role::Customer(interaction) => self.agent_call_of(interaction),
            Role::Agent(_) | Role::Orphan => None,
        })
    }

    /// A call's leg is, or is to be, on this engine.
    pub(crate) fn settle(&mut self, id: CallId, engine: EngineId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(before) = call.engine.replace(engine) {
            self.engines.leave(before);
        }
        self.engines.enter(engine);
    }

    /// A call is forgotten.
    pub(crate) fn unsettle(&mut self, id: CallId) {
        if let Some(before) = self.calls.get_mut(&id).and_then(|call| call.engine.take()) {
            self.engines.leave(before);
        }
    }

    /// Two legs that are to be spliced have to be on one engine: the partner comes here, or this one goes there when nobody can
    /// tell the partner's phone.
    pub(crate) fn gather(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id).filter(|call| call.leg.is_wanted()) else { return };
        let (Some(here), Link::Spliced { partner, .. }) = (call.engine, call.leg.link_wanted()) else {
            return;
        };
        let Some(partner) = self.legs.get(partner).and_then(|partner| self.calls.get(partner)) else {
            return;
        };
        let Some(there) = partner.engine.filter(|there| *there != here && partner.leg.is_wanted()) else {
            return;
        };
        let (mover, from, to) = if partner.deaf { (id, here, there) } else { (partner.id, there, here) };
        if self.engines.state(to) == State::Up {
            if let Some(call) = self.calls.get_mut(&id) {
                call.leg.on_partner_gone();
            }
            self.move_leg(mover, from, to);
        }
    }

    /// A leg goes to another engine. Its phone is told the new address by re-INVITE, and hears what the old leg plays until it
    /// has followed.
    fn move_leg(&mut self, id: CallId, from: EngineId, to: EngineId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let name = call.leg.name.clone();
        call.leg.relocate();
        self.forget_requests_of(id);
        self.settle(id, to);
        self.arm(Timer::OldLeg(from, name), OLD_LEG_MS);
        self.drive(id);
    }

    fn forget_requests_of(&mut self, id: CallId) {
        self.forget_requests(|asked| matches!(asked.pending, Pending::Leg { call, .. } if call == id));
    }

    /// The peer has agreed to our present address: what it left falls silent at once, lest it hear two streams.
    pub(crate) fn on_followed(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        // The first after a restart says what was, not that the phone agrees to what it is offered.
        let agreed = !std::mem::take(&mut call.taken_up);
        if call.leg.open.is_none_or(|(rtp, _)| call.offered != Some(rtp)) {
            return;
        }
        if agreed {
            call.leg.on_followed();
        }
        let name = call.leg.name.clone();
        self.leave_old_legs(&name);
    }

    /// Deletes what is still left of a leg on other engines.
    pub(crate) fn leave_old_legs(&mut self, name: &str) {
        let left = |engine: &EngineId| self.timers.is_armed(&Timer::OldLeg(*engine, name.to_owned()));
        for engine in self.engines.ids().filter(left).collect::<Vec<_>>() {
            self.timers.stop(&Timer::OldLeg(engine, name.to_owned()));
            self.on_old_leg(engine, name.to_owned());
        }
    }

    /// The peer of a leg that moved has had time to follow.
    pub(crate) fn on_old_leg(&mut self, engine: EngineId, leg: String) {
        // One that is being closed there may have been deleted before an old request created it once more.
        let call = self.legs.get(&leg).and_then(|call| self.calls.get(call));
        if call.is_some_and(|call| call.engine == Some(engine) && call.leg.is_wanted()) {
            return;
        }
        if self.engines.state(engine) == State::Up {
            self.delete_orphan(engine, leg);
        } else {
            self.engines.note_strays(engine);
        }
    }

    /// Whether a leg of ours is, or is to be, on this engine.
    pub(crate) fn is_on(&self, leg: &str, engine: EngineId) -> bool {
        let call = self.legs.get(leg).and_then(|call| self.calls.get(call));
        call.is_some_and(|call| call.engine == Some(engine))
    }

    /// Engines that have been down for too long lose their legs to those that are up. Who talks goes first.
    pub(crate) fn fail_over(&mut self) {
        if !self.engines.is_any_up() || self.mutated(Mutation::StayOnDead) {
            return;
        }
        let mut moved = BTreeSet::new();
        for dead in self.engines.overdue(self.now.mono_us, PATIENCE_MS * 1_000) {
            self.on_legs_lost(dead);
            self.engines.note_strays(dead);
            for id in self.call_ids() {
                if self.calls.get(&id).is_some_and(|call| call.engine == Some(dead)) {
                    self.unsettle(id);
                    moved.insert(id);
                }
            }
        }
        let mut order: Vec<CallId> = moved.into_iter().collect();
        order.sort_by_key(|id| self.urgency(*id));
        for id in order {
            if self.mutated(Mutation::RedialOnMove)
                && let Some(Role::Agent(agent)) = self.calls.get(&id).map(|call| call.role.clone())
            {
                self.lose_leg(&agent, "engine");
            }
            self.drive(id);
            self.reap(id);
        }
    }

    /// Agents in conversations, then their customers, then agents who wait; those first whose partner has to follow them.
    fn urgency(&self, id: CallId) -> u8 {
        let Some(call) = self.calls.get(&id) else { return u8::MAX };
        match (&call.role, call.leg.link_wanted(), call.state) {
            (Role::Agent(_), Link::Spliced { .. }, _) => 0,
            (Role::Customer(_), _, CallState::Up) => 1,
            (Role::Agent(_) | Role::Customer(_), _, _) => 2,
            (Role::Orphan, _, _) => 3,
        }
    }

    /// An engine may hold legs that were moved away from it: they are found and deleted.
    pub(crate) fn sweep(&mut self, engine: EngineId, after: Option<String>) {
        if self.mutated(Mutation::KeepStrays) {
            return;
        }
        let owner = Some(self.config.controller.clone());
        let request = LegListRequest { after, owner, limit: Some(offhook_proto::limits::LIST_PAGE) };
        self.ask(engine, Pending::Sweep, Command::LegList(request));
    }

    /// A leg that no call has is silent: if it is ours, a request that was long on its way has opened it after its call was over,
    /// or our run that had sent it.
    pub(crate) fn look_at_stray(&mut self, engine: EngineId, leg: String) {
        if self.engines.state(engine) == State::Up {
            self.ask_about(engine, Pending::Stray { leg: leg.clone() }, leg);
        }
    }

    pub(crate) fn on_stray_looked_at(&mut self, engine: EngineId, leg: String, info: Result<LegInfo, Error>) {
        let is_ours = info.is_ok_and(|info| info.owner.as_ref() == Some(&self.config.controller));
        if is_ours && !self.legs.contains_key(&leg) {
            self.delete_orphan(engine, leg);
        }
    }

    /// Engines that did not say what they hold are asked again.
    pub(crate) fn retry_sweeping(&mut self) {
        for engine in self.engines.in_state(State::Up).collect::<Vec<_>>() {
            if self.engines.take_strays(engine) {
                self.sweep(engine, None);
            }
        }
    }

    pub(crate) fn on_swept(&mut self, engine: EngineId, result: EngineReply) {
        let Ok(list) = result.and_then(offhook_proto::Reply::parse::<LegList>) else {
            self.engines.note_strays(engine);
            self.arm(Timer::Engine, SWEEP_RETRY_MS);
            return;
        };
        // One that was taken for gone with the engine's former run may have come to be in this one.
        let is_closed = |leg: &String| {
            let call = self.legs.get(leg).and_then(|call| self.calls.get(call));
            call.is_some_and(|call| call.leg.is_closed())
        };
        let strays = list.legs.iter().filter(|leg| !self.is_on(leg, engine) || is_closed(leg));
        for leg in strays.cloned().collect::<Vec<_>>() {
            self.delete_orphan(engine, leg);
        }
        if let Some(last) = list.legs.last().filter(|_| list.more) {
            self.sweep(engine, Some(last.clone()));
        }
    }
}

const SWEEP_RETRY_MS: u64 = 1_000;
/// How long an engine may be down before its legs are moved: longer than the moment in which it is only looked at again.
pub(crate) const PATIENCE_MS: u64 = 200;
/// How long a leg outlives its move to another engine when the peer does not say that it has followed.
const OLD_LEG_MS: u64 = 2_000;
