//! An agent's persistent connection: established, validated, lost, closed.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent, available_agent};
use offhook_control_core::api::{
    ApiReply, ApiRequest, ConnectBody, LoginBody, Outcome, PinBody, StatusBody, WantedStatus,
};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::view::{AgentStatus, ConnectionStatus, Notification};
use offhook_proto::{Command, EventBody, PlayEnd, PlaySource};

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
    bench.sip(call, SipEvent::Failed { status: 486, reason: "Busy".into(), network: false, cause: None });
    bench.sip(call, SipEvent::Failed { status: 486, reason: "Busy".into(), network: false, cause: None });
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
    assert!(bench.is_hung_up(call));
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
    bench.sip(call, SipEvent::Failed { status: 408, reason: String::new(), network: false, cause: None });
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
    assert!(bench.is_hung_up(call));
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
