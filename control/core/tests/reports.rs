//! Reports: what is written when, by behaviour id, and that they follow from the journal alone.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::{arrive, arrive_at, callback, example, stored, summary, with};
use bench::reports::{archive, events, page};
use bench::{Bench, available_agent, conversation};
use offhook_control_core::api::{
    ApiReply, ApiRequest, ContactBody, DispositionBody, StatusBody, TransferBody, TransferMode, WantedStatus,
};
use offhook_control_core::config::OnMachine;
use offhook_control_core::record::{CallKind, Destination};
use offhook_control_core::report::{Direction, Page, Report, before};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;
use offhook_control_core::{CallId, ContactId};
use offhook_proto::{Detected, DetectedKind, EventBody};
use serde_json::{Value, json};

fn callbacks(bench: &mut Bench) -> Vec<Value> {
    let Page::Callbacks(rows) = page(bench, Report::Callbacks, 0, 10) else { panic!("callbacks") };
    rows.into_iter().map(|(_, row)| serde_json::to_value(row).expect("a row is JSON")).collect()
}

fn contact(bench: &mut Bench, number: &str) -> ContactId {
    let body = ContactBody {
        queue: "sales".into(),
        number: number.into(),
        data: json!({}),
        ..ContactBody::default()
    };
    match bench.ask(ApiRequest::AddContact(body)) {
        ApiReply::ContactStored(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Ann's console shows a contact; she clicks.
fn called_contact() -> (Bench, ContactId, CallId) {
    let mut bench = available_agent(false);
    let id = contact(&mut bench, "+4420");
    bench.ask(ApiRequest::Accept("ann".into()));
    let call = bench.customer();
    (bench, id, call)
}

fn hang_up(bench: &mut Bench, call: CallId) {
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
}

#[test]
fn pv_02_a_contact_has_a_queue_event_q_with_a_key_that_begins_with_dialer_as_soon_as_it_is_queued() {
    let mut bench = Bench::new();
    let id = contact(&mut bench, "+4420");
    let rows = events(&mut bench, Report::QueueEvents);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.result_code.as_str(), row.queue_key.as_str()), ("q", "__Dialer_sales"));
    assert_eq!((&row.call_id, row.call_sequence), (&id.0, 1));
    assert_eq!((row.originating.as_str(), row.ciq.as_str()), ("+4420", ""));
    assert!(events(&mut bench, Report::CallEvents).is_empty());
}

#[test]
fn pv_03_conversation_events_come_when_they_happen_with_the_same_call_id_and_another_session() {
    let mut bench = Bench::new();
    let id = contact(&mut bench, "+4420");
    bench.pass_ms(3 * 3_600_000);
    bench.add_agent("ann", true);
    let call = bench.customer();
    bench.pass_ms(4_000);
    bench.answer(call);
    assert!(events(&mut bench, Report::CallEvents).is_empty(), "it has not ended");
    bench.pass_ms(30_000);
    hang_up(&mut bench, call);
    let queued = events(&mut bench, Report::QueueEvents);
    let talks = events(&mut bench, Report::CallEvents);
    assert_eq!(queued.len(), 1);
    assert_eq!(talks.iter().map(|row| row.ciq.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    for row in &talks {
        assert_eq!(row.call_id, id.0);
        assert_ne!(row.internal_iq_session_id, queued[0].internal_iq_session_id);
        assert_eq!(row.internal_iq_session_id, talks[0].internal_iq_session_id);
        assert_eq!((row.duration_tot_sec, row.duration_speak_sec, row.result_code.as_str()), (34, 30, "k"));
        assert!(row.dte_start > queued[0].dte_start && row.dte_speak_start > row.dte_start);
    }
}

#[test]
fn pv_05_a_cancelled_contact_has_an_agents_event_h_a_queue_event_d_and_is_deleted_in_queue() {
    for dialled in [false, true] {
        let mut bench = available_agent(false);
        let id = contact(&mut bench, "+4420");
        if dialled {
            bench.ask(ApiRequest::Accept("ann".into()));
        }
        bench.ask(ApiRequest::Cancel("ann".into()));
        if dialled {
            let call = bench.customer();
            bench.sip(
                call,
                SipEvent::Failed { status: 487, reason: String::new(), network: false, cause: None },
            );
        }
        let queued = events(&mut bench, Report::QueueEvents);
        let codes: Vec<_> = queued.iter().map(|row| row.result_code.as_str()).collect();
        assert_eq!(codes, ["q", "d"], "dialled {dialled}");
        assert!(queued.iter().all(|row| row.call_id == id.0));
        let agents: Vec<_> = events(&mut bench, Report::CallEvents)
            .into_iter()
            .filter(|row| row.ciq == "a")
            .map(|row| row.result_code)
            .collect();
        assert_eq!(agents, ["h"], "dialled {dialled}");
        let archived = archive(&mut bench);
        assert_eq!((archived.len(), archived[0].state.as_str()), (1, "deleted in queue"));
        assert_eq!(archived[0].agent, Some("ann".into()));
    }
}

#[test]
fn pv_08_a_caller_has_a_queue_event_and_the_events_of_both_sides() {
    let mut bench = Bench::new();
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+49301", "100");
    bench.answer(call);
    bench.pass_ms(12_000);
    bench.add_agent("ann", true);
    bench.pass_ms(20_000);
    hang_up(&mut bench, call);
    let queued = events(&mut bench, Report::QueueEvents);
    assert_eq!(queued.len(), 1);
    assert_eq!((queued[0].result_code.as_str(), queued[0].queue_key.as_str()), ("k", "sales"));
    assert_eq!(queued[0].duration_tot_sec, 12);
    let talks = events(&mut bench, Report::CallEvents);
    let shown: Vec<_> = talks.iter().map(|row| (row.ciq.as_str(), row.duration_speak_sec)).collect();
    assert_eq!(shown, [("c", 20), ("a", 20)]);
    assert_eq!(archive(&mut bench)[0].state, "answered");
}

#[test]
fn pv_08_durations_are_as_long_as_things_took_however_the_calendar_is_set_meanwhile() {
    for by_s in [3_600, -3_600] {
        let mut bench = Bench::new();
        let caller = arrive_at(&mut bench, 1, "+49301", "100");
        bench.pass_ms(5_000);
        bench.set_calendar(by_s);
        bench.pass_ms(7_000);
        bench.add_agent("ann", true);
        bench.pass_ms(10_000);
        bench.set_calendar(2 * by_s);
        bench.pass_ms(20_000);
        caller.hang_up(&mut bench);
        let queued = events(&mut bench, Report::QueueEvents);
        assert_eq!(queued[0].duration_tot_sec, 12, "set by {by_s} s");
        let talks = events(&mut bench, Report::CallEvents);
        let lasted: Vec<_> = talks.iter().map(|row| (row.duration_tot_sec, row.duration_speak_sec)).collect();
        assert_eq!(lasted, [(42, 30), (30, 30)], "set by {by_s} s");
        let mut bench = bench.restart();
        assert_eq!(events(&mut bench, Report::QueueEvents), queued);
        assert_eq!(events(&mut bench, Report::CallEvents), talks);
    }
}

#[test]
fn pv_08_pages_follow_one_another_without_a_gap_or_a_row_twice() {
    let mut bench = Bench::new();
    for number in 0..25 {
        contact(&mut bench, &format!("+44{number}"));
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = page(&mut bench, Report::QueueEvents, after, 10);
        let Some(last) = page.last() else { break };
        let Page::Events(rows) = page else { panic!("events") };
        assert!(rows.len() <= 10);
        seen.extend(rows.into_iter().map(|(_, row)| row.originating));
        after = last;
    }
    let all: Vec<_> = (0..25).map(|number| format!("+44{number}")).collect();
    assert_eq!(seen, all);
}

#[test]
fn pv_08_a_page_begins_with_the_rows_of_the_time_that_is_asked_for() {
    let mut bench = Bench::new();
    for number in 0..3 {
        contact(&mut bench, &format!("+44{number}"));
        bench.pass_ms(1_500);
    }
    let second = events(&mut bench, Report::QueueEvents).remove(1);
    let after = before(&second.dte_start).expect("a time as reports write it");
    let Page::Events(rows) = page(&mut bench, Report::QueueEvents, after, 10) else { panic!("events") };
    let numbers: Vec<_> = rows.iter().map(|(_, row)| row.originating.as_str()).collect();
    assert_eq!(numbers, ["+441", "+442"]);
    assert_eq!(before("2026-11-31T09:30:00Z"), None, "November has 30 days");
}

#[test]
fn qc_13_callbacks_are_reported_as_inbound_and_billed_as_outbound() {
    let (mut bench, call) = conversation();
    hang_up(&mut bench, call);
    let row = archive(&mut bench).remove(0);
    assert_eq!((row.reported_as, row.billed_as), (Direction::Inbound, Direction::Outbound));
    assert_eq!((row.state.as_str(), row.attempts), ("answered", 1));
}

#[test]
fn qc_13_cb_09_a_customer_who_called_is_billed_inbound_and_archived_once() {
    for restarts in [false, true] {
        let mut bench = Bench::with(|config| config.services[0].access_number = "100".into());
        bench.add_agent("ann", true);
        let wish = json!({ "_customer_number": "+31202", "_call_direction": "USERORIGINATED", "_wait_for_agent": false });
        let Value::Object(params) = wish else { panic!("not an object") };
        let reply = bench.ask(ApiRequest::StartCallback { service: "cb".into(), params }).body();
        let id = reply["_id"].as_str().expect("an id").to_owned();
        let unserved = CallId(CallId::FIRST_INCOMING + 1);
        bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::OnBreak }));
        bench.arrives(unserved, "+31202", "100");
        bench.answer(unserved);
        hang_up(&mut bench, unserved);
        assert!(archive(&mut bench).is_empty(), "the callback is not over");
        bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
        let call = CallId(CallId::FIRST_INCOMING + 2);
        bench.arrives(call, "+31202", "100");
        bench.answer(call);
        if restarts {
            bench.keep_dialogs([bench.dialled("ann"), call]);
            let legs = [bench.agent_leg("ann"), format!("c-{call}")];
            bench = bench.restart_with_spliced(legs);
            bench.restored([call]);
        }
        hang_up(&mut bench, call);
        let rows = archive(&mut bench);
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = &rows[0];
        assert_eq!((&row.call_id, row.kind, row.state.as_str()), (&id, CallKind::Callback, "answered"));
        assert_eq!((row.reported_as, row.billed_as), (Direction::Inbound, Direction::Inbound));
        assert_eq!((row.attempts, &row.agent), (0, &Some("ann".into())));
        let record = summary(&bench, call);
        assert_eq!((record.kind, record.billed), (CallKind::Inbound, Some(Direction::Inbound)));
        let talks = events(&mut bench, Report::CallEvents);
        let sides: Vec<_> = talks.iter().map(|row| (row.ciq.as_str(), row.result_code.as_str())).collect();
        assert_eq!(sides, [("c", "h"), ("c", "k"), ("a", "k")]);
        assert!(talks.iter().all(|row| row.call_id == id && row.queue_key == "__Callback_sales"));
        assert_eq!(talks[2].internal_iq_session_id, call.to_string());
        let queued = events(&mut bench, Report::QueueEvents);
        let codes: Vec<_> = queued.iter().map(|row| row.result_code.as_str()).collect();
        assert_eq!(codes, ["q", "h", "k"]);
        assert!(queued.iter().all(|row| row.call_id == id));
        let mut bench = bench.restart();
        assert_eq!(archive(&mut bench), rows, "from the journal");
        assert_eq!(events(&mut bench, Report::CallEvents), talks);
    }
}

