//! Who answered, by behaviour id: the customer is spliced at once, and a machine costs no more than the attempt.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use bench::reports::events;
use jiff::Timestamp;
use offhook_control_core::api::{ApiReply, ApiRequest, CallbackFilter, ContactBody};
use offhook_control_core::config::{DetectionConfig, OnMachine, OnTone};
use offhook_control_core::record::{CallbackReason, DialResult, Fact, Record, ResultCode, VERSION};
use offhook_control_core::report::Report;
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;
use offhook_control_core::{CallId, CallbackId};
use offhook_proto::{AmdParameters, Command, Detected, DetectedKind, EventBody, PlaySource, ToneParameters};
use serde_json::{Value, json};

fn with(detection: DetectionConfig) -> Bench {
    let mut bench = Bench::with(|config| {
        config.services[0].detection = detection.clone();
        config.queues[0].detection = detection;
        config.queues[0].max_attempts = 3;
    });
    bench.add_agent("ann", true);
    bench
}

fn on_machine(machine: OnMachine) -> Bench {
    with(DetectionConfig { machine, message: "message.wav".into(), ..DetectionConfig::default() })
}

/// A callback whose customer has answered.
fn answered(bench: &mut Bench) -> (CallbackId, CallId) {
    let id = bench.callback("+31201");
    let call = bench.customer();
    bench.answer(call);
    (id, call)
}

fn detect(bench: &mut Bench, call: CallId, kind: DetectedKind) {
    let leg = format!("c-{call}");
    let (cause, frequency_hz, duration_ms) = (None, None, None);
    bench.event(EventBody::Detected(Detected {
        leg,
        kind,
        cause,
        after_ms: 1_500,
        frequency_hz,
        duration_ms,
    }));
}

/// The peer confirms the end.
fn over(bench: &mut Bench, call: CallId) {
    assert!(bench.is_hung_up(call));
    bench.sip(call, SipEvent::Ended { by_peer: false, reason: String::new() });
}

fn result(bench: &mut Bench, id: &CallbackId, attempt: u32) -> Value {
    let filter = CallbackFilter { id: Some(id.clone()), ..Default::default() };
    match bench.ask(ApiRequest::QueryCallbacks { service: "cb".into(), filter }) {
        ApiReply::Callbacks(views) => {
            let view = serde_json::to_value(&views[0]).expect("a view is JSON");
            view[format!("_CB_DIAL_{attempt}_RESULT")].clone()
        }
        other => panic!("{other:?}"),
    }
}

fn starts(bench: &Bench) -> usize {
    bench.engine.iter().filter(|command| matches!(command, Command::DetectStart(_))).count()
}

fn is_connected(bench: &Bench) -> bool {
    bench.facts().any(|fact| matches!(fact, Fact::Connected { .. }))
}

/// How the only campaign stands.
fn campaign(bench: &mut Bench) -> Value {
    bench.ask(ApiRequest::Compliance).body()["campaigns"][0].clone()
}

#[test]
fn by_05_by_08_cb_17_a_person_whose_verdict_takes_three_seconds_had_an_agent_at_once() {
    let mut bench = on_machine(OnMachine::Drop);
    bench.callback("+31201");
    let call = bench.customer();
    bench.pass_ms(4_000);
    let answered = Timestamp::from_millisecond(bench.now().unix_ms.cast_signed()).expect("a time");
    let answered = format!("{answered:.3}");
    bench.answer(call);
    bench.pass_ms(3_000);
    detect(&mut bench, call, DetectedKind::Person);
    bench.pass_ms(10_000);
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    let stands = campaign(&mut bench);
    assert_eq!((&stands["us"]["answered"], &stands["us"]["abandoned"]), (&json!(1), &json!(0)));
    assert_eq!((&stands["uk"]["human"], &stands["uk"]["dropped"]), (&json!(1), &json!(0)));
    let rows = events(&mut bench, Report::CallEvents);
    assert_eq!(rows.len(), 2, "the agent's and the customer's");
    for row in &rows {
        assert_eq!((&row.dte_speak_start, row.duration_speak_sec), (&answered, 13), "{}", row.ciq);
    }
    let mut bench = bench.restart();
    assert_eq!(
        (campaign(&mut bench), events(&mut bench, Report::CallEvents)),
        (stands, rows),
        "from the journal"
    );
}

