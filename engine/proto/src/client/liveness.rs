//! Whether the engine is there, and whether it is still the same run of it.

use std::collections::VecDeque;

/// What a datagram from the engine says about its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// Nothing: it does not name the run.
    Unnamed,
    /// The first run seen.
    First,
    /// The run that is known.
    Same,
    /// The run that is known, after it was silent.
    Back,
    /// A new run.
    Restarted,
    /// A run that has ended: the datagram was long under way.
    Former,
}

/// Last sign of life, and the runs seen.
#[derive(Debug)]
pub(super) struct Liveness {
    instance: Option<String>,
    /// Runs that have ended, the latest last.
    former: VecDeque<String>,
    heard_us: u64,
    silent: bool,
}

impl Liveness {
    pub(super) fn new(now_us: u64) -> Self {
        Self { instance: None, former: VecDeque::new(), heard_us: now_us, silent: false }
    }

    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// The run before the present one; empty when there was none.
    pub(super) fn last_former(&self) -> &str {
        self.former.back().map_or("", String::as_str)
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn silent_at_us(&self, silent_after_us: u64) -> u64 {
        self.heard_us.saturating_add(silent_after_us)
    }

    pub(super) fn sight(&mut self, now_us: u64, instance: Option<&str>) -> Sighting {
        let Some(seen) = instance else {
            self.heard_us = self.heard_us.max(now_us);
            return Sighting::Unnamed;
        };
        if self.former.iter().any(|former| former == seen) {
            return Sighting::Former;
        }
        self.heard_us = self.heard_us.max(now_us);
        let was_silent = std::mem::take(&mut self.silent);
        match &self.instance {
            Some(known) if known == seen && was_silent => Sighting::Back,
            Some(known) if known == seen => Sighting::Same,
            Some(_) | None => match self.instance.replace(seen.to_owned()) {
                None => Sighting::First,
                Some(old) => {
                    self.former.push_back(old);
                    if self.former.len() > FORMER {
                        self.former.pop_front();
                    }
                    Sighting::Restarted
                }
            },
        }
    }

    /// Takes back so much time in which nothing could be heard.
    pub(super) fn excuse(&mut self, slept_us: u64) {
        self.heard_us = self.heard_us.saturating_add(slept_us);
    }

    /// True once, when nothing has been heard for too long.
    pub(super) fn fall_silent(&mut self, now_us: u64, silent_after_us: u64) -> bool {
        let falls = !self.silent && self.silent_at_us(silent_after_us) <= now_us;
        self.silent |= falls;
        falls
    }
}

/// Runs remembered, so that a datagram that was long under way does not bring one back.
const FORMER: usize = 8;
