//! How long a customer will probably wait (CB-07).

use std::collections::{BTreeMap, VecDeque};

/// What an estimate follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Place in the queue, from 1.
    pub position: u64,
    /// Agents of the queue who could take a customer now.
    pub agents_ready: u64,
    /// Agents of the queue who are at work, ready or not.
    pub agents_staffed: u64,
    /// Mean time that an agent has with one customer, wrap-up included, in milliseconds.
    pub handling_ms: u64,
}

/// Milliseconds until the customer at this place gets an agent; none while no agent is at work.
///
/// Agents who are ready take those in front at once; from then on one customer leaves the queue every handling time
/// divided by the agents at work. Agents who serve several queues count in each, so that it may be too low there.
pub fn wait_ms(load: Load) -> Option<u64> {
    let behind = load.position.saturating_sub(load.agents_ready);
    if behind == 0 {
        return Some(0);
    }
    behind.saturating_mul(load.handling_ms).checked_div(load.agents_staffed)
}

/// How long agents have been with their customers of late, by queue.
#[derive(Debug, Default)]
pub(crate) struct Handling {
    /// Interactions that agents have now, with the moment at which they took them, in microseconds on our clock.
    taken_us: BTreeMap<u64, u64>,
    recent_ms: BTreeMap<String, VecDeque<u64>>,
}

impl Handling {
    /// An agent has taken an interaction.
    pub(crate) fn start(&mut self, interaction: u64, now_us: u64) {
        self.taken_us.insert(interaction, now_us);
    }

    /// The agent is rid of it, save for `wrap_up_ms`. Only conversations count.
    pub(crate) fn end(&mut self, interaction: u64, queue: &str, now_us: u64, wrap_up_ms: u64, talked: bool) {
        let Some(taken_us) = self.taken_us.remove(&interaction) else { return };
        if talked {
            self.learn(queue, now_us.saturating_sub(taken_us) / 1_000 + wrap_up_ms);
        }
    }

    /// An agent had a customer for so long, wrap-up included.
    pub(crate) fn learn(&mut self, queue: &str, ms: u64) {
        let recent = self.recent_ms.entry(queue.to_owned()).or_default();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(ms);
    }

    /// Mean of the last hundred conversations of a queue, in milliseconds; 180,000 before the first.
    pub(crate) fn mean_ms(&self, queue: &str) -> u64 {
        let Some(recent) = self.recent_ms.get(queue) else { return FIRST_MS };
        let sum = recent.iter().fold(0_u64, |sum, ms| sum.saturating_add(*ms));
        sum.checked_div(recent.len() as u64).unwrap_or(FIRST_MS)
    }
}

/// Conversations that the mean is made of.
const RECENT: usize = 100;
/// What a conversation is taken to last before there was one.
const FIRST_MS: u64 = 180_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_s(position: u64, agents_ready: u64, agents_staffed: u64) -> Option<u64> {
        let load = Load { position, agents_ready, agents_staffed, handling_ms: 120_000 };
        wait_ms(load).map(|ms| ms / 1_000)
    }

    #[test]
    fn cb_07_the_wait_grows_with_the_place_and_shrinks_with_the_agents() {
        assert_eq!(wait_s(1, 1, 1), Some(0), "an agent is ready");
        assert_eq!(wait_s(1, 0, 4), Some(30));
        assert_eq!(wait_s(8, 0, 4), Some(240));
        assert_eq!(wait_s(8, 2, 4), Some(180), "two of them go at once");
        assert_eq!(wait_s(8, 0, 8), Some(120));
        assert_eq!(wait_s(1, 0, 0), None, "nobody is at work");
        assert_eq!(wait_s(u64::MAX, 0, 1), Some(u64::MAX / 1_000));
    }

    #[test]
    fn cb_07_the_handling_time_is_the_mean_of_the_last_conversations() {
        let mut handling = Handling::default();
        assert_eq!(handling.mean_ms("a"), FIRST_MS);
        handling.start(1, 0);
        handling.end(1, "a", 60_000_000, 5_000, true);
        assert_eq!(handling.mean_ms("a"), 65_000);
        handling.start(2, 0);
        handling.end(2, "a", 9_000_000, 0, false);
        assert_eq!(handling.mean_ms("a"), 65_000, "nobody talked");
        for id in 3..=102 {
            handling.start(id, 0);
            handling.end(id, "a", 10_000_000, 0, true);
        }
        assert_eq!(handling.mean_ms("a"), 10_000);
        assert_eq!(handling.mean_ms("b"), FIRST_MS);
        assert!(handling.taken_us.is_empty());
    }
}
