//! Calls: placed, answered, ended, each with its engine leg.

use std::collections::BTreeMap;

use offhook_proto::{Codec, DtmfMode, LegCreate, Media};

use crate::call::{Audio, Call, Event, Probe, Role, State};
use crate::core::{Changed, Core};
use crate::leg::Leg;
use crate::mutation::Mutation;
use crate::record::{CallKind, CallSummary, Fact};
use crate::sip::{Direction, LocalMedia, RemoteMedia, SipCommand, SipEvent, Target};
use crate::timer::Timer;
use crate::{AgentId, CallId, Output};

/// What a new call starts from.
pub(crate) struct NewCall {
    pub(crate) id: CallId,
    pub(crate) kind: CallKind,
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) target: Option<Target>,
    pub(crate) number: String,
    pub(crate) agent: Option<AgentId>,
    /// Leg to be placed beside.
    pub(crate) beside: Option<String>,
    pub(crate) remote: Option<RemoteMedia>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Never answered.
    Failed { status: u16, network: bool, cause: Option<u8> },
    /// Hung up.
    Ended { by_peer: bool },
    /// Its dialog could not be taken up, or its end was never reported.
    Lost,
}

impl Core {
    pub(crate) fn new_call(&mut self, new: NewCall) -> CallId {
        let name = leg_name(new.kind, new.agent.as_ref(), new.id);
        let codec = new.beside.as_ref().and_then(|leg| self.codec_of(leg));
        let line = self.line_of(&new.role);
        let create = LegCreate {
            leg: name.clone(),
            media: self.offered_media(codec).into_iter().next().unwrap_or_default(),
            idle: self.config.agents.idle,
            beside: new.beside,
            silent_after_ms: match new.kind {
                CallKind::AgentLeg => self.config.agents.silent_after_ms,
                CallKind::Callback | CallKind::Preview | CallKind::Inbound => {
                    self.config.customer_silent_after_ms
                }
            },
            one_way_after_ms: Some(self.config.agents.one_way_after_ms),
            // What an agent presses reaches an IVR whatever its carrier takes. Nothing at an agent's phone waits for keys, so that
            // a customer's voice is never delayed by looking for them.
            dtmf: match new.kind {
                CallKind::AgentLeg => DtmfMode::Convert,
                CallKind::Callback | CallKind::Preview | CallKind::Inbound => DtmfMode::Pass,
            },
            ..LegCreate::default()
        };
        let call = Call {
            id: new.id,
            kind: new.kind,
            role: new.role,
            state: new.state,
            leg: Leg::new(create, new.remote, self.config.agents.park_keep_one_in),
            engine: None,
            opened_us: None,
            target: new.target,
            number: new.number,
            agent: new.agent,
            auto_answer: false,
            offered: None,
            version: self.run << 16,
            signalled: false,
            answering: false,
            rang: false,
            rang_ms: None,
            early_media: false,
            deaf: false,
            started_ms: self.now.unix_ms,
            answered_ms: None,
            answered_us: None,
            audio_from_us: None,
            ended_ms: None,
            audio: Audio::default(),
            one_way: BTreeMap::new(),
            probe: Probe::default(),
            taken_up: false,
            result: None,
            line,
            keys_on_record: false,
            data: serde_json::Map::new(),
        };
        self.legs.insert(name, new.id);
        self.calls.insert(new.id, call);
        self.changed(Changed::Call(new.id));
        new.id
    }

    /// Encodings to offer; the one that the partner speaks goes first, so that nothing has to be converted.
    fn offered_media(&self, first: Option<Codec>) -> Vec<Media> {
        let mut media = self.config.media.clone();
        if let Some(codec) = first {
            media.sort_by_key(|media| media.codec != codec);
        }
        media
    }

    fn codec_of(&self, leg: &str) -> Option<Codec> {
        self.calls.get(self.legs.get(leg)?)?.leg.codec_first()
    }

    /// Our side of a call's media, told to the peer now.
    fn local_media(&mut self, id: CallId) -> Option<LocalMedia> {
        let partner = match self.calls.get(&id)?.role {
            Role::Customer(interaction) => self.agent_call_of(interaction),
            Role::Agent(_) | Role::Orphan => None,
        };
        let codec = partner.and_then(|partner| self.calls.get(&partner)?.leg.codec_first());
        let media = self.offered_media(codec);
        let call = self.calls.get_mut(&id)?;
        let (rtp, rtcp) = call.leg.open?;
        call.offered = Some(rtp);
        call.version += 1;
        Some(LocalMedia { rtp, rtcp, media, session_version: call.version })
    }

