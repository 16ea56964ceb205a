//! Who answered: a customer's phone that plays a machine's greeting and beep, or says a person's word.

use offhook_tests::e2e::{House, Settings, Sound, until};

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

/// What a phone says on a busy machine has pauses that are not its own, so that it may be taken for what it is not: then it is called
/// again, in a house of its own.
fn recognised(call: impl Fn() -> Option<()>) {
    assert!((0..5).any(|_| call().is_some()), "it is never taken for what it is");
}

#[test]
fn cb_17_by_05_a_machine_is_heard_at_once_its_call_is_withdrawn_and_the_agent_gets_the_next() {
    recognised(|| {
        let house = House::open(&Settings { on_machine: "drop", ..Settings::default() });
        let customer = house.party("customer");
        customer.begins_with(machine());
        customer.begins_with(person());
        let carrier = house.carrier(&customer, &[]);
        let ann = house.phone("ann");
        house.off_hook("ann", &ann);
        let first = house.rest.callback("+31201");
        let second = house.rest.callback("+31202");

        let done = house.rest.await_callback(&first, "COMPLETED");
        if done["_CB_DIAL_1_RESULT"] != "ANSWERING_MACHINE" {
            return None;
        }
        assert_eq!(done["_callback_reason"], "FAIL_CALL_TO_CUSTOMER");
        carrier.awaits("BYE", 1);
        // The splice did not wait for the verdict.
        let greeting = Sound(machine()[..8_000].to_vec());
        // Its first second was heard, whole, unless this machine stood still for longer than the engine holds first words.
        if greeting.found_in(&ann.party.sound()).len() != 1 {
            return None;
        }

        let done = house.rest.await_callback(&second, "COMPLETED");
        if done["_CB_DIAL_1_RESULT"] != "PERSON" {
            return None;
        }
        assert_eq!(done["_callback_reason"], "AGENT_CONNECTED");
        customer.talks_with(&ann.party);
        assert_eq!(carrier.invites().len(), 2);
        Some(())
    });
}

#[test]
fn cb_17_a_machine_is_left_a_message_after_its_beep_while_the_agent_is_free() {
    recognised(|| {
        let house = House::open(&Settings { on_machine: "message", ..Settings::default() });
        let customer = house.party("customer");
        customer.begins_with(machine());
        let carrier = house.carrier(&customer, &[]);
        let ann = house.phone("ann");
        house.off_hook("ann", &ann);
        let callback = house.rest.callback("+31201");
        let done = house.rest.await_callback(&callback, "COMPLETED");
        if done["_CB_DIAL_1_RESULT"] != "ANSWERING_MACHINE" {
            return None;
        }
        house.rest.await_agent("ann", "status", "available");
        let message = Sound::new("connected.wav", 25);
        until("the message is left", || message.found_in(&customer.sound()).len() == 1);
        carrier.awaits("BYE", 1);
        Some(())
    });
}
