//! Listening to a leg: its packets are copied to a detection on their way to its partner, which delays none.

use offhook_proto::{DetectStart, Detected, Error, ErrorCode, EventBody};

use super::Worker;
use super::spread::turn;
use crate::LegIx;
use crate::leg::detect::{Detect, TICK_US, Told};
use crate::leg::timer::Timer;

impl Worker {
    /// Begins a detection in place of one that there is.
    pub(super) fn start_detection(&mut self, leg: LegIx, wanted: &DetectStart) -> Result<(), Error> {
        let (now, first_tick) = (self.now, turn(self.now + 1, leg, TICK_US));
        let heard = &mut self.legs[leg.index()];
        let detect = Detect::new(now, first_tick, heard.media.codec, wanted)
            .map_err(|error| Error::new(ErrorCode::System, format!("nothing can be detected: {error}")))?;
        heard.detect = Some(Box::new(detect));
        heard.deadlines.set(Timer::Detect, first_tick);
        self.rewind(leg);
        Ok(())
    }

    pub(super) fn stop_detection(&mut self, leg: LegIx) {
        let heard = &mut self.legs[leg.index()];
        heard.detect = None;
        heard.deadlines.stop(Timer::Detect);
    }

    pub(super) fn on_detect_tick(&mut self, leg: LegIx) {
        let now = self.now;
        let heard = &mut self.legs[leg.index()];
        let Some(detect) = &mut heard.detect else { return };
        let mut told = Vec::new();
        detect.tick(now, |it| told.push(it));
        let (next_tick, after_ms) = (detect.next_tick(), detect.age_ms(now));
        heard.deadlines.set(Timer::Detect, next_tick);
        for it in told {
            let leg = self.legs[leg.index()].name().to_owned();
            self.event(match it {
                Told::Finding(found) => EventBody::Detected(Detected {
                    leg,
                    kind: found.kind,
                    cause: found.cause,
                    after_ms,
                    frequency_hz: found.frequency_hz,
                    duration_ms: found.duration_ms,
                }),
                Told::Key { key, duration_ms } => EventBody::Dtmf { leg, digit: key, duration_ms },
            });
        }
    }
}
