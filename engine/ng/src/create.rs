//! `create` and `create answer`: a party that nobody has offered to, called by us.

use offhook_proto::Ptime;
use rand_chacha::rand_core::Rng as _;

use crate::end::{End, leg_name};
use crate::failure::Failure;
use crate::flags::Flags;
use crate::root::Ng;
use crate::sdp::{Choice, Direction, choose};
use crate::solo::{Line, Opening};
use crate::transaction::{Plan, Then};

impl Ng {
    /// Opens a leg for a party of this tag, and offers it; names are made up where none are given. A party that is there
    /// already is offered what it has.
    pub(crate) fn create(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = self.name_or_new(flags, "call-id")?;
        let tag = self.name_or_new(flags, "from-tag")?;
        flags.check()?;
        let mut opening = Opening { call_id: call_id.clone(), tag, from: Vec::new(), is_new: false };
        if let Some(call) = self.calls.get_mut(&call_id) {
            if let Some(solo) =
                call.solo_mut(&opening.tag).filter(|solo| solo.direction == Direction::SendRecv)
            {
                solo.ends = None;
                let commands = Self::ports_of(solo);
                call.signalled = self.now;
                return Ok(Plan::new(commands, Then::Opening(Box::new(opening))));
            }
            if call.has_tag(&opening.tag) {
                return Err(Failure::error(TAKEN));
            }
        }
        let formats = flags.own_formats()?;
        let Some(Choice(media)) = choose(&formats, Ptime::wanted(flags.ptime_ms())) else {
            return Err(Failure::error("No codec that this engine carries"));
        };
        let protocol = flags.protocol()?.unwrap_or_else(|| "RTP/AVP".to_owned());
        let local = self.local_address(flags.interfaces().0, flags.wants_ipv6().unwrap_or(false))?;
        let mut end = End::new(leg_name(self.next_number(), "c"), media);
        end.asked_ptime_ms = flags.ptime_ms();
        end.media.repacketise = end.asked_ptime_ms.is_some();
        end.write_offer(&protocol, false, flags, &mut self.random);
        let lines = vec![Line::offer(end, protocol, formats, None)];
        let solo = self.solo(opening.tag.clone(), Direction::SendRecv, local, lines, flags)?;
        opening.is_new = true;
        let commands = self.open_solo(&call_id, solo)?;
        Ok(Plan::new(commands, Then::Opening(Box::new(opening))))
    }

    /// Takes a created party's answer.
    pub(crate) fn create_answer(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let sdp = flags.sdp()?;
        let call_id = flags.call_id()?;
        let tag = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        let now = self.now;
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        call.signalled = now;
        let solo = call.solo_mut(tag).filter(|solo| solo.direction == Direction::SendRecv);
        let solo = solo.ok_or_else(|| Failure::error("From-tag given, but no such tag exists"))?;
        Ok(Plan::new(solo.take_answer(&sdp, flags)?, Then::Taken(call_id.to_vec())))
    }

    /// The name under a key, or a new one where the client leaves that to us.
    pub(crate) fn name_or_new(&mut self, flags: &Flags<'_>, key: &str) -> Result<Vec<u8>, Failure> {
        Ok(match flags.name(key)? {
            Some(name) => name.to_vec(),
            None => self.made_up_name(),
        })
    }

    /// A name that nobody else has.
    pub(crate) fn made_up_name(&mut self) -> Vec<u8> {
        format!("{:016x}", self.random.next_u64()).into_bytes()
    }
}

/// A tag stands for one party of its call.
pub(crate) const TAKEN: &str = "This from-tag is another party's";
