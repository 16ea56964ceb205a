//! Session descriptions: our offers and answers, and what the peer's say (RFC 3264, RFC 8866).
//!
//! One audio stream over RTP/AVP is taken; every other stream of an offer is answered with port 0. Lines that we do not
//! act on are left out before parsing, so that a peer's unusual attribute never costs the call.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ezk_sdp_types::{
    Connection, Fmtp, MediaDescription, MediaType, Origin, Rtcp, RtpMap, SessionDescription, TaggedAddress,
    Time, TransportProtocol,
};
use offhook_control_core::sip::{Direction, LocalMedia, RemoteMedia};
use offhook_proto::{Codec, Media, Remote};

use super::limits::SDP_BYTES;

/// Why a session description cannot be used. Each means 488 to an offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SdpError {
    /// Not SDP, or longer than [`SDP_BYTES`].
    #[error("the session description cannot be read: {0}")]
    Malformed(String),
    /// No audio stream over plain RTP with a port.
    #[error("the session description has no audio stream over RTP/AVP")]
    NoAudio,
    /// No encoding in common.
    #[error("no audio encoding in common")]
    NoCommonCodec,
    /// No `c=` line, or a host name in it.
    #[error("the session description names no IP address")]
    NoAddress,
}

/// A peer's description, as far as we act on it.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// The `m=` lines in order, as sent.
    media_lines: Vec<String>,
    /// Index of the audio stream taken.
    audio: usize,
    remote: Remote,
    direction: Direction,
    encodings: Vec<Encoding>,
    ptime_ms: Option<u8>,
}

#[derive(Clone, Debug)]
struct Encoding {
    payload_type: u8,
    name: String,
    clock_hz: u32,
}

impl Description {
    /// Reads a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > SDP_BYTES {
            return Err(SdpError::Malformed(format!("longer than {SDP_BYTES} bytes")));
        }
        let text = std::str::from_utf8(body).map_err(|_| SdpError::Malformed("not UTF-8".to_owned()))?;
        let (text, media_lines) = used_lines(text);
        let session = SessionDescription::parse(&text.into())
            .map_err(|error| SdpError::Malformed(error.to_string()))?;
        let (audio, stream) = session
            .media_descriptions
            .iter()
            .enumerate()
            .find(|(_, stream)| is_plain_audio(stream))
            .ok_or(SdpError::NoAudio)?;
        let connection =
            stream.connection.as_ref().or(session.connection.as_ref()).ok_or(SdpError::NoAddress)?;
        let ip = ip_of(&connection.address)?;
        let rtcp = stream.rtcp.as_ref().map(|rtcp| {
            let ip = rtcp.address.as_ref().and_then(|address| ip_of(address).ok()).unwrap_or(ip);
            SocketAddr::new(ip, rtcp.port)
        });
        Ok(Self {
            media_lines,
            audio,
            remote: Remote { rtp: SocketAddr::new(ip, stream.media.port), rtcp },
            direction: held(direction_of(stream.direction), ip),
            encodings: stream.media.fmts.iter().filter_map(|&pt| encoding(stream, pt)).collect(),
            ptime_ms: ptime(stream),
        })
    }

    /// What this peer and we would send each other: the first of `ours` that the peer lists, with the peer's payload
    /// types (RFC 3264 section 6.1). Order `ours` by preference, so that nobody has to transcode.
    pub(crate) fn choose(&self, ours: &[Media]) -> Result<Media, SdpError> {
        let (media, pt) = ours
            .iter()
            .find_map(|media| self.payload_type(media.codec).map(|pt| (media, pt)))
            .ok_or(SdpError::NoCommonCodec)?;
        Ok(Media {
            codec: media.codec,
            payload_type: pt,
            telephone_event: media.telephone_event.and(self.named("telephone-event", 8_000)),
            comfort_noise: media.comfort_noise.and(self.named("CN", 8_000)),
            ptime_ms: self.ptime_ms.unwrap_or(media.ptime_ms),
        })
    }

    /// The peer's side with the encoding that [`Self::choose`] finds.
    pub(crate) fn remote_media(&self, ours: &[Media]) -> Result<RemoteMedia, SdpError> {
        Ok(RemoteMedia { remote: self.remote, media: self.choose(ours)?, direction: self.direction })
    }

    fn payload_type(&self, codec: Codec) -> Option<u8> {
        let (name, clock_hz, _) = encoding_name(codec);
        self.named(name, clock_hz)
    }

    fn named(&self, name: &str, clock_hz: u32) -> Option<u8> {
        self.encodings
            .iter()
            .find(|encoding| encoding.name.eq_ignore_ascii_case(name) && encoding.clock_hz == clock_hz)
            .map(|encoding| encoding.payload_type)
    }
}

