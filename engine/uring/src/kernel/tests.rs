//! The program, packet by packet, as the kernel runs it; nothing is sent.

use super::*;
use crate::clock::monotonic_ns;
use std::io::ErrorKind;
use std::net::Ipv4Addr;

/// None where this process may not: then there is nothing to test.
pub(super) fn forwarder(rules: u32) -> Option<Forwarder> {
    match Forwarder::new(1, rules, monotonic_ns()) {
        Ok(forwarder) => {
            forwarder.renew(0, FOR_EVER);
            Some(forwarder)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("not tested: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 78, 1), 20_000);
const SOURCE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 78, 2), 4_000);
const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 78, 3), 20_002);
const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 78, 4), 5_000);
const FOR_EVER: u64 = i64::MAX as u64;

pub(super) fn rule() -> Rule {
    Rule {
        at: AT,
        source: SOURCE,
        from: FROM,
        to: TO,
        route: Route { interface: LOOPBACK, mtu_bytes: 1_500 },
        worker: 0,
        traffic_class: 0x88,
        ssrc: 0x0102_0304,
        out_ssrc: 0xA1B2_C3D4,
        payload_type: 8,
        out_payload_type: 9,
        sequence_shift: 0xFF00,
        timestamp_shift: 0x8000_0001,
        clock_rate_hz: 8_000,
        highest: 0x2_FFF0,
        first: 0x2_FFE0,
        timestamp: 100_000,
        // What was heard last came with a timestamp as high as this clock's, which has just started.
        transit_ts: 100_000_u32.wrapping_neg(),
        jitter_16ths: 160,
    }
}

/// A packet from the rule's source, whose RTP header is plain.
#[derive(Clone)]
struct Packet {
    bytes: Vec<u8>,
}

/// Where things are, behind an Ethernet header.
const IP: usize = 14;
const UDP: usize = IP + 20;
const RTP: usize = UDP + 8;

impl Packet {
    fn new(sequence: u16, timestamp: u32) -> Self {
        let mut bytes = vec![0; RTP];
        bytes[12] = 8;
        bytes[IP..IP + 10].copy_from_slice(&[0x45, 0xB8, 0, 0, 0x12, 0x34, 0x40, 0, 60, 17]);
        bytes[IP + 12..IP + 16].copy_from_slice(&SOURCE.ip().octets());
        bytes[IP + 16..IP + 20].copy_from_slice(&AT.ip().octets());
        bytes[UDP..UDP + 2].copy_from_slice(&SOURCE.port().to_be_bytes());
        bytes[UDP + 2..UDP + 4].copy_from_slice(&AT.port().to_be_bytes());
        bytes.extend([0x80, 8]);
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(0x0102_0304_u32.to_be_bytes());
        bytes.extend((0..160).map(|at| at as u8));
        Self { bytes }.with_lengths()
    }

    /// The next packet of the rule's.
    fn next() -> Self {
        Self::new(0xFFF1, 100_160)
    }

    /// With something else at a place.
    fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.with_checksums()
    }

    fn with_payload(mut self, bytes: usize) -> Self {
        self.bytes.resize(RTP + 12 + bytes, 0x5A);
        self.with_lengths()
    }

    fn with_lengths(mut self) -> Self {
        let length = self.bytes.len() - IP;
        self.bytes[IP + 2..IP + 4].copy_from_slice(&(length as u16).to_be_bytes());
        self.bytes[UDP + 4..UDP + 6].copy_from_slice(&(length as u16 - 20).to_be_bytes());
        self.with_checksums()
    }

    fn with_checksums(mut self) -> Self {
        self.bytes[IP + 10..IP + 12].fill(0);
        let ip = !sum(&self.bytes[IP..UDP], 0);
        self.bytes[IP + 10..IP + 12].copy_from_slice(&ip.to_be_bytes());
        self.bytes[UDP + 6..UDP + 8].fill(0);
        let udp = match !self.udp_sum() {
            0 => 0xFFFF,
            udp => udp,
        };
        self.bytes[UDP + 6..UDP + 8].copy_from_slice(&udp.to_be_bytes());
        self
    }

    fn without_udp_checksum(mut self) -> Self {
        self.bytes[UDP + 6..UDP + 8].fill(0);
        self
    }

    /// Of UDP header and payload with the pseudo header (RFC 768); 0xFFFF when the checksum is right.
    fn udp_sum(&self) -> u16 {
        let length = (self.bytes.len() - UDP) as u32;
        let addresses = sum(&self.bytes[IP + 12..IP + 20], 0);
        sum(&self.bytes[UDP..], u32::from(addresses) + 17 + length)
    }

    fn ip_sum(&self) -> u16 {
        sum(&self.bytes[IP..UDP], 0)
    }
}