#[test]
fn pv_08_what_the_agent_says_of_a_contact_is_in_the_archive() {
    let (mut bench, id, call) = called_contact();
    let body = DispositionBody { disposition: "sold".into(), again_at: None };
    let ApiReply::Error(error) = bench.ask(ApiRequest::Dispose(id.clone(), body.clone())) else {
        panic!("nobody has answered")
    };
    assert_eq!(error.code, "not_called");
    bench.answer(call);
    hang_up(&mut bench, call);
    bench.ask(ApiRequest::Dispose(id, body));
    assert_eq!(archive(&mut bench)[0].disposition.as_deref(), Some("sold"));
}

#[test]
fn the_next_attempt_at_a_contact_follows_from_how_the_last_one_ended() {
    for (status, calls) in [(486, 2), (404, 1)] {
        let mut bench = Bench::with(|config| {
            let queue = &mut config.queues[0];
            queue.max_attempts = 3;
            queue.wrap_up_ms = 0;
            queue.retry_by_result = [("b".to_owned(), 60), ("e".to_owned(), 0)].into();
        });
        bench.add_agent("ann", true);
        contact(&mut bench, "+4420");
        let call = bench.customer();
        bench.sip(call, SipEvent::Failed { status, reason: String::new(), network: false, cause: None });
        bench.pass_ms(59_000);
        assert_eq!(bench.dials_to_trunk(), 1);
        bench.pass_ms(2_000);
        assert_eq!(bench.dials_to_trunk(), calls, "after {status}");
    }
}

