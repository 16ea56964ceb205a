//! One endpoint's media: its stream out, and what it hears.

use std::net::{SocketAddr, UdpSocket};

use super::continuity::Continuity;
use super::hearing::Hearing;
use super::keys::{KeyEar, KeyPacket, Keypad, Keys};
use super::reporter::{Own, Reporter};
use super::rtp::{HEADER_BYTES, Header, PCMU};
use super::stamp::{PAYLOAD_BYTES, Stamp};
use super::{EndpointId, PTIME_TS, Role};
use crate::sip::Remote;

/// Most bytes of a packet that an endpoint sends.
pub(crate) const PACKET_BYTES: usize = HEADER_BYTES + PAYLOAD_BYTES;

/// Sockets of an endpoint that has not hung up long ago.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

/// A packet that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) bytes: usize,
    /// A key whose first packet it is.
    pub(crate) key: Option<char>,
}

/// The media state of one endpoint.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) id: EndpointId,
    pub(crate) role: Role,
    pub(crate) sockets: Option<Sockets>,
    /// Where its packets go, from answer to hang-up.
    pub(crate) remote: Option<SocketAddr>,
    /// Where they went before the other side moved, and how many packets came from there since.
    former: Option<(SocketAddr, u64)>,
    /// Where packets came from that nobody had named: the other side may be about to, having moved.
    ahead: Option<(SocketAddr, u64)>,
    /// False while the other side does not want to hear it: it is on hold.
    pub(crate) speaks: bool,
    header: Header,
    /// Stamped packets sent in its life.
    pub(crate) sent: u64,
    /// All packets sent, and the bytes of their payloads.
    packets: u64,
    octets: u64,
    pub(crate) keypad: Keypad,
    /// What the other side takes telephone-events as; none when it takes none.
    key_type: Option<u8>,
    pub(crate) key_ear: KeyEar,
    /// Of a customer's conversation.
    pub(crate) keys: Keys,
    pub(crate) continuity: Continuity,
    /// When its 200 OK left; only customers that we play as callees.
    pub(crate) answered_ns: Option<u64>,
    /// A customer's ear: its agent, before the answer and after.
    pub(crate) hears: Hearing,
    /// How a customer was heard by its agent.
    pub(crate) heard: Hearing,
    /// Agent's packets that reached the customer before it had answered.
    pub(crate) early_packets: u64,
    pub(crate) rtcp_received: u64,
    pub(crate) reporter: Reporter,
    /// Packets that the kernel dropped because the harness was slow to read.
    pub(crate) overflowed: u32,
}

