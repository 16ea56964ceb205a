//! The code point (DSCP) in what leaves for phones.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use offhook_proto::{Command, EngineInfo, Play, PlaySource, ToneName, uninterrupted};

use crate::support::{Client, Engine, PATIENCE, Packet, Phone, number};

/// A phone that is told the traffic class of what it hears.
fn phone(address: IpAddr) -> Phone {
    let phone = Phone::on(address);
    for socket in [&phone.rtp, &phone.rtcp] {
        match address {
            IpAddr::V4(_) => setsockopt(socket, sockopt::IpRecvTos, &true).expect("set"),
            IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvTClass, &true).expect("set"),
        }
    }
    phone
}

/// The next datagram and its traffic class.
fn next(socket: &UdpSocket) -> (Vec<u8>, u8) {
    let mut bytes = [0; 2_048];
    let mut control = nix::cmsg_space!(i32, i32);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    uninterrupted(|| socket.peek(&mut [0])).expect("a datagram");
    let received =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())
            .expect("it is there");
    let class = received.cmsgs().expect("whole").find_map(|message| match message {
        ControlMessageOwned::Ipv4Tos(class) => Some(class),
        ControlMessageOwned::Ipv6TClass(class) => Some(class as u8),
        _ => None,
    });
    let length = received.bytes;
    (bytes[..length].to_vec(), class.expect("its class"))
}

/// Two phones talk through an engine, then one hears a prompt, then the engine ends with a report: all of it has a class.
fn assert_marked(arguments: &[&str], address: IpAddr, class: u8) {
    let engine = Engine::start_with(arguments);
    let mut client: Client = engine.client();
    let (mut ann, mut bob) = (phone(address), phone(address));
    let (a, b) = (client.create("a", &ann), client.create("b", &bob));
    client.splice("a", "b");
    // The kernel forwards the call in the end, where that is asked for and can be.
    let in_kernel = address.is_ipv4() && crate::more_arguments(arguments).contains(&"--kernel");
    let passed = |client: &mut Client| {
        let info: EngineInfo = client.ask(Command::Statistics);
        info.workers.iter().map(|worker| worker.kernel_packets).sum::<u64>() >= 20
    };
    let began = Instant::now();
    for word in 0.. {
        if word >= 20 && (!in_kernel || passed(&mut client)) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the kernel forwards nothing");
        ann.say(a.rtp, word);
        let (packet, heard) = next(&bob.rtp);
        assert_eq!((number(&Packet::parse(&packet)), heard), (word, class));
        bob.say(b.rtp, word);
        let (packet, heard) = next(&ann.rtp);
        assert_eq!((number(&Packet::parse(&packet)), heard), (word, class));
    }
    client.unsplice("a");
    let sources = vec![PlaySource::Tone { name: ToneName::Ringback, country: None }];
    client.done(Command::Play(Play::new("a", sources)));
    assert_eq!(next(&ann.rtp).1, class, "what is made here");
    engine.signal("TERM");
    assert_eq!(next(&bob.rtcp).1, class, "RTCP");
}

#[test]
fn rtp_and_rtcp_are_marked_for_expedited_forwarding_unless_another_mark_is_asked_for() {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    assert_marked(&[], loopback, 46 << 2);
    assert_marked(&["--dscp", "cs5"], loopback, 40 << 2);
    assert_marked(&["--dscp", "0"], loopback, 0);
}

#[test]
fn rtp_and_rtcp_of_ipv6_are_marked_too() {
    let addresses = ["--media-address", "127.0.0.1", "--media-address", "::1"];
    assert_marked(&addresses, Ipv6Addr::LOCALHOST.into(), 46 << 2);
}
