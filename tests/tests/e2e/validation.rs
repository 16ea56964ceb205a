//! Persistent connection mode: statuses, the PIN, and what keeps or ends the connection.

use offhook_tests::e2e::{
    House, Phone, Scenario, Settings, Sound, eventually, for_a_while, spoken_digits, until,
};
use serde_json::{Value, json};

fn logged_in(house: &House, phone: &Phone, more: &Value) {
    house.rest.put_agent("ann", &phone.station(), more);
    house.rest.act("ann", "login");
}

/// The PIN as the phone speaks it.
pub(super) fn pin_heard(phone: &Phone) -> String {
    eventually("four digits are spoken", || {
        let digits = spoken_digits(&phone.party.sound());
        (digits.len() >= 4).then(|| digits[..4].iter().collect())
    })
}

pub(super) fn type_pin(house: &House, pin: &str) -> (u16, Value) {
    let asked = house.rest.ask("POST", "/api/v1/agents/ann/pin", &json!({ "pin": pin }));
    asked.expect("control answers")
}

/// Another PIN.
fn not(pin: &str) -> String {
    format!("{:04}", (pin.parse::<u32>().expect("digits") + 1) % 10_000)
}

#[test]
fn pm_03_after_login_an_agent_is_on_break_and_available_calls_the_phone() {
    let house = House::open(&Settings::default());
    let ann = house.phone_playing("ann", "phone.xml", &["-d", "1500"]);
    logged_in(&house, &ann, &json!({}));
    assert_eq!(house.rest.agent("ann")["status"], "on_break");
    for_a_while();
    assert_eq!(ann.sipp.invites().len(), 0, "nobody is called on break");
    let live = house.rest.live();
    let offered = house.rest.status("ann", "available");
    assert_eq!(offered["status"], "persistent_call_offered");
    house.rest.await_agent("ann", "status", "available");
    assert_eq!(ann.sipp.invites().len(), 1);
    let seen = eventually("the console is told that she is available", || {
        let statuses: Vec<Value> =
            live.of("agent").into_iter().map(|agent| agent["status"].clone()).collect();
        statuses.contains(&json!("available")).then_some(statuses)
    });
    let place = |status: &str| seen.iter().position(|other| other == status);
    assert!(place("persistent_call_offered").is_some(), "{seen:?}");
    assert!(place("persistent_call_offered") < place("available"), "{seen:?}");
}

#[test]
fn pm_04_the_pin_that_is_spoken_opens_the_connection_and_no_other_does() {
    let house = House::open(&Settings { connected: "connected.wav", ..Settings::default() });
    let ann = house.phone("ann");
    logged_in(&house, &ann, &json!({ "pin": true }));
    house.rest.status("ann", "available");
    house.rest.await_agent("ann", "connection", "validating");
    let pin = pin_heard(&ann);
    assert_eq!(Sound::new("pin_intro.wav", 25).found_in(&ann.party.sound())[0], 0, "introduced first");

    let (status, refusal) = type_pin(&house, &not(&pin));
    assert_eq!((status, &refusal["error"], &refusal["attempts_left"]), (403, &json!("wrong_pin"), &json!(2)));
    assert_eq!(house.rest.agent("ann")["connection"], "validating");
    let wrong = Sound::new("wrong_pin.wav", 25);
    until("the phone says that it was wrong", || !wrong.found_in(&ann.party.sound()).is_empty());
    ann.party.forget();
    assert_eq!(pin_heard(&ann), pin, "it is spoken again, the same");

    let (status, _) = type_pin(&house, &pin);
    assert_eq!(status, 200);
    house.rest.await_agent("ann", "status", "available");
    let open = Sound::new("pin_ok.wav", 25);
    until("the phone says that it is open", || !open.found_in(&ann.party.sound()).is_empty());
    assert!(!house.control_log().contains(&pin), "a PIN is never logged");
    assert_eq!(type_pin(&house, &pin).0, 409, "it is used up");
}

