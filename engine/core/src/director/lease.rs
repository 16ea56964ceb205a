//! Legs that end without being asked to: dead leases, broken sockets, the end of the engine.

use std::sync::Arc;

use offhook_proto::EventBody;

use super::Director;
use super::op::Task;
use super::subscriber::LeaseStep;
use crate::Time;
use crate::limits::RELEASES_PER_ROUND;

/// Milliseconds between two rounds of releases.
const ROUND_MS: u64 = 5;

impl Director {
    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.release_at = Time::NEVER;
        for (controller, step) in self.controllers.lease_steps(now) {
            match step {
                LeaseStep::None => {}
                LeaseStep::Expired => {
                    let legs = self.legs.count_of(&controller) as u64;
                    let body = EventBody::LeaseExpired { controller: controller.to_string(), legs };
                    self.controllers.raise(now, &body);
                }
                LeaseStep::Released => self.release_all_of(&controller),
            }
        }
        if self.stopping {
            self.release_everything();
        }
        self.run_ready();
        // Also without anything to do for a caller that polls, events are sent again.
        self.controllers.pump(now, &mut self.outputs);
    }

    /// Closes every leg, each with an RTCP BYE: the engine is about to stop. Requests for legs are refused from now on.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.now = now;
        self.stopping = true;
        self.release_everything();
        self.run_ready();
    }

    /// Closes one leg in its turn.
    pub(super) fn release(&mut self, name: &Arc<str>, reason: &str) {
        let Some(entry) = self.legs.find_mut(name) else { return };
        if !std::mem::replace(&mut entry.releasing, true) {
            let id = entry.id;
            self.enter(None, None, Task::Release { leg: Arc::clone(name), id, reason: reason.to_owned() });
        }
    }

    fn release_all_of(&mut self, controller: &Arc<str>) {
        if !self.controllers.has_lease(controller) {
            return self.controllers.forget(controller);
        }
        let names: Vec<_> = self.legs.of(controller).cloned().collect();
        let reason = format!("its controller {controller} has been silent for twice its lease");
        if self.release_some(names, &reason) {
            self.release_at = self.now.plus_ms(ROUND_MS);
        } else {
            self.controllers.forget(controller);
        }
    }

    fn release_everything(&mut self) {
        let names: Vec<_> = self.legs.names().cloned().collect();
        if self.release_some(names, "the engine is stopping") {
            self.release_at = self.now.plus_ms(ROUND_MS);
        }
    }

    /// Releases a round of legs. Returns whether there are more.
    fn release_some(&mut self, names: Vec<Arc<str>>, reason: &str) -> bool {
        let mut round =
            names.into_iter().filter(|name| self.legs.find(name).is_some_and(|leg| !leg.releasing));
        let some: Vec<_> = round.by_ref().take(RELEASES_PER_ROUND).collect();
        let more = round.next().is_some();
        for name in some {
            self.release(&name, reason);
        }
        more
    }
}
