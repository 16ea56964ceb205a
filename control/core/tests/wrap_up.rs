//! Wrap-up goes on over a restart of control, for as long as was left of it (BY-10).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::CallId;
use offhook_control_core::api::{ApiRequest, LoginBody, StatusBody, WantedStatus};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::AgentStatus;

/// Ann has talked until now, and wraps up for five seconds; her leg outlives a restart.
fn wraps_up() -> (Bench, CallId) {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    talks(&mut bench);
    assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp);
    (bench, ann)
}

fn talks(bench: &mut Bench) {
    bench.callback("+31201");
    let customer = bench.customer();
    bench.answer(customer);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
}

#[test]
fn by_10_wrap_up_lasts_as_long_over_a_restart_and_nobody_is_given_to_the_agent_before() {
    let (mut bench, ann) = wraps_up();
    let since_ms = bench.agent("ann").since_ms;
    bench.pass_ms(1_000);
    // A second goes by until the next run.
    let mut bench = bench.restart();
    bench.restored([ann]);
    bench.callback("+31202");
    bench.pass_ms(2_900);
    assert_eq!((bench.agent("ann").status, bench.dials_to_trunk()), (AgentStatus::WrapUp, 0));
    assert_eq!(bench.agent("ann").since_ms, since_ms);
    bench.pass_ms(200);
    assert_eq!((bench.agent("ann").status, bench.dials_to_trunk()), (AgentStatus::OnCall, 1));
}

#[test]
fn by_10_wrap_up_that_was_over_before_a_restart_is_over_after_it() {
    let done: [fn(&mut Bench); 5] = [
        |bench| bench.pass_ms(5_000),
        |bench| drop(bench.ask(ApiRequest::WrapUpDone("ann".into()))),
        |bench| {
            bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
        },
        |bench| bench.pass_ms(4_000),
        |bench| {
            bench.ask(ApiRequest::Logout("ann".into()));
            bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
        },
    ];
    for (which, done) in done.into_iter().enumerate() {
        let (mut bench, ann) = wraps_up();
        done(&mut bench);
        let mut bench = bench.restart();
        bench.restored([ann]);
        assert_ne!(bench.agent("ann").status, AgentStatus::WrapUp, "{which}");
    }
}

#[test]
fn by_10_wrap_up_is_no_longer_and_no_shorter_because_the_calendar_was_set() {
    for by_s in [3_600, -3_600] {
        let (mut bench, ann) = wraps_up();
        bench.set_calendar(by_s);
        let mut bench = bench.restart();
        bench.restored([ann]);
        bench.pass_ms(3_900);
        assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp, "set by {by_s} s");
        bench.pass_ms(200);
        assert_eq!(bench.agent("ann").status, AgentStatus::Available, "set by {by_s} s");
    }
}

#[test]
fn by_10_whose_customer_comes_back_to_them_within_the_wrap_up_talks_on_after_a_restart() {
    let (mut bench, ann) = wraps_up();
    let first = bench.records.len();
    bench.ask(ApiRequest::WrapUpDone("ann".into()));
    // The record that the wrap-up was over is lost with the disk of the time, so that its end is not known.
    bench.records.truncate(first);
    bench.callback("+31202");
    let customer = bench.customer();
    bench.answer(customer);
    bench.keep_dialogs([customer]);
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([ann, customer]);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
}
