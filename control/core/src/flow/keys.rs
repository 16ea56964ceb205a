//! What a customer keys in is kept from whoever hears them: the number of a card.

use offhook_proto::DtmfMode;

use crate::api::{ApiReply, KeysBody};
use crate::call::State;
use crate::core::{Changed, Core};
use crate::flow::api::{Answer, missing};
use crate::flow::replay::Marks;
use crate::mutation::Mutation;
use crate::record::Fact;
use crate::view::KeysStatus;
use crate::{AgentId, CallId};

impl Core {
    /// `POST /agents/{id}/keys`. It holds until it is undone or the call ends, whoever has the customer then.
    pub(super) fn block_keys(&mut self, by: &AgentId, body: KeysBody) -> Answer {
        let (_, id) = self.customer_of(by)?;
        let mode = if body.blocked { DtmfMode::Block } else { DtmfMode::Pass };
        if let Some(call) = self.calls.get_mut(&id) {
            call.leg.keys(mode);
        }
        self.changed(Changed::Call(id));
        self.drive(id);
        let view = self.call_view(id).ok_or_else(|| missing("call"))?;
        Ok(ApiReply::Call(Box::new(view)))
    }

    /// Puts on record what becomes of a customer's keys, once the engine has said so. Not before: the command would have to wait
    /// for the disk.
    pub(super) fn note_keys(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.state != State::Over) else { return };
        let blocked = match call.leg.keys_status() {
            KeysStatus::Blocked => true,
            KeysStatus::Heard => false,
            KeysStatus::Blocking => return,
        };
        if blocked != std::mem::replace(&mut call.keys_on_record, blocked) {
            self.record(Fact::KeysBlocked { call: id, blocked });
        }
    }

    /// A customer of an earlier run: what else is on record of them goes on.
    pub(super) fn restore_marks(&mut self, id: CallId, marks: Marks) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.one_way = marks.missed;
            call.audio = marks.audio.unwrap_or(call.audio);
        }
        self.restore_keys(id, marks.blocked);
    }

    /// What nobody was to hear then is blocked again, should the engine that did it have died too.
    fn restore_keys(&mut self, id: CallId, blocked: bool) {
        if blocked && self.mutated(Mutation::ForgetBlocked) {
            return;
        }
        if blocked && let Some(call) = self.calls.get_mut(&id) {
            call.keys_on_record = true;
            call.leg.keys(DtmfMode::Block);
        }
        self.note_keys(id);
    }
}
