//! A description on its way through the engine, rewritten as rtpengine writes it: the order of lines is kept, `o=` and `s=`
//! pass, and what concerns the media path comes at the end of each section (`a=rtpmap` for every payload type, the direction,
//! `a=rtcp`, `a=ptime`).

use std::net::IpAddr;

use offhook_proto::Crypto;

use super::{Direction, Format, Line, Sdp, Section};

/// What becomes of a description.
#[derive(Clone, Debug)]
pub struct Rewriting {
    /// What becomes of each section.
    pub sections: Vec<SectionOut>,
    /// Address for lines that belong to no section.
    pub address: IpAddr,
    /// Whether `o=` gets the address as well.
    pub replace_origin: bool,
    /// Whether `a=sendrecv` is left out where the side did not say so.
    pub original_direction: bool,
    /// Whether `a=rtcp` is written: not at all, the port alone, or the address too.
    pub rtcp: RtcpAttribute,
    /// What it is marked with (`a=rtpengine`), so that it is known when it comes again.
    pub mark: Option<String>,
}

/// How `a=rtcp` (RFC 3605) is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcpAttribute {
    /// Not at all.
    None,
    /// The port alone.
    #[default]
    Port,
    /// Port and address.
    Full,
}

/// What becomes of one section.
#[derive(Clone, Debug)]
pub enum SectionOut {
    /// Its media passes the engine.
    Carried(Carried),
    /// It is refused: port 0.
    Refused,
    /// It passes the engine by, unchanged.
    Untouched,
}

/// Where a section's media goes instead.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Address to write.
    pub address: IpAddr,
    /// Port of RTP.
    pub rtp: u16,
    /// Port of RTCP.
    pub rtcp: u16,
    /// Whether RTCP may come to the port of RTP.
    pub rtcp_mux: bool,
    /// Our keys, on an encrypted section.
    pub crypto: Vec<Crypto>,
    /// Protocol, when it is another.
    pub protocol: Option<String>,
    /// Payload types that stay, in order.
    pub formats: Vec<Format>,
    /// `a=ptime`, in milliseconds.
    pub ptime_ms: Option<u16>,
}

/// Writes a description anew.
pub fn rewrite(sdp: &Sdp, how: &Rewriting) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(1_024));
    let session_address = how
        .sections
        .iter()
        .find_map(|section| match section {
            SectionOut::Carried(carried) => Some(carried.address),
            SectionOut::Refused | SectionOut::Untouched => None,
        })
        .unwrap_or(how.address);
    for line in &sdp.session {
        if line.text.starts_with(b"c=") {
            out.connection(line, session_address);
        } else if line.text.starts_with(b"o=") && how.replace_origin {
            out.origin(line, session_address);
        } else if !is_about_the_path(&line.text) && !line.text.starts_with(b"a=group:") {
            out.line(&line.text, line.cr);
        }
    }
    if let Some(mark) = &how.mark {
        out.new_line(&format!("a=rtpengine:{mark}"));
    }
    for (section, what) in sdp.sections.iter().zip(&how.sections) {
        match what {
            SectionOut::Carried(carried) => out.carried(sdp, section, carried, how),
            SectionOut::Refused => out.refused(section, session_address),
            SectionOut::Untouched => out.untouched(sdp, section),
        }
    }
    out.0
}

struct Writer(Vec<u8>);

impl Writer {
    fn line(&mut self, text: &[u8], cr: bool) {
        self.0.extend_from_slice(text);
        self.0.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
    }

    fn new_line(&mut self, text: &str) {
        self.line(text.as_bytes(), true);
    }

    fn connection(&mut self, line: &Line, address: IpAddr) {
        let held = std::str::from_utf8(&line.text).is_ok_and(|text| text.ends_with(" 0.0.0.0"));
        if held {
            self.line(&line.text, line.cr);
        } else {
            self.line(format!("c={}", network(address)).as_bytes(), line.cr);
        }
    }

    fn origin(&mut self, line: &Line, address: IpAddr) {
        let words: Vec<&[u8]> = line.text.split(|&byte| byte == b' ').collect();
        if words.len() != 6 {
            return self.line(&line.text, line.cr);
        }
        let mut text = words[..3].join(&b' ');
        text.extend_from_slice(format!(" {}", network(address)).as_bytes());
        self.line(&text, line.cr);
    }

    fn media(&mut self, section: &Section, port: u16, protocol: &str, formats: &str) {
        let Section { kind, port_count, .. } = section;
        self.line(format!("m={kind} {port}{port_count} {protocol} {formats}").as_bytes(), section.cr);
    }

