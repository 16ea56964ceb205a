//! Parked legs: what the kernel's filter passes, and looks at phones that it may keep away altogether.
//!
//! One packet in so many shows that a phone is there as long as it sends all the time. One that leaves its silence out (Opus with
//! DTX: a packet each 400 ms) would be heard every 13 s. So a leg that was not heard for half of the time after which it counts as
//! silent is looked at without the filter, until so much comes again that the filter would do.

use offhook_proto::{Error, ErrorCode};

use super::Worker;
use crate::leg::park::{Look, Parked};
use crate::leg::report::Reports;
use crate::leg::timer::Timer;
use crate::{LegIx, Time, WorkerOutput};

impl Worker {
    pub(super) fn park(&mut self, leg: LegIx, keep_one_in: u16) -> Result<(), Error> {
        let parked = &mut self.legs[leg.index()];
        if parked.splice.is_some() || parked.supervises() || parked.listens_to.is_some() {
            return Err(Error::new(ErrorCode::AlreadySpliced, "a spliced leg cannot be parked"));
        }
        if parked.parked.is_none_or(|parked| parked.keep_one_in != keep_one_in) {
            parked.parked = Some(Parked { keep_one_in, look: None });
            parked.fresh = false;
            parked.watch_silence();
            self.rewind(leg);
            self.renew_filter(leg);
            self.drop_held(leg, Time::NEVER);
        }
        Ok(())
    }

    pub(super) fn unpark(&mut self, leg: LegIx) {
        let parked = &mut self.legs[leg.index()];
        if parked.parked.take().is_some() {
            parked.receive.on_unpark();
            // A conversation is reported on sooner than a parked leg.
            let soon = Reports::next(self.now, false, self.spread.next());
            if soon < parked.deadlines.of(Timer::Report) {
                parked.deadlines.set(Timer::Report, soon);
                self.rewind(leg);
            }
            self.output(WorkerOutput::Unpark { leg });
        }
    }

    /// Tells what a parked leg's filter passes, after a change.
    pub(super) fn renew_filter(&mut self, leg: LegIx) {
        let parked = &mut self.legs[leg.index()];
        if let Some(keep_one_in) = parked.parked.map(Parked::passes_one_in) {
            parked.receive.on_park(keep_one_in);
            let (telephone_event, rtcp_mux) = (parked.media.telephone_event, parked.rtcp_mux);
            self.output(WorkerOutput::Park { leg, keep_one_in, telephone_event, rtcp_mux });
        }
    }

    /// Looks at a parked leg without its filter, if it is time for that. Returns whether it was.
    pub(super) fn look_without_filter(&mut self, leg: LegIx) -> bool {
        let now = self.now;
        let doubted = &mut self.legs[leg.index()];
        if doubted.look_at() > now {
            return false;
        }
        let ends = doubted.silent_at().max(now.plus_ms(doubted.look_after_ms()));
        doubted.deadlines.set(Timer::Silence, ends.at_shared_tick());
        if let Some(parked) = &mut doubted.parked {
            parked.look = Some(Look::default());
        }
        self.renew_filter(leg);
        true
    }

    /// Takes note of a parked leg's packet: the filter does again once it would have passed two soon after each other.
    pub(super) fn on_parked_packet(&mut self, leg: LegIx, sequence: u16) {
        let now = self.now;
        let seen = &mut self.legs[leg.index()];
        let look_after_ms = seen.look_after_ms();
        let Some(parked) = &mut seen.parked else { return };
        let Some(look) = parked.look.as_mut().filter(|_| sequence.is_multiple_of(parked.keep_one_in)) else {
            return;
        };
        let before = look.passed_at.replace(now);
        if before.is_some_and(|before| before.plus_ms(look_after_ms) > now) {
            parked.look = None;
            self.renew_filter(leg);
        }
    }
}
