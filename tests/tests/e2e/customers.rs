//! Customers who are asked first (CB-05), who call by themselves (CB-09), and whose keys nobody is to hear.

use offhook_tests::e2e::{Device, House, Party, Phone, Settings, Sound, for_a_while, until};
use serde_json::{Value, json};

/// A service that pushes to this device.
fn pushing(device: &Device, more: &str) -> Settings {
    Settings { service: device.settings() + more, ..Settings::default() }
}

fn asks_first() -> Value {
    json!({ "_customer_number": "+31201", "_call_direction": "USERTERMINATED", "_wait_for_user_confirm": true })
}

#[test]
fn cb_05_a_customer_is_asked_by_a_signed_push_when_an_agent_is_there_and_called_when_they_say_that_they_are_ready()
 {
    let device = Device::new();
    let house = House::open(&pushing(&device, ""));
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    let callback = house.rest.callback_with(&asks_first())["_id"].as_str().unwrap_or_default().to_owned();
    for_a_while();
    assert_eq!(device.pushes(), [] as [Value; 0], "nobody is asked before an agent is there");

    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let push = device.awaits(1);
    assert_eq!((&push["event"], &push["_id"]), (&json!("callback_confirm"), &json!(callback)));
    assert_eq!(push["_user_confirm_timeout"], 30);
    for_a_while();
    assert_eq!(carrier.invites().len(), 0, "asked, and no answer yet");
    assert_eq!(house.rest.agent("ann")["status"], "available", "nobody is kept waiting for the answer");

    house.rest.post(push["_confirm_url"].as_str().expect("where to answer"), &json!({}));
    customer.talks_with(&ann.party);
    let done = house.rest.await_callback(&callback, "COMPLETED");
    assert_eq!(done["_callback_reason"], "AGENT_CONNECTED");
    assert_eq!((carrier.invites().len(), device.pushes().len()), (1, 1));
}

#[test]
fn cb_05_a_customer_who_never_answers_is_asked_three_times_and_not_called() {
    let device = Device::new();
    let house = House::open(&pushing(&device, "user_confirm_timeout_s = 1\n"));
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let callback = house.rest.callback_with(&asks_first())["_id"].as_str().unwrap_or_default().to_owned();
    let done = house.rest.await_callback(&callback, "COMPLETED");
    assert_eq!(done["_callback_reason"], "FAIL_USER_NO_CONFIRM");
    device.awaits(3);
    let attempts: Vec<Value> = device.pushes().iter().map(|push| push["_attempt"].clone()).collect();
    assert_eq!((attempts, carrier.invites().len()), (vec![json!(1), json!(2), json!(3)], 0));
}

/// A caller's number in all scenarios.
const CALLER: &str = "+31612345678";
const ACCESS: &str = "access_number = \"+15550100\"\n";

/// Offered to Ann, who takes it.
fn taken(house: &House, kind: &str) -> Value {
    let offer = house.rest.await_agent("ann", "status", "offered")["offer"].clone();
    assert_eq!((&offer["kind"], &offer["number"]), (&json!(kind), &json!(CALLER)));
    house.rest.act("ann", "accept");
    offer
}

#[test]
fn cb_09_a_customer_who_is_told_the_number_calls_it_and_is_joined_to_the_agent_with_the_callbacks_data() {
    let device = Device::new();
    let house = House::open(&pushing(&device, ACCESS));
    let nobody = house.party("nobody");
    let carrier = house.carrier(&nobody, &[]);
    let asked = json!({ "_customer_number": CALLER, "topic": "parcel 7" });
    let reply = house.rest.callback_with(&asked);
    assert_eq!(reply["_access_number"], Value::Null, "not before an agent is there");
    let callback = reply["_id"].as_str().expect("an id");
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &json!({ "auto_accept": false }));
    let push = device.awaits(1);
    assert_eq!((&push["event"], &push["_id"]), (&json!("callback_call_now"), &json!(callback)));
    let number = push["_access_number"].as_str().expect("the number to call");

    let customer = house.party("customer");
    let call = house.calls(number, &customer, "caller_stays.xml", &[]);
    let offer = taken(&house, "callback");
    assert_eq!(
        (&offer["data"]["topic"], &offer["data"]["_CB_SERVICE_ID"]),
        (&json!("parcel 7"), &json!(callback))
    );
    customer.talks_with(&ann.party);
    let done = house.rest.await_callback(callback, "COMPLETED");
    assert_eq!(done["_callback_reason"], "AGENT_CONNECTED");
    assert_eq!(carrier.invites().len(), 0, "nobody was called");
    house.rest.act("ann", "hangup");
    call.succeeds();
}

#[test]
fn cb_09_who_calls_the_access_number_unexpected_is_an_ordinary_caller() {
    let house = House::open(&Settings { service: ACCESS.to_owned(), ..Settings::default() });
    let asked = json!({ "_customer_number": "+31600000000", "_wait_for_agent": false });
    let reply = house.rest.callback_with(&asked);
    assert_eq!(reply["_access_number"], "+15550100", "told at once");
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &json!({ "auto_accept": false }));
    let caller = house.party("caller");
    let _call = house.calls("+15550100", &caller, "caller_stays.xml", &[]);
    taken(&house, "inbound");
    caller.talks_with(&ann.party);
    let callback = reply["_id"].as_str().expect("an id");
    assert_eq!(house.rest.callback_of(callback)["_callback_state"], "QUEUED", "its customer has not called");
}

