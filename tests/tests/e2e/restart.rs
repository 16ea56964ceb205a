//! Crashes: control and engine are killed, and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use offhook_tests::e2e::{
    House, Party, Phone, Scenario, Settings, Sipp, eventually, for_a_while, until, within,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

#[test]
fn by_10_a_restart_of_control_keeps_agents_off_hook_and_a_conversation_going() {
    agents_stay_off_hook_and_a_conversation_goes_on(&Settings::default(), House::kill_control);
}

#[test]
fn by_10_a_control_that_is_to_leave_its_calls_leaves_them_to_its_next_run() {
    let settings = Settings { hang_up_on_exit: false, ..Settings::default() };
    agents_stay_off_hook_and_a_conversation_goes_on(&settings, House::end_control);
}

fn agents_stay_off_hook_and_a_conversation_goes_on(settings: &Settings, lose_control: fn(&mut House)) {
    let mut house = House::open(settings);
    let (ann, bob) = (house.phone("ann"), house.phone("bob"));
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    house.off_hook("ann", &ann);
    house.off_hook("bob", &bob);
    let callback = house.rest.callback("+31201");
    customer.talks_with(&ann.party);
    house.rest.await_callback(&callback, "COMPLETED");

    lose_control(&mut house);
    customer.talks_with(&ann.party);
    house.start_control();
    house.is_well();
    house.rest.await_agent("bob", "status", "available");
    house.rest.await_agent("ann", "status", "on_call");
    customer.talks_with(&ann.party);
    house.rest.act("ann", "hangup");
    carrier.awaits("BYE", 1);
    house.rest.await_agent("ann", "status", "available");

    // Both are at work as before.
    house.rest.callback("+31202");
    until("another customer is called", || carrier.invites().len() == 2);
    for_a_while();
    for phone in [&ann, &bob] {
        assert_eq!(
            (phone.sipp.invites().len(), phone.sipp.received("BYE")),
            (1, 0),
            "nobody is called again"
        );
    }
    assert_eq!(house.rest.callback_of(&callback)["_callback_reason"], "AGENT_CONNECTED");
}

/// Customers of the carrier, each with a voice and a number of their own.
struct Crowd {
    carrier: Sipp,
    customers: Vec<Party>,
}

impl Crowd {
    /// For so many calls; the n-th call gets the n-th voice.
    fn new(house: &House, calls: usize) -> Self {
        let customers: Vec<Party> = (0..calls).map(|call| house.party(&format!("call{call}"))).collect();
        let mut file = String::from("SEQUENTIAL\n");
        for customer in &customers {
            file.push_str(&format!("{}\n", customer.port()));
        }
        let path = house.folder().join("voices.csv");
        std::fs::write(&path, file).expect("a file can be written");
        let arguments = ["-inf", &path.display().to_string(), "-d", "1500"];
        let voices: Vec<&Party> = customers.iter().collect();
        let carrier = Sipp::start(house.trunk, None, Scenario::Own("crowd.xml"), &voices, &arguments);
        Self { carrier, customers }
    }

    /// By number: the customers' ends of its calls that were answered.
    fn answered(&self) -> BTreeMap<String, Vec<&Party>> {
        let mut answered = BTreeMap::<String, Vec<&Party>>::new();
        let messages = self.carrier.messages();
        let mut calls = BTreeSet::new();
        for message in
            messages.iter().filter(|message| !message.received && message.first().contains("200 OK"))
        {
            let Some(port) = message.audio().map(|audio| audio.port()) else { continue };
            if calls.insert(message.header("Call-ID").to_owned()) {
                let customer = self.customers.iter().find(|customer| customer.port() == port);
                let customer = customer.expect("every call has a voice");
                answered.entry(message.to_user().to_owned()).or_default().push(customer);
            }
        }
        answered
    }
}

