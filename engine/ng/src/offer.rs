//! `offer`: legs for both sides of every section that the engine carries, and the description for the other side.

use std::net::IpAddr;

use offhook_proto::{Command, ErrorCode, LatchMode, LegQuery, Ptime};

use crate::call::{Dialogue, Section, Side};
use crate::end::{End, Signalled, learn_ports, leg_name};
use crate::failure::{Failure, LOAD_LIMIT, UNKNOWN_CALL};
use crate::flags::{Flags, is_plain_rtp, unsupported_protocol};
use crate::mute::Mute;
use crate::root::{Body, Ng, first_error};
use crate::sdp::{self, Carried, Choice, Format, Rewriting, RtcpAttribute, Sdp, SectionOut, choose};
use crate::secure::crypto_of;
use crate::transaction::{Plan, Then};
use crate::value::Dict;

/// A description to be written when the engine has answered.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) call_id: Vec<u8>,
    pub(crate) dialogue: u64,
    /// Which side it goes to.
    pub(crate) to: usize,
    pub(crate) sdp: Sdp,
    pub(crate) sections: Vec<Fate>,
    pub(crate) replace_origin: bool,
    pub(crate) original_direction: bool,
    pub(crate) rtcp: RtcpAttribute,
    /// Whether it is marked as one that has passed.
    pub(crate) marked: bool,
    /// Legs that this request opened: closed again when it fails.
    pub(crate) opened: Vec<String>,
    /// Whether the dialogue came with this request and goes with its failure.
    pub(crate) new_dialogue: bool,
}

/// What becomes of one section.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Carried {
        /// What is written.
        formats: Vec<Format>,
        /// What its own side may use: the same where nothing is transcoded.
        theirs: Vec<Format>,
        protocol: Option<String>,
        ptime_ms: Option<u16>,
    },
    Refused,
    Untouched,
}

impl Ng {
    pub(crate) fn offer(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call_id = flags.call_id()?;
        let sdp = flags.sdp()?;
        let from = flags.name("from-tag")?.ok_or_else(|| Failure::error("No from-tag in message"))?;
        let (to, branch) = (flags.name("to-tag")?, flags.branch()?);
        flags.check()?;
        let (latch, fates, dropping) = (flags.latch()?, fates(&sdp, flags)?, flags.drops_traffic()?);
        let known = self.calls.get(call_id).and_then(|call| call.of_offer(from, to, branch));
        let (number, side) = match known {
            Some(known) => known,
            None => (self.open_dialogue(call_id, flags, &sdp, from)?, 0),
        };
        let mut rewrite = Rewrite {
            call_id: call_id.to_vec(),
            dialogue: number,
            to: 1 - side,
            sdp,
            sections: fates,
            replace_origin: flags.replaces_origin(),
            original_direction: flags.has("original-sendrecv"),
            rtcp: flags.rtcp_attribute(),
            marked: flags.has("loop-protect"),
            opened: Vec::new(),
            new_dialogue: known.is_none(),
        };
        let mut commands = self.offer_sections(&mut rewrite, side, latch, flags)?;
        if let (Some(dropped), Some(call)) = (dropping, self.calls.get_mut(call_id)) {
            call.mute.dropped = dropped;
            commands.extend(self.gates_of_all(call_id));
        }
        Ok(Plan::new(commands, Then::Rewrite(Box::new(rewrite))))
    }

