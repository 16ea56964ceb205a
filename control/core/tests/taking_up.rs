//! While a new run asks its engines what they kept, nothing ends or moves a callback whose customer may be talking (BY-10).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::{arrive, callback, example, step, stored, with};
use bench::{Bench, agent, available_agent};
use offhook_control_core::api::{
    AgentBody, ApiReply, ApiRequest, BulkCancel, CancelReason, ContactBody, StatusBody, WantedStatus,
};
use offhook_control_core::config::Config;
use offhook_control_core::inbound_flow::Action;
use offhook_control_core::record::{CallbackReason, Fact, ResultCode, Station};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;
use offhook_control_core::{CallId, CallbackId};
use serde_json::json;

/// The customer who was dialled for Ann has picked up and talks with her, and control dies before that is on record.
fn talks_unrecorded(mut bench: Bench) -> Bench {
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.keep_dialogs([ann, customer]);
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    bench.spliced(legs)
}

fn own_calls(config: &mut Config) {
    config.services[0].access_number = "100".into();
}

/// A customer has called for their callback, which lives for ten seconds more, and talks with Ann, unrecorded.
fn called_in() -> (Bench, CallbackId, CallId) {
    let mut bench = Bench::with(own_calls);
    let params = json!({ "_customer_number": "+31201", "_wait_for_agent": false, "_ttl": 60 });
    let params = params.as_object().cloned().expect("an object");
    let id = match bench.ask(ApiRequest::StartCallback { service: "cb".into(), params }) {
        ApiReply::CallbackAccess { id, .. } => id,
        other => panic!("{other:?}"),
    };
    bench.pass_ms(50_000);
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31201", "100");
    bench.answer(call);
    bench.add_agent("ann", true);
    let lost = |fact: &Fact| matches!(fact, Fact::Connected { .. } | Fact::CallbackEnded { .. });
    bench.records.retain(|record| !lost(&record.fact));
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann, call]);
    let legs = [bench.agent_leg("ann"), format!("c-{call}")];
    (bench.spliced(legs), id, call)
}

/// Everything that may be asked for a callback, with the status and code of the answer.
fn answers(bench: &mut Bench, id: &CallbackId) -> [(u16, String); 4] {
    let (service, id) = ("cb".to_owned(), id.clone());
    let later = (bench.now().unix_ms / 1_000 + 600).to_string();
    let params = [("_new_desired_time".to_owned(), json!(later))].into_iter().collect();
    let wish = BulkCancel { ids: vec![id.clone()], reason: CancelReason::default() };
    [
        ApiRequest::ConfirmCallback { service: service.clone(), id: id.clone() },
        ApiRequest::RescheduleCallback { service: service.clone(), id: id.clone(), params },
        ApiRequest::CancelCallback { service, id },
        ApiRequest::CancelCallbacks(wish),
    ]
    .map(|request| match bench.ask(request) {
        ApiReply::CallbacksCancelled { failed, .. } if failed.len() == 1 => {
            (failed[0].error.status, failed[0].error.code.to_owned())
        }
        reply => (reply.status(), reply.body()["error"].as_str().unwrap_or_default().to_owned()),
    })
}

fn all(status: u16, code: &str) -> [(u16, String); 4] {
    std::array::from_fn(|_| (status, code.to_owned()))
}

#[test]
fn by_10_a_callback_is_not_cancelled_moved_or_confirmed_before_engines_have_told_whether_its_customer_talks()
{
    let mut bench = available_agent(true);
    let id = bench.callback("+31201");
    let mut bench = talks_unrecorded(bench).restart_alone(|_| {});
    assert_eq!(bench.callback_state(&id), "PROCESSING");
    assert_eq!(answers(&mut bench, &id), all(503, "taking_up"));
    assert_eq!(bench.ended(&id), None);
    bench.hears_engine();
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
    assert_eq!(answers(&mut bench, &id), all(409, "completed"));
}

#[test]
fn by_10_cb_09_a_customer_who_called_and_talks_is_not_cancelled_before_engines_have_told() {
    let (bench, id, _) = called_in();
    let mut bench = bench.restart_alone(own_calls);
    assert_eq!(bench.callback_state(&id), "QUEUED");
    assert_eq!(answers(&mut bench, &id), all(503, "taking_up"));
    assert_eq!(bench.ended(&id), None);
    bench.hears_engine();
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn by_10_what_would_end_the_callback_of_a_customer_who_called_waits_for_what_engines_tell() {
    let expired_before = |mut bench: Bench| {
        bench.pass_ms(9_500);
        bench.restart_alone(own_calls)
    };
    let expires_meanwhile = |bench: Bench| {
        let mut bench = bench.restart_alone(own_calls);
        bench.pass_ms(30_000);
        bench
    };
    let queue_removed_before = |bench: Bench| {
        bench.restart_alone(|config| {
            own_calls(config);
            config.queues.clear();
        })
    };
    let queue_removed_meanwhile = |bench: Bench| {
        let mut bench = bench.restart_alone(own_calls);
        bench.reconfigure(|config| config.queues.clear());
        bench
    };
    let calendar_set_meanwhile = |bench: Bench| {
        let mut bench = bench.restart_alone(own_calls);
        bench.set_calendar(3_600);
        bench
    };
    let cases: [(&str, &dyn Fn(Bench) -> Bench); 5] = [
        ("its time to live was over before", &expired_before),
        ("its time to live is over meanwhile", &expires_meanwhile),
        ("its queue was removed before", &queue_removed_before),
        ("its queue is removed meanwhile", &queue_removed_meanwhile),
        ("the calendar is set meanwhile", &calendar_set_meanwhile),
    ];
    for (what, happens) in cases {
        let (bench, id, _) = called_in();
        let mut bench = happens(bench);
        assert_eq!(bench.ended(&id), None, "{what}");
        bench.hears_engine();
        assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected), "{what}");
    }
}

