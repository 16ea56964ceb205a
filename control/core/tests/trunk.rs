//! The trunk that is asked whether it is there: nobody is dialled while it is not.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, remote};
use offhook_control_core::api::{ApiReply, ApiRequest, TransferBody, TransferMode};
use offhook_control_core::record::{Destination, Fact};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::{AgentStatus, Notification, StatisticsView, TrunkView};
use offhook_control_core::{CallId, Input};

/// Ann is off hook; the trunk has not been heard.
fn watched(auto_accept: bool) -> Bench {
    let mut bench = Bench::with(|config| config.trunk_watched = true);
    bench.add_agent("ann", auto_accept);
    bench
}

fn answers(bench: &mut Bench) {
    bench.take(Input::Trunk { outage: None });
}

fn falls_silent(bench: &mut Bench) {
    bench.take(Input::Trunk { outage: Some("no answer".into()) });
}

fn state(bench: &mut Bench) -> TrunkView {
    let ApiReply::Health(health) = bench.ask(ApiRequest::Health) else { panic!("no health") };
    health.trunk
}

fn statistics(bench: &mut Bench) -> StatisticsView {
    let ApiReply::Statistics(view) = bench.ask(ApiRequest::Statistics) else { panic!("no statistics") };
    *view
}

fn attempts(bench: &Bench) -> usize {
    bench.facts().filter(|fact| matches!(fact, Fact::CallbackDialled { .. })).count()
}

fn comes_in(bench: &mut Bench) -> CallId {
    let call = CallId(CallId::FIRST_INCOMING);
    let (from, to) = ("+31205".into(), "100".into());
    let event = SipEvent::Incoming { from, to, remote: Some(remote()), trunk: true, headers: Vec::new() };
    bench.sip(call, event);
    bench.answer(call);
    call
}

#[test]
fn nobody_is_dialled_before_a_watched_trunk_has_answered_and_no_attempt_is_lost_by_that() {
    let mut bench = watched(true);
    let callback = bench.callback("+31201");
    bench.pass_ms(60_000);
    assert_eq!((bench.dials_to_trunk(), attempts(&bench)), (0, 0));
    assert_eq!(bench.callback_state(&callback), "QUEUED");
    assert_eq!(state(&mut bench).state, "unheard");
    assert_eq!(statistics(&mut bench).held_back, 1);
    answers(&mut bench);
    assert_eq!((bench.dials_to_trunk(), attempts(&bench)), (1, 1));
    assert_eq!(state(&mut bench), TrunkView { state: "up".into(), reason: None });
}

#[test]
fn a_trunk_that_nobody_watches_is_dialled_as_ever() {
    let mut bench = Bench::new();
    bench.add_agent("ann", true);
    bench.callback("+31201");
    assert_eq!((bench.dials_to_trunk(), state(&mut bench).state.as_str()), (1, "unwatched"));
}

#[test]
fn an_outage_takes_an_offer_back_and_the_callback_keeps_its_place_until_the_trunk_answers() {
    let mut bench = watched(false);
    answers(&mut bench);
    let callback = bench.callback("+31201");
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered);
    falls_silent(&mut bench);
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
    assert_eq!(bench.callback_state(&callback), "QUEUED");
    let withdrawn =
        |note: &Notification| matches!(note, Notification::Offer(offer) if offer.state == "withdrawn");
    assert!(bench.notes.iter().any(withdrawn), "whoever was asked is told");
    assert_eq!(state(&mut bench), TrunkView { state: "away".into(), reason: Some("no answer".into()) });
    // It is told once, however often it is noticed.
    falls_silent(&mut bench);
    let told = bench.notes.iter().filter(|note| matches!(note, Notification::Trunk(_))).count();
    let seen = statistics(&mut bench);
    assert_eq!((told, seen.trunk_outages, seen.held_back), (2, 1, 1));
    bench.pass_ms(60_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    answers(&mut bench);
    assert_eq!(bench.agent("ann").status, AgentStatus::Offered);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!((bench.dials_to_trunk(), attempts(&bench)), (1, 1));
}

#[test]
fn while_the_trunk_is_away_whoever_is_on_the_line_is_served_before_those_who_cannot_be_called() {
    let mut bench = watched(true);
    let callback = bench.callback("+31201");
    let caller = comes_in(&mut bench);
    assert_eq!(bench.agent("ann").call, Some(caller.to_string()));
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    assert_eq!((bench.dials_to_trunk(), bench.callback_state(&callback).as_str()), (0, "QUEUED"));
}

#[test]
fn an_outage_leaves_a_call_alone_that_is_on_its_way() {
    let mut bench = watched(true);
    answers(&mut bench);
    let callback = bench.callback("+31201");
    falls_silent(&mut bench);
    assert_eq!(bench.callback_state(&callback), "PROCESSING");
    let customer = bench.customer();
    bench.answer(customer);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    assert!(bench.ended(&callback).is_some());
}

#[test]
fn no_customer_is_passed_on_to_a_number_that_cannot_be_called() {
    let mut bench = watched(true);
    comes_in(&mut bench);
    let to = Destination::Number("+31202".into());
    let request = ApiRequest::Transfer("ann".into(), TransferBody { to, mode: TransferMode::Blind });
    let ApiReply::Error(error) = bench.ask(request) else { panic!("it is taken") };
    assert_eq!((error.status, error.code), (503, "trunk_away"));
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}
