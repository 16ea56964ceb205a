//! `query` and `list`: what a call looks like, in rtpengine's shape.

use std::net::SocketAddr;

use offhook_proto::{Command, Error, LegInfo, LegQuery, Reply};

use crate::call::{Call, Dialogue};
use crate::end::End;
use crate::failure::{Failure, UNKNOWN_CALL};
use crate::flags::Flags;
use crate::limits::LIST;
use crate::root::{Body, Ng};
use crate::sdp::Direction;
use crate::solo::Solo;
use crate::transaction::{Plan, Then};
use crate::value::{Dict, Value};

/// A call as it was when it was asked for; the engine's figures come after.
#[derive(Debug)]
pub(crate) struct Snapshot {
    created_s: u64,
    signalled_s: u64,
    parties: Vec<Party>,
}

#[derive(Debug)]
struct Party {
    tag: Vec<u8>,
    other: Option<Vec<u8>>,
    label: Option<Vec<u8>>,
    created_s: u64,
    medias: Vec<Media>,
}

#[derive(Debug)]
struct Media {
    index: u64,
    leg: String,
    protocol: String,
    direction: Direction,
}

impl Ng {
    pub(crate) fn query(&mut self, flags: &Flags<'_>) -> Result<Plan, Failure> {
        let call = self.calls.get(flags.call_id()?).ok_or_else(|| Failure::error(UNKNOWN_CALL))?;
        let snapshot = Box::new(Snapshot::of(call, self.config.unix_s));
        Ok(Plan::new(call.legs().map(query_leg).collect(), Then::Query(snapshot)))
    }

    pub(crate) fn list(&self, dict: &Dict) -> Plan {
        let limit = dict.find("limit").and_then(Value::int).and_then(|limit| usize::try_from(limit).ok());
        let calls = self.calls.keys().take(limit.unwrap_or(LIST)).map(|call_id| Value::from(call_id.clone()));
        Plan::answered(Dict::default().with("calls", calls.collect::<Vec<_>>()).with("result", "ok"))
    }
}

impl Snapshot {
    pub(crate) fn of(call: &Call, unix_s: u64) -> Self {
        let mut parties: Vec<Party> = Vec::new();
        for dialogue in &call.dialogues {
            for side in 0..2 {
                let Some(party) = Party::of(dialogue, side, unix_s) else { continue };
                match parties.iter_mut().find(|known| known.tag == party.tag) {
                    Some(known) => known.medias.extend(party.medias),
                    None => parties.push(party),
                }
            }
        }
        parties.extend(call.solos.iter().map(|solo| Party::of_solo(solo, unix_s)));
        Self {
            created_s: unix_s + call.created.as_secs(),
            signalled_s: unix_s + call.signalled.as_secs(),
            parties,
        }
    }

    /// The reply, with what the engine says of the legs.
    pub(crate) fn filled(&self, results: &[Result<Body, Error>]) -> Dict {
        let parse = |body: &Body| Reply::Ok(body.clone()).parse::<LegInfo>().ok();
        let infos: Vec<LegInfo> = results.iter().flatten().filter_map(parse).collect();
        let mut tags = Dict::default();
        for party in &self.parties {
            tags.0.push((party.tag.clone(), party.dict(&infos, self.signalled_s).into()));
        }
        let sum = |of: fn(&LegInfo) -> u64| infos.iter().map(of).sum::<u64>();
        let rtp = Dict::default()
            .with("packets", sum(|info| info.counters.packets_received))
            .with("bytes", sum(|info| info.counters.bytes_received))
            .with("errors", sum(errors));
        let rtcp = Dict::default().with("packets", 0_u64).with("bytes", 0_u64).with("errors", 0_u64);
        Dict::default()
            .with("created", self.created_s)
            .with("last signal", self.signalled_s)
            .with("SSRC", ssrcs(&infos))
            .with("tags", tags)
            .with("totals", Dict::default().with("RTP", rtp).with("RTCP", rtcp))
            .with("result", "ok")
    }
}

impl Media {
    fn of(index: u64, end: &End, protocol: &str, direction: Direction) -> Self {
        Self { index, leg: end.leg.clone(), protocol: protocol.to_owned(), direction }
    }
}

impl Party {
    fn of(dialogue: &Dialogue, side: usize, unix_s: u64) -> Option<Self> {
        let (this, other) = (&dialogue.sides[side], &dialogue.sides[1 - side]);
        let medias = dialogue.sections.iter().zip(1..).filter_map(|(section, index)| {
            let end = &section.as_ref()?.ends[side];
            Some(Media::of(index, end, &end.signalled.protocol, end.direction))
        });
        Some(Self {
            tag: this.tag.clone()?,
            other: other.tag.clone(),
            label: this.label.clone(),
            created_s: unix_s + dialogue.created.as_secs(),
            medias: medias.collect(),
        })
    }