#[test]
fn by_10_cb_10_a_time_to_live_that_was_over_ends_a_callback_whose_customer_has_gone() {
    for has_dialog in [true, false] {
        let (mut bench, id, call) = called_in();
        if !has_dialog {
            let own = |fact: &Fact| matches!(fact, Fact::Dialog { call: other, .. } if *other == call);
            bench.records.retain(|record| !own(&record.fact));
        }
        bench.loses_all_legs();
        let mut bench = bench.restart_alone(own_calls);
        bench.pass_ms(30_000);
        bench.hears_engine();
        if has_dialog {
            assert_eq!(bench.ended(&id), None, "whether the customer waits is not known yet");
            bench.sip(call, SipEvent::RestoreFailed { reason: "no such dialog".into() });
        }
        assert_eq!(bench.ended(&id), Some(CallbackReason::FailTimeoutTtl), "{has_dialog}");
    }
}

#[test]
fn by_10_a_customer_who_called_and_has_gone_may_be_cancelled_or_call_again() {
    let (mut bench, id, call) = called_in();
    let own = |fact: &Fact| matches!(fact, Fact::Dialog { call: other, .. } if *other == call);
    bench.records.retain(|record| !own(&record.fact));
    bench.loses_all_legs();
    let mut bench = bench.restart_alone(own_calls);
    bench.hears_engine();
    assert_eq!(bench.callback_state(&id), "QUEUED");
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id: id.clone() });
    assert_eq!(bench.ended(&id), Some(CallbackReason::Cancelled));
}

#[test]
fn by_10_qc_07_a_flow_that_would_hang_up_at_once_waits_for_what_engines_tell() {
    let after = [
        step(
            "how long",
            Action::EstimatedWait { longer_than_s: 60 },
            &[("Longer", "a while"), ("Default", "a while"), ("OnError", "enough")],
        ),
        step("a while", Action::Wait { seconds: 3_600 }, &[("Default", "enough")]),
        step("enough", Action::HangUp, &[]),
    ];
    let flow = example(callback(), &after);
    let mut bench = Bench::with(with(flow.clone()));
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    let id = stored(&bench)[0].id.clone();
    bench.add_agent("ann", true);
    // While the customer's way is not known they are in no queue in which there is anything to estimate.
    let mut bench = talks_unrecorded(bench).restart_alone(with(flow));
    assert_eq!(bench.ended(&id), None);
    bench.hears_engine();
    assert_eq!(bench.ended(&id), Some(CallbackReason::AgentConnected));
}

#[test]
fn by_10_a_contact_is_not_taken_out_before_engines_have_told_whether_its_customer_talks() {
    let mut bench = available_agent(true);
    let body = ContactBody { queue: "sales".into(), number: "+4420".into(), ..ContactBody::default() };
    let ApiReply::ContactStored(id) = bench.ask(ApiRequest::AddContact(body)) else { panic!("not stored") };
    let mut bench = talks_unrecorded(bench).restart_alone(|_| {});
    assert_eq!(bench.ask(ApiRequest::RemoveContact(id)).status(), 409);
    bench.hears_engine();
    let results: Vec<_> = bench
        .facts()
        .filter_map(|fact| match fact {
            Fact::ContactResult { code, again_ms, .. } => Some((*code, *again_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(results, [(ResultCode::K, None)]);
}

/// Everything that takes an agent's leg down on purpose.
fn takes_down() -> [ApiRequest; 3] {
    let station = Some(Station::Number { number: "+31900".into() });
    let elsewhere = AgentBody { station, ..agent(false, true) };
    [
        ApiRequest::Logout("ann".into()),
        ApiRequest::Disconnect("ann".into()),
        ApiRequest::PutAgent("ann".into(), elsewhere),
    ]
}

#[test]
fn by_10_an_agent_who_may_be_talking_is_not_logged_out_or_hung_up_on_before_engines_have_told() {
    for (which, request) in takes_down().into_iter().enumerate() {
        let mut bench = available_agent(true);
        bench.callback("+31201");
        let (ann, customer) = (bench.dialled("ann"), bench.customer());
        bench.answer(customer);
        let mut bench = talks_unrecorded(bench).restart_alone(|_| {});
        let reply = bench.ask(request);
        assert_eq!((reply.status(), reply.body()["error"].as_str()), (503, Some("taking_up")), "{which}");
        bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::OnBreak }));
        bench.hears_engine();
        bench.restored([ann, customer]);
        assert!(!bench.is_hung_up(ann) && !bench.is_hung_up(customer), "{which}");
        assert_eq!(bench.agent("ann").status, AgentStatus::OnCall, "{which}");
        let reply = bench.ask(ApiRequest::Logout("ann".into()));
        assert_eq!((reply.status(), reply.body()["error"].as_str()), (409, Some("on_call")), "{which}");
    }
}

#[test]
fn by_10_an_agent_without_a_leg_is_logged_out_while_engines_are_asked() {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.sip(ann, SipEvent::Ended { by_peer: false, reason: String::new() });
    let mut bench = bench.restart_alone(|_| {});
    for request in takes_down() {
        assert_eq!(bench.ask(request).status(), 200);
    }
}
