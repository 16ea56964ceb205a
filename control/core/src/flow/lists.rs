//! Contacts as they come and go over REST: one by one, whole lists, listed, taken out again.

use std::ops::Bound;

use serde_json::Value;

use crate::ContactId;
use crate::api::{ApiError, ApiReply, ContactBody, ContactFilter, More};
use crate::calendar;
use crate::core::Core;
use crate::flow::api::{Answer, bad, check_number, missing};
use crate::flow::pages::page;
use crate::interaction::Outcome;
use crate::limits::{CONTACTS, DATA_BYTES, IMPORT, LISTING, TEXT_BYTES};
use crate::mutation::Mutation;
use crate::preview::{Contact, State};
use crate::record::{ContactSpec, Fact};
use crate::view::ListView;

impl Core {
    /// `POST /contacts`.
    pub(super) fn store_contact(&mut self, body: ContactBody) -> Answer {
        let spec = self.checked(body)?;
        self.has_room(1)?;
        let id = self.contact_id(0);
        self.add_contact(&id, spec);
        Ok(ApiReply::ContactStored(id))
    }

    /// `POST /contacts/import`: in their order, or none of them, with every fault named by its row.
    pub(super) fn import_contacts(&mut self, bodies: Vec<ContactBody>) -> Answer {
        if bodies.is_empty() || bodies.len() > IMPORT {
            return Err(ApiError::new(
                400,
                "bad_request",
                format!("1 to {IMPORT} contacts are taken at once"),
            ));
        }
        self.has_room(bodies.len())?;
        let mut specs = Vec::with_capacity(bodies.len());
        let mut faults = Vec::new();
        for (row, body) in (1..).zip(bodies) {
            match self.checked(body) {
                Ok(spec) => specs.push(spec),
                Err(error) => faults.push(format!("row {row}: {}", error.message)),
            }
        }
        if !faults.is_empty() {
            let more = faults.len().saturating_sub(FAULTS);
            faults.truncate(FAULTS);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(ApiError::new(400, "bad_request", format!("{}{more}", faults.join("; "))));
        }
        let count = specs.len();
        for (place, spec) in specs.into_iter().enumerate() {
            let id = self.contact_id(place);
            self.add_contact(&id, spec);
        }
        Ok(ApiReply::ContactsStored(count))
    }

    fn checked(&self, body: ContactBody) -> Result<ContactSpec, ApiError> {
        let ContactBody { queue, number, data, list, not_before } = body;
        if self.config.queue(&queue).is_none() {
            return Err(bad("queue", "names no queue"));
        }
        check_number("number", &number)?;
        if size(&data) > DATA_BYTES {
            return Err(bad("data", "is larger than 16,384 bytes"));
        }
        let list = list.unwrap_or_default();
        if list.len() > TEXT_BYTES {
            return Err(bad("list", "is longer than 1,024 bytes"));
        }
        let not_before_ms = not_before.map(|time| moment("not_before", &time)).transpose()?;
        Ok(ContactSpec { queue, number, data, list, not_before_ms })
    }

    fn has_room(&self, count: usize) -> Result<(), ApiError> {
        let waiting = self.contacts.len() - self.finished_contacts.len();
        if waiting + count > CONTACTS {
            return Err(ApiError::new(
                503,
                "too_many_contacts",
                format!("at most {CONTACTS} contacts may wait"),
            ));
        }
        Ok(())
    }

    /// Ids are in the order in which contacts came, so that those of one import stay in theirs.
    pub(super) fn contact_id(&mut self, place: usize) -> ContactId {
        let random = self.random_id();
        ContactId(format!("{:011x}{place:05x}{}", self.now.unix_ms, &random[..16]))
    }

    /// `GET /contacts`, in the order in which they came.
    pub(super) fn list_contacts(&self, filter: &ContactFilter) -> Answer {
        let from = filter.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = |id: &&ContactId| {
            let contact = self.contacts.get(*id);
            filter.state.as_ref().is_none_or(|state| contact.is_some_and(|found| found.state.name() == state))
        };
        let (ids, more) = match &filter.list {
            Some(list) => {
                let listed = self.lists.get(list).ok_or_else(|| missing("list"))?;
                page(listed.range((from, Bound::Unbounded)).filter(wanted), filter.limit)?
            }
            None => {
                let ids = self.contacts.range((from, Bound::Unbounded)).map(|(id, _)| id);
                page(ids.filter(wanted), filter.limit)?
            }
        };
        let next = ids.last().filter(|_| more).map(|id| More::Next(id.0.clone()));
        let views = ids.into_iter().filter_map(|id| self.contacts.get(id)).map(Contact::view);
        Ok(ApiReply::Contacts(views.collect()).cut(next))
    }

    /// `GET /lists`.
    pub(super) fn show_lists(&self) -> Answer {
        let view = |(name, ids): (&String, &std::collections::BTreeSet<ContactId>)| ListView {
            list: name.clone(),
            contacts: ids.len(),
        };
        let left_off = self.lists.len().checked_sub(LISTING).filter(|left_off| *left_off > 0);
        let views = self.lists.iter().take(LISTING).map(view).collect();
        Ok(ApiReply::Lists(views).cut(left_off.map(More::LeftOff)))
    }

    /// `DELETE /contacts/{id}`: nobody will be shown it.
    pub(super) fn remove_contact(&mut self, id: &ContactId) -> Answer {
        let contact = self.contacts.get(id).ok_or_else(|| missing("contact"))?;
        if contact.is_over() {
            return Ok(ApiReply::Contact(Box::new(contact.view())));
        }
        if contact.state != State::Queued || contact.running.is_some() {
            return Err(ApiError::new(409, "in_progress", "an agent has the contact"));
        }
        let interaction = contact.interaction;
        self.record(Fact::ContactRemoved { id: id.clone() });
        if !self.mutated(Mutation::KeepRemoved) {
            self.finish_contact(id, true);
        }
        let interaction = interaction.filter(|_| !self.mutated(Mutation::KeepRemoved));
        if let Some(interaction) = interaction {
            self.give_up(interaction, Outcome::Withdrawn);
        }
        let contact = self.contacts.get(id).ok_or_else(|| missing("contact"))?;
        Ok(ApiReply::Contact(Box::new(contact.view())))
    }

    /// A finished contact that makes way for newer ones.
    pub(crate) fn forget_contact(&mut self, id: &ContactId) {
        let Some(contact) = self.contacts.remove(id) else { return };
        if let Some(ids) = self.lists.get_mut(&contact.spec.list) {
            ids.remove(id);
            if ids.is_empty() {
                self.lists.remove(&contact.spec.list);
            }
        }
    }
}

/// Milliseconds since 1970 UTC of a field of a request.
pub(super) fn moment(field: &str, time: &str) -> Result<u64, ApiError> {
    calendar::parse(time).ok_or_else(|| bad(field, "must be a time such as 2026-11-20T09:30:00Z"))
}

fn size(data: &Value) -> usize {
    if data.is_null() { 0 } else { data.to_string().len() }
}

/// Most faults of an import that are named.
const FAULTS: usize = 20;
