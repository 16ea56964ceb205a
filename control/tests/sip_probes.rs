//! OPTIONS of ours: to the peer of a call, and to the trunk outside calls.
#![allow(missing_docs)]

mod support;

use std::time::Duration;

use offhook_control::sip::{SipConfig, TrunkConfig};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, Input};
use support::peer::{Heard, Peer};
use support::{Port, config, free_port};

/// A call whose peer is asked every second whether it is there, and has 64 times T1 to answer.
async fn probed_call(t1_ms: u32) -> (Peer, Port, CallId) {
    let peer = Peer::new().await;
    let config = SipConfig { options_every_s: Some(1), t1_ms, ..config() };
    let mut port = Port::start(config).await;
    let (call, _) = port.answered_by(&peer).await;
    port.answered(call).await;
    (peer, port, call)
}

#[tokio::test]
async fn by_02_a_peer_that_answers_options_is_asked_again_and_stays_whatever_it_answers() {
    let (peer, mut port, call) = probed_call(500).await;
    for status in ["200 OK", "405 Method Not Allowed", "501 Not Implemented"] {
        let options = peer.hear("OPTIONS").await;
        assert!(options.header("To").contains("tag=t"), "in the dialog: {}", options.text);
        peer.respond(&options, status, "t", "", "").await;
        // A retransmission of what was just answered is not the next one.
        let mut next = peer.hear("OPTIONS").await;
        while next.header("CSeq") == options.header("CSeq") {
            next = peer.hear("OPTIONS").await;
        }
        peer.respond(&next, "200 OK", "t", "", "").await;
    }
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
}

#[tokio::test]
async fn by_02_a_peer_whose_network_is_gone_is_noticed_by_options_and_hung_up_on() {
    let (peer, mut port, call) = probed_call(20).await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    assert!(peer.hear("BYE").await.header("Reason").contains("OPTIONS"));
}

#[tokio::test]
async fn by_02_a_peer_that_knows_of_no_call_is_hung_up_on() {
    let (peer, mut port, call) = probed_call(500).await;
    let options = peer.hear("OPTIONS").await;
    peer.respond(&options, "481 Call Does Not Exist", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
}

/// A call whose peer is asked whether it is there only where the core wants to know.
async fn asked_call() -> (Peer, Port, CallId, Heard) {
    let peer = Peer::new().await;
    let mut port = Port::start(SipConfig { t1_ms: 20, ..config() }).await;
    let (call, _) = port.answered_by(&peer).await;
    port.answered(call).await;
    port.port.command(call, SipCommand::Probe);
    let options = peer.hear("OPTIONS").await;
    assert!(options.header("To").contains("tag=t"), "in the dialog: {}", options.text);
    (peer, port, call, options)
}

/// What the peer hears when the core asks again, after this.
async fn asked_again(peer: &Peer, port: &Port, call: CallId, last: &Heard) -> Heard {
    port.port.command(call, SipCommand::Probe);
    loop {
        let options = peer.hear("OPTIONS").await;
        if options.header("CSeq") != last.header("CSeq") {
            return options;
        }
    }
}

#[tokio::test]
async fn by_02_a_phone_that_answers_what_the_core_asks_is_there_and_a_proxys_word_for_it_is_none() {
    let (peer, mut port, call, mut options) = asked_call().await;
    for status in
        ["408 Request Timeout", "404 Not Found", "503 Service Unavailable", "405 Method Not Allowed"]
    {
        peer.respond(&options, status, "t", "", "").await;
        options = asked_again(&peer, &port, call, &options).await;
    }
    peer.respond(&options, "200 OK", "t", "", "").await;
    for _ in ["405", "200"] {
        port.until(call, |event| *event == SipEvent::Alive).await;
    }
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(!events.contains(&SipEvent::Alive), "{events:?}");
}

#[tokio::test]
async fn by_02_a_phone_that_knows_of_no_call_when_the_core_asks_is_hung_up_on() {
    let (peer, mut port, call, options) = asked_call().await;
    peer.respond(&options, "481 Call Does Not Exist", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
    assert!(!events.contains(&SipEvent::Alive), "{events:?}");
    peer.hear("BYE").await;
}

#[tokio::test]
async fn by_02_a_phone_that_does_not_answer_what_the_core_asks_is_left_to_the_core() {
    let (peer, mut port, call, first) = asked_call().await;
    // The transaction gives up after 64·T1 of 20 ms.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let options = asked_again(&peer, &port, call, &first).await;
    peer.respond(&options, "200 OK", "t", "", "").await;
    port.until(call, |event| *event == SipEvent::Alive).await;
}

/// With a trunk on a port of the loopback address that is asked every second.
async fn watching(trunk_port: u16) -> Port {
    let trunk = TrunkConfig { options_every_s: Some(1), ..TrunkConfig::new("127.0.0.1", trunk_port) };
    Port::start(SipConfig { trunk: Some(trunk), t1_ms: 250, ..config() }).await
}

/// The next word about the trunk: why it is away.
async fn trunk(port: &mut Port) -> Option<String> {
    loop {
        if let Input::Trunk { outage } = port.next().await {
            return outage;
        }
    }
}

/// What is told next, while the peer answers every OPTIONS with this status.
async fn told_of(peer: &Peer, status: &str, port: &mut Port) -> Option<String> {
    let answers = async {
        loop {
            let options = peer.hear("OPTIONS").await;
            peer.respond(&options, status, "t", "", "").await;
        }
    };
    tokio::select! {
        outage = trunk(port) => outage,
        () = answers => unreachable!("it answers for ever"),
    }
}

#[tokio::test]
async fn a_trunk_that_stops_answering_is_away_until_its_next_answer() {
    let peer = Peer::new().await;
    let mut port = watching(peer.address().port()).await;
    let options = peer.hear("OPTIONS").await;
    assert!(!options.header("To").contains("tag="), "outside calls: {}", options.text);
    assert_eq!(options.first, format!("OPTIONS sip:127.0.0.1:{} SIP/2.0", peer.address().port()));
    // Whatever it thinks of OPTIONS, it is there.
    peer.respond(&options, "405 Method Not Allowed", "t", "", "").await;
    assert_eq!(trunk(&mut port).await, None);
    let reason = trunk(&mut port).await.expect("it is away when it is silent");
    assert!(reason.contains("does not answer"), "{reason}");
    assert_eq!(told_of(&peer, "200 OK", &mut port).await, None);
}

#[tokio::test]
async fn a_trunk_that_says_that_it_takes_no_calls_is_away() {
    let peer = Peer::new().await;
    let mut port = watching(peer.address().port()).await;
    let reason = told_of(&peer, "503 Service Unavailable", &mut port).await.expect("it is away");
    assert!(reason.contains("503"), "{reason}");
    assert_eq!(told_of(&peer, "200 OK", &mut port).await, None);
}

#[tokio::test]
async fn a_trunk_whose_host_has_nobody_listening_is_away_by_the_networks_word() {
    let mut port = watching(free_port()).await;
    let reason = trunk(&mut port).await.expect("it is away");
    assert!(reason.contains("nobody listens"), "{reason}");
}
