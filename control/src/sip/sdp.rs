//! Session descriptions: our offers and answers, and what the peer's say (RFC 3264, RFC 8866).
//!
//! One audio stream is taken, over RTP/AVP or, with keys in `a=crypto`, RTP/SAVP, and their variants with feedback; every other stream of
//! an offer is answered with port 0. Lines that we do not act on are left out before parsing, so that a peer's unusual attribute never
//! costs the call.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ezk_sdp_types::{
    Connection, Fmtp, MediaDescription, MediaType, Origin, Rtcp, RtpMap, SessionDescription, TaggedAddress,
    Time, TransportProtocol,
};
use offhook_control_core::sip::{Direction, LocalMedia, RemoteMedia};
use offhook_proto::{Codec, Crypto, LegUpdate, Media, Opus, Ptime, Remote, Srtp, validate};

use super::limits::SDP_BYTES;
pub(crate) use super::sdp_error::SdpError;
use super::secrets::{Secrets, Security};

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
    ptime: Ptime,
    proto: TransportProtocol,
    /// Keys of the stream that can be used, in order.
    crypto: Vec<Crypto>,
    rtcp_mux: bool,
}

#[derive(Clone, Debug)]
struct Encoding {
    payload_type: u8,
    name: String,
    clock_hz: u32,
    /// Its `a=fmtp`, after the payload type; empty when there is none.
    parameters: String,
}

impl Description {
    /// Reads a body of a peer whose calls are secured so.
    pub(crate) fn parse(body: &[u8], security: Security) -> Result<Self, SdpError> {
        if body.len() > SDP_BYTES {
            return Err(SdpError::Malformed(format!("longer than {SDP_BYTES} bytes")));
        }
        let text = std::str::from_utf8(body).map_err(|_| SdpError::Malformed("not UTF-8".to_owned()))?;
        let (text, media_lines) = used_lines(text);
        // Kind, port and protocol (RFC 8866 section 5.14): an answer repeats them.
        if let Some(line) = media_lines.iter().find(|line| line.split_whitespace().count() < 3) {
            return Err(SdpError::Malformed(format!("a stream without a port or a protocol: {line:.40}")));
        }
        let session = SessionDescription::parse(&text.into())
            .map_err(|error| SdpError::Malformed(error.to_string()))?;
        let streams = session.media_descriptions.iter().enumerate();
        let (audio, stream) = streams
            .filter(|(_, stream)| is_usable_audio(stream, security))
            // Encrypted before plain, else the first.
            .min_by_key(|(_, stream)| security == Security::Off || crypto_of(stream).is_empty())
            .ok_or(SdpError::NoAudio)?;
        let connection =
            stream.connection.as_ref().or(session.connection.as_ref()).ok_or(SdpError::NoAddress)?;
        let ip = ip_of(&connection.address)?;
        let rtcp = stream.rtcp.as_ref().map(|rtcp| {
            let ip = rtcp.address.as_ref().and_then(|address| ip_of(address).ok()).unwrap_or(ip);
            SocketAddr::new(ip, rtcp.port)
        });
        let rtp = SocketAddr::new(ip, stream.media.port);
        // Zeros are a hold.
        if !ip.is_unspecified() && !is_remote(Remote { rtp, rtcp: None }) {
            return Err(SdpError::NoAddress);
        }
        Ok(Self {
            media_lines,
            audio,
            remote: Remote { rtp, rtcp: rtcp.filter(|_| is_remote(Remote { rtp, rtcp })) },
            direction: held(direction_of(stream.direction), ip),
            encodings: stream.media.fmts.iter().filter_map(|&pt| encoding(stream, pt)).collect(),
            ptime: ptime(stream),
            proto: stream.media.proto.clone(),
            crypto: if security == Security::Off { Vec::new() } else { crypto_of(stream) },
            rtcp_mux: stream.rtcp_mux,
        })
    }