/// One's complement sum of 16-bit words (RFC 1071).
fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

fn run(forwarder: &Forwarder, packet: &Packet) -> (i32, Packet) {
    let outcome = bpf::run(&forwarder.program, &packet.bytes, &[0; 48]).unwrap();
    (outcome.returned, Packet { bytes: outcome.packet })
}

fn assert_forwarded(forwarder: &Forwarder, packet: &Packet) -> Packet {
    let (returned, forwarded) = run(forwarder, packet);
    assert_eq!(returned, REDIRECT);
    assert_eq!(forwarded.bytes.len(), packet.bytes.len());
    forwarded
}

fn assert_left_alone(forwarder: &Forwarder, packet: &Packet, why: &str) {
    let (returned, after) = run(forwarder, packet);
    assert_eq!(returned, NEXT, "{why}");
    assert!(after.bytes == packet.bytes, "{why}: it was changed");
}

const REDIRECT: i32 = 7;
const NEXT: i32 = -1;

#[test]
fn a_packet_of_the_rule_leaves_with_all_its_headers_rewritten_and_right_checksums() {
    let Some(forwarder) = forwarder(4) else { return };
    let installed = forwarder.install(&rule()).unwrap();
    let packet = Packet::next();
    let forwarded = assert_forwarded(&forwarder, &packet);
    let mut expected = packet.clone();
    expected.bytes[IP + 1] = 0x88;
    expected.bytes[IP + 8] = 59;
    expected.bytes[IP + 12..IP + 16].copy_from_slice(&FROM.ip().octets());
    expected.bytes[IP + 16..IP + 20].copy_from_slice(&TO.ip().octets());
    expected.bytes[UDP..UDP + 2].copy_from_slice(&FROM.port().to_be_bytes());
    expected.bytes[UDP + 2..UDP + 4].copy_from_slice(&TO.port().to_be_bytes());
    expected.bytes[RTP + 1] = 9;
    expected.bytes[RTP + 2..RTP + 4].copy_from_slice(&0xFEF1_u16.to_be_bytes());
    expected.bytes[RTP + 4..RTP + 8].copy_from_slice(&0x8001_8741_u32.to_be_bytes());
    expected.bytes[RTP + 8..RTP + 12].copy_from_slice(&0xA1B2_C3D4_u32.to_be_bytes());
    assert_eq!(forwarded.bytes, expected.with_checksums().bytes);
    let progress = forwarder.withdraw(installed);
    assert_eq!(
        (progress.packets, progress.payload_bytes, progress.highest, progress.timestamp),
        (1, 160, 0x2_FFF1, 100_160)
    );
    assert_eq!(progress.last_payload_bytes, 160);
    assert!(progress.at_us > 0 && progress.at_us == progress.last_at_us, "{progress:?}");
    assert_left_alone(&forwarder, &packet, "the rule is gone");
}

#[test]
fn a_checksum_that_is_absent_stays_so_and_one_that_is_wrong_stays_wrong() {
    let Some(forwarder) = forwarder(4) else { return };
    let _installed = forwarder.install(&rule()).unwrap();
    let absent = assert_forwarded(&forwarder, &Packet::next().without_udp_checksum());
    assert_eq!((&absent.bytes[UDP + 6..UDP + 8], absent.ip_sum()), (&[0, 0][..], 0xFFFF));
    let mut broken = Packet::new(0xFFF2, 100_320);
    broken.bytes[RTP + 40] ^= 1;
    assert_ne!(assert_forwarded(&forwarder, &broken).udp_sum(), 0xFFFF);
    let mut broken = Packet::new(0xFFF3, 100_480);
    broken.bytes[IP + 4] ^= 1;
    assert_ne!(assert_forwarded(&forwarder, &broken).ip_sum(), 0xFFFF);
}

