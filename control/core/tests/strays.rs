//! Legs that no call has: a request that was long on its way has opened them, and they are deleted when their silence is told.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::news::{calling, says, silent};
use bench::{Bench, available_agent};
use offhook_control_core::sip::SipEvent;
use offhook_proto::{Command, ErrorCode};

fn deleted(bench: &Bench, leg: &str) -> usize {
    let own = |command: &&Command| matches!(command, Command::LegDelete(delete) if delete.leg == leg);
    bench.engine.iter().filter(own).count()
}

#[test]
fn by_09_a_leg_that_a_late_request_opened_is_deleted_and_another_controllers_is_not() {
    for (leg, is_ours) in [("a-ann-99", true), ("foreign-99", false)] {
        let mut bench = available_agent(true);
        bench.has_leg(leg);
        says(&mut bench, silent(leg));
        assert_eq!(
            (deleted(&bench, leg), bench.open_legs()),
            (usize::from(is_ours), 2 - usize::from(is_ours))
        );
    }
}

#[test]
fn by_09_whose_a_leg_is_that_no_call_has_is_asked_until_the_engine_says_it() {
    let mut bench = available_agent(true);
    bench.has_leg("a-ann-99");
    for _ in 0..3 {
        bench.refuse_next(|command| matches!(command, Command::LegQuery(_)), ErrorCode::Timeout);
    }
    says(&mut bench, silent("a-ann-99"));
    assert_eq!(deleted(&bench, "a-ann-99"), 1);
}

#[test]
fn by_09_a_leg_that_was_opened_again_after_its_phone_could_not_be_called_is_deleted() {
    let (mut bench, ann) = calling();
    let leg = bench.agent_leg("ann");
    bench.sip(ann, SipEvent::Failed { status: 503, reason: String::new(), network: true, cause: None });
    assert_eq!(bench.open_legs(), 0);
    // The first request for it was doubled on its way.
    bench.has_leg(&leg);
    says(&mut bench, silent(&leg));
    assert_eq!((deleted(&bench, &leg), bench.open_legs()), (2, 0));
}
