//! Open files: how many legs they are enough for, and who holds a leg's two sockets.

use offhook_uring::limits::{self, LimitError};

/// What the limit of open files comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// Legs in the engine at most.
    pub(crate) legs: u32,
    /// Legs on a worker at most.
    pub(crate) legs_per_worker: u32,
    /// Whether the process keeps a descriptor of each socket besides the ring's.
    pub(crate) keep_descriptors: bool,
}

impl Files {
    /// Raises the limit as far as it is needed and allowed.
    pub(crate) fn allow(legs: u32, workers: usize) -> (Self, Option<LimitError>) {
        let kept = Self { legs, legs_per_worker: legs, keep_descriptors: true };
        let Err(error) = limits::raise_nofile(wanted(legs)) else { return (kept, None) };
        let limit = match &error {
            LimitError::Hard { hard, .. } => limits::raise_nofile(*hard),
            LimitError::Os(_) => limits::raise_nofile(0),
        };
        let plan = Self::within(legs, workers, limit.unwrap_or(0), offhook_uring::holds_sockets_alone());
        (plan, Some(error))
    }

    /// What is possible with fewer open files than two for each leg.
    ///
    /// The limit counts descriptors, and bounds each ring's table of sockets, but not what lies in these tables.
    fn within(legs: u32, workers: usize, limit: u64, rings_hold_alone: bool) -> Self {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let with_descriptors = limit.saturating_sub(OTHER_FILES) / 2;
        let per_worker = limit.saturating_sub(OTHER_SLOTS) / 2;
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        let in_rings = per_worker.saturating_mul(workers);
        if rings_hold_alone && in_rings > with_descriptors {
            Self { legs: legs.min(in_rings), legs_per_worker: per_worker.min(legs), keep_descriptors: false }
        } else {
            let legs = legs.min(with_descriptors).max(1);
            Self { legs, legs_per_worker: legs, keep_descriptors: true }
        }
    }

    /// Size of each worker's table of sockets.
    pub(crate) fn table(&self) -> u32 {
        self.legs_per_worker * 2 + OTHER_SLOTS
    }
}

/// Descriptors needed for so many legs when the process keeps them: two each, and some for everything else.
pub(crate) fn wanted(legs: u32) -> u64 {
    u64::from(legs) * 2 + u64::from(OTHER_FILES)
}

const OTHER_FILES: u32 = 256;
/// Slots of a ring beside those of legs: for steering, and for legs that were on their way when it became full.
const OTHER_SLOTS: u32 = 66;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_are_enough_for_many_legs_on_several_rings() {
        let files = Files::within(20_000, 3, 20_000, true);
        let room = Files { legs: 20_000, legs_per_worker: 9_967, keep_descriptors: false };
        assert_eq!(files, room);
        assert_eq!(files.table(), 20_000, "no larger than the limit");
        assert_eq!(Files::within(20_000, 1, 20_000, true).legs, 9_967);
    }

    #[test]
    fn a_kernel_that_cannot_has_as_many_legs_as_descriptors_allow() {
        let files = Files::within(20_000, 3, 20_000, false);
        assert_eq!(files, Files { legs: 9_872, legs_per_worker: 9_872, keep_descriptors: true });
        assert_eq!(Files::within(20_000, 3, 0, false).legs, 1);
    }
}
