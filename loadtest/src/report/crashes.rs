//! What became of callbacks and agents in a run whose processes were killed in the middle.

use serde::Serialize;

use super::Check;
use super::checks::grouped;
use crate::plan::{Behaviour, Kind};
use crate::run::director::Director;

/// Accounts of such a run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Crashes {
    /// Callbacks that control took: it answered the request with their id.
    pub(crate) callbacks: u64,
    /// Of these, never done: the customer waited for the call, and no agent was ever there.
    pub(crate) lost: u64,
    /// Done more than once: an agent talked with the customer in two calls.
    pub(crate) twice: u64,
    /// Requests of which nobody knows whether control took them: it died before it answered.
    pub(crate) unknown: u64,
    /// Calls to agents' phones beyond each one's first.
    pub(crate) agents_redialled: u64,
}

/// Counts; called before the director is taken apart.
pub(crate) fn count(director: &Director) -> Crashes {
    let mut crashes = Crashes { agents_redialled: director.mishaps.redialled, ..Crashes::default() };
    let mut answered = vec![0_u64; director.orders.len()];
    let mut talked = vec![0_u64; director.orders.len()];
    for attempt in &director.attempts {
        answered[attempt.order] += u64::from(attempt.answered_ms.is_some());
        talked[attempt.order] += u64::from(attempt.agent.is_some());
    }
    for (index, order) in director.orders.iter().enumerate() {
        if order.kind != Kind::Callback {
            continue;
        }
        if order.id.is_none() {
            crashes.unknown += u64::from(order.unanswered);
            continue;
        }
        crashes.callbacks += 1;
        let done = match order.behaviour {
            Behaviour::Talk { .. } => talked[index] > 0,
            // Who hangs up at once may do so before an agent is heard.
            Behaviour::EarlyHangup { .. } => answered[index] > 0,
            Behaviour::Busy | Behaviour::NoAnswer | Behaviour::Decline { .. } | Behaviour::NotInUse => {
                order.attempts > 0
            }
        };
        crashes.lost += u64::from(!done);
        crashes.twice += u64::from(talked[index] > 1);
    }
    crashes
}

/// What has to hold. Packets are lost while a process is dead; nothing else may be.
pub(crate) fn checks(crashes: &Crashes, legs_dropped: u64) -> Vec<Check> {
    let none = |name, count: u64, of: &str| Check {
        name,
        passed: count == 0,
        binding: true,
        found: format!("{} {of}", grouped(count)),
    };
    let all = format!("of {} ({} unanswered requests)", grouped(crashes.callbacks), crashes.unknown);
    vec![
        none("callbacks lost", crashes.lost, &all),
        none("callbacks done twice", crashes.twice, &all),
        none("agents redialled", crashes.agents_redialled, ""),
        none("agents' legs dropped", legs_dropped, ""),
        Check {
            name: "there were callbacks to judge",
            passed: crashes.callbacks > 0,
            binding: true,
            found: grouped(crashes.callbacks),
        },
    ]
}
