//! What a crash of control leaves of the calls at the network, and what the next run finds when it takes them up.

use offhook_control_core::sip::SipEvent;
use offhook_control_core::{CallId, Input};

use super::super::world::{Happening, World};
use super::{PeerAct, PeerState};

impl World {
    /// The adaptor waits for the answer to an INVITE of the run before.
    pub(super) fn resume(&mut self, call: CallId) {
        let refused_again = self.chance(50);
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        let repeats = peer.state == PeerState::Up && !peer.acknowledged;
        peer.known = true;
        peer.event_at_us = self.now_us;
        let state = peer.state;
        let is_silent = state == PeerState::Invited;
        self.report(call, if is_silent { SipEvent::Trying } else { SipEvent::Ringing });
        match state {
            PeerState::Invited | PeerState::Ringing => {}
            PeerState::Up if repeats => self.acknowledge(call),
            // It repeats its refusal; or nothing comes, and its CANCEL finds no call.
            PeerState::Over if refused_again => {
                self.report(
                    call,
                    SipEvent::Failed { status: 486, reason: "refused".into(), network: false, cause: None },
                );
            }
            PeerState::Up | PeerState::Over => {
                if let Some(peer) = self.network.peers.get_mut(&call) {
                    peer.known = false;
                }
                let later = self.between_ms(4_000, 20_000);
                let event = SipEvent::RestoreFailed { reason: "no answer to the CANCEL".into() };
                self.tell(later, Input::Sip { call, event });
            }
        }
    }

    pub(super) fn restore(&mut self, call: CallId) {
        let chance = self.chance(50);
        let Some(peer) = self.network.peers.get_mut(&call) else { return };
        peer.known = true;
        peer.event_at_us = self.now_us;
        match peer.state {
            PeerState::Up => {
                self.report(call, SipEvent::Restored);
                self.report(call, SipEvent::Snapshot { data: call.to_string() });
            }
            _ if chance => self.report(call, SipEvent::RestoreFailed { reason: "no such dialog".into() }),
            // Its BYE was lost with the process that it went to; it is noticed later.
            _ => {
                self.report(call, SipEvent::Restored);
                let later = self.between_ms(100, 3_000);
                let event = SipEvent::Ended { by_peer: true, reason: "481".into() };
                self.tell(later + 30_000, Input::Sip { call, event });
            }
        }
    }

    /// The adaptor died with the process.
    pub(in super::super) fn network_after_crash(&mut self) {
        let mut lost = Vec::new();
        for (call, peer) in &mut self.network.peers {
            peer.known = false;
            peer.told = false;
            if peer.state == PeerState::Up && !peer.snapshot_durable {
                lost.push(*call);
            }
        }
        for call in lost {
            // Nobody can end this call but the peer itself.
            let patience = self.between_ms(5_000, 30_000);
            self.after(patience, Happening::Peer { call, act: PeerAct::GiveUp });
        }
    }

    /// Nobody could do anything for whoever was alone while control was away.
    pub(in super::super) fn network_after_start(&mut self) {
        let (now_us, crashed_us) = (self.now_us, self.shell.crashed_us);
        for since_us in self.network.peers.values_mut().filter_map(|peer| peer.alone_us.as_mut()) {
            *since_us += now_us - crashed_us.max(*since_us);
        }
    }

    pub(in super::super) fn network_snapshot_durable(&mut self, call: CallId) {
        if let Some(peer) = self.network.peers.get_mut(&call) {
            peer.snapshot_durable = true;
        }
    }
}
