//! Records of calls that live through a restart of control hold the times of before (BY-08, BY-10).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::summary;
use bench::{Bench, available_agent, customer_is_called_back};
use offhook_control_core::api::ApiRequest;
use offhook_control_core::record::{Fact, ResultCode};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, CallbackId};
use offhook_proto::{EventBody, PlaySource, SpliceAudio};
use serde_json::{Value, json};

/// A callback's customer whose phone has rung for two seconds and was answered five seconds ago, and the leg of ann, who has
/// them. When each of that was, in milliseconds since 1970.
fn talks_for_five_seconds() -> (Bench, CallId, CallId, [u64; 3]) {
    let mut bench = available_agent(true);
    let ann = bench.last_dial();
    bench.keep_dialogs([ann]);
    bench.pass_ms(1_000);
    let started_ms = bench.now().unix_ms;
    bench.callback("+31201");
    let customer = bench.customer();
    bench.sip(customer, SipEvent::SettingUp { data: "invite".into() });
    bench.pass_ms(1_000);
    let rang_ms = bench.now().unix_ms;
    bench.sip(customer, SipEvent::Ringing);
    bench.pass_ms(2_000);
    let answered_ms = bench.now().unix_ms;
    bench.answer(customer);
    bench.keep_dialogs([customer]);
    bench.pass_ms(5_000);
    (bench, ann, customer, [started_ms, rang_ms, answered_ms])
}

fn hang_up(bench: &mut Bench, call: CallId) {
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
}

/// That they talk is not on record, as if control had died before.
fn forget_the_talk(bench: &mut Bench) {
    let tells = |fact: &Fact| matches!(fact, Fact::Connected { .. } | Fact::CallbackEnded { .. });
    bench.records.retain(|record| !tells(&record.fact));
}

fn us(bench: &mut Bench) -> (Value, Value) {
    let us = bench.ask(ApiRequest::Compliance).body()["campaigns"][0]["us"].clone();
    (us["answered"].clone(), us["abandoned"].clone())
}

#[test]
fn by_10_the_record_of_a_conversation_says_when_it_rang_and_was_answered_also_after_restarts() {
    let (bench, ann, customer, [started_ms, rang_ms, answered_ms]) = talks_for_five_seconds();
    let legs = || [format!("a-ann-{ann}"), format!("c-{customer}")];
    let mut bench = bench.restart_with_spliced(legs());
    bench.restored([ann, customer]);
    // Taken up, the dialog is on record again.
    bench.keep_dialogs([customer]);
    let mut bench = bench.restart_with_spliced(legs());
    bench.restored([ann, customer]);
    hang_up(&mut bench, customer);
    let told = summary(&bench, customer);
    assert_eq!(
        (told.started_ms, told.rang_ms, told.answered_ms),
        (started_ms, Some(rang_ms), Some(answered_ms))
    );
}

#[test]
fn by_08_who_waited_for_an_agent_over_a_restart_is_abandoned_by_the_time_of_their_answer() {
    let (mut bench, ann, customer, _) = talks_for_five_seconds();
    forget_the_talk(&mut bench);
    let mut bench = bench.restart();
    bench.restored([ann, customer]);
    bench.pass_ms(1_500);
    assert!(bench.last_splice().is_some(), "within two seconds of the restart");
    hang_up(&mut bench, customer);
    assert_eq!(us(&mut bench), (json!(1), json!(1)));
}

#[test]
fn by_08_who_had_their_agent_at_the_answer_was_served_though_control_died_before_that_was_on_record() {
    let (mut bench, ann, customer, [.., answered_ms]) = talks_for_five_seconds();
    forget_the_talk(&mut bench);
    let legs = [format!("a-ann-{ann}"), format!("c-{customer}")];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([ann, customer]);
    let since = bench.facts().find_map(|fact| match fact {
        Fact::Connected { call, since_ms, .. } if *call == customer => Some(*since_ms),
        _ => None,
    });
    assert_eq!(since, Some(Some(answered_ms)));
    hang_up(&mut bench, customer);
    assert_eq!(us(&mut bench), (json!(1), json!(0)));
}

/// A callback's customer whose INVITE is out, without any ringing, when control is killed, and the next run.
fn killed_before_it_rings() -> (Bench, CallbackId, CallId, CallId) {
    let (bench, id, ann, customer) = customer_is_called_back();
    let mut next = bench.restart();
    next.restored([ann]);
    next.sip(customer, SipEvent::Trying);
    (next, id, ann, customer)
}

fn state_of(bench: &mut Bench, call: CallId) -> Value {
    bench.ask(ApiRequest::Call(call)).body()["state"].clone()
}

