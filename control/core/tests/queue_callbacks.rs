//! Callbacks that keep a caller's place in the queue, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use bench::flow::{
    announce, arrive, arrive_at, callback, example, flow, origin, request, set, step, stored, summary, view,
    with,
};
use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::config::QueueConfig;
use offhook_control_core::inbound_flow::{Action, CallbackAction, Key, check};
use offhook_control_core::record::{CallKind, CallbackReason};
use offhook_control_core::report::Direction;
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::view::AgentStatus;
use offhook_proto::Command;

#[test]
fn qc_01_the_place_in_the_queue_is_that_of_the_arrival_and_not_of_the_request() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let first = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(1_000);
    let second = arrive_at(&mut bench, 2, "+31202", "100");
    first.asks_for_callback(&mut bench);
    first.is_gone(&mut bench);
    assert_eq!(view(&mut bench).more["_position"], 1);
    bench.add_agent("ann", true);
    assert_eq!(
        bench.dials_to_trunk(),
        1,
        "the callback is served before who came later and waits on the line"
    );
    assert!(!second.was_dropped(&bench));
}

#[test]
fn qc_01_callers_who_came_in_the_same_millisecond_keep_their_order() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let first = arrive(&mut bench, 1, "+31201");
    let _second = arrive_at(&mut bench, 2, "+31202", "100");
    first.asks_for_callback(&mut bench);
    assert_eq!(view(&mut bench).more["_position"], 1);
    let mut bench = bench.restart();
    assert_eq!(view(&mut bench).more["_position"], 1);
}

#[test]
fn qc_02_the_customer_is_called_back_only_when_an_agent_has_accepted() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    bench.add_agent("ann", false);
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered);
    assert_eq!(bench.dials_to_trunk(), 0);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn qc_02_a_customer_is_not_called_back_while_the_first_call_is_not_over() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    bench.add_agent("ann", true);
    bench.pass_ms(2_000);
    assert_eq!(bench.dials_to_trunk(), 0, "their phone is busy");
    caller.is_gone(&mut bench);
    bench.pass_ms(200);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn qc_03_who_hangs_up_before_the_action_gets_no_callback() {
    for moment in 0..4 {
        let mut bench = Bench::with(with(example(callback(), &[])));
        let caller = arrive(&mut bench, 1, "+31201");
        if moment > 0 {
            bench.pass_ms(30_000);
        }
        if moment > 1 {
            caller.press(&mut bench, '1');
        }
        if moment > 2 {
            bench.end_play(caller.0);
            assert_eq!(caller.hears(&bench), ["callback_confirm.wav"]);
        }
        caller.hang_up(&mut bench);
        bench.end_play(caller.0);
        bench.pass_ms(120_000);
        bench.add_agent("ann", true);
        assert!(stored(&bench).is_empty() && bench.dials_to_trunk() == 0, "moment {moment}");
        assert!(bench.core.is_quiet() || bench.dials() == 1, "moment {moment}");
    }
}

#[test]
fn qc_04_the_confirmation_comes_first_then_the_record_then_the_drop() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(30_000);
    caller.press(&mut bench, '1');
    bench.end_play(caller.0);
    assert_eq!(caller.hears(&bench), ["callback_confirm.wav"]);
    assert!(stored(&bench).is_empty() && !caller.was_dropped(&bench), "not before it has been heard");
    bench.order.clear();
    bench.end_play(caller.0);
    let place = |what: &str| bench.order.iter().position(|done| done == what);
    assert!(
        place("record callback_added").is_some() && place("record callback_added") < place("hang up"),
        "{:?}",
        bench.order
    );
}

#[test]
fn qc_04_a_crash_between_store_and_drop_leaves_one_callback_and_drops_the_call() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    // The drop never left: the dialog lives on.
    let mut bench = bench.restart();
    assert!(!caller.was_dropped(&bench), "it is taken up first");
    bench.sip(caller.0, SipEvent::Restored);
    caller.is_gone(&mut bench);
    bench.pass_ms(3_000);
    bench.add_agent("ann", true);
    assert_eq!((stored(&bench).len(), bench.dials_to_trunk()), (1, 1));
    let customer = bench.customer();
    bench.answer(customer);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}

#[test]
fn qc_04_a_crash_before_the_store_leaves_the_caller_on_the_line_at_their_place() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(30_000);
    caller.press(&mut bench, '1');
    bench.end_play(caller.0);
    let mut bench = bench.restart();
    bench.sip(caller.0, SipEvent::Restored);
    assert_eq!(caller.hears(&bench), ["music.wav"], "on behind the step that took the place");
    bench.end_play(caller.0);
    assert!(stored(&bench).is_empty());
    caller.asks_for_callback(&mut bench);
    assert_eq!(stored(&bench).len(), 1);
}

