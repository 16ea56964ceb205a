//! Whose call it is, for its record: the contact's id, numbers, and which way it counts.

use std::collections::BTreeMap;

use crate::call::Role;
use crate::core::Core;
use crate::record::{CallKind, CallSummary, Origin};
use crate::report::directions;

/// What a call's record says of its contact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    contact: Option<u64>,
    number: String,
    dnis: String,
    origin: Option<Box<Origin>>,
}

impl Line {
    /// Of a caller without an interaction.
    pub(crate) fn of_caller(contact: Option<u64>, number: &str, dnis: &str) -> Self {
        Self { contact, number: number.to_owned(), dnis: dnis.to_owned(), origin: None }
    }

    /// The fields of a call's record that follow from its contact; the others are empty.
    pub(crate) fn summary(&self, kind: CallKind) -> CallSummary {
        let (reported, billed) = directions(kind);
        let origin = self.origin.as_ref();
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        CallSummary {
            kind,
            number: String::new(),
            agent: None,
            started_ms: 0,
            rang_ms: None,
            answered_ms: None,
            answer_to_audio_ms: None,
            answer_to_open_ms: None,
            one_way: BTreeMap::new(),
            result: String::new(),
            data: serde_json::Map::new(),
            contact: self.contact,
            ani: text(&self.number),
            dnis: text(&self.dnis),
            original_ani: origin.map(|origin| origin.ani.clone()),
            original_dnis: origin.map(|origin| origin.dnis.clone()),
            reported: Some(reported),
            billed: Some(billed),
        }
    }
}

impl Core {
    /// The line of a new call with this role.
    pub(crate) fn line_of(&self, role: &Role) -> Line {
        let interaction = match role {
            Role::Customer(interaction) => self.interactions.get(interaction),
            Role::Agent(_) | Role::Orphan => None,
        };
        interaction.map_or_else(Line::default, |interaction| Line {
            contact: Some(interaction.contact),
            number: interaction.number.clone(),
            dnis: interaction.dnis.clone(),
            origin: interaction.origin.clone(),
        })
    }
}
