//! Behaviours by their ids, against the real core with an engine that answers at once.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent, available_agent};
use offhook_control_core::api::{
    ApiReply, ApiRequest, ConnectBody, ContactBody, LoginBody, Outcome, PinBody, StatusBody, WantedStatus,
};
use offhook_control_core::record::{CallbackReason, DialResult, Fact, ResultCode};
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use offhook_control_core::view::{AgentStatus, ConnectionStatus, Notification};
use offhook_proto::{Command, EventBody, PlayEnd, PlaySource};
use serde_json::json;

fn connect(bench: &mut Bench) -> Outcome {
    match bench.ask(ApiRequest::Connect("ann".into(), ConnectBody::default())) {
        ApiReply::Operation(reply) => reply.outcome,
        other => panic!("{other:?}"),
    }
}

fn logged_in(pin: bool) -> Bench {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(pin, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    bench
}

#[test]
fn pc_01_establish_calls_the_station_and_the_leg_stays_open() {
    let mut bench = logged_in(false);
    assert_eq!(connect(&mut bench), Outcome::Started);
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    assert!(bench.sip.iter().all(|(_, command)| !matches!(command, SipCommand::HangUp { .. })));
}

#[test]
fn pc_02_second_request_places_no_second_call() {
    let mut bench = logged_in(false);
    connect(&mut bench);
    assert_eq!(connect(&mut bench), Outcome::InProgress);
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    assert_eq!(connect(&mut bench), Outcome::AlreadyUp);
    assert_eq!(bench.dials(), 1);
}

#[test]
fn pc_03_without_log_in_station_or_persistent_setting_the_request_is_ignored() {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, true)));
    assert_eq!(connect(&mut bench), Outcome::Ignored);
    let mut body = agent(false, true);
    body.persistent = Some(false);
    bench.ask(ApiRequest::PutAgent("ann".into(), body));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    assert_eq!(connect(&mut bench), Outcome::Ignored);
    let mut body = agent(false, true);
    body.station = None;
    bench.ask(ApiRequest::PutAgent("ann".into(), body));
    assert_eq!(connect(&mut bench), Outcome::Ignored);
    assert_eq!(bench.dials(), 0);
}

#[test]
fn pc_04_on_answer_the_agent_hears_the_configured_file_and_then_the_leg_is_open() {
    let mut bench = logged_in(false);
    connect(&mut bench);
    let call = bench.dialled("ann");
    bench.answer(call);
    assert!(bench.played(call).contains(&PlaySource::File("connected.wav".into())));
    bench.end_play(call);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    assert!(bench.engine.iter().any(|command| matches!(command, Command::LegPark(_))));
}

#[test]
fn pc_05_a_lost_leg_is_called_again_before_the_next_customer() {
    let mut bench = available_agent(true);
    let call = bench.last_dial();
    bench.pass_ms(3_000);
    bench.event(EventBody::LegSilent { leg: format!("a-ann-{call}"), silent_ms: 3_000 });
    bench.callback("+31201");
    bench.pass_ms(5_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    let again = bench.dialled("ann");
    assert_ne!(again, call);
    bench.answer(again);
    bench.pass_ms(20_000);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn pc_07_the_end_of_an_operation_is_told_once_with_its_error() {
    let mut bench = logged_in(false);
    let body = ConnectBody { callback_url: Some("http://127.0.0.1/done".into()) };
    bench.ask(ApiRequest::Connect("ann".into(), body));
    let call = bench.dialled("ann");
    bench.sip(call, SipEvent::Failed { status: 486, reason: "Busy".into(), network: false });
    bench.sip(call, SipEvent::Failed { status: 486, reason: "Busy".into(), network: false });
    let told: Vec<_> = bench.notes.iter().filter(|note| matches!(note, Notification::Operation(_))).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].body()["error"], "busy");
    assert_eq!(bench.webhooks.len(), 1);
}

