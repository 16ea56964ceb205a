//! What a compacted journal is still good for.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use std::collections::BTreeSet;

use bench::{Bench, agent, available_agent, conversation};
use offhook_control_core::api::{
    ApiReply, ApiRequest, ConnectBody, KeysBody, LoginBody, StatusBody, WantedStatus,
};
use offhook_control_core::compact::Compactor;
use offhook_control_core::config::OnMachine;
use offhook_control_core::record::{Fact, Record};
use offhook_control_core::report::{Page, Report};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::{Config, Core};
use offhook_proto::{AudioDirection, Detected, DetectedKind, EventBody, SpliceAudio};
use serde_json::{Value, json};

/// The records that are left.
fn compacted(records: &[Record], expire: Option<(u64, u64)>) -> Vec<Record> {
    let mut compactor = Compactor::default();
    for (seq, record) in (1..).zip(records) {
        compactor.note(seq, record);
    }
    if let Some((now_ms, keep_ms)) = expire {
        compactor.expire(now_ms, keep_ms);
    }
    let dead = compactor.take_dead();
    let once: BTreeSet<u64> = dead.iter().copied().collect();
    assert_eq!(once.len(), dead.len(), "no record dies twice");
    (1..).zip(records).filter(|(seq, _)| !once.contains(seq)).map(|(_, record)| record.clone()).collect()
}

fn replayed(records: &[Record]) -> String {
    let mut core = Core::new(Config::default(), [3; 32]);
    records.iter().for_each(|record| core.replay(record.clone()));
    format!("{core:?}")
}

/// Cut at every record, since control may die at any: what is left says the same as the whole.
fn check(records: &[Record]) {
    for end in 0..=records.len() {
        let whole = &records[..end];
        assert_eq!(replayed(&compacted(whole, None)), replayed(whole), "after {:#?}", whole.last());
    }
}

#[test]
fn who_waits_for_a_connection_is_kept_until_they_have_been_told() {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    for _ in 0..2 {
        bench.ask(ApiRequest::Connect("ann".into(), ConnectBody::default()));
    }
    let kept = |bench: &Bench| {
        let left = compacted(&bench.records, None);
        check(&bench.records);
        let of_requests = |fact: &Fact| {
            matches!(
                fact,
                Fact::ConnectionAsked { .. } | Fact::ConnectionEnded { .. } | Fact::ConnectionTold { .. }
            )
        };
        left.iter().filter(|record| of_requests(&record.fact)).count()
    };
    assert_eq!(kept(&bench), 2);
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    // Of the agent nothing is left that is older.
    bench.ask(ApiRequest::Logout("ann".into()));
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    assert_eq!(kept(&bench), 4, "control may die before they have heard");
    bench.pass_ms(60_000);
    assert_eq!(kept(&bench), 0);
}

#[test]
fn that_keys_are_blocked_is_kept_until_they_are_heard_again_or_the_call_is_over() {
    let (mut bench, customer) = conversation();
    for blocked in [true, false, true] {
        bench.ask(ApiRequest::BlockKeys("ann".into(), KeysBody { blocked }));
    }
    let kept = |bench: &Bench| {
        let left = compacted(&bench.records, None);
        left.iter().filter(|record| matches!(record.fact, Fact::KeysBlocked { .. })).count()
    };
    assert_eq!(kept(&bench), 1);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!(kept(&bench), 0);
    check(&bench.records);
}

#[test]
fn how_often_audio_was_missing_is_kept_once_until_the_call_is_over() {
    let (mut bench, customer) = conversation();
    let (leg, direction) = (format!("c-{customer}"), AudioDirection::FromPeer);
    for _ in 0..3 {
        bench.event(EventBody::LegOneWay { leg: leg.clone(), direction, unheard_ms: 5_000 });
        bench.event(EventBody::LegTwoWay { leg: leg.clone(), direction });
    }
    let kept = |records: &[Record]| {
        records.iter().filter(|record| matches!(record.fact, Fact::AudioMissed { .. })).count()
    };
    assert_eq!((kept(&bench.records), kept(&compacted(&bench.records, None))), (3, 1));
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!(kept(&compacted(&bench.records, None)), 0);
    check(&bench.records);
}

