//! When a leg's latest packets were dropped: for telling a controller what a splice came too late for.

use crate::Time;

/// How many drops are remembered.
const REMEMBERED: usize = 16;

/// The latest drops of a leg, and how many there were in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentDrops {
    at: [Time; REMEMBERED],
    count: u64,
}

impl RecentDrops {
    pub(crate) fn on_drop(&mut self, now: Time) {
        self.at[(self.count % REMEMBERED as u64) as usize] = now;
        self.count += 1;
    }

    /// Drops in all.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Drops in all at a moment: exact when it is no more than 16 drops ago, else as of the sixteenth.
    pub(crate) fn count_at(&self, moment: Time) -> u64 {
        let remembered = self.count.min(REMEMBERED as u64) as usize;
        self.count - self.at[..remembered].iter().filter(|&&at| at >= moment).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_since_a_moment_are_counted_up_to_sixteen() {
        let mut drops = RecentDrops::default();
        for ms in 0..100 {
            drops.on_drop(Time::from_ms(ms));
        }
        assert_eq!(drops.count() - drops.count_at(Time::from_ms(95)), 5);
        assert_eq!(drops.count() - drops.count_at(Time(0)), 16);
        assert_eq!(RecentDrops::default().count_at(Time(0)), 0);
    }
}
