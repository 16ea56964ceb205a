//! `connect`: media of two parties, of different dialogues or calls or of none, is joined without a further offer and answer.

use crate::end::{Joined, splice};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::mute::Mute;
use crate::root::Ng;
use crate::transaction::Plan;
use crate::value::Dict;

impl Ng {
    /// Joins `from-tag` of `call-id` to `to-tag` of `to-call-id` (or of the same call). Both leave the partners that they had.
    pub(crate) fn connect(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let from = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        let to = flags.name("to-tag")?.ok_or_else(|| Failure::error("No to-tag in message"))?;
        let call_id = flags.call_id()?;
        let other_id = dict.bytes("to-call-id").filter(|id| !id.is_empty()).unwrap_or(call_id);
        // Both are found before either is changed.
        let (leg, blocked) = self.first_end(call_id, from, "From-tag given, but no such tag exists")?;
        let (other, other_blocked) = self.first_end(other_id, to, "To-tag given, but no such tag exists")?;
        if leg == other {
            return Err(Failure::error("Trying to connect a party to itself"));
        }
        let command = splice([&leg, &other], [blocked, other_blocked]);
        self.join(call_id, &leg, Some(&Joined { call_id: other_id.to_vec(), leg: other.clone() }));
        self.join(other_id, &other, Some(&Joined { call_id: call_id.to_vec(), leg }));
        Ok(Plan::checked(vec![command]))
    }

    /// The leg of a party's first section, and whether the party is blocked.
    fn first_end(&self, call_id: &[u8], tag: &[u8], none: &str) -> Result<(String, bool), Failure> {
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let mut of_tag = call.seats().filter(|seat| call.tag(*seat) == Some(tag));
        let first = of_tag.find_map(|seat| {
            let leg = call.ends(seat).first()?.leg.clone();
            Some((leg, call.is_mute(seat)))
        });
        first.ok_or_else(|| Failure::error(none))
    }

    /// Notes whom a leg is joined to. Its dialogue has to be answered anew when its sides are to hear each other again.
    pub(crate) fn join(&mut self, call_id: &[u8], leg: &str, joined: Option<&Joined>) {
        let Some(call) = self.calls.get_mut(call_id) else { return };
        call.signalled = self.now;
        for section in call.dialogues.iter_mut().flat_map(|dialogue| dialogue.sections.iter_mut().flatten()) {
            section.spliced &= section.ends.iter().all(|end| end.leg != leg);
        }
        for end in call.ends_mut().filter(|end| end.leg == leg) {
            (end.joined, end.takes_part, end.unheard) = (joined.cloned(), None, Mute::default());
        }
    }
}
