//! What a request asks for besides its command, wherever rtpengine's clients put it: keys of their own or entries of `flags`.

use std::net::IpAddr;

use offhook_proto::LatchMode;

use crate::codecs::Codecs;
use crate::failure::Failure;
use crate::limits::{DELETE_DELAY_S, NAME_BYTES};
use crate::sdp::{Format, RtcpAttribute, Sdp};
use crate::secure::{MuxFlags, is_secure_rtp};
use crate::value::{Dict, same_key};

/// The wishes of one request.
#[derive(Clone, Debug)]
pub(crate) struct Flags<'a> {
    pub(crate) dict: &'a Dict,
    pub(crate) flags: Vec<&'a str>,
}

/// What `all` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum All {
    /// All parties of the call.
    Parties,
    /// Whoever hears the party by offer and answer, or is connected to it.
    Partners,
    /// Whoever has subscribed to it.
    Subscribers,
    /// Both.
    Flows,
}

impl<'a> Flags<'a> {
    pub(crate) fn of(dict: &'a Dict) -> Self {
        Self { dict, flags: dict.texts("flags") }
    }

    /// Whether a flag is given, in `flags` or as a key that does not say no.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| same_key(known.as_bytes(), flag.as_bytes()))
            || self.dict.text(flag).is_some_and(|value| !matches!(value, "no" | "off" | "0"))
    }

    /// Which parties or flows are meant by `all`, a flag or a key.
    pub(crate) fn all(&self) -> Option<All> {
        let word = self.dict.text("all").unwrap_or(if self.has("all") { "all" } else { "none" });
        match word {
            "none" => None,
            "offer-answer" => Some(All::Partners),
            "except-offer-answer" => Some(All::Subscribers),
            "flows" => Some(All::Flows),
            _ => self.has("all").then_some(All::Parties),
        }
    }

    /// Whether a request names a party: by tag, label or address.
    pub(crate) fn names_party(&self) -> bool {
        ["from-tag", "label", "address"].iter().any(|key| matches!(self.name(key), Ok(Some(_))))
    }

    /// Whether `block DTMF` blocks, by its `DTMF-security`.
    pub(crate) fn blocks_keys(&self) -> Result<bool, Failure> {
        match self.dict.text("DTMF-security") {
            Some("off" | "no") => Ok(false),
            Some("drop" | "silence") | None => Ok(true),
            Some(mode) => Err(Failure::error(format!("DTMF-security={} is not supported", shown(mode)))),
        }
    }

    /// Whether all media of the call is dropped from now on, or no longer; none when nothing is said of it.
    pub(crate) fn drops_traffic(&self) -> Result<Option<bool>, Failure> {
        let echo = self.dict.text("media-echo").filter(|wish| !matches!(*wish, "off" | "no"));
        let traffic = self.dict.text("drop-traffic").or_else(|| self.has("drop-traffic").then_some("start"));
        match (echo, traffic) {
            (None, None) => Ok(None),
            (_, Some("stop" | "off" | "no")) => Ok(Some(false)),
            (Some("blackhole" | "sinkhole") | None, _) => Ok(Some(true)),
            (Some(echo), _) => Err(Failure::error(format!("media-echo={} is not supported", shown(echo)))),
        }
    }

    pub(crate) fn call_id(&self) -> Result<&'a [u8], Failure> {
        self.name("call-id")?.ok_or_else(|| Failure::error("No call-id in message"))
    }

    /// A call-id, a tag, a branch or a label: empty is absent.
    pub(crate) fn name(&self, key: &str) -> Result<Option<&'a [u8]>, Failure> {
        let other = if key == "label" { self.dict.bytes("from-label") } else { None };
        match self.dict.bytes(key).or(other) {
            Some([]) | None => Ok(None),
            Some(name) if name.len() <= NAME_BYTES => Ok(Some(name)),
            Some(_) => Err(Failure::error(format!("{key} is longer than {NAME_BYTES} bytes"))),
        }
    }

    pub(crate) fn branch(&self) -> Result<Option<&'a [u8]>, Failure> {
        self.name("via-branch")
    }

    pub(crate) fn sdp(&self) -> Result<Sdp, Failure> {
        let body = self.dict.bytes("sdp").ok_or_else(|| Failure::error("No SDP body in message"))?;
        Sdp::parse(body).map_err(|_| Failure::error("Failed to parse SDP"))
    }

    /// How the sender of this message is learnt: by the word for it, delayed without one as in rtpengine. `strict source` says
    /// that only near sources may be, and switched-off learning that none may.
    pub(crate) fn latch(&self) -> Result<LatchMode, Failure> {
        if self.has("asymmetric") {
            return Err(Failure::error("asymmetric is not supported: media goes to where it comes from"));
        }
        let off = self.has("no-endpoint-learning").then_some("off");
        let of_flags = self.flags.iter().find_map(|flag| {
            let (start, word) = flag.split_at_checked("endpoint-learning-".len())?;
            same_key(start.as_bytes(), b"endpoint-learning-").then_some(word)
        });
        let word = off.or_else(|| self.dict.text("endpoint-learning")).or(of_flags).unwrap_or("delayed");
        let mode = match word.to_ascii_lowercase().as_str() {
            "off" | "no-learning" => return Ok(LatchMode::Strict),
            "immediate" => LatchMode::Immediate,
            "delayed" => LatchMode::Delayed,
            "heuristic" => LatchMode::Heuristic,
            _ => return Err(Failure::error(format!("Unknown endpoint learning: {}", shown(word)))),
        };
        Ok(if self.has("strict-source") { LatchMode::Signalled } else { mode })
    }

    /// The address that stands in for the one written in the SDP, where the client does not trust that.
    pub(crate) fn source_address(&self) -> Option<IpAddr> {
        if !self.has("SIP-source-address") {
            return None;
        }
        self.dict.texts("received-from").last().and_then(|address| address.parse().ok())
    }

    /// The protocol to write, where another is wanted.
    pub(crate) fn protocol(&self) -> Result<Option<String>, Failure> {
        match self.dict.text("transport-protocol") {
            None => Ok(None),
            Some(protocol) if is_plain_rtp(protocol) || is_secure_rtp(protocol) => {
                Ok(Some(protocol.to_owned()))
            }
            Some(protocol) => Err(unsupported_protocol(protocol)),
        }
    }

    /// Interfaces of the sender and of the receiver of this message.
    pub(crate) fn interfaces(&self) -> (Option<&'a str>, Option<&'a str>) {
        let mut names = self.dict.texts("direction");
        if names.is_empty() {
            names = self.dict.texts("interface");
        }
        if names.is_empty() {
            let legacy = |flag: &&&str| matches!(**flag, "internal" | "external");
            names = self.flags.iter().filter(legacy).copied().collect();
        }
        (names.first().copied(), names.get(1).copied())
    }

    pub(crate) fn wants_ipv6(&self) -> Option<bool> {
        match self.dict.text("address-family")? {
            "IP4" => Some(false),
            "IP6" => Some(true),
            _ => None,
        }
    }

    pub(crate) fn media_address(&self) -> Option<IpAddr> {
        self.dict.text("media-address").and_then(|address| address.parse().ok())
    }

    pub(crate) fn replaces_origin(&self) -> bool {
        let origin = |wish: &&str| same_key(wish.as_bytes(), b"origin");
        self.dict.texts("replace").iter().any(origin) || self.has("replace-origin")
    }

    pub(crate) fn rtcp_attribute(&self) -> RtcpAttribute {
        if self.has("no-rtcp-attribute") {
            RtcpAttribute::None
        } else if self.has("full-rtcp-attribute") {
            RtcpAttribute::Full
        } else {
            RtcpAttribute::Port
        }
    }

    /// Packet time towards who receives the offer.
    pub(crate) fn ptime_ms(&self) -> Option<u16> {
        self.milliseconds("ptime")
    }

    /// Packet time towards who has sent the offer.
    pub(crate) fn ptime_reverse_ms(&self) -> Option<u16> {
        self.milliseconds("ptime-reverse")
    }

    fn milliseconds(&self, key: &str) -> Option<u16> {
        let number = self.dict.find(key).and_then(super::value::Value::int)?;
        u16::try_from(number).ok().filter(|ms| (1..=1_000).contains(ms))
    }

    /// What becomes of rtcp-mux.
    pub(crate) fn mux(&self) -> MuxFlags {
        let words = self.dict.texts("rtcp-mux");
        let has = |word: &str| words.contains(&word) || self.has(&format!("rtcp-mux-{word}"));
        MuxFlags {
            offer: has("offer") || has("require"),
            demux: has("demux"),
            accept: has("accept"),
            reject: has("reject"),
        }
    }

    /// Whether a suite is offered on: `no-SUITE`, or others that are `only-SUITE`, take it away.
    pub(crate) fn takes_suite(&self, suite: &str) -> bool {
        let of_flags = self.flags.iter().filter_map(|flag| flag.strip_prefix("SDES-"));
        let mut words = self.dict.texts("SDES");
        words.extend(of_flags);
        let names =
            |start: &str| words.iter().filter_map(|word| word.strip_prefix(start)).any(|name| name == suite);
        !names("no-") && (names("only-") || !words.iter().any(|word| word.starts_with("only-")))
    }

    pub(crate) fn supports_load_limit(&self) -> bool {
        self.dict.texts("supports").contains(&"load limit")
    }

    /// Seconds until a deletion takes effect.
    pub(crate) fn delete_delay_s(&self) -> Option<u64> {
        let delay = self.dict.find("delete-delay").and_then(super::value::Value::int)?;
        Some(u64::try_from(delay).unwrap_or(0).min(DELETE_DELAY_S))
    }

    /// Refuses what cannot be done and would leave a call without media.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let ice = self.dict.text("ICE").unwrap_or_default();
        if ice.starts_with("force") {
            return Err(Failure::error("ICE is not supported"));
        }
        Ok(())
    }

    /// Whether the call is to be recorded from its answer on, or no longer; none when nothing is said of it.
    pub(crate) fn record_call(&self) -> Option<bool> {
        (self.has("record-call") || self.dict.text("record-call").is_some()).then(|| self.has("record-call"))
    }

    /// What becomes of codecs.
    pub(crate) fn codecs(&self) -> Codecs<'a> {
        Codecs::of(self.dict, &self.flags)
    }

    /// Tags of several parties.
    pub(crate) fn tags(&self) -> Vec<&'a str> {
        let mut tags = self.dict.texts("from-tags");
        tags.extend(self.flags.iter().filter_map(|flag| flag.strip_prefix("from-tags-")));
        tags
    }

    /// What is offered to a party that we call: the codecs that `offer` and `transcode` name, else PCMA and PCMU; without what
    /// is to be left out.
    pub(crate) fn own_formats(&self) -> Result<Vec<Format>, Failure> {
        let codecs = self.codecs();
        let mut names: Vec<&str> = codecs.wanted().collect();
        if names.is_empty() {
            names.extend(["PCMA", "PCMU"]);
        }
        let mut formats = Vec::new();
        for name in names {
            let format = Format::own_named(name)
                .ok_or_else(|| Failure::error(format!("Unsupported codec: {}", shown(name))))?;
            if !formats.contains(&format) && !codecs.leaves_out(&format) {
                formats.push(format);
            }
        }
        Ok(formats)
    }
}

/// Whether a protocol is RTP that the engine can carry as it is.
pub(crate) fn is_plain_rtp(protocol: &str) -> bool {
    matches!(protocol, "RTP/AVP" | "RTP/AVPF")
}

pub(crate) fn unsupported_protocol(protocol: &str) -> Failure {
    Failure::error(format!("Unsupported transport protocol: {}", shown(protocol)))
}

/// As much of a client's word as a sentence can bear.
pub(crate) fn shown(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(40).collect()
}
