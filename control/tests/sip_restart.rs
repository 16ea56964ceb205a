//! Control is killed and started again while calls run (BY-10), and calls leave nothing behind.
#![allow(missing_docs)]

mod support;

use offhook_control::sip::{SipConfig, TrunkConfig};
use offhook_control_core::CallId;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use support::peer::{Heard, Peer};
use support::{Port, Sipp, config, local_media};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A call that was answered, its INVITE, its snapshot; then the port is gone without a word.
async fn killed_in_a_call(peer: &Peer, config: SipConfig) -> (Heard, String, std::net::SocketAddr) {
    let mut port = Port::start(config).await;
    let address = port.address();
    let (call, invite) = port.answered_by(peer).await;
    let data = port.snapshot(call).await;
    assert!(data.len() <= offhook_control_core::limits::SNAPSHOT_BYTES);
    drop(port);
    (invite, data, address)
}

/// The next run, on the same port.
async fn started_again(address: std::net::SocketAddr) -> (Port, CallId) {
    started_again_with(address, config()).await
}

async fn started_again_with(address: std::net::SocketAddr, config: SipConfig) -> (Port, CallId) {
    // The port of the run before is let go a moment after it.
    while std::net::UdpSocket::bind(address).is_err() || std::net::TcpListener::bind(address).is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    (Port::start(SipConfig { listen: address, ..config }).await, CallId(5_000))
}

async fn restarted(address: std::net::SocketAddr, snapshot: &str) -> (Port, CallId) {
    let (mut port, call) = started_again(address).await;
    port.port.command(call, SipCommand::Restore { snapshot: snapshot.to_owned() });
    port.until(call, |event| matches!(event, SipEvent::Restored)).await;
    (port, call)
}

#[tokio::test]
async fn by_10_the_peers_re_invite_and_bye_are_answered_after_a_restart() {
    let peer = Peer::new().await;
    let (invite, snapshot, address) = killed_in_a_call(&peer, config()).await;
    let (mut port, call) = restarted(address, &snapshot).await;
    let sdp = peer.sdp().replace("40000", "40020");
    peer.request(&invite, "t", "INVITE", 7, "Content-Type: application/sdp\r\n", &sdp).await;
    let answer = peer.hear("SIP/2.0 200").await;
    assert!(answer.text.contains("m=audio 30000"), "our media as before: {}", answer.text);
    peer.request(&invite, "t", "ACK", 7, "", "").await;
    port.until(
        call,
        |event| matches!(event, SipEvent::Updated(remote) if remote.remote.rtp.port() == 40_020),
    )
    .await;
    peer.request(&invite, "t", "BYE", 8, "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    port.idle().await;
}

#[tokio::test]
async fn by_10_a_bye_that_comes_before_its_dialog_is_taken_up_waits_for_it() {
    let peer = Peer::new().await;
    let (invite, snapshot, address) = killed_in_a_call(&peer, config()).await;
    let (mut port, call) = started_again_with(address, SipConfig { takes_up: true, ..config() }).await;
    peer.request(&invite, "t", "BYE", 8, "", "").await;
    // What comes after it is answered, so that it has been looked at.
    let options = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bKoptions\r\nFrom: <sip:bob@{0}>;tag=o\r\n\
         To: <sip:{address}>\r\nCall-ID: options\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        peer.address()
    );
    peer.send(address, &options).await;
    assert_eq!(peer.hear("SIP/2.0").await.header("CSeq"), "1 OPTIONS");
    port.port.command(call, SipCommand::Restore { snapshot });
    port.until(call, |event| matches!(event, SipEvent::Restored)).await;
    port.port.no_more_to_take_up();
    peer.request(&invite, "t", "BYE", 8, "", "").await;
    assert!(peer.hear("SIP/2.0").await.is("SIP/2.0 200"));
    port.until_over(call).await;
    port.idle().await;
    peer.request(&invite, "t", "BYE", 9, "", "").await;
    assert!(peer.hear("SIP/2.0").await.is("SIP/2.0 481"), "there is no such call any more");
}

