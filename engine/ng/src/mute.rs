//! Whom nobody hears: `block media`, `silence media` and `block DTMF`.

use offhook_proto::{Command, Idle, LegUpdate, Listen, ListenStop};

use crate::call::Call;
use crate::end::{End, splice};
use crate::failure::Failure;
use crate::flags::{All, Flags};
use crate::mesh::take_part;
use crate::party::{Seat, Unnamed};
use crate::root::Ng;
use crate::solo::Solo;
use crate::transaction::Plan;

/// What keeps a party from being heard: rtpengine has a switch for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mute {
    /// Nothing is sent in its place.
    pub(crate) blocked: bool,
    /// Silence is.
    pub(crate) silenced: bool,
    /// Nothing is, as `drop traffic` has it.
    pub(crate) dropped: bool,
}

impl Mute {
    pub(crate) fn is_on(self) -> bool {
        self.blocked || self.silenced || self.dropped
    }
}

/// Who is kept from hearing a party.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hearers {
    /// Everybody, from now on.
    All,
    /// One party.
    One(Seat),
    /// Whom the party is joined to, and whoever has subscribed to it.
    Now { partners: bool, subscribers: bool },
}

impl Ng {
    /// Nobody hears the parties, and nothing is sent instead.
    pub(crate) fn block_media(&mut self, flags: &Flags<'_>, blocked: bool) -> Result<Plan, Failure> {
        self.mute(flags, blocked, |mute| mute.blocked = blocked, None)
    }

    /// Whoever hears the parties is sent silence in their place.
    pub(crate) fn silence_media(&mut self, flags: &Flags<'_>, silenced: bool) -> Result<Plan, Failure> {
        let idle = if silenced { Idle::Silence } else { Idle::None };
        self.mute(flags, silenced, |mute| mute.silenced = silenced, Some(idle))
    }

    /// Turns a switch of the whole call, of parties or of single flows, and the gates with it; `idle` is what hearers are sent while
    /// these are closed.
    fn mute(
        &mut self,
        flags: &Flags<'_>,
        on: bool,
        turn: impl Fn(&mut Mute),
        idle: Option<Idle>,
    ) -> Result<Plan, Failure> {
        let (_, seats) = self.seats(flags, Unnamed::Everybody)?;
        let call_id = flags.call_id()?;
        let all = flags.all() == Some(All::Parties);
        let whole = all || !flags.names_party();
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error(UNKNOWN))?;
        let hearers = if whole { Hearers::All } else { hearers(call, flags)? };
        let seats = if whole { call.speakers().collect() } else { seats };
        let flows = self.flows(call, &seats, hearers);
        if flows.is_empty() && hearers != Hearers::All {
            return Err(Failure::error("No media flow from the one party to the other"));
        }
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error(UNKNOWN))?;
        match hearers {
            Hearers::All if whole => {
                turn(&mut call.mute);
                if all && !on {
                    call.all_mutes().for_each(&turn);
                }
            }
            Hearers::All => {
                for seat in &seats {
                    call.mute_mut(*seat).into_iter().for_each(&turn);
                }
            }
            Hearers::One(_) | Hearers::Now { .. } => {
                let ends = call.ends_mut().filter(|end| flows.contains(&end.leg));
                ends.for_each(|end| turn(&mut end.unheard));
            }
        }
        call.relabel(&seats, flags)?;
        let mut commands = Vec::new();
        let sent = |idle: Idle| flows.iter().map(move |leg| sent_meanwhile(leg, idle));
        commands.extend(idle.into_iter().flat_map(sent));
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error(UNKNOWN))?;
        commands.extend(self.gates(call, &seats));
        Ok(Plan::checked(commands))
    }

    /// The legs that hear parties, of those who are meant.
    fn flows(&self, call: &Call, seats: &[Seat], hearers: Hearers) -> Vec<String> {
        let mut flows = Vec::new();
        for seat in seats {
            let partners =
                self.partners(call, *seat).into_iter().filter_map(|(_, partner)| Some(partner?.leg));
            let subscribers = call.subscribers(*seat).into_iter().map(|(end, _)| end.leg.clone());
            match hearers {
                Hearers::All => flows.extend(partners.chain(subscribers)),
                Hearers::One(hearer) => {
                    let of_hearer = call.ends(hearer);
                    let is_meant = |leg: &String| of_hearer.iter().any(|end| end.leg == *leg);
                    flows.extend(partners.chain(subscribers).filter(is_meant));
                }
                Hearers::Now { partners: joined, subscribers: listening } => {
                    flows.extend(partners.filter(|_| joined));
                    flows.extend(subscribers.filter(|_| listening));
                }
            }
        }
        flows
    }

    /// What has each party heard by whoever is to hear it, and by nobody else.
    fn gates(&self, call: &Call, seats: &[Seat]) -> Vec<Command> {
        let mut commands = Vec::new();
        for seat in seats {
            let mute = call.is_mute(*seat);
            for (leg, partner) in self.partners(call, *seat) {
                let Some(partner) = partner else { continue };
                commands.push(splice([&leg, &partner.leg], [mute || partner.is_deaf, partner.is_unheard]));
            }
            let parts = call.ends(*seat).into_iter().filter_map(|end| Some((end, end.takes_part.as_ref()?)));
            commands.extend(parts.map(|(end, pair)| take_part(&end.leg, pair, mute)));
            commands.extend(call.copies(*seat));
        }
        commands
    }

    /// The same for all parties of a call.
    pub(crate) fn gates_of_all(&self, call_id: &[u8]) -> Vec<Command> {
        let Some(call) = self.calls.get(call_id) else { return Vec::new() };
        self.gates(call, &call.speakers().collect::<Vec<_>>())
    }

    /// What the parties press is heard by nobody, as telephone-event or as tone.
    pub(crate) fn block_dtmf(&mut self, flags: &Flags<'_>, blocked: bool) -> Result<Plan, Failure> {
        let blocked = blocked && flags.blocks_keys()?;
        let (_, seats) = self.seats(flags, Unnamed::Everybody)?;
        let call = self.calls.get_mut(flags.call_id()?).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        call.relabel(&seats, flags)?;
        let mut commands = Vec::new();
        for seat in seats {
            commands.extend(call.ends_of_mut(seat).into_iter().map(|end| block_keys(end, blocked)));
        }
        Ok(Plan::checked(commands))
    }
}