#[test]
fn pc_10_establish_during_a_call_changes_nothing() {
    let (mut bench, _) = bench::conversation();
    let before = bench.dials();
    assert_eq!(connect(&mut bench), Outcome::AlreadyUp);
    assert_eq!(bench.dials(), before);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}

#[test]
fn pm_03_log_in_is_on_break_and_available_calls_the_phone() {
    let mut bench = logged_in(true);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
    assert_eq!(bench.agent("ann").status, AgentStatus::PersistentCallOffered);
    assert_eq!(bench.dials(), 1);
}

fn validating() -> (Bench, offhook_control_core::CallId, String) {
    let mut bench = logged_in(true);
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
    let call = bench.dialled("ann");
    bench.answer(call);
    let digits = bench.played(call).into_iter().filter_map(|source| match source {
        PlaySource::File(name) => {
            name.strip_suffix(".wav").filter(|digit| digit.len() == 1).map(str::to_owned)
        }
        _ => None,
    });
    let pin: String = digits.take(4).collect();
    (bench, call, pin)
}

#[test]
fn pm_04_only_the_spoken_pin_opens_the_connection() {
    let (mut bench, call, pin) = validating();
    assert_eq!(pin.len(), 4);
    let wrong = if pin == "0000" { "1111" } else { "0000" };
    let reply = bench.ask(ApiRequest::Pin("ann".into(), PinBody { pin: wrong.into() }));
    assert_eq!(reply.status(), 403);
    assert_eq!(reply.body()["attempts_left"], 2);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Validating);
    let reply = bench.ask(ApiRequest::Pin("ann".into(), PinBody { pin }));
    assert_eq!(reply.status(), 200);
    assert!(bench.played(call).contains(&PlaySource::File("pin_ok.wav".into())));
    bench.end_play(call);
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
}

#[test]
fn pm_05_wrong_pins_are_limited_and_the_pin_is_shown_nowhere() {
    let (mut bench, call, pin) = validating();
    for _ in 0..3 {
        bench.ask(ApiRequest::Pin("ann".into(), PinBody { pin: "x".into() }));
    }
    assert!(
        bench.sip.iter().any(|(id, command)| *id == call && matches!(command, SipCommand::HangUp { .. }))
    );
    bench.sip(call, SipEvent::Ended { by_peer: false, reason: String::new() });
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
    assert_eq!(bench.agent("ann").last_error.as_deref(), Some("pin"));
    let quoted = format!("\"{pin}\"");
    let records = serde_json::to_string(&bench.records).expect("records are JSON");
    assert!(!records.contains(&quoted));
    assert!(bench.notes.iter().all(|note| !note.body().to_string().contains(&quoted)));
    assert!(!format!("{:?}", bench.core).contains(&quoted));
}

#[test]
fn pm_06_validation_calls_are_never_answered_automatically() {
    let (bench, call, _) = validating();
    let dial = bench.sip.iter().find(|(id, _)| *id == call).map(|(_, command)| command);
    assert!(matches!(dial, Some(SipCommand::Dial { auto_answer: false, .. })));
}

#[test]
fn pm_08_a_missed_validation_call_is_told_and_can_be_repeated() {
    let mut bench = logged_in(true);
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
    let call = bench.dialled("ann");
    bench.sip(call, SipEvent::Failed { status: 408, reason: String::new(), network: false });
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
    assert_eq!(bench.agent("ann").last_error.as_deref(), Some("no_answer"));
    assert_eq!(connect(&mut bench), Outcome::Started);
    assert_eq!(bench.dials(), 2);
}

#[test]
fn pm_09_a_break_keeps_the_leg_and_log_out_closes_it() {
    let mut bench = available_agent(true);
    let call = bench.last_dial();
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::OnBreak }));
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.ask(ApiRequest::Logout("ann".into()));
    assert!(
        bench.sip.iter().any(|(id, command)| *id == call && matches!(command, SipCommand::HangUp { .. }))
    );
}

