//! Between the legs and their engines: commands out, replies in. What replies lead to: [`super::leg_changes`]; what engines say
//! by themselves: [`super::engine_events`]; and when they fall silent: [`super::outages`].

use offhook_proto::{Command, LegDelete, LegQuery};

use crate::core::Core;
use crate::io::{EngineReply, Key, Output};
use crate::leg::{ASPECTS, Aspect, Change};
use crate::mutation::Mutation;
use crate::timer::Timer;
use crate::{CallId, EngineId, RequestId};

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) engine: EngineId,
    pub(crate) pending: Pending,
    /// On our clock.
    pub(crate) asked_us: u64,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Leg {
        call: CallId,
        aspect: Aspect,
        command: Command,
    },
    Proof {
        interaction: u64,
    },
    List,
    Sweep,
    Query {
        leg: String,
    },
    /// Whether the peer of a call is still not heard.
    Silence {
        call: CallId,
    },
    /// Whose a leg is that no call has.
    Stray {
        leg: String,
    },
    Orphan {
        leg: String,
    },
    /// A leg that has been moved elsewhere since its creation was asked for.
    Left {
        leg: String,
    },
    Detect {
        interaction: u64,
    },
}

impl Core {
    /// Sends whatever closes the difference between what is wanted of a call's leg and what is known.
    pub(crate) fn drive(&mut self, id: CallId) {
        if self.engine_of(id).is_none() {
            return;
        }
        self.gather(id);
        let Some(engine) = self.engine_of(id) else { return };
        for aspect in ASPECTS {
            let Some(call) = self.calls.get(&id) else { return };
            let partner_open = call
                .leg
                .partner()
                .and_then(|partner| self.legs.get(partner))
                .and_then(|partner| self.calls.get(partner))
                .is_some_and(|partner| {
                    partner.leg.open.is_some() && partner.leg.is_wanted() && partner.engine == Some(engine)
                });
            let now_us = self.now.mono_us;
            if self.mutated(Mutation::KeepLeg)
                && !call.leg.is_wanted()
                && call.kind != crate::record::CallKind::AgentLeg
            {
                return;
            }
            let Some(call) = self.calls.get_mut(&id) else { return };
            if let Some(command) = call.leg.next(aspect, partner_open, now_us) {
                let pending = Pending::Leg { call: id, aspect, command: command.clone() };
                self.ask_for(Key::Call(id), engine, pending, command);
            }
        }
    }

    /// Asks the engine about an agent's leg, so that a customer may be dialled for it (BY-02).
    pub(crate) fn ask_proof(&mut self, engine: EngineId, interaction: u64, leg: String) -> RequestId {
        self.ask_about(engine, Pending::Proof { interaction }, leg)
    }

    pub(crate) fn ask(&mut self, engine: EngineId, pending: Pending, command: Command) -> RequestId {
        self.ask_for(Key::None, engine, pending, command)
    }

    /// Asks for what the engine knows of a leg: a [`LegInfo`](offhook_proto::LegInfo).
    pub(crate) fn ask_about(&mut self, engine: EngineId, pending: Pending, leg: String) -> RequestId {
        self.ask(engine, pending, Command::LegQuery(LegQuery { leg }))
    }

    fn ask_for(&mut self, key: Key, engine: EngineId, pending: Pending, command: Command) -> RequestId {
        let request = self.next_request();
        let asked = Asked { engine, pending, asked_us: self.now.mono_us };
        self.requests.insert(request, asked);
        self.push(Output::Engine { engine, request, key, command });
        request
    }

    pub(crate) fn delete_orphan(&mut self, engine: EngineId, leg: String) {
        self.ask(engine, Pending::Orphan { leg: leg.clone() }, Command::LegDelete(LegDelete { leg }));
    }

