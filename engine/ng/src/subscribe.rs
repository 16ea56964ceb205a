//! `subscribe request`, `subscribe answer` and `unsubscribe`: copies of what parties of a call say.

use std::net::IpAddr;

use offhook_proto::{Media, Ptime};

use crate::call::Call;
use crate::end::{End, delete_leg, leg_name};
use crate::failure::Failure;
use crate::flags::{All, Flags};
use crate::root::Ng;
use crate::sdp::{Direction, Format, choose};
use crate::solo::{Line, Opening, Solo};
use crate::transaction::{Plan, Then};
use crate::value::Dict;

/// A leg that can be subscribed to.
struct Source {
    tag: Vec<u8>,
    leg: String,
    media: Media,
    protocol: String,
}

impl Ng {
    /// Opens a leg for each section of the parties that are meant; the reply offers what they say, in the protocol that they
    /// say it in unless another is wanted. Nothing is sent before the answer.
    pub(crate) fn subscribe_request(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        flags.check()?;
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let sources = sources(call, dict, flags)?;
        let tag = self.name_or_new(flags, "to-tag")?;
        let (near, far) = flags.interfaces();
        let local = self.local_address(far.or(near), flags.wants_ipv6().unwrap_or(false))?;
        let (wanted, codecs) = (flags.protocol()?, flags.codecs());
        let mut from: Vec<Vec<u8>> = sources.iter().map(|source| source.tag.clone()).collect();
        from.dedup();
        let mut lines = Vec::with_capacity(sources.len());
        for source in sources {
            let protocol = wanted.clone().unwrap_or(source.protocol);
            let own = Format::own(source.media.codec, source.media.payload_type);
            let formats = codecs.offered_of(own.clone());
            let ptime = Ptime::wanted(flags.ptime_ms().or(Some(source.media.ptime_ms.into())));
            let chosen = if formats.contains(&own) { Some(source.media) } else { None };
            let Some(mut media) = chosen.or_else(|| Some(choose(&formats, ptime)?.0)) else {
                return Err(Failure::error("No codec that this engine carries"));
            };
            ptime.apply(&mut media);
            let media = Media {
                telephone_event: None,
                telephone_event_rate_hz: None,
                comfort_noise: None,
                repacketise: false,
                ..media
            };
            let mut end = End::new(leg_name(self.next_number(), "s"), media);
            end.asked_ptime_ms = flags.ptime_ms();
            end.write_offer(&protocol, false, flags, &mut self.random);
            lines.push(Line::offer(end, protocol, formats, Some(source.leg)));
        }
        let solo = self.solo(tag.clone(), Direction::SendOnly, local, lines, flags)?;
        let commands = self.open_solo(call_id, solo)?;
        let opening = Opening { call_id: call_id.to_vec(), tag, from, is_new: true };
        Ok(Plan::new(commands, Then::Opening(Box::new(opening))))
    }

    /// Sends the copies to where the answer says. Sections that it refuses end.
    pub(crate) fn subscribe_answer(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (call_id, sdp) = (flags.call_id()?, flags.sdp()?);
        let tag = flags.name("to-tag")?.ok_or_else(|| Failure::error("No to-tag in message"))?;
        let now = self.now;
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        call.signalled = now;
        let solo = call.solo_mut(tag).filter(|solo| solo.direction == Direction::SendOnly);
        let solo = solo.ok_or_else(|| Failure::error("To-tag given, but no such tag exists"))?;
        let mut commands = solo.take_answer(&sdp, flags)?;
        let solo = call.solo(tag).ok_or_else(|| Failure::error("To-tag given, but no such tag exists"))?;
        commands.extend(call.copies_for(solo));
        Ok(Plan::new(commands, Then::Taken(call_id.to_vec())))
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let tag = flags.name("to-tag")?.ok_or_else(|| Failure::error("No to-tag in message"))?;
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let is_meant = |solo: &mut Solo| solo.tag == tag && solo.direction == Direction::SendOnly;
        let ended: Vec<Solo> = call.solos.extract_if(.., is_meant).collect();
        if ended.is_empty() {
            return Err(Failure::error("To-tag given, but no such tag exists"));
        }
        self.forget_empty(call_id);
        let legs = ended.iter().flat_map(Solo::legs).map(|leg| delete_leg(leg.to_owned()));
        Ok(Plan::checked(legs.collect()))
    }
}

/// The legs of the parties that are meant: by a list of tags, or one tag, label or address, or all that were offered and
/// answered.
fn sources(call: &Call, dict: &Dict, flags: &Flags<'_>) -> Result<Vec<Source>, Failure> {
    let mut tags: Vec<&[u8]> = flags.tags().into_iter().map(str::as_bytes).collect();
    tags.extend(flags.name("from-tag")?);
    let label = flags.name("label")?;
    let address: Option<IpAddr> = dict.text("address").and_then(|address| address.parse().ok());
    let all = flags.all() == Some(All::Parties);
    if !all && tags.is_empty() && label.is_none() && address.is_none() {
        return Err(Failure::error("No participant party specified"));
    }
    let mut sources = Vec::new();
    for seat in call.speakers() {
        let tag = call.tag(seat);
        let meant = all && !call.publishes(seat)
            || tag.is_some_and(|tag| tags.contains(&tag))
            || label.is_some() && call.label(seat) == label
            || address.is_some_and(|address| call.is_at(seat, address));
        let Some(tag) = tag.filter(|_| meant) else { continue };
        sources.extend(call.ends(seat).into_iter().map(|end| {
            Source {
                tag: tag.to_vec(),
                leg: end.leg.clone(),
                media: end.media.clone(),
                protocol: Some(end.signalled.protocol.clone())
                    .filter(|protocol| !protocol.is_empty())
                    .unwrap_or_else(|| "RTP/AVP".to_owned()),
            }
        }));
    }
    if sources.is_empty() {
        return Err(Failure::error("From-tag given, but no such tag exists"));
    }
    Ok(sources)
}
