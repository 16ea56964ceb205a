//! The SIP network: an adaptor that keeps its contract, phones and customers that do as they please.

mod muted;
mod taking_up;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use offhook_control_core::sip::{Direction, RemoteMedia, SipCommand, SipEvent, Target};
use offhook_control_core::{AgentId, CallId, EngineId, Input};
use offhook_proto::{EventBody, Media, Remote, Srtp};
use rand::RngExt as _;

use super::flows::FLOW;
use super::office::HOMES;
use super::voices::{Voice, voice_address};
use super::world::{Happening, SECOND, World};

#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) peers: BTreeMap<CallId, Peer>,
    next_incoming: u64,
    /// Nobody is reached through the trunk.
    pub(super) trunk_away: bool,
    command_at_us: BTreeMap<CallId, u64>,
}

/// The other end of a call.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) who: Who,
    pub(super) number: String,
    pub(super) state: PeerState,
    /// The running control has the dialog or transaction.
    pub(super) known: bool,
    /// Control asked for its end.
    pub(super) hung_up: bool,
    pub(super) snapshot_durable: bool,
    pub(super) answered_us: Option<u64>,
    /// Its answer was acknowledged: it does not repeat it.
    acknowledged: bool,
    over_us: u64,
    /// Sends no packet from then on.
    pub(super) dead_us: Option<u64>,
    /// Sends no packet from then on, and answers by SIP that it is there.
    pub(super) muted_us: Option<u64>,
    /// It said so last.
    pub(super) vouched_us: Option<u64>,
    /// Where it sends to: as it was last told by SIP.
    pub(super) sends_to: Option<SocketAddr>,
    /// The running control has heard of its media.
    told: bool,
    pub(super) voice: Voice,
    /// When the last re-INVITE is agreed on: they are dealt with one by one.
    follows_us: u64,
    event_at_us: u64,
    /// The next BYE or CANCEL that reaches it is honoured; a late answer may come first.
    answers_late: bool,
    /// Heard by an agent who hears it.
    pub(super) talked: bool,
    pub(super) talking_us: Option<u64>,
    pub(super) alone_us: Option<u64>,
    pub(super) without_agent_us: Option<u64>,
    /// Since when the agent's phone, with which it is joined, sends nothing.
    pub(super) mute_us: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Phone(AgentId),
    Customer,
    Caller,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerState {
    Invited,
    Ringing,
    Up,
    Over,
}

#[derive(Clone, Debug)]
pub(super) enum PeerAct {
    Ring {
        early: bool,
    },
    Answer,
    Refuse {
        status: u16,
        network: bool,
    },
    /// Hangs up, or gives up calling.
    HangUp,
    /// Presses a key.
    Press(char),
    /// Agrees to a re-INVITE: sends to another address from now on.
    Follow {
        run: u64,
        to: SocketAddr,
    },
    /// Stops sending.
    Die,
    /// Stops sending, as its user wants it to.
    Mute,
    /// The ACK never came, or nobody cancelled: gives up.
    GiveUp,
}

impl World {
    /// A caller dials in.
    pub(super) fn call_in(&mut self, number: String, to: &str) {
        self.network.next_incoming += 1;
        let call = CallId(CallId::FIRST_INCOMING + self.network.next_incoming);
        if self.shell.core.is_none() || self.network.trunk_away {
            return;
        }
        let peer = self.new_peer(Who::Caller, number.clone());
        self.network.peers.insert(call, peer);
        self.trace(|| format!("caller {number} calls {to} as {call}"));
        if to == FLOW {
            self.plan_keys(call);
        }
        let event = SipEvent::Incoming {
            from: number,
            to: to.to_owned(),
            remote: Some(remote(call)),
            trunk: true,
            headers: vec![],
        };
        self.report(call, event);
        let patience = self.between_ms(2_000, 40_000);
        self.after(patience, Happening::Peer { call, act: PeerAct::HangUp });
    }

    fn new_peer(&self, who: Who, number: String) -> Peer {
        Peer {
            who,
            number,
            state: PeerState::Invited,
            known: true,
            hung_up: false,
            snapshot_durable: false,
            answered_us: None,
            acknowledged: false,
            over_us: 0,
            dead_us: None,
            muted_us: None,
            vouched_us: None,
            sends_to: None,
            told: true,
            voice: Voice::default(),
            follows_us: 0,
            event_at_us: self.now_us,
            answers_late: false,
            talked: false,
            talking_us: None,
            alone_us: None,
            without_agent_us: None,
            mute_us: None,
        }
    }