/// Our offer: every encoding of `local.media`, in its order.
pub(crate) fn offer(local: &LocalMedia, direction: Direction) -> String {
    let mut text = session(local);
    let _ = write!(text, "{}", audio(local, &local.media, direction));
    text
}

/// Our answer to `offer`, and what was agreed.
pub(crate) fn answer(offer: &Description, local: &LocalMedia) -> Result<(String, RemoteMedia), SdpError> {
    let agreed = offer.remote_media(&local.media)?;
    let mut text = session(local);
    for (index, line) in offer.media_lines.iter().enumerate() {
        if index == offer.audio {
            let ours = audio(local, std::slice::from_ref(&agreed.media), reversed(agreed.direction));
            let _ = write!(text, "{ours}");
        } else {
            let _ = write!(text, "{}\r\n", refused(line));
        }
    }
    Ok((text, agreed))
}

/// The peer's answer to an offer of ours that listed `ours`: the first encoding of the answer that we offered.
pub(crate) fn accept(answer: &[u8], ours: &[Media]) -> Result<RemoteMedia, SdpError> {
    let answer = Description::parse(answer)?;
    let mut by_answer: Vec<Media> = ours.to_vec();
    by_answer.sort_by_key(|media| {
        answer
            .payload_type(media.codec)
            .and_then(|pt| answer.encodings.iter().position(|encoding| encoding.payload_type == pt))
            .unwrap_or(usize::MAX)
    });
    answer.remote_media(&by_answer)
}

/// What we do when the peer does `direction` (RFC 3264 section 6.1).
pub(crate) fn reversed(direction: Direction) -> Direction {
    match direction {
        Direction::SendRecv => Direction::SendRecv,
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::Inactive => Direction::Inactive,
    }
}

fn session(local: &LocalMedia) -> String {
    let address = TaggedAddress::from(local.rtp.ip());
    let session = SessionDescription {
        origin: Origin {
            username: "offhook".into(),
            session_id: format!("{}", u64::from(local.rtp.port()) + 1).into(),
            session_version: local.session_version.to_string().into(),
            address: address.clone(),
        },
        name: "-".into(),
        connection: Some(Connection { address, ttl: None, num: None }),
        bandwidth: Vec::new(),
        time: Time { start: 0, stop: 0 },
        direction: ezk_sdp_types::Direction::SendRecv,
        group: Vec::new(),
        extmap: Vec::new(),
        extmap_allow_mixed: false,
        ice_lite: false,
        ice_options: ezk_sdp_types::IceOptions::default(),
        ice_ufrag: None,
        ice_pwd: None,
        setup: None,
        fingerprint: Vec::new(),
        attributes: Vec::new(),
        media_descriptions: Vec::new(),
    };
    session.to_string()
}

fn audio(local: &LocalMedia, media: &[Media], direction: Direction) -> MediaDescription {
    let mut stream = MediaDescription::rejected(MediaType::Audio);
    stream.media.port = local.rtp.port();
    stream.direction = match direction {
        Direction::SendRecv => ezk_sdp_types::Direction::SendRecv,
        Direction::SendOnly => ezk_sdp_types::Direction::SendOnly,
        Direction::RecvOnly => ezk_sdp_types::Direction::RecvOnly,
        Direction::Inactive => ezk_sdp_types::Direction::Inactive,
    };
    if local.rtcp != SocketAddr::new(local.rtp.ip(), local.rtp.port().wrapping_add(1)) {
        let address = (local.rtcp.ip() != local.rtp.ip()).then(|| TaggedAddress::from(local.rtcp.ip()));
        stream.rtcp = Some(Rtcp { port: local.rtcp.port(), address });
    }
    let mut map = |payload: u8, name: &str, clock_rate: u32, params: Option<&str>| {
        if !stream.media.fmts.contains(&payload) {
            stream.media.fmts.push(payload);
            let params = params.map(|params| params.to_owned().into());
            stream.rtpmap.push(RtpMap { payload, encoding: name.into(), clock_rate, params });
        }
    };
    for media in media {
        let (name, clock_hz, channels) = encoding_name(media.codec);
        map(media.payload_type, name, clock_hz, channels);
    }
    if let Some(pt) = media.iter().find_map(|media| media.comfort_noise) {
        map(pt, "CN", 8_000, None);
    }
    if let Some(pt) = media.iter().find_map(|media| media.telephone_event) {
        map(pt, "telephone-event", 8_000, None);
        stream.fmtp.push(Fmtp { format: pt, params: "0-15".into() });
    }
    if let Some(first) = media.first() {
        let value = Some(first.ptime_ms.to_string().into());
        stream.attributes.push(ezk_sdp_types::UnknownAttribute { name: "ptime".into(), value });
    }
    stream
}

