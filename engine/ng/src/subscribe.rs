//! `subscribe request`, `subscribe answer` and `unsubscribe`: copies of what parties of a call say.

use std::net::IpAddr;

use offhook_proto::{Codec, Command, LegUpdate, Listen, Media};
use rand_chacha::rand_core::Rng as _;

use crate::call::Call;
use crate::failure::Failure;
use crate::flags::{Flags, is_plain_rtp, unsupported_protocol};
use crate::offer::{delete_leg, leg_name};
use crate::root::Ng;
use crate::sdp::{Direction, Format, Section, choose};
use crate::solo::{Line, Opening, Solo};
use crate::transaction::{Plan, Then};
use crate::value::Dict;

/// A leg that can be subscribed to.
struct Source {
    tag: Vec<u8>,
    leg: String,
    media: Media,
}

impl Ng {
    /// Opens a leg for each section of the parties that are meant; the reply offers what they say. Nothing is sent before the
    /// answer.
    pub(crate) fn subscribe_request(&mut self, dict: &Dict, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        flags.check()?;
        let call = self.calls.get(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        let sources = sources(call, dict, flags)?;
        let tag = match flags.name("to-tag")? {
            Some(tag) => tag.to_vec(),
            None => format!("{:016x}", self.random.next_u64()).into_bytes(),
        };
        let (near, far) = flags.interfaces();
        let local = self.local_address(far.or(near), flags.wants_ipv6().unwrap_or(false))?;
        let mut from: Vec<Vec<u8>> = sources.iter().map(|source| source.tag.clone()).collect();
        from.dedup();
        let lines: Vec<Line> = sources
            .into_iter()
            .map(|source| Line {
                leg: Some(leg_name(self.next_number(), "s")),
                ports: None,
                kind: "audio".to_owned(),
                protocol: "RTP/AVP".to_owned(),
                offered: String::new(),
                formats: vec![format_of(&source.media)],
                media: Media { telephone_event: None, comfort_noise: None, ..source.media },
                of: Some(source.leg),
            })
            .collect();
        let label = flags.name("set-label")?.map(<[u8]>::to_vec);
        let fits = |address: &IpAddr| address.is_ipv6() == local.is_ipv6();
        let solo = Solo {
            tag: tag.clone(),
            label,
            created: self.now,
            ends: None,
            direction: Direction::SendOnly,
            advertised: flags.media_address().filter(fits),
            lines,
        };
        let remotes = vec![None; solo.lines.len()];
        let commands = solo.create(local, offhook_proto::LatchMode::Strict, &remotes);
        self.open_solo(call_id, solo)?;
        let opening = Opening { call_id: call_id.to_vec(), tag, from };
        Ok(Plan::new(commands, Then::Opening(Box::new(opening))))
    }

    /// Sends the copies to where the answer says. Sections that it refuses end.
    pub(crate) fn subscribe_answer(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let (call_id, sdp) = (flags.call_id()?, flags.sdp()?);
        let tag = flags.name("to-tag")?.ok_or_else(|| Failure::error("No to-tag in message"))?;
        let (latch, source) = (flags.latch()?, flags.source_address());
        let transcodes = flags.has("allow-transcoding");
        let now = self.now;
        let call = self.calls.get_mut(call_id).ok_or_else(|| Failure::error("Unknown call-ID"))?;
        call.signalled = now;
        let solo = call.solo_mut(tag).filter(|solo| solo.direction == Direction::SendOnly);
        let solo = solo.ok_or_else(|| Failure::error("To-tag given, but no such tag exists"))?;
        if sdp.sections.len() > solo.lines.len() {
            return Err(Failure::error("The answer has more media sections than the offer"));
        }
        let accepted: Vec<Option<Media>> = solo
            .lines
            .iter()
            .zip(&sdp.sections)
            .map(|(line, section)| accepted(line, section, transcodes))
            .collect::<Result<_, _>>()?;
        let mut commands = Vec::new();
        for ((line, section), media) in solo.lines.iter_mut().zip(&sdp.sections).zip(accepted) {
            let Some(media) = media else {
                line.ports = None;
                commands.extend(line.leg.take().map(delete_leg));
                continue;
            };
            let Some(leg) = line.leg.clone() else { continue };
            line.media = media.clone();
            commands.push(Command::LegUpdate(LegUpdate {
                leg: leg.clone(),
                remote: sdp.remote(section, source),
                media: Some(media),
                latch: Some(latch),
                ..LegUpdate::default()
            }));
            commands.extend(line.of.clone().map(|of| Command::Listen(Listen { leg, of })));
        }
        Ok(Plan::checked(commands))
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
        let legs = ended.iter().flat_map(Solo::legs).map(|leg| delete_leg(leg.to_owned()));
        Ok(Plan::checked(legs.collect()))
    }
}

/// The legs of the parties that are meant: by a list of tags, or one tag, label or address, or all that were offered and
/// answered.
fn sources(call: &Call, dict: &Dict, flags: &Flags<'_>) -> Result<Vec<Source>, Failure> {
    let mut tags: Vec<&[u8]> = dict.texts("from-tags").into_iter().map(str::as_bytes).collect();
    tags.extend(flags.name("from-tag")?);
    let label = flags.name("label")?;
    let address: Option<IpAddr> = dict.text("address").and_then(|address| address.parse().ok());
    let all = flags.has("all");
    if !all && tags.is_empty() && label.is_none() && address.is_none() {
        return Err(Failure::error("No participant party specified"));
    }
    let mut sources = Vec::new();
    for dialogue in &call.dialogues {
        for (side, party) in dialogue.sides.iter().enumerate() {
            let Some(tag) = &party.tag else { continue };
            let meant = all
                || tags.contains(&tag.as_slice())
                || label.is_some() && party.label.as_deref() == label
                || address.is_some_and(|address| dialogue.is_at(side, address));
            let ends = dialogue.sections.iter().flatten().map(|section| &section.ends[side]);
            sources.extend(ends.filter(|_| meant).map(|end| Source {
                tag: tag.clone(),
                leg: end.leg.clone(),
                media: end.media.clone(),
            }));
        }
    }
    for solo in call.solos.iter().filter(|solo| solo.direction == Direction::RecvOnly) {
        if tags.contains(&solo.tag.as_slice()) || label.is_some() && solo.label.as_deref() == label {
            let lines = solo.lines.iter().filter_map(|line| Some((line.leg.clone()?, line.media.clone())));
            sources.extend(lines.map(|(leg, media)| Source { tag: solo.tag.clone(), leg, media }));
        }
    }
    if sources.is_empty() {
        return Err(Failure::error("From-tag given, but no such tag exists"));
    }
    Ok(sources)
}

/// What an answer's section says of a line; none when it refuses it.
fn accepted(line: &Line, section: &Section, transcodes: bool) -> Result<Option<Media>, Failure> {
    if section.port == 0 || line.leg.is_none() {
        return Ok(None);
    }
    if !is_plain_rtp(&section.protocol) {
        return Err(unsupported_protocol(&section.protocol));
    }
    let mut formats = Format::of(section);
    formats.retain(Format::is_carried);
    let offered = |format: &Format| line.formats.iter().any(|one| one.is_named(&format.encoding()));
    if !transcodes && !formats.iter().any(offered) {
        return Err(Failure::error("The answer does not accept what was offered"));
    }
    let ptime_ms = section.ptime_ms().or(Some(u16::from(line.media.ptime_ms)));
    match choose(&formats, ptime_ms) {
        Some(choice) => Ok(Some(choice.0)),
        None => Err(Failure::error("No codec in the answer that was offered")),
    }
}

/// How a leg's audio is written.
fn format_of(media: &Media) -> Format {
    let (name, clock_rate, channels) = match media.codec {
        Codec::Pcmu => ("PCMU", 8_000, 1),
        Codec::Pcma => ("PCMA", 8_000, 1),
        Codec::G722 => ("G722", 8_000, 1),
        Codec::L16 => ("L16", 8_000, 1),
        Codec::Opus => ("opus", 48_000, 2),
    };
    Format { payload_type: media.payload_type, name: name.to_owned(), clock_rate, channels }
}