#[test]
fn cb_09_a_customer_who_withholds_their_number_keys_in_the_code_that_was_told_before_a_restart() {
    let mut house = House::open(&Settings { service: ACCESS.to_owned(), ..Settings::default() });
    let asked = json!({ "_customer_number": CALLER, "_wait_for_agent": false, "_provide_code": true });
    let reply = house.rest.callback_with(&asked);
    let code = reply["_access_code"].as_str().expect("a code").to_owned();
    house.kill_control();
    house.start_control();
    house.is_well();
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let customer = house.party("customer");
    let _call = house.calls("+15550100", &customer, "caller_stays.xml", &["-key", "caller", "anonymous"]);
    let prompt = Sound::new("access_code.wav", 25);
    until("the code is asked for", || !prompt.found_in(&customer.sound()).is_empty());
    for key in code.chars() {
        customer.press(key);
    }
    customer.talks_with(&ann.party);
    let callback = reply["_id"].as_str().expect("an id");
    let done = house.rest.await_callback(callback, "COMPLETED");
    assert_eq!(done["_callback_reason"], "AGENT_CONNECTED");
}

/// Keys heard, as telephone-events.
fn keys(party: &Party) -> usize {
    party.heard().iter().filter(|packet| packet.payload_type == 101).count()
}

fn block(house: &House, blocked: bool) {
    let wanted = if blocked { "blocked" } else { "heard" };
    let call = house.rest.post("/api/v1/agents/ann/keys", &json!({ "blocked": blocked }));
    let path = format!("/api/v1/calls/{}", call["id"].as_str().expect("a call"));
    until(&format!("the keys are {wanted}"), || house.rest.get(&path)["keys"] == wanted);
}

/// Presses a key that is heard.
fn press(customer: &Party, ann: &Phone, key: char) {
    ann.party.forget();
    customer.press(key);
    until("the key is heard", || keys(&ann.party) > 0);
}

/// Presses a key of 160 ms; in more than a second of what follows it must not be heard. Where tones are looked for the audio is
/// made anew, so that it does not name its speaker.
fn press_unheard(customer: &Party, ann: &Phone, key: char) {
    ann.party.forget();
    customer.press(key);
    until("audio goes on", || ann.party.heard().len() >= 75);
    assert_eq!(keys(&ann.party), 0, "{key} is heard");
}

#[test]
fn a_card_number_that_is_keyed_in_while_keys_are_blocked_is_heard_by_nobody_also_after_a_restart() {
    let mut house = House::open(&Settings::default());
    let customer = house.party("customer");
    let _carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    house.rest.callback("+31201");
    customer.talks_with(&ann.party);
    press(&customer, &ann, '1');

    block(&house, true);
    press_unheard(&customer, &ann, '2');
    house.kill_control();
    house.start_control();
    house.is_well();
    house.rest.await_agent("ann", "status", "on_call");
    press_unheard(&customer, &ann, '3');
    let call = house.rest.agent("ann")["call"].as_str().expect("her call").to_owned();
    assert_eq!(house.rest.get(&format!("/api/v1/calls/{call}"))["keys"], "blocked", "it is known");

    block(&house, false);
    press(&customer, &ann, '4');
    customer.talks_with(&ann.party);
}

#[test]
fn cb_15_while_the_trunk_is_away_no_attempt_is_made_and_the_customer_is_called_when_it_answers_again() {
    let house = House::open(&Settings { trunk_options_every_s: 1, ..Settings::default() });
    let customer = house.party("customer");
    let carrier = house.carrier_behind(&customer);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    until("the outage is noticed", || house.rest.get("/healthz")["trunk"]["state"] == "away");
    let callback = house.rest.callback("+31201");
    for_a_while();
    let waits = house.rest.callback_of(&callback);
    assert_eq!((&waits["_callback_state"], &waits["_CB_DIAL_1_RESULT"]), (&json!("QUEUED"), &Value::Null));
    assert_eq!(house.rest.get("/api/v1/statistics")["held_back"], 1);
    assert!(house.control_log().contains("the trunk is down"), "the log says so");

    let live = house.rest.live();
    let line = house.line(&carrier);
    live.wait("trunk", |trunk| trunk["state"] == "up");
    customer.talks_with(&ann.party);
    let done = house.rest.await_callback(&callback, "COMPLETED");
    assert_eq!((&done["_CB_DIAL_1_RESULT"], &done["_CB_DIAL_2_RESULT"]), (&json!("CONNECTED"), &Value::Null));

    drop(line);
    live.wait("trunk", |trunk| trunk["state"] == "away");
    customer.talks_with(&ann.party);
    assert_eq!((house.rest.agent("ann")["status"].clone(), carrier.invites().len()), (json!("on_call"), 1));
}