    /// Notes what was offered; it takes effect with the answer. Opens legs where there are none.
    fn offer_sections(
        &mut self,
        rewrite: &mut Rewrite,
        side: usize,
        latch: LatchMode,
        flags: &Flags<'_>,
    ) -> Result<Vec<Command>, Failure> {
        let (now, source) = (self.now, flags.source_address());
        let mut next_number = self.next_number;
        let call = self.calls.get_mut(&rewrite.call_id).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        call.signalled = now;
        call.record = flags.record_call().unwrap_or(call.record);
        let dialogue = call.find_mut(rewrite.dialogue).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        dialogue.ends = None;
        dialogue.unrecorded |= flags.has("exclude-recording");
        dialogue.sides[side].latch = latch;
        if dialogue.sections.len() < rewrite.sections.len() {
            dialogue.sections.resize_with(rewrite.sections.len(), || None);
        }
        let mut commands = Vec::new();
        for ((place, fate), offered) in
            dialogue.sections.iter_mut().zip(&rewrite.sections).zip(&rewrite.sdp.sections)
        {
            let Fate::Carried { formats, theirs, protocol, ptime_ms } = fate else { continue };
            let remote = rewrite.sdp.remote(offered, source);
            if place.is_none() {
                next_number += 1;
                let ptime = Ptime::wanted(*ptime_ms);
                let (Some(near), Some(far)) = (choose(theirs, ptime), choose(formats, ptime)) else {
                    continue;
                };
                let section = open_section(next_number, if side == 0 { [near, far] } else { [far, near] });
                commands.extend(section.ends.iter().enumerate().map(|(at, end)| {
                    let beside = (at != side).then(|| section.ends[side].leg.clone());
                    end.create(dialogue.sides[at].local, beside)
                }));
                if side == 1 {
                    commands.reverse();
                }
                rewrite.opened.extend(section.ends.iter().map(|end| end.leg.clone()));
                *place = Some(section);
            } else if let Some(section) = place
                && section.ends[1 - side].ports.is_none()
            {
                // Its legs are being opened: wait for them.
                commands.push(Command::LegQuery(LegQuery { leg: section.ends[1 - side].leg.clone() }));
            }
            if let Some(section) = place {
                section.ends[1 - side].asked_ptime_ms = flags.ptime_ms();
                section.ends[side].asked_ptime_ms = flags.ptime_reverse_ms();
                section.ends[side].direction = rewrite.sdp.direction(offered);
                section.ends[side].signalled = Signalled {
                    remote,
                    ptime: offered.ptime(),
                    protocol: offered.protocol.clone(),
                    formats: theirs.clone(),
                    crypto: crypto_of(offered),
                    mux: offered.has("rtcp-mux"),
                    mux_flags: flags.mux(),
                };
                let protocol = protocol.as_deref().unwrap_or(&offered.protocol);
                section.ends[1 - side].write_offer(
                    protocol,
                    offered.has("rtcp-mux"),
                    flags,
                    &mut self.random,
                );
                section.ends[1 - side].written.formats = formats.clone();
            }
        }
        self.next_number = next_number;
        Ok(commands)
    }

    /// A new dialogue, in a new call where there is none yet.
    pub(crate) fn open_dialogue(
        &mut self,
        call_id: &[u8],
        flags: &Flags<'_>,
        sdp: &Sdp,
        from: &[u8],
    ) -> Result<u64, Failure> {
        let written = sdp.sections.iter().find_map(|section| sdp.connection(section));
        let ipv6 = flags.source_address().or(written).is_some_and(|address| address.is_ipv6());
        let (here, there) = flags.interfaces();
        let near = self.local_address(here, ipv6)?;
        let far = self.local_address(there, flags.wants_ipv6().unwrap_or(ipv6))?;
        let side = |local: IpAddr| Side {
            tag: None,
            branch: None,
            label: None,
            local,
            advertised: None,
            latch: LatchMode::Any,
            mute: Mute::default(),
        };
        let number = self.next_number();
        let dialogue = Dialogue {
            number,
            created: self.now,
            sides: [
                Side {
                    tag: Some(from.to_vec()),
                    label: flags.name("label")?.map(<[u8]>::to_vec),
                    ..side(near)
                },
                Side {
                    tag: None,
                    branch: flags.branch()?.map(<[u8]>::to_vec),
                    advertised: flags.media_address().filter(|address| address.is_ipv6() == far.is_ipv6()),
                    ..side(far)
                },
            ],
            sections: Vec::new(),
            answered: false,
            unrecorded: false,
            ends: None,
        };
        self.room_for_party(call_id, |call| call.dialogues.len())?.dialogues.push(dialogue);
        self.watch(call_id);
        Ok(number)
    }

    /// Writes the description, now that the ports are known; undoes the request when the engine refused.
    pub(crate) fn finish_rewrite(
        &mut self,
        rewrite: &Rewrite,
        results: &[Result<Body, offhook_proto::Error>],
    ) -> Result<Dict, Failure> {
        if let Some(error) = first_error(results) {
            self.undo(rewrite);
            self.totals.rejected += u64::from(rewrite.new_dialogue);
            // The legs that it waited for were another offer's, which the engine has refused: a proxy asks its next engine.
            if error.code == ErrorCode::LegNotFound {
                return Err(Failure::LoadLimit(LOAD_LIMIT));
            }
            return Err(error.into());
        }
        let default = self.local_address(None, false).or_else(|_| self.local_address(None, true))?;
        let call = self.calls.get_mut(&rewrite.call_id).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        let dialogue = call.find_mut(rewrite.dialogue).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        for body in results.iter().flatten() {
            let sections = dialogue.sections.iter_mut().flatten();
            learn_ports(sections.flat_map(|section| &mut section.ends), body);
        }
        let sections = rewrite
            .sections
            .iter()
            .zip(&dialogue.sections)
            .map(|(fate, section)| dialogue.written(rewrite.to, fate, section.as_ref()));
        let how = Rewriting {
            sections: sections.collect(),
            address: dialogue.sides[rewrite.to].advertised.unwrap_or(default),
            replace_origin: rewrite.replace_origin,
            original_direction: rewrite.original_direction,
            rtcp: rewrite.rtcp,
            mark: rewrite.marked.then(|| self.mark.clone()),
        };
        Ok(Dict::default().with("sdp", sdp::rewrite(&rewrite.sdp, &how)).with("result", "ok"))
    }