impl Party {
    /// An endpoint that is silent until [`Self::talk`]; `seed` picks SSRC and the starts of both counters.
    pub(crate) fn new(id: EndpointId, role: Role, sockets: Sockets, seed: u64) -> Self {
        let mixed = (seed ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let header = Header {
            marker: true,
            payload_type: PCMU,
            sequence: (mixed >> 48) as u16,
            timestamp: (mixed >> 16) as u32,
            ssrc: (mixed.rotate_left(17) >> 32) as u32,
        };
        Self {
            id,
            role,
            sockets: Some(sockets),
            remote: None,
            former: None,
            ahead: None,
            speaks: true,
            header,
            sent: 0,
            packets: 0,
            octets: 0,
            keypad: Keypad::default(),
            key_type: None,
            key_ear: KeyEar::default(),
            keys: Keys::default(),
            continuity: Continuity::default(),
            answered_ns: None,
            hears: Hearing::default(),
            heard: Hearing::default(),
            early_packets: 0,
            rtcp_received: 0,
            reporter: Reporter::default(),
            overflowed: 0,
        }
    }

    /// Begins to send to where `remote` says, or goes on there. True: it was silent before.
    pub(crate) fn talk(&mut self, remote: Remote) -> bool {
        self.header.marker |= remote.wants_media && !self.speaks;
        self.speaks = remote.wants_media;
        self.key_type = remote.telephone_event;
        let remote = remote.rtp;
        self.ahead = self.ahead.filter(|(source, _)| *source != remote);
        let before = self.remote.replace(remote);
        if let Some(before) = before.filter(|before| *before != remote) {
            self.former = Some((before, 0));
        }
        let silent = before.is_none();
        self.header.marker |= silent;
        silent
    }

    /// Whether a packet may come from there: from the other side, or, at most `tail_packets`, from where it was before or will
    /// say that it is.
    pub(crate) fn expects(&mut self, source: Option<SocketAddr>, tail_packets: u64) -> bool {
        if self.remote.is_none() || source == self.remote {
            return true;
        }
        let Some(source) = source else { return false };
        let place = match &mut self.former {
            Some(former) if former.0 == source => former,
            _ => self.ahead.get_or_insert((source, 0)),
        };
        let allowed = place.0 == source && place.1 < tail_packets;
        place.1 += u64::from(allowed);
        allowed
    }

    /// Packets allowed from a place that was never named.
    pub(crate) fn unexplained(&self) -> u64 {
        self.ahead.map_or(0, |(_, packets)| packets)
    }

    /// Takes what came for its RTCP port; the round trip in nanoseconds when it tells one.
    pub(crate) fn hear_report(&mut self, packet: &[u8], now_ns: u64) -> Option<u64> {
        self.rtcp_received += 1;
        self.reporter.hear_report(packet, self.header.ssrc, now_ns)
    }

    /// Whether a report is due, after a packet or in its place.
    pub(crate) fn is_report_due(&mut self, now_ns: u64) -> bool {
        self.reporter.is_due(self.header.ssrc, now_ns)
    }

    /// Writes the report.
    pub(crate) fn write_report(&mut self, now_ns: u64, realtime_ns: u64) -> Vec<u8> {
        let (ssrc, packets, octets) = (self.header.ssrc, self.packets, self.octets);
        // The header is the next packet's already.
        let timestamp = self.header.timestamp.wrapping_sub(PTIME_TS);
        self.reporter.write(Own { ssrc, timestamp, packets, octets }, now_ns, realtime_ns)
    }

    /// Time passes in which it sends nothing.
    pub(crate) fn pass_over(&mut self) {
        self.header.timestamp = self.header.timestamp.wrapping_add(PTIME_TS);
    }

    /// Presses keys. False: the other side takes none.
    pub(crate) fn press(&mut self, keys: &str) -> bool {
        if self.key_type.is_some() {
            self.keypad.press(keys);
        }
        self.key_type.is_some()
    }

    /// Writes the next packet of the stream: of a key that is pressed, or else a stamp.
    pub(crate) fn write_packet(&mut self, packet: &mut [u8; PACKET_BYTES], run: u64, now_ns: u64) -> Written {
        let stamp = Stamp { run, speaker: self.id, sequence: self.sent, sent_ns: now_ns };
        let key = self.key_type.and_then(|kind| Some((kind, self.keypad.next(self.header.timestamp)?)));
        let Some((header, payload)) = packet.split_first_chunk_mut::<HEADER_BYTES>() else {
            return Written { bytes: 0, key: None };
        };
        let payload_bytes = if let Some((payload_type, key)) = key {
            let KeyPacket { timestamp, marker, .. } = key;
            Header { marker, payload_type, timestamp, ..self.header }.write(header);
            payload[..key.payload.len()].copy_from_slice(&key.payload);
            key.payload.len()
        } else {
            self.header.write(header);
            if let Some(payload) = payload.first_chunk_mut() {
                stamp.write(payload);
            }
            self.sent += 1;
            self.header.marker = false;
            PAYLOAD_BYTES
        };
        self.packets += 1;
        self.octets += payload_bytes as u64;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(PTIME_TS);
        let key = key.filter(|(_, packet)| packet.marker).map(|(_, packet)| packet.key);
        Written { bytes: HEADER_BYTES + payload_bytes, key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_moves_is_heard_from_the_old_place_and_from_the_new_one_for_a_few_packets_only() {
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut party = Party::new(1, Role::Customer, Sockets { rtp: socket(), rtcp: socket() }, 1);
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let there = |port| Remote { rtp: at(port), wants_media: true, telephone_event: None };
        party.talk(there(1));
        assert!(party.expects(Some(at(2)), 2), "it may be about to say so");
        assert_eq!(party.unexplained(), 1);
        party.talk(there(2));
        assert_eq!(party.unexplained(), 0);
        let heard: Vec<bool> = (0..3).map(|_| party.expects(Some(at(1)), 2)).collect();
        assert_eq!(heard, [true, true, false]);
        assert!(party.expects(Some(at(2)), 2));
        assert!(!party.expects(None, 2));
        let stranger: Vec<bool> = (0..3).map(|_| party.expects(Some(at(3)), 2)).collect();
        assert_eq!(stranger, [true, true, false]);
        assert!(!party.expects(Some(at(4)), 2), "not two of them");
        assert!(party.unexplained() > 0, "it is told at the end");
    }
}
