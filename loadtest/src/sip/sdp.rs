//! Session descriptions for one PCMU stream (RFC 8866, RFC 3264).

use std::net::{IpAddr, SocketAddr};

/// What the other side's description says about where and what to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remote {
    /// Where its RTP goes.
    pub rtp: SocketAddr,
    /// False when the direction attribute says that it does not want to hear us.
    pub wants_media: bool,
    /// Payload type it uses for telephone-event, if any (RFC 4733).
    pub telephone_event: Option<u8>,
}

/// An offer or answer: PCMU and telephone-event 101 at `local`.
pub fn describe(local: SocketAddr, session: u64) -> String {
    let family = if local.is_ipv6() { "IP6" } else { "IP4" };
    let (ip, port) = (local.ip(), local.port());
    format!(
        "v=0\r\no=- {session} {session} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Reads the first audio stream. `None`: no audio, port 0, no PCMU, or no usable address.
pub(crate) fn parse(body: &[u8]) -> Option<Remote> {
    let text = std::str::from_utf8(body).ok()?;
    let (mut session_ip, mut media_ip) = (None, None);
    let mut audio: Option<(u16, bool)> = None;
    let mut in_audio = false;
    let (mut wants_media, mut telephone_event) = (true, None);
    for line in text.lines() {
        let Some((kind, value)) = line.trim_end().split_once('=') else { continue };
        match kind {
            "m" => {
                in_audio = audio.is_none() && value.starts_with("audio ");
                if in_audio {
                    audio = Some(parse_media(value)?);
                }
            }
            "c" if audio.is_none() => session_ip = parse_connection(value),
            "c" if in_audio => media_ip = parse_connection(value),
            "a" if in_audio || audio.is_none() => match value {
                "sendonly" | "inactive" => wants_media = false,
                "recvonly" | "sendrecv" => wants_media = value == "recvonly" || wants_media,
                _ => telephone_event = telephone_event.or_else(|| parse_telephone_event(value)),
            },
            _ => {}
        }
    }
    let (port, pcmu) = audio?;
    let ip: IpAddr = media_ip.or(session_ip)?;
    let usable = port != 0 && pcmu;
    usable.then(|| Remote {
        rtp: SocketAddr::new(ip, port),
        wants_media: wants_media && !ip.is_unspecified(),
        telephone_event,
    })
}

fn parse_media(value: &str) -> Option<(u16, bool)> {
    let mut words = value.split(' ').skip(1);
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let pcmu = words.skip(1).any(|format| format == "0");
    Some((port, pcmu))
}

fn parse_connection(value: &str) -> Option<IpAddr> {
    value.split(' ').nth(2)?.split('/').next()?.parse().ok()
}

fn parse_telephone_event(value: &str) -> Option<u8> {
    let (payload_type, name) = value.strip_prefix("rtpmap:")?.split_once(' ')?;
    name.starts_with("telephone-event/8000").then(|| payload_type.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_description_is_understood() {
        let local: SocketAddr = "127.0.0.1:20000".parse().expect("an address");
        let remote = parse(describe(local, 1).as_bytes()).expect("our own description");
        assert_eq!(remote, Remote { rtp: local, wants_media: true, telephone_event: Some(101) });
    }

    #[test]
    fn hold_missing_audio_and_foreign_codecs_are_told_apart() {
        let local: SocketAddr = "[::1]:20000".parse().expect("an address");
        let held = describe(local, 1).replace("sendrecv", "sendonly");
        assert_eq!(parse(held.as_bytes()).map(|r| r.wants_media), Some(false));
        assert_eq!(parse(describe(local, 1).replace("AVP 0", "AVP 8").as_bytes()), None);
        assert_eq!(parse(describe(local, 1).replace("audio 20000", "audio 0").as_bytes()), None);
        assert_eq!(parse(b"v=0\r\nm=video 1 RTP/AVP 0\r\n"), None);
        assert_eq!(parse(&[0xff, 0xfe]), None);
    }
}
