//! A description of the engine's own: the answer to what is published, and the offer of a copy of it.

use std::net::IpAddr;

use offhook_proto::Crypto;

use super::{Direction, Format};

/// A section of it.
#[derive(Clone, Debug)]
pub struct LocalSection {
    /// Where the engine is; none when the section is refused.
    pub place: Option<Place>,
    /// `audio`, `video`, …
    pub kind: String,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// What is listed, in order.
    pub formats: Vec<Format>,
    /// What a refused section lists, as it was offered.
    pub offered: String,
    /// Which way the engine sends.
    pub direction: Direction,
    /// Whether RTCP may come to the port of RTP.
    pub rtcp_mux: bool,
    /// The engine's keys, on an encrypted section.
    pub crypto: Vec<Crypto>,
    /// `a=ptime`, in milliseconds.
    pub ptime_ms: Option<u16>,
}

/// The engine's end of a section.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Address to write.
    pub address: IpAddr,
    /// Port of RTP.
    pub rtp: u16,
    /// Port of RTCP.
    pub rtcp: u16,
}

/// Writes a description (RFC 8866). `session` and `version` are those of `o=`; `address` is written where no section has one.
pub fn describe(session: u64, version: u64, address: IpAddr, sections: &[LocalSection]) -> Vec<u8> {
    let first = sections.iter().find_map(|section| section.place).map_or(address, |place| place.address);
    let mut text = format!(
        "v=0\r\no=- {session} {version} {0}\r\ns=-\r\nc={0}\r\nt=0 0\r\n",
        super::rewrite::network(first)
    );
    for section in sections {
        let numbers: Vec<String> =
            section.formats.iter().map(|format| format.payload_type.to_string()).collect();
        let LocalSection { kind, protocol, offered, .. } = section;
        let Some(place) = section.place else {
            text.push_str(&format!("m={kind} 0 {protocol} {offered}\r\n"));
            continue;
        };
        text.push_str(&format!("m={kind} {} {protocol} {}\r\n", place.rtp, numbers.join(" ")));
        if place.address != first {
            text.push_str(&format!("c={}\r\n", super::rewrite::network(place.address)));
        }
        for (format, number) in section.formats.iter().zip(&numbers) {
            text.push_str(&format!("a=rtpmap:{number} {}\r\n", format.encoding()));
        }
        text.push_str(&format!("a={}\r\na=rtcp:{}\r\n", section.direction.as_str(), place.rtcp));
        if section.rtcp_mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        for line in &section.crypto {
            text.push_str(&format!("a=crypto:{line}\r\n"));
        }
        if let Some(ptime_ms) = section.ptime_ms {
            text.push_str(&format!("a=ptime:{ptime_ms}\r\n"));
        }
    }
    text.into_bytes()
}
