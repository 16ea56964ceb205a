//! Preview dialling, agent first.

use offhook_tests::e2e::{House, Settings, for_a_while};
use serde_json::{Value, json};

const CLICKS: fn() -> Value = || json!({ "auto_accept": false });

#[test]
fn pv_01_the_agent_sees_the_contact_first_and_its_number_is_called_after_the_agent_has_accepted() {
    let house = House::open(&Settings::default());
    let customer = house.party("contact");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &CLICKS());
    let contact = house.rest.contact("+31201", &json!({ "case": "A-17" }));
    let agent = house.rest.await_agent("ann", "status", "preview");
    let offer = &agent["offer"];
    assert_eq!((&offer["kind"], &offer["number"]), (&json!("preview"), &json!("+31201")));
    assert_eq!(offer["data"]["case"], "A-17", "the screen-pop");
    for_a_while();
    assert_eq!(carrier.invites().len(), 0, "nobody is called while the agent reads");
    house.rest.act("ann", "accept");
    customer.talks_with(&ann.party);
    let talking = house.rest.await_contact(&contact, "connected");
    assert_eq!((&talking["result_code"], &talking["agent"]), (&json!("k"), &json!("ann")));
    house.rest.act("ann", "hangup");
    house.rest.await_contact(&contact, "done");
    assert_eq!((carrier.invites().len(), ann.sipp.invites().len()), (1, 1));
}

#[test]
fn pv_04_a_contact_that_an_agent_rejects_goes_to_the_next_ready_agent() {
    let house = House::open(&Settings::default());
    let customer = house.party("contact");
    let carrier = house.carrier(&customer, &[]);
    let (ann, bob) = (house.phone("ann"), house.phone("bob"));
    house.off_hook_as("ann", &ann, &CLICKS());
    house.off_hook_as("bob", &bob, &CLICKS());
    let contact = house.rest.contact("+31201", &json!({}));
    // The one who has been idle for longest.
    house.rest.await_agent("ann", "status", "preview");
    assert_eq!(house.rest.agent("bob")["status"], "available");
    house.rest.act("ann", "reject");
    house.rest.await_agent("bob", "status", "preview");
    assert_eq!(carrier.invites().len(), 0);
    house.rest.act("bob", "accept");
    customer.talks_with(&bob.party);
    assert_eq!(house.rest.await_contact(&contact, "connected")["agent"], "bob");
    assert!(ann.party.speakers().is_empty());
    customer.heard_only(&[&bob.party]);
}

#[test]
fn pv_04_a_contact_that_an_agent_does_not_answer_goes_to_the_next_ready_agent() {
    let house = House::open(&Settings { offer_timeout_s: 2, ..Settings::default() });
    let customer = house.party("contact");
    let carrier = house.carrier(&customer, &[]);
    let (ann, bob) = (house.phone("ann"), house.phone("bob"));
    house.off_hook_as("ann", &ann, &CLICKS());
    house.off_hook("bob", &bob);
    let contact = house.rest.contact("+31201", &json!({}));
    customer.talks_with(&bob.party);
    assert_eq!(house.rest.await_contact(&contact, "connected")["agent"], "bob");
    house.rest.await_agent("ann", "status", "refused");
    assert!(ann.party.speakers().is_empty());
    assert_eq!(carrier.invites().len(), 1);
}

#[test]
fn pv_05_a_contact_that_an_agent_cancels_is_disabled_and_its_call_stops() {
    let house = House::open(&Settings::default());
    let customer = house.party("contact");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &CLICKS());

    let unseen = house.rest.contact("+31201", &json!({}));
    house.rest.await_agent("ann", "status", "preview");
    house.rest.act("ann", "cancel");
    assert_eq!(house.rest.await_contact(&unseen, "disabled")["result_code"], "h");
    assert_eq!(carrier.invites().len(), 0);

    let ringing = house.rest.contact("+31408", &json!({}));
    house.rest.await_agent("ann", "status", "preview");
    house.rest.act("ann", "accept");
    house.rest.await_call("preview", "ringing");
    house.rest.act("ann", "cancel");
    carrier.awaits("CANCEL", 1);
    assert_eq!(house.rest.await_contact(&ringing, "disabled")["result_code"], "h");
    house.rest.await_agent("ann", "status", "available");
    for_a_while();
    assert_eq!(carrier.invites().len(), 1, "it is not called again");
}

#[test]
fn pv_06_each_end_of_a_contacts_leg_has_its_result_code() {
    let house = House::open(&Settings { setup_timeout_s: 2, ..Settings::default() });
    let customer = house.party("contact");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let ended = |number: &str| {
        let contact = house.rest.contact(number, &json!({}));
        house.rest.await_contact(&contact, "done")
    };
    assert_eq!(ended("+31486")["result_code"], "b", "busy");
    let unknown = ended("+31404");
    assert_eq!(
        (&unknown["result_code"], &unknown["result_response"]),
        (&json!("e"), &json!(404)),
        "not in use"
    );
    assert_eq!(ended("+31100")["result_code"], "c", "set-up timeout");

    let contact = house.rest.contact("+31100", &json!({}));
    house.rest.await_contact(&contact, "dialling");
    house.rest.act("ann", "hangup");
    assert_eq!(house.rest.await_contact(&contact, "done")["result_code"], "q", "hung up during set-up");

    let contact = house.rest.contact("+31408", &json!({}));
    house.rest.await_call("preview", "ringing");
    house.rest.act("ann", "hangup");
    assert_eq!(house.rest.await_contact(&contact, "done")["result_code"], "h", "hung up while alerting");

    let contact = house.rest.contact("+31201", &json!({}));
    customer.talks_with(&ann.party);
    house.rest.act("ann", "hangup");
    assert_eq!(house.rest.await_contact(&contact, "done")["result_code"], "k", "answered");

    assert_eq!(ended("+31408")["result_code"], "t", "alerting timeout");
    house.rest.await_agent("ann", "status", "available");
    assert_eq!(carrier.invites().len(), 7);
    assert_eq!(ann.sipp.invites().len(), 1);
}