#[test]
fn checksums_are_right_whatever_the_numbers_are() {
    let Some(forwarder) = forwarder(4) else { return };
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 16) as u16
    };
    for _ in 0..2_000 {
        let wide = u32::from(random()) << 16 | u32::from(random());
        let address =
            |low: u16, port: u16| SocketAddrV4::new(Ipv4Addr::from(0x7F00_0000 + u32::from(low)), port);
        let rule = Rule {
            from: address(random(), random()),
            to: address(random(), random()),
            out_ssrc: wide,
            sequence_shift: random(),
            timestamp_shift: wide.rotate_left(7),
            ..rule()
        };
        let installed = forwarder.install(&rule).unwrap();
        let packet = Packet::next().with_payload(1 + usize::from(random() % 1_400));
        let forwarded = assert_forwarded(&forwarder, &packet);
        assert_eq!((forwarded.ip_sum(), forwarded.udp_sum()), (0xFFFF, 0xFFFF), "{rule:?}");
        assert_eq!(forwarder.withdraw(installed).packets, 1);
    }
}

#[test]
fn whatever_differs_in_anything_from_the_rule_is_left_to_the_stack_untouched() {
    let Some(forwarder) = forwarder(4) else { return };
    let installed = forwarder.install(&rule()).unwrap();
    let changed = |at: usize, bytes: &[u8]| Packet::next().with(at, bytes);
    for (why, packet) in [
        ("IPv6", changed(12, &[0x86, 0xDD])),
        ("ARP", changed(12, &[0x08, 0x06])),
        ("somebody else's frame", changed(0, &[2, 0, 0, 0, 0, 9])),
        ("IP options", changed(IP, &[0x46])),
        ("TCP", changed(IP + 9, &[6])),
        ("a first fragment", changed(IP + 6, &[0x20, 0])),
        ("a later fragment", changed(IP + 6, &[0, 1])),
        ("the end of its way", changed(IP + 8, &[1])),
        ("a length that lies", changed(IP + 2, &[0, 100])),
        ("a length beyond the packet", {
            let mut long = Packet::next().with_payload(200);
            long.bytes.truncate(long.bytes.len() - 40);
            long
        }),
        ("a UDP length that lies", changed(UDP + 4, &[0, 19])),
        ("another address of ours", changed(IP + 16, &[127, 0, 78, 9])),
        ("another port of ours", changed(UDP + 2, &[0x4E, 0x21])),
        ("a stranger's address", changed(IP + 12, &[127, 0, 78, 9])),
        ("a stranger's port", changed(UDP, &[1, 1])),
        ("another version", changed(RTP, &[0x40])),
        ("padding", changed(RTP, &[0xA0])),
        ("an extension", changed(RTP, &[0x90])),
        ("a contributing source", changed(RTP, &[0x81])),
        ("STUN", changed(RTP, &[0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xA4, 0x42])),
        ("RTCP", changed(RTP, &[0x80, 200])),
        ("a telephone-event", changed(RTP + 1, &[101])),
        ("another SSRC", changed(RTP + 8, &[9])),
        ("no payload", Packet::next().with_payload(0)),
        ("a payload that is too long", Packet::next().with_payload(1_401)),
        ("a jump ahead", Packet::new(0xFFF0_u16.wrapping_add(3_000), 100_160)),
        ("a jump back", Packet::new(0xFFF0 - 100, 99_840)),
        ("a number that has no place", Packet::new(0xFFDF, 97_280)),
        ("a timestamp that goes back", Packet::new(0xFFF1, 99_999)),
        ("a timestamp that jumps", Packet::new(0xFFF1, 100_000 + 3 * 8_000)),
        ("a timestamp that jumps back", Packet::new(0xFFEF, 100_000 - 3 * 8_000)),
    ] {
        assert_left_alone(&forwarder, &packet, why);
    }
    // The kernel tries nothing on what ends within its IP header.
    for length in UDP..Packet::next().with_payload(1).bytes.len() {
        let mut short = Packet::next().with_payload(1);
        short.bytes.truncate(length);
        assert_left_alone(&forwarder, &short, "too short");
    }
    assert_eq!(forwarder.progress(&installed), Progress { packets: 0, ..of_rule() });
    assert_forwarded(&forwarder, &Packet::next());
}

