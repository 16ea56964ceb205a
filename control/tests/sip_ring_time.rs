//! How long phones that we call may ring: from their first ringing on.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use offhook_control_core::sip::{SipEvent, Target};
use support::peer::Peer;
use support::{Port, config};

fn is_given_up(events: &[SipEvent]) -> bool {
    matches!(events.last(), Some(SipEvent::Failed { status: 408, network: false, .. }))
}

#[tokio::test]
async fn by_08_pv_06_a_phone_that_begins_to_ring_late_rings_as_long_as_any() {
    const RING_MS: u32 = 6_000;
    let ring = Duration::from_millis(RING_MS.into());
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    loop {
        let dialled = Instant::now();
        let call = port.dial_for(Target::Uri(format!("sip:bob@{}", peer.address())), RING_MS);
        let invite = peer.hear("INVITE").await;
        peer.respond(&invite, "100 Trying", "t", "", "").await;
        tokio::time::sleep(ring / 4).await;
        let rings = Instant::now();
        peer.respond(&invite, "180 Ringing", "t", "", "").await;
        let late = dialled.elapsed() > ring * 3 / 4;
        let cancel = peer.hear("CANCEL").await;
        let rang = rings.elapsed();
        peer.respond(&cancel, "200 OK", "t", "", "").await;
        peer.respond(&invite, "487 Request Terminated", "t", "", "").await;
        let events = port.until_over(call).await;
        if late {
            // Nobody can tell which came first on so slow a machine.
            continue;
        }
        assert!(rang >= ring, "it rang for {rang:?} of {ring:?}");
        assert!(is_given_up(&events), "{events:?}");
        break;
    }
    port.idle().await;
}

#[tokio::test]
async fn by_08_each_further_phone_that_begins_to_ring_adds_no_time() {
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    let call = port.dial_for(Target::Uri(format!("sip:bob@{}", peer.address())), 2_000);
    let invite = peer.hear("INVITE").await;
    let mut phones = 0;
    let cancel = loop {
        assert!(phones < 100, "it is never given up");
        peer.respond(&invite, "180 Ringing", &format!("t{phones}"), "", "").await;
        phones += 1;
        tokio::select! {
            cancel = peer.hear("CANCEL") => break cancel,
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
    };
    peer.respond(&cancel, "200 OK", "t", "", "").await;
    peer.respond(&invite, "487 Request Terminated", "t", "", "").await;
    let events = port.until_over(call).await;
    assert!(is_given_up(&events), "{events:?}");
    port.idle().await;
}
