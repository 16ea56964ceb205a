//! Phones that send nothing while their users are silent, and say by SIP that they are there.

use offhook_control_core::CallId;
use offhook_control_core::sip::SipEvent;

use super::{Peer, PeerState};
use crate::simulation::world::World;

impl World {
    /// Its user has muted it.
    pub(super) fn mute(&mut self, call: CallId) {
        let now_us = self.now_us;
        if let Some(peer) = self.network.peers.get_mut(&call) {
            peer.muted_us = Some(now_us);
        }
        self.trace(|| format!("peer {call} is muted"));
        if let Some((engine, leg)) = self.fed_leg(call) {
            self.listen_for_silence(engine, leg);
        }
    }

    /// A phone is asked by SIP whether it is there.
    pub(super) fn vouch(&mut self, call: CallId) {
        let now_us = self.now_us;
        let peer = self.network.peers.get_mut(&call);
        if let Some(peer) = peer.filter(|peer| peer.state == PeerState::Up && peer.dead_us.is_none()) {
            peer.vouched_us = Some(now_us);
            self.report(call, SipEvent::Alive);
        }
    }

    /// Whether a phone has said within so many microseconds that it is there.
    pub(in crate::simulation) fn has_vouched(&self, phone: CallId, within_us: u64) -> bool {
        let said_us = self.network.peers.get(&phone).and_then(|peer| peer.vouched_us);
        said_us.is_some_and(|at_us| self.now_us - at_us <= within_us)
    }
}

impl Peer {
    /// Whether it sends packets while it is up.
    pub(in crate::simulation) fn sends(&self) -> bool {
        self.dead_us.is_none() && self.muted_us.is_none()
    }
}
