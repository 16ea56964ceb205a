//! An engine is heard, for the first time or again; it falls silent; it is another run of itself.

use std::collections::BTreeSet;

use crate::call::Call;
use crate::core::Core;
use crate::engines::State;
use crate::flow::calls::End;
use crate::flow::engine::Pending;
use crate::flow::failover::PATIENCE_MS;
use crate::timer::Timer;
use crate::{CallId, EngineId};

impl Core {
    pub(crate) fn on_engine_up(&mut self, engine: EngineId, restarted: bool) {
        if restarted {
            self.on_legs_lost(engine);
            // The new run may have executed what the former was asked for.
            self.engines.note_strays(engine);
        } else {
            for call in self.calls.values_mut().filter(|call| call.engine == Some(engine)) {
                call.leg.doubt();
            }
        }
        let now_us = self.now.mono_us;
        if self.replayed.is_pending() {
            self.engines.set_state(engine, State::Reconciling, now_us);
            self.begin_reconciling(engine);
            return;
        }
        self.engines.set_state(engine, State::Up, now_us);
        if self.engines.take_strays(engine) {
            self.sweep(engine, None);
        }
        self.match_due = true;
        for id in self.call_ids() {
            self.drive(id);
            self.reap(id);
        }
        self.fail_over();
    }

    pub(crate) fn on_engine_down(&mut self, engine: EngineId) {
        self.decide_by_heard();
        self.engines.set_state(engine, State::Down, self.now.mono_us);
        self.stop_reconciling(engine);
        self.arm(Timer::FailOver, PATIENCE_MS);
    }

    /// A dead engine, or another run of it: none of our legs there exists, none of our requests will be answered.
    pub(crate) fn on_legs_lost(&mut self, engine: EngineId) {
        for call in self.calls.values_mut().filter(|call| call.engine == Some(engine)) {
            call.leg.relocate();
        }
        let deaf = |call: &&Call| call.engine == Some(engine) && call.deaf;
        let deaf: Vec<CallId> = self.calls.values().filter(deaf).map(|call| call.id).collect();
        let mut proofs = BTreeSet::new();
        self.forget_requests(|asked| {
            let lost = asked.engine == engine;
            if let (Pending::Proof { interaction }, true) = (&asked.pending, lost) {
                proofs.insert(*interaction);
            }
            lost
        });
        for interaction in proofs {
            self.step_back(interaction, 1_000);
        }
        // Their media was all that was left of them: nobody can tell their phones where to send now.
        for call in deaf {
            self.call_over(call, End::Lost);
        }
    }
}
