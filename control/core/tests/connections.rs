//! An agent's persistent connection: established, validated, lost, closed.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent, available_agent};
use offhook_control_core::CallId;
use offhook_control_core::api::{
    AgentBody, ApiReply, ApiRequest, ConnectBody, LoginBody, Outcome, PinBody, StatusBody, WantedStatus,
};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::view::{AgentStatus, ConnectionStatus, Notification};
use offhook_control_core::webhooks::WebhookConfig;
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

/// Asks for the connection of an agent who would be called for it but for one thing.
fn is_ignored(change: impl FnOnce(&mut AgentBody), logs_in: bool) {
    let mut bench = Bench::new();
    let mut body = agent(false, true);
    change(&mut body);
    bench.ask(ApiRequest::PutAgent("ann".into(), body));
    if logs_in {
        bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    }
    let body = ConnectBody { callback_url: Some("http://127.0.0.1/done".into()) };
    let reply = bench.ask(ApiRequest::Connect("ann".into(), body));
    let ApiReply::Operation(answer) = &reply else { panic!("{reply:?}") };
    assert_eq!((reply.status(), answer.outcome), (202, Outcome::Ignored));
    bench.pass_ms(120_000);
    assert!(bench.notes.iter().all(|note| !matches!(note, Notification::Operation(_))), "no end is told");
    assert_eq!((bench.dials(), bench.webhooks.len()), (0, 0));
    assert_eq!(bench.agent("ann").last_error, None);
}

#[test]
fn pc_03_without_log_in_the_request_is_ignored() {
    is_ignored(|_| {}, false);
}

#[test]
fn pc_03_without_a_station_the_request_is_ignored() {
    is_ignored(|body| body.station = None, true);
}