    /// The adaptor reports; in order, except when the world is unkind.
    fn report(&mut self, call: CallId, event: SipEvent) {
        let delay = self.rng.random_range(100..15_000_u64);
        let unkind = self.chance(2);
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        if !peer.known {
            return;
        }
        let mut at = self.now_us + delay;
        if !unkind {
            at = at.max(peer.event_at_us + 1);
            peer.event_at_us = at;
        }
        let delay = at - self.now_us;
        self.tell(delay, Input::Sip { call, event });
    }

    /// Commands to one call arrive in order.
    pub(super) fn network_in_order(&mut self, call: CallId, delay_us: u64) -> u64 {
        let last = self.network.command_at_us.entry(call).or_default();
        *last = (self.now_us + delay_us).max(*last + 1);
        *last - self.now_us
    }

    pub(super) fn on_signal(&mut self, run: u64, call: CallId, command: SipCommand) {
        if run != self.shell.run {
            return;
        }
        match command {
            SipCommand::Dial { target, local, .. } => self.invite(call, target, local.rtp),
            SipCommand::Answer { local } => {
                let Some(peer) = self.network.peers.get_mut(&call) else { return };
                peer.sends_to = Some(local.rtp);
                if peer.state == PeerState::Invited {
                    self.answer(call);
                }
            }
            SipCommand::Reject { status, .. } => {
                self.end_peer(call);
                self.report(
                    call,
                    SipEvent::Failed { status, reason: "rejected".into(), network: false, cause: None },
                );
            }
            SipCommand::HangUp { .. } => self.on_hang_up(call),
            SipCommand::ReOffer { local } => self.reinvite(call, local.rtp),
            SipCommand::Restore { .. } => self.restore(call),
            SipCommand::Resume { .. } => self.resume(call),
            SipCommand::Probe => self.vouch(call),
            SipCommand::Ring { .. } => {}
        }
    }

    /// A re-INVITE is answered at once, or after a glare (RFC 3261 section 14.1).
    fn reinvite(&mut self, call: CallId, to: SocketAddr) {
        let delay = if self.chance(10) { self.between_ms(100, 2_000) } else { self.between_ms(1, 60) };
        let now_us = self.now_us;
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        peer.follows_us = (now_us + delay).max(peer.follows_us + 1);
        let (at, run) = (peer.follows_us, self.shell.run);
        self.at(at, Happening::Peer { call, act: PeerAct::Follow { run, to } });
    }

    /// The peer's answer to a re-INVITE, which may find nobody there any more: one that met glare is not sent again then.
    fn follow(&mut self, call: CallId, run: u64, to: SocketAddr) {
        let answered = self.shell.core.is_none() && self.chance(50);
        let sender_lives = run == self.shell.run;
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        if !sender_lives && !answered {
            return;
        }
        peer.sends_to = Some(to);
        // The adaptor tells what is new, if it lives.
        let is_new = sender_lives && !std::mem::replace(&mut peer.told, true);
        let sends = peer.sends();
        self.trace(|| format!("peer {call} sends to {to}"));
        if let Some((engine, leg)) = self.fed_leg(call).filter(|_| sends) {
            self.begin_to_hear(engine, leg);
        }
        if is_new {
            self.report(call, SipEvent::Updated(remote(call)));
        }
        self.report(call, SipEvent::Snapshot { data: call.to_string() });
    }

