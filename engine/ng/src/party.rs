//! Which party of a call a request means: by tag, by label, by address, or all of them.

use std::net::IpAddr;

use offhook_proto::{Command, DtmfMode, LegUpdate};

use crate::call::{Call, Dialogue, End};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::root::Ng;
use crate::transaction::Plan;

/// A side of a dialogue: the dialogue's number and which side.
pub(crate) type Seat = (u64, usize);

/// What a request without a tag, label or address means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unnamed {
    Everybody,
    Refused,
}

impl Ng {
    /// The call and the seats that a request means.
    pub(crate) fn seats(
        &mut self,
        flags: &Flags<'_>,
        unnamed: Unnamed,
    ) -> Result<(&mut Call, Vec<Seat>), Failure> {
        let call_id = flags.call_id()?;
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let (tag, label) = (flags.name("from-tag")?, flags.name("label")?);
        let address: Option<IpAddr> = flags
            .name("address")?
            .map(|address| std::str::from_utf8(address).ok().and_then(|address| address.parse().ok()))
            .map(|address| address.ok_or_else(|| Failure::error("Failed to parse network address")))
            .transpose()?;
        if flags.has("all") || (unnamed == Unnamed::Everybody && (tag, label, address) == (None, None, None))
        {
            let everybody = seats_of(call, |_, _| true);
            return Ok((call, everybody));
        }
        let (seats, none) = match (label, address, tag) {
            (Some(label), _, _) => {
                let is =
                    |dialogue: &Dialogue, side: usize| dialogue.sides[side].label.as_deref() == Some(label);
                (seats_of(call, is), "No monologue matching the given label")
            }
            (None, Some(address), _) => {
                let is = |dialogue: &Dialogue, side: usize| dialogue.is_at(side, address);
                (seats_of(call, is), "Failed to match address to any tag")
            }
            (None, None, Some(tag)) => {
                let is = |dialogue: &Dialogue, side: usize| dialogue.sides[side].tag.as_deref() == Some(tag);
                (seats_of(call, is), "From-tag given, but no such tag exists")
            }
            (None, None, None) => (Vec::new(), "No participant party specified"),
        };
        if seats.is_empty() { Err(Failure::error(none)) } else { Ok((call, seats)) }
    }

    pub(crate) fn block_media(&mut self, flags: &Flags<'_>, blocked: bool) -> Result<Plan, Failure> {
        let (call, seats) = self.seats(flags, Unnamed::Everybody)?;
        let mut commands = Vec::new();
        for (number, side) in seats {
            let Some(dialogue) = call.find_mut(number) else { continue };
            dialogue.sides[side].blocked = blocked;
            let both = [dialogue.sides[0].blocked, dialogue.sides[1].blocked];
            let spliced = dialogue.sections.iter().flatten().filter(|section| section.spliced);
            commands.extend(spliced.map(|section| section.splice(both)));
        }
        Ok(Plan::checked(commands))
    }

    /// What the parties press is heard by nobody, as telephone-event or as tone.
    pub(crate) fn block_dtmf(&mut self, flags: &Flags<'_>, blocked: bool) -> Result<Plan, Failure> {
        let (call, seats) = self.seats(flags, Unnamed::Everybody)?;
        let mut commands = Vec::new();
        for (number, side) in seats {
            let sections =
                call.find(number).into_iter().flat_map(|dialogue| dialogue.sections.iter().flatten());
            commands.extend(sections.map(|section| block_keys(&section.ends[side], blocked)));
        }
        Ok(Plan::checked(commands))
    }
}

impl Dialogue {
    pub(crate) fn is_at(&self, side: usize, address: IpAddr) -> bool {
        let ends = self.sections.iter().flatten().map(|section| &section.ends[side]);
        let mut remotes = ends.filter_map(|end| end.signalled.remote.or(end.remote));
        remotes.any(|remote| remote.rtp.ip() == address)
    }
}

fn block_keys(end: &End, blocked: bool) -> Command {
    let dtmf = if blocked { DtmfMode::Block } else { DtmfMode::Pass };
    Command::LegUpdate(LegUpdate { leg: end.leg.clone(), dtmf: Some(dtmf), ..LegUpdate::default() })
}

fn seats_of(call: &Call, is: impl Fn(&Dialogue, usize) -> bool) -> Vec<Seat> {
    let sides = call.dialogues.iter().flat_map(|dialogue| [(dialogue, 0), (dialogue, 1)]);
    sides
        .filter(|(dialogue, side)| is(dialogue, *side))
        .map(|(dialogue, side)| (dialogue.number, side))
        .collect()
}
