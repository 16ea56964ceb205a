//! Conversations that the loss of an agent's phone cuts short, as reports show them (BY-03, PV-03).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::reports::events;
use bench::{Bench, conversation};
use offhook_control_core::CallId;
use offhook_control_core::record::Fact;
use offhook_control_core::report::Report;
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;

/// Ann's phone is gone after twenty seconds with a customer, and no call to it is answered.
fn ann_is_lost() -> (Bench, CallId) {
    let (mut bench, customer) = conversation();
    bench.keep_dialogs([customer]);
    bench.pass_ms(20_000);
    let ann = bench.dialled("ann");
    bench.sip(ann, SipEvent::Ended { by_peer: false, reason: String::new() });
    (bench, customer)
}

fn hang_up(bench: &mut Bench, call: CallId) {
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
}

/// Of each event: sequence, `ciq`, and how long it lasted and was spoken in, in seconds.
fn call_events(bench: &mut Bench) -> Vec<(u32, String, u64, u64)> {
    let rows = events(bench, Report::CallEvents).into_iter();
    rows.map(|row| (row.call_sequence, row.ciq, row.duration_tot_sec, row.duration_speak_sec)).collect()
}

fn a(sequence: u32, seconds: u64) -> (u32, String, u64, u64) {
    (sequence, "a".to_owned(), seconds, seconds)
}

fn c(sequence: u32, seconds: u64) -> (u32, String, u64, u64) {
    (sequence, "c".to_owned(), seconds, seconds)
}

#[test]
fn by_03_pv_03_the_event_of_an_agent_who_is_lost_for_good_ends_with_their_phone() {
    let (mut bench, customer) = ann_is_lost();
    bench.pass_ms(25_000);
    hang_up(&mut bench, customer);
    assert_eq!(call_events(&mut bench), [a(2, 20), c(3, 45)]);
}

#[test]
fn by_03_pv_03_whoever_takes_the_customer_over_has_an_event_of_their_own_and_the_pause_is_nobodys() {
    let (mut bench, customer) = ann_is_lost();
    bench.pass_ms(40_000);
    bench.add_agent("bob", true);
    bench.pass_ms(10_000);
    hang_up(&mut bench, customer);
    let rows = call_events(&mut bench);
    assert_eq!(rows[0], a(2, 20));
    assert!(rows[2] == a(4, 10) || rows[2] == a(4, 9), "{rows:?}");
}

#[test]
fn by_03_pv_03_an_agent_who_comes_back_has_one_event() {
    let (mut bench, customer) = ann_is_lost();
    bench.pass_ms(5_000);
    let again = bench.dialled("ann");
    bench.answer(again);
    bench.pass_ms(10_000);
    hang_up(&mut bench, customer);
    assert_eq!(call_events(&mut bench), [a(2, 35), c(3, 35)]);
}

#[test]
fn by_03_by_10_the_event_ends_with_the_phone_also_when_control_is_restarted_before_the_call_is_over() {
    let (mut bench, customer) = ann_is_lost();
    bench.pass_ms(9_000);
    let mut bench = bench.restart();
    bench.restored([customer]);
    bench.pass_ms(10_000);
    hang_up(&mut bench, customer);
    assert_eq!(call_events(&mut bench), [a(2, 20), c(3, 40)]);
}

#[test]
fn by_03_by_10_who_were_joined_again_go_on_though_control_died_before_that_was_on_record() {
    let (mut bench, customer) = ann_is_lost();
    bench.pass_ms(3_000);
    let again = bench.dialled("ann");
    bench.answer(again);
    bench.keep_dialogs([again]);
    let joined = bench.records.iter().rposition(|record| matches!(record.fact, Fact::Connected { .. }));
    bench.records.remove(joined.expect("they were joined again"));
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([again, customer]);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    bench.pass_ms(10_000);
    hang_up(&mut bench, customer);
    assert_eq!(call_events(&mut bench), [a(2, 34), c(3, 34)]);
}
