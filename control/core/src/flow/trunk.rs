//! While the trunk does not answer nobody is dialled: callbacks and contacts keep their places, and no attempt is lost.

use crate::Output;
use crate::core::Core;
use crate::interaction::{Stage, Way};
use crate::view::Notification;

impl Core {
    /// The shell found out why the trunk cannot be reached; none = it answers.
    pub(crate) fn on_trunk(&mut self, outage: Option<String>) {
        if !self.trunk.learn(outage) {
            return;
        }
        if self.trunk.is_open() {
            self.match_due = true;
        } else {
            self.projection.trunk_outages += 1;
            self.hold_back();
        }
        self.push(Output::Notify(Notification::Trunk(self.trunk.view())));
    }

    /// Whoever was about to be dialled waits again, in the same place. Calls that are on their way show for themselves.
    fn hold_back(&mut self) {
        let undialled =
            |stage| matches!(stage, Stage::Offered | Stage::Calling | Stage::Preparing | Stage::Proving);
        let about_to_be = self.interactions.values();
        let about_to_be = about_to_be.filter(|found| found.way == Way::Outbound && undialled(found.stage));
        let ids: Vec<u64> = about_to_be.map(|found| found.id).collect();
        for id in ids {
            if self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Offered) {
                self.announce_offer(id, "withdrawn");
            }
            self.step_back(id, 0);
        }
    }
}
