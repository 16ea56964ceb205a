//! An engine between two networks: phones in namespaces of their own, each behind a wire (veth).

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command as Process;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};
use offhook_proto::uninterrupted;
use socket2::{Domain, Protocol, Socket, Type};

use crate::may_load;
use crate::past_the_worker::{Party, figures, talk, talk_past_the_worker, talk_until};
use crate::support::{Client, Engine, PATIENCE, Phone, number};

/// Network namespaces, which go with this value.
pub(crate) struct Networks {
    pub(crate) names: Vec<String>,
}

impl Networks {
    /// The engine's namespace, and one behind each of two wires. None where this process may not make them.
    pub(crate) fn lay(test: &str) -> Option<Self> {
        let networks = Self {
            names: ["engine", "near", "far"]
                .map(|part| format!("offhook-{}-{test}-{part}", std::process::id()))
                .into(),
        };
        let [engine, near, far] = [0, 1, 2].map(|at| networks.names[at].as_str());
        if !ip(&format!("netns add {engine}")) {
            eprintln!("not tested: no network namespaces");
            return None;
        }
        for (at, name) in [(1, near), (2, far)] {
            assert!(ip(&format!("netns add {name}")));
            assert!(ip(&format!("link add wire{at} netns {engine} type veth peer name wire netns {name}")));
            for (namespace, words) in [
                (engine, format!("address add 10.77.{at}.1/24 dev wire{at}")),
                (engine, format!("link set wire{at} up")),
                (name, format!("address add 10.77.{at}.2/24 dev wire")),
                (name, "link set lo up".to_owned()),
                (name, "link set wire up".to_owned()),
                (name, format!("route add default via 10.77.{at}.1")),
            ] {
                assert!(ip(&format!("-n {namespace} {words}")), "{words}");
            }
        }
        assert!(ip(&format!("-n {engine} link set lo up")));
        Some(networks)
    }

    /// Another wire between engine and far phone: `wire3` here, `other` there.
    pub(crate) fn lay_another(&self) {
        let [engine, there] = [ENGINE, FAR].map(|at| self.names[at].as_str());
        for words in [
            format!("link add wire3 netns {engine} type veth peer name other netns {there}"),
            format!("-n {engine} address add 10.77.3.1/24 dev wire3"),
            format!("-n {engine} link set wire3 up"),
            format!("-n {there} address add 10.77.3.2/24 dev other"),
            format!("-n {there} link set other up"),
        ] {
            assert!(ip(&words), "{words}");
        }
    }

    /// Changes something in a namespace, in the words of ip(8).
    pub(crate) fn change(&self, at: usize, words: &str) {
        assert!(ip(&format!("-n {} {words}", self.names[at])), "{words}");
    }

    /// Moves this thread, and what it starts and opens from now on.
    pub(crate) fn enter(&self, at: usize) {
        let namespace = File::open(format!("/run/netns/{}", self.names[at])).expect("it is there");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("entered");
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns delete {name}"));
        }
    }
}

pub(crate) const ENGINE: usize = 0;
pub(crate) const NEAR: usize = 1;
pub(crate) const FAR: usize = 2;
/// Where the engine hears both.
const MEDIA: &str = "10.77.1.1";

pub(crate) fn ip(words: &str) -> bool {
    let output = Process::new("ip").args(words.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// An engine in its namespace, where this thread stays.
pub(crate) fn start(networks: &Networks, arguments: &[&str]) -> Engine {
    networks.enter(ENGINE);
    Engine::start_with(&[&["--media-address", MEDIA], arguments].concat())
}

/// A phone with an address of a network, in a namespace, and its leg.
pub(crate) fn party(networks: &Networks, client: &mut Client, at: usize, name: &str, network: u8) -> Party {
    networks.enter(at);
    let party = Party::with(client, name, Phone::on(IpAddr::V4(Ipv4Addr::new(10, 77, network, 2))));
    networks.enter(ENGINE);
    party
}

/// An engine, and a phone in each of the networks.
pub(crate) fn set_up(networks: &Networks) -> (Engine, Client, Party, Party) {
    let engine = start(networks, &[]);
    let mut client = engine.client();
    let [near, far] =
        [(NEAR, "near"), (FAR, "far")].map(|(at, name)| party(networks, &mut client, at, name, at as u8));
    networks.enter(ENGINE);
    client.splice("near", "far");
    (engine, client, near, far)
}

/// Everything that comes to a namespace, from its Ethernet header on.
fn listen() -> Socket {
    const ALL: u16 = 3;
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(ALL.to_be()))));
    let socket = socket.expect("a packet socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket
}