#[test]
fn pc_03_with_the_persistent_setting_off_the_request_is_ignored() {
    is_ignored(|body| body.persistent = Some(false), true);
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
    bench.packet_age_ms = 3_000;
    bench.event(EventBody::LegSilent { leg: format!("a-ann-{call}"), silent_ms: 3_000 });
    bench.callback("+31201");
    bench.pass_ms(5_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    let again = bench.dialled("ann");
    assert_ne!(again, call);
    bench.packet_age_ms = 20;
    bench.answer(again);
    bench.pass_ms(20_000);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn pc_07_an_outcome_is_posted_to_no_host_but_those_of_the_list_as_it_is_when_it_is_posted() {
    let list = |hosts: &[&str]| WebhookConfig {
        allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    let mut bench = Bench::with(|config| config.webhooks = list(&["crm.example"]));
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    let connect = |bench: &mut Bench, url: &str| {
        let body = ConnectBody { callback_url: Some(url.to_owned()) };
        bench.ask(ApiRequest::Connect("ann".into(), body)).status()
    };
    assert_eq!(connect(&mut bench, "http://169.254.169.254/latest"), 400);
    assert_eq!(bench.dials(), 0);
    assert_eq!(connect(&mut bench, "http://crm.example/done"), 202);
    bench.reconfigure(|config| config.webhooks = list(&["crm.example:8443"]));
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    assert!(bench.webhooks.is_empty(), "{:?}", bench.webhooks);
    assert_eq!(connect(&mut bench, "https://crm.example:8443/done"), 202);
    assert_eq!(bench.webhooks.len(), 1);
}

#[test]
fn pc_07_the_end_of_an_operation_is_told_once_with_its_error() {
    for (status, network, error) in [
        (486, false, "busy"),
        (600, false, "busy"),
        (408, false, "no_answer"),
        (480, false, "no_answer"),
        (603, false, "rejected"),
        (403, false, "rejected"),
        (503, true, "network"),
        (408, true, "network"),
    ] {
        let mut bench = logged_in(false);
        let body = ConnectBody { callback_url: Some("http://127.0.0.1/done".into()) };
        let asked = bench.ask(ApiRequest::Connect("ann".into(), body)).body()["operation"].clone();
        let call = bench.dialled("ann");
        for _ in 0..2 {
            bench.sip(call, SipEvent::Failed { status, reason: String::new(), network, cause: None });
        }
        bench.pass_ms(120_000);
        let told: Vec<_> =
            bench.notes.iter().filter(|note| matches!(note, Notification::Operation(_))).collect();
        let view = json!({ "operation": asked, "agent": "ann", "result": "failed", "error": error });
        assert_eq!((told.len(), told[0].body()), (1, view.clone()), "{status}");
        assert_eq!(bench.webhooks, [view], "{status}");
        assert_eq!(bench.agent("ann").last_error.as_deref(), Some(error), "{status}");
    }
}

fn ends_told(bench: &Bench) -> usize {
    bench.notes.iter().filter(|note| matches!(note, Notification::Operation(_))).count()
}

#[test]
fn pc_07_by_10_who_asked_before_a_restart_is_told_after_it_in_the_same_words_until_they_have_heard() {
    let busy = || SipEvent::Failed { status: 486, reason: String::new(), network: false, cause: None };
    for error in [None, Some("busy")] {
        let mut bench = logged_in(false);
        let body = ConnectBody { callback_url: Some("http://127.0.0.1/done".into()) };
        let asked = bench.ask(ApiRequest::Connect("ann".into(), body)).body()["operation"].clone();
        let mut bench = bench.restart();
        // What was asked for is still wanted.
        let call = bench.dialled("ann");
        match error {
            None => {
                bench.answer(call);
                bench.end_play(call);
                bench.keep_dialogs([call]);
            }
            Some(_) => bench.sip(call, busy()),
        }
        let result = if error.is_none() { "up" } else { "failed" };
        let view = json!({ "operation": asked, "agent": "ann", "result": result, "error": error });
        assert_eq!((ends_told(&bench), &bench.webhooks[..]), (1, &[view.clone()][..]));
        // The webhook may not have got through yet.
        bench.pass_ms(29_000);
        let mut bench = bench.restart();
        assert_eq!((ends_told(&bench), &bench.webhooks[..]), (1, &[view][..]));
        bench.pass_ms(120_000);
        assert_eq!(ends_told(&bench), 1);
        let mut bench = bench.restart();
        bench.pass_ms(120_000);
        assert_eq!((ends_told(&bench), bench.webhooks.len()), (0, 0), "it has been heard");
    }
}

#[test]
fn pc_07_by_10_a_connection_that_nobody_wants_any_more_after_a_restart_is_cancelled() {
    for logs_out in [false, true] {
        let mut bench = logged_in(false);
        connect(&mut bench);
        let mut bench = bench.restart_alone(|_| {});
        if logs_out {
            bench.ask(ApiRequest::Logout("ann".into()));
        } else {
            bench.ask(ApiRequest::Disconnect("ann".into()));
        }
        bench.hears_engine();
        bench.pass_ms(60_000);
        let told = bench.notes.iter().find(|note| matches!(note, Notification::Operation(_)));
        assert_eq!(told.map(|note| note.body()["error"].clone()), Some("cancelled".into()));
        assert_eq!((ends_told(&bench), bench.dials()), (1, 0));
    }
}

#[test]
fn pc_07_ends_that_are_told_are_not_remembered_without_limit() {
    let mut bench = available_agent(true);
    for _ in 0..200 {
        assert_eq!(connect(&mut bench), Outcome::AlreadyUp);
    }
    assert_eq!(ends_told(&bench), 200);
    let bench = bench.restart();
    assert_eq!(ends_told(&bench), offhook_control_core::limits::OPERATIONS);
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

fn validating() -> (Bench, CallId, String) {
    let mut bench = logged_in(true);
    let (call, pin) = asked_for_pin(&mut bench);
    (bench, call, pin)
}

/// Ann becomes available and answers the phone, which says a PIN.
fn asked_for_pin(bench: &mut Bench) -> (CallId, String) {
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
    let call = bench.dialled("ann");
    bench.answer(call);
    let digits = bench.played(call).into_iter().filter_map(|source| match source {
        PlaySource::File(name) => {
            name.strip_suffix(".wav").filter(|digit| digit.len() == 1).map(str::to_owned)
        }
        _ => None,
    });
    (call, digits.take(4).collect())
}

fn type_pin(bench: &mut Bench, pin: &str) -> u16 {
    bench.ask(ApiRequest::Pin("ann".into(), PinBody { pin: pin.to_owned() })).status()
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
    assert_eq!(type_pin(&mut bench, &pin), 200);
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
fn pm_05_pm_07_each_validation_call_has_a_pin_of_its_own_and_the_former_opens_nothing() {
    let (mut bench, call, first) = validating();
    assert_eq!(type_pin(&mut bench, &first), 200);
    bench.end_play(call);
    bench.ask(ApiRequest::Logout("ann".into()));
    bench.sip(call, SipEvent::Ended { by_peer: false, reason: String::new() });
    assert_eq!(type_pin(&mut bench, &first), 409, "nothing is asked");
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    let (next, second) = asked_for_pin(&mut bench);
    assert_ne!(next, call);
    // The bench's seed gives two that differ.
    assert_ne!(first, second);
    assert_eq!(type_pin(&mut bench, &first), 403);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Validating);
    assert_eq!(type_pin(&mut bench, &second), 200);
    bench.end_play(next);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
}

/// Ann, who was asked for a PIN, loses her leg in a conversation and answers the phone again so much later.
fn comes_back_after_ms(ms: u64) -> (Bench, CallId, String) {
    let (mut bench, old, pin) = validating();
    type_pin(&mut bench, &pin);
    bench.end_play(old);
    bench.callback("+31201");
    let customer = bench.customer();
    bench.answer(customer);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    bench.sip(old, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(ms);
    let again = bench.dialled("ann");
    assert_ne!(again, old, "she is called again");
    bench.answer(again);
    (bench, again, pin)
}

#[test]
fn by_03_within_the_grace_time_no_pin_is_asked() {
    let (mut bench, ..) = comes_back_after_ms(19_900);
    let ann = bench.agent("ann");
    assert_eq!((ann.connection, ann.status), (ConnectionStatus::Up, AgentStatus::OnCall));
}

#[test]
fn by_03_after_the_grace_time_the_pin_is_asked_again() {
    let (mut bench, again, old) = comes_back_after_ms(20_100);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Validating);
    assert_eq!(type_pin(&mut bench, &old), 403, "not the former one");
    assert!(!bench.is_hung_up(bench.customer()), "the customer is held meanwhile");
    assert!(!bench.is_hung_up(again));
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