#[test]
fn pm_04_a_pin_that_is_wrong_too_often_ends_the_call_and_the_next_call_has_another() {
    let house = House::open(&Settings { pin_attempts: 2, ..Settings::default() });
    let ann = house.phone("ann");
    logged_in(&house, &ann, &json!({ "pin": true }));
    house.rest.status("ann", "available");
    let pin = pin_heard(&ann);
    assert_eq!(type_pin(&house, &not(&pin)).1["attempts_left"], 1);
    assert_eq!(type_pin(&house, &not(&pin)).1["attempts_left"], 0);
    let agent = house.rest.await_agent("ann", "connection", "down");
    assert_eq!((&agent["status"], &agent["last_error"]), (&json!("on_break"), &json!("pin")));
    ann.sipp.awaits("BYE", 1);
    assert_eq!(type_pin(&house, &pin).0, 409, "the right one comes too late");

    ann.party.forget();
    house.rest.status("ann", "available");
    let next = pin_heard(&ann);
    assert_eq!(type_pin(&house, &next).0, 200);
    house.rest.await_agent("ann", "status", "available");
}

#[test]
fn pm_06_a_validation_call_has_no_header_that_makes_the_phone_answer_by_itself() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    for (more, auto) in [
        (json!({ "pin": true, "persistent": true, "auto_accept": true }), false),
        // On demand no call validates anything: the PIN is for the connection that stays.
        (json!({ "pin": true, "persistent": false, "auto_accept": true }), true),
        (json!({ "pin": false, "persistent": false, "auto_accept": true }), true),
    ] {
        let before = ann.sipp.invites().len();
        logged_in(&house, &ann, &more);
        house.rest.status("ann", "available");
        // Without a persistent connection the phone is called for a customer.
        if more["persistent"] == false {
            house.rest.contact("+31486", &json!({}));
        }
        let invite = ann.sipp.awaits_invites(before + 1)[before].clone();
        let answers_itself = ["Call-Info", "Alert-Info", "Answer-Mode", "Priv-Answer-Mode"]
            .iter()
            .any(|name| !invite.header(name).is_empty());
        assert_eq!(answers_itself, auto, "{more}: {}", invite.text);
        house.rest.act("ann", "logout");
        house.rest.await_agent("ann", "connection", "down");
    }
}

#[test]
fn pm_07_another_workplace_drops_the_connection_and_the_next_validation_call_goes_there_with_a_new_pin() {
    let house = House::open(&Settings::default());
    let (desk, home) = (house.phone("desk"), house.phone("home"));
    logged_in(&house, &desk, &json!({ "pin": true }));
    house.rest.status("ann", "available");
    let first = pin_heard(&desk);
    assert_eq!(type_pin(&house, &first).0, 200);
    house.rest.await_agent("ann", "connection", "up");
    assert_eq!(home.sipp.invites().len(), 0);

    house.rest.put_agent("ann", &home.station(), &json!({ "pin": true }));
    desk.sipp.awaits("BYE", 1);
    home.sipp.awaits_invites(1);
    house.rest.await_agent("ann", "connection", "validating");
    let second = pin_heard(&home);
    // One time in ten thousand they are the same.
    if second != first {
        assert_eq!(type_pin(&house, &first).0, 403, "the old one opens nothing");
    }
    assert_eq!(type_pin(&house, &second).0, 200);
    house.rest.await_agent("ann", "status", "available");
    assert_eq!((desk.sipp.invites().len(), home.sipp.invites().len()), (1, 1));
}

#[test]
fn pm_08_a_missed_call_a_drop_and_a_hang_up_are_told_and_reopening_calls_again() {
    let house = House::open(&Settings { agent_ring_timeout_s: 5, redial_attempts: 0, ..Settings::default() });
    let Phone { sipp: missed, party } = house.phone_playing("ann", "phone_missed.xml", &[]);
    let at = missed.address();
    let ann = Phone { sipp: missed, party };
    logged_in(&house, &ann, &json!({ "pin": true }));
    let live = house.rest.live();
    house.rest.status("ann", "available");
    let told =
        live.wait("agent", |agent| agent["connection"] == "down" && agent["last_error"] == "no_answer");
    assert_eq!(told["status"], "on_break");
    ann.sipp.awaits("CANCEL", 1);
    let party = ann.party;
    drop(ann.sipp);

    // Picked up this time, and hung up after two seconds.
    let sipp = house.serve(at, Scenario::Own("phone_hangs_up.xml"), &party, &["-d", "2000"]);
    let reply = house.rest.post("/api/v1/agents/ann/connection", &json!({}));
    assert_eq!(reply["outcome"], "started");
    assert_eq!(sipp.awaits_invites(1).len(), 1);
    house.rest.await_agent("ann", "connection", "validating");
    live.wait("agent", |agent| agent["connection"] == "down" && agent["last_error"] == "hung_up");
    live.wait("operation", |done| done["operation"] == reply["operation"] && done["result"] == "failed");
    house.rest.post("/api/v1/agents/ann/connection", &json!({}));
    sipp.awaits_invites(2);
}

