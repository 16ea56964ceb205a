//! Whether what a leg says is forwarded in the kernel.

use super::receive::{Receive, Totals};
use crate::Time;
use crate::kernel::Progress;
use crate::limits::{HANDOVER_DOUBLINGS, HANDOVER_LASTS_MS};

/// What a worker that has a path in the kernel knows of it, for one leg that speaks.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    /// Reception since which the leg is watched: its SSRC, none when nothing had come, and totals.
    seen: (Option<u32>, Totals),
    /// How often the time to the next look was doubled.
    doublings: u8,
    rule: Option<Installed>,
}

/// A rule that there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Installed {
    pub(crate) since: Time,
    /// What has been taken note of.
    pub(crate) known: Progress,
}

impl Handover {
    /// Begins to watch a leg: something about it, or about who hears it, is new.
    pub(crate) fn watch(&mut self, receive: &Receive) {
        self.doublings = 0;
        self.seen = (receive.ssrc(), receive.totals());
    }

    /// Whether so many packets of one stream have come while it was watched, with hardly one missing. Begins anew when too many
    /// are.
    pub(crate) fn is_settled(&mut self, receive: &Receive, packets: u64) -> bool {
        let (ssrc, totals) = (receive.ssrc(), receive.totals());
        let (seen_ssrc, seen) = self.seen;
        if (seen_ssrc.is_none() || ssrc == seen_ssrc) && totals.is_steady_since(&seen) {
            return totals.received - seen.received >= packets;
        }
        self.seen = (ssrc, totals);
        false
    }

    /// The time to the next look, by that between two.
    pub(crate) fn look_in_ms(&self, look_ms: u64) -> u64 {
        look_ms << self.doublings
    }

    /// The rule that there is.
    pub(crate) fn installed(&self) -> Option<&Installed> {
        self.rule.as_ref()
    }

    /// Takes note of a new rule.
    pub(crate) fn on_installed(&mut self, now: Time) {
        self.rule = Some(Installed { since: now, known: Progress::default() });
    }

    /// Takes note of progress. Returns how many packets and bytes are new; none when nothing is, not even where the last one led.
    pub(crate) fn on_progress(&mut self, progress: &Progress) -> Option<(u64, u64)> {
        let rule = self.rule.as_mut().filter(|rule| progress.packets > 0 && rule.known != *progress)?;
        let known = std::mem::replace(&mut rule.known, *progress);
        Some((
            progress.packets.saturating_sub(known.packets),
            progress.payload_bytes.saturating_sub(known.payload_bytes),
        ))
    }

    /// Takes note that the rule is gone.
    pub(crate) fn on_withdrawn(&mut self) {
        self.rule = None;
    }

    /// Looks the later the more often a rule has not lasted.
    pub(crate) fn be_patient(&mut self, now: Time, since: Time, receive: &Receive) {
        let lasted = now.since(since) >= HANDOVER_LASTS_MS * 1_000;
        self.doublings = if lasted { 0 } else { (self.doublings + 1).min(HANDOVER_DOUBLINGS) };
        self.seen = (receive.ssrc(), receive.totals());
    }
}
