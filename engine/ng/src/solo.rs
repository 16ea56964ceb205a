//! Parties outside of offer and answer: one that publishes, or one that subscribes to others. Each has a leg for each of its
//! sections, and no partner.

use std::net::IpAddr;
use std::time::Duration;

use offhook_proto::{Command, Error, LatchMode, LegCreate, LegCreated, Media, Reply};

use crate::call::{Call, Place};
use crate::failure::{Failure, SESSION_LIMIT};
use crate::limits::{CALLS, DIALOGUES};
use crate::root::{Body, Ng, first_error};
use crate::sdp::{self, Direction, Format, LocalSection};
use crate::value::{Dict, Value};

/// Such a party.
#[derive(Debug)]
pub(crate) struct Solo {
    pub(crate) tag: Vec<u8>,
    pub(crate) label: Option<Vec<u8>>,
    pub(crate) created: Duration,
    /// When it will be deleted, unless a message about it comes before.
    pub(crate) ends: Option<Duration>,
    /// What the engine does: it receives what is published, and sends to who subscribes.
    pub(crate) direction: Direction,
    /// Written instead of the engine's own address.
    pub(crate) advertised: Option<IpAddr>,
    /// By the place of their `m=` line.
    pub(crate) lines: Vec<Line>,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// None where nothing is carried.
    pub(crate) leg: Option<String>,
    /// Where it receives, once the engine has said so.
    pub(crate) ports: Option<Place>,
    pub(crate) kind: String,
    pub(crate) protocol: String,
    /// Payload types of a section that is refused, as they were offered.
    pub(crate) offered: String,
    pub(crate) formats: Vec<Format>,
    pub(crate) media: Media,
    /// The leg that it hears.
    pub(crate) of: Option<String>,
}

/// A party whose legs are being opened: what is to be answered.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) call_id: Vec<u8>,
    pub(crate) tag: Vec<u8>,
    /// Tags that are subscribed to.
    pub(crate) from: Vec<Vec<u8>>,
}

impl Solo {
    pub(crate) fn legs(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| line.leg.as_deref())
    }

    /// What opens its legs: each beside the one that it hears, or else beside the first.
    pub(crate) fn create(
        &self,
        local: IpAddr,
        latch: LatchMode,
        remotes: &[Option<offhook_proto::Remote>],
    ) -> Vec<Command> {
        let first = self.legs().next().map(str::to_owned);
        let open = self.lines.iter().zip(remotes).filter_map(|(line, remote)| {
            let leg = line.leg.clone()?;
            let beside = line.of.clone().or_else(|| first.clone().filter(|first| *first != leg));
            Some(Command::LegCreate(LegCreate {
                leg,
                address: Some(local),
                remote: *remote,
                media: line.media.clone(),
                latch,
                idle: offhook_proto::Idle::None,
                beside,
                ..LegCreate::default()
            }))
        });
        open.collect()
    }

    fn learn_ports(&mut self, body: &Body) {
        let Ok(created) = Reply::Ok(body.clone()).parse::<LegCreated>() else { return };
        for line in &mut self.lines {
            if line.leg.as_ref() == Some(&created.leg) {
                line.ports = Some((created.rtp, created.rtcp));
            }
        }
    }
}

impl Call {
    pub(crate) fn solo_mut(&mut self, tag: &[u8]) -> Option<&mut Solo> {
        self.solos.iter_mut().find(|solo| solo.tag == tag)
    }
}

impl Ng {
    /// Adds a party to a call, in place of the one of this tag; a call is made where there is none yet.
    pub(crate) fn open_solo(&mut self, call_id: &[u8], solo: Solo) -> Result<(), Failure> {
        self.close_solo(call_id, &solo.tag);
        let full = self.calls.len() >= CALLS && !self.calls.contains_key(call_id);
        if full || self.calls.get(call_id).is_some_and(|call| call.solos.len() >= DIALOGUES) {
            self.totals.rejected += 1;
            return Err(Failure::LoadLimit(SESSION_LIMIT));
        }
        let now = self.now;
        let call = self.calls.entry(call_id.to_vec()).or_insert_with(|| Call::new(now));
        call.signalled = now;
        call.solos.push(solo);
        self.watch(call_id);
        Ok(())
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

    /// Describes the engine's ends, now that the ports are known; undoes the request when the engine refused.
    pub(crate) fn finish_opening(
        &mut self,
        opening: &Opening,
        results: &[Result<Body, Error>],
    ) -> Result<Dict, Failure> {
        if let Some(error) = first_error(results) {
            self.close_solo(&opening.call_id, &opening.tag);
            if self.calls.get(&opening.call_id).is_some_and(Call::is_empty) {
                self.calls.remove(&opening.call_id);
                self.totals.rejected += 1;
            }
            return Err(error.into());
        }
        let address = self.local_address(None, false).or_else(|_| self.local_address(None, true))?;
        let (session, version) = (self.next_number(), self.config.unix_s + self.now.as_secs());
        let call = self.calls.get_mut(&opening.call_id);
        let solo = call.and_then(|call| call.solo_mut(&opening.tag));
        let solo = solo.ok_or_else(|| Failure::error(crate::failure::UNKNOWN_CALL))?;
        results.iter().flatten().for_each(|body| solo.learn_ports(body));
        let sections = solo.lines.iter().map(|line| LocalSection {
            place: line.ports.map(|(rtp, rtcp)| sdp::Place {
                address: solo.advertised.unwrap_or(rtp.ip()),
                rtp: rtp.port(),
                rtcp: rtcp.port(),
            }),
            kind: line.kind.clone(),
            protocol: line.protocol.clone(),
            offered: line.offered.clone(),
            formats: line.formats.clone(),
            direction: solo.direction,
            ptime_ms: Some(u16::from(line.media.ptime_ms)),
        });
        let sections: Vec<LocalSection> = sections.collect();
        let mut reply = Dict::default().with("sdp", sdp::describe(session, version, address, &sections));
        if solo.direction == Direction::SendOnly {
            let from = opening.from.iter().map(|tag| Value::from(tag.clone()));
            reply.put("from-tags", from.collect::<Vec<_>>()).put("to-tag", opening.tag.clone());
        }
        Ok(reply.with("result", "ok"))
    }
}