#[test]
fn pv_08_reports_that_are_rebuilt_from_the_journal_equal_the_live_ones() {
    let (mut bench, call) = conversation();
    bench.add_agent("bob", true);
    bench.pass_ms(3_000);
    let to = Destination::Agent("bob".into());
    bench.ask(ApiRequest::Transfer("ann".into(), TransferBody { to, mode: TransferMode::Blind }));
    assert_eq!(bench.agent("bob").status, AgentStatus::OnCall);
    bench.pass_ms(4_000);
    hang_up(&mut bench, call);
    bench.pass_ms(10_000);
    contact(&mut bench, "+4420");
    let call = bench.customer();
    bench.sip(call, SipEvent::Failed { status: 404, reason: String::new(), network: false, cause: None });
    let all = [Report::QueueEvents, Report::CallEvents, Report::Archive, Report::Callbacks];
    let live: Vec<_> = all.iter().map(|report| page(&mut bench, *report, 0, 1_000)).collect();
    assert!(live.iter().all(|page| page.last().is_some()), "there is something to compare");
    let mut bench = bench.restart();
    let rebuilt: Vec<_> = all.iter().map(|report| page(&mut bench, *report, 0, 1_000)).collect();
    assert_eq!(rebuilt, live);
}

#[test]
fn cb_15_a_callback_that_is_over_is_on_record_with_its_times_and_the_result_of_each_attempt() {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let first = bench.customer();
    bench.sip(first, SipEvent::Failed { status: 486, reason: String::new(), network: false, cause: None });
    bench.pass_ms(301_000);
    let second = bench.customer();
    assert_ne!(first, second, "it is called again");
    bench.answer(second);
    hang_up(&mut bench, second);
    let rows = callbacks(&mut bench);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["_CB_DIAL_RESULTS"], "BUSY CONNECTED");
    assert_eq!(
        (&row["_callback_reason"], &row["_customer_number"]),
        (&json!("AGENT_CONNECTED"), &json!("+31201"))
    );
    assert_eq!(row["_id"], row["_CB_SERVICE_ID"]);
    assert_eq!(row["_CB_T_SERVICE_START"], row["_CB_T_CALLBACK_ACCEPTED"]);
    let columns = page(&mut bench, Report::Callbacks, 0, 10).columns();
    assert!(columns.iter().all(|column| row.get(column).is_some()), "{row}");
    assert_eq!(row.as_object().map(serde_json::Map::len), Some(columns.len()));
}