#[test]
fn by_08_a_busy_tone_after_the_answer_is_nobody_who_was_left_without_an_agent() {
    let mut bench = with(DetectionConfig { tones: OnTone::Drop, ..DetectionConfig::default() });
    let (_, call) = answered(&mut bench);
    detect(&mut bench, call, DetectedKind::Busy);
    over(&mut bench, call);
    let stands = campaign(&mut bench);
    assert_eq!((&stands["us"]["answered"], &stands["us"]["abandoned"]), (&json!(0), &json!(0)));
    assert_eq!(stands["uk"]["dropped"], json!(0));
}

#[test]
fn by_05_the_splice_goes_before_the_detection_and_does_not_wait_for_it() {
    let mut bench = on_machine(OnMachine::Drop);
    let (_, call) = answered(&mut bench);
    let both = |command: &Command| matches!(command, Command::Splice(splice) if splice.b_hears_a);
    let splice = bench.engine.iter().position(both).expect("spliced");
    let detect = bench.engine.iter().position(|command| matches!(command, Command::DetectStart(_)));
    assert!(splice < detect.expect("listened to"));
    let Some(Command::DetectStart(start)) = bench.engine.get(detect.unwrap_or_default()) else { panic!() };
    assert_eq!(start.leg, format!("c-{call}"));
}

#[test]
fn cb_17_the_engine_listens_with_the_parameters_of_the_service() {
    let amd = AmdParameters { greeting_ms: 1_800, ..AmdParameters::default() };
    let tone_parameters = ToneParameters { fax: false, ..ToneParameters::default() };
    let machine = OnMachine::Drop;
    let mut bench = with(DetectionConfig { machine, amd, tone_parameters, ..DetectionConfig::default() });
    answered(&mut bench);
    let started = bench.engine.iter().find_map(|command| match command {
        Command::DetectStart(start) => Some((start.amd, start.tones)),
        _ => None,
    });
    assert_eq!(started, Some((amd, tone_parameters)));
}

#[test]
fn by_05_a_machine_withdraws_the_call_and_the_agent_gets_the_next() {
    let mut bench = on_machine(OnMachine::Drop);
    let (id, call) = answered(&mut bench);
    let next = bench.callback("+31202");
    assert_eq!(bench.dials_to_trunk(), 1, "the agent is busy");
    detect(&mut bench, call, DetectedKind::Machine);
    assert!(bench.is_hung_up(call));
    assert_eq!(bench.dials_to_trunk(), 2, "no wrap-up after a machine");
    assert_eq!(bench.callback_state(&next), "PROCESSING");
    over(&mut bench, call);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailCallToCustomer));
    assert_eq!(result(&mut bench, &id, 1), "ANSWERING_MACHINE");
    assert!(!is_connected(&bench));
}

#[test]
fn cb_17_a_person_is_connected_with_the_verdict_and_not_before() {
    let mut bench = on_machine(OnMachine::Drop);
    let (id, call) = answered(&mut bench);
    assert!(!is_connected(&bench));
    assert_eq!(bench.ended(&id), None);
    detect(&mut bench, call, DetectedKind::Person);
    assert!(is_connected(&bench));
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(result(&mut bench, &id, 1), "PERSON");
    detect(&mut bench, call, DetectedKind::Machine);
    assert!(!bench.is_hung_up(call), "one verdict is enough");
    assert!(bench.engine.iter().any(|command| matches!(command, Command::DetectStop(_))));
    let mut bench = bench.restart();
    assert_eq!(result(&mut bench, &id, 1), "PERSON", "it is on record");
}

#[test]
fn by_10_who_talked_before_the_verdict_is_not_called_again_though_control_died_and_the_agent_left() {
    let mut bench = on_machine(OnMachine::Drop);
    let (id, call) = answered(&mut bench);
    bench.keep_dialogs([call]);
    let legs = [bench.agent_leg("ann"), format!("c-{call}")];
    // Logged out while the next run had not heard the engine yet.
    let at_ms = bench.now().unix_ms;
    let left = Fact::AgentStatus { agent: "ann".into(), status: AgentStatus::LoggedOut };
    bench.records.push(Record { v: VERSION, at_ms, fact: left });
    let mut bench = bench.restart_with_spliced(legs);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    bench.restored([call]);
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.add_agent("bob", true);
    bench.pass_ms(600_000);
    assert_eq!(bench.dials_to_trunk(), 0);
}