#[test]
fn wrap_up_is_kept_until_it_is_over_before_its_time_and_how_soon_a_call_had_audio_until_its_end() {
    let (mut bench, customer) = conversation();
    let (agent, leg) = (bench.agent_leg("ann"), format!("c-{customer}"));
    for (from, to) in [(&agent, &leg), (&leg, &agent)] {
        let (from, to) = (from.clone(), to.clone());
        bench.event(EventBody::SpliceAudio(SpliceAudio { from, to, after_us: 7_000, dropped_packets: 0 }));
    }
    let kept = |records: &[Record]| {
        let left = compacted(records, None);
        let audio = left.iter().filter(|record| matches!(record.fact, Fact::AudioFlowed { .. })).count();
        let wrap_up = left.iter().filter(|record| matches!(record.fact, Fact::WrapUp { .. })).count();
        (audio, wrap_up)
    };
    assert_eq!(kept(&bench.records), (1, 0));
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!(kept(&bench.records), (0, 1));
    bench.set_calendar(3_600);
    bench.ask(ApiRequest::WrapUpDone("ann".into()));
    assert_eq!(kept(&bench.records), (0, 0));
    talk(&mut bench, "+31202");
    bench.ask(ApiRequest::Logout("ann".into()));
    assert_eq!(kept(&bench.records), (0, 0));
    check(&bench.records);
}

#[test]
fn that_an_agent_was_lost_is_kept_with_the_customers_history() {
    let (mut bench, customer) = conversation();
    let ann = bench.dialled("ann");
    bench.sip(ann, SipEvent::Ended { by_peer: false, reason: String::new() });
    bench.pass_ms(20_000);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert!(compacted(&bench.records, None).iter().any(|record| matches!(record.fact, Fact::Parted { .. })));
    check(&bench.records);
}

#[test]
fn when_the_calendar_was_set_is_kept_and_no_more_often_than_is_worth_it() {
    let (mut bench, customer) = conversation();
    bench.set_calendar(3_600);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.set_calendar(-3_600);
    check(&bench.records);
    let set = |at_ms| Record::new(at_ms, Fact::CalendarSet { by_ms: 1_000 });
    let many: Vec<Record> = (1..=1_005).map(set).collect();
    assert_eq!(compacted(&many, None), many[5..]);
}

#[test]
fn that_they_hear_each_other_is_kept_until_it_is_known_who_answered() {
    for kind in [DetectedKind::Person, DetectedKind::Machine] {
        let mut bench = Bench::with(|config| config.services[0].detection.machine = OnMachine::Retry);
        bench.add_agent("ann", true);
        bench.callback("+31201");
        let customer = bench.customer();
        bench.answer(customer);
        let kept = |bench: &Bench| {
            let waits = |fact: &Fact| matches!(fact, Fact::Spliced { .. } | Fact::NoPerson { .. });
            compacted(&bench.records, None).iter().filter(|record| waits(&record.fact)).count()
        };
        assert_eq!(kept(&bench), 1);
        let (leg, cause, frequency_hz, duration_ms) = (format!("c-{customer}"), None, None, None);
        let found = Detected { leg, kind, cause, after_ms: 1_500, frequency_hz, duration_ms };
        bench.event(EventBody::Detected(found));
        assert_eq!(kept(&bench), 0, "{kind:?}");
        check(&bench.records);
    }
}

fn talk(bench: &mut Bench, number: &str) {
    bench.callback(number);
    let customer = bench.customer();
    bench.answer(customer);
    bench.sip(customer, SipEvent::Snapshot { data: "x".repeat(500) });
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(6_000);
}

/// All rows of a report, with their numbers, in words.
fn rows(bench: &mut Bench, report: Report) -> Vec<String> {
    match bench.ask(ApiRequest::Report { report, after: 0, limit: 1_000 }) {
        ApiReply::Report(Page::Events(rows)) => rows.iter().map(|row| format!("{row:?}")).collect(),
        ApiReply::Report(Page::Archive(rows)) => rows.iter().map(|row| format!("{row:?}")).collect(),
        other => panic!("{other:?}"),
    }
}

fn be(bench: &mut Bench, status: WantedStatus) {
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status }));
}

