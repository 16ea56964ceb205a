//! The web console, in a browser.

use offhook_tests::e2e::{Browser, House, Settings, Sound, eventually, until};
use serde_json::json;

use super::validation::pin_heard;

#[test]
fn pm_04_in_the_console_the_pin_that_is_heard_opens_the_connection_and_another_is_refused() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.rest.put_agent("ann", &ann.station(), &json!({ "name": "Ann Example", "pin": true }));
    let mut console = Browser::open(house.http, "");
    console.clicks("#agents [data-id=ann] button");
    console.awaits("#desk-name", "Ann Example");
    console.clicks("[data-act=login]");
    console.awaits("#desk-status", "on break");
    console.clicks("[data-act=available]");
    console.awaits("#desk-status", "persistent call offered");
    let pin = pin_heard(&ann);
    console.awaits_sight("#pin", true);
    // Whoever hears the PIN types it at once: the field has the focus.
    console.types(if pin == "1234" { "4321" } else { "1234" });
    console.enters();
    console.awaits("#said", "not the PIN; 2 tries are left");
    assert_eq!(house.rest.agent("ann")["connection"], "validating");
    console.types(&pin);
    console.enters();
    console.awaits("#said", "The connection is open.");
    console.awaits("#desk-status", "available");
    console.awaits_sight("#pin", false);
    let open = Sound::new("pin_ok.wav", 25);
    until("the phone says that it is open", || !open.found_in(&ann.party.sound()).is_empty());
    assert_eq!(console.complaints(), Vec::<String>::new());
}

#[test]
fn pm_10_in_the_console_a_caller_blinks_and_a_click_connects_without_any_ringing_of_the_phone() {
    let house = House::open(&Settings { wrap_up_s: 600, ..Settings::default() });
    let ann = house.phone("ann");
    house.off_hook_as("ann", &ann, &json!({ "auto_accept": false }));
    let mut console = Browser::open(house.http, "#ann");
    console.awaits("#desk-status", "available");
    let caller = house.party("caller");
    let _call = house.caller(&caller, &["-d", "60000"]);
    console.awaits("#offer", "Caller");
    let blinks = "getComputedStyle(document.querySelector('#offer.waits')).animationName";
    assert_eq!(console.value_of(blinks), "blink");
    assert!(ann.party.speakers().is_empty(), "nobody is connected before the click");
    console.clicks("[data-act=accept]");
    caller.talks_with(&ann.party);
    console.awaits("#desk-call", "Talking to");
    console.awaits("#calls", "talking");
    console.awaits_sight("#offer", false);
    console.clicks("[data-act=hangup]");
    console.awaits("#desk-status", "wrap-up");
    console.clicks("[data-act=wrapped]");
    console.awaits("#desk-status", "available");
    assert_eq!(ann.sipp.invites().len(), 1, "the phone rang once, for the connection");
    assert_eq!(console.complaints(), Vec::<String>::new());
}

#[test]
fn pc_06_buttons_of_the_console_establish_keep_and_release_the_connection() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    let mut console = Browser::open(house.http, "#ann");
    console.clicks("[data-act=login]");
    console.clicks("[data-act=establish]");
    console.awaits("#said", "The connection is open.");
    console.awaits("#desk-status", "on break");
    for (button, status) in
        [("available", "available"), ("break", "on break"), ("offline", "working offline")]
    {
        console.clicks(&format!("[data-act={button}]"));
        console.awaits("#desk-status", status);
        assert_eq!(house.rest.agent("ann")["connection"], "up", "{status}");
    }
    console.clicks("[data-act=release]");
    ann.sipp.awaits("BYE", 1);
    console.awaits("#desk-phone", "on hook");
    assert_eq!(ann.sipp.invites().len(), 1);
}

