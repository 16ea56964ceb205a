//! The phones' passwords, as the registrar reads them: a copy of what the journal says.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use offhook_control_core::Record;
use offhook_control_core::record::Fact;

use crate::sip::Credentials;

/// Passwords by agent.
#[derive(Default)]
pub(crate) struct Passwords(RwLock<HashMap<String, String>>);

impl Passwords {
    /// Takes note of an agent that was saved; other records say nothing about passwords.
    pub(crate) fn note(&self, record: &Record) {
        let Fact::AgentSaved(profile) = &record.fact else { return };
        let mut passwords = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match &profile.password {
            Some(password) => passwords.insert(profile.id.0.clone(), password.clone()),
            None => passwords.remove(&profile.id.0),
        };
    }
}

impl Credentials for Passwords {
    fn password(&self, user: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(user).cloned()
    }
}
