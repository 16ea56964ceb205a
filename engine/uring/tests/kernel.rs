//! Forwarding by the kernel, with sockets on the loopback.

mod common;

use common::*;
use offhook_proto::uninterrupted;
use offhook_uring::clock::monotonic_ns;
use offhook_uring::kernel::{Forwarder, Netlink, Progress, Route, Rule};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

/// A forwarder at the loopback; none where this process may not: then there is nothing to test.
fn forwarder() -> Option<(Forwarder, u64)> {
    let start_ns = monotonic_ns();
    match Forwarder::new(1, 16, start_ns) {
        Ok(forwarder) => {
            forwarder.renew(0, i64::MAX as u64);
            forwarder.attach(loopback()).unwrap();
            Some((forwarder, start_ns))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("not tested: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn loopback() -> u32 {
    let route = Netlink::new().unwrap().route(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, 0);
    route.unwrap().interface
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is of IPv6"),
    }
}

/// Two legs' sockets and two phones', a direction between them.
struct Way {
    at: (UdpSocket, SocketAddr),
    from: (UdpSocket, SocketAddr),
    speaker: (UdpSocket, SocketAddr),
    hearer: (UdpSocket, SocketAddr),
    start_ns: u64,
}

impl Way {
    /// On addresses of its own, so that tests at the same time do not meet.
    fn new(network: u8, start_ns: u64) -> Self {
        let on = |host: u8| socket(&format!("127.0.{network}.{host}:0"));
        Self { at: on(1), from: on(1), speaker: on(2), hearer: on(3), start_ns }
    }

    /// Forwards from the packet after `highest` on, at a timestamp that stands still.
    fn rule(&self, highest: u32, out_ssrc: u32) -> Rule {
        let now_ts = ((monotonic_ns() - self.start_ns) / 125_000) as u32;
        Rule {
            at: v4(self.at.1),
            source: v4(self.speaker.1),
            from: v4(self.from.1),
            to: v4(self.hearer.1),
            route: Route { interface: loopback(), mtu_bytes: u16::MAX },
            worker: 0,
            traffic_class: 0,
            ssrc: SSRC,
            out_ssrc,
            payload_type: 0,
            out_payload_type: 0,
            sequence_shift: 0,
            timestamp_shift: 1,
            clock_rate_hz: 8_000,
            highest,
            first: highest.wrapping_sub(99),
            timestamp: TIMESTAMP,
            transit_ts: now_ts.wrapping_sub(TIMESTAMP),
            jitter_16ths: 0,
        }
    }

    fn say(&self, number: u32) {
        self.speaker.0.send_to(&rtp(number), self.at.1).unwrap();
    }
}

const SSRC: u32 = 0x0BAD_CAFE;
const TIMESTAMP: u32 = 77_000;

/// A packet whose sequence number is the lower half of its number, which its payload tells.
fn rtp(number: u32) -> [u8; 172] {
    let mut packet = [0x80; 172];
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&TIMESTAMP.to_be_bytes());
    packet[8..12].copy_from_slice(&SSRC.to_be_bytes());
    packet[12..16].copy_from_slice(&number.to_be_bytes());
    packet
}

/// SSRC and number of what a socket is given next, and who sent it.
fn heard(socket: &UdpSocket) -> (u32, u32, SocketAddr) {
    let mut packet = [0; 200];
    let (length, source) = uninterrupted(|| socket.recv_from(&mut packet)).unwrap();
    assert_eq!(length, 172);
    (number(&packet[8..]), number(&packet[12..]), source)
}

fn assert_nothing_waits(socket: &UdpSocket) {
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0; 200]).unwrap_err().kind(), ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
}

#[test]
fn a_stream_goes_past_the_socket_while_its_rule_is_in_force_and_comes_back_with_its_end() {
    let Some((forwarder, start_ns)) = forwarder() else { return };
    let way = Way::new(81, start_ns);
    way.say(1);
    assert_eq!(heard(&way.at.0), (SSRC, 1, way.speaker.1));
    let installed = forwarder.install(&way.rule(1, 5)).unwrap();
    for number in 2..100 {
        way.say(number);
        assert_eq!(heard(&way.hearer.0), (5, number, way.from.1));
    }
    assert_nothing_waits(&way.at.0);
    let before = forwarder.progress(&installed);
    let after = forwarder.withdraw(installed);
    assert_eq!((before, after.packets, after.payload_bytes), (after, 98, 98 * 160));
    way.say(100);
    assert_eq!(heard(&way.at.0), (SSRC, 100, way.speaker.1));
    assert_nothing_waits(&way.hearer.0);
}