    pub(crate) fn on_engine_reply(&mut self, request: RequestId, result: EngineReply) {
        let Some(Asked { engine, pending, asked_us }) = self.requests.remove(&request) else {
            self.projection.ignored += 1;
            return;
        };
        match pending {
            Pending::Leg { call, aspect, command } => {
                let is_late = self.now.mono_us.saturating_sub(asked_us) >= LATE_US;
                // The engine was out of reach, and what it has to tell of the leg is late as well.
                if let Some(call) = self.calls.get_mut(&call).filter(|_| is_late && result.is_ok()) {
                    call.opened_us = call.opened_us.map(|_| self.now.mono_us);
                }
                self.on_leg_reply(call, aspect, &command, result);
            }
            Pending::Proof { interaction } => {
                self.on_proof(interaction, request, result.and_then(offhook_proto::Reply::parse));
            }
            Pending::Detect { interaction } => {
                if !unanswered(&result) && !matches!(result, Ok(offhook_proto::Reply::Ok(_))) {
                    self.take_as_person(interaction);
                }
            }
            Pending::List => self.on_listed(engine, result),
            Pending::Sweep => self.on_swept(engine, result),
            Pending::Query { leg } => self.on_queried(engine, leg, result),
            Pending::Silence { call } => {
                self.on_silence_looked_at(call, engine, result.and_then(offhook_proto::Reply::parse));
            }
            Pending::Stray { leg } if unanswered(&result) => self.look_at_stray(engine, leg),
            Pending::Stray { leg } => {
                self.on_stray_looked_at(engine, leg, result.and_then(offhook_proto::Reply::parse));
            }
            Pending::Left { leg } => {
                if unanswered(&result) || matches!(result, Ok(offhook_proto::Reply::Ok(_))) {
                    self.on_old_leg(engine, leg);
                }
            }
            Pending::Orphan { leg } => {
                if unanswered(&result) && !self.is_on(&leg, engine) {
                    self.delete_orphan(engine, leg);
                }
            }
        }
    }

    fn on_leg_reply(&mut self, id: CallId, aspect: Aspect, command: &Command, result: EngineReply) {
        let failed = !matches!(result, Ok(offhook_proto::Reply::Ok(_)));
        let result = if self.mutated(Mutation::TrustTimeout) && unanswered(&result) {
            Ok(offhook_proto::Reply::done())
        } else {
            result
        };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let change = call.leg.on_reply(aspect, command, result);
        // Until the engine was told where the phone is, what the phone sent was a stranger's.
        if !failed && matches!(command, Command::LegUpdate(update) if update.remote.is_some()) {
            call.opened_us = Some(self.now.mono_us);
        }
        match change {
            Change::None => {}
            Change::Opened => {
                self.note_keys(id);
                self.on_leg_open(id);
            }
            Change::Linked => self.on_linked(id),
            Change::Keys => {
                self.changed(crate::core::Changed::Call(id));
                self.note_keys(id);
            }
            Change::Seen { silent, ended } => self.on_leg_seen(id, silent, ended.as_deref()),
            Change::Gone => self.on_leg_gone(id),
            Change::Refused(aspect, code) => self.on_leg_refused(id, aspect, code),
            Change::Mute => {
                self.on_play_over(id);
                self.on_caller_play(id, false);
            }
            Change::Closed => {}
        }
        if failed {
            self.retry.insert(id);
            if !self.timers.is_armed(&Timer::Engine) {
                self.arm(Timer::Engine, RETRY_MS);
            }
        } else {
            self.drive(id);
        }
        self.reap(id);
    }

    pub(crate) fn on_engine_retry(&mut self) {
        self.retry_reconciling();
        self.retry_sweeping();
        for id in std::mem::take(&mut self.retry) {
            self.drive(id);
            self.reap(id);
        }
    }

    /// Does not wait for these any more. A leg that may be created all the same is deleted then.
    pub(crate) fn forget_requests(&mut self, mut forgotten: impl FnMut(&Asked) -> bool) {
        self.requests.retain(|_, asked| {
            if !forgotten(asked) {
                return true;
            }
            let left = match &asked.pending {
                Pending::Leg { command: Command::LegCreate(create), .. } => create.leg.clone(),
                Pending::Left { .. } => return true,
                Pending::Leg { .. }
                | Pending::Proof { .. }
                | Pending::List
                | Pending::Sweep
                | Pending::Query { .. }
                | Pending::Silence { .. }
                | Pending::Stray { .. }
                | Pending::Orphan { .. }
                | Pending::Detect { .. } => return false,
            };
            asked.pending = Pending::Left { leg: left };
            true
        });
    }

    pub(crate) fn call_ids(&self) -> Vec<CallId> {
        self.calls.keys().copied().collect()
    }
}

fn unanswered(result: &EngineReply) -> bool {
    use offhook_proto::{ErrorCode, Reply};
    matches!(
        result,
        Err(error) | Ok(Reply::Error(error)) if matches!(error.code, ErrorCode::Timeout | ErrorCode::Busy)
    )
}

const RETRY_MS: u64 = 100;
/// Longer than any answer of an engine takes that is within reach.
const LATE_US: u64 = 1_000_000;