    fn undo(&mut self, rewrite: &Rewrite) {
        let opened = rewrite.opened.clone();
        self.close_legs(opened);
        let Some(call) = self.calls.get_mut(&rewrite.call_id) else { return };
        call.forget_told();
        if let Some(dialogue) = call.find_mut(rewrite.dialogue) {
            for place in &mut dialogue.sections {
                if place.as_ref().is_some_and(|section| rewrite.opened.contains(&section.ends[0].leg)) {
                    *place = None;
                }
            }
        }
        if rewrite.new_dialogue {
            call.dialogues.retain(|dialogue| dialogue.number != rewrite.dialogue);
            self.forget_empty(&rewrite.call_id);
        }
    }
}

impl Dialogue {
    /// How a section is written for one side.
    fn written(&self, to: usize, fate: &Fate, section: Option<&Section>) -> SectionOut {
        let (formats, protocol, ptime_ms) = match fate {
            Fate::Untouched => return SectionOut::Untouched,
            Fate::Refused => return SectionOut::Refused,
            Fate::Carried { formats, protocol, ptime_ms, .. } => (formats, protocol, *ptime_ms),
        };
        let Some((end, (rtp, rtcp))) =
            section.and_then(|section| Some((&section.ends[to], section.ends[to].ports?)))
        else {
            return SectionOut::Refused;
        };
        let muxed = end.mux && end.written.mux;
        SectionOut::Carried(Carried {
            address: self.sides[to].advertised.unwrap_or(rtp.ip()),
            rtp: rtp.port(),
            rtcp: if muxed { rtp.port() } else { rtcp.port() },
            rtcp_mux: end.written.mux,
            crypto: end.written.crypto.clone(),
            protocol: protocol.clone(),
            formats: formats.clone(),
            ptime_ms,
        })
    }
}

/// What can be done with each section of an offer.
fn fates(sdp: &Sdp, flags: &Flags<'_>) -> Result<Vec<Fate>, Failure> {
    if sdp.sections.is_empty() {
        return Err(Failure::error("Error rewriting SDP"));
    }
    let (codecs, protocol) = (flags.codecs(), flags.protocol()?);
    let mut refusal = None;
    let mut fates = Vec::with_capacity(sdp.sections.len());
    for section in &sdp.sections {
        fates.push(if section.protocol.contains("TCP") {
            Fate::Untouched
        } else if section.port == 0 || section.kind != "audio" || !section.port_count.is_empty() {
            Fate::Refused
        } else if !is_plain_rtp(&section.protocol) && crypto_of(section).is_empty() {
            refusal = Some(unsupported_protocol(&section.protocol));
            Fate::Refused
        } else if sdp.connection(section).is_none() {
            return Err(Failure::error("Failed to parse SDP"));
        } else {
            let mut theirs = Format::of(section);
            theirs.retain(|format| format.is_carried() && !codecs.strips(format));
            let formats = codecs.offered(&theirs, &section.formats);
            let have_audio = [&theirs, &formats].map(|formats| choose(formats, Ptime::default()).is_some());
            if have_audio == [true; 2] {
                let ptime_ms = flags.ptime_ms().or(section.ptime_ms());
                Fate::Carried { formats, theirs, protocol: protocol.clone(), ptime_ms }
            } else {
                refusal = Some(Failure::error("No codec in the offer that this engine carries"));
                Fate::Refused
            }
        });
    }
    match refusal {
        Some(refusal) if !fates.iter().any(|fate| matches!(fate, Fate::Carried { .. })) => Err(refusal),
        Some(_) | None => Ok(fates),
    }
}

/// A section whose legs let nobody speak until the answer.
fn open_section(number: u64, [Choice(a), Choice(b)]: [Choice; 2]) -> Section {
    let ends = [End::new(leg_name(number, "a"), a), End::new(leg_name(number, "b"), b)];
    Section { ends, spliced: false }
}
