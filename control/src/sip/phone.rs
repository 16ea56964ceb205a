//! A phone that was called by its registration: known again by that when it has come back over another connection, as one over TCP
//! does after each of its network's pauses (compare RFC 5626).

use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::registrar::Binding;

/// By what a phone is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phone {
    pub(crate) aor: String,
    contact: String,
    instance: Option<String>,
    call_id: String,
    /// Where it was registered from when it was looked for last.
    pub(crate) flow: Flow,
}

impl Phone {
    pub(crate) fn of(aor: &str, binding: &Binding) -> Self {
        Self {
            aor: aor.to_owned(),
            contact: binding.uri.clone(),
            instance: binding.instance.clone(),
            call_id: binding.call_id.clone(),
            flow: binding.flow,
        }
    }

    /// Whether a binding of its address of record is its own: by its Contact, its instance (RFC 5626 section 4.1), or the Call-ID that
    /// it keeps for all of its REGISTERs (RFC 3261 section 10.2).
    pub(crate) fn is_at(&self, binding: &Binding) -> bool {
        self.contact == binding.uri
            || self.call_id == binding.call_id
            || (self.instance.is_some() && self.instance == binding.instance)
    }
}