    /// What this peer and we would send each other: the first of `ours` that the peer lists, with the peer's payload
    /// types (RFC 3264 section 6.1). Order `ours` by preference, so that nobody has to transcode.
    pub(crate) fn choose(&self, ours: &[Media]) -> Result<Media, SdpError> {
        ours.iter().find_map(|media| self.agreed(media)).ok_or(SdpError::NoCommonCodec)
    }

    /// One of ours with the peer's payload types, if the peer lists it. What it gives a payload type that means something else is as if
    /// it were not listed.
    fn agreed(&self, media: &Media) -> Option<Media> {
        let pt = self.payload_type(media.codec)?;
        let (_, clock_hz, _) = encoding_name(media.codec);
        let event =
            [clock_hz, 8_000].into_iter().find_map(|rate_hz| Some((self.named(EVENT, rate_hz)?, rate_hz)));
        let event = event.filter(|_| media.telephone_event.is_some());
        let mut agreed = Media {
            codec: media.codec,
            payload_type: pt,
            telephone_event: event.map(|(payload_type, _)| payload_type),
            telephone_event_rate_hz: event.map(|(_, rate_hz)| rate_hz).filter(|rate_hz| *rate_hz != clock_hz),
            comfort_noise: media.comfort_noise.and(self.named("CN", clock_hz)),
            opus: self.opus(media.codec, pt),
            ..media.clone()
        };
        self.ptime.apply(&mut agreed);
        let bare = Media {
            telephone_event: None,
            telephone_event_rate_hz: None,
            comfort_noise: None,
            ..agreed.clone()
        };
        [agreed, bare].into_iter().find(is_media)
    }

    /// What the peer asks for of Opus, where that is what it is sent.
    fn opus(&self, codec: Codec, payload_type: u8) -> Opus {
        let chosen = self.encodings.iter().find(|encoding| encoding.payload_type == payload_type);
        match (codec, chosen) {
            (Codec::Opus, Some(chosen)) => Opus::from_fmtp(&chosen.parameters),
            _ => Opus::default(),
        }
    }

    /// The peer's side of an offer, with the encoding that [`Self::choose`] finds.
    pub(crate) fn remote_media(&self, ours: &[Media], secrets: &Secrets) -> Result<RemoteMedia, SdpError> {
        let srtp = secrets.answer(&self.crypto).map_or(Srtp::Off, |(_, agreed)| agreed);
        self.with(srtp, ours)
    }