/// The next UDP packet from the engine to a port, without the Ethernet header.
fn next_to(wire: &Socket, to: SocketAddr) -> Vec<u8> {
    loop {
        let mut frame = [0; 2_048];
        let length = uninterrupted(|| { wire }.read(&mut frame)).expect("a frame");
        let packet = &frame[14..length.max(14)];
        if frame[12..14] == [8, 0] && packet[9] == 17 && packet[22..24] == to.port().to_be_bytes() {
            return packet.to_vec();
        }
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

fn pseudo_header(packet: &[u8]) -> u16 {
    sum(&packet[12..20], 17 + packet[20..].len() as u32)
}

/// An RTP packet with all its headers and a checksum that nobody has to make any more.
fn complete(phone: &Phone, to: SocketAddr, word: u32) -> Vec<u8> {
    let rtp = crate::support::Packet {
        payload: crate::support::spoken(phone.next.ssrc, word).to_vec(),
        ..phone.next.clone()
    };
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => panic!("IPv4"),
    };
    let rtp = rtp.write();
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0];
    packet.extend(octets(phone.address()));
    packet.extend(octets(to));
    packet.extend(phone.address().port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend((8 + rtp.len() as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(rtp);
    let checksum = !sum(&packet[20..], u32::from(pseudo_header(&packet)));
    packet[26..28].copy_from_slice(&checksum.to_be_bytes());
    packet
}

#[test]
fn between_two_networks_packets_are_forwarded_with_right_checksums_and_a_hop_less() {
    let Some(networks) = may_load().then(|| Networks::lay("forward")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until(&mut client, 2, &mut near, &mut far);
    talk_past_the_worker(&mut client, &mut near, &mut far, 200);

    networks.enter(FAR);
    let packet = forwarded(&mut client, &mut near, &mut far, Party::say_to);
    assert_eq!((packet[8], sum(&packet[..20], 0)), (63, 0xFFFF));
    // Of a packet of a socket there is the pseudo header's sum (`include/linux/skbuff.h`: CHECKSUM_PARTIAL): no card has come by.
    assert_eq!(packet[26..28], pseudo_header(&packet).to_be_bytes());

    networks.enter(NEAR);
    let raw =
        Socket::from(offhook_uring::raw::open(Ipv4Addr::UNSPECIFIED, 1 << 16, 0).expect("a raw socket"));
    networks.enter(FAR);
    let packet = forwarded(&mut client, &mut near, &mut far, |near, far| {
        let packet = complete(&near.phone, near.leg.rtp, 77);
        raw.send_to(&packet, &near.leg.rtp.into()).expect("sent");
        assert_eq!(number(&far.phone.hear()), 77);
    });
    assert_eq!((packet[8], sum(&packet[..20], 0)), (63, 0xFFFF));
    assert_eq!(sum(&packet[20..], u32::from(pseudo_header(&packet))), 0xFFFF, "the checksum is right");
}

/// A packet to the far phone as it comes by the wire of this thread's namespace, said again until the kernel has forwarded it.
fn forwarded(
    client: &mut Client,
    near: &mut Party,
    far: &mut Party,
    say: impl Fn(&mut Party, &mut Party),
) -> Vec<u8> {
    let began = Instant::now();
    loop {
        let (wire, before) = (listen(), figures(client).kernel_packets);
        say(near, far);
        let packet = next_to(&wire, far.phone.address());
        if figures(client).kernel_packets == before + 1 {
            return packet;
        }
        assert!(began.elapsed() < PATIENCE, "the kernel does not forward it");
        talk_until(client, 2, near, far);
    }
}

#[test]
fn a_neighbour_that_is_forgotten_is_found_again() {
    let Some(networks) = may_load().then(|| Networks::lay("neighbour")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    talk_until(&mut client, 2, &mut near, &mut far);
    for _ in 0..5 {
        networks.change(ENGINE, "neighbour flush dev wire2");
        talk_past_the_worker(&mut client, &mut near, &mut far, 3);
    }
}

/// Packets that have come in by an interface of the namespace that this thread is in.
pub(crate) fn come_in(interface: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("it is there");
    let line = text.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).expect("the interface is there")
}

#[test]
fn a_call_follows_its_route_to_another_interface_without_leaving_the_kernel() {
    let Some(networks) = may_load().then(|| Networks::lay("route")).flatten() else { return };
    let (_engine, mut client, mut near, mut far) = set_up(&networks);
    networks.lay_another();
    talk_until(&mut client, 2, &mut near, &mut far);
    let route = "10.77.2.2/32 via 10.77.3.2 dev wire3";
    let (there, back) = (format!("route add {route}"), format!("route del {route}"));
    follow(&networks, &mut client, &mut near, &mut far, [&there, &back]);
}

/// Changes the way to the far phone, which goes by another interface then, while two talk: again if not all of their words have
/// passed the worker by, as when that gets no processor.
pub(crate) fn follow(
    networks: &Networks,
    client: &mut Client,
    near: &mut Party,
    far: &mut Party,
    [there, back]: [&str; 2],
) {
    networks.enter(FAR);
    let began = Instant::now();
    loop {
        let before = (come_in("other"), figures(client).kernel_packets);
        networks.change(ENGINE, there);
        let mut words = 0;
        while come_in("other") < before.0 + 20 {
            talk(near, far, 1);
            words += 2;
            assert!(began.elapsed() < PATIENCE, "the old way is still taken");
        }
        if figures(client).kernel_packets - before.1 == words {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "some leave the kernel");
        networks.change(ENGINE, back);
        talk_until(client, 2, near, far);
    }
}
