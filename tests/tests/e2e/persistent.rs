//! The persistent connection.

use std::collections::{BTreeMap, BTreeSet};

use offhook_tests::e2e::{House, Phone, Scenario, Settings, Sound, for_a_while, until};
use serde_json::json;

#[test]
fn pc_01_establish_calls_the_agents_phone_and_opens_a_lasting_path_before_any_customer_is_called() {
    let house = House::open(&Settings::default());
    let ann = house.phone_playing("ann", "phone.xml", &["-d", "700"]);
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &["-d", "500"]);
    let callback = house.rest.callback("+3111111");
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    house.rest.act("ann", "login");
    let live = house.rest.live();
    let reply = house.rest.post("/api/v1/agents/ann/connection", &json!({}));
    assert_eq!(reply["outcome"], "started");
    live.wait("agent", |agent| agent["connection"] == "dialling");
    assert_eq!(carrier.invites().len(), 0, "a customer was called before the path was open");

    house.rest.await_agent("ann", "connection", "up");
    house.rest.status("ann", "available");
    house.rest.await_callback(&callback, "COMPLETED");
    let (phone, customers) = (ann.sipp.invites(), carrier.awaits_invites(1));
    assert_eq!((phone.len(), customers.len()), (1, 1));
    let answered = ann.sipp.messages().into_iter().find(|message| message.first().starts_with("ACK "));
    assert!(answered.expect("the phone was answered").at < customers[0].at);

    carrier.awaits("ACK", 1);
    house.rest.await_agent("ann", "status", "available");
    assert_eq!(house.rest.agent("ann")["connection"], "up", "the path outlives the customer");
    assert_eq!(ann.sipp.received("BYE"), 0);
}

#[test]
fn pc_02_concurrent_requests_place_one_call_and_all_succeed() {
    let house = House::open(&Settings::default());
    let ann = house.phone_playing("ann", "phone.xml", &["-d", "1000"]);
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    house.rest.act("ann", "login");
    let ask = || house.rest.post("/api/v1/agents/ann/connection", &json!({}))["outcome"].to_string();
    let mut outcomes = BTreeMap::<String, u32>::new();
    let replies: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("each request succeeds")).collect()
    });
    for outcome in replies {
        *outcomes.entry(outcome).or_default() += 1;
    }
    assert_eq!(outcomes.get("\"started\""), Some(&1), "{outcomes:?}");
    house.rest.await_agent("ann", "connection", "up");
    assert_eq!(ask(), "\"already_up\"");
    for_a_while();
    assert_eq!(ann.sipp.invites().len(), 1);
    assert_eq!(house.rest.agent("ann")["connection"], "up");
}

#[test]
fn pc_04_on_answer_the_configured_wav_is_heard_bit_by_bit_and_the_leg_stays_open() {
    let house = House::open(&Settings { connected: "connected.wav", ..Settings::default() });
    let ann = house.phone("ann");
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    house.rest.act("ann", "login");
    let live = house.rest.live();
    let reply = house.rest.post("/api/v1/agents/ann/connection", &json!({}));
    let operation = live.wait("operation", |done| done["operation"] == reply["operation"]);
    assert_eq!((&operation["result"], &operation["error"]), (&json!("up"), &json!(null)));
    let sound = Sound::new("connected.wav", 25);
    assert_eq!(
        sound.found_in(&ann.party.sound()).len(),
        1,
        "heard once, complete, when the action completes"
    );
    for_a_while();
    assert_eq!(live.of("operation").len(), 1, "its end is told once");
    assert_eq!(house.rest.agent("ann")["connection"], "up");
    assert_eq!(ann.sipp.received("BYE"), 0);
}

#[test]
fn pc_05_a_lost_leg_is_established_again_before_the_next_customer_is_called_who_hears_no_ringback() {
    let house = House::open(&Settings { redial_delay_ms: 1_000, ..Settings::default() });
    // The phone hangs up on its own, 1.5 s into the call, and stays in the next one.
    let ann = house.phone_playing("ann", "phone_hangs_up.xml", &["-d", "1500"]);
    let customer = house.party("customer");
    house.off_hook("ann", &ann);
    house.rest.await_agent("ann", "connection", "down");
    let Phone { sipp, party } = ann;
    let at = sipp.address();
    drop(sipp);
    let sipp = house.serve(at, Scenario::Own("phone.xml"), &party, &[]);
    let carrier = house.carrier(&customer, &["-d", "300"]);
    let callback = house.rest.callback("+3111111");
    house.rest.await_callback(&callback, "COMPLETED");
    let (phone, customers) = (sipp.invites(), carrier.invites());
    assert_eq!((phone.len(), customers.len()), (1, 1), "the phone was called again, and the customer");
    let acked = sipp.messages().into_iter().find(|message| message.first().starts_with("ACK "));
    let acked = acked.expect("the phone was answered");
    assert!(acked.at < customers[0].at, "the leg was open again before the customer was called");
    until("the customer hears the agent", || customer.speakers().contains_key("ann"));
    let foreign = customer.heard().into_iter().filter(|packet| packet.payload_type == 0);
    assert_eq!(foreign.filter(|packet| packet.speaker() != Some("ann")).count(), 0, "nothing but the agent");
}

#[test]
fn pc_08_every_later_call_is_spliced_and_the_phone_is_never_dialled_again() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    for name in ["first", "second", "third"] {
        let customer = house.party(name);
        let carrier = house.carrier(&customer, &[]);
        house.rest.callback(&format!("+31{}", name.len()));
        customer.talks_with(&ann.party);
        house.rest.act("ann", "hangup");
        carrier.awaits("BYE", 1);
        customer.heard_only(&[&ann.party]);
        house.rest.await_agent("ann", "status", "available");
    }
    assert_eq!(ann.sipp.invites().len(), 1);
    assert_eq!(ann.sipp.received("BYE"), 0);
    let sources: BTreeSet<u32> = ann.party.heard().iter().map(|packet| packet.ssrc).collect();
    assert_eq!(sources.len(), 1, "what the agent hears is one stream: {sources:?}");
}