#[test]
fn strangers_and_what_is_no_plain_rtp_come_to_the_socket() {
    let Some((forwarder, start_ns)) = forwarder() else { return };
    let way = Way::new(82, start_ns);
    let _installed = forwarder.install(&way.rule(1, 5)).unwrap();
    let (stranger, address) = socket("127.0.82.9:0");
    stranger.send_to(&rtp(2), way.at.1).unwrap();
    assert_eq!(heard(&way.at.0), (SSRC, 2, address));
    for (at, byte) in [(0, 0x90), (0, 0xA0), (1, 200), (1, 101), (8, 1)] {
        let mut packet = rtp(2);
        packet[at] = byte;
        way.speaker.0.send_to(&packet, way.at.1).unwrap();
        let mut got = [0; 200];
        let length = uninterrupted(|| way.at.0.recv(&mut got)).unwrap();
        assert_eq!(got[..length], packet);
    }
    // More than the loopback takes at once: it comes in fragments.
    let mut long = vec![0; 65_000];
    long[..172].copy_from_slice(&rtp(2));
    offhook_uring::socket::set_receive_buffer(&way.at.0, 1 << 20).unwrap();
    way.speaker.0.send_to(&long, way.at.1).unwrap();
    let mut got = vec![0; 66_000];
    assert_eq!(uninterrupted(|| way.at.0.recv(&mut got)).unwrap(), long.len());
    assert_nothing_waits(&way.hearer.0);
    way.say(2);
    assert_eq!(heard(&way.hearer.0), (5, 2, way.from.1));
}

#[test]
fn two_forwarders_at_one_interface_mind_their_own_streams() {
    let (Some((first, start_ns)), Some((second, _))) = (forwarder(), forwarder()) else { return };
    let (one, other) = (Way::new(83, start_ns), Way::new(84, start_ns));
    let _installed = first.install(&one.rule(1, 5)).unwrap();
    let second_start = Rule { transit_ts: 0_u32.wrapping_sub(TIMESTAMP), ..other.rule(1, 6) };
    let _also = second.install(&second_start).unwrap();
    for number in 2..50 {
        one.say(number);
        other.say(number);
        assert_eq!(heard(&one.hearer.0), (5, number, one.from.1));
        assert_eq!(heard(&other.hearer.0), (6, number, other.from.1));
    }
    drop(second);
    one.say(50);
    other.say(50);
    assert_eq!(heard(&one.hearer.0), (5, 50, one.from.1));
    assert_eq!(heard(&other.at.0), (SSRC, 50, other.speaker.1), "nothing stays behind a forwarder");
}

#[test]
fn a_stream_from_an_engine_to_itself_passes_through_both_of_its_rules() {
    let Some((forwarder, start_ns)) = forwarder() else { return };
    let (near, far) = (Way::new(85, start_ns), Way::new(86, start_ns));
    // The near hearer is the far leg.
    let into = Rule { to: v4(far.at.1), ..near.rule(1, 5) };
    let on = Rule { source: v4(near.from.1), ssrc: 5, ..far.rule(1, 6) };
    let _into = forwarder.install(&into).unwrap();
    let _on = forwarder.install(&Rule { timestamp: TIMESTAMP + 1, ..on }).unwrap();
    near.say(2);
    assert_eq!(heard(&far.hearer.0), (6, 2, far.from.1));
}

