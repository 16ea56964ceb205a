//! Customers' keys that nobody is to hear: the number of a card.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, conversation};
use offhook_control_core::api::{ApiReply, ApiRequest, KeysBody};
use offhook_control_core::view::{KeysStatus, Notification};
use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::{Command, DtmfMode};

fn block(bench: &mut Bench, blocked: bool) -> KeysStatus {
    match bench.ask(ApiRequest::BlockKeys("ann".into(), KeysBody { blocked })) {
        ApiReply::Call(view) => view.keys,
        other => panic!("{other:?}"),
    }
}

fn keys(bench: &mut Bench, call: CallId) -> KeysStatus {
    match bench.ask(ApiRequest::Call(call)) {
        ApiReply::Call(view) => view.keys,
        other => panic!("{other:?}"),
    }
}

/// What the engine was last told of a leg's keys.
fn told(bench: &Bench, call: CallId) -> Option<DtmfMode> {
    let leg = format!("c-{call}");
    bench.engine.iter().rev().find_map(|command| match command {
        Command::LegUpdate(update) if update.leg == leg => update.dtmf,
        Command::LegCreate(create) if create.leg == leg => Some(create.dtmf),
        _ => None,
    })
}

#[test]
fn a_customers_keys_are_blocked_when_the_engine_says_so_and_heard_again_when_that_is_undone() {
    let (mut bench, call) = conversation();
    assert_eq!((told(&bench, call), keys(&mut bench, call)), (Some(DtmfMode::Pass), KeysStatus::Heard));
    assert_eq!(block(&mut bench, true), KeysStatus::Blocking, "asked, not confirmed");
    assert_eq!((told(&bench, call), keys(&mut bench, call)), (Some(DtmfMode::Block), KeysStatus::Blocked));
    let last = bench.notes.iter().rev().find_map(|note| match note {
        Notification::Call(view) if view.id == call.to_string() => Some(view.keys),
        _ => None,
    });
    assert_eq!(last, Some(KeysStatus::Blocked), "whoever listens is told");
    block(&mut bench, false);
    assert_eq!((told(&bench, call), keys(&mut bench, call)), (Some(DtmfMode::Pass), KeysStatus::Heard));
}

#[test]
fn blocked_keys_stay_blocked_when_the_leg_moves_to_another_engine() {
    let mut bench = Bench::with(|config| config.engines = 2);
    bench.take(Input::EngineUp { engine: EngineId(1), instance: "2".into(), restarted: false });
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let call = bench.customer();
    bench.answer(call);
    block(&mut bench, true);
    bench.take(Input::EngineDown { engine: EngineId(0) });
    bench.pass_ms(5_000);
    let created = bench.engine.iter().rev().find_map(|command| match command {
        Command::LegCreate(create) if create.leg == format!("c-{call}") => Some(create.dtmf),
        _ => None,
    });
    assert_eq!(created, Some(DtmfMode::Block));
    assert_eq!(keys(&mut bench, call), KeysStatus::Blocked);
}

#[test]
fn blocked_keys_stay_blocked_when_control_and_the_engine_die_together() {
    for blocked in [true, false] {
        let (mut bench, call) = conversation();
        let dialogs = [bench.dialled("ann"), call];
        bench.keep_dialogs(dialogs);
        block(&mut bench, true);
        block(&mut bench, blocked);
        let mut bench = bench.restart();
        bench.restored(dialogs);
        bench.take(Input::EngineUp { engine: EngineId(0), instance: "2".into(), restarted: true });
        let expected = if blocked { DtmfMode::Block } else { DtmfMode::Pass };
        assert_eq!(told(&bench, call), Some(expected));
    }
}

#[test]
fn that_keys_are_blocked_does_not_wait_for_the_disk() {
    let (mut bench, _) = conversation();
    bench.order.clear();
    block(&mut bench, true);
    block(&mut bench, false);
    let order: Vec<_> = bench.order.iter().filter(|step| step.contains("keys")).collect();
    assert_eq!(order, ["keys block", "record keys_blocked", "keys pass", "record keys_blocked"]);
}

#[test]
fn an_agent_without_a_customer_has_no_keys_to_block() {
    let mut bench = Bench::new();
    bench.add_agent("ann", true);
    let reply = bench.ask(ApiRequest::BlockKeys("ann".into(), KeysBody { blocked: true }));
    assert!(matches!(reply, ApiReply::Error(error) if (error.status, error.code) == (409, "no_call")));
    let reply = bench.ask(ApiRequest::BlockKeys("eve".into(), KeysBody { blocked: true }));
    assert!(matches!(reply, ApiReply::Error(error) if error.status == 404));
}