#[test]
fn qc_05_the_number_and_the_caller_id_are_the_callers_unless_the_action_sets_others() {
    for (phone_number, caller_id, dialled, shown) in
        [("{ANI}", "{DNIS}", "+31201", "200"), ("{mine}", "+31880", "+316", "+31880")]
    {
        let callback =
            CallbackAction { phone_number: phone_number.into(), caller_id: caller_id.into(), ..callback() };
        let mut flow = example(callback, &[]);
        flow.steps[0].branches = [("Default".to_owned(), "set".to_owned())].into();
        flow.steps.push(step("set", set("mine", "+316"), &[("Default", "music")]));
        let mut bench = Bench::with(with(flow));
        let caller = arrive(&mut bench, 1, "+31201");
        caller.asks_for_callback(&mut bench);
        caller.is_gone(&mut bench);
        bench.add_agent("ann", true);
        let dial = bench.sip.iter().rev().find_map(|(_, command)| match command {
            SipCommand::Dial { target, caller_id, .. } => Some((target.clone(), caller_id.clone())),
            _ => None,
        });
        let (target, number) = dial.expect("the customer was dialled");
        assert_eq!(format!("{target:?}"), format!("Trunk {{ number: {dialled:?} }}"));
        assert_eq!(number.as_deref(), Some(shown));
    }
}

#[test]
fn qc_05_a_captured_number_is_called_back() {
    let capture = Action::Menu {
        prompts: vec!["number.wav".into()],
        digits: 15,
        terminator: Some('#'),
        timeout_s: 4,
        variable: "number".into(),
    };
    let order = CallbackAction { phone_number: "{number}".into(), ..callback() };
    let mut bench = Bench::with(with(flow(vec![
        step("ask", request(), &[("Default", "capture")]),
        step("capture", capture, &[("Default", "callback"), ("Timeout", "capture")]),
        step("callback", Action::Callback(order), &[("OnError", "capture")]),
    ])));
    let caller = arrive(&mut bench, 1, "+31201");
    for key in "0612#".chars() {
        caller.press(&mut bench, key);
    }
    assert_eq!(caller.hears(&bench), ["number.wav"], "0612 could be an extension");
    for key in "0612345678#".chars() {
        caller.press(&mut bench, key);
    }
    bench.end_play(caller.0);
    assert_eq!(stored(&bench)[0].number, "0612345678");
}

#[test]
fn qc_06_afterwards_the_numbers_are_those_of_the_call_back_and_the_originals_stay_readable() {
    let after = [step("see", set("seen", "{ANI} {DNIS} {OriginalANI} {OriginalDNIS}"), &[])];
    let order = CallbackAction { phone_number: "+316".into(), caller_id: "+31880".into(), ..callback() };
    let mut bench = Bench::with(with(example(order, &after)));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    let seen = view(&mut bench).more;
    let numbers = ["ANI", "DNIS", "OriginalANI", "OriginalDNIS"].map(|name| seen[name].clone());
    assert_eq!(numbers, ["+316", "+31880", "+31201", "200"]);
    caller.is_gone(&mut bench);
    bench.add_agent("ann", true);
    let customer = bench.customer();
    bench.answer(customer);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    let record = summary(&bench, customer);
    let numbers = [record.ani, record.dnis, record.original_ani, record.original_dnis];
    assert_eq!(numbers.map(Option::unwrap), ["+316", "+31880", "+31201", "200"]);
}

/// A caller has asked for a callback, and is gone; a hang-up step follows after so long.
fn called_back_at_most_for(seconds: u32) -> Bench {
    let after = [
        step("a while", Action::Wait { seconds }, &[("Default", "enough")]),
        step("enough", Action::HangUp, &[]),
    ];
    let mut bench = Bench::with(with(example(callback(), &after)));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    bench
}

#[test]
fn qc_07_a_hang_up_step_ends_the_callback() {
    let mut bench = called_back_at_most_for(3_600);
    bench.pass_ms(1_800_000);
    let id = stored(&bench)[0].id.clone();
    assert_eq!(bench.ended(&id), None);
    // The other half hour counts from the acceptance, not from the restart.
    let mut bench = bench.restart();
    bench.pass_ms(1_798_000);
    assert_eq!(bench.ended(&id), None);
    bench.pass_ms(2_000);
    assert_eq!(bench.ended(&id), Some(CallbackReason::Cancelled));
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 0);
}

#[test]
fn qc_07_a_hang_up_step_does_not_part_those_who_talk() {
    let mut bench = called_back_at_most_for(60);
    bench.add_agent("ann", true);
    let customer = bench.customer();
    bench.answer(customer);
    bench.pass_ms(120_000);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    assert_eq!(bench.ended(&stored(&bench)[0].id.clone()), Some(CallbackReason::AgentConnected));
}