#[test]
fn a_circle_of_rules_ends() {
    let Some((forwarder, start_ns)) = forwarder() else { return };
    let way = Way::new(87, start_ns);
    // What goes to `from` comes back to `at` as if the speaker had sent it.
    let out = Rule { to: v4(way.from.1), from: v4(way.hearer.1), timestamp_shift: 0, ..way.rule(1, SSRC) };
    let back = Rule {
        at: v4(way.from.1),
        source: v4(way.hearer.1),
        from: v4(way.speaker.1),
        to: v4(way.at.1),
        ..out
    };
    let out = forwarder.install(&out).unwrap();
    let back = forwarder.install(&back).unwrap();
    way.speaker.0.set_ttl(64).unwrap();
    way.say(2);
    // It comes to one of the sockets when it has no hops left.
    let begun = std::time::Instant::now();
    for socket in [&way.at.0, &way.from.0] {
        socket.set_nonblocking(true).unwrap();
    }
    let mut packet = [0; 200];
    while way.at.0.recv(&mut packet).is_err() && way.from.0.recv(&mut packet).is_err() {
        assert!(begun.elapsed() < PATIENCE, "it goes round for ever");
        thread::yield_now();
    }
    assert_eq!(forwarder.withdraw(out).packets + forwarder.withdraw(back).packets, 63);
}

#[test]
fn rules_that_come_and_go_under_full_load_lose_double_and_miscount_nothing() {
    let Some((forwarder, start_ns)) = forwarder() else { return };
    let way = Way::new(88, start_ns);
    let (sent, taken, over) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let receive = |socket: &UdpSocket| {
        let mut all = Vec::new();
        loop {
            let (ssrc, number, _) = heard(socket);
            taken.fetch_add(1, Ordering::SeqCst);
            if number == LAST {
                return all;
            }
            all.push((ssrc, number));
        }
    };
    let (by_rule, by_socket, progresses) = thread::scope(|scope| {
        let hearing = scope.spawn(|| receive(&way.hearer.0));
        let taking = scope.spawn(|| receive(&way.at.0));
        let sending = scope.spawn(|| {
            let mut number = 0;
            while !over.load(Ordering::SeqCst) {
                // No more under way than the sockets hold.
                if number - taken.load(Ordering::SeqCst) < 1_000 {
                    number += 1;
                    way.say(number);
                    sent.store(number, Ordering::SeqCst);
                } else {
                    thread::yield_now();
                }
            }
        });
        let mut progresses: Vec<(Rule, Progress)> = Vec::new();
        for cycle in 1..=10_000_u32 {
            let rule = way.rule(sent.load(Ordering::SeqCst), cycle);
            let installed = forwarder.install(&rule).unwrap();
            // Some rules end at once, others after a few packets.
            for _ in 0..(cycle % 7) * 50 {
                if forwarder.progress(&installed).packets > u64::from(cycle % 5) {
                    break;
                }
            }
            progresses.push((rule, forwarder.withdraw(installed)));
        }
        over.store(true, Ordering::SeqCst);
        sending.join().unwrap();
        for to in [way.at.1, way.hearer.1] {
            way.speaker.0.send_to(&rtp(LAST), to).unwrap();
        }
        (hearing.join().unwrap(), taking.join().unwrap(), progresses)
    });
    let mut numbers: Vec<u32> = by_rule.iter().chain(&by_socket).map(|&(_, number)| number).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=sent.into_inner()), "each packet once");
    assert!(by_socket.iter().all(|&(ssrc, _)| ssrc == SSRC), "rewritten and left to the socket");
    let mut heard_by_rule: HashMap<u32, Vec<u32>> = HashMap::new();
    for (ssrc, number) in by_rule {
        heard_by_rule.entry(ssrc).or_default().push(number);
    }
    let mut forwarded = 0;
    for (rule, progress) in progresses {
        let heard = heard_by_rule.remove(&rule.out_ssrc).unwrap_or_default();
        let highest = heard.iter().copied().max().unwrap_or(0).max(rule.highest);
        assert_eq!(
            (progress.packets, progress.payload_bytes),
            (heard.len() as u64, heard.len() as u64 * 160)
        );
        assert_eq!(progress.highest, highest, "{rule:?} {progress:?} {heard:?}");
        forwarded += heard.len();
    }
    assert!(heard_by_rule.is_empty(), "sent by a rule that has not been");
    assert!(forwarded > 1_000, "the kernel has forwarded {forwarded} packets, too few to tell");
}

const LAST: u32 = u32::MAX;