#[test]
fn pm_09_break_and_working_offline_keep_the_connection_and_logging_out_ends_it() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    for status in ["on_break", "working_offline", "available", "on_break"] {
        house.rest.status("ann", status);
        house.rest.await_agent("ann", "status", status);
        assert_eq!(house.rest.agent("ann")["connection"], "up", "{status}");
    }
    for_a_while();
    assert_eq!((ann.sipp.invites().len(), ann.sipp.received("BYE")), (1, 0));
    house.rest.act("ann", "logout");
    ann.sipp.awaits("BYE", 1);
    assert_eq!(house.rest.await_agent("ann", "connection", "down")["status"], "logged_out");
}

#[test]
fn pm_09_hanging_up_the_phone_loses_the_connection() {
    let house = House::open(&Settings { redial_attempts: 0, ..Settings::default() });
    let ann = house.phone_playing("ann", "phone_hangs_up.xml", &["-d", "1000"]);
    house.off_hook("ann", &ann);
    let agent = house.rest.await_agent("ann", "connection", "down");
    assert_eq!(agent["last_error"], "hung_up");
    house.rest.await_agent("ann", "status", "on_break");
}

#[test]
fn pm_10_an_offered_caller_is_connected_by_a_click_and_the_phone_does_not_ring() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &json!({ "auto_accept": false }));
    let caller = house.party("caller");
    let live = house.rest.live();
    let _call = house.caller(&caller, &["-d", "60000"]);
    let offer = live.wait("offer", |offer| offer["state"] == "offered");
    assert_eq!((&offer["kind"], &offer["agent"]), (&json!("inbound"), &json!("ann")));
    assert_eq!(house.rest.agent("ann")["status"], "offered");
    for_a_while();
    assert!(ann.party.speakers().is_empty(), "nobody is connected before the click");
    house.rest.act("ann", "accept");
    caller.talks_with(&ann.party);
    assert_eq!(ann.sipp.invites().len(), 1, "the phone rang once, for the connection");
}

#[test]
fn pm_10_an_agent_hears_the_customers_ringing_early_media_or_a_ringback_made_here() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &["-d", "2500"]);
    house.off_hook("ann", &ann);

    ann.party.forget();
    house.rest.callback("+31180");
    carrier.awaits_invites(1);
    house.rest.await_call("callback", "ringing");
    let tone = |phone: &Phone| {
        let voiced = |byte: &u8| byte & 0x7f < 0x60;
        let heard = phone.party.heard().into_iter().filter(|packet| packet.payload_type == 0);
        heard.filter(|packet| packet.speaker().is_none() && packet.payload.iter().any(voiced)).count()
    };
    until("a ringback is heard", || tone(&ann) >= 25);
    assert!(ann.party.speakers().is_empty(), "the customer has not answered");
    customer.talks_with(&ann.party);
    let before = tone(&ann);
    ann.party.hears(&customer);
    assert_eq!(tone(&ann), before, "the ringback has stopped");
    house.rest.act("ann", "hangup");
    house.rest.await_agent("ann", "status", "available");

    ann.party.forget();
    customer.forget();
    house.rest.callback("+31183");
    ann.party.hears(&customer);
    assert_eq!(house.rest.await_call("callback", "ringing")["answered_ms"], json!(null));
    assert!(customer.speakers().is_empty(), "the network does not hear the agent before the answer");
    assert_eq!(tone(&ann), 0, "early media take the place of a ringback");
    customer.talks_with(&ann.party);
}