    fn invite(&mut self, call: CallId, target: Target, local: SocketAddr) {
        let unreachable = self.network.trunk_away && matches!(target, Target::Trunk { .. });
        let (who, number) = match target {
            Target::Registered { aor } => (Who::Phone(AgentId(aor.clone())), aor),
            Target::Uri(uri) => (Who::Phone(AgentId(uri.clone())), uri),
            // Somebody whom an agent passes a customer on to, or an agent at home.
            Target::Trunk { number } if number.starts_with(GUESTS) || number.starts_with(HOMES) => {
                (Who::Phone(AgentId(number.clone())), number)
            }
            Target::Trunk { number } => {
                self.judge_invite(call, &number);
                (Who::Customer, number)
            }
        };
        let phone = matches!(who, Who::Phone(_));
        let mut peer = self.new_peer(who, number);
        peer.sends_to = Some(local);
        peer.answers_late = self.chance(25);
        peer.hung_up = self.oracle.hung_up.contains(&call);
        self.network.peers.insert(call, peer);
        let roll = self.rng.random_range(0..100_u32);
        let ring = self.between_ms(20, 400);
        let answer = ring + self.between_ms(1, 6_000);
        let early = self.chance(30);
        let plan = match roll {
            _ if unreachable => UNREACHABLE,
            0..95 if self.users.evening && phone => 0,
            _ => roll,
        };
        let limit = if phone { 15 * SECOND } else { 20 * SECOND };
        let patience = self.between_ms(25_000, 60_000);
        let peer_act = |act| Happening::Peer { call, act };
        match plan {
            0..66 => {
                self.after(ring, peer_act(PeerAct::Ring { early }));
                self.after(answer, peer_act(PeerAct::Answer));
                if roll % 11 == 0 {
                    self.after(answer + 2_000, peer_act(PeerAct::HangUp));
                }
                if roll % 13 == 0 {
                    let dead = answer + self.between_ms(1, 20_000);
                    self.after(dead, peer_act(PeerAct::Die));
                }
                if phone && roll % 17 == 5 {
                    let muted = answer + self.between_ms(2_000, 20_000);
                    self.after(muted, peer_act(PeerAct::Mute));
                }
            }
            66..70 => self.after(answer, peer_act(PeerAct::Answer)),
            70..80 => self.after(ring, peer_act(PeerAct::Refuse { status: 486, network: false })),
            80..UNREACHABLE => self.after(ring, peer_act(PeerAct::Refuse { status: 404, network: false })),
            UNREACHABLE..88 => self.after(ring, peer_act(PeerAct::Refuse { status: 503, network: true })),
            88..94 => {
                self.after(ring, peer_act(PeerAct::Ring { early }));
                // The adaptor cancels and reports.
                self.after(limit, peer_act(PeerAct::Refuse { status: 408, network: false }));
            }
            94..97 => self.after(limit, peer_act(PeerAct::Refuse { status: 408, network: true })),
            _ => {
                self.after(ring, peer_act(PeerAct::Ring { early }));
                self.after(answer, peer_act(PeerAct::Refuse { status: 603, network: false }));
            }
        }
        self.after(limit + patience, peer_act(PeerAct::GiveUp));
        self.tell(SET_UP_US, Input::Sip { call, event: SipEvent::SettingUp { data: call.to_string() } });
        self.report(call, SipEvent::Trying);
    }

    pub(super) fn on_peer(&mut self, call: CallId, act: PeerAct) {
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        let state = peer.state;
        match (act, state) {
            (PeerAct::Ring { early }, PeerState::Invited) => {
                peer.state = PeerState::Ringing;
                self.trace(|| format!("peer {call} rings"));
                self.report(call, if early { SipEvent::EarlyMedia(remote(call)) } else { SipEvent::Ringing });
            }
            (PeerAct::Answer, PeerState::Invited | PeerState::Ringing) => self.answer(call),
            (PeerAct::Refuse { status, network }, PeerState::Invited | PeerState::Ringing) => {
                self.end_peer(call);
                self.report(
                    call,
                    SipEvent::Failed { status, reason: "refused".into(), network, cause: None },
                );
            }
            (PeerAct::HangUp, PeerState::Invited | PeerState::Ringing) => {
                self.end_peer(call);
                self.report(
                    call,
                    SipEvent::Failed { status: 487, reason: "cancelled".into(), network: false, cause: None },
                );
            }
            (PeerAct::HangUp, PeerState::Up) => {
                self.end_peer(call);
                self.report(call, SipEvent::Ended { by_peer: true, reason: "bye".into() });
            }
            (PeerAct::Press(key), PeerState::Up) => self.press(call, key),
            (PeerAct::Follow { run, to }, PeerState::Up) => self.follow(call, run, to),
            (PeerAct::Die, PeerState::Up) => {
                peer.dead_us = Some(self.now_us);
                self.trace(|| format!("peer {call} sends no packet any more"));
                if let Some((engine, leg)) = self.fed_leg(call) {
                    self.listen_for_silence(engine, leg);
                }
            }
            (PeerAct::Mute, PeerState::Up) => self.mute(call),
            (PeerAct::GiveUp, PeerState::Invited | PeerState::Ringing) => {
                self.end_peer(call);
                self.report(
                    call,
                    SipEvent::Failed { status: 408, reason: "gave up".into(), network: false, cause: None },
                );
            }
            (PeerAct::GiveUp, PeerState::Up)
                if !self.network.peers.get(&call).is_some_and(|peer| peer.known) =>
            {
                self.end_peer(call);
            }
            _ => {}
        }
    }