    /// Moves a call by an event; false when it fits nothing.
    pub(crate) fn step_call(&mut self, id: CallId, event: Event) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            self.projection.ignored += 1;
            return false;
        };
        let state = call.state;
        let next = state.next(event);
        if let Some(next) = next {
            call.state = next;
            self.changed(Changed::Call(id));
        } else {
            self.projection.ignored += 1;
        }
        self.saw("call", state.name(), event.name());
        next.is_some()
    }

    /// Sends the INVITE of a call whose leg is open.
    pub(crate) fn send_dial(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some(target) = call.target.clone() else { return };
        let (auto_answer, kind) = (call.auto_answer, call.kind);
        let (interaction, agent) = match &call.role {
            Role::Customer(interaction) => (self.interactions.get(interaction), None),
            Role::Agent(agent) => (None, Some(agent.clone())),
            Role::Orphan => (None, None),
        };
        let queue = interaction.and_then(|interaction| self.config.queue(&interaction.queue));
        let own = interaction.and_then(|interaction| interaction.origin.as_ref());
        let caller_id = own
            .map(|origin| origin.caller_id.clone())
            .or_else(|| queue.and_then(|queue| queue.caller_id.clone()))
            .or_else(|| self.config.caller_id.clone());
        let ring_timeout_ms = match kind {
            CallKind::AgentLeg => self.config.agents.ring_timeout_ms,
            CallKind::Callback | CallKind::Preview | CallKind::Inbound => {
                self.lawful_ring_ms(kind, queue.map_or(DEFAULT_RING_MS, |queue| queue.ring_timeout_ms))
            }
        };
        let setup_ms = queue.map(|queue| queue.setup_timeout_ms).filter(|ms| *ms > 0);
        let Some(local) = self.local_media(id) else { return };
        if !self.step_call(id, Event::Dial) {
            return;
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.signalled = true;
        }
        let after = agent.and_then(|agent| self.agents.get_mut(&agent)?.dialled.replace(id));
        let command =
            SipCommand::Dial { target, caller_id, display: None, local, auto_answer, ring_timeout_ms, after };
        self.push(Output::Sip { call: id, command });
        // As long once more as it may take until it rings.
        self.arm(Timer::Ended(id), 2 * u64::from(ring_timeout_ms) + END_OVERDUE_MS);
        if let Some(ms) = setup_ms {
            self.arm(Timer::Setup(id), u64::from(ms));
        }
    }

    /// Answers an incoming call whose leg is open.
    pub(crate) fn send_answer(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.answering {
            return;
        }
        call.answering = true;
        call.signalled = true;
        let Some(local) = self.local_media(id) else { return };
        self.push(Output::Sip { call: id, command: SipCommand::Answer { local } });
        self.arm(Timer::Ended(id), END_OVERDUE_MS);
    }

    /// Tells the peer our new address, when it is another one than it was told.
    pub(crate) fn reoffer_if_moved(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some((rtp, _)) = call.leg.open else { return };
        if call.state != State::Up || call.deaf || call.offered == Some(rtp) {
            return;
        }
        if self.mutated(Mutation::ForgetReoffer) {
            return;
        }
        if let Some(local) = self.local_media(id) {
            self.push(Output::Sip { call: id, command: SipCommand::ReOffer { local } });
        }
    }

    pub(crate) fn on_sip(&mut self, id: CallId, event: SipEvent) {
        match event {
            SipEvent::Incoming { from, to, remote, trunk, headers: _ } => {
                self.on_incoming(id, from, &to, remote, trunk);
            }
            SipEvent::Trying => self.on_trying(id),
            SipEvent::Ringing => self.on_ringing(id, None),
            SipEvent::EarlyMedia(remote) => self.on_ringing(id, Some(remote)),
            SipEvent::Answered { remote, at_mono_us } => self.on_answered(id, remote, at_mono_us),
            SipEvent::Alive => self.on_answered_by_sip(id),
            SipEvent::Updated(remote) => {
                let holds = remote.direction != Direction::SendRecv;
                if let Some(call) = self.calls.get_mut(&id) {
                    call.leg.remote(remote);
                    if holds {
                        self.forget_one_way(id);
                    }
                    self.drive(id);
                }
            }
            SipEvent::Failed { status, reason: _, network, cause } => {
                self.call_over(id, End::Failed { status, network, cause });
            }
            SipEvent::Ended { by_peer, reason: _ } => self.call_over(id, End::Ended { by_peer }),
            SipEvent::SettingUp { data } => self.on_setting_up(id, data),
            SipEvent::Snapshot { data } => {
                self.on_followed(id);
                self.on_snapshot(id, data);
            }
            SipEvent::Restored => self.on_restored(id),
            SipEvent::RestoreFailed { reason: _ } => self.call_over(id, End::Lost),
        }
    }

    fn on_setting_up(&mut self, id: CallId, set_up: String) {
        let Some(call) = self.calls.get(&id) else { return };
        if matches!(call.state, State::Dialling | State::Ringing)
            && set_up.len() <= crate::limits::SNAPSHOT_BYTES
        {
            let (offered, times) = (call.offered, Some(call.times()));
            self.record(Fact::SettingUp { call: id, set_up, offered, times });
        }
    }

    fn on_snapshot(&mut self, id: CallId, snapshot: String) {
        let Some(call) = self.calls.get(&id) else { return };
        if call.state != State::Over && snapshot.len() <= crate::limits::SNAPSHOT_BYTES {
            let times = Some(call.times());
            self.record(Fact::Dialog { call: id, snapshot, times });
        }
    }

    fn on_ringing(&mut self, id: CallId, early: Option<RemoteMedia>) {
        if !self.calls.contains_key(&id) {
            self.projection.ignored += 1;
            return;
        }
        let first = self.step_call(id, Event::Ringing);
        if first {
            self.end_what_was_taken_up(id);
        }
        if !matches!(self.calls.get(&id).map(|call| call.state), Some(State::Ringing)) {
            return;
        }
        self.timers.stop(&Timer::Setup(id));
        let has_media = early.is_some();
        let unix_ms = self.now.unix_ms;
        if let Some(call) = self.calls.get_mut(&id) {
            call.rang = true;
            call.rang_ms.get_or_insert(unix_ms);
            call.early_media |= has_media;
            if let Some(remote) = early {
                call.leg.remote(remote);
            }
        }
        self.drive(id);
        if let Some(Role::Customer(interaction)) = self.calls.get(&id).map(|call| call.role.clone()) {
            self.on_customer_ringing(interaction, first);
        }
    }

    fn on_answered(&mut self, id: CallId, remote: RemoteMedia, at_us: u64) {
        if !self.step_call(id, Event::Answered) {
            return;
        }
        self.timers.stop(&Timer::Setup(id));
        self.timers.stop(&Timer::Ended(id));
        self.end_what_was_taken_up(id);
        let (unix_ms, mono_us) = (self.now.unix_ms, self.now.mono_us);
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.state == State::Up) else { return };
        call.answered_ms = Some(unix_ms);
        call.answered_us = Some(at_us.min(mono_us));
        call.leg.remote(remote);
        match call.role.clone() {
            Role::Agent(agent) => self.on_agent_answered(&agent),
            Role::Customer(interaction) => self.on_customer_answered(interaction),
            Role::Orphan => {}
        }
        self.drive(id);
        self.reoffer_if_moved(id);
        self.on_silent(id);
    }

    /// Ends a call from our side. Its leg is closed at once.
    pub(crate) fn hang_up(&mut self, id: CallId, reason: &str) {
        let Some(call) = self.calls.get(&id) else { return };
        let (before, deaf) = (call.state, call.deaf);
        if deaf || before == State::Opening {
            self.call_over(id, End::Ended { by_peer: false });
            return;
        }
        if !self.step_call(id, Event::HangUp) {
            return;
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.leg.close();
        }
        self.drive(id);
        if before == State::Restoring {
            return;
        }
        let unanswered =
            matches!(before, State::Arriving) && self.calls.get(&id).is_some_and(|call| !call.answering);
        if unanswered {
            let command = SipCommand::Reject { status: 480, reason: reason.to_owned() };
            self.push(Output::Sip { call: id, command });
            self.arm(Timer::Ended(id), END_OVERDUE_MS);
        } else if before == State::Up || !self.mutated(Mutation::DropCancel) {
            self.send_hang_up(id, reason);
        } else {
            self.call_over(id, End::Failed { status: 487, network: false, cause: None });
        }
    }

    pub(super) fn send_hang_up(&mut self, id: CallId, reason: &str) {
        self.push(Output::Sip { call: id, command: SipCommand::HangUp { reason: reason.to_owned() } });
        self.arm(Timer::Ended(id), END_OVERDUE_MS);
    }

    pub(crate) fn on_end_overdue(&mut self, id: CallId) {
        self.call_over(id, End::Lost);
    }

    /// A call is over, whoever ended it.
    pub(crate) fn call_over(&mut self, id: CallId, end: End) {
        if !self.step_call(id, Event::Over) {
            return;
        }
        for timer in [
            Timer::Setup(id),
            Timer::Join(id),
            Timer::Verdict(id),
            Timer::Message(id),
            Timer::Hold(id),
            Timer::MaxWait(id),
            Timer::Unheard(id),
            Timer::Ended(id),
        ] {
            self.timers.stop(&timer);
        }
        let unix_ms = self.now.unix_ms;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.ended_ms = Some(unix_ms);
        call.leg.close();
        if call.result.is_none() {
            call.result = Some(call_result(&end, call.answered_ms.is_some()).to_owned());
        }
        let role = call.role.clone();
        match role {
            Role::Agent(agent) => self.on_agent_call_over(&agent, id, &end),
            Role::Customer(interaction) => self.on_customer_over(interaction, &end),
            Role::Orphan => {}
        }
        self.record_end(id);
        self.messages.remove(&id);
        self.drive(id);
        self.reap(id);
    }

    fn record_end(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let summary = (call.kind != CallKind::AgentLeg).then(|| {
            Box::new(CallSummary {
                kind: call.kind,
                number: call.number.clone(),
                agent: call.agent.clone(),
                started_ms: call.started_ms,
                rang_ms: call.rang_ms,
                answered_ms: call.answered_ms,
                answer_to_audio_ms: call.audio.both_ms(),
                answer_to_open_ms: call.audio.open_ms(),
                one_way: call.one_way.clone(),
                result: call.result.clone().unwrap_or_default(),
                data: call.data.clone(),
                ..call.line.summary(call.kind)
            })
        });
        if call.signalled {
            self.record(Fact::CallEnded { call: id, summary });
        }
        if let Some(view) = self.call_view(id) {
            self.projection.keep(view);
        }
    }

    /// Forgets a call that is over and whose leg is closed.
    pub(crate) fn reap(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        if call.state == State::Over && call.leg.is_closed() {
            let name = call.leg.name.clone();
            if let Some(view) = self.call_view(id) {
                self.push(Output::Notify(crate::view::Notification::Call(Box::new(view))));
            }
            self.unsettle(id);
            self.calls.remove(&id);
            if id.is_incoming() {
                if self.past_incoming.len() == crate::limits::PAST_INCOMING {
                    self.past_incoming.pop_front();
                }
                self.past_incoming.push_back(id);
            }
            self.legs.remove(&name);
            self.leave_old_legs(&name);
        }
    }
}

pub(crate) fn leg_name(kind: CallKind, agent: Option<&AgentId>, id: CallId) -> String {
    match (kind, agent) {
        (CallKind::AgentLeg, Some(agent)) => format!("a-{agent}-{id}"),
        _ => format!("c-{id}"),
    }
}

fn call_result(end: &End, answered: bool) -> &'static str {
    match end {
        End::Ended { by_peer: true } => "peer_hung_up",
        End::Ended { by_peer: false } if answered => "hung_up",
        End::Ended { by_peer: false } => "cancelled",
        End::Failed { network: true, .. } => "network",
        End::Failed { status: 486 | 600, .. } => "busy",
        End::Failed { status: 408 | 480, .. } => "no_answer",
        End::Failed { status: 487, .. } => "cancelled",
        End::Failed { .. } => "rejected",
        End::Lost => "lost",
    }
}

const DEFAULT_RING_MS: u32 = 30_000;
/// Longer than any SIP transaction (64·T1 = 32 s, RFC 3261 section 17).
const END_OVERDUE_MS: u64 = 64_000;
