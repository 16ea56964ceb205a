//! Everything that the director does later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::sip::CallKey;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Ten times a second: stages, progress, samples.
    Tick,
    /// The next call of a kind, by its number in the plan.
    NextCallback,
    NextPreview,
    NextInbound,
    /// A request that met nobody is made again.
    AskAgain(usize),
    StartAgent(usize),
    MakeAvailable(usize),
    LogOut(usize),
    AnswerPhone(usize, CallKey),
    Register(usize),
    /// The agent decides about an offer.
    Decide(usize, String),
    /// The wrap-up time of a status epoch is over.
    WrapUpDone(usize, u32),
    /// The customer picks up, or refuses.
    CustomerActs(usize),
    /// The conversation has lasted long enough.
    TalkOver(usize),
    /// The customer will not wait any longer for an agent or for the agent to hang up.
    PatienceOver(usize),
    /// The inbound caller presses what a menu asks for.
    PressMenuKeys(usize),
    /// Both sides of a conversation press keys.
    PressKeys(usize),
    CloseSockets(usize),
}

/// A heap of timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64, Timer)>>,
    serial: u64,
}

impl Timers {
    /// Sets a timer; equal times run in the order in which they were set.
    pub(crate) fn set(&mut self, due_ms: u64, timer: Timer) {
        self.serial += 1;
        self.heap.push(Reverse((due_ms, self.serial, timer)));
    }

    /// The earliest time set.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due_ms, ..))| *due_ms)
    }

    /// The next timer that is due.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Option<Timer> {
        self.deadline_ms().filter(|&due_ms| due_ms <= now_ms)?;
        self.heap.pop().map(|Reverse((_, _, timer))| timer)
    }
}
