//! An engine is out of reach for less than would be noticed, and what it has told meanwhile comes late: nobody is given up whom it
//! hears (BY-02, BY-09).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::news::{alive, calling, says, silent};
use bench::{Bench, conversation};
use offhook_control_core::CallId;
use offhook_control_core::view::ConnectionStatus;
use offhook_proto::{Command, ErrorCode};

/// An agent's phone is picked up just when the engine says that it hears nothing; its call, and its leg.
fn answered_unheard() -> (Bench, CallId, String) {
    let (mut bench, ann) = calling();
    let leg = format!("a-ann-{ann}");
    says(&mut bench, silent(&leg));
    bench.answer(ann);
    (bench, ann, leg)
}

/// How often a leg was opened.
fn opened(bench: &Bench, leg: &str) -> usize {
    let own = |command: &&Command| matches!(command, Command::LegCreate(create) if create.leg == leg);
    bench.engine.iter().filter(own).count()
}

#[test]
fn by_02_by_09_a_phone_that_the_engine_hears_is_kept_though_control_has_not_been_told_so() {
    let (mut bench, ann, _) = answered_unheard();
    bench.end_play(ann);
    bench.packet_age_ms = 20;
    bench.pass_ms(60_000);
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 1));
}

#[test]
fn by_02_by_09_a_phone_is_not_given_up_before_the_engine_has_said_that_it_does_not_hear_it() {
    let (mut bench, ann, _) = answered_unheard();
    bench.packet_age_ms = 60_000;
    for _ in 0..5 {
        bench.refuse_next(|command| matches!(command, Command::LegQuery(_)), ErrorCode::Timeout);
    }
    bench.pass_ms(3_450);
    assert!(!bench.is_hung_up(ann), "it is asked each 100 ms");
    bench.pass_ms(100);
    assert!(bench.is_hung_up(ann), "and has said so at last");
}

#[test]
fn by_02_by_09_a_phone_that_is_heard_again_before_the_engine_has_said_that_it_was_not_is_kept() {
    let (mut bench, ann, leg) = answered_unheard();
    bench.end_play(ann);
    bench.packet_age_ms = 60_000;
    bench.delay_answers();
    bench.pass_ms(4_000);
    says(&mut bench, alive(&leg));
    bench.answers_arrive();
    bench.pass_ms(60_000);
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 1));
}

#[test]
fn by_02_by_09_a_phone_whose_leg_the_engine_has_lost_meanwhile_is_kept_and_the_leg_is_opened_again() {
    let (mut bench, ann, leg) = answered_unheard();
    bench.refuse_next(|command| matches!(command, Command::LegQuery(_)), ErrorCode::LegNotFound);
    bench.pass_ms(10_000);
    assert!(!bench.is_hung_up(ann));
    assert_eq!(opened(&bench, &leg), 2);
}

#[test]
fn by_09_a_customer_whom_the_engine_hears_is_kept_though_control_has_not_been_told_so() {
    for hears in [true, false] {
        let (mut bench, customer) = conversation();
        says(&mut bench, silent(&format!("c-{customer}")));
        bench.pass_ms(59_000);
        bench.packet_age_ms = if hears { 20 } else { 60_000 };
        bench.pass_ms(60_000);
        assert_eq!(bench.is_hung_up(customer), !hears);
    }
}

#[test]
fn by_09_a_customer_whose_leg_the_engine_has_lost_meanwhile_is_heard_by_the_agent_again() {
    let (mut bench, customer) = conversation();
    let leg = format!("c-{customer}");
    says(&mut bench, silent(&leg));
    bench.refuse_next(|command| matches!(command, Command::LegQuery(_)), ErrorCode::LegNotFound);
    bench.pass_ms(61_000);
    assert!(!bench.is_hung_up(customer));
    let spliced = bench.order.iter().filter(|what| *what == "splice both").count();
    assert_eq!((opened(&bench, &leg), spliced), (2, 2));
}
