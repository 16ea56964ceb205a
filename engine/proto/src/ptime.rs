//! What descriptions say of packet times.

use crate::Media;
use crate::limits::{PTIME_MS, PTIME_STEP_MS};

/// What a description says of packet times (RFC 8866 sections 6.4 and 6.5), in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ptime {
    /// `a=ptime`: the packet time that its side would like to receive.
    pub wanted_ms: Option<u16>,
    /// `a=maxptime`: the longest that it takes.
    pub most_ms: Option<u16>,
}

impl Ptime {
    /// One that is wanted, if any, of whoever takes all others too.
    #[must_use]
    pub const fn wanted(wanted_ms: Option<u16>) -> Self {
        Self { wanted_ms, most_ms: None }
    }

    /// Lets what is made for a side last as it says, or as `media` has it where it says nothing: rounded down to what is made,
    /// and no longer than it takes. A limit beyond all that is made is left out.
    pub fn apply(self, media: &mut Media) {
        let most = self.most_ms.filter(|ms| *ms > 0).and_then(|ms| u8::try_from(ms).ok());
        let most = most.filter(|ms| ms <= PTIME_MS.end());
        let own = u16::from(media.ptime_ms);
        let wanted =
            self.wanted_ms.filter(|ms| *ms > 0).unwrap_or(own).min(u16::from(most.unwrap_or(u8::MAX)));
        let made = u8::try_from(wanted).unwrap_or(u8::MAX) / PTIME_STEP_MS * PTIME_STEP_MS;
        media.ptime_ms = made.clamp(*PTIME_MS.start(), *PTIME_MS.end());
        media.max_ptime_ms = most.map(|most| most.max(media.ptime_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(wanted_ms: Option<u16>, most_ms: Option<u16>) -> (u8, Option<u8>) {
        let mut media = Media { ptime_ms: 30, max_ptime_ms: Some(30), ..Media::default() };
        Ptime { wanted_ms, most_ms }.apply(&mut media);
        (media.ptime_ms, media.max_ptime_ms)
    }

    #[test]
    fn what_is_wanted_is_rounded_down_to_what_is_made() {
        let made = [1, 9, 10, 25, 40, 60, 61, 300, u16::MAX].map(|ms| applied(Some(ms), None));
        assert_eq!(made, [10, 10, 10, 20, 40, 60, 60, 60, 60].map(|ms| (ms, None)));
        assert_eq!((applied(None, None), applied(Some(0), Some(0))), ((30, None), (30, None)));
    }

    #[test]
    fn a_limit_counts_without_a_wish_too() {
        assert_eq!(applied(None, Some(20)), (20, Some(20)));
        assert_eq!(applied(None, Some(25)), (20, Some(25)));
        assert_eq!(applied(None, Some(40)), (30, Some(40)));
        assert_eq!(applied(Some(60), Some(40)), (40, Some(40)));
        assert_eq!(applied(Some(20), Some(5)), (10, Some(10)), "none are shorter");
        assert_eq!(applied(Some(20), Some(150)), (20, None), "it excludes nothing");
    }
}