#[test]
fn cb_15_the_report_knows_a_person_and_tells_no_attempt_where_the_customer_called() {
    let mut bench = Bench::with(|config| {
        config.services[0].access_number = "100".into();
        config.services[0].detection.machine = OnMachine::Drop;
    });
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let call = bench.customer();
    bench.answer(call);
    bench.event(EventBody::Detected(Detected {
        leg: format!("c-{call}"),
        kind: DetectedKind::Person,
        cause: None,
        after_ms: 900,
        frequency_hz: None,
        duration_ms: None,
    }));
    hang_up(&mut bench, call);
    bench.pass_ms(60_000);
    let params = json!({ "_customer_number": "+31202", "_wait_for_agent": false });
    let Value::Object(params) = params else { panic!("not an object") };
    bench.ask(ApiRequest::StartCallback { service: "cb".into(), params });
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31202", "100");
    bench.answer(call);
    let rows = callbacks(&mut bench);
    let results: Vec<_> =
        rows.iter().map(|row| (&row["_callback_reason"], &row["_CB_DIAL_RESULTS"])).collect();
    let connected = json!("AGENT_CONNECTED");
    assert_eq!(results, [(&connected, &json!("PERSON")), (&connected, &json!(""))]);
    assert_eq!(callbacks(&mut bench.restart()), rows);
}

