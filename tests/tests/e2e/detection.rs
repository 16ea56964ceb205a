//! Who answered: a customer's phone that plays a machine's greeting and beep, or says a person's word.

use offhook_tests::e2e::{House, Party, STALL, Settings, Sound, until};
use serde_json::Value;

/// A machine's answer: a greeting of five seconds, a beep, and the silence in which it records.
fn machine() -> Vec<u8> {
    let parts = [
        Sound::silence(300),
        Sound::shipped("callback_confirm.wav"),
        Sound::silence(300),
        Sound::shipped("beep.wav"),
        Sound::silence(4_000),
    ];
    parts.into_iter().flat_map(|sound| sound.0).collect()
}

/// A person's: three words, and waiting for an answer.
fn person() -> Vec<u8> {
    let parts = [Sound::silence(300), Sound::shipped("pin_intro.wav"), Sound::silence(2_000)];
    parts.into_iter().flat_map(|sound| sound.0).collect()
}

/// Calls, and calls again in a house of its own only where this machine is seen to have kept the programs or the customer's phone waiting:
/// then what was said has pauses that nobody made, or begins before the engine has heard of it. Anything else that is wrong is wrong.
fn recognised(on_machine: &'static str, call: impl Fn(&House, &Party) -> Result<(), String>) {
    for _ in 0..TRIES {
        let house = House::open(&Settings { on_machine, ..Settings::default() });
        let customer = house.party("customer");
        let stalls = house.stalls();
        let Err(wrong) = call(&house, &customer) else { return };
        let (programs, phone) = (stalls.worst(), customer.latest());
        let waits = format!(
            "in one second the programs waited {programs:?}, a frame of the customer was {phone:?} late"
        );
        assert!(programs.max(phone) >= STALL, "{wrong}, and this machine is not to blame: {waits}");
        println!("{wrong}; called again, for {waits}");
    }
    panic!("this machine stood still in each of {TRIES} calls");
}

/// What the first dial of a callback came to.
fn ends_as(house: &House, callback: &str, result: &str) -> Result<Value, String> {
    let done = house.rest.await_callback(callback, "COMPLETED");
    if done["_CB_DIAL_1_RESULT"] == result {
        return Ok(done);
    }
    Err(format!("it was taken for {}, and is {result}", done["_CB_DIAL_1_RESULT"]))
}

#[test]
fn cb_17_by_05_a_machine_is_heard_at_once_its_call_is_withdrawn_and_the_agent_gets_the_next() {
    recognised("drop", |house, customer| {
        customer.begins_with(machine());
        customer.begins_with(person());
        let carrier = house.carrier(customer, &[]);
        let ann = house.phone("ann");
        house.off_hook("ann", &ann);
        let first = house.rest.callback("+31201");
        let second = house.rest.callback("+31202");

        let done = ends_as(house, &first, "ANSWERING_MACHINE")?;
        assert_eq!(done["_callback_reason"], "FAIL_CALL_TO_CUSTOMER");
        carrier.awaits("BYE", 1);
        // The splice did not wait for the verdict: the first second was heard, whole.
        let greeting = Sound(machine()[..8_000].to_vec());
        let times = greeting.found_in(&ann.party.sound()).len();
        if times != 1 {
            return Err(format!("the agent heard the first second of the greeting {times} times"));
        }

        let done = ends_as(house, &second, "PERSON")?;
        assert_eq!(done["_callback_reason"], "AGENT_CONNECTED");
        customer.talks_with(&ann.party);
        assert_eq!(carrier.invites().len(), 2);
        Ok(())
    });
}

#[test]
fn cb_17_a_machine_is_left_a_message_after_its_beep_while_the_agent_is_free() {
    recognised("message", |house, customer| {
        customer.begins_with(machine());
        let carrier = house.carrier(customer, &[]);
        let ann = house.phone("ann");
        house.off_hook("ann", &ann);
        let callback = house.rest.callback("+31201");
        ends_as(house, &callback, "ANSWERING_MACHINE")?;
        house.rest.await_agent("ann", "status", "available");
        let message = Sound::new("connected.wav", 25);
        until("the message is left", || message.found_in(&customer.sound()).len() == 1);
        carrier.awaits("BYE", 1);
        Ok(())
    });
}

const TRIES: usize = 5;
