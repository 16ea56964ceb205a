//! Legs that leave a worker: for another, or for good.

use offhook_proto::{Error, PlayEnd, SuperviseEnd};

use super::Worker;
use super::splice::already_spliced;
use crate::leg::{Leaving, Leg};
use crate::{Disarmed, LegIx, OpId, Time, WorkerOutput, WorkerReport};

impl Worker {
    /// Ends the stay of a leg after [`WorkerOutput::Disarm`]: nothing more can come from its sockets. None when the leg was
    /// not leaving.
    pub fn handle_disarmed(&mut self, now: Time, leg: LegIx) -> Option<Disarmed> {
        self.now = now;
        let leaving = self.legs.get_mut(leg.index())?.leaving.take()?;
        let left = self.legs.remove(leg.index());
        self.wheel.set(leg.0, Time::NEVER);
        Some(match leaving {
            Leaving::Moves(op) => Disarmed::Moved(WorkerReport::Detached { op, leg: left }),
            Leaving::Ends(op) => {
                let info = Box::new(left.info(now, self.config.worker, None));
                Disarmed::Closed(WorkerReport::Closed { op, info })
            }
        })
    }

    pub(super) fn adopt(&mut self, leg: Box<Leg>) -> LegIx {
        let id = leg.id();
        self.totals.plays += u64::from(leg.player.is_some());
        let ix = LegIx(u32::try_from(self.legs.insert(leg)).expect("legs are limited far below 2^32"));
        self.by_id.insert(id, ix);
        self.output(WorkerOutput::Arm { leg: ix, id });
        self.rewind(ix);
        ix
    }

    pub(super) fn detach(&mut self, op: OpId, leg: LegIx, replace: bool) -> Result<(), Error> {
        if self.partner(leg).is_some() && !replace {
            return Err(already_spliced(self.legs[leg.index()].name()));
        }
        self.part(leg);
        self.end_supervision(leg, SuperviseEnd::Replaced);
        self.part_listeners(leg);
        self.totals.plays -= u64::from(self.legs[leg.index()].player.is_some());
        self.leave(leg, Leaving::Moves(op));
        Ok(())
    }

    pub(super) fn delete(&mut self, op: OpId, leg: LegIx) {
        self.part(leg);
        self.end_supervision(leg, SuperviseEnd::LegDeleted);
        self.part_listeners(leg);
        self.drop_held(leg, Time::NEVER);
        self.end_play(leg, PlayEnd::LegDeleted);
        self.end_recording(leg, true);
        self.say_goodbye(leg);
        self.leave(leg, Leaving::Ends(op));
    }

    fn leave(&mut self, leg: LegIx, leaving: Leaving) {
        let left = &mut self.legs[leg.index()];
        left.leaving = Some(leaving);
        let id = left.id();
        self.by_id.remove(&id);
        self.wheel.set(leg.0, Time::NEVER);
        self.output(WorkerOutput::Disarm { leg });
    }
}
