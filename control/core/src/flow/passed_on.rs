//! A flow passes its caller on to a number or an agent.

use offhook_proto::{PlaySource, ToneName};

use crate::agent::Agent;
use crate::core::Core;
use crate::inbound_flow::{Event, Other, Owner, Run};
use crate::interaction::Stage;

impl Core {
    /// Begins to reach the other side, while the caller hears a ringback. From there on it is a caller's way to an agent, a
    /// number being a guest; [`Core::on_not_reached`] when it leads back.
    pub(super) fn transfer_in_flow(&mut self, id: u64, other: Other) -> Result<(), String> {
        if self.interactions.get(&id).is_none_or(|found| found.stage != Stage::Waiting) {
            return Err("an agent is being asked already".to_owned());
        }
        let agent = match other {
            Other::Agent(agent) if self.agents.get(&agent).is_some_and(Agent::is_ready) => agent,
            Other::Agent(agent) => return Err(format!("{} is not available", agent.0)),
            Other::Number(_) if !self.trunk.is_open() => return Err("the trunk does not answer".to_owned()),
            Other::Number(number) => self.invite(&number),
        };
        let country = Some(self.config.country.clone());
        self.play_in_flow(id, vec![PlaySource::Tone { name: ToneName::Ringback, country }], 0);
        self.assign(id, &agent);
        Ok(())
    }

    /// Whoever was to have a caller does not: the flow goes on, when it was the flow that asked for them.
    pub(super) fn on_not_reached(&mut self, id: u64) {
        let owner = Owner::Caller(id);
        if self.flows.get(&owner).is_some_and(Run::is_transferring) {
            self.play_in_flow(id, Vec::new(), 0);
            self.run_flow(owner, Event::NotReached("the other side is not reached".to_owned()));
        }
    }
}
