//! Session descriptions (RFC 8866), kept line by line: what is not understood is passed on as it came, byte for byte.

mod format;
mod local;
mod rewrite;

use std::net::{IpAddr, SocketAddr};

pub(crate) use format::opus_of;
pub use format::{Choice, Format, choose};
pub use local::{LocalSection, Place, describe};
use offhook_proto::{Ptime, Remote};
pub use rewrite::{Carried, Rewriting, RtcpAttribute, SectionOut, rewrite};

use crate::limits::{FORMATS, SDP_BYTES, SECTIONS};

/// A session description.
#[derive(Clone, Debug, PartialEq)]
pub struct Sdp {
    /// Lines before the first `m=`.
    pub(crate) session: Vec<Line>,
    /// Media sections, in order.
    pub(crate) sections: Vec<Section>,
}

/// One line without its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) text: Vec<u8>,
    /// Whether it ended in CR LF rather than in a bare LF.
    pub(crate) cr: bool,
}

/// One media section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// `audio`, `video`, …
    pub(crate) kind: String,
    /// Port of RTP, 0 when the section is refused.
    pub(crate) port: u16,
    /// `/2` and the like after the port.
    pub(crate) port_count: String,
    /// `RTP/AVP`, …
    pub(crate) protocol: String,
    /// Payload types, or whatever the protocol has.
    pub(crate) formats: Vec<String>,
    /// The lines after `m=`.
    pub(crate) lines: Vec<Line>,
    pub(crate) cr: bool,
}

/// Which way a section's media goes, as its own side says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// Only from it.
    SendOnly,
    /// Only to it.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// A description that cannot be read, or that is past a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Sdp {
    /// Reads a description.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > SDP_BYTES || !bytes.starts_with(b"v=0") {
            return Err(Unreadable);
        }
        let mut sdp = Self { session: Vec::new(), sections: Vec::new() };
        for line in without_blank_end(bytes).split(|&byte| byte == b'\n') {
            let (text, cr) = line.strip_suffix(b"\r").map_or((line, false), |text| (text, true));
            if text.get(1) != Some(&b'=') {
                return Err(Unreadable);
            }
            if let Some(media) = text.strip_prefix(b"m=") {
                sdp.sections.push(Section::parse(media, cr).ok_or(Unreadable)?);
                continue;
            }
            let line = Line { text: text.to_vec(), cr };
            match sdp.sections.last_mut() {
                Some(section) => section.lines.push(line),
                None => sdp.session.push(line),
            }
        }
        if sdp.sections.len() > SECTIONS {
            return Err(Unreadable);
        }
        Ok(sdp)
    }

    /// Whether it has passed the engine of this mark.
    pub(crate) fn is_marked(&self, mark: &str) -> bool {
        let is_mark = |line: &Line| line.text.strip_prefix(b"a=rtpengine:") == Some(mark.as_bytes());
        self.session.iter().any(is_mark)
    }

    /// Where a section's media goes: its own `c=`, or the session's. None when there is no such line, or no IP address in it.
    pub(crate) fn connection(&self, section: &Section) -> Option<IpAddr> {
        let line = find(&section.lines, b"c=").or_else(|| find(&self.session, b"c="))?;
        let text = std::str::from_utf8(line).ok()?;
        let address = text.split_whitespace().nth(2)?;
        address.split('/').next()?.parse().ok()
    }

    /// Where a section's RTP and RTCP go; `instead` takes the place of the address written there.
    ///
    /// None when it says nowhere: port 0, or an unspecified address (the old way of holding, RFC 3264 section 8.4).
    pub(crate) fn remote(&self, section: &Section, instead: Option<IpAddr>) -> Option<Remote> {
        let written = self.connection(section)?;
        if section.port == 0 || written.is_unspecified() {
            return None;
        }
        let address = instead.unwrap_or(written);
        let rtp = SocketAddr::new(address, section.port);
        // RFC 3605; with rtcp-mux the attribute names the RTP port, and RTCP goes there.
        let port = section.attribute("rtcp").and_then(|value| value.split_whitespace().next()?.parse().ok());
        let rtcp = port.filter(|&port: &u16| port != 0).map(|port| SocketAddr::new(address, port));
        Some(Remote { rtp, rtcp: rtcp.filter(|rtcp| Some(rtcp.port()) != rtp.port().checked_add(1)) })
    }

    /// Which way a section's media goes.
    pub(crate) fn direction(&self, section: &Section) -> Direction {
        let of = |lines: &[Line]| lines.iter().rev().find_map(|line| Direction::of_line(&line.text));
        of(&section.lines).or_else(|| of(&self.session)).unwrap_or(Direction::SendRecv)
    }
}

