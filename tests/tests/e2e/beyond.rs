//! What none of the others offers: measured splices, proof before dialling, silence to nobody.

use std::time::{Duration, Instant};

use offhook_tests::e2e::{House, Settings, Sound, for_a_while, until};
use serde_json::{Value, json};

use super::validation::{pin_heard, type_pin};

#[test]
fn by_01_a_call_record_carries_the_milliseconds_from_answer_to_audio_both_ways() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    let customer = house.party("customer");
    let _carrier = house.carrier(&customer, &["-d", "1000"]);
    house.off_hook("ann", &ann);
    let began = Instant::now();
    house.rest.callback("+31180");
    customer.talks_with(&ann.party);
    let heard_within_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let id = house.rest.await_call("callback", "spliced")["id"].as_str().unwrap_or_default().to_owned();
    let measured = || house.rest.get(&format!("/api/v1/calls/{id}"))["answer_to_audio_ms"].as_f64();
    until("the time is on record", || measured().is_some());
    let ms = measured().unwrap_or_default();
    // It begins with the answer, before which the customer's phone has rung for a second, and ends before they are heard.
    assert!((0.0..heard_within_ms - 1_000.0).contains(&ms), "{ms} of {heard_within_ms} ms");
    house.rest.act("ann", "hangup");
    until("the record is kept", || house.rest.get(&format!("/api/v1/calls/{id}"))["state"] == "ended");
    assert_eq!(measured(), Some(ms));
    let statistics = house.rest.get("/api/v1/statistics");
    assert!(statistics["answer_to_audio_p50_ms"].is_number(), "{statistics}");
    assert!(statistics["answer_to_audio_p99_ms"].is_number(), "{statistics}");
}

#[test]
fn by_02_no_customer_is_called_for_an_agent_whose_phone_is_dead() {
    // No timer notices the silence here: only the proof before the dial can.
    let house = House::open(&Settings { silent_after_ms: 0, redial_delay_ms: 1_000, ..Settings::default() });
    let ann = house.phone_playing("ann", "phone.xml", DEAD);
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    house.off_hook("ann", &ann);
    until("the phone is heard", || house.legs().iter().any(|leg| leg["last_packet_ms"].is_number()));
    ann.party.fall_silent();
    std::thread::sleep(Duration::from_millis(2_000));
    let callback = house.rest.callback("+31201");
    ann.sipp.awaits("BYE", 1);
    ann.sipp.awaits_invites(2);
    assert_eq!(carrier.invites().len(), 0, "nobody was called for a dead phone");
    ann.party.talk();
    house.rest.await_callback(&callback, "COMPLETED");
    customer.talks_with(&ann.party);
    assert_eq!(carrier.invites().len(), 1);
}

#[test]
fn by_02_a_phone_that_falls_silent_is_noticed_and_withdrawn() {
    let house = House::open(&Settings { silent_after_ms: 2_000, redial_attempts: 0, ..Settings::default() });
    let ann = house.phone_playing("ann", "phone.xml", DEAD);
    house.off_hook("ann", &ann);
    ann.party.fall_silent();
    let agent = house.rest.await_agent("ann", "connection", "down");
    assert_eq!(agent["last_error"], "lost");
    ann.sipp.awaits("BYE", 1);
    house.rest.await_agent("ann", "status", "on_break");
}

#[test]
fn by_02_a_phone_that_sends_nothing_while_it_is_muted_is_kept_and_gets_its_customers() {
    let house = House::open(&Settings { silent_after_ms: 1_000, redial_attempts: 0, ..Settings::default() });
    let ann = house.phone("ann");
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    house.off_hook("ann", &ann);
    until("the phone is heard", || house.legs().iter().any(|leg| leg["last_packet_ms"].is_number()));
    ann.party.fall_silent();
    ann.sipp.awaits("OPTIONS", 1);
    house.rest.callback("+31201");
    house.rest.await_agent("ann", "status", "on_call");
    until("it is asked again", || ann.sipp.received_twice("OPTIONS") == 1);
    assert_eq!(house.rest.get("/api/v1/agents/ann")["status"], "on_call");
    ann.party.talk();
    customer.talks_with(&ann.party);
    assert_eq!((carrier.invites().len(), ann.sipp.invites().len()), (1, 1), "nobody was called again");
}

/// Nothing in the phone answers any more but a BYE.
const DEAD: &[&str] = &["-set", "dead", "yes"];

#[test]
fn by_03_an_agents_leg_that_is_lost_in_mid_call_comes_back_without_a_pin_and_the_customer_is_held_meanwhile()
{
    let settings = Settings { silent_after_ms: 2_000, hold: "hold.wav", ..Settings::default() };
    let house = House::open(&settings);
    let ann = house.phone_playing("ann", "phone.xml", DEAD);
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    house.goes_off_hook("ann", &ann, &json!({ "pin": true }));
    assert_eq!(type_pin(&house, &pin_heard(&ann)).0, 200);
    house.rest.await_agent("ann", "status", "available");
    house.rest.callback("+31201");
    customer.talks_with(&ann.party);
    customer.forget();

    let live = house.rest.live();
    ann.party.fall_silent();
    let hold = Sound::new("hold.wav", 25);
    until("the customer is asked to hold", || !hold.found_in(&customer.sound()).is_empty());
    ann.sipp.awaits("BYE", 1);
    ann.sipp.awaits_invites(2);
    ann.party.talk();
    customer.talks_with(&ann.party);
    house.rest.await_agent("ann", "status", "on_call");
    let states: Vec<_> = live.of("agent").iter().map(|agent| agent["connection"].clone()).collect();
    assert!(!states.contains(&json!("validating")), "{states:?}");
    assert_eq!((carrier.invites().len(), carrier.received("BYE")), (1, 0), "the customer's call went on");
    assert_eq!(ann.sipp.invites().len(), 2);
}

#[test]
fn by_06_the_microphone_of_an_idle_agent_reaches_nobody() {
    let house = House::open(&Settings { wrap_up_s: 30, ..Settings::default() });
    let (ann, bob) = (house.phone("ann"), house.phone("bob"));
    let (customer, caller) = (house.party("customer"), house.party("caller"));
    let _carrier = house.carrier(&customer, &["-d", "1500"]);
    house.off_hook("ann", &ann);
    house.off_hook_as("bob", &bob, &json!({ "auto_accept": false, "skills": ["other"] }));

    // A caller who waits hears music, and no idle agent.
    house.rest.status("ann", "on_break");
    let call = house.caller(&caller, &["-d", "60000"]);
    until("the caller waits", || !caller.heard().is_empty());
    for_a_while();
    caller.heard_only(&[]);
    drop(call);
    house.rest.end_calls("inbound");

    // While a customer's phone rings, and after the call, the agent's microphone is closed.
    house.rest.status("ann", "available");
    house.rest.callback("+31183");
    ann.party.hears(&customer);
    assert!(customer.speakers().is_empty(), "before the answer");
    customer.talks_with(&ann.party);
    house.rest.act("ann", "hangup");
    house.rest.await_agent("ann", "status", "wrap_up");
    let before = customer.speakers();
    for_a_while();
    assert_eq!(customer.speakers(), before, "after the call");
    customer.heard_only(&[&ann.party]);
    assert!(bob.party.speakers().is_empty(), "bob talked to nobody");
    for leg in house.legs() {
        let state: &Value = &leg["state"];
        assert_ne!(state, "spliced", "{leg}");
    }
}
