//! What agents say came of a contact.

use crate::ContactId;
use crate::api::{ApiError, ApiReply, DispositionBody};
use crate::core::{Changed, Core};
use crate::flow::api::{Answer, bad, missing};
use crate::flow::lists::moment;
use crate::limits::TEXT_BYTES;
use crate::preview::State;
use crate::record::{ContactSpec, Fact};

impl Core {
    /// `POST /contacts/{id}/disposition`; with `again_at` its number is called once more.
    pub(super) fn dispose(&mut self, id: &ContactId, body: DispositionBody) -> Answer {
        let contact = self.contacts.get(id).ok_or_else(|| missing("contact"))?;
        if body.disposition.is_empty() || body.disposition.len() > TEXT_BYTES {
            return Err(bad("disposition", "has to be 1 to 1,024 bytes"));
        }
        if contact.attempts == 0 || matches!(contact.state, State::Dialling) {
            return Err(ApiError::new(409, "not_called", "the contact has not been called yet"));
        }
        let again_ms = body.again_at.map(|time| moment("again_at", &time)).transpose()?;
        let again = again_ms.map(|ms| ContactSpec { not_before_ms: Some(ms), ..contact.spec.clone() });
        self.record(Fact::ContactDisposed { id: id.clone(), disposition: body.disposition.clone() });
        self.on_disposed(id, body.disposition);
        if let Some(spec) = again {
            let id = self.contact_id(0);
            self.add_contact(&id, spec);
        }
        let contact = self.contacts.get(id).ok_or_else(|| missing("contact"))?;
        Ok(ApiReply::Contact(Box::new(contact.view())))
    }

    /// Live, and from the journal.
    pub(crate) fn on_disposed(&mut self, id: &ContactId, disposition: String) {
        if let Some(contact) = self.contacts.get_mut(id) {
            contact.disposition = Some(disposition);
            self.changed(Changed::Contact(id.clone()));
        }
    }
}
