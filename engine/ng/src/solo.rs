//! Parties outside of offer and answer: one that publishes, one that subscribes to others, and one that was created. Each has
//! a leg for each of its sections, and no partner but whom `connect` gives it.

use std::net::IpAddr;
use std::time::Duration;

use offhook_proto::{Command, Error, LegQuery, Ptime};

use crate::call::Call;
use crate::end::{End, Signalled, delete_leg, learn_ports};
use crate::failure::Failure;
use crate::flags::{Flags, unsupported_protocol};
use crate::mute::Mute;
use crate::root::{Body, Ng, first_error};
use crate::sdp::{self, Direction, Format, LocalSection, Sdp, Section};
use crate::secure::{Agreed, MuxFlags, crypto_of};
use crate::value::{Dict, Value};

/// Such a party.
#[derive(Debug)]
pub(crate) struct Solo {
    pub(crate) tag: Vec<u8>,
    pub(crate) label: Option<Vec<u8>>,
    pub(crate) created: Duration,
    /// When it will be deleted, unless a message about it comes before.
    pub(crate) ends: Option<Duration>,
    /// What the engine does: it receives what is published, sends to who subscribes, and does both with who was created.
    pub(crate) direction: Direction,
    /// Whether nothing is sent for now, as `inactive` of a subscription has it.
    pub(crate) inactive: bool,
    /// Whether a description of the party's own has come.
    pub(crate) answered: bool,
    /// Whether whoever it is connected to does not hear it.
    pub(crate) mute: Mute,
    /// Number of its session in `o=`.
    pub(crate) session: u64,
    /// Where the engine receives from it.
    pub(crate) local: IpAddr,
    /// Written instead of the engine's own address.
    pub(crate) advertised: Option<IpAddr>,
    /// By the place of their `m=` line.
    pub(crate) lines: Vec<Line>,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// None where nothing is carried.
    pub(crate) end: Option<End>,
    pub(crate) kind: String,
    pub(crate) protocol: String,
    /// What a refused section lists.
    pub(crate) offered: String,
    pub(crate) formats: Vec<Format>,
    /// The leg that it hears.
    pub(crate) of: Option<String>,
}

/// A party that is to be described: what is answered.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) call_id: Vec<u8>,
    pub(crate) tag: Vec<u8>,
    /// Tags that are subscribed to.
    pub(crate) from: Vec<Vec<u8>>,
    /// Whether it came with this request and goes with its failure.
    pub(crate) is_new: bool,
}

impl Line {
    /// Audio that the engine offers.
    pub(crate) fn offer(end: End, protocol: String, formats: Vec<Format>, of: Option<String>) -> Self {
        let numbers: Vec<String> = formats.iter().map(|format| format.payload_type.to_string()).collect();
        Self { end: Some(end), kind: "audio".to_owned(), protocol, offered: numbers.join(" "), formats, of }
    }

    fn described(&self, solo: &Solo) -> LocalSection {
        let (crypto, rtcp_mux) = match &self.end {
            Some(end) => (end.written.crypto.clone(), end.written.mux),
            None => (Vec::new(), false),
        };
        let place = self.end.as_ref().and_then(|end| end.ports).map(|(rtp, rtcp)| sdp::Place {
            address: solo.advertised.unwrap_or(rtp.ip()),
            rtp: rtp.port(),
            rtcp: if rtcp_mux { rtp.port() } else { rtcp.port() },
        });
        LocalSection {
            place,
            kind: self.kind.clone(),
            protocol: self.protocol.clone(),
            offered: self.offered.clone(),
            formats: self.formats.clone(),
            direction: if solo.inactive { Direction::Inactive } else { solo.direction },
            rtcp_mux,
            crypto,
            ptime_ms: self.end.as_ref().map(|end| u16::from(end.media.ptime_ms)),
        }
    }
}

impl Solo {
    pub(crate) fn open_ends(&self) -> impl Iterator<Item = &End> {
        self.lines.iter().filter_map(|line| line.end.as_ref())
    }