/// Control and the engine die; the next run finds nobody on the line.
fn all_die(mut bench: Bench, call: CallId) -> Bench {
    bench.keep_dialogs([call]);
    bench.loses_all_legs();
    let mut bench = bench.restart();
    bench.sip(call, SipEvent::RestoreFailed { reason: "no such dialog".into() });
    bench
}

#[test]
fn by_10_who_talked_before_the_verdict_is_not_called_again_though_control_and_the_engine_died() {
    let mut bench = on_machine(OnMachine::Drop);
    let (id, call) = answered(&mut bench);
    let answered_ms = bench.now().unix_ms;
    bench.pass_ms(3_000);
    let mut bench = all_die(bench, call);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    let since = bench.facts().find_map(|fact| match fact {
        Fact::Connected { since_ms, .. } => *since_ms,
        _ => None,
    });
    assert_eq!(since, Some(answered_ms));
    bench.add_agent("bob", true);
    bench.pass_ms(600_000);
    assert_eq!(bench.dials_to_trunk(), 0);
}

#[test]
fn by_10_a_machine_that_was_being_hung_up_on_when_control_and_the_engine_died_is_tried_again() {
    let mut bench = on_machine(OnMachine::Retry);
    let (id, call) = answered(&mut bench);
    detect(&mut bench, call, DetectedKind::Machine);
    assert!(bench.is_hung_up(call));
    let mut bench = all_die(bench, call);
    assert!(!is_connected(&bench));
    bench.add_agent("bob", true);
    bench.pass_ms(305_000);
    assert_eq!((bench.ended(&id), bench.dials_to_trunk()), (None, 1));
}

#[test]
fn cb_17_a_machine_may_be_tried_again() {
    let mut bench = on_machine(OnMachine::Retry);
    let (id, call) = answered(&mut bench);
    detect(&mut bench, call, DetectedKind::Machine);
    over(&mut bench, call);
    assert_eq!(bench.ended(&id), None);
    assert_eq!(result(&mut bench, &id, 1), "ANSWERING_MACHINE");
    bench.pass_ms(299_000);
    assert_eq!(bench.dials_to_trunk(), 1);
    bench.pass_ms(2_000);
    assert_eq!(bench.dials_to_trunk(), 2);
    let again = bench.customer();
    bench.answer(again);
    detect(&mut bench, again, DetectedKind::Person);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(result(&mut bench, &id, 2), "PERSON");
}

#[test]
fn cb_17_fax_and_tones_have_results_and_actions_of_their_own() {
    let cases = [
        (DetectedKind::Fax, "FAX"),
        (DetectedKind::Sit, "ERROR_TONE"),
        (DetectedKind::Reorder, "ERROR_TONE"),
        (DetectedKind::DialTone, "ERROR_TONE"),
        (DetectedKind::Busy, "BUSY"),
    ];
    for (kind, name) in cases {
        let config =
            DetectionConfig { fax: OnTone::Drop, tones: OnTone::Retry, ..DetectionConfig::default() };
        let mut bench = with(config);
        let (id, call) = answered(&mut bench);
        detect(&mut bench, call, kind);
        over(&mut bench, call);
        assert_eq!(result(&mut bench, &id, 1), name);
        let dropped = (kind == DetectedKind::Fax).then_some(CallbackReason::FailCallToCustomer);
        assert_eq!(bench.ended(&id), dropped, "{kind:?}");
    }
}

#[test]
fn cb_17_a_message_is_left_after_the_beep_while_the_agent_gets_the_next() {
    let mut bench = on_machine(OnMachine::Message);
    let (id, call) = answered(&mut bench);
    bench.callback("+31202");
    detect(&mut bench, call, DetectedKind::Machine);
    assert_eq!(bench.dials_to_trunk(), 2, "the agent is free at once");
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailCallToCustomer));
    assert!(bench.played(call).is_empty(), "the greeting is not talked over");
    bench.pass_ms(4_000);
    detect(&mut bench, call, DetectedKind::Beep);
    assert_eq!(bench.played(call), [PlaySource::File("message.wav".into())]);
    detect(&mut bench, call, DetectedKind::Beep);
    assert!(!bench.is_hung_up(call));
    bench.end_play(call);
    over(&mut bench, call);
    let summary = bench.facts().find_map(|fact| match fact {
        Fact::CallEnded { call: ended, summary } if *ended == call => summary.clone(),
        _ => None,
    });
    assert_eq!(summary.expect("it is a call like others").result, "answering_machine");
}

