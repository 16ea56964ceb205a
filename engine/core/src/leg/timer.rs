//! A leg's deadlines, one per timer.

use crate::Time;

/// What a leg can have planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The next packet of what plays.
    Play,
    /// The next packet of idle sending.
    Idle,
    /// The next packet of a conversion.
    Convert,
    /// The next packet of a mix.
    Mix,
    /// A held key whose end may have been lost.
    Digit,
    /// No packet for too long.
    Silence,
    /// No audio for too long.
    OneWay,
    /// The next RTCP report.
    Report,
    /// The next samples that a detection listens to.
    Detect,
    /// The next look at whether the kernel can forward what it says.
    Handover,
}

impl Timer {
    const ALL: [Self; 10] = [
        Self::Play,
        Self::Idle,
        Self::Convert,
        Self::Mix,
        Self::Digit,
        Self::Silence,
        Self::OneWay,
        Self::Report,
        Self::Detect,
        Self::Handover,
    ];
}

/// One deadline per timer; [`Time::NEVER`] is off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines([Time; Timer::ALL.len()]);

impl Default for Deadlines {
    fn default() -> Self {
        Self([Time::NEVER; Timer::ALL.len()])
    }
}

impl Deadlines {
    /// Sets a timer.
    pub(crate) fn set(&mut self, timer: Timer, deadline: Time) {
        self.0[timer as usize] = deadline;
    }

    /// Stops a timer.
    pub(crate) fn stop(&mut self, timer: Timer) {
        self.set(timer, Time::NEVER);
    }

    /// When a timer is due.
    pub(crate) fn of(&self, timer: Timer) -> Time {
        self.0[timer as usize]
    }

    /// Whether a timer is off.
    pub(crate) fn is_off(&self, timer: Timer) -> bool {
        self.0[timer as usize] == Time::NEVER
    }

    /// The earliest of all.
    pub(crate) fn earliest(&self) -> Time {
        self.0.into_iter().min().unwrap_or(Time::NEVER)
    }

    /// Stops and returns the first timer that is due.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|&timer| self.0[timer as usize] <= now)?;
        self.stop(timer);
        Some(timer)
    }
}
