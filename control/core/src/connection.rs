//! An agent's leg: called once, off hook for the working day.

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// No leg.
    Down,
    /// The phone is being called.
    Dialling,
    /// Answered; the PIN is spoken and awaited (PM-04).
    Validating,
    /// The agent hears that it is open (PC-04).
    Announcing,
    /// Open.
    Up,
    /// The dialog of an earlier run is being taken up.
    Restoring,
    /// Hung up by us; the end has not been reported.
    Closing,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Call the phone.
    Establish,
    /// It answered, and no PIN is asked.
    Answered,
    /// It answered, and a PIN is asked.
    AnsweredPin,
    /// The right PIN was typed.
    PinRight,
    /// The announcement ended.
    Announced,
    /// The dialog was taken up.
    Restored,
    /// Hang up.
    Close,
    /// The call is over.
    CallOver,
}

impl State {
    /// The state after an event; none when it fits nothing, which changes nothing.
    pub(crate) fn next(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Down, Event::Establish) => Some(Self::Dialling),
            (Self::Dialling, Event::Answered) => Some(Self::Announcing),
            (Self::Dialling, Event::AnsweredPin) => Some(Self::Validating),
            (Self::Validating, Event::PinRight) => Some(Self::Announcing),
            (Self::Announcing, Event::Announced) => Some(Self::Up),
            (Self::Restoring, Event::Restored) => Some(Self::Up),
            (
                Self::Dialling | Self::Validating | Self::Announcing | Self::Up | Self::Restoring,
                Event::Close,
            ) => Some(Self::Closing),
            (
                Self::Dialling
                | Self::Validating
                | Self::Announcing
                | Self::Up
                | Self::Restoring
                | Self::Closing,
                Event::CallOver,
            ) => Some(Self::Down),
            (
                Self::Down
                | Self::Dialling
                | Self::Validating
                | Self::Announcing
                | Self::Up
                | Self::Restoring
                | Self::Closing,
                Event::Establish
                | Event::Answered
                | Event::AnsweredPin
                | Event::PinRight
                | Event::Announced
                | Event::Restored
                | Event::Close
                | Event::CallOver,
            ) => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Dialling => "dialling",
            Self::Validating => "validating",
            Self::Announcing => "announcing",
            Self::Up => "up",
            Self::Restoring => "restoring",
            Self::Closing => "closing",
        }
    }

    pub(crate) const ALL: [Self; 7] = [
        Self::Down,
        Self::Dialling,
        Self::Validating,
        Self::Announcing,
        Self::Up,
        Self::Restoring,
        Self::Closing,
    ];
}

impl Event {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Establish => "establish",
            Self::Answered => "answered",
            Self::AnsweredPin => "answered_pin",
            Self::PinRight => "pin_right",
            Self::Announced => "announced",
            Self::Restored => "restored",
            Self::Close => "close",
            Self::CallOver => "call_over",
        }
    }

    pub(crate) const ALL: [Self; 8] = [
        Self::Establish,
        Self::Answered,
        Self::AnsweredPin,
        Self::PinRight,
        Self::Announced,
        Self::Restored,
        Self::Close,
        Self::CallOver,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_event_is_decided() {
        for state in State::ALL {
            for event in Event::ALL {
                let next = state.next(event).map_or("-", State::name);
                println!("connection {:<10} {:<12} -> {next}", state.name(), event.name());
            }
        }
    }

    #[test]
    fn pc_02_establish_dials_only_when_the_leg_is_down() {
        for state in State::ALL {
            let dials = state.next(Event::Establish) == Some(State::Dialling);
            assert_eq!(dials, state == State::Down);
        }
    }

    #[test]
    fn pm_04_a_leg_under_validation_opens_only_by_the_right_pin() {
        for event in Event::ALL {
            let opens = State::Validating.next(event) == Some(State::Announcing);
            assert_eq!(opens, event == Event::PinRight);
        }
    }
}
