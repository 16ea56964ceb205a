//! Errors of ours, which a clock that panics stands for: one call, one message or one connection is lost, or control is told.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offhook_control::sip::SipConfig;
use offhook_control_core::sip::{SipEvent, Target};
use support::peer::Peer;
use support::{PATIENCE, Port, config, now};

/// A port whose clock panics as soon as it is told to.
async fn faulty() -> (Port, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let clock = move || {
        assert!(!is_broken.load(Ordering::Relaxed), "an error of ours");
        now()
    };
    (Port::start(SipConfig { clock: Arc::new(clock), ..config() }).await, broken)
}

#[tokio::test]
async fn a_task_that_all_of_sip_hangs_on_and_that_panics_is_told_of() {
    let (port, broken) = faulty().await;
    broken.store(true, Ordering::Relaxed);
    // It looks at the clock each second.
    let reason = tokio::time::timeout(PATIENCE, port.port.failed()).await.expect("it is told");
    assert_eq!(reason, "keeping registrations panicked");
}

#[tokio::test]
async fn a_message_over_udp_whose_handling_panics_is_lost_alone() {
    let (port, broken) = faulty().await;
    let peer = Peer::new().await;
    let request = |method: &str, number: u32| {
        format!(
            "{method} sip:offhook.test SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{number}\r\n\
             From: <sip:agent1@offhook.test>;tag=1\r\nTo: <sip:agent1@offhook.test>\r\nCall-ID: {number}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:agent1@127.0.0.1>\r\nContent-Length: 0\r\n\r\n",
            peer.address()
        )
    };
    broken.store(true, Ordering::Relaxed);
    peer.send(port.address(), &request("REGISTER", 1)).await;
    peer.send(port.address(), &request("OPTIONS", 2)).await;
    assert_eq!(peer.hear("SIP/2.0").await.header("CSeq"), "2 OPTIONS");
}

#[tokio::test]
async fn a_call_whose_task_panics_has_an_end_for_the_core() {
    let (mut port, broken) = faulty().await;
    broken.store(true, Ordering::Relaxed);
    // Whether a phone's registration has run out is asked in the call's task.
    let call = port.dial(Target::Registered { aor: "agent1".to_owned() });
    let lost = SipEvent::Ended { by_peer: false, reason: "internal error".to_owned() };
    assert_eq!(port.until_over(call).await, [lost]);
    port.idle().await;
}