fn of_rule() -> Progress {
    let Rule { highest, timestamp, transit_ts, jitter_16ths, .. } = rule();
    Progress { highest, timestamp, transit_ts, jitter_16ths, ..Progress::default() }
}

#[test]
fn packets_that_are_late_or_come_twice_keep_the_number_that_is_theirs_and_leave_the_highest_alone() {
    let Some(forwarder) = forwarder(4) else { return };
    let installed = forwarder.install(&rule()).unwrap();
    // The numbers wrap in between.
    for (sequence, timestamp, highest) in [
        (0xFFF0, 100_000, 0x2_FFF0),
        (0xFFE0, 97_440, 0x2_FFF0),
        (0x0005, 103_360, 0x3_0005),
        (0x0003, 103_040, 0x3_0005),
        (0xFFFF, 102_400, 0x3_0005),
        (0x0005, 103_360, 0x3_0005),
        (0x0006, 103_360, 0x3_0006),
        (0x0006 + 2_999, 104_000, 0x3_0BBD),
    ] {
        let forwarded = assert_forwarded(&forwarder, &Packet::new(sequence, timestamp));
        let number = u16::from_be_bytes([forwarded.bytes[RTP + 2], forwarded.bytes[RTP + 3]]);
        assert_eq!(number, sequence.wrapping_add(0xFF00));
        assert_eq!(forwarder.progress(&installed).highest, highest);
    }
    let progress = forwarder.withdraw(installed);
    assert_eq!((progress.packets, progress.payload_bytes, progress.timestamp), (8, 8 * 160, 104_000));
}

#[test]
fn marker_and_payload_pass_as_they_are() {
    let Some(forwarder) = forwarder(4) else { return };
    let _installed = forwarder.install(&rule()).unwrap();
    let packet = Packet::next().with(RTP + 1, &[0x88]);
    let forwarded = assert_forwarded(&forwarder, &packet);
    assert_eq!(forwarded.bytes[RTP + 1], 0x89);
    assert_eq!(forwarded.bytes[RTP + 12..], packet.bytes[RTP + 12..]);
}