    fn with(&self, srtp: Srtp, ours: &[Media]) -> Result<RemoteMedia, SdpError> {
        let media = self.choose(ours)?;
        // On a port that carries RTCP too, these look like it (RFC 5761 section 4).
        let mistakable = [Some(media.payload_type), media.telephone_event, media.comfort_noise];
        let rtcp_mux = self.rtcp_mux && !mistakable.iter().flatten().any(|pt| (64..=95).contains(pt));
        Ok(RemoteMedia { remote: self.remote, media, direction: self.direction, srtp, rtcp_mux })
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
pub(crate) fn offer(local: &LocalMedia, secrets: &Secrets, direction: Direction) -> String {
    let mut text = session(local);
    let mut stream = audio(local, &local.media, direction);
    if secrets.security == Security::Required {
        stream.media.proto = TransportProtocol::RtpSavp;
    }
    stream.rtcp_mux = true;
    let _ = write!(text, "{stream}");
    write_crypto(&mut text, &secrets.offer());
    text
}

/// Our answer to `offer`, and what was agreed.
pub(crate) fn answer(
    offer: &Description,
    local: &LocalMedia,
    secrets: &Secrets,
) -> Result<(String, RemoteMedia), SdpError> {
    let agreed = offer.remote_media(&local.media, secrets)?;
    of_version(&agreed, local)?;
    let crypto = secrets.answer(&offer.crypto).map(|(line, _)| line);
    let mut text = session(local);
    for (index, line) in offer.media_lines.iter().enumerate() {
        if index == offer.audio {
            let direction = reversed(agreed.direction);
            let mut ours = audio(local, std::slice::from_ref(&agreed.media), direction);
            ours.media.proto = offer.proto.clone();
            ours.rtcp_mux = agreed.rtcp_mux;
            let _ = write!(text, "{ours}");
            write_crypto(&mut text, crypto.as_slice());
        } else {
            let _ = write!(text, "{}\r\n", refused(line));
        }
    }
    Ok((text, agreed))
}

/// The peer's answer to the offer that says `local`: the first encoding of the answer that we offered.
pub(crate) fn accept(answer: &[u8], local: &LocalMedia, secrets: &Secrets) -> Result<RemoteMedia, SdpError> {
    // An answer without a key is told from one that cannot be read.
    let lenient = if secrets.security == Security::Off { Security::Off } else { Security::Optional };
    let answer = Description::parse(answer, lenient)?;
    let srtp = secrets.accept(&answer.crypto);
    if srtp.is_none() && (secrets.security == Security::Required || !answer.crypto.is_empty()) {
        return Err(SdpError::NotSecure);
    }
    let mut by_answer = local.media.clone();
    by_answer.sort_by_key(|media| {
        answer
            .payload_type(media.codec)
            .and_then(|pt| answer.encodings.iter().position(|encoding| encoding.payload_type == pt))
            .unwrap_or(usize::MAX)
    });
    let agreed = answer.with(srtp.unwrap_or_default(), &by_answer)?;
    of_version(&agreed, local)?;
    Ok(agreed)
}

fn of_version(agreed: &RemoteMedia, local: &LocalMedia) -> Result<(), SdpError> {
    let is_ours = agreed.remote.rtp.is_ipv4() == local.rtp.is_ipv4();
    is_ours.then_some(()).ok_or(SdpError::OtherVersion)
}

/// Whether the engine sends there. What it does not take is found here, where only the offer is refused for it.
fn is_remote(remote: Remote) -> bool {
    is_taken(LegUpdate { remote: Some(remote), ..LegUpdate::default() })
}

/// Whether the engine takes this for a leg's encoding.
fn is_media(media: &Media) -> bool {
    is_taken(LegUpdate { media: Some(media.clone()), ..LegUpdate::default() })
}

fn is_taken(update: LegUpdate) -> bool {
    validate::leg_update(&LegUpdate { leg: "leg".to_owned(), ..update }).is_ok()
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
    // What we lose of Opus is recovered from the packet after it (RFC 7587 section 6.1).
    let opus = media.iter().filter(|media| media.codec == Codec::Opus).map(|media| media.payload_type);
    stream.fmtp.extend(opus.map(|format| Fmtp { format, params: "useinbandfec=1".into() }));
    let mut events = Vec::new();
    for media in media {
        if let Some(pt) = media.telephone_event.filter(|pt| !events.contains(pt)) {
            let rate_hz = media.telephone_event_rate_hz.unwrap_or(encoding_name(media.codec).1);
            map(pt, EVENT, rate_hz, None);
            events.push(pt);
        }
    }
    stream.fmtp.extend(events.into_iter().map(|format| Fmtp { format, params: "0-15".into() }));
    if let Some(first) = media.first() {
        let value = Some(first.ptime_ms.to_string().into());
        stream.attributes.push(ezk_sdp_types::UnknownAttribute { name: "ptime".into(), value });
    }
    stream
}

/// Encoding name of RFC 4733 events.
const EVENT: &str = "telephone-event";

/// Encoding name, RTP clock and channel count of a codec as `a=rtpmap` has them.
fn encoding_name(codec: Codec) -> (&'static str, u32, Option<&'static str>) {
    match codec {
        Codec::Pcmu => ("PCMU", 8_000, None),
        Codec::Pcma => ("PCMA", 8_000, None),
        Codec::G722 => ("G722", 8_000, None),
        Codec::Opus => ("opus", 48_000, Some("2")),
        Codec::L16 { rate_hz } => ("L16", rate_hz, None),
    }
}

/// An encoding by its `a=rtpmap`, or by the static table (RFC 3551 section 6).
fn encoding(stream: &MediaDescription, payload_type: u8) -> Option<Encoding> {
    let parameters = parameters(stream, payload_type);
    if let Some(map) = stream.rtpmap.iter().find(|map| map.payload == payload_type) {
        let name = map.encoding.as_str().trim().to_owned();
        // Linear samples of two channels are another encoding; all others have the channels of their name.
        let stereo = map.params.as_ref().is_some_and(|channels| channels.as_str().trim() != "1");
        if name.eq_ignore_ascii_case("L16") && stereo {
            return None;
        }
        return Some(Encoding { payload_type, name, clock_hz: map.clock_rate, parameters });
    }
    let (name, clock_hz) = match payload_type {
        0 => ("PCMU", 8_000),
        8 => ("PCMA", 8_000),
        9 => ("G722", 8_000),
        11 => ("L16", 44_100),
        13 => ("CN", 8_000),
        _ => return None,
    };
    Some(Encoding { payload_type, name: name.to_owned(), clock_hz, parameters })
}

/// What follows a payload type in its last `a=fmtp`; [`used_lines`] has given the attribute another name.
fn parameters(stream: &MediaDescription, payload_type: u8) -> String {
    let lines = stream.attributes.iter().filter(|attribute| attribute.name.as_str() == FMTP_AS_READ);
    let values = lines.filter_map(|line| line.value.as_ref()?.as_str().split_once(' '));
    let own = values.filter(|(number, _)| number.trim().parse() == Ok(payload_type));
    own.last().map(|(_, parameters)| parameters.to_owned()).unwrap_or_default()
}

fn ptime(stream: &MediaDescription) -> Ptime {
    let value = |name: &str| {
        let attribute = stream.attributes.iter().find(|attribute| attribute.name.as_str() == name)?;
        attribute.value.as_ref()?.as_str().trim().parse::<u16>().ok()
    };
    Ptime { wanted_ms: value("ptime"), most_ms: value("maxptime") }
}

fn is_usable_audio(stream: &MediaDescription, security: Security) -> bool {
    let media = &stream.media;
    let keyed = || !crypto_of(stream).is_empty();
    let secured = match (&media.proto, security) {
        (TransportProtocol::RtpAvp | TransportProtocol::RtpAvpf, Security::Off | Security::Optional) => true,
        // Keys on a stream of the plain profile are an offer to encrypt it, too.
        (TransportProtocol::RtpAvp | TransportProtocol::RtpAvpf, Security::Required) => keyed(),
        (
            TransportProtocol::RtpSavp | TransportProtocol::RtpSavpf,
            Security::Optional | Security::Required,
        ) => keyed(),
        _ => false,
    };
    media.media_type == MediaType::Audio && media.port != 0 && secured && !media.fmts.is_empty()
}

/// The keys of a stream that can be used. [`used_lines`] has given the attribute a name that the parser lets through.
fn crypto_of(stream: &MediaDescription) -> Vec<Crypto> {
    let lines = stream.attributes.iter().filter(|attribute| attribute.name.as_str() == CRYPTO_AS_READ);
    lines.filter_map(|line| Crypto::parse(line.value.as_ref()?.as_str())).collect()
}

fn write_crypto(text: &mut String, lines: &[Crypto]) {
    for line in lines {
        let _ = write!(text, "a=crypto:{line}\r\n");
    }
}

/// Name that `a=crypto` is read under, because a line of it that makes no sense must not cost the call.
const CRYPTO_AS_READ: &str = "x-crypto";
/// The same for `a=fmtp`.
const FMTP_AS_READ: &str = "x-fmtp";

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
    const ATTRIBUTES: [&str; 9] =
        ["rtpmap", "ptime", "maxptime", "rtcp", "rtcp-mux", "sendrecv", "sendonly", "recvonly", "inactive"];
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
            [b'a', b'=', ..] if line.starts_with("a=crypto:") || line.starts_with("a=fmtp:") => {
                used.push_str("a=x-");
                used.push_str(&line[2..]);
                used.push_str("\r\n");
                continue;
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
