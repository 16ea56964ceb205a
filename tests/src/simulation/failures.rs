//! What the death of a process may not lead to: nobody is called again for it, and what was said stays said.

use offhook_control_core::CallId;

use super::engines::call_of;
use super::network::{PeerState, Who};
use super::world::{SECOND, World};

impl World {
    /// An engine is about to die or to be cut off. What it alone knew is lost.
    pub(super) fn judge_engine_crash(&mut self) {
        self.oracle.engine_died_us = Some(self.now_us);
        if self.shell.core.is_none() {
            self.oracle.forget_talks();
        }
    }

    /// Control is about to die, maybe before it has put on record what an engine that is dead by now would have told.
    pub(super) fn judge_control_crash(&mut self) {
        if self.oracle.engine_died_us.is_some_and(|at| self.now_us < at + TELLING_US) {
            self.oracle.forget_talks();
        }
    }

    /// Control hangs up on an agent's phone: never because of an engine, while the phone is there (BY-09).
    pub(super) fn judge_hang_up(&mut self, call: CallId, reason: &str) {
        if !matches!(reason, "lost" | "engine") {
            return;
        }
        let Some(peer) = self.network.peers.get(&call) else { return };
        let sound = peer.state == PeerState::Up && peer.dead_us.is_none() && peer.known && !peer.hung_up;
        // That a muted phone sends to where its leg is now may not be known after a failure.
        let failed = self.oracle.engine_died_us.is_some() || self.shell.run > 1;
        let sound = sound && (peer.sends() || !failed);
        let Who::Phone(agent) = peer.who.clone() else { return };
        let refused = self.oracle.refused.iter().any(|leg| call_of(leg) == Some(call));
        if sound && !refused {
            self.violate(format!("{agent} is hung up on ({reason}) although the phone is there"));
        }
    }
}

/// How long control may take to put a conversation on record.
const TELLING_US: u64 = 3 * SECOND;
