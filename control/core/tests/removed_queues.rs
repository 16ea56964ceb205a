//! A queue is taken out of the settings while somebody waits in it.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::{self, Caller};
use bench::{Bench, agent};
use offhook_control_core::api::{ApiRequest, LoginBody, StatusBody, WantedStatus};

/// An agent with one skill goes off hook and is available.
fn joins(bench: &mut Bench, id: &str, skill: &str) {
    let mut body = agent(false, true);
    body.skills = vec![skill.to_owned()];
    bench.ask(ApiRequest::PutAgent(id.into(), body));
    bench.ask(ApiRequest::Login(id.into(), LoginBody::default()));
    bench.ask(ApiRequest::SetStatus(id.into(), StatusBody { status: WantedStatus::Available }));
    let call = bench.dialled(id);
    bench.answer(call);
    bench.end_play(call);
}

/// The caller is left to the one who is able, though another one is ready first.
fn is_served_by_who_is_able(bench: &mut Bench, caller: &Caller) {
    joins(bench, "ann", "support");
    bench.pass_ms(30_000);
    assert_eq!(bench.last_splice(), None, "Ann has not the skill");
    assert!(!caller.was_dropped(bench));
    joins(bench, "bob", "sales");
    let leg = format!("c-{}", caller.0);
    assert_eq!(bench.last_splice(), Some((bench.agent_leg("bob"), leg)));
}

#[test]
fn who_waits_in_a_queue_that_is_removed_is_served_by_agents_of_its_skill() {
    let mut bench = Bench::new();
    let caller = flow::arrive_at(&mut bench, 1, "+31201", "100");
    bench.reconfigure(|config| config.queues.clear());
    // Settings that are read once more change nothing about it.
    bench.reconfigure(|_| {});
    is_served_by_who_is_able(&mut bench, &caller);
}

#[test]
fn by_10_who_waits_in_a_queue_that_is_removed_over_a_restart_is_served_by_agents_of_its_skill() {
    let mut bench = Bench::new();
    let caller = flow::arrive_at(&mut bench, 1, "+31201", "100");
    let mut bench = bench.restart_with(|config| config.queues.clear());
    bench.restored([caller.0]);
    is_served_by_who_is_able(&mut bench, &caller);
}

#[test]
fn by_10_who_was_called_back_and_lost_their_agent_over_a_restart_without_the_queue_keeps_its_skill() {
    let mut bench = Bench::new();
    joins(&mut bench, "eve", "sales");
    bench.callback("+31201");
    let customer = Caller(bench.customer());
    bench.answer(customer.0);
    bench.keep_dialogs([customer.0]);
    let mut bench = bench.restart_with(|config| config.queues.clear());
    bench.restored([customer.0]);
    is_served_by_who_is_able(&mut bench, &customer);
}

#[test]
fn by_10_a_flows_caller_keeps_the_skill_that_was_asked_for_over_a_restart_without_the_queue() {
    let mut bench = Bench::with(flow::with(flow::example(flow::callback(), &[])));
    let caller = flow::arrive(&mut bench, 1, "+31201");
    let mut bench = bench.restart_with(|config| config.queues.clear());
    bench.restored([caller.0]);
    is_served_by_who_is_able(&mut bench, &caller);
}

#[test]
fn qc_15_a_callback_is_an_error_where_the_queue_was_removed_and_the_caller_is_not_let_go() {
    let mut bench = Bench::with(flow::with(flow::example(flow::callback(), &[])));
    let caller = flow::arrive(&mut bench, 1, "+31201");
    bench.reconfigure(|config| config.queues.clear());
    bench.pass_ms(30_000);
    caller.press(&mut bench, '1');
    bench.end_play(caller.0);
    assert!(flow::stored(&bench).is_empty());
    is_served_by_who_is_able(&mut bench, &caller);
}

#[test]
fn a_queue_that_comes_back_has_its_new_settings() {
    let mut bench = Bench::new();
    let caller = flow::arrive_at(&mut bench, 1, "+31201", "100");
    let queues = bench.config.queues.clone();
    bench.reconfigure(|config| config.queues.clear());
    bench.reconfigure(|config| {
        config.queues = queues;
        config.queues[0].skill = Some("support".into());
    });
    joins(&mut bench, "ann", "support");
    let leg = format!("c-{}", caller.0);
    assert_eq!(bench.last_splice(), Some((bench.agent_leg("ann"), leg)));
}
