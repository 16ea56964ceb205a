//! Which party of a call a request means: by tag, by label, by address, or all of them.

use std::net::IpAddr;

use crate::call::{Call, Section};
use crate::end::End;
use crate::failure::Failure;
use crate::flags::{All, Flags};
use crate::root::Ng;
use crate::sdp::Direction;
use crate::solo::Solo;

/// A party's place in its call, for as long as nobody comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// A side of the dialogue of this number.
    Side(u64, usize),
    /// Outside of offer and answer.
    Solo(usize),
}

/// What a request without a tag, label or address means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unnamed {
    Everybody,
    Refused,
}

/// Whom an end is joined to.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    pub(crate) leg: String,
    /// Whether the end is not to hear it.
    pub(crate) is_unheard: bool,
    /// Whether it is not to hear the end, for a reason other than that the end's party is mute.
    pub(crate) is_deaf: bool,
}

impl Partner {
    /// Another end as an end's partner, whose party is mute or not.
    fn of(end: &End, other: &End, is_mute: bool) -> Self {
        let (is_unheard, is_deaf) = (is_mute || end.unheard.is_on(), other.unheard.is_on());
        Self { leg: other.leg.clone(), is_unheard, is_deaf }
    }
}

impl Ng {
    /// The call and the seats that a request means.
    pub(crate) fn seats(&self, flags: &Flags<'_>, unnamed: Unnamed) -> Result<(&Call, Vec<Seat>), Failure> {
        let call_id = flags.call_id()?;
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let (tag, label) = (flags.name("from-tag")?, flags.name("label")?);
        let address: Option<IpAddr> = flags
            .name("address")?
            .map(|address| std::str::from_utf8(address).ok().and_then(|address| address.parse().ok()))
            .map(|address| address.ok_or_else(|| Failure::error("Failed to parse network address")))
            .transpose()?;
        if flags.all() == Some(All::Parties)
            || (unnamed == Unnamed::Everybody && (tag, label, address) == (None, None, None))
        {
            return Ok((call, call.seats().collect()));
        }
        let is_meant = |seat: &Seat| match (label, address, tag) {
            (Some(_), _, _) => call.label(*seat) == label,
            (None, Some(address), _) => call.is_at(*seat, address),
            (None, None, Some(_)) => call.tag(*seat) == tag,
            (None, None, None) => false,
        };
        let none = match (label, address, tag) {
            (Some(_), _, _) => "No monologue matching the given label",
            (None, Some(_), _) => "Failed to match address to any tag",
            (None, None, Some(_)) => "From-tag given, but no such tag exists",
            (None, None, None) => "No participant party specified",
        };
        // Who publishes is not played to.
        let hears = |seat: &Seat| unnamed == Unnamed::Everybody || !call.publishes(*seat);
        let seats: Vec<Seat> = call.speakers().filter(hears).filter(is_meant).collect();
        if seats.is_empty() { Err(Failure::error(none)) } else { Ok((call, seats)) }
    }

    /// Who a seat's ends are joined to just now: the other side of its dialogue, or whom it was connected to.
    pub(crate) fn partners(&self, call: &Call, seat: Seat) -> Vec<(String, Option<Partner>)> {
        let ends = call.ends(seat);
        let across = call.across(seat);
        let partner = |(at, end): (usize, &End)| {
            let other = across.get(at).cloned().flatten().or_else(|| self.connected(end));
            (end.leg.clone(), other)
        };
        ends.into_iter().enumerate().map(partner).collect()
    }

    /// Whom `connect` has joined an end to, where that one has not been joined to somebody else since.
    fn connected(&self, end: &End) -> Option<Partner> {
        let joined = end.joined.as_ref()?;
        let call = self.calls.get(&joined.call_id)?;
        let (other, mute) = call.seats().find_map(|seat| {
            let other = call.ends(seat).into_iter().find(|other| other.leg == joined.leg)?;
            Some((other, call.is_mute(seat)))
        })?;
        let mutual = other.joined.as_ref().is_some_and(|back| back.leg == end.leg);
        mutual.then(|| Partner::of(end, other, mute))
    }
}

impl Call {
    /// Everybody who is called: the sides of dialogues, and who was created.
    pub(crate) fn seats(&self) -> impl Iterator<Item = Seat> {
        self.speakers().filter(move |seat| !self.publishes(*seat))
    }

