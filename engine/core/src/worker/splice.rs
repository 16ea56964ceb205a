//! Joining and parting legs.

use offhook_proto::{Error, ErrorCode, SuperviseEnd};
use slab::Slab;

use super::Worker;
use crate::leg::{Awaits, Half, Leg};
use crate::limits::HELD_ALLOWANCE_US;
use crate::{LegId, LegIx, Time};

/// Which way audio goes, and from when its first packet is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gates {
    pub(super) a_hears_b: bool,
    pub(super) b_hears_a: bool,
    pub(super) replace: bool,
    pub(super) since: Time,
    /// Whether what came since then is still sent on.
    pub(super) replay: bool,
}

impl Worker {
    pub(super) fn splice(&mut self, a: LegIx, b: LegIx, gates: Gates) -> Result<(), Error> {
        if a == b {
            return Err(Error::new(ErrorCode::SameLeg, "a leg cannot be spliced to itself"));
        }
        if !gates.replace {
            self.check_free(a, b)?;
            self.check_free(b, a)?;
        }
        for (leg, wanted) in [(a, b), (b, a)] {
            if self.legs[leg.index()].supervises() {
                self.end_supervision(leg, SuperviseEnd::Replaced);
            }
            self.stop_listening(leg);
            if self.partner(leg).is_some_and(|partner| partner != wanted) {
                self.part(leg);
            }
            self.unpark(leg);
        }
        if self.partner(a).is_none() {
            self.totals.splices += 1;
            for leg in [a, b] {
                let joined = &mut self.legs[leg.index()];
                let totals = joined.receive.totals();
                joined.quality.begin_call(self.now, totals);
            }
        }
        self.set_half(a, b, gates.a_hears_b, &gates);
        self.set_half(b, a, gates.b_hears_a, &gates);
        self.watch_pair(a);
        Ok(())
    }

    /// Parts a leg from its partner, if it has one.
    pub(super) fn part(&mut self, leg: LegIx) {
        let Some(partner) = self.partner(leg) else { return };
        self.totals.splices -= 1;
        self.part_supervised(leg, partner);
        for leg in [leg, partner] {
            let parted = &mut self.legs[leg.index()];
            parted.splice = None;
            if parted.player.is_none() {
                parted.break_off();
            }
            if !parted.fresh {
                self.drop_held(leg, Time::NEVER);
            }
            self.plan_idle(leg);
            self.watch_pair(leg);
        }
    }

    /// Parts a leg and parks the named ones of the pair.
    pub(super) fn unsplice(&mut self, leg: LegIx, park: &[LegId]) -> Result<(), Error> {
        let partner = self.partner(leg);
        let mut parked = Vec::with_capacity(park.len());
        for id in park {
            match [Some(leg), partner].into_iter().flatten().find(|ix| self.legs[ix.index()].id() == *id) {
                Some(leg) => parked.push(leg),
                None => {
                    let reason = "park: only the leg itself and its partner can be parked with an unsplice";
                    return Err(Error::new(ErrorCode::BadValue, reason));
                }
            }
        }
        self.part(leg);
        for leg in parked {
            self.park(leg, crate::limits::KEEP_ONE_IN)?;
        }
        Ok(())
    }

    pub(super) fn partner(&self, leg: LegIx) -> Option<LegIx> {
        self.legs.get(leg.index()).and_then(|leg| leg.splice).map(|half| half.partner)
    }

    /// Refuses when a leg is joined to another than `wanted`.
    fn check_free(&self, leg: LegIx, wanted: LegIx) -> Result<(), Error> {
        if self.partner(leg).is_some_and(|partner| partner != wanted) || self.legs[leg.index()].supervises() {
            return Err(already_spliced(self.legs[leg.index()].name()));
        }
        Ok(())
    }

    /// Sets one leg's half. When its gate opens, starts the measurement and releases what is still to be heard.
    fn set_half(&mut self, leg: LegIx, partner: LegIx, hears: bool, gates: &Gates) {
        let before = self.legs[leg.index()].splice;
        if let Some(half) = before.filter(|half| half.hears == hears) {
            self.legs[leg.index()].splice = Some(Half { partner, ..half });
            if hears && gates.replay {
                self.measure_open_gate(leg, gates.since);
            }
            return self.plan_idle(leg);
        }
        let mut half = Half {
            partner,
            hears,
            awaits: None,
            replay_from: self.now + 1,
            keys_from: self.now,
            measured_from: gates.replay.then_some(gates.since),
            heard_at: None,
        };
        if hears {
            if gates.replay {
                half.replay_from = gates.since - HELD_ALLOWANCE_US;
                half.keys_from = half.replay_from;
            }
            // What is too old counts as dropped before the measurement looks at the drops.
            self.drop_held(partner, half.replay_from);
            let drops_before = self.legs[partner.index()].recent_drops.count_at(gates.since);
            half.awaits = Some(Awaits { since: gates.since, drops_before });
            self.legs[partner.index()].fresh = false;
        }
        let joined = &mut self.legs[leg.index()];
        if joined.player.is_none() {
            joined.break_off();
        }
        joined.splice = Some(half);
        self.plan_idle(leg);
        if hears {
            self.release(partner);
        }
    }
}

impl Worker {
    /// Measures a gate that has been open from a moment that only now is known: a callee who was heard ringing has answered.
    ///
    /// The same moment named again, by a request that was repeated, changes nothing.
    fn measure_open_gate(&mut self, leg: LegIx, since: Time) {
        let Some(mut half) = self.legs[leg.index()].splice else { return };
        let near = |from: Time| from.since(since).max(since.since(from)) < SAME_MOMENT_US;
        if half.measured_from.is_some_and(near) {
            return;
        }
        half.measured_from = Some(since);
        half.replay_from = since - HELD_ALLOWANCE_US;
        self.drop_held(half.partner, half.replay_from);
        let drops_before = self.legs[half.partner.index()].recent_drops.count_at(since);
        half.awaits = Some(Awaits { since, drops_before });
        self.legs[leg.index()].splice = Some(half);
        if let Some(heard_at) = half.heard_at.filter(|heard_at| *heard_at >= since) {
            self.on_first_audio(leg, heard_at);
        }
        self.release(half.partner);
    }
}

/// Two moments closer than this are one, measured twice.
const SAME_MOMENT_US: u64 = 100_000;

pub(super) fn already_spliced(name: &str) -> Error {
    Error::new(ErrorCode::AlreadySpliced, format!("leg {name} is spliced to another leg"))
}

/// Both legs of a splice: they live on one worker.
pub(super) fn both(legs: &mut Slab<Box<Leg>>, leg: LegIx, partner: LegIx) -> (&mut Leg, &mut Leg) {
    let (leg, partner) =
        legs.get2_mut(leg.index(), partner.index()).expect("both legs of a splice live on its worker");
    (leg, partner)
}