#[test]
fn what_compaction_leaves_replays_to_the_same_core_whatever_the_last_record_is() {
    let mut bench = available_agent(true);
    let leg = bench.dialled("ann");
    bench.sip(leg, SipEvent::Snapshot { data: "one".into() });
    bench.sip(leg, SipEvent::Snapshot { data: "two".into() });
    talk(&mut bench, "+31201");
    be(&mut bench, WantedStatus::OnBreak);
    // Saved while logged in: in force from the next `available` on.
    for persistent in [false, true, false] {
        let mut body = agent(false, true);
        body.persistent = Some(persistent);
        bench.ask(ApiRequest::PutAgent("ann".into(), body));
        be(&mut bench, WantedStatus::WorkingOffline);
    }
    be(&mut bench, WantedStatus::Available);
    bench.sip(leg, SipEvent::Ended { by_peer: false, reason: String::new() });
    talk(&mut bench, "+31202");
    bench.ask(ApiRequest::Logout("ann".into()));
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, false)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    bench.callback("+31203");
    check(&bench.records);
    let mut bench = bench.restart();
    be(&mut bench, WantedStatus::Available);
    check(&bench.records);
}

#[test]
fn dialogs_of_ended_calls_and_former_statuses_are_not_kept() {
    let mut bench = available_agent(true);
    for n in 0..20 {
        be(&mut bench, WantedStatus::OnBreak);
        be(&mut bench, WantedStatus::Available);
        talk(&mut bench, &format!("+3120{n}"));
    }
    let left = compacted(&bench.records, None);
    let count = |wanted: fn(&Fact) -> bool| left.iter().filter(|record| wanted(&record.fact)).count();
    assert_eq!(count(|fact| matches!(fact, Fact::Dialog { .. })), 0);
    assert_eq!(count(|fact| matches!(fact, Fact::AgentStatus { .. })), 2);
    assert_eq!(count(|fact| matches!(fact, Fact::CallbackEnded { .. })), 20, "what is reported is kept");
}

#[test]
fn pv_08_reports_after_compaction_have_the_same_rows_under_the_same_numbers() {
    let mut bench = available_agent(true);
    for n in 0..10 {
        talk(&mut bench, &format!("+3120{n}"));
    }
    let now_ms = bench.now().unix_ms;
    let left = compacted(&bench.records, Some((now_ms, 30_000)));
    let mut compact = Bench::of(left.clone());
    for report in [Report::QueueEvents, Report::CallEvents, Report::Archive] {
        let all = rows(&mut bench, report);
        let kept = rows(&mut compact, report);
        assert!(!kept.is_empty() && kept.len() < all.len(), "{} of {}", kept.len(), all.len());
        assert_eq!(all[all.len() - kept.len()..], kept);
    }
    assert!(left.len() < bench.records.len() / 2, "{} of {}", left.len(), bench.records.len());
}

/// What the ledger says of 30 days.
fn month(bench: &mut Bench) -> Value {
    let mut campaigns = bench.ask(ApiRequest::Compliance).body()["campaigns"].take();
    for campaign in campaigns.as_array_mut().expect("a list") {
        campaign["uk"].take();
    }
    campaigns
}

#[test]
fn by_08_the_ledger_counts_calls_that_compaction_has_forgotten() {
    let mut bench = available_agent(true);
    for n in 0..5 {
        talk(&mut bench, &format!("+3120{n}"));
    }
    bench.pass_ms(86_400_000);
    talk(&mut bench, "+31299");
    let all = month(&mut bench);
    assert_eq!(all[0]["dialled"], 6);
    check(&bench.records);
    // Those of the day before are forgotten, down to the sum of that day.
    let left = compacted(&bench.records, Some((bench.now().unix_ms, 3_600_000)));
    let kept = |id: &Record| matches!(id.fact, Fact::CallbackDialled { .. });
    assert_eq!(left.iter().filter(|record| kept(record)).count(), 1);
    assert_eq!(month(&mut Bench::of(left)), all);
}

#[test]
fn by_08_of_the_sums_of_a_day_the_last_is_kept_for_thirty_days() {
    let summed = |day: u64, dialled: u64, at_day: u64| {
        let tally = json!({ "dialled": dialled, "human": 0, "machine": 0, "dropped": 0, "short_ring": 0,
            "refused": { "do_not_call": 1 } });
        let campaign = json!({ "kind": "service", "name": "cb" });
        json!({ "v": 1, "at_ms": at_day * 86_400_000, "fact": "calls_summed", "campaign": campaign, "day": day,
            "tally": tally })
    };
    let facts = [summed(100, 1, 100), summed(100, 2, 101), summed(101, 3, 102), summed(129, 4, 130)];
    let records: Vec<Record> =
        facts.into_iter().map(|fact| serde_json::from_value(fact).expect("a record")).collect();
    check(&records);
    assert_eq!(compacted(&records[..3], None), records[1..3]);
    assert_eq!(compacted(&records, None), records[2..], "day 100 is not within 30 days of day 130 any more");
}

