//! `mesh`: two or three parties of a call all hear each other.

use offhook_proto::{Command, Supervise, SuperviseMode, Unsplice};

use crate::call::Call;
use crate::end::{Joined, splice};
use crate::failure::Failure;
use crate::flags::{All, Flags};
use crate::party::Seat;
use crate::root::Ng;
use crate::transaction::Plan;

impl Ng {
    /// Joins the parties that are meant to each other; they leave the partners that they had. Two are a pair, and a third takes
    /// part in it as one whom both hear.
    pub(crate) fn mesh(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let mut ends = Vec::new();
        for seat in meshed(call, flags)? {
            let first = self.partners(call, seat).into_iter().next();
            let (leg, partner) = first.ok_or_else(|| Failure::error("No media to connect"))?;
            ends.push((leg, partner.is_some(), call.is_mute(seat)));
        }
        let [(one, _, one_blocked), (other, _, other_blocked), third @ ..] = &ends[..] else {
            return Err(Failure::error(TAKES));
        };
        let mut commands = Vec::new();
        if let [(leg, true, _)] = third {
            commands.push(Command::Unsplice(Unsplice { leg: leg.clone(), park: Vec::new() }));
        }
        commands.push(splice([one, other], [*one_blocked, *other_blocked]));
        let joined = |leg: &String| Joined { call_id: call_id.to_vec(), leg: leg.clone() };
        self.join(call_id, one, Some(&joined(other)));
        self.join(call_id, other, Some(&joined(one)));
        if let [(leg, _, blocked)] = third {
            self.join(call_id, leg, None);
            let pair = [one.clone(), other.clone()];
            commands.push(take_part(leg, &pair, *blocked));
            let call = self.calls.get_mut(call_id);
            if let Some(end) = call.and_then(|call| call.ends_mut().find(|end| end.leg == *leg)) {
                end.takes_part = Some(pair);
            }
        }
        Ok(Plan::checked(commands))
    }
}

/// Lets a leg hear a pair, and be heard by it unless it is blocked.
pub(crate) fn take_part(leg: &str, [of, with]: &[String; 2], blocked: bool) -> Command {
    let mode = if blocked { SuperviseMode::Listen } else { SuperviseMode::Barge };
    Command::Supervise(Supervise { leg: leg.to_owned(), of: of.clone(), with: Some(with.clone()), mode })
}

/// Who is meant: the parties of a list of tags, in its order, or all of the call.
fn meshed(call: &Call, flags: &Flags<'_>) -> Result<Vec<Seat>, Failure> {
    let of_tag = |tag: &str| {
        let mut seats = call.seats().filter(|seat| call.tag(*seat) == Some(tag.as_bytes()));
        seats.next().ok_or_else(|| Failure::error("From-tag given, but no such tag exists"))
    };
    let mut seats: Vec<Seat> = if flags.all() == Some(All::Parties) {
        call.seats().collect()
    } else {
        flags.tags().into_iter().map(of_tag).collect::<Result<_, _>>()?
    };
    let mut seen = Vec::new();
    seats.retain(|seat| {
        let is_new = !seen.contains(seat);
        seen.push(*seat);
        is_new
    });
    if (2..=3).contains(&seats.len()) { Ok(seats) } else { Err(Failure::error(TAKES)) }
}

const TAKES: &str = "A mesh takes two or three parties";
