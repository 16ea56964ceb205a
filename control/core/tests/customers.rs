//! Customers who are called: for a callback, or as a contact of preview dialling.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::api::{ApiReply, ApiRequest, ContactBody, TransferBody, TransferMode};
use offhook_control_core::record::{CallbackReason, Destination, DialResult, Fact, ResultCode};
use offhook_control_core::report::{Page, Report};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;
use serde_json::json;

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
        bench.sip(call, SipEvent::Failed { status: 486, reason: "Busy".into(), network: false, cause: None });
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
    assert!(bench.is_hung_up(call));
    bench.sip(call, SipEvent::Failed { status: 487, reason: String::new(), network: false, cause: None });
    assert!(bench.facts().any(|fact| matches!(
        fact,
        Fact::ContactResult { id: other, code: ResultCode::H, disabled: true, .. } if *other == id
    )));
}

#[test]
fn pv_07_a_contact_that_was_passed_to_a_queue_is_on_the_line_and_not_taken_out_of_its_list() {
    let (mut bench, id) = preview();
    bench.ask(ApiRequest::Accept("ann".into()));
    let call = bench.customer();
    bench.answer(call);
    let (to, mode) = (Destination::Queue("sales".into()), TransferMode::Blind);
    bench.ask(ApiRequest::Transfer("ann".into(), TransferBody { to, mode }));
    let ApiReply::Contact(view) = bench.ask(ApiRequest::Contact(id.clone())) else { panic!("a contact") };
    assert_eq!(view.state, "connected");
    assert_eq!(bench.ask(ApiRequest::RemoveContact(id)).status(), 409);
    assert!(!bench.is_hung_up(call));
}

#[test]
fn pv_06_an_answered_contact_has_result_k_and_a_busy_one_b() {
    for (event, code) in [
        (SipEvent::Answered { remote: bench::remote(), at_mono_us: 0 }, ResultCode::K),
        (SipEvent::Failed { status: 486, reason: String::new(), network: false, cause: None }, ResultCode::B),
        (SipEvent::Failed { status: 404, reason: String::new(), network: false, cause: None }, ResultCode::E),
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
fn an_agent_in_wrap_up_gets_nobody_until_its_time_is_over_or_the_agent_is_done() {
    let mut bench = available_agent(true);
    for (number, done) in [("+31201", false), ("+31202", true)] {
        bench.callback(number);
        let call = bench.customer();
        bench.answer(call);
        bench.pass_ms(5_000);
        bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
        assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp, "{number}");
        let waiting = bench.callback(&format!("{number}0"));
        let dials = bench.dials_to_trunk();
        bench.pass_ms(4_900);
        assert_eq!((bench.agent("ann").status, bench.dials_to_trunk()), (AgentStatus::WrapUp, dials));
        if done {
            bench.ask(ApiRequest::WrapUpDone("ann".into()));
        } else {
            bench.pass_ms(200);
        }
        assert_eq!(bench.dials_to_trunk(), dials + 1, "{number}");
        bench.sip(
            bench.customer(),
            SipEvent::Failed { status: 486, reason: "Busy".into(), network: false, cause: None },
        );
        let cancel = ApiRequest::CancelCallback { service: "cb".into(), id: waiting };
        assert_eq!(bench.ask(cancel).status(), 200);
        bench.pass_ms(6_000);
    }
}

#[test]
fn pv_01_a_contact_whose_queue_is_configured_no_more_is_shown_to_nobody_whatever_their_skills() {
    let mut bench = Bench::new();
    let body = ContactBody { queue: "sales".into(), number: "+4420".into(), ..ContactBody::default() };
    bench.ask(ApiRequest::AddContact(body));
    bench.reconfigure(|config| config.queues[0].name = "support".into());
    bench.add_agent("ann", false);
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
    bench.reconfigure(|config| config.queues[0].name = "sales".into());
    assert_eq!(bench.agent("ann").status, AgentStatus::Preview);
}

/// What is on record of the contact's first attempt: code, and whether it is tried again.
fn first_result(bench: &Bench) -> Option<(ResultCode, bool)> {
    bench.facts().find_map(|fact| match fact {
        Fact::ContactResult { code, again_ms, .. } => Some((*code, again_ms.is_some())),
        _ => None,
    })
}

#[test]
fn pv_06_an_agent_whose_phone_is_lost_has_not_hung_up_and_the_contact_is_kept_for_the_next() {
    for (by_peer, code, agents) in [(false, ResultCode::E, "e"), (true, ResultCode::H, "h")] {
        let (mut bench, id) = preview();
        bench.ask(ApiRequest::Accept("ann".into()));
        let call = bench.customer();
        bench.sip(call, SipEvent::Ringing);
        bench.sip(bench.dialled("ann"), SipEvent::Ended { by_peer, reason: String::new() });
        bench.sip(call, SipEvent::Failed { status: 487, reason: String::new(), network: false, cause: None });
        assert_eq!(first_result(&bench), Some((code, true)), "by the agent: {by_peer}");
        let request = ApiRequest::Report { report: Report::CallEvents, after: 0, limit: 10 };
        let ApiReply::Report(Page::Events(rows)) = bench.ask(request) else { panic!("events") };
        let row = rows.iter().find(|(_, row)| row.ciq == "a").expect("the agent's");
        assert_eq!(row.1.result_code, agents);
        bench.add_agent("bob", false);
        bench.pass_ms(2_100);
        let ApiReply::Contact(view) = bench.ask(ApiRequest::Contact(id)) else { panic!("a contact") };
        assert_eq!((view.state.as_str(), bench.agent("bob").status), ("offered", AgentStatus::Preview));
    }
}