#[test]
fn qc_07_a_hang_up_step_that_comes_while_control_is_dead_waits_for_what_the_engine_tells() {
    let mut bench = called_back_at_most_for(60);
    bench.pass_ms(50_000);
    bench.add_agent("ann", true);
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.keep_dialogs([ann, customer]);
    let id = stored(&bench)[0].id.clone();
    while bench.now().unix_ms < origin(&bench).accepted_ms + 59_500 {
        bench.pass_ms(100);
    }
    assert_eq!(bench.ended(&id), None);
    // They talk, and control dies before that is on record; the step's time comes before it lives again.
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    let bench = bench.spliced(legs).restart();
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn qc_08_the_priority_of_the_call_stays_in_force() {
    let mut flow = example(callback(), &[]);
    flow.steps[0].action = Action::RequestAgent { queue: "sales".into(), priority: Some(7) };
    let mut bench = Bench::with(with(flow));
    let _earlier = arrive_at(&mut bench, 1, "+31201", "100");
    bench.pass_ms(1_000);
    let caller = arrive(&mut bench, 2, "+31202");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    assert_eq!(origin(&bench).priority, 7);
    assert_eq!(view(&mut bench).more["_position"], 1);
    let mut bench = bench.restart();
    assert_eq!(view(&mut bench).more["_position"], 1);
    bench.pass_ms(3_000);
    bench.add_agent("ann", true);
    assert_eq!(bench.dials_to_trunk(), 1, "before who came earlier with a lower one");
}

#[test]
fn qc_08_a_waiting_callers_priority_survives_a_restart() {
    let mut flow = example(callback(), &[]);
    flow.steps[0].action = Action::RequestAgent { queue: "sales".into(), priority: Some(7) };
    let mut bench = Bench::with(with(flow));
    let earlier = arrive_at(&mut bench, 1, "+31201", "100");
    let caller = arrive(&mut bench, 2, "+31202");
    let mut bench = bench.restart();
    bench.sip(earlier.0, SipEvent::Restored);
    bench.sip(caller.0, SipEvent::Restored);
    bench.add_agent("ann", true);
    bench.pass_ms(3_000);
    let joined = bench.engine.iter().find_map(|command| match command {
        Command::Splice(splice) => Some(splice.b.clone()),
        _ => None,
    });
    assert_eq!(joined, Some(format!("c-{}", caller.0)));
}

#[test]
fn qc_09_the_contact_keeps_its_id_through_queue_attempts_and_restarts() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    let contact = summary(&bench, caller.0).contact.expect("a contact id");
    assert_eq!(view(&mut bench).more["ContactID"], contact.to_string());
    bench.add_agent("ann", true);
    let first = bench.customer();
    bench.sip(first, SipEvent::Failed { status: 486, reason: "busy".into(), network: false, cause: None });
    assert_eq!(summary(&bench, first).contact, Some(contact));
    let mut bench = bench.restart();
    assert_eq!(view(&mut bench).more["ContactID"], contact.to_string());
    bench.add_agent("bob", true);
    bench.pass_ms(400_000);
    let second = bench.customer();
    assert_ne!(first, second);
    bench.sip(second, SipEvent::Failed { status: 486, reason: "busy".into(), network: false, cause: None });
    assert_eq!(summary(&bench, second).contact, Some(contact));
}

#[test]
fn qc_10_a_voice_step_after_the_callback_is_refused_and_other_steps_still_run() {
    // "music" is come to with and without a call: only when it is reached does it show.
    let after = [step("later", Action::Wait { seconds: 10 }, &[("Default", "music")])];
    let mut flow = example(callback(), &after);
    flow.steps[1].branches.insert("OnError".into(), "enough".into());
    flow.steps.push(step("enough", Action::HangUp, &[]));
    let mut bench = Bench::with(with(flow));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    let played = bench.engine.iter().filter(|command| matches!(command, Command::Play(_))).count();
    let id = stored(&bench)[0].id.clone();
    bench.pass_ms(9_000);
    assert_eq!(bench.ended(&id), None);
    bench.pass_ms(2_000);
    assert_eq!(bench.ended(&id), Some(CallbackReason::Cancelled), "OnError led to the hang-up");
    assert_eq!(bench.engine.iter().filter(|command| matches!(command, Command::Play(_))).count(), played);
}

#[test]
fn qc_10_a_voice_step_that_only_a_callback_leads_to_is_a_mistake() {
    let queues = [QueueConfig { name: "sales".into(), ..QueueConfig::default() }];
    let services = [offhook_control_core::config::ServiceConfig { name: "cb".into(), ..Default::default() }];
    let after = [step("note", set("x", "1"), &[("Default", "bye")]), step("bye", announce("bye.wav"), &[])];
    let faults = check(&example(callback(), &after), &queues, &services);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert_eq!((faults[0].step, &faults[0].key), (Some(6), &Key::Setting("action")));
    assert!(faults[0].why.contains("announce") && faults[0].why.contains("callback"), "{}", faults[0].why);
}

