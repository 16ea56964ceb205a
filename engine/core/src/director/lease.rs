//! Legs that end without being asked to: dead leases, broken sockets, the end of the engine.

use std::sync::Arc;

use offhook_proto::EventBody;

use super::Director;
use super::op::Task;
use super::subscriber::LeaseStep;
use crate::limits::RELEASES;
use crate::{LegId, Time};

/// A leg that is to be closed as soon as few enough others are being closed.
#[derive(Debug)]
pub(super) struct Doomed {
    leg: Arc<str>,
    id: LegId,
    reason: Arc<str>,
}

impl Director {
    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        for (controller, step) in self.controllers.lease_steps(now) {
            match step {
                LeaseStep::None => {}
                LeaseStep::Expired => {
                    let legs = self.legs.count_of(&controller) as u64;
                    let body = EventBody::LeaseExpired { controller: controller.to_string(), legs };
                    self.controllers.raise(now, &body);
                }
                LeaseStep::Released => {
                    let names: Vec<_> = self.legs.of(&controller).cloned().collect();
                    let reason = format!("its controller {controller} has been silent for twice its lease");
                    self.release(&names, &reason);
                }
                LeaseStep::Forgotten => self.controllers.forget(&controller),
            }
        }
        self.run_ready();
        // Also when nothing else is put out, events are sent again.
        self.controllers.pump(now, &mut self.outputs);
    }

    /// Closes every leg, each with an RTCP BYE: the engine is about to stop. Requests for legs are refused from now on.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.now = now;
        self.stopping = true;
        let names: Vec<_> = self.legs.names().cloned().collect();
        self.release(&names, "the engine is stopping");
        self.run_ready();
    }

    /// Closes legs, each in its turn, a bounded number at once.
    pub(super) fn release(&mut self, names: &[Arc<str>], reason: &str) {
        let reason: Arc<str> = reason.into();
        for name in names {
            let Some(entry) = self.legs.find_mut(name) else { continue };
            if !std::mem::replace(&mut entry.releasing, true) {
                let (leg, id, reason) = (Arc::clone(name), entry.id, Arc::clone(&reason));
                self.doomed.push_back(Doomed { leg, id, reason });
            }
        }
        self.run_doomed();
    }

    pub(super) fn run_doomed(&mut self) {
        while self.releasing < RELEASES
            && let Some(Doomed { leg, id, reason }) = self.doomed.pop_front()
        {
            self.releasing += 1;
            self.enter(None, None, Task::Release { leg, id, reason });
        }
    }
}