    /// Everybody who may be heard: who is called, and who publishes.
    pub(crate) fn speakers(&self) -> impl Iterator<Item = Seat> {
        let sides =
            self.dialogues.iter().flat_map(|dialogue| [0, 1].map(|side| Seat::Side(dialogue.number, side)));
        let speak = |(_, solo): &(usize, &Solo)| solo.direction != Direction::SendOnly;
        sides.chain(self.solos.iter().enumerate().filter(speak).map(|(at, _)| Seat::Solo(at)))
    }

    pub(crate) fn publishes(&self, seat: Seat) -> bool {
        let Seat::Solo(at) = seat else { return false };
        self.solos.get(at).is_some_and(|solo| solo.direction == Direction::RecvOnly)
    }

    /// Whether no recording is to have a party.
    pub(crate) fn is_unrecorded(&self, seat: Seat) -> bool {
        let Seat::Side(number, _) = seat else { return false };
        self.find(number).is_some_and(|dialogue| dialogue.unrecorded)
    }

    /// Whether any party has this tag.
    pub(crate) fn has_tag(&self, tag: &[u8]) -> bool {
        self.dialogues.iter().any(|dialogue| dialogue.side_of(tag).is_some()) || self.solo(tag).is_some()
    }

    pub(crate) fn tag(&self, seat: Seat) -> Option<&[u8]> {
        match seat {
            Seat::Side(number, side) => self.find(number)?.sides[side].tag.as_deref(),
            Seat::Solo(at) => self.solos.get(at).map(|solo| solo.tag.as_slice()),
        }
    }

    pub(crate) fn label(&self, seat: Seat) -> Option<&[u8]> {
        match seat {
            Seat::Side(number, side) => self.find(number)?.sides[side].label.as_deref(),
            Seat::Solo(at) => self.solos.get(at)?.label.as_deref(),
        }
    }

    /// Gives the one party that a request means the label of its `set-label`, if it has one.
    pub(crate) fn relabel(&mut self, seats: &[Seat], flags: &Flags<'_>) -> Result<(), Failure> {
        let ([seat], Some(label)) = (seats, flags.name("set-label")?) else { return Ok(()) };
        let named = match *seat {
            Seat::Side(number, side) => self.find_mut(number).map(|dialogue| &mut dialogue.sides[side].label),
            Seat::Solo(at) => self.solos.get_mut(at).map(|solo| &mut solo.label),
        };
        if let Some(named) = named {
            *named = Some(label.to_vec());
        }
        Ok(())
    }

    /// A party's ends, section by section.
    pub(crate) fn ends(&self, seat: Seat) -> Vec<&End> {
        match seat {
            Seat::Side(number, side) => {
                let sections =
                    self.find(number).into_iter().flat_map(|dialogue| dialogue.sections.iter().flatten());
                sections.map(|section| &section.ends[side]).collect()
            }
            Seat::Solo(at) => self.solos.get(at).into_iter().flat_map(Solo::open_ends).collect(),
        }
    }

    pub(crate) fn ends_of_mut(&mut self, seat: Seat) -> Vec<&mut End> {
        match seat {
            Seat::Side(number, side) => {
                let dialogue = self.find_mut(number).into_iter();
                let sections = dialogue.flat_map(|dialogue| dialogue.sections.iter_mut().flatten());
                sections.map(|section| &mut section.ends[side]).collect()
            }
            Seat::Solo(at) => self.solos.get_mut(at).into_iter().flat_map(Solo::ends_mut).collect(),
        }
    }

    /// The other side where a dialogue joins the two, by the place among the ends.
    fn across(&self, seat: Seat) -> Vec<Option<Partner>> {
        let Seat::Side(number, side) = seat else { return Vec::new() };
        let Some(dialogue) = self.find(number) else { return Vec::new() };
        let mute = self.is_mute(Seat::Side(number, 1 - side));
        let sections = dialogue.sections.iter().flatten();
        let partner = |section: &Section| Partner::of(&section.ends[side], &section.ends[1 - side], mute);
        sections.map(|section| section.spliced.then(|| partner(section))).collect()
    }

    /// Whether a party's media comes from an address, by its signalling.
    pub(crate) fn is_at(&self, seat: Seat, address: IpAddr) -> bool {
        let remotes = self.ends(seat).into_iter().filter_map(|end| end.signalled.remote.or(end.remote));
        remotes.into_iter().any(|remote| remote.rtp.ip() == address)
    }
}