    pub(crate) fn ends_mut(&mut self) -> impl Iterator<Item = &mut End> {
        self.lines.iter_mut().filter_map(|line| line.end.as_mut())
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = &str> {
        self.open_ends().map(|end| end.leg.as_str())
    }

    /// Whether it has answered and has not put its media on hold.
    pub(crate) fn talks(&self) -> bool {
        self.direction == Direction::SendRecv
            && self.answered
            && self.open_ends().all(|end| end.direction == Direction::SendRecv)
    }

    /// Takes the party's answer to what was described to it: what its legs are told. Sections that it refuses end. An answer
    /// that cannot be accepted changes nothing.
    pub(crate) fn take_answer(&mut self, sdp: &Sdp, flags: &Flags<'_>) -> Result<Vec<Command>, Failure> {
        let (latch, source) = (flags.latch()?, flags.source_address());
        let transcodes = flags.has("allow-transcoding");
        if sdp.sections.len() > self.lines.len() {
            return Err(Failure::error("The answer has more media sections than the offer"));
        }
        let lines = self.lines.iter().zip(&sdp.sections);
        let accepted: Vec<_> = lines
            .map(|(line, section)| accepted(line, sdp, section, source, transcodes))
            .collect::<Result<_, _>>()?;
        (self.ends, self.answered) = (None, true);
        let mut commands = Vec::new();
        for ((line, section), accepted) in self.lines.iter_mut().zip(&sdp.sections).zip(accepted) {
            let Some((signalled, media, agreed)) = accepted else {
                commands.extend(line.end.take().map(|end| delete_leg(end.leg)));
                continue;
            };
            let Some(end) = &mut line.end else { continue };
            (end.signalled, end.direction) = (signalled, sdp.direction(section));
            commands.extend(end.update(media, latch, agreed));
        }
        Ok(commands)
    }
}

/// What an answer's section says of a line; none when it refuses it.
fn accepted(
    line: &Line,
    sdp: &Sdp,
    section: &Section,
    source: Option<IpAddr>,
    transcodes: bool,
) -> Result<Option<(Signalled, offhook_proto::Media, Agreed)>, Failure> {
    let Some(end) = line.end.as_ref().filter(|_| section.port != 0) else { return Ok(None) };
    let mut formats = Format::of(section);
    formats.retain(Format::is_carried);
    let offered = |format: &Format| line.formats.iter().any(|one| one.is_named(&format.encoding()));
    if !transcodes && !formats.iter().any(offered) {
        return Err(Failure::error("The answer does not accept what was offered"));
    }
    if !transcodes {
        formats.retain(offered);
    }
    let ptime = section.ptime();
    let wanted_ms = ptime.wanted_ms.or(Some(u16::from(end.media.ptime_ms)));
    let none = || Failure::error("No codec in the answer that was offered");
    let media = end.choose(&formats, Ptime { wanted_ms, ..ptime }).ok_or_else(none)?;
    let signalled = Signalled {
        remote: sdp.remote(section, source),
        ptime,
        protocol: section.protocol.clone(),
        formats,
        crypto: crypto_of(section),
        mux: section.has("rtcp-mux"),
        mux_flags: MuxFlags::default(),
    };
    let agreed = end.accept_answer(&signalled)?;
    if !end.fits(section) {
        return Err(unsupported_protocol(&section.protocol));
    }
    Ok(Some((signalled, media, agreed)))
}

impl Call {
    pub(crate) fn solo(&self, tag: &[u8]) -> Option<&Solo> {
        self.solos.iter().find(|solo| solo.tag == tag)
    }

    pub(crate) fn solo_mut(&mut self, tag: &[u8]) -> Option<&mut Solo> {
        self.solos.iter_mut().find(|solo| solo.tag == tag)
    }
}

impl Ng {
    /// A party with these lines, to be opened.
    pub(crate) fn solo(
        &mut self,
        tag: Vec<u8>,
        direction: Direction,
        local: IpAddr,
        lines: Vec<Line>,
        flags: &Flags<'_>,
    ) -> Result<Solo, Failure> {
        // In a request for a subscription `label` means whom it is to.
        let label = match direction {
            Direction::SendOnly => flags.name("set-label")?.or(flags.name("to-label")?),
            Direction::SendRecv | Direction::RecvOnly | Direction::Inactive => flags.name("label")?,
        };
        Ok(Solo {
            tag,
            label: label.map(<[u8]>::to_vec),
            created: self.now,
            ends: None,
            direction,
            inactive: direction == Direction::SendOnly && flags.has("inactive"),
            answered: direction == Direction::RecvOnly,
            mute: Mute::default(),
            session: self.next_number(),
            local,
            advertised: flags.media_address().filter(|address| address.is_ipv6() == local.is_ipv6()),
            lines,
        })
    }

