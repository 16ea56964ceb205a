//! Whether the trunk answers, as far as anybody asks it.

use crate::view::TrunkView;

/// What is known of the trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trunk {
    /// Nobody asks it: a dial will show.
    Unwatched,
    /// It has not been heard in this run.
    Unheard,
    /// It answers.
    Up,
    /// It does not, and why.
    Away(String),
}

impl Trunk {
    pub(crate) fn new(watched: bool) -> Self {
        if watched { Self::Unheard } else { Self::Unwatched }
    }

    /// What the shell found out: why it cannot be reached; none = it answers. False when that is nothing new.
    pub(crate) fn learn(&mut self, outage: Option<String>) -> bool {
        let now = outage.map_or(Self::Up, Self::Away);
        // Another reason for the same outage is kept, and is no other state.
        let changed = std::mem::discriminant(self) != std::mem::discriminant(&now);
        *self = now;
        changed
    }

    /// Whether customers may be dialled.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Unwatched | Self::Up => true,
            Self::Unheard | Self::Away(_) => false,
        }
    }

    pub(crate) fn view(&self) -> TrunkView {
        let (state, reason) = match self {
            Self::Unwatched => ("unwatched", None),
            Self::Unheard => ("unheard", None),
            Self::Up => ("up", None),
            Self::Away(reason) => ("away", Some(reason.clone())),
        };
        TrunkView { state: state.to_owned(), reason }
    }
}