    fn answer(&mut self, call: CallId) {
        let now_us = self.now_us;
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        peer.state = PeerState::Up;
        peer.answered_us = Some(now_us);
        let known = peer.known;
        self.trace(|| format!("peer {call} answers"));
        if !known {
            // Nobody acknowledges: the peer gives up.
            self.after(32 * SECOND, Happening::Peer { call, act: PeerAct::GiveUp });
            return;
        }
        self.acknowledge(call);
    }

    /// The adaptor has the peer's answer.
    fn acknowledge(&mut self, call: CallId) {
        let now_us = self.now_us;
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        peer.acknowledged = true;
        let who = peer.who.clone();
        self.begin_to_speak(call);
        if let Some((engine, leg)) = self.fed_leg(call) {
            self.raise(engine, 20_000, EventBody::LegAlive { leg });
        }
        self.report(call, SipEvent::Answered { remote: remote(call), at_mono_us: now_us });
        self.report(call, SipEvent::Snapshot { data: call.to_string() });
        if who != Who::Caller && !matches!(who, Who::Phone(_)) {
            let patient = self.chance(8);
            let talk = if patient { self.between_ms(60_000, 100_000) } else { self.between_ms(500, 15_000) };
            self.after(talk, Happening::Peer { call, act: PeerAct::HangUp });
        } else if matches!(who, Who::Phone(_)) && self.chance(12) {
            let shift = self.between_ms(500, 30_000);
            self.after(shift, Happening::Peer { call, act: PeerAct::HangUp });
        }
    }

    fn on_hang_up(&mut self, call: CallId) {
        let Some(peer) = self.network.peers.get_mut(&call) else {
            self.report(call, SipEvent::Ended { by_peer: false, reason: "nothing there".into() });
            return;
        };
        match peer.state {
            // Another run had its answer, and died before that was on disk: no BYE can be made.
            PeerState::Up if !peer.known => {}
            PeerState::Invited | PeerState::Ringing if peer.answers_late => {
                // The 200 crosses the CANCEL: the adaptor acknowledges it and says BYE.
                peer.state = PeerState::Up;
                peer.answered_us = Some(self.now_us);
                self.trace(|| format!("peer {call} answers although cancelled"));
                self.end_peer(call);
                self.report(call, SipEvent::Ended { by_peer: false, reason: "late answer".into() });
            }
            PeerState::Invited | PeerState::Ringing => {
                self.end_peer(call);
                self.report(
                    call,
                    SipEvent::Failed { status: 487, reason: "cancelled".into(), network: false, cause: None },
                );
            }
            PeerState::Up => {
                self.end_peer(call);
                self.report(call, SipEvent::Ended { by_peer: false, reason: "bye".into() });
            }
            PeerState::Over => {}
        }
    }

    pub(super) fn end_peer(&mut self, call: CallId) {
        let now_us = self.now_us;
        self.trace(|| format!("peer {call} is over"));
        if let Some(peer) = self.network.peers.get_mut(&call) {
            peer.state = PeerState::Over;
            peer.over_us = now_us;
        }
        if let Some((engine, leg)) = self.fed_leg(call) {
            self.listen_for_silence(engine, leg);
        }
    }

    /// Age of the last packet that an engine has of a leg's peer; none where it sends elsewhere.
    pub(super) fn packet_age_us(&mut self, engine: EngineId, leg: &str) -> Option<u64> {
        let parked = self.rng.random_range(0..640_000_u64);
        let leg = self.engine(engine).legs.get(leg)?;
        let (call, rtp) = (leg.call, leg.rtp);
        let peer = self.network.peers.get(&call).filter(|peer| peer.sends_to == Some(rtp))?;
        peer.answered_us?;
        match (peer.state, peer.dead_us.or(peer.muted_us)) {
            (PeerState::Up, None) => Some(parked),
            (PeerState::Up, Some(dead)) => Some(self.now_us - dead + parked),
            _ => Some(self.now_us - peer.over_us + parked),
        }
    }
}

/// Until the adaptor has told that an INVITE is out.
const SET_UP_US: u64 = 500;
/// The first of the draws that end in an error of the network.
const UNREACHABLE: u32 = 84;
/// Numbers that customers are passed on to, and that are no customers.
pub(super) const GUESTS: &str = "+9910";

fn remote(call: CallId) -> RemoteMedia {
    RemoteMedia {
        remote: Remote { rtp: voice_address(call), rtcp: None },
        media: Media::default(),
        direction: Direction::SendRecv,
        srtp: Srtp::Off,
        rtcp_mux: false,
    }
}