#[test]
fn the_jitter_is_that_of_rfc_3550() {
    let Some(forwarder) = forwarder(4) else { return };
    let mut rule = rule();
    let installed = forwarder.install(&rule).unwrap();
    for packet in 1..=50_u16 {
        assert_forwarded(
            &forwarder,
            &Packet::new(0xFFF0_u16.wrapping_add(packet), 100_000 + u32::from(packet)),
        );
        let progress = forwarder.progress(&installed);
        // What it tells of the arrival gives the transit: the timestamp of each packet is known.
        let arrival = (progress.last_at_us * 8_000 / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(100_000 + u32::from(packet));
        let change = (transit.wrapping_sub(rule.transit_ts) as i32).unsigned_abs();
        rule.jitter_16ths = rule.jitter_16ths + change - ((rule.jitter_16ths + 8) >> 4);
        rule.transit_ts = transit;
        assert_eq!((progress.transit_ts, progress.jitter_16ths), (rule.transit_ts, rule.jitter_16ths));
    }
}

#[test]
fn rules_come_to_an_end_by_number_and_their_places_are_used_again() {
    let Some(forwarder) = forwarder(2) else { return };
    let at = |port| Rule { at: SocketAddrV4::new(*AT.ip(), port), ..rule() };
    let mut first = forwarder.install(&at(1)).unwrap();
    let _second = forwarder.install(&at(2)).unwrap();
    for port in 3..100 {
        assert_eq!(forwarder.install(&at(port)).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!(forwarder.withdraw(first).packets, 0);
        first = forwarder.install(&at(port)).unwrap();
    }
}

#[test]
fn a_rule_without_an_interface_leaves_everything_to_the_stack() {
    let Some(forwarder) = forwarder(2) else { return };
    let _installed = forwarder.install(&rule()).unwrap();
    let there = Route { interface: LOOPBACK, mtu_bytes: 1_500 };
    for lost in [(AT, SOURCE), (FROM, TO)].map(|(from, to)| (*from.ip(), *to.ip())) {
        forwarder.reroute(|from, to| Some(there).filter(|_| (from, to) != lost));
        assert_left_alone(&forwarder, &Packet::next(), "no way");
        forwarder.reroute(|_, _| Some(there));
        assert_forwarded(&forwarder, &Packet::next());
    }
    let looked_up = std::cell::Cell::new(0);
    let _another = forwarder.install(&Rule { at: SocketAddrV4::new(*AT.ip(), 9), ..rule() }).unwrap();
    forwarder.reroute(|_, _| {
        looked_up.set(looked_up.get() + 1);
        Some(there)
    });
    assert_eq!(looked_up.get(), 2, "rules between the same addresses share their ways");
}

#[test]
fn a_rule_whose_way_went_while_it_was_installed_is_rerouted_by_itself() {
    let Some(forwarder) = forwarder(2) else { return };
    let (one, other) = (rule(), Rule { at: SocketAddrV4::new(*AT.ip(), 9), ..rule() });
    let (one, other) = (forwarder.install(&one).unwrap(), forwarder.install(&other).unwrap());
    forwarder.reroute_one(&other, |_, _| None);
    assert_forwarded(&forwarder, &Packet::next());
    forwarder.reroute_one(&one, |_, _| None);
    assert_left_alone(&forwarder, &Packet::next(), "no way");
    let there = Route { interface: LOOPBACK, mtu_bytes: 1_500 };
    forwarder.reroute_one(&one, |_, _| {
        forwarder.reroute(|_, _| Some(there));
        Some(Route { interface: LOOPBACK + 1, ..there })
    });
    assert_forwarded(&forwarder, &Packet::next());
}

#[test]
fn a_packet_longer_than_its_way_takes_is_left_to_the_stack() {
    let Some(forwarder) = forwarder(2) else { return };
    let _installed = forwarder.install(&rule()).unwrap();
    let bytes = |bytes: usize| Packet::next().with_payload(bytes - 40);
    assert_forwarded(&forwarder, &bytes(1_400));
    let narrow = Route { interface: LOOPBACK, mtu_bytes: 576 };
    forwarder.reroute(|_, _| Some(narrow));
    assert_left_alone(&forwarder, &bytes(577), "one byte too long");
    assert_forwarded(&forwarder, &bytes(576));
    forwarder.reroute(|_, _| Some(Route { mtu_bytes: 1_500, ..narrow }));
    assert_forwarded(&forwarder, &bytes(577));
}

#[test]
fn a_packet_of_the_loopback_is_not_sent_out_by_another_interface() {
    let Some(forwarder) = forwarder(2) else { return };
    let route = Route { interface: LOOPBACK + 1, mtu_bytes: 1_500 };
    let _installed = forwarder.install(&Rule { route, ..rule() }).unwrap();
    assert_left_alone(&forwarder, &Packet::next(), "it has a route, which would never be given back");
}

#[test]
fn several_packets_that_have_become_one_are_left_to_the_stack() {
    let Some(forwarder) = forwarder(2) else { return };
    let _installed = forwarder.install(&rule()).unwrap();
    let packet = Packet::next();
    for (segments, bytes, expected) in [(2, 86, NEXT), (0, 0, REDIRECT)] {
        let mut context = [0; 48];
        (context[bpf::GSO_SEGMENTS], context[bpf::GSO_BYTES]) = (segments, bytes);
        assert_eq!(bpf::run(&forwarder.program, &packet.bytes, &context).unwrap().returned, expected);
    }
}

#[test]
fn what_is_forwarded_waits_in_queues_as_its_traffic_class_says() {
    let Some(forwarder) = forwarder(2) else { return };
    for (traffic_class, priority) in [(0xB8, 4), (0, 0)] {
        let installed = forwarder.install(&Rule { traffic_class, ..rule() }).unwrap();
        let outcome = bpf::run(&forwarder.program, &Packet::next().bytes, &[0; 48]).unwrap();
        assert_eq!((outcome.packet[IP + 1], outcome.context[bpf::PRIORITY]), (traffic_class, priority));
        forwarder.withdraw(installed);
    }
}

#[test]
fn a_rule_is_in_force_only_while_its_worker_renews_the_lease() {
    let Some(forwarder) = forwarder(2) else { return };
    let _installed = forwarder.install(&rule()).unwrap();
    forwarder.renew(0, monotonic_ns());
    assert_left_alone(&forwarder, &Packet::next(), "the lease has ended");
    forwarder.renew(0, FOR_EVER);
    assert_forwarded(&forwarder, &Packet::next());
}