    fn of_solo(solo: &Solo, unix_s: u64) -> Self {
        let medias = solo.lines.iter().zip(1..).filter_map(|(line, index)| {
            let end = line.end.as_ref()?;
            // What the engine receives, the party sends.
            let direction = match solo.direction {
                Direction::RecvOnly => Direction::SendOnly,
                Direction::SendOnly | Direction::Inactive => Direction::RecvOnly,
                Direction::SendRecv => end.direction,
            };
            Some(Media::of(index, end, &line.protocol, direction))
        });
        Self {
            tag: solo.tag.clone(),
            other: None,
            label: solo.label.clone(),
            created_s: unix_s + solo.created.as_secs(),
            medias: medias.collect(),
        }
    }

    fn dict(&self, infos: &[LegInfo], now_s: u64) -> Dict {
        let mut dict = Dict::default().with("tag", self.tag.clone()).with("created", self.created_s);
        if let Some(label) = &self.label {
            dict.put("label", label.clone());
        }
        if let Some(other) = &self.other {
            dict.put("in dialogue with", other.clone());
        }
        let medias = self.medias.iter().map(|media| {
            let info = infos.iter().find(|info| info.leg == media.leg);
            let streams = info.map(|info| streams(info, now_s)).unwrap_or_default();
            let directions: &[&str] = match media.direction {
                Direction::SendRecv => &["initialized", "send", "recv"],
                Direction::SendOnly => &["initialized", "send"],
                Direction::RecvOnly => &["initialized", "recv"],
                Direction::Inactive => &["initialized"],
            };
            let mut dict = Dict::default().with("index", media.index).with("type", "audio");
            dict.put("protocol", media.protocol.as_str());
            if let Some(Ok(serde_json::Value::String(name))) =
                info.map(|info| serde_json::to_value(info.codec))
            {
                dict.put("codec", name);
            }
            dict.put("streams", streams);
            dict.put("flags", directions.iter().map(|flag| Value::from(*flag)).collect::<Vec<_>>());
            Value::from(dict)
        });
        dict.put("medias", medias.collect::<Vec<_>>());
        dict
    }
}

/// The RTP and the RTCP stream of one leg.
fn streams(info: &LegInfo, now_s: u64) -> Vec<Value> {
    let remote = info.remote.map(|remote| remote.rtp);
    let heard_s = info.last_packet_ms.map_or(0, |ms| now_s.saturating_sub(ms / 1_000));
    let counters = Dict::default()
        .with("packets", info.counters.packets_received)
        .with("bytes", info.counters.bytes_received)
        .with("errors", errors(info));
    let mut rtp = local(info.rtp);
    if let Some(peer) = info.latched.or(remote) {
        rtp.put("endpoint", endpoint(peer));
    }
    if let Some(remote) = remote {
        rtp.put("advertised endpoint", endpoint(remote));
    }
    let mut flags = vec![Value::from("RTP")];
    flags.extend(remote.map(|_| Value::from("filled")));
    flags.extend(info.latched.map(|_| Value::from("confirmed")));
    rtp.put("last packet", heard_s).put("flags", flags).put("stats", counters);
    vec![rtp.into(), local(info.rtcp).with("flags", vec![Value::from("RTCP")]).into()]
}

fn local(address: SocketAddr) -> Dict {
    Dict::default()
        .with("local port", address.port())
        .with("local address", address.ip().to_string())
        .with("family", family(address))
}

fn endpoint(address: SocketAddr) -> Dict {
    Dict::default()
        .with("family", family(address))
        .with("address", address.ip().to_string())
        .with("port", address.port())
}

fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv6() { "IPv6" } else { "IPv4" }
}

/// What each peer said of the stream that it hears, by the SSRC of what it sends.
fn ssrcs(infos: &[LegInfo]) -> Dict {
    let mut ssrcs = Dict::default();
    for info in infos {
        let (Some(ssrc), Some(report)) = (info.remote_ssrc, &info.rtcp_report) else { continue };
        let tenths = |number: f32| (number.max(0.0) * 10.0) as u64;
        let mut dict = Dict::default();
        dict.put("jitter", tenths(report.jitter_ms) / 10);
        dict.put("packets lost", u64::try_from(report.packets_lost).unwrap_or(0));
        if let Some(round_trip_ms) = report.round_trip_ms {
            dict.put("round-trip time", tenths(round_trip_ms) * 100);
        }
        ssrcs.put(&ssrc.to_string(), dict);
    }
    ssrcs
}

fn errors(info: &LegInfo) -> u64 {
    let drops = &info.counters.drops;
    drops.malformed + drops.send_failed + drops.truncated
}

pub(crate) fn query_leg(leg: &str) -> Command {
    Command::LegQuery(LegQuery { leg: leg.to_owned() })
}
