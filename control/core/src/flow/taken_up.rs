//! Calls of an earlier run that are taken up, to go on or to be ended: what is known of them, and what the adaptor says.

use offhook_proto::LegInfo;

use crate::call::{Event, Role, State};
use crate::core::Core;
use crate::flow::calls::NewCall;
use crate::flow::proof::FIRST_PACKET_MS;
use crate::flow::replay::{Caller, Dialog, SetUp};
use crate::mutation::Mutation;
use crate::record::{CallKind, CallTimes, Fact};
use crate::sip::SipCommand;
use crate::{AgentId, CallId, CallbackId, EngineId, Output};

/// What there is of a call's signalling.
pub(super) enum TakenUp {
    /// A dialog.
    Dialog(Dialog),
    /// An INVITE without an answer.
    SetUp(SetUp),
}

impl TakenUp {
    fn times(&self) -> Option<CallTimes> {
        match self {
            Self::Dialog(dialog) => dialog.times,
            Self::SetUp(set_up) => set_up.times,
        }
    }
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "all of what is known about one call")]
    pub(super) fn restore(
        &mut self,
        id: CallId,
        kind: CallKind,
        role: Role,
        number: String,
        agent: Option<AgentId>,
        taken_up: Option<TakenUp>,
        info: Option<&(EngineId, LegInfo)>,
    ) {
        let deaf = taken_up.is_none();
        let offered = match &taken_up {
            Some(TakenUp::SetUp(set_up)) => Some(set_up.offered),
            Some(TakenUp::Dialog(_)) | None => None,
        };
        let unanswered = offered.is_some();
        let times = taken_up.as_ref().and_then(TakenUp::times);
        self.new_call(NewCall {
            id,
            kind,
            role,
            state: if deaf { State::Up } else { State::Restoring },
            target: None,
            number,
            agent,
            beside: None,
            remote: None,
        });
        let (now_us, unix_ms) = (self.now.mono_us, self.now.unix_ms);
        let forgets = self.mutated(Mutation::ForgetSilence);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.signalled = true;
        call.answering = true;
        call.deaf = deaf;
        if let Some(times) = times {
            (call.started_ms, call.rang_ms) = (times.started_ms, times.rang_ms);
        }
        call.answered_ms = times.and_then(|times| times.answered_ms).or((!unanswered).then_some(unix_ms));
        call.rang = !unanswered || call.rang_ms.is_some();
        if !deaf {
            call.leg.on_heard_before();
        }
        if let Some((_, info)) = info {
            // A phone that is not heard there has not been told, or not followed, or has followed its leg elsewhere since: control
            // died while the leg was moved, or the engine that the phone sends to has.
            let heard = info.last_packet_ms.is_some_and(|age_ms| age_ms < FIRST_PACKET_MS);
            // One that followed when nobody was there to tell the engine hears nothing until it is asked where it is.
            let heard = heard && info.remote.is_some();
            call.offered = offered.unwrap_or(heard.then_some(info.rtp));
            call.opened_us = call.offered.is_none().then_some(now_us);
            call.leg.adopt(info);
            if heard {
                call.leg.on_heard();
            }
            if forgets {
                call.leg.on_silence(false);
            }
        }
        if let Some((engine, _)) = info {
            self.settle(id, *engine);
        }
        if let Some(taken_up) = taken_up {
            let command = match taken_up {
                TakenUp::Dialog(Dialog { snapshot, .. }) => SipCommand::Restore { snapshot },
                TakenUp::SetUp(SetUp { set_up, .. }) => SipCommand::Resume { set_up },
            };
            self.push(Output::Sip { call: id, command });
        }
    }

    /// A dialog that nobody wants any more is taken up in order to end it.
    pub(super) fn discard(&mut self, call: CallId, dialog: Dialog) {
        let taken_up = Some(TakenUp::Dialog(dialog));
        self.restore(call, CallKind::AgentLeg, Role::Orphan, String::new(), None, taken_up, None);
        self.hang_up(call, "restart");
    }

    /// A caller left with a callback, and control died before it let them go: that is done now, and on record as it would have been
    /// (CB-11, CB-12).
    pub(super) fn let_go_now(
        &mut self,
        call: CallId,
        caller: &Caller,
        callback: &CallbackId,
        dialog: Option<Dialog>,
    ) {
        let Some(dialog) = dialog else {
            return self.record(Fact::CallEnded { call, summary: None });
        };
        let (taken_up, number) = (Some(TakenUp::Dialog(dialog)), caller.number.clone());
        self.restore(call, CallKind::Inbound, Role::Orphan, number, None, taken_up, None);
        let spec = self.callbacks.get(callback).map(|found| found.spec.clone());
        if let Some(spec) = spec {
            self.attach(call, &spec);
        }
        if let Some(found) = self.calls.get_mut(&call) {
            found.line = caller.line();
            found.result = Some("callback".to_owned());
        }
        self.hang_up(call, "Callback");
    }

    /// An INVITE of an earlier run goes on, and its phone does not ring yet. Of one of ours this is no news.
    pub(super) fn on_trying(&mut self, id: CallId) {
        let is_taken_up = self
            .calls
            .get(&id)
            .is_some_and(|call| matches!(call.state, State::Restoring | State::Discarding));
        if is_taken_up && self.step_call(id, Event::Trying) {
            self.end_what_was_taken_up(id);
        }
    }

    pub(super) fn on_restored(&mut self, id: CallId) {
        if !self.step_call(id, Event::Restored) {
            return;
        }
        self.end_what_was_taken_up(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.taken_up = true;
        match (call.state, call.role.clone()) {
            (State::Ending, _) => {}
            (_, Role::Agent(agent)) => self.on_agent_restored(&agent),
            (_, Role::Customer(interaction)) => self.on_customer_restored(interaction),
            (_, Role::Orphan) => self.hang_up(id, "restart"),
        }
        self.reoffer_if_moved(id);
        self.on_silent(id);
    }

    /// What was taken up in order to end it is there.
    pub(super) fn end_what_was_taken_up(&mut self, id: CallId) {
        if self.calls.get(&id).is_some_and(|call| call.state == State::Ending) {
            self.send_hang_up(id, "restart");
        }
    }
}