/// Encoding name, RTP clock and channel count of a codec as `a=rtpmap` has them.
fn encoding_name(codec: Codec) -> (&'static str, u32, Option<&'static str>) {
    match codec {
        Codec::Pcmu => ("PCMU", 8_000, None),
        Codec::Pcma => ("PCMA", 8_000, None),
        Codec::G722 => ("G722", 8_000, None),
        Codec::Opus => ("opus", 48_000, Some("2")),
        Codec::L16 => ("L16", 8_000, None),
    }
}

/// An encoding by its `a=rtpmap`, or by the static table (RFC 3551 section 6).
fn encoding(stream: &MediaDescription, payload_type: u8) -> Option<Encoding> {
    if let Some(map) = stream.rtpmap.iter().find(|map| map.payload == payload_type) {
        let name = map.encoding.as_str().trim().to_owned();
        return Some(Encoding { payload_type, name, clock_hz: map.clock_rate });
    }
    let name = match payload_type {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        _ => return None,
    };
    Some(Encoding { payload_type, name: name.to_owned(), clock_hz: 8_000 })
}

fn ptime(stream: &MediaDescription) -> Option<u8> {
    let value = |name: &str| {
        let attribute = stream.attributes.iter().find(|attribute| attribute.name.as_str() == name)?;
        attribute.value.as_ref()?.as_str().trim().parse::<u16>().ok()
    };
    let asked = value("ptime")?;
    let most = value("maxptime").unwrap_or(60).min(60);
    u8::try_from(asked.min(most) / 10 * 10).ok().filter(|ms| (10..=60).contains(ms))
}

fn is_plain_audio(stream: &MediaDescription) -> bool {
    let media = &stream.media;
    let plain = matches!(media.proto, TransportProtocol::RtpAvp | TransportProtocol::RtpAvpf);
    media.media_type == MediaType::Audio && media.port != 0 && plain && !media.fmts.is_empty()
}

fn ip_of(address: &TaggedAddress) -> Result<IpAddr, SdpError> {
    match address {
        TaggedAddress::IP4(ip) => Ok(IpAddr::V4(*ip)),
        TaggedAddress::IP6(ip) => Ok(IpAddr::V6(*ip)),
        TaggedAddress::IP4FQDN(_) | TaggedAddress::IP6FQDN(_) => Err(SdpError::NoAddress),
    }
}

fn direction_of(direction: ezk_sdp_types::Direction) -> Direction {
    match direction {
        ezk_sdp_types::Direction::SendRecv => Direction::SendRecv,
        ezk_sdp_types::Direction::SendOnly => Direction::SendOnly,
        ezk_sdp_types::Direction::RecvOnly => Direction::RecvOnly,
        ezk_sdp_types::Direction::Inactive => Direction::Inactive,
    }
}

/// A connection address of zeros means "send me nothing", the hold of RFC 2543 (RFC 3264 section 8.4).
fn held(direction: Direction, ip: IpAddr) -> Direction {
    match direction {
        Direction::SendRecv if ip.is_unspecified() => Direction::SendOnly,
        Direction::RecvOnly if ip.is_unspecified() => Direction::Inactive,
        other => other,
    }
}

/// The lines that we act on, with a stand-in for streams of other kinds; and all `m=` lines as sent.
fn used_lines(text: &str) -> (String, Vec<String>) {
    const ATTRIBUTES: [&str; 8] =
        ["rtpmap", "ptime", "maxptime", "rtcp", "sendrecv", "sendonly", "recvonly", "inactive"];
    let mut used = String::with_capacity(text.len());
    let mut media_lines = Vec::new();
    for line in text.split(['\r', '\n']).map(str::trim_end) {
        let keep = match line.as_bytes() {
            [b'm', b'=', ..] => {
                media_lines.push(line.to_owned());
                if !line.starts_with("m=audio ") {
                    used.push_str("m=application 0 udp 0\r\n");
                    continue;
                }
                true
            }
            [b'a', b'=', ..] => {
                let name = line[2..].split(':').next().unwrap_or_default();
                ATTRIBUTES.contains(&name)
            }
            [b'v' | b'o' | b's' | b't' | b'c', b'=', ..] => true,
            _ => false,
        };
        if keep {
            used.push_str(line);
            used.push_str("\r\n");
        }
    }
    (used, media_lines)
}

/// An offered `m=` line with port 0 (RFC 3264 section 6).
fn refused(line: &str) -> String {
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or("m=audio");
    let _port = words.next();
    let rest: Vec<&str> = words.collect();
    format!("{kind} 0 {}", rest.join(" "))
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