    fn carried(&mut self, sdp: &Sdp, section: &Section, carried: &Carried, how: &Rewriting) {
        let numbers: Vec<String> =
            carried.formats.iter().map(|format| format.payload_type.to_string()).collect();
        let protocol = carried.protocol.as_deref().unwrap_or(&section.protocol);
        self.media(section, carried.rtp, protocol, &numbers.join(" "));
        for line in &section.lines {
            if line.text.starts_with(b"c=") {
                self.connection(line, carried.address);
            } else if !is_about_the_path(&line.text)
                && !line.text.starts_with(b"a=mid:")
                && !of_format(&line.text)
            {
                self.line(&line.text, line.cr);
            }
        }
        for mid in section.attributes("mid") {
            self.new_line(&format!("a=mid:{mid}"));
        }
        for (format, number) in carried.formats.iter().zip(&numbers) {
            self.format(section, format, number);
        }
        let direction = sdp.direction(section);
        if !how.original_direction || direction != Direction::SendRecv {
            let held = sdp.connection(section).is_some_and(|address| address.is_unspecified());
            let direction =
                if held && direction == Direction::SendRecv { Direction::SendOnly } else { direction };
            self.new_line(&format!("a={}", direction.as_str()));
        }
        match how.rtcp {
            RtcpAttribute::None => {}
            RtcpAttribute::Port => self.new_line(&format!("a=rtcp:{}", carried.rtcp)),
            RtcpAttribute::Full => {
                self.new_line(&format!("a=rtcp:{} {}", carried.rtcp, network(carried.address)));
            }
        }
        if carried.rtcp_mux {
            self.new_line("a=rtcp-mux");
        }
        for line in &carried.crypto {
            self.new_line(&format!("a=crypto:{line}"));
        }
        if let Some(ptime_ms) = carried.ptime_ms {
            self.new_line(&format!("a=ptime:{ptime_ms}"));
        }
    }

    /// `a=rtpmap`, the last `a=fmtp` and every `a=rtcp-fb` of one payload type.
    fn format(&mut self, section: &Section, format: &Format, number: &str) {
        self.new_line(&format!("a=rtpmap:{number} {}", format.encoding()));
        if format.ours {
            if !format.parameters.is_empty() {
                self.new_line(&format!("a=fmtp:{number} {}", format.parameters));
            }
            return;
        }
        let of = |value: &&str| value.split_whitespace().next() == Some(number);
        if let Some(parameters) = section.attributes("fmtp").filter(of).last() {
            self.new_line(&format!("a=fmtp:{parameters}"));
        }
        for feedback in section.attributes("rtcp-fb").filter(of) {
            self.new_line(&format!("a=rtcp-fb:{feedback}"));
        }
    }

    fn refused(&mut self, section: &Section, address: IpAddr) {
        self.media(section, 0, &section.protocol, &section.formats.join(" "));
        for line in &section.lines {
            if line.text.starts_with(b"c=") {
                self.connection(line, address);
            } else if !is_about_the_path(&line.text) && !of_format(&line.text) {
                self.line(&line.text, line.cr);
            }
        }
    }

    /// What passes the engine by keeps the address that the session had.
    fn untouched(&mut self, sdp: &Sdp, section: &Section) {
        self.media(section, section.port, &section.protocol, &section.formats.join(" "));
        if super::find(&section.lines, b"c=").is_none()
            && let Some(address) = sdp.connection(section)
        {
            self.new_line(&format!("c={}", network(address)));
        }
        for line in &section.lines {
            self.line(&line.text, line.cr);
        }
    }
}

pub(super) fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IN IP4 {address}"),
        IpAddr::V6(address) => format!("IN IP6 {address}"),
    }
}

/// Attributes that describe the path between the two sides, of which the engine is an end.
fn is_about_the_path(line: &[u8]) -> bool {
    let Some(attribute) = line.strip_prefix(b"a=") else { return false };
    let name = attribute.split(|&byte| byte == b':').next().unwrap_or(attribute);
    PATH.iter().any(|known| known.as_bytes() == name)
}

/// Attributes that are written again beside their payload type.
fn of_format(line: &[u8]) -> bool {
    line.starts_with(b"a=rtpmap:")
        || line.starts_with(b"a=fmtp:")
        || line.strip_prefix(b"a=rtcp-fb:").is_some_and(|value| value.first().is_some_and(u8::is_ascii_digit))
}

const PATH: [&str; 21] = [
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
    "rtcp",
    "rtcp-mux",
    "rtcp-mux-only",
    "ptime",
    "candidate",
    "end-of-candidates",
    "remote-candidates",
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "crypto",
    "fingerprint",
    "setup",
    "connection",
    "tls-id",
];