/// The next response that comes over a connection.
async fn response_over(stream: &mut tokio::net::TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        let read = tokio::time::timeout(support::PATIENCE, stream.read_exact(&mut byte));
        read.await.expect("a response comes").expect("the connection lives");
        text.extend(byte);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A request over TCP does not come again: it waits.
#[tokio::test]
async fn by_10_a_bye_over_tcp_that_comes_before_its_dialog_is_taken_up_waits_for_it() {
    let peer = Peer::new().await;
    let (invite, snapshot, address) = killed_in_a_call(&peer, config()).await;
    let (mut port, call) = started_again_with(address, SipConfig { takes_up: true, ..config() }).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let own = stream.local_addr().expect("its address");
    let request = |method: &str, call_id: &str, to: &str, cseq: u32| {
        format!(
            "{method} sip:{address};transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bK{method}{cseq}\r\n\
             From: {};tag=t\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n",
            invite.header("To"),
        )
    };
    let (call_id, ours) = (invite.header("Call-ID"), invite.header("From"));
    for text in [
        request("BYE", "of no call", ours, 3),
        request("BYE", call_id, ours, 8),
        request("OPTIONS", "options", &format!("<sip:{address}>"), 1),
    ] {
        stream.write_all(text.as_bytes()).await.expect("sent");
    }
    let first = response_over(&mut stream).await;
    assert!(first.contains("CSeq: 1 OPTIONS"), "what came before it has been looked at: {first}");
    port.port.command(call, SipCommand::Restore { snapshot });
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    let ended = response_over(&mut stream).await;
    assert!(ended.starts_with("SIP/2.0 200") && ended.contains("CSeq: 8 BYE"), "{ended}");
    port.port.no_more_to_take_up();
    let unknown = response_over(&mut stream).await;
    assert!(unknown.starts_with("SIP/2.0 481") && unknown.contains("CSeq: 3 BYE"), "{unknown}");
    port.idle().await;
}

#[tokio::test]
async fn by_10_our_re_invite_and_bye_go_out_after_a_restart_with_a_higher_cseq() {
    let peer = Peer::new().await;
    let (invite, snapshot, address) = killed_in_a_call(&peer, config()).await;
    let (mut port, call) = restarted(address, &snapshot).await;
    let mut local = local_media();
    local.rtp.set_port(32_000);
    local.rtcp.set_port(32_001);
    port.port.command(call, SipCommand::ReOffer { local });
    let again = peer.hear("INVITE").await;
    let number = |heard: &Heard| heard.header("CSeq").split(' ').next().and_then(|n| n.parse::<u32>().ok());
    assert!(number(&again) > number(&invite), "{} then {}", invite.header("CSeq"), again.header("CSeq"));
    assert_eq!(again.header("Call-ID"), invite.header("Call-ID"));
    assert!(again.header("To").ends_with("tag=t"), "{}", again.header("To"));
    peer.answer(&again, "t").await;
    peer.hear("ACK").await;
    // The peer's media are the same, and news for this run.
    port.until(call, |event| matches!(event, SipEvent::Updated(_))).await;
    port.until(call, |event| matches!(event, SipEvent::Snapshot { data } if data.contains("32000"))).await;
    port.hang_up(call);
    let bye = peer.hear("BYE").await;
    assert!(number(&bye) > number(&again));
    peer.respond(&bye, "200 OK", "t", "", "").await;
    port.until_over(call).await;
    port.idle().await;
}

#[tokio::test]
async fn by_10_a_snapshot_that_cannot_be_read_fails_to_restore() {
    let mut port = Port::start(config()).await;
    for snapshot in ["", "{}", "not json", "{\"version\":99}"] {
        let call = CallId(7);
        port.port.command(call, SipCommand::Restore { snapshot: snapshot.to_owned() });
        let events = port.until_over(call).await;
        assert!(matches!(events.last(), Some(SipEvent::RestoreFailed { .. })), "{snapshot} {events:?}");
        port.port.command(call, SipCommand::Resume { set_up: snapshot.to_owned() });
        let events = port.until_over(call).await;
        assert!(matches!(events.last(), Some(SipEvent::RestoreFailed { .. })), "{snapshot} {events:?}");
    }
}

/// The stack challenges in a dialog that it restored without its credentials: the trunk's BYE would fail.
#[tokio::test]
async fn by_10_a_challenge_to_our_bye_is_answered_after_a_restart() {
    let peer = Peer::new().await;
    let mut trunk = TrunkConfig::new("127.0.0.1", peer.address().port());
    trunk.credential =
        Some(offhook_control::sip::TrunkCredential { username: "u".to_owned(), password: "p".to_owned() });
    let config = SipConfig { trunk: Some(trunk), ..config() };
    let mut port = Port::start(config.clone()).await;
    let call = port.dial(Target::Trunk { number: "316".to_owned() });
    let invite = peer.hear("INVITE").await;
    peer.answer(&invite, "t").await;
    let snapshot = port.snapshot(call).await;
    drop(port);
    let mut port = Port::start(config).await;
    port.port.command(call, SipCommand::Restore { snapshot });
    port.until(call, |event| matches!(event, SipEvent::Restored)).await;
    port.hang_up(call);
    let bye = peer.hear("BYE").await;
    let challenge = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n";
    peer.respond(&bye, "407 Proxy Authentication Required", "t", challenge, "").await;
    let again = peer.hear("BYE").await;
    assert!(again.header("Proxy-Authorization").contains("qop=auth,"), "{}", again.text);
    peer.respond(&again, "200 OK", "t", "", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_calls_leave_nothing_behind() {
    const CALLS: u32 = 2_000;
    let sipp = Sipp::run(&["-sn", "uas"], None, "u1", CALLS).await;
    // Transactions linger for 64 times T1 after their end.
    let mut port = Port::start(SipConfig { t1_ms: 200, ..config() }).await;
    let before_us = cpu_us();
    let (mut started, mut ended, mut answered) = (0, 0, 0);
    while ended < CALLS {
        while started < CALLS && started - ended < 100 {
            port.dial(sipp.uri());
            started += 1;
        }
        if let offhook_control_core::Input::Sip { call, event } = port.next().await {
            match event {
                SipEvent::Answered { .. } => {
                    answered += 1;
                    port.hang_up(call);
                }
                SipEvent::Ended { .. } => ended += 1,
                SipEvent::Failed { status, ref reason, .. } => panic!("{status} {reason}"),
                _ => {}
            }
        }
    }
    assert_eq!(answered, CALLS);
    println!("{} us of CPU a call, set-up to BYE, test included", (cpu_us() - before_us) / u64::from(CALLS));
    port.idle().await;
    let started = std::time::Instant::now();
    loop {
        let counts = port.port.counts();
        if counts.transactions == 0 && counts.finished_transactions == 0 {
            break;
        }
        assert!(started.elapsed() < support::PATIENCE, "still held: {counts:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// CPU time of this process so far.
fn cpu_us() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) * 10_000
}

/// A phone that rings, its INVITE and what is kept of it; then the port is gone without a word.
async fn killed_while_it_rings(peer: &Peer) -> (Heard, String, std::net::SocketAddr) {
    let mut port = Port::start(config()).await;
    let address = port.address();
    let call = port.dial(Target::Uri(format!("sip:bob@{}", peer.address())));
    let invite = peer.hear("INVITE").await;
    peer.respond(&invite, "180 Ringing", "t", "", "").await;
    let (mut kept, mut rings) = (String::new(), false);
    while !kept.contains("\"ring_ms\":null") || !rings {
        match port.event(call).await {
            SipEvent::SettingUp { data } => kept = data,
            event => rings |= matches!(event, SipEvent::Ringing),
        }
    }
    assert!(kept.len() <= offhook_control_core::limits::SNAPSHOT_BYTES);
    (invite, kept, address)
}

/// The next run, on the same port; it has been told of the call.
async fn resumed(address: std::net::SocketAddr, set_up: &str) -> (Port, CallId) {
    let (port, call) = started_again(address).await;
    port.port.command(call, SipCommand::Resume { set_up: set_up.to_owned() });
    let mut port = port;
    let kept: serde_json::Value = serde_json::from_str(set_up).expect("our own JSON");
    match port.event(call).await {
        SipEvent::Ringing => assert!(kept["ring_ms"].is_null(), "it had not begun to ring"),
        SipEvent::Trying => assert!(!kept["ring_ms"].is_null(), "it rang"),
        event => panic!("{event:?}"),
    }
    (port, call)
}

#[tokio::test]
async fn by_10_who_picked_up_while_control_was_dead_is_acknowledged_and_the_call_goes_on() {
    let peer = Peer::new().await;
    let (invite, set_up, address) = killed_while_it_rings(&peer).await;
    peer.answer(&invite, "t").await;
    let (mut port, call) = started_again(address).await;
    // The port does not know of the call yet: this one is left, and repeated as every 2xx is until its ACK.
    peer.answer(&invite, "t").await;
    port.port.command(call, SipCommand::Resume { set_up });
    assert!(matches!(port.event(call).await, SipEvent::Ringing));
    peer.answer(&invite, "t").await;
    let ack = peer.hear("ACK").await;
    assert_eq!(ack.header("CSeq").split(' ').next(), invite.header("CSeq").split(' ').next());
    assert!(ack.header("To").ends_with("tag=t"), "{}", ack.header("To"));
    assert_eq!(
        (ack.header("Call-ID"), ack.header("From")),
        (invite.header("Call-ID"), invite.header("From"))
    );
    let SipEvent::Answered { remote, .. } = port.answered(call).await else { unreachable!() };
    assert_eq!(remote.remote.rtp.port(), 40_000);
    port.until(call, |event| matches!(event, SipEvent::Snapshot { .. })).await;
    peer.answer(&invite, "t").await;
    peer.hear("ACK").await;
    port.hang_up(call);
    let bye = peer.hear("BYE").await;
    assert!(bye.header("To").ends_with("tag=t"), "{}", bye.header("To"));
    peer.respond(&bye, "200 OK", "t", "", "").await;
    port.until_over(call).await;
    port.idle().await;
}

#[tokio::test]
async fn by_10_by_08_a_phone_that_begins_to_ring_after_a_restart_rings_as_long_as_any() {
    const RING_MS: u64 = 6_000;
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    let address = port.address();
    let call = port.dial_for(Target::Uri(format!("sip:bob@{}", peer.address())), 6_000);
    let invite = peer.hear("INVITE").await;
    let kept = port.until(call, |event| matches!(event, SipEvent::SettingUp { .. })).await;
    let SipEvent::SettingUp { data } = kept else { unreachable!() };
    drop(port);
    // Half of it has passed, whatever the machine does meanwhile.
    let mut kept: serde_json::Value = serde_json::from_str(&data).expect("our own JSON");
    kept["until_ms"] = (support::now().unix_ms + RING_MS / 2).into();
    let (mut port, call) = resumed(address, &kept.to_string()).await;
    let rings = std::time::Instant::now();
    peer.respond(&invite, "180 Ringing", "t", "", "").await;
    assert!(matches!(port.event(call).await, SipEvent::Ringing), "now, and not before");
    let told = port.until(call, |event| matches!(event, SipEvent::SettingUp { .. })).await;
    let SipEvent::SettingUp { data } = told else { unreachable!() };
    let told: serde_json::Value = serde_json::from_str(&data).expect("our own JSON");
    assert!(told["until_ms"].as_u64() > kept["until_ms"].as_u64() && told["ring_ms"].is_null(), "{told}");
    let cancel = peer.hear("CANCEL").await;
    let rang_ms = rings.elapsed().as_millis();
    assert!(rang_ms >= u128::from(RING_MS), "it rang for {rang_ms} ms");
    peer.respond(&cancel, "200 OK", "t", "", "").await;
    peer.respond(&invite, "487 Request Terminated", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 408, .. })), "{events:?}");
    port.idle().await;
}

#[tokio::test]
async fn by_10_a_second_answer_of_a_fork_gets_ack_and_bye_after_a_restart_too() {
    let peer = Peer::new().await;
    let (invite, set_up, address) = killed_while_it_rings(&peer).await;
    let (mut port, call) = resumed(address, &set_up).await;
    peer.answer(&invite, "t").await;
    peer.hear("ACK").await;
    port.answered(call).await;
    peer.answer(&invite, "other").await;
    let ack = peer.hear("ACK").await;
    assert!(ack.header("To").ends_with("tag=other"), "{}", ack.header("To"));
    let bye = peer.hear("BYE").await;
    assert!(bye.header("To").ends_with("tag=other"), "{}", bye.header("To"));
    peer.respond(&bye, "200 OK", "other", "", "").await;
    assert_eq!(port.port.counts().calls, 1, "the call goes on");
}

#[tokio::test]
async fn by_10_a_phone_that_rings_for_a_dead_control_is_cancelled_on_its_branch() {
    let peer = Peer::new().await;
    let (invite, set_up, address) = killed_while_it_rings(&peer).await;
    let (mut port, call) = resumed(address, &set_up).await;
    port.hang_up(call);
    let cancel = peer.hear("CANCEL").await;
    let branch = |heard: &Heard| {
        let via = heard.header("Via").to_owned();
        via.split("branch=").nth(1).and_then(|rest| rest.split(';').next()).map(str::to_owned)
    };
    assert_eq!(branch(&cancel), branch(&invite));
    assert_eq!(cancel.first.split(' ').nth(1), invite.first.split(' ').nth(1));
    assert_eq!(cancel.header("CSeq"), invite.header("CSeq").replace("INVITE", "CANCEL"));
    peer.respond(&cancel, "200 OK", "t", "", "").await;
    peer.respond(&invite, "487 Request Terminated", "t", "", "").await;
    let ack = peer.hear("ACK").await;
    assert_eq!(branch(&ack), branch(&invite));
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 487, .. })), "{events:?}");
    port.idle().await;
}