#[test]
fn pm_10_the_agent_hears_a_ringback_until_early_media_comes() {
    let mut bench = available_agent(true);
    let agent_call = bench.last_dial();
    bench.callback("+31201");
    let call = bench.customer();
    bench.sip(call, SipEvent::Ringing);
    assert!(matches!(bench.played(agent_call).as_slice(), [PlaySource::Tone { .. }]));
    bench.sip(call, SipEvent::EarlyMedia(bench::remote()));
    assert!(matches!(bench.engine.last(), Some(Command::PlayStop(_))));
}

#[test]
fn cb_02_a_missing_number_is_refused_by_name_and_nothing_is_stored() {
    let mut bench = Bench::new();
    let stored = bench.records.len();
    let params = serde_json::Map::new();
    let reply = bench.ask(ApiRequest::StartCallback { service: "cb".into(), params });
    assert_eq!(reply.status(), 400);
    assert!(reply.body()["message"].as_str().is_some_and(|message| message.contains("_customer_number")));
    assert_eq!(bench.records.len(), stored);
}

#[test]
fn cb_08_qc_02_the_customer_is_called_only_after_an_agent_accepted() {
    let mut bench = available_agent(false);
    let id = bench.callback("+31201");
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered);
    assert_eq!(bench.callback_state(&id), "ROUTING");
    assert_eq!(bench.dials_to_trunk(), 0);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!(bench.callback_state(&id), "PROCESSING");
    let call = bench.customer();
    bench.answer(call);
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}

#[test]
fn cb_08_the_attempt_is_on_record_before_the_invite_and_the_splice_goes_before_the_record() {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let call = bench.customer();
    let dialled = bench.order.iter().position(|line| line == "record callback_dialled");
    let invite = bench.order.iter().position(|line| *line == format!("dial {call}"));
    assert!(dialled.is_some() && dialled < invite);
    let before = bench.order.len();
    bench.answer(call);
    let after = &bench.order[before..];
    assert!(
        after.iter().position(|line| line == "splice both")
            < after.iter().position(|line| line.starts_with("record"))
    );
}

#[test]
fn cb_10_a_scheduled_callback_waits_for_its_time_and_expires_after_its_ttl() {
    let mut bench = Bench::new();
    let later = bench.now().unix_ms / 1_000 + 100;
    let id = bench.callback_with(json!({ "_customer_number": "+31201", "_desired_time": later, "_ttl": 50 }));
    assert_eq!(bench.callback_state(&id), "SCHEDULED");
    bench.pass_ms(101_000);
    assert_eq!(bench.callback_state(&id), "QUEUED");
    bench.pass_ms(50_000);
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailTimeoutTtl));
}

#[test]
fn cb_13_a_cancelled_callback_is_completed_with_reason_cancelled() {
    let mut bench = Bench::new();
    let id = bench.callback("+31201");
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id: id.clone() });
    assert_eq!(bench.ended(&id), Some(CallbackReason::Cancelled));
    let again = bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
    assert_eq!(again.status(), 409);
}

#[test]
fn cb_15_attempts_are_repeated_after_the_timeout_and_limited() {
    let mut bench = available_agent(true);
    let id = bench.callback_with(
        json!({ "_customer_number": "+31201", "_max_dial_attempts": 2, "_dial_retry_timeout": 60 }),
    );
    for attempt in 1..=2 {
        let call = bench.customer();
        bench.sip(call, SipEvent::Failed { status: 486, reason: "Busy".into(), network: false });
        let result = bench.facts().any(|fact| {
            matches!(fact, Fact::CallbackAttempted { attempt: n, result: DialResult::Busy, .. } if *n == attempt)
        });
        assert!(result);
        assert_eq!(bench.dials_to_trunk(), attempt as usize);
        bench.pass_ms(61_000);
    }
    assert_eq!(bench.ended(&id), Some(CallbackReason::FailCallToCustomer));
}

