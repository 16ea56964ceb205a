//! Whom nobody hears: `block media`, `silence media` and `block DTMF`.

use offhook_proto::{Command, Idle, LegUpdate};

use crate::call::Call;
use crate::end::{End, splice};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::mesh::take_part;
use crate::party::{Seat, Unnamed};
use crate::root::Ng;
use crate::transaction::Plan;

/// What keeps a party from being heard: rtpengine has a switch for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mute {
    /// Nothing is sent in its place.
    pub(crate) blocked: bool,
    /// Silence is.
    pub(crate) silenced: bool,
}

impl Mute {
    pub(crate) fn is_on(self) -> bool {
        self.blocked || self.silenced
    }
}

impl Ng {
    /// Nobody hears the parties, and nothing is sent instead.
    pub(crate) fn block_media(&mut self, flags: &Flags<'_>, blocked: bool) -> Result<Plan, Failure> {
        self.mute(flags, |mute| mute.blocked = blocked, None)
    }

    /// Whoever hears the parties is sent silence in their place.
    pub(crate) fn silence_media(&mut self, flags: &Flags<'_>, silenced: bool) -> Result<Plan, Failure> {
        let idle = if silenced { Idle::Silence } else { Idle::None };
        self.mute(flags, |mute| mute.silenced = silenced, Some(idle))
    }

    /// Turns a switch of the parties, and the gates with it; `idle` is what their hearers are sent while these are closed.
    fn mute(
        &mut self,
        flags: &Flags<'_>,
        turn: impl Fn(&mut Mute),
        idle: Option<Idle>,
    ) -> Result<Plan, Failure> {
        let (_, seats) = self.seats(flags, Unnamed::Everybody)?;
        let call_id = flags.call_id()?;
        if let Some(call) = self.calls.get_mut(call_id) {
            for seat in &seats {
                call.mute_mut(*seat).into_iter().for_each(&turn);
            }
        }
        let mut commands = Vec::new();
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        for seat in &seats {
            let mute = call.is_mute(*seat);
            for (leg, partner) in self.partners(call, *seat) {
                let Some((other, other_mute)) = partner else { continue };
                commands.extend(idle.map(|idle| sent_meanwhile(&other, idle)));
                commands.push(splice([&leg, &other], [mute, other_mute]));
            }
            let parts = call.ends(*seat).into_iter().filter_map(|end| Some((end, end.takes_part.as_ref()?)));
            commands.extend(parts.map(|(end, pair)| take_part(&end.leg, pair, mute)));
        }
        Ok(Plan::checked(commands))
    }

    /// What the parties press is heard by nobody, as telephone-event or as tone.
    pub(crate) fn block_dtmf(&mut self, flags: &Flags<'_>, blocked: bool) -> Result<Plan, Failure> {
        let (_, seats) = self.seats(flags, Unnamed::Everybody)?;
        let call = self.calls.get_mut(flags.call_id()?).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let mut commands = Vec::new();
        for seat in seats {
            commands.extend(call.ends_of_mut(seat).into_iter().map(|end| block_keys(end, blocked)));
        }
        Ok(Plan::checked(commands))
    }
}

impl Call {
    /// Whether nobody may hear a party.
    pub(crate) fn is_mute(&self, seat: Seat) -> bool {
        let mute = match seat {
            Seat::Side(number, side) => self.find(number).map(|dialogue| dialogue.sides[side].mute),
            Seat::Solo(at) => self.solos.get(at).map(|solo| solo.mute),
        };
        mute.unwrap_or_default().is_on()
    }

    fn mute_mut(&mut self, seat: Seat) -> Option<&mut Mute> {
        match seat {
            Seat::Side(number, side) => Some(&mut self.find_mut(number)?.sides[side].mute),
            Seat::Solo(at) => Some(&mut self.solos.get_mut(at)?.mute),
        }
    }
}

fn sent_meanwhile(leg: &str, idle: Idle) -> Command {
    Command::LegUpdate(LegUpdate { leg: leg.to_owned(), idle: Some(idle), ..LegUpdate::default() })
}

fn block_keys(end: &mut End, blocked: bool) -> Command {
    end.blocks_keys = blocked;
    let dtmf = end.wanted_dtmf(true);
    Command::LegUpdate(LegUpdate { leg: end.leg.clone(), dtmf, ..LegUpdate::default() })
}
