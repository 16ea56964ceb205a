//! Callers in a flow, and those who leave it to be called back.

use offhook_tests::e2e::{House, Party, Settings, Sound, eventually, for_a_while, until};
use serde_json::{Value, json};

/// The flow that is shipped, with less patience for music.
fn shipped() -> String {
    let example = include_str!("../../../control/example.toml");
    let (_, flow) = example.split_once("[[flow]]").expect("the example has a flow");
    let (flow, _) = flow.split_once("[[agent]]").expect("agents follow it");
    format!("[[flow]]{flow}").replace("seconds = 30", "seconds = 2")
}

fn house(flows: String) -> House {
    House::open(&Settings { flows, ..Settings::default() })
}

/// Waits until a prompt has been heard whole, so often.
fn hears(party: &Party, prompt: &str, times: usize) {
    let sound = Sound::new(prompt, 25);
    until(&format!("{prompt} is heard"), || sound.found_in(&party.sound()).len() >= times);
}

fn waiting(house: &House) -> Option<Value> {
    let path = "/genesys/1/service/callback/callback?_customer_number=%2B31612345678";
    house.rest.get(path).as_array().and_then(|all| all.first().cloned())
}

const CALLER: &str = "+31612345678";
const FLOW: &str = "+15550101";

#[test]
fn qc_01_qc_02_qc_04_qc_12_qc_17_a_caller_presses_1_is_let_go_and_called_back_when_an_agent_has_accepted() {
    let mut house = house(shipped());
    let caller = house.party("caller");
    let call = house.calls(FLOW, &caller, "caller_stays.xml", &[]);
    let music = Sound::new("music.wav", 50);
    eventually("music", || music.found_in(&caller.sound()).first().copied());
    hears(&caller, "callback_menu.wav", 1);
    caller.press('2');
    hears(&caller, "callback_menu.wav", 2);
    assert!(waiting(&house).is_none(), "anything else keeps waiting");
    // Comes after the first one, and must not be served before it.
    let later = house.party("later");
    let _later = house.calls("+15550100", &later, "caller_stays.xml", &[]);
    eventually("the later one waits", || music.found_in(&later.sound()).first().copied());

    caller.press('1');
    hears(&caller, "thank_you.wav", 1);
    hears(&caller, "callback_confirm.wav", 1);
    // Hung up on by the system.
    call.succeeds();
    let callback = waiting(&house).expect("it was stored before the drop");
    assert_eq!((&callback["_callback_state"], &callback["_position"]), (&json!("QUEUED"), &json!(1)));
    until("its leg is gone", || house.legs().len() == 1);

    // What was promised survives a crash.
    house.kill_control();
    house.start_control();
    house.is_well();
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    for_a_while();
    assert_eq!(carrier.invites().len(), 0, "no agent, no call");
    assert_eq!(house.legs().len(), 1, "only the later caller has a leg");

    let ann = house.phone("ann");
    house.goes_off_hook("ann", &ann, &json!({ "auto_accept": false }));
    let agent = house.rest.await_agent("ann", "status", "offered");
    assert_eq!((&agent["offer"]["kind"], &agent["offer"]["number"]), (&json!("callback"), &json!(CALLER)));
    for_a_while();
    assert_eq!(carrier.invites().len(), 0, "offered, not accepted");
    house.rest.act("ann", "accept");
    customer.talks_with(&ann.party);
    let invites = carrier.invites();
    assert_eq!((invites.len(), invites[0].to_user()), (1, CALLER));
    assert!(invites[0].header("From").contains(FLOW), "{}", invites[0].header("From"));
    assert_eq!(house.legs().len(), 3, "the agent, the customer and the later caller");
    let id = callback["_id"].as_str().expect("an id");
    assert_eq!(house.rest.await_callback(id, "COMPLETED")["_callback_reason"], "AGENT_CONNECTED");
    house.rest.act("ann", "hangup");
    carrier.awaits("BYE", 1);
}

#[test]
fn qc_03_who_hangs_up_during_the_confirmation_is_not_called_back() {
    // A confirmation that is longer than the call.
    let house = house(shipped().replace("callback_confirm.wav", "long.wav"));
    let caller = house.party("caller");
    let call = house.calls(FLOW, &caller, "caller.xml", &["-d", "9000"]);
    hears(&caller, "callback_menu.wav", 1);
    caller.press('1');
    call.succeeds();
    until("the leg is gone", || house.legs().is_empty());
    let customer = house.party("customer");
    let carrier = house.carrier(&customer, &[]);
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    for_a_while();
    assert!(waiting(&house).is_none());
    assert_eq!(carrier.invites().len(), 0);
}

#[test]
fn qc_17_a_caller_in_the_flow_who_presses_nothing_gets_the_first_agent() {
    let house = house(shipped());
    let caller = house.party("caller");
    let _call = house.calls(FLOW, &caller, "caller_stays.xml", &[]);
    hears(&caller, "callback_menu.wav", 1);
    let ann = house.phone("ann");
    house.goes_off_hook("ann", &ann, &json!({}));
    caller.talks_with(&ann.party);
    caller.heard_only(&[&ann.party]);
}

#[test]
fn a_flow_passes_its_caller_on_to_the_next_number_when_the_first_one_is_busy() {
    let step = |caption: &str, number: &str, more: &str| {
        format!(
            "[[flow.step]]\ncaption = \"{caption}\"\naction = \"transfer\"\nnumber = \"{number}\"\n{more}\n"
        )
    };
    let first = step("first", "+31486", "branch = { OnError = \"second\" }");
    let second = step("second", "+31201", "");
    let house = house(format!("[[flow]]\nname = \"passed on\"\ndnis = [\"{FLOW}\"]\n{first}{second}"));
    let (caller, outside) = (house.party("caller"), house.party("outside"));
    let carrier = house.carrier(&outside, &[]);
    let call = house.calls(FLOW, &caller, "caller_stays.xml", &[]);
    caller.talks_with(&outside);
    caller.heard_only(&[&outside]);
    let called: Vec<String> = carrier.invites().iter().map(|invite| invite.to_user().to_owned()).collect();
    assert_eq!(called, ["+31486", "+31201"]);
    house.rest.end_calls("inbound");
    carrier.awaits("BYE", 1);
    call.succeeds();
    assert_eq!(house.rest.get("/api/v1/agents"), json!([]), "a number is no agent");
}