fn preview() -> (Bench, offhook_control_core::ContactId) {
    let mut bench = available_agent(false);
    let body = ContactBody {
        queue: "sales".into(),
        number: "+4420".into(),
        data: json!({ "name": "Eve" }),
        ..ContactBody::default()
    };
    let ApiReply::ContactStored(id) = bench.ask(ApiRequest::AddContact(body)) else { panic!("not stored") };
    (bench, id)
}

#[test]
fn pv_01_the_contact_is_shown_first_and_called_when_the_agent_has_accepted() {
    let (mut bench, _) = preview();
    let agent = bench.agent("ann");
    assert_eq!(agent.status, AgentStatus::Preview);
    assert_eq!(agent.offer.map(|offer| offer.data), Some(json!({ "name": "Eve" })));
    assert_eq!(bench.dials_to_trunk(), 0);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn pv_04_a_rejected_contact_goes_to_the_next_ready_agent() {
    let (mut bench, _) = preview();
    bench.add_agent("bob", false);
    bench.ask(ApiRequest::Reject("ann".into()));
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
    assert_eq!(bench.agent("bob").status, AgentStatus::Preview);
    bench.pass_ms(16_000);
    assert_eq!(bench.agent("bob").status, AgentStatus::Refused);
}

#[test]
fn pv_05_a_cancelled_contact_is_disabled_with_result_h() {
    let (mut bench, id) = preview();
    bench.ask(ApiRequest::Accept("ann".into()));
    let call = bench.customer();
    bench.ask(ApiRequest::Cancel("ann".into()));
    assert!(
        bench
            .sip
            .iter()
            .any(|(other, command)| *other == call && matches!(command, SipCommand::HangUp { .. }))
    );
    bench.sip(call, SipEvent::Failed { status: 487, reason: String::new(), network: false });
    assert!(bench.facts().any(|fact| matches!(
        fact,
        Fact::ContactResult { id: other, code: ResultCode::H, disabled: true, .. } if *other == id
    )));
}

#[test]
fn pv_06_an_answered_contact_has_result_k_and_a_busy_one_b() {
    for (event, code) in [
        (SipEvent::Answered { remote: bench::remote(), at_mono_us: 0 }, ResultCode::K),
        (SipEvent::Failed { status: 486, reason: String::new(), network: false }, ResultCode::B),
        (SipEvent::Failed { status: 404, reason: String::new(), network: false }, ResultCode::E),
    ] {
        let (mut bench, _) = preview();
        bench.ask(ApiRequest::Accept("ann".into()));
        let call = bench.customer();
        bench.sip(call, event);
        assert!(
            bench
                .facts()
                .any(|fact| matches!(fact, Fact::ContactResult { code: found, .. } if *found == code))
        );
    }
}

#[test]
fn by_01_the_answer_to_audio_time_is_the_slower_direction() {
    let (mut bench, call) = bench::conversation();
    let (agent, customer) = (bench.agent_leg("ann"), format!("c-{call}"));
    bench.pass_ms(100);
    for (from, to, after_us) in [(&agent, &customer, 7_000), (&customer, &agent, 3_000)] {
        bench.event(EventBody::SpliceAudio(offhook_proto::SpliceAudio {
            from: from.clone(),
            to: to.clone(),
            after_us,
            dropped_packets: 0,
        }));
    }
    let ApiReply::Call(view) = bench.ask(ApiRequest::Call(call)) else { panic!("no call") };
    assert_eq!(view.answer_to_audio_ms, Some(7.0));
}

#[test]
fn by_02_no_customer_is_dialled_for_an_agent_whose_last_packet_is_old() {
    let mut bench = available_agent(true);
    bench.packet_age_ms = 3_500;
    bench.callback("+31201");
    assert_eq!(bench.dials_to_trunk(), 0);
    assert_ne!(bench.agent("ann").status, AgentStatus::Available);
    bench.packet_age_ms = 100;
    bench.pass_ms(2_000);
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn by_02_one_lost_packet_of_a_parked_leg_delays_the_dial_and_does_not_redial_the_phone() {
    let mut bench = available_agent(true);
    let leg = bench.last_agent_dial("ann");
    bench.packet_age_ms = 1_280;
    bench.callback("+31201");
    bench.pass_ms(500);
    assert_eq!(
        (bench.dials_to_trunk(), bench.last_agent_dial("ann")),
        (0, leg),
        "not proved, not dead either"
    );
    bench.packet_age_ms = 20;
    bench.pass_ms(200);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (1, leg));
}

#[test]
fn by_02_a_phone_that_was_just_picked_up_is_waited_for_and_one_that_stays_dumb_is_called_again() {
    let mut bench = available_agent(true);
    let leg = bench.last_agent_dial("ann");
    // Not a packet yet.
    bench.packet_age_ms = u64::MAX;
    bench.callback("+31201");
    bench.pass_ms(1_000);
    assert_eq!(
        (bench.dials_to_trunk(), bench.last_agent_dial("ann")),
        (0, leg),
        "its first packet is waited for"
    );
    bench.pass_ms(4_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    let again = bench.last_agent_dial("ann");
    assert_ne!(again, leg, "a phone that stays dumb is dead");
    bench.answer(again);
    bench.end_play(again);
    bench.pass_ms(500);
    bench.packet_age_ms = 10;
    bench.pass_ms(500);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (1, again));
}

#[test]
fn by_03_the_customer_of_a_lost_leg_is_held_and_joined_again() {
    let (mut bench, customer) = bench::conversation();
    let old = bench.last_agent_dial("ann");
    bench.sip(old, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert!(bench.played(customer).contains(&PlaySource::File("hold.wav".into())));
    bench.pass_ms(2_000);
    let again = bench.last_agent_dial("ann");
    assert_ne!(again, old);
    bench.answer(again);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    let spliced = bench.engine.iter().rev().find_map(|command| match command {
        Command::Splice(splice) => Some(splice.clone()),
        _ => None,
    });
    let spliced = spliced.expect("joined again");
    assert_eq!((spliced.a, spliced.b), (format!("a-ann-{again}"), format!("c-{customer}")));
}

#[test]
fn by_07_never_more_callbacks_in_flight_than_agents() {
    let mut bench = available_agent(true);
    for number in 0..5 {
        bench.callback(&format!("+3120{number}"));
    }
    assert_eq!(bench.dials_to_trunk(), 1);
    let first = bench.sip.iter().find_map(|(_, command)| match command {
        SipCommand::Dial { target: Target::Trunk { number }, .. } => Some(number.clone()),
        _ => None,
    });
    assert_eq!(first.as_deref(), Some("+31200"));
}

#[test]
fn by_10_a_restart_takes_up_the_open_leg_and_dials_nobody() {
    let mut bench = available_agent(true);
    let call = bench.last_dial();
    bench.sip(call, SipEvent::Snapshot { data: "dialog".into() });
    let mut next = bench.restart();
    assert!(
        next.sip.iter().any(|(id, command)| *id == call && matches!(command, SipCommand::Restore { .. }))
    );
    next.sip(call, SipEvent::Restored);
    assert_eq!(next.agent("ann").status, AgentStatus::Available);
    next.pass_ms(10_000);
    assert_eq!(next.dials(), 0);
}

#[test]
fn by_10_a_callback_in_flight_at_a_crash_is_unknown_and_called_later() {
    let mut bench = available_agent(true);
    let id = bench.callback("+31201");
    bench.customer();
    let next = bench.restart();
    assert!(next.facts().any(|fact| matches!(
        fact,
        Fact::CallbackAttempted { id: other, result: DialResult::Unknown, .. } if *other == id
    )));
    assert_eq!(next.ended(&id), None);
    assert_eq!(next.dials_to_trunk(), 0);
}

#[test]
fn an_ended_play_that_is_reported_twice_changes_nothing() {
    let mut bench = logged_in(false);
    connect(&mut bench);
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    let leg = format!("a-ann-{call}");
    bench.event(EventBody::PlayEnded { leg, play: "p0".into(), end: PlayEnd::Finished });
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
}
