//! Phones that register, with SIPp as phone.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offhook_control::sip::SipConfig;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use offhook_control_core::{CallId, Input, Now};
use support::phone::Phone;
use support::{Port, Sipp, config, local_media, now, scenario};

async fn registration(port: &mut Port) -> (String, Option<String>) {
    loop {
        if let Input::Registration { aor, contact } = port.next().await {
            return (aor, contact);
        }
    }
}

async fn phone(port: &Port, name: &str, user: &str, password: &str, transport: &str) -> Sipp {
    let path = scenario(name).display().to_string();
    let args = ["-sf", &path, "-s", user, "-au", user, "-ap", password];
    Sipp::run(&args, Some(port.address()), transport, 1).await
}

fn dial(port: &Port, aor: &str, auto_answer: bool) -> CallId {
    let call = CallId(900);
    let target = Target::Registered { aor: aor.to_owned() };
    let (caller_id, display) = (None, Some("Offhook".to_owned()));
    let dial = SipCommand::Dial {
        target,
        caller_id,
        display,
        local: local_media(),
        auto_answer,
        ring_timeout_ms: 30_000,
        after: None,
    };
    port.port.command(call, dial);
    call
}

#[tokio::test]
async fn the_right_password_registers() {
    let mut port = Port::start(config()).await;
    let sipp = phone(&port, "uac_register.xml", "agent1", "agent1-secret", "u1").await;
    let (aor, contact) = registration(&mut port).await;
    assert_eq!(aor, "agent1");
    assert!(contact.expect("a contact").starts_with("sip:agent1@127.0.0.1"));
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_wrong_password_does_not() {
    let port = Port::start(config()).await;
    phone(&port, "uac_register_wrong.xml", "agent1", "guess", "u1").await.succeeds().await;
    phone(&port, "uac_register_wrong.xml", "stranger", "guess", "u1").await.succeeds().await;
}

#[tokio::test]
async fn a_phone_that_leaves_is_told() {
    let mut port = Port::start(config()).await;
    let sipp = phone(&port, "uac_unregister.xml", "agent1", "agent1-secret", "u1").await;
    assert!(registration(&mut port).await.1.is_some());
    assert_eq!(registration(&mut port).await, ("agent1".to_owned(), None));
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_registered_phone_is_called_and_told_to_answer_by_itself() {
    let mut port = Port::start(config()).await;
    let sipp = phone(&port, "uac_register.xml", "agent1", "agent1-secret", "u1").await;
    let at = sipp.port;
    registration(&mut port).await;
    sipp.succeeds().await;
    let path = scenario("uas_phone.xml").display().to_string();
    let sipp = Sipp::run_at(at, &["-sf", &path], None, "u1", 1).await;
    let call = dial(&port, "agent1", true);
    port.answered(call).await;
    port.hang_up(call);
    let events = port.until_over(call).await;
    assert!(matches!(events.last(), Some(SipEvent::Ended { by_peer: false, .. })), "{events:?}");
    sipp.succeeds().await;
}

#[tokio::test]
async fn a_phone_that_registered_over_tcp_is_called_over_its_connection() {
    let mut port = Port::start(config()).await;
    let mut phone = Phone::connect(port.address()).await;
    phone.register("agent1", "<sip:agent1@192.0.2.1:5060;transport=tcp>", 1).await;
    registration(&mut port).await;
    // Its Contact leads nowhere: only the connection does.
    let call = dial(&port, "agent1", false);
    let invite = phone.hear("INVITE").await;
    assert!(invite.is("INVITE sip:agent1@192.0.2.1"), "{}", invite.text);
    assert!(invite.header("Via").starts_with("SIP/2.0/TCP"), "{}", invite.text);
    port.hang_up(call);
}

#[tokio::test]
async fn registrations_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let bindings = Some(directory.path().join("bindings.json"));
    let mut port = Port::start(SipConfig { bindings: bindings.clone(), ..config() }).await;
    let sipp = phone(&port, "uac_register.xml", "agent1", "agent1-secret", "u1").await;
    registration(&mut port).await;
    sipp.succeeds().await;
    while !bindings.as_ref().is_some_and(|path| path.exists()) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(port);
    let mut next = Port::start(SipConfig { bindings, ..config() }).await;
    let (aor, contact) = registration(&mut next).await;
    assert!(aor == "agent1" && contact.is_some());
}

#[tokio::test]
async fn a_phone_stays_registered_when_somebody_sets_the_calendar() {
    let ahead_ms = Arc::new(AtomicU64::new(0));
    let set_ms = Arc::clone(&ahead_ms);
    let calendar = move || {
        let now = now();
        Now { unix_ms: now.unix_ms + set_ms.load(Ordering::Relaxed), ..now }
    };
    let mut port = Port::start(SipConfig { clock: Arc::new(calendar), ..config() }).await;
    let sipp = phone(&port, "uac_register.xml", "agent1", "agent1-secret", "u1").await;
    let at = sipp.port;
    registration(&mut port).await;
    sipp.succeeds().await;
    ahead_ms.store(86_400_000, Ordering::Relaxed);
    // Expired bindings are looked for each second.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let path = scenario("uas_phone.xml").display().to_string();
    let sipp = Sipp::run_at(at, &["-sf", &path], None, "u1", 1).await;
    let call = dial(&port, "agent1", true);
    port.answered(call).await;
    port.hang_up(call);
    port.until_over(call).await;
    sipp.succeeds().await;
}