/// Who is not to hear a party that a request names: the party of `to-tag` or `to-label`, or those of `all`.
fn hearers(call: &Call, flags: &Flags<'_>) -> Result<Hearers, Failure> {
    let (tag, label) = (flags.name("to-tag")?, flags.name("to-label")?);
    if (tag, label) != (None, None) {
        let is_meant = |seat: &Seat| match label {
            Some(_) => call.label(*seat) == label,
            None => call.tag(*seat) == tag,
        };
        let found = call.hearers().find(is_meant);
        return found.map(Hearers::One).ok_or_else(|| Failure::error("To-tag given, but no such tag exists"));
    }
    Ok(match flags.all() {
        Some(All::Flows) => Hearers::Now { partners: true, subscribers: true },
        Some(All::Partners) => Hearers::Now { partners: true, subscribers: false },
        Some(All::Subscribers) => Hearers::Now { partners: false, subscribers: true },
        Some(All::Parties) | None => Hearers::All,
    })
}

impl Call {
    /// Whether nobody may hear a party.
    pub(crate) fn is_mute(&self, seat: Seat) -> bool {
        let mute = match seat {
            Seat::Side(number, side) => self.find(number).map(|dialogue| dialogue.sides[side].mute),
            Seat::Solo(at) => self.solos.get(at).map(|solo| solo.mute),
        };
        self.mute.is_on() || mute.unwrap_or_default().is_on()
    }

    /// Every switch but that of the whole call.
    fn all_mutes(&mut self) -> impl Iterator<Item = &mut Mute> {
        let dialogues = self.dialogues.iter_mut().flat_map(|dialogue| {
            let sections = dialogue.sections.iter_mut().flatten();
            let ends = sections.flat_map(|section| &mut section.ends).map(|end| &mut end.unheard);
            dialogue.sides.iter_mut().map(|side| &mut side.mute).chain(ends)
        });
        dialogues.chain(self.solos.iter_mut().flat_map(|solo| {
            let ends = solo.lines.iter_mut().filter_map(|line| line.end.as_mut());
            std::iter::once(&mut solo.mute).chain(ends.map(|end| &mut end.unheard))
        }))
    }

    /// Everybody who may hear a party.
    fn hearers(&self) -> impl Iterator<Item = Seat> {
        let subscribers = (0..self.solos.len()).map(Seat::Solo);
        self.seats().filter(|seat| matches!(seat, Seat::Side(..))).chain(subscribers)
    }

    /// The ends of those who have subscribed to a party and answered, each with the leg that it hears.
    fn subscribers(&self, seat: Seat) -> Vec<(&End, &str)> {
        let lines =
            self.solos.iter().filter(|solo| solo.answered && !solo.inactive).flat_map(|solo| &solo.lines);
        let ends = self.ends(seat);
        let of_party = |of: &str| ends.iter().any(|end| end.leg == of);
        let pairs = lines.filter_map(|line| Some((line.end.as_ref()?, line.of.as_deref()?)));
        pairs.filter(|(_, of)| of_party(of)).collect()
    }

    /// What has one who has subscribed hear those who may be heard.
    pub(crate) fn copies_for(&self, solo: &Solo) -> Vec<Command> {
        let heard = self.speakers().flat_map(|seat| self.copies(seat));
        let is_meant = |command: &Command| match command {
            Command::Listen(Listen { leg, .. }) => solo.legs().any(|one| one == leg),
            _ => false,
        };
        heard.filter(is_meant).collect()
    }

    /// What has subscribers hear a copy of a party, or no longer.
    fn copies(&self, seat: Seat) -> Vec<Command> {
        let mute = self.is_mute(seat);
        let copy = |(end, of): (&End, &str)| {
            let leg = end.leg.clone();
            if mute || end.unheard.is_on() {
                Command::ListenStop(ListenStop { leg })
            } else {
                Command::Listen(Listen { leg, of: of.to_owned() })
            }
        };
        self.subscribers(seat).into_iter().map(copy).collect()
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

const UNKNOWN: &str = "Unknown call-ID";
