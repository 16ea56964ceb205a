//! Callers.

use offhook_tests::e2e::{House, Scenario, Settings, Sipp, Sound, eventually};
use serde_json::json;

#[test]
fn an_inbound_caller_hears_the_queues_music_bit_by_bit_and_then_the_agent() {
    let house = House::open(&Settings::default());
    let caller = house.party("caller");
    let call = house.caller(&caller, &["-d", "12000"]);
    let music = Sound::new("music.wav", 50);
    eventually("a whole round of music", || music.found_in(&caller.sound()).first().copied());
    house.rest.await_call("inbound", "queued");
    caller.heard_only(&[]);

    let ann = house.phone("ann");
    house.goes_off_hook("ann", &ann, &json!({}));
    caller.talks_with(&ann.party);
    let after: Vec<_> = caller.heard().into_iter().rev().take(10).collect();
    assert!(after.iter().all(|packet| packet.speaker() == Some("ann")), "the music has stopped");
    // It hangs up after its pause.
    call.succeeds();
    house.rest.await_call("inbound", "ended");
    house.rest.await_agent("ann", "status", "available");
    ann.party.heard_only(&[&caller]);
    caller.heard_only(&[&ann.party]);
}

#[test]
fn a_registered_phone_is_called_where_it_registered_and_a_wrong_password_is_refused() {
    let house = House::open(&Settings::default());
    house.rest.put_agent("ann", &json!({ "kind": "registered" }), &json!({ "password": "right" }));
    let at = house.free();
    house.register(at, "ann", "wrong", "403");
    house.register(at, "ann", "right", "200");
    // SIPp's stock callee, which gives back whatever it hears.
    let phone = Sipp::start(at, None, Scenario::Stock("uas"), &[], &["-rtp_echo"]);
    house.rest.act("ann", "login");
    house.rest.status("ann", "available");
    assert_eq!(phone.awaits_invites(1).len(), 1);
    house.rest.await_agent("ann", "connection", "up");
    let caller = house.party("caller");
    let _call = house.caller(&caller, &["-d", "60000"]);
    caller.hears(&caller);
}

#[test]
fn sipps_stock_caller_is_answered_and_its_call_ends_when_it_hangs_up() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    // It gives back whatever it hears: the agent hears herself.
    let arguments = ["-s", "+15550100", "-m", "1", "-d", "4000", "-rtp_echo"];
    let caller = Sipp::start(house.free(), Some(house.sip), Scenario::Stock("uac"), &[], &arguments);
    ann.party.hears(&ann.party);
    caller.succeeds();
    house.rest.await_call("inbound", "ended");
    house.rest.await_agent("ann", "status", "available");
    assert_eq!(ann.sipp.invites().len(), 1);
}