    /// Adds a party to a call, in place of the one of this tag; a call is made where there is none yet. Returns what opens its
    /// legs: each beside the one that it hears, or else beside the first.
    pub(crate) fn open_solo(&mut self, call_id: &[u8], solo: Solo) -> Result<Vec<Command>, Failure> {
        self.close_solo(call_id, &solo.tag);
        let first = solo.legs().next().map(str::to_owned);
        let open = solo.lines.iter().filter_map(|line| {
            let end = line.end.as_ref()?;
            let beside = line.of.clone().or_else(|| first.clone().filter(|first| *first != end.leg));
            Some(end.create(solo.local, beside))
        });
        let commands = open.collect();
        let now = self.now;
        let call = self.room_for_party(call_id, |call| call.solos.len())?;
        call.signalled = now;
        call.solos.push(solo);
        self.watch(call_id);
        Ok(commands)
    }

    /// Takes a party away, if it is there, with its legs.
    pub(crate) fn close_solo(&mut self, call_id: &[u8], tag: &[u8]) {
        let Some(call) = self.calls.get_mut(call_id) else { return };
        let closed: Vec<Solo> = call.solos.extract_if(.., |solo| solo.tag == tag).collect();
        let legs: Vec<String> = closed.iter().flat_map(Solo::legs).map(str::to_owned).collect();
        if !legs.is_empty() {
            self.close_legs(legs);
        }
    }

    /// Success, unless the engine has refused something: then it is told all of it by the next answer.
    pub(crate) fn finish_taken(
        &mut self,
        call_id: &[u8],
        results: &[Result<Body, Error>],
    ) -> Result<Dict, Failure> {
        let Some(error) = first_error(results) else { return Ok(Dict::default().with("result", "ok")) };
        if let Some(call) = self.calls.get_mut(call_id) {
            call.forget_told();
        }
        Err(error.into())
    }

    /// What tells the ports of a party whose legs are still being opened.
    pub(crate) fn ports_of(solo: &Solo) -> Vec<Command> {
        let opening = solo.open_ends().filter(|end| end.ports.is_none());
        opening.map(|end| Command::LegQuery(LegQuery { leg: end.leg.clone() })).collect()
    }

    /// Describes the engine's ends, now that the ports are known; undoes the request when the engine refused.
    pub(crate) fn finish_opening(
        &mut self,
        opening: &Opening,
        results: &[Result<Body, Error>],
    ) -> Result<Dict, Failure> {
        if let Some(error) = first_error(results) {
            if opening.is_new {
                self.close_solo(&opening.call_id, &opening.tag);
                self.totals.rejected += u64::from(self.forget_empty(&opening.call_id));
            }
            return Err(error.into());
        }
        let address = self.local_address(None, false).or_else(|_| self.local_address(None, true))?;
        let version = self.config.unix_s + self.next_number();
        let call = self.calls.get_mut(&opening.call_id);
        let solo = call.and_then(|call| call.solo_mut(&opening.tag));
        let solo = solo.ok_or_else(|| Failure::error(crate::failure::UNKNOWN_CALL))?;
        results.iter().flatten().for_each(|body| learn_ports(solo.ends_mut(), body));
        let sections: Vec<LocalSection> = solo.lines.iter().map(|line| line.described(solo)).collect();
        let mut reply = Dict::default().with("sdp", sdp::describe(solo.session, version, address, &sections));
        match solo.direction {
            Direction::SendOnly => {
                let from = opening.from.iter().map(|tag| Value::from(tag.clone()));
                reply.put("from-tags", from.collect::<Vec<_>>()).put("to-tag", opening.tag.clone());
            }
            Direction::SendRecv => {
                reply.put("call-id", opening.call_id.clone()).put("from-tag", opening.tag.clone());
            }
            Direction::RecvOnly | Direction::Inactive => {}
        }
        Ok(reply.with("result", "ok"))
    }
}