#[tokio::test]
async fn by_10_an_answer_that_crosses_the_cancel_of_the_next_run_gets_ack_and_bye() {
    let peer = Peer::new().await;
    let (invite, set_up, address) = killed_while_it_rings(&peer).await;
    let (mut port, call) = resumed(address, &set_up).await;
    port.hang_up(call);
    peer.hear("CANCEL").await;
    peer.answer(&invite, "t").await;
    peer.hear("ACK").await;
    let bye = peer.hear("BYE").await;
    peer.respond(&bye, "200 OK", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Failed { status: 487, .. })), "{events:?}");
    port.idle().await;
}

#[tokio::test]
async fn by_10_a_refusal_after_a_restart_is_acknowledged_and_told() {
    let peer = Peer::new().await;
    let (invite, set_up, address) = killed_while_it_rings(&peer).await;
    let (mut port, call) = resumed(address, &set_up).await;
    peer.respond(&invite, "486 Busy Here", "t", "", "").await;
    let ack = peer.hear("ACK").await;
    assert!(ack.header("To").ends_with("tag=t"), "{}", ack.header("To"));
    let events = port.until_over(call).await;
    assert!(
        matches!(events.last(), Some(SipEvent::Failed { status: 486, network: false, .. })),
        "{events:?}"
    );
    port.idle().await;
}

#[tokio::test]
async fn by_10_an_invite_that_nobody_knows_any_more_is_over_with_the_answer_to_its_cancel() {
    let peer = Peer::new().await;
    let (_, set_up, address) = killed_while_it_rings(&peer).await;
    let (mut port, call) = resumed(address, &set_up).await;
    port.hang_up(call);
    let cancel = peer.hear("CANCEL").await;
    peer.respond(&cancel, "481 Call/Transaction Does Not Exist", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::RestoreFailed { .. })), "{events:?}");
    port.idle().await;
}