impl Section {
    fn parse(media: &[u8], cr: bool) -> Option<Self> {
        let text = std::str::from_utf8(media).ok()?;
        let mut words = text.split_whitespace();
        let (kind, port, protocol) = (words.next()?, words.next()?, words.next()?);
        let digits = port.find('/').unwrap_or(port.len());
        let formats: Vec<String> = words.map(str::to_owned).collect();
        (formats.len() <= FORMATS).then_some(())?;
        Some(Self {
            kind: kind.to_owned(),
            port: port[..digits].parse().ok()?,
            port_count: port[digits..].to_owned(),
            protocol: protocol.to_owned(),
            formats,
            lines: Vec::new(),
            cr,
        })
    }

    /// The value of the first attribute of a name.
    pub(crate) fn attribute<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.attributes(name).next()
    }

    /// Whether it has an attribute without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.text.strip_prefix(b"a=") == Some(name.as_bytes()))
    }

    /// The values of all attributes of a name.
    pub(crate) fn attributes<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.lines.iter().filter_map(move |line| {
            let value = line.text.strip_prefix(b"a=")?.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
            std::str::from_utf8(value).ok()
        })
    }

    /// Packet time in milliseconds, as its side wants to receive it.
    pub(crate) fn ptime_ms(&self) -> Option<u16> {
        self.ptime().wanted_ms
    }

    /// All that it says of packet times.
    pub(crate) fn ptime(&self) -> Ptime {
        let value = |name: &str| self.attribute(name).and_then(|value| value.trim().parse().ok());
        Ptime { wanted_ms: value("ptime"), most_ms: value("maxptime") }
    }
}

impl Direction {
    fn of_line(line: &[u8]) -> Option<Self> {
        match line {
            b"a=sendrecv" => Some(Self::SendRecv),
            b"a=sendonly" => Some(Self::SendOnly),
            b"a=recvonly" => Some(Self::RecvOnly),
            b"a=inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// A body without the blank lines that some phones send after it, and without the last line feed.
fn without_blank_end(bytes: &[u8]) -> &[u8] {
    let mut body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    while let Some(shorter) = [&b"\n\r"[..], b"\n"].iter().find_map(|blank| body.strip_suffix(*blank)) {
        body = shorter;
    }
    body
}

fn find<'a>(lines: &'a [Line], start: &[u8]) -> Option<&'a [u8]> {
    lines.iter().find_map(|line| line.text.strip_prefix(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_section_says_where_its_media_goes() {
        let sdp = Sdp::parse(
            b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\na=sendonly\r\n\
              m=audio 4000 RTP/AVP 0\r\na=rtcp:4005 IN IP4 10.0.0.9\r\na=ptime:30\r\n\
              m=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=recvonly\r\n\
              m=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
        )
        .expect("sound");
        let [first, second, third] = &sdp.sections[..] else { panic!("three sections") };
        let remote = sdp.remote(first, None).expect("somewhere");
        assert_eq!(
            (remote.rtp, remote.rtcp),
            ("10.0.0.1:4000".parse().unwrap(), "10.0.0.1:4005".parse().ok())
        );
        assert_eq!((sdp.direction(first), first.ptime_ms()), (Direction::SendOnly, Some(30)));
        assert_eq!(sdp.remote(second, None).expect("somewhere").rtp, "[2001:db8::1]:5000".parse().unwrap());
        assert_eq!(sdp.direction(second), Direction::RecvOnly);
        assert_eq!(sdp.remote(third, None), None, "on hold the old way");
        let instead = sdp.remote(first, "10.9.9.9".parse().ok()).expect("somewhere");
        assert_eq!(instead.rtp, "10.9.9.9:4000".parse().unwrap());
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in [
            "",
            "v=1\r\n",
            "v=0\r\nnonsense\r\n",
            "v=0\r\nm=audio x RTP/AVP 0\r\n",
            "v=0\r\nm=audio 70000 RTP/AVP 0\r\n",
        ] {
            assert_eq!(Sdp::parse(text.as_bytes()), Err(Unreadable), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_lines_are_taken_without_a_panic(lines in proptest::collection::vec("[mcaobst]=[ -~]{0,30}", 0..20)) {
            let text = format!("v=0\r\n{}", lines.join("\r\n"));
            if let Ok(sdp) = Sdp::parse(text.as_bytes()) {
                for section in &sdp.sections {
                    let _ = (sdp.remote(section, None), sdp.direction(section), Format::of(section));
                }
            }
        }
    }
}
