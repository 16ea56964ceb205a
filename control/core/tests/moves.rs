//! Legs that are not wanted any more have no say in where others are.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::api::{ApiRequest, ConnectBody};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::{Command, ErrorCode, EventBody};

fn creations(bench: &Bench, leg: &str) -> Vec<EngineId> {
    let commands = bench.engine.iter().zip(&bench.engine_of);
    let own = |command: &Command| matches!(command, Command::LegCreate(create) if create.leg == leg);
    commands.filter(|(command, _)| own(command)).map(|(_, engine)| *engine).collect()
}

#[test]
fn by_09_an_ended_leg_that_is_still_to_be_deleted_does_not_fetch_its_customer_back() {
    let mut bench = Bench::with(|config| {
        config.engines = 2;
        config.agents.redial_delay_ms = 10;
    });
    bench.take(Input::EngineUp { engine: EngineId(1), instance: "1".into(), restarted: false });
    bench.add_agent("ann", true);
    let caller = CallId(CallId::FIRST_INCOMING);
    bench.arrives(caller, "+31205", "100");
    bench.answer(caller);
    let first = bench.dialled("ann");
    // Her phone hangs up, and nobody hears from the engine that her leg is gone.
    bench.refuse_next(|command| matches!(command, Command::LegDelete(_)), ErrorCode::Timeout);
    bench.sip(first, SipEvent::Ended { by_peer: true, reason: "bye".into() });
    bench.pass_ms(20);
    let again = bench.dialled("ann");
    assert_ne!(again, first);
    bench.answer(again);
    let there = creations(&bench, &bench.agent_leg("ann"));
    let before = creations(&bench, &format!("c-{caller}"));
    assert_eq!(before.last(), there.last(), "the customer is where the agent is");
    bench.pass_ms(1_000);
    assert_eq!(creations(&bench, &format!("c-{caller}")), before);
}

#[test]
fn pc_07_a_phone_whose_leg_the_engine_refuses_is_not_called_before_it_was_hung_up_on() {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    bench.has_lost(&format!("a-ann-{ann}"));
    let mut bench = bench.restart_with(|config| config.engines = 2);
    // Somebody asks for a connection while nobody knows yet what became of the former one.
    bench.ask(ApiRequest::Connect("ann".into(), ConnectBody::default()));
    bench.refuse_next_create(ErrorCode::Timeout);
    bench.pass_ms(3_050);
    bench.refuse_next_create(ErrorCode::OutOfPorts);
    bench.restored([ann]);
    bench.pass_ms(100);
    assert!(matches!(bench.sip.last(), Some((call, SipCommand::HangUp { .. })) if *call == ann));
    bench.sip(ann, SipEvent::Ended { by_peer: false, reason: "bye".into() });
    bench.pass_ms(2_000);
    assert_eq!(bench.dials(), 1);
}

#[test]
fn by_09_what_an_engine_that_was_cut_off_tells_of_a_leg_it_once_had_is_not_held_against_the_new_one() {
    let mut bench = Bench::with(|config| config.engines = 2);
    bench.take(Input::EngineUp { engine: EngineId(1), instance: "1".into(), restarted: false });
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    let leg = bench.agent_leg("ann");
    let first = creations(&bench, &leg)[0];
    let other = EngineId(1 - first.0);
    bench.take(Input::EngineDown { engine: first });
    bench.pass_ms(1_000);
    bench.sip(ann, SipEvent::Updated(bench::remote()));
    bench.take(Input::EngineDown { engine: other });
    bench.pass_ms(1_000);
    // Back again, the first one is asked for the leg, and tells that the phone had left it long ago.
    bench.refuse_next_create(ErrorCode::Timeout);
    bench.take(Input::EngineUp { engine: first, instance: "1".into(), restarted: false });
    let event = EventBody::LegSilent { leg: leg.clone(), silent_ms: 3_000 };
    bench.take(Input::EngineEvent { engine: first, event });
    bench.pass_ms(5_000);
    assert_eq!(creations(&bench, &leg).last(), Some(&first));
    assert!(!bench.is_hung_up(ann));
}