#[test]
fn cb_11_the_report_of_a_queued_callback_tells_when_it_was_asked_for_and_not_when_the_caller_came() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let came_s = bench.now().unix_ms / 1_000;
    let caller = arrive(&mut bench, 1, "+31201");
    caller.asks_for_callback(&mut bench);
    caller.is_gone(&mut bench);
    let id = stored(&bench).remove(0).id;
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
    let row = callbacks(&mut bench).remove(0);
    assert_eq!(row["_CB_T_CALLBACK_ACCEPTED"], came_s + 30);
    assert_eq!(row["_CB_T_SERVICE_START"], came_s + 30);
}

#[test]
fn cb_12_a_caller_for_whom_a_request_asked_is_archived_as_a_callback_and_leaves_the_flow() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    let caller = arrive(&mut bench, 1, "+31201");
    let params = json!({ "_customer_number": "+31201", "_originating_interaction_id": caller.0.to_string() });
    let id = bench.callback_with(params);
    caller.is_gone(&mut bench);
    let row = archive(&mut bench).remove(0);
    assert_eq!((row.call_id, row.state), (caller.0.to_string(), "callback".to_owned()));
    bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
    bench.pass_ms(120_000);
    assert_eq!(bench.core.poll_timeout(), None, "nobody goes through the flow any more");
}

#[test]
fn pv_08_rows_older_than_the_retention_are_gone_also_after_a_restart_and_the_others_keep_their_numbers() {
    let mut bench = Bench::with(|config| config.reports.retention_days = 2);
    let queued = |bench: &mut Bench| match page(bench, Report::QueueEvents, 0, 100) {
        Page::Events(rows) => {
            rows.into_iter().map(|(number, row)| (number, row.originating)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    for number in ["+441", "+442", "+443", "+444"] {
        contact(&mut bench, number);
        bench.pass_ms(86_000_000);
    }
    let kept = queued(&mut bench);
    let numbers: Vec<_> = kept.iter().map(|(_, number)| number.as_str()).collect();
    assert_eq!(numbers, ["+443", "+444"]);
    let mut bench = bench.restart_with(|config| config.reports.retention_days = 2);
    assert_eq!(queued(&mut bench), kept);
}
