//! Rules for calling people: a dial that would break one is refused, with the reason on record (BY-08).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use std::collections::BTreeSet;

use bench::{Bench, available_agent};
use offhook_control_core::api::{ApiReply, ApiRequest, ContactBody};
use offhook_control_core::compliance::Rule;
use offhook_control_core::config::Config;
use offhook_control_core::record::{CallbackReason, Record};
use offhook_control_core::report::{Page, RefusedRow, Report};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, ContactId};
use serde_json::{Value, json};

fn enforcing(rules: &[Rule]) -> impl FnOnce(&mut Config) {
    let rules: BTreeSet<Rule> = rules.iter().copied().collect();
    move |config| (config.compliance.enforce, config.compliance.enforce_callbacks) = (rules.clone(), rules)
}

fn refused(bench: &mut Bench) -> Vec<RefusedRow> {
    match bench.ask(ApiRequest::Report { report: Report::RefusedDials, after: 0, limit: 100 }) {
        ApiReply::Report(Page::Refused(rows)) => rows.into_iter().map(|(_, row)| row).collect(),
        other => panic!("{other:?}"),
    }
}

fn ledger(bench: &mut Bench) -> Value {
    bench.ask(ApiRequest::Compliance).body()
}

fn contact(bench: &mut Bench, number: &str, data: Value) -> ContactId {
    let body = ContactBody {
        queue: "sales".into(),
        number: number.into(),
        data,
        list: Some("spring".into()),
        ..ContactBody::default()
    };
    match bench.ask(ApiRequest::AddContact(body)) {
        ApiReply::ContactStored(id) => id,
        other => panic!("{other:?}"),
    }
}

fn state(bench: &mut Bench, id: &ContactId) -> Value {
    bench.ask(ApiRequest::Contact(id.clone())).body()["state"].clone()
}