#[test]
fn by_10_pm_10_a_phone_that_had_not_rung_before_a_restart_rings_when_it_does() {
    let (mut next, _, ann, customer) = killed_before_it_rings();
    let rings = |bench: &Bench| matches!(bench.played(ann).as_slice(), [PlaySource::Tone { .. }]);
    assert_eq!((state_of(&mut next, customer), rings(&next)), (json!("dialling"), false));
    next.pass_ms(1_000);
    let rang_ms = next.now().unix_ms;
    next.sip(customer, SipEvent::Ringing);
    assert_eq!((state_of(&mut next, customer), rings(&next)), (json!("ringing"), true));
    next.answer(customer);
    hang_up(&mut next, customer);
    assert_eq!(summary(&next, customer).rang_ms, Some(rang_ms));
}

#[test]
fn by_10_pv_06_a_phone_that_never_rang_over_a_restart_has_another_result_than_one_that_did() {
    for (rings, expected) in [(false, ResultCode::C), (true, ResultCode::T)] {
        let (mut next, id, _, customer) = killed_before_it_rings();
        if rings {
            next.sip(customer, SipEvent::Ringing);
        }
        let reason = String::new();
        next.sip(customer, SipEvent::Failed { status: 408, reason, network: false, cause: None });
        let code = next.facts().find_map(|fact| match fact {
            Fact::CallbackAttempted { id: of, code, .. } if *of == id => *code,
            _ => None,
        });
        assert_eq!(code, Some(expected));
    }
}

#[test]
fn by_10_a_phone_that_had_not_rung_and_nobody_waits_for_is_cancelled() {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let customer = bench.customer();
    bench.sip(customer, SipEvent::SettingUp { data: "invite".into() });
    // Nothing is left of ann's leg.
    let mut next = bench.restart();
    assert!(next.sip.contains(&(customer, SipCommand::Resume { set_up: "invite".into() })));
    next.sip(customer, SipEvent::Trying);
    assert!(next.is_hung_up(customer));
}

#[test]
fn cb_11_what_was_attached_to_a_call_that_an_agent_has_is_on_its_record_after_a_restart() {
    let mut bench = available_agent(true);
    let ann = bench.last_dial();
    let call = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(call, "+31201", "100");
    bench.answer(call);
    bench.keep_dialogs([ann, call]);
    let wish = json!({ "_customer_number": "+31202", "_originating_interaction_id": call.to_string() });
    let id = bench.callback_with(wish);
    let legs = [format!("a-ann-{ann}"), format!("c-{call}")];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([ann, call]);
    assert!(!bench.is_hung_up(call), "they talk");
    hang_up(&mut bench, call);
    assert_eq!(summary(&bench, call).data["_CB_SERVICE_ID"], id.to_string());
}

/// The engine's word of the first packet of each direction between ann and the customer.
fn audio_flows(bench: &mut Bench, ann: CallId, customer: CallId) {
    let (agent, customer) = (format!("a-ann-{ann}"), format!("c-{customer}"));
    for (from, to, after_us) in [(&agent, &customer, 7_000), (&customer, &agent, 3_000)] {
        let (from, to) = (from.clone(), to.clone());
        bench.event(EventBody::SpliceAudio(SpliceAudio { from, to, after_us, dropped_packets: 0 }));
    }
}

fn audio_of(bench: &mut Bench, call: CallId) -> [Value; 2] {
    let view = bench.ask(ApiRequest::Call(call)).body();
    ["answer_to_audio_ms", "answer_to_open_ms"].map(|field| view[field].clone())
}

#[test]
fn by_01_answer_to_audio_is_on_the_record_of_a_call_that_was_answered_before_restarts() {
    let (mut bench, ann, customer, _) = talks_for_five_seconds();
    audio_flows(&mut bench, ann, customer);
    let legs = || [format!("a-ann-{ann}"), format!("c-{customer}")];
    let before = audio_of(&mut bench, customer);
    assert_eq!(before, [json!(7.0), json!(0.0)]);
    for _ in 0..2 {
        bench = bench.restart_with_spliced(legs());
        bench.restored([ann, customer]);
        assert_eq!(audio_of(&mut bench, customer), before);
    }
    // What a later splice takes is not the time from the answer.
    bench.pass_ms(60_000);
    audio_flows(&mut bench, ann, customer);
    hang_up(&mut bench, customer);
    let told = summary(&bench, customer);
    assert_eq!((told.answer_to_audio_ms, told.answer_to_open_ms), (Some(7.0), Some(0.0)));
}

#[test]
fn by_01_what_was_not_measured_before_a_restart_is_not_made_up_after_it() {
    let (bench, ann, customer, _) = talks_for_five_seconds();
    let legs = [format!("a-ann-{ann}"), format!("c-{customer}")];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([ann, customer]);
    bench.pass_ms(60_000);
    audio_flows(&mut bench, ann, customer);
    hang_up(&mut bench, customer);
    assert_eq!(summary(&bench, customer).answer_to_audio_ms, None);
}