#[test]
fn what_is_not_finished_is_kept_however_old_it_is() {
    let mut bench = Bench::new();
    let waiting = bench.callback("+31201");
    let left = compacted(&bench.records, Some((u64::MAX, 1)));
    let kept = |fact: &Fact| matches!(fact, Fact::CallbackAdded(spec) if spec.id == waiting);
    assert!(left.iter().any(|record| kept(&record.fact)));
}

#[test]
fn a_caller_and_their_callback_are_forgotten_together_and_not_before_the_call_is_over() {
    let facts = json!([
        { "fact": "inbound_arrived", "call": 9, "queue": "sales", "number": "+31201", "dnis": "200" },
        { "fact": "dialog", "call": 9, "snapshot": "x" },
        { "fact": "callback_added", "id": "cb", "service": "cb", "queue": "sales", "number": "+31201", "arrival_ms": 1,
          "desired_ms": 1, "scheduled": false, "ttl_s": 9, "max_attempts": 1, "retry_s": 1, "data": {},
          "origin": { "contact": 1, "call": 9, "priority": 0, "ani": "+31201", "dnis": "200", "caller_id": "200",
                      "call_delay_s": 0, "accepted_ms": 1, "flow": "", "step": "", "variables": {} } },
        { "fact": "callback_ended", "id": "cb", "reason": "CANCELLED" },
        { "fact": "call_ended", "call": 9, "summary": null },
    ]);
    let records: Vec<Record> = facts.as_array().expect("a list").iter().map(record).collect();
    let (open, late) = (&records[..4], Some((u64::MAX, 1)));
    assert_eq!(compacted(open, late), open, "the call still has to be dropped");
    assert_eq!(compacted(&records, late), []);
}

#[test]
fn a_contact_taken_out_of_its_list_is_forgotten_and_so_is_what_is_said_of_it_later() {
    let facts = json!([
        { "fact": "contact_added", "id": "c", "queue": "sales", "number": "+31201", "data": null },
        { "fact": "contact_removed", "id": "c" },
    ]);
    let disposed = record(&json!({ "fact": "contact_disposed", "id": "c", "disposition": "gone" }));
    let mut compactor = Compactor::default();
    for (seq, fact) in (1..).zip(facts.as_array().expect("a list")) {
        compactor.note(seq, &record(fact));
    }
    compactor.expire(u64::MAX, 1);
    compactor.note(3, &disposed);
    assert_eq!(compactor.take_dead(), [1, 2, 3]);
}

#[test]
fn by_08_a_do_not_call_list_is_kept_as_long_as_a_number_of_it_is_listed() {
    let facts = [
        json!({ "fact": "numbers_listed", "numbers": ["1", "2"] }),
        json!({ "fact": "number_unlisted", "number": "1" }),
        json!({ "fact": "numbers_listed", "numbers": ["1"] }),
        json!({ "fact": "number_unlisted", "number": "1" }),
        json!({ "fact": "number_unlisted", "number": "2" }),
        json!({ "fact": "numbers_listed", "numbers": ["2"] }),
        json!({ "fact": "dial_refused", "id": "gone", "number": "2", "rule": "do_not_call",
                "campaign": { "kind": "service", "name": "cb" } }),
    ];
    let records: Vec<Record> = facts.iter().map(record).collect();
    check(&records);
    assert_eq!(compacted(&records[..4], None), records[..2], "2 is listed, 1 is not");
    assert_eq!(compacted(&records[..5], None), []);
    assert_eq!(compacted(&records[..6], None), records[5..6]);
}

fn record(fact: &Value) -> Record {
    let mut record = json!({ "v": 1, "at_ms": 1_000 });
    record.as_object_mut().expect("an object").extend(fact.as_object().expect("an object").clone());
    serde_json::from_value(record).expect("a record")
}