#[test]
fn by_08_a_number_on_the_do_not_call_list_is_never_dialled_and_the_refusal_is_on_record() {
    let mut bench = available_agent(true);
    let listed = bench.ask(ApiRequest::ListNumbers(vec!["+31201".into(), "0031202".into()]));
    assert_eq!((listed.status(), &listed.body()["stored"]), (201, &json!(2)));
    let callback = bench.callback("+31201");
    let contact = contact(&mut bench, "+31202", json!({}));
    bench.pass_ms(60_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    assert_eq!(bench.ended(&callback), Some(CallbackReason::NotAvailable));
    assert_eq!(state(&mut bench, &contact), "disabled");
    let rows = refused(&mut bench);
    let found: Vec<_> =
        rows.iter().map(|row| (row.number.as_str(), row.rule, row.campaign.as_str())).collect();
    assert_eq!(found, [("+31201", Rule::DoNotCall, "cb"), ("+31202", Rule::DoNotCall, "spring")]);
    assert_eq!(rows[0].call_id, callback.to_string());
    assert_eq!(ledger(&mut bench)["campaigns"][0]["refused"], json!({ "do_not_call": 1 }));

    let mut bench = bench.restart();
    assert_eq!(ledger(&mut bench)["do_not_call"], 2, "the list outlives control");
    assert_eq!(refused(&mut bench), rows, "and so do the refusals");
    assert_eq!(bench.ask(ApiRequest::UnlistNumber("+31202".into())).status(), 200);
    let left = bench.ask(ApiRequest::DoNotCall { after: None, limit: 10 });
    assert_eq!(left.body(), json!({ "numbers": ["31201"] }));
    assert_eq!(bench.ask(ApiRequest::UnlistNumber("+31202".into())).status(), 404);
    assert_eq!(bench.ask(ApiRequest::ListNumbers(vec!["+31203".into(), "banana".into()])).status(), 400);
    assert_eq!(ledger(&mut bench)["do_not_call"], 1, "all of them or none");
}

#[test]
fn by_08_nobody_is_called_before_eight_or_after_nine_where_they_are() {
    let mut bench = Bench::with(enforcing(&[Rule::CallingHours]));
    bench.add_agent("ann", true);
    // It is 08:00 in UTC, 09:00 in Amsterdam, and night in all of America.
    bench.callback("+12125550100");
    bench.callback_with(json!({ "_customer_number": "+31201", "_max_dial_attempts": 1 }));
    assert_eq!(bench.dials_to_trunk(), 1, "Amsterdam");
    let rows = refused(&mut bench);
    assert_eq!((rows.len(), rows[0].rule), (1, Rule::CallingHours));
    assert_eq!(rows[0].not_before, "2027-01-15T18:00:00.000Z", "08:00 in Honolulu, 13:00 in New York");
    let call = bench.customer();
    bench.sip(call, SipEvent::Failed { status: 404, reason: String::new(), network: false, cause: None });
    bench.pass_ms(9 * 3_600_000);
    let before = bench.dials_to_trunk();
    bench.pass_ms(3_600_000);
    assert_eq!(bench.dials_to_trunk(), before + 1, "in the morning there");
}

#[test]
fn by_08_unless_it_is_set_otherwise_contacts_are_under_every_rule_and_callbacks_under_the_list_alone() {
    let mut bench = available_agent(true);
    // Night in all of America: whoever asks to be called back at night is.
    contact(&mut bench, "+12125550100", json!({}));
    bench.callback("+12125550101");
    assert_eq!(bench.dials_to_trunk(), 1);
    let rows = refused(&mut bench);
    assert_eq!((rows.len(), rows[0].rule, rows[0].campaign.as_str()), (1, Rule::CallingHours, "spring"));
    let told = ledger(&mut bench);
    let all = json!(["do_not_call", "calling_hours", "abandoned_rate", "ring_time"]);
    assert_eq!((&told["enforced"], &told["enforced_callbacks"]), (&all, &json!(["do_not_call"])));
}

#[test]
fn by_08_a_contact_whose_evening_ends_while_the_agent_looks_is_not_dialled() {
    let enforce = enforcing(&[Rule::CallingHours]);
    let mut bench = Bench::with(|config| {
        enforce(config);
        config.compliance.calling_hours_min = (480, 541);
        config.queues[0].offer_timeout_ms = 120_000;
    });
    bench.add_agent("ann", false);
    // 09:00 in Amsterdam; a number of which nothing but its own zone is known.
    let id = contact(&mut bench, "100", json!({ "time_zone": "Europe/Amsterdam" }));
    assert!(bench.agent("ann").offer.is_some());
    bench.pass_ms(70_000);
    bench.ask(ApiRequest::Accept("ann".into()));
    assert_eq!((bench.dials_to_trunk(), state(&mut bench, &id)), (0, json!("queued")));
    let rows = refused(&mut bench);
    assert_eq!((rows.len(), rows[0].rule), (1, Rule::CallingHours));
    assert_eq!(rows[0].not_before, "2027-01-16T07:00:00.000Z");
    assert_eq!(bench.agent("ann").offer, None);
}

#[test]
fn by_08_a_campaign_above_three_percent_in_thirty_days_makes_no_more_calls_today() {
    for (dropped, may) in [(3, true), (4, false)] {
        let mut bench = Bench::new();
        let at_ms = bench.now().unix_ms;
        for call in 0..100_u64 {
            past_call(&mut bench.records, call, at_ms, call >= dropped);
        }
        let mut bench = bench.restart_with(enforcing(&[Rule::AbandonedRate]));
        let us = ledger(&mut bench)["campaigns"][0]["us"].clone();
        assert_eq!((&us["answered"], &us["abandoned"]), (&json!(100), &json!(dropped)), "from the journal");
        bench.add_agent("ann", true);
        contact(&mut bench, "+31201", json!({}));
        assert_eq!(bench.dials_to_trunk(), usize::from(may));
        if !may {
            let rows = refused(&mut bench);
            assert_eq!(
                (rows[0].rule, rows[0].not_before.as_str()),
                (Rule::AbandonedRate, "2027-01-16T00:00:00.000Z")
            );
        }
        bench.callback("+31202");
        assert_eq!(bench.dials_to_trunk(), 1, "another campaign");
    }
}

/// A call of the list "spring" that a person answered, on record.
fn past_call(records: &mut Vec<Record>, call: u64, at_ms: u64, connected: bool) {
    let id = format!("old{call:03}");
    let summary = json!({ "kind": "preview", "number": "+31", "agent": "ann", "started_ms": at_ms,
        "answered_ms": at_ms, "answer_to_audio_ms": null, "result": "hung_up" });
    let call = 900_000 + call;
    let mut facts = vec![
        json!({ "fact": "contact_added", "id": id, "queue": "sales", "list": "spring", "number": "+31", "data": null }),
        json!({ "fact": "contact_dialled", "id": id, "attempt": 1, "call": call, "agent": "ann" }),
    ];
    if connected {
        facts.push(json!({ "fact": "connected", "call": call, "agent": "ann" }));
    }
    facts.push(json!({ "fact": "contact_result", "id": id, "code": "k", "response": null, "again_ms": null,
        "disabled": false }));
    facts.push(json!({ "fact": "call_ended", "call": call, "summary": summary }));
    for mut fact in facts {
        (fact["v"], fact["at_ms"]) = (json!(1), json!(at_ms));
        records.push(serde_json::from_value(fact).expect("a record"));
    }
}

#[test]
fn by_08_a_phone_rings_for_fifteen_seconds_where_that_is_a_rule_and_shorter_ringing_is_counted() {
    let ring = |rules: &[Rule]| {
        let enforce = enforcing(rules);
        let mut bench = Bench::with(|config| {
            enforce(config);
            config.queues[0].ring_timeout_ms = 5_000;
        });
        bench.add_agent("ann", true);
        bench.callback("+31201");
        let call = bench.customer();
        let ms = bench.sip.iter().find_map(|(of, command)| match command {
            SipCommand::Dial { ring_timeout_ms, .. } if *of == call => Some(*ring_timeout_ms),
            _ => None,
        });
        (bench, call, ms)
    };
    assert_eq!(ring(&[]).2, Some(5_000));
    let (mut bench, call, ms) = ring(&[Rule::RingTime]);
    assert_eq!(ms, Some(15_000));
    bench.sip(call, SipEvent::Ringing);
    bench.pass_ms(14_000);
    bench.ask(ApiRequest::HangUp("ann".into()));
    bench.sip(call, SipEvent::Failed { status: 487, reason: String::new(), network: false, cause: None });
    assert_eq!(ledger(&mut bench)["campaigns"][0]["short_ring"], 1);
}

#[test]
fn by_08_a_customer_who_gets_an_agent_at_once_is_answered_and_not_abandoned() {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let call: CallId = bench.customer();
    bench.answer(call);
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    let campaign = ledger(&mut bench)["campaigns"][0].clone();
    assert_eq!((&campaign["kind"], &campaign["name"]), (&json!("service"), &json!("cb")));
    assert_eq!((&campaign["us"]["answered"], &campaign["us"]["abandoned"]), (&json!(1), &json!(0)));
    assert_eq!(campaign["uk"]["human"], 1);
}