#[test]
fn cb_17_a_machine_without_a_beep_is_spoken_to_all_the_same_and_hung_up_on() {
    let mut bench = on_machine(OnMachine::Message);
    let (_, call) = answered(&mut bench);
    detect(&mut bench, call, DetectedKind::Machine);
    bench.pass_ms(29_000);
    assert!(bench.played(call).is_empty());
    bench.pass_ms(2_000);
    assert_eq!(bench.played(call).len(), 1);
    bench.pass_ms(121_000);
    over(&mut bench, call);
}

#[test]
fn cb_17_a_machine_that_hangs_up_during_the_message_leaves_nothing_behind() {
    let mut bench = on_machine(OnMachine::Message);
    let (_, call) = answered(&mut bench);
    detect(&mut bench, call, DetectedKind::Machine);
    detect(&mut bench, call, DetectedKind::Beep);
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(200_000);
    assert!(!bench.is_hung_up(call));
    assert!(
        !bench
            .engine
            .iter()
            .rev()
            .take_while(|command| !matches!(command, Command::LegDelete(_)))
            .any(|command| matches!(command, Command::Play(play) if play.leg == format!("c-{call}")))
    );
}

#[test]
fn cb_17_without_a_verdict_it_counts_as_a_person() {
    let mut bench = on_machine(OnMachine::Drop);
    let (id, _) = answered(&mut bench);
    bench.pass_ms(9_000);
    assert_eq!(bench.ended(&id), None);
    bench.pass_ms(2_000);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(result(&mut bench, &id, 1), "CONNECTED");
}

#[test]
fn cb_17_not_sure_counts_as_a_person() {
    let mut bench = on_machine(OnMachine::Drop);
    let (id, call) = answered(&mut bench);
    detect(&mut bench, call, DetectedKind::NotSure);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_17_who_hangs_up_before_the_verdict_was_connected() {
    for by_agent in [false, true] {
        let mut bench = on_machine(OnMachine::Drop);
        let (id, call) = answered(&mut bench);
        bench.pass_ms(700);
        if by_agent {
            bench.ask(ApiRequest::HangUp("ann".into()));
        } else {
            bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
        }
        assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected), "by agent: {by_agent}");
        assert_eq!(bench.facts().filter(|fact| matches!(fact, Fact::Connected { .. })).count(), 1);
    }
}

#[test]
fn cb_17_nothing_is_listened_for_where_it_makes_no_difference() {
    let mut bench = with(DetectionConfig::default());
    let (id, _) = answered(&mut bench);
    assert_eq!(starts(&bench), 0);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn cb_17_a_previewed_contact_follows_its_queues_settings() {
    for (machine, code) in [(OnMachine::Drop, ResultCode::K), (OnMachine::Retry, ResultCode::K)] {
        let mut bench = on_machine(machine);
        let body = ContactBody { queue: "sales".into(), number: "+4420".into(), ..ContactBody::default() };
        bench.ask(ApiRequest::AddContact(body));
        let call = bench.customer();
        bench.answer(call);
        assert_eq!(starts(&bench), 1);
        detect(&mut bench, call, DetectedKind::Machine);
        over(&mut bench, call);
        let results: Vec<_> = bench
            .facts()
            .filter_map(|fact| match fact {
                Fact::ContactResult { code, again_ms, .. } => Some((*code, again_ms.is_some())),
                _ => None,
            })
            .collect();
        assert_eq!(results, [(code, machine == OnMachine::Retry)]);
        assert!(!is_connected(&bench));
    }
}

#[test]
fn cb_17_a_restart_during_a_message_hangs_up_and_calls_nobody() {
    let mut bench = on_machine(OnMachine::Message);
    let (id, call) = answered(&mut bench);
    bench.keep_dialogs([call]);
    detect(&mut bench, call, DetectedKind::Machine);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailCallToCustomer));
    let mut bench = bench.restart_with(|config| {
        config.services[0].detection.machine = OnMachine::Message;
    });
    bench.restored([call]);
    assert!(bench.is_hung_up(call), "{:?}", bench.sip);
    bench.pass_ms(600_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    assert_eq!(
        result(&mut bench, &id, 1),
        serde_json::to_value(DialResult::AnsweringMachine).expect("a word")
    );
}
