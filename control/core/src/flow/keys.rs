//! What a customer keys in is kept from whoever hears them: the number of a card.

use offhook_proto::DtmfMode;

use crate::AgentId;
use crate::api::{ApiReply, KeysBody};
use crate::core::{Changed, Core};
use crate::flow::api::{Answer, missing};

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
}