#[test]
fn pc_06_opening_the_page_with_its_trigger_establishes_the_connection_unless_it_is_up() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    house.rest.act("ann", "login");
    let mut console = Browser::open(house.http, "#ann&establish");
    console.awaits("#desk-phone", "off hook");
    console.awaits("#desk-status", "on break");
    assert_eq!(ann.sipp.awaits_invites(1).len(), 1);
    // Opened without it, or beside a connection that is up, the page calls nobody.
    let mut again = Browser::open(house.http, "#ann&establish");
    again.awaits("#desk-phone", "off hook");
    again.clicks("[data-act=release]");
    again.awaits("#desk-phone", "on hook");
    let mut plain = Browser::open(house.http, "#ann");
    plain.awaits("#desk-phone", "on hook");
    plain.clicks("[data-act=offline]");
    plain.awaits("#desk-status", "working offline");
    assert_eq!((ann.sipp.invites().len(), &house.rest.agent("ann")["connection"]), (1, &json!("down")));
    for browser in [&mut console, &mut again, &mut plain] {
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

#[test]
fn pc_06_a_box_beside_log_in_has_the_phone_called_with_it() {
    let house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.rest.put_agent("ann", &ann.station(), &json!({}));
    let mut console = Browser::open(house.http, "#ann");
    console.clicks("[data-act=login]");
    console.awaits("#desk-status", "on break");
    console.awaits_sight("#initiating", false);
    console.clicks("[data-act=logout]");
    console.awaits("#desk-status", "logged out");
    assert_eq!(ann.sipp.invites().len(), 0);
    console.clicks("#initiate");
    console.clicks("[data-act=login]");
    console.awaits("#desk-phone", "off hook");
    console.awaits("#desk-status", "on break");
    assert_eq!(ann.sipp.invites().len(), 1);
    assert_eq!(console.complaints(), Vec::<String>::new());
}

#[test]
fn what_is_refused_is_said_where_it_was_asked_for() {
    let house = House::open(&Settings::default());
    let mut console = Browser::open(house.http, "");
    console.awaits("#service", "callback");
    console.clicks("#callback-number");
    console.types("banana");
    console.enters();
    console.awaits("#callbacks-said", "_customer_number");
    console.clicks("#contact-number");
    console.types("banana");
    console.enters();
    console.awaits("#contacts-said", "number");
    assert_eq!(house.rest.get("/api/v1/contacts"), json!([]));

    console.clicks("#contact-number");
    console.value_of("document.querySelector('#contact-number').value = ''");
    console.types("+31201");
    console.enters();
    console.awaits("#contacts", "+31201");
    console.awaits_sight("#contacts-said", false);
    console.clicks("#reports [value=show]");
    console.awaits("#reports-said", "Nothing in this period");
    console.value_of("document.querySelector('#report').value = 'queue_events'");
    console.clicks("#reports [value=show]");
    console.awaits("#report-rows", "+31201");
    let second = console.value_of("document.querySelector('#report-head').children[1].textContent");
    assert_eq!(second, "internal iq session id", "columns come in the order of the CSV");
    assert_eq!(console.complaints(), Vec::<String>::new());
}

#[test]
fn in_the_console_lists_go_on_behind_their_first_page() {
    let limits = ["max_queued", "max_per_300_s", "max_per_3600_s", "max_request_by_time_bucket"];
    let service = limits.map(|limit| format!("{limit} = 9999\n")).concat();
    let house = House::open(&Settings { service, ..Settings::default() });
    // A page has a thousand.
    for number in 0..1_001 {
        house.rest.contact(&format!("+4420{number:05}"), &json!({}));
    }
    let in_days = |days: u64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("it is later than 1970").as_secs() + days * 86_400
    };
    let tomorrow = in_days(1);
    let ask = |number: u32| {
        let wish = json!({ "_customer_number": format!("+4430{number:05}"), "_desired_time": tomorrow,
            "_call_direction": "USERTERMINATED" });
        house.rest.callback_with(&wish)["_id"].as_str().expect("an id").to_owned()
    };
    let (last, number) = (0..1_001).map(|number| (ask(number), number)).max().expect("the last of all pages");
    let path = format!("/genesys/1/service/callback/callback/{last}");
    let moved = house.rest.ask("PUT", &path, &json!({ "_new_desired_time": in_days(2) }));
    assert!(matches!(moved, Ok((200, _))), "{moved:?}");
    let mut console = Browser::open(house.http, "");
    console.awaits("#contacts", "+442001000");
    console.awaits("#callbacks", &format!("+4430{number:05}"));
    assert_eq!(console.complaints(), Vec::<String>::new());
}

#[test]
fn in_the_console_agents_are_counted_and_found_by_what_they_do() {
    let house = House::open(&Settings::default());
    for (agent, name) in [("ann", "Ann Example"), ("bob", "Bob Example"), ("cem", "Cem Example")] {
        house.rest.put_agent(
            agent,
            &json!({ "kind": "number", "number": "+31201" }),
            &json!({ "name": name }),
        );
    }
    house.rest.act("ann", "login");
    house.rest.status("ann", "working_offline");
    let mut console = Browser::open(house.http, "");
    console.awaits("#agents-count", "2 logged out · 1 working offline");
    for (typed, found) in
        [("OFFLINE", &["ann"][..]), ("logged", &["bob", "cem"]), ("cem ex", &["cem"]), ("nobody", &[])]
    {
        console.value_of(&format!("$('find').value = '{typed}'; $('find').oninput()"));
        until(&format!("{found:?} are found by {typed}"), || {
            let rows =
                "[...document.querySelectorAll('#agents tr')].map(row => row.dataset.id).filter(id => id)";
            console.value_of(rows) == json!(found)
        });
    }
    assert_eq!(console.complaints(), Vec::<String>::new());
}

#[test]
fn in_a_narrow_window_nothing_sticks_out_at_the_side() {
    let house = House::open(&Settings::default());
    house.rest.put_agent("ann", &json!({ "kind": "number", "number": "+31201" }), &json!({}));
    let mut console = Browser::open(house.http, "#ann");
    for pixels in [320, 480, 768, 1_280] {
        console.is_wide(pixels);
        console.awaits("#desk-name", "ann");
        assert_eq!(console.value_of("innerWidth"), pixels);
        let page = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(console.value_of(page), true, "at {pixels}");
    }
}

#[test]
fn by_10_the_console_takes_up_again_by_itself_when_control_was_killed_and_is_back() {
    let mut house = House::open(&Settings::default());
    let ann = house.phone("ann");
    house.off_hook("ann", &ann);
    let mut console = Browser::open(house.http, "#ann");
    console.awaits("#live", "live");
    house.kill_control();
    console.awaits("#live", "connection lost");
    console.clicks("[data-act=break]");
    console.awaits("#said", "Control does not answer.");
    house.start_control();
    house.is_well();
    house.rest.status("ann", "working_offline");
    console.awaits("#live", "live");
    console.awaits("#desk-status", "working offline");
    let shown = eventually("the agent is listed", || console.text("#agents [data-id=ann]"));
    assert!(shown.contains("working offline"), "{shown}");
}