#[test]
fn qc_11_an_extension_is_never_dialled() {
    for ani in ["102", "12345"] {
        let mut bench = Bench::with(with(example(callback(), &[])));
        let caller = arrive(&mut bench, 1, ani);
        bench.pass_ms(30_000);
        caller.press(&mut bench, '1');
        bench.end_play(caller.0);
        assert_eq!(caller.hears(&bench), ["music.wav"], "refused without a promise");
        assert!(stored(&bench).is_empty() && !caller.was_dropped(&bench));
    }
    for ani in ["+31201x12", "+31201;ext=12", "+31201,12", "+31201 ext 12"] {
        let mut bench = Bench::with(with(example(callback(), &[])));
        let caller = arrive(&mut bench, 1, ani);
        caller.asks_for_callback(&mut bench);
        assert_eq!(stored(&bench)[0].number, "+31201");
        assert_eq!(view(&mut bench).more["Extension"], "12", "the agent sees it");
        caller.is_gone(&mut bench);
        bench.add_agent("ann", true);
        assert_eq!(bench.dials_to_trunk(), 1);
        let dialled = bench.sip.iter().any(|(_, command)| format!("{command:?}").contains("\"+31201\""));
        assert!(dialled);
    }
}

#[test]
fn qc_12_a_queued_callback_has_no_leg_and_a_dialled_one_has_one() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(bench.open_legs(), 1);
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    assert_eq!(bench.open_legs(), 0);
    bench.pass_ms(60_000);
    assert_eq!(bench.open_legs(), 0);
    bench.add_agent("ann", true);
    assert_eq!(bench.open_legs(), 2, "the agent's and one for the customer");
}

#[test]
fn qc_13_a_queued_callback_is_reported_inbound_and_billed_outbound_on_its_record() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    let call = summary(&bench, caller.0);
    assert_eq!((call.reported, call.billed), (Some(Direction::Inbound), Some(Direction::Inbound)));
    assert_eq!((call.kind, call.result.as_str()), (CallKind::Inbound, "callback"));
    bench.add_agent("ann", true);
    let customer = bench.customer();
    bench.answer(customer);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    let call = summary(&bench, customer);
    assert_eq!((call.reported, call.billed), (Some(Direction::Inbound), Some(Direction::Outbound)));
}

#[test]
fn cb_12_the_call_that_a_callback_came_from_is_not_counted_as_abandoned() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    let reason = bench.sip.iter().find_map(|(_, command)| match command {
        SipCommand::HangUp { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("Callback"));
    caller.is_gone(&mut bench);
    match bench.ask(ApiRequest::Statistics) {
        ApiReply::Statistics(statistics) => assert_eq!(statistics.abandoned, 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn qc_14_the_call_delay_lies_between_the_acceptance_and_dialling() {
    let order = CallbackAction { call_delay_s: "59".into(), ..callback() };
    let mut bench = Bench::with(with(example(order, &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    bench.add_agent("ann", false);
    bench.pass_ms(5_000);
    bench.ask(ApiRequest::Accept("ann".into()));
    bench.pass_ms(58_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    bench.pass_ms(1_500);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn qc_14_an_agent_who_is_lost_during_the_call_delay_costs_nobody_a_call() {
    let order = CallbackAction { call_delay_s: "20".into(), ..callback() };
    let mut bench = Bench::with(with(example(order, &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    bench.add_agent("ann", true);
    bench.pass_ms(5_000);
    let leg = bench.dialled("ann");
    bench.sip(leg, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.add_agent("bob", true);
    bench.pass_ms(16_000);
    assert_eq!(bench.dials_to_trunk(), 0, "the delay counts from Bob's acceptance");
    bench.pass_ms(6_000);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn qc_14_a_call_delay_of_60_seconds_or_more_puts_agents_in_refused() {
    let mut flow = example(CallbackAction { call_delay_s: "{delay}".into(), ..callback() }, &[]);
    flow.steps[0].branches = [("Default".to_owned(), "set".to_owned())].into();
    flow.steps.push(step("set", set("delay", "60"), &[("Default", "music")]));
    let mut bench = Bench::with(with(flow));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    bench.add_agent("ann", false);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!(bench.agent("ann").status, AgentStatus::Refused);
    bench.pass_ms(200_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    let queues = [QueueConfig { name: "sales".into(), ..QueueConfig::default() }];
    let services = [offhook_control_core::config::ServiceConfig { name: "cb".into(), ..Default::default() }];
    let fixed = example(CallbackAction { call_delay_s: "60".into(), ..callback() }, &[]);
    assert!(check(&fixed, &queues, &services)[0].why.contains("refused"));
}
