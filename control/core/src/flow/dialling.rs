//! A customer is called: a leg beside the agent's, the record of the attempt, the INVITE, ringing.

use offhook_proto::{PlaySource, ToneName};

use crate::CallId;
use crate::call::{Role, State as CallState};
use crate::core::Core;
use crate::flow::calls::NewCall;
use crate::interaction::{Event, Source, Stage};
use crate::mutation::Mutation;
use crate::sip::Target;

impl Core {
    pub(super) fn open_customer_leg(&mut self, id: u64) {
        let beside = self.agent_leg_of(id);
        let call = CallId(self.unique());
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        interaction.call = Some(call);
        let (kind, number, agent) =
            (interaction.kind(), interaction.number.clone(), interaction.agent.clone());
        self.new_call(NewCall {
            id: call,
            kind,
            role: Role::Customer(id),
            state: CallState::Opening,
            target: Some(Target::Trunk { number: number.clone() }),
            number,
            agent,
            beside,
            remote: None,
        });
        self.drive(call);
    }

    pub(super) fn agent_leg_of(&self, id: u64) -> Option<String> {
        let call = self.agent_call_of(id)?;
        Some(self.calls.get(&call)?.leg.name.clone())
    }

    /// The customer's leg is open: the agent will hear it from the first packet on; the customer hears nothing yet.
    pub(crate) fn on_customer_leg_open(&mut self, id: u64) {
        if self.interactions.get(&id).is_some_and(|found| found.stage == Stage::Preparing)
            && self.step(id, Event::LegOpen).is_some()
        {
            self.splice(id, false);
            self.prove(id);
        }
    }

    pub(super) fn dial_customer(&mut self, id: u64) {
        let Some(interaction) = self.interactions.get(&id) else { return };
        let (Some(call), Some(agent)) = (interaction.call, interaction.agent.clone()) else { return };
        self.projection.dialled += 1;
        let late = self.mutated(Mutation::DialBeforeRecord);
        if late {
            self.send_dial(call);
        }
        match interaction_source(self, id) {
            Some(Source::Callback(callback)) => self.record_callback_dial(&callback, call, &agent),
            Some(Source::Contact(contact)) => self.record_contact_dial(&contact, call, &agent),
            Some(Source::Caller) | None => {}
        }
        if !late {
            self.send_dial(call);
        }
    }

    /// The customer's phone rings: the agent hears its early media, or a ringback made here (PM-10).
    pub(crate) fn on_customer_ringing(&mut self, id: u64, first: bool) {
        if first {
            self.step(id, Event::Ringing);
        }
        let early = self
            .interactions
            .get(&id)
            .and_then(|interaction| self.calls.get(&interaction.call?))
            .is_some_and(|call| call.early_media);
        let Some(agent_call) = self.agent_call_of(id) else { return };
        if early {
            self.play_to(agent_call, Vec::new(), 0);
        } else if first {
            let tone =
                PlaySource::Tone { name: ToneName::Ringback, country: Some(self.config.country.clone()) };
            self.play_to(agent_call, vec![tone], 0);
        }
    }
}

fn interaction_source(core: &Core, id: u64) -> Option<Source> {
    core.interactions.get(&id).map(|interaction| interaction.source.clone())
}
