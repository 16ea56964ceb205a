//! Phones over TCP that come back over another connection while they have a call (compare RFC 5626).
#![allow(missing_docs)]

mod support;

use offhook_control::sip::SipConfig;
use offhook_control_core::CallId;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use support::peer::{Heard, Peer};
use support::phone::Phone;
use support::{Port, config};

const CONTACT: &str = "<sip:agent1@192.0.2.1:5060;transport=tcp>";
const US: &str = "TCP 192.0.2.1:5060";

/// A registered phone with a call.
struct InCall {
    port: Port,
    phone: Phone,
    call: CallId,
    invite: Heard,
}

async fn in_call(config: SipConfig, contact: &str) -> InCall {
    let mut port = Port::start(config).await;
    let mut phone = Phone::connect(port.address()).await;
    phone.register("agent1", contact, 1).await;
    let call = port.dial(Target::Registered { aor: "agent1".to_owned() });
    let invite = phone.hear("INVITE").await;
    let sdp = Peer::new().await.sdp();
    phone.answer(&invite, &format!("{}>", contact.split('>').next().unwrap_or_default()), "t", &sdp).await;
    port.answered(call).await;
    phone.hear("ACK").await;
    InCall { port, phone, call, invite }
}

/// The core asks whether the peer is there, and hears that it is.
async fn is_reached(port: &mut Port, call: CallId, phone: &mut Phone) {
    port.port.command(call, SipCommand::Probe);
    let options = phone.hear("OPTIONS").await;
    phone.respond(&options, "200 OK", "t").await;
    port.until(call, |event| matches!(event, SipEvent::Alive)).await;
}

#[tokio::test]
async fn a_phone_that_registers_over_another_connection_is_reached_there_in_its_call() {
    let InCall { mut port, phone, call, .. } = in_call(config(), CONTACT).await;
    drop(phone);
    let mut phone = Phone::connect(port.address()).await;
    phone.register("agent1", CONTACT, 3).await;
    is_reached(&mut port, call, &mut phone).await;
    port.hang_up(call);
    phone.hear("BYE").await;
}

#[tokio::test]
async fn a_phone_is_known_by_its_instance_when_its_port_is_another() {
    let contact = |port: u16| {
        format!("<sip:agent1@192.0.2.1:{port};transport=tcp>;+sip.instance=\"<urn:uuid:{}>\"", "0".repeat(36))
    };
    let InCall { mut port, phone, call, .. } = in_call(config(), &contact(40_001)).await;
    drop(phone);
    let mut phone = Phone::connect(port.address()).await;
    phone.register("agent1", &contact(40_002), 3).await;
    is_reached(&mut port, call, &mut phone).await;
}

#[tokio::test]
async fn a_phone_that_is_heard_in_its_call_over_another_connection_is_reached_there() {
    let InCall { mut port, phone, call, invite } = in_call(config(), CONTACT).await;
    let mut other = Phone::connect(port.address()).await;
    other.send(&invite.request(US, "t", "INFO", 1, "", "")).await;
    other.hear("SIP/2.0 200").await;
    is_reached(&mut port, call, &mut other).await;
    drop(phone);
    is_reached(&mut port, call, &mut other).await;
}

#[tokio::test]
async fn by_02_a_phone_without_a_connection_is_waited_for_as_long_as_one_over_udp_that_does_not_answer() {
    let InCall { mut port, phone, call, .. } =
        in_call(SipConfig { options_every_s: Some(1), ..config() }, CONTACT).await;
    drop(phone);
    // Meanwhile it is asked.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let mut phone = Phone::connect(port.address()).await;
    phone.register("agent1", CONTACT, 3).await;
    for _ in 0..2 {
        let options = phone.hear("OPTIONS").await;
        phone.respond(&options, "200 OK", "t").await;
    }
    port.hang_up(call);
    phone.hear("BYE").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
}

#[tokio::test]
async fn by_02_a_phone_whose_connection_went_silent_is_asked_again_over_its_next() {
    let InCall { mut port, mut phone, call, .. } =
        in_call(SipConfig { options_every_s: Some(1), t1_ms: 100, ..config() }, CONTACT).await;
    phone.hear("OPTIONS").await;
    let mut next = Phone::connect(port.address()).await;
    next.register("agent1", CONTACT, 3).await;
    let options = next.hear("OPTIONS").await;
    next.respond(&options, "200 OK", "t").await;
    port.hang_up(call);
    next.hear("BYE").await;
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
}

#[tokio::test]
async fn by_02_a_phone_that_does_not_come_back_is_given_up() {
    let InCall { mut port, phone, call, .. } =
        in_call(SipConfig { options_every_s: Some(1), t1_ms: 20, ..config() }, CONTACT).await;
    drop(phone);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: true, .. })), "{events:?}");
}

#[tokio::test]
async fn by_10_a_call_of_the_run_before_reaches_its_phone_over_a_connection_of_this_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let kept = || SipConfig { bindings: Some(directory.path().join("bindings.json")), ..config() };
    let InCall { mut port, phone, call, .. } = in_call(kept(), CONTACT).await;
    let snapshot = port.snapshot(call).await;
    drop((port, phone));
    let mut next = Port::start(kept()).await;
    next.port.command(call, SipCommand::Restore { snapshot });
    next.until(call, |event| matches!(event, SipEvent::Restored)).await;
    let mut phone = Phone::connect(next.address()).await;
    phone.register("agent1", CONTACT, 3).await;
    is_reached(&mut next, call, &mut phone).await;
}

#[tokio::test]
async fn by_10_requests_of_this_run_have_higher_numbers_than_all_of_the_run_before() {
    let peer = Peer::new().await;
    let mut port = Port::start(config()).await;
    let (call, _) = port.answered_by(&peer).await;
    port.answered(call).await;
    let snapshot = port.snapshot(call).await;
    let number = |heard: &Heard| {
        heard
            .header("CSeq")
            .split(' ')
            .next()
            .and_then(|number| number.parse::<u32>().ok())
            .expect("a number")
    };
    let mut last = 0;
    for _ in 0..20 {
        port.port.command(call, SipCommand::Probe);
        let options = peer.hear("OPTIONS").await;
        peer.respond(&options, "200 OK", "t", "", "").await;
        port.until(call, |event| matches!(event, SipEvent::Alive)).await;
        last = last.max(number(&options));
    }
    drop(port);
    let next = Port::start(config()).await;
    next.port.command(call, SipCommand::Restore { snapshot });
    next.hang_up(call);
    let bye = peer.hear("BYE").await;
    assert!(number(&bye) > last, "{} after {last}", bye.header("CSeq"));
}