#[test]
fn by_10_control_killed_at_random_moments_loses_no_callback_and_does_none_twice() {
    const CALLBACKS: usize = 12;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut house = House::open(&Settings { max_dial_attempts: 8, ..Settings::default() });
    let phones: Vec<Phone> = ["ann", "bob", "cas"].map(|name| house.phone(name)).into();
    for phone in &phones {
        house.off_hook(phone.party.name(), phone);
    }
    let crowd = Crowd::new(&house, 8 * CALLBACKS);
    let callbacks: Vec<(String, String)> = (0..CALLBACKS)
        .map(|number| format!("+31{number:03}"))
        .map(|number| (house.rest.callback(&number), number))
        .collect();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(random.random_range(100..2_500)));
        house.kill_control();
        house.start_control();
        house.is_well();
    }
    // An attempt of unknown end is made again when the phone can ring no more: after 90 s.
    for (id, number) in &callbacks {
        let done = within(Duration::from_secs(180), &format!("the callback to {number} ends"), || {
            Some(house.rest.callback_of(id)).filter(|callback| callback["_callback_state"] == "COMPLETED")
        });
        assert_eq!(done["_callback_reason"], "AGENT_CONNECTED", "{done}");
        println!("{number}: {} {}", done["_CB_DIAL_1_RESULT"], done["_CB_DIAL_2_RESULT"]);
    }
    for phone in &phones {
        house.rest.await_agent(phone.party.name(), "status", "available");
    }
    let answered = crowd.answered();
    for (_, number) in &callbacks {
        let ends = answered.get(number).map(Vec::as_slice).unwrap_or_default();
        let talked = ends.iter().filter(|customer| !customer.speakers().is_empty()).count();
        assert_eq!(talked, 1, "{number}: {} calls answered, {talked} with an agent", ends.len());
    }
    for phone in &phones {
        assert_eq!(phone.sipp.invites().len(), 1, "{} was called again", phone.party.name());
    }
}

#[test]
fn agents_are_on_their_legs_again_after_the_engine_was_killed() {
    let mut house = House::open(&Settings::default());
    let ann = house.phone("ann");
    let customer = house.party("customer");
    let _carrier = house.carrier(&customer, &[]);
    house.off_hook("ann", &ann);
    house.kill_engine();
    house.start_engine();
    eventually("the engine has the agent's leg again", || {
        house.legs().into_iter().find(|leg| leg["leg"].as_str().is_some_and(|name| name.starts_with("a-ann")))
    });
    house.rest.await_agent("ann", "status", "available");
    house.rest.callback("+31201");
    customer.talks_with(&ann.party);
    assert_eq!(house.rest.agent("ann")["status"], "on_call");
}

#[test]
fn by_09_a_conversation_comes_back_after_the_engine_was_killed_and_nobody_is_called_again() {
    let mut house = House::open(&Settings::default());
    let ann = house.phone("ann");
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    house.off_hook("ann", &ann);
    house.rest.callback("+31201");
    customer.talks_with(&ann.party);
    house.kill_engine();
    house.start_engine();
    customer.talks_with(&ann.party);
    assert_eq!(house.rest.agent("ann")["status"], "on_call");
    assert_eq!((ann.sipp.invites().len(), carrier.invites().len()), (1, 1));
    assert_eq!((ann.sipp.received("BYE"), carrier.received("BYE")), (0, 0));
}

#[test]
fn control_that_starts_before_its_engine_waits_for_it_and_says_so() {
    let mut house = House::open(&Settings::default());
    house.kill_control();
    house.kill_engine();
    house.start_control();
    until("control answers without an engine", || {
        house.rest.ask("GET", "/healthz", &json!(null)).is_ok_and(|(_, health)| health["engine"] == "down")
    });
    house.start_engine();
    house.is_well();
}

#[test]
fn by_10_a_customer_who_picks_up_while_control_is_dead_is_acknowledged_joined_and_called_once() {
    let mut house = House::open(&Settings::default());
    let ann = house.phone("ann");
    let customer = house.party("customer");
    // Rings for three seconds.
    let carrier = house.carrier(&customer, &["-d", "3000"]);
    house.off_hook("ann", &ann);
    let callback = house.rest.callback("+31180");
    let sent = |first: &str| {
        let sent =
            |message: &offhook_tests::e2e::Message| !message.received && message.first().starts_with(first);
        carrier.messages().iter().any(sent)
    };
    until("the customer's phone rings", || sent("SIP/2.0 180"));
    house.kill_control();
    until("the customer has picked up", || sent("SIP/2.0 200"));
    assert_eq!(carrier.received("ACK"), 0, "nobody is there");
    house.start_control();
    carrier.awaits("ACK", 1);
    customer.talks_with(&ann.party);
    house.rest.await_callback(&callback, "COMPLETED");
    house.rest.await_agent("ann", "status", "on_call");
    for_a_while();
    assert_eq!(carrier.invites().len(), 1, "they are not called again");
    assert_eq!((ann.sipp.invites().len(), ann.sipp.received("BYE")), (1, 0), "nor is the agent");
    assert_eq!(house.rest.callback_of(&callback)["_callback_reason"], "AGENT_CONNECTED");
}
