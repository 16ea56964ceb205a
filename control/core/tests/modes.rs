//! Connection modes and their settings, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent, available_agent};
use offhook_control_core::api::{ApiRequest, LoginBody, StatusBody, WantedStatus};
use offhook_control_core::record::Station;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use offhook_control_core::view::{AgentStatus, ConnectionStatus};
use offhook_proto::Command;

fn set(bench: &mut Bench, status: WantedStatus) {
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status }));
}

/// Ann, logged in, with or without a persistent leg and automatic acceptance.
fn ann(persistent: bool, auto_accept: bool) -> Bench {
    let mut bench = Bench::new();
    let mut body = agent(false, auto_accept);
    body.persistent = persistent;
    bench.ask(ApiRequest::PutAgent("ann".into(), body));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    bench
}

/// Whether the last call to Ann's phone asked it to answer by itself.
fn told_to_answer(bench: &Bench) -> bool {
    let last = bench.sip.iter().rev().find_map(|(_, command)| match command {
        SipCommand::Dial { target: Target::Registered { .. }, auto_answer, .. } => Some(*auto_answer),
        _ => None,
    });
    last.expect("the phone was called")
}

#[test]
fn pc_06_log_in_with_initiate_calls_the_station() {
    let mut bench = ann(true, true);
    bench.ask(ApiRequest::Logout("ann".into()));
    assert_eq!(bench.dials(), 0);
    bench.ask(ApiRequest::Login("ann".into(), LoginBody { initiate: true }));
    assert_eq!(bench.dials(), 1);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
}

#[test]
fn pc_06_the_end_of_a_break_calls_the_station_again_when_the_leg_was_lost() {
    let mut bench = available_agent(true);
    set(&mut bench, WantedStatus::OnBreak);
    let call = bench.dialled("ann");
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(60_000);
    let before = bench.dials();
    set(&mut bench, WantedStatus::Available);
    assert_eq!(bench.dials(), before + 1);
}

#[test]
fn pc_09_an_idle_leg_is_closed_after_the_configured_minutes_and_a_used_one_is_not() {
    let mut bench = Bench::with(|config| config.agents.idle_timeout_min = 2);
    bench.add_agent("ann", true);
    bench.pass_ms(119_000);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.callback("+31201");
    let customer = bench.customer();
    bench.answer(customer);
    bench.pass_ms(300_000);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up, "it is in use");
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(300_000);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
    let leg = bench.dialled("ann");
    assert!(bench.sip.iter().any(|(id, command)| *id == leg && matches!(command, SipCommand::HangUp { .. })));
}

#[test]
fn pc_09_without_a_time_out_an_idle_leg_stays() {
    let mut bench = available_agent(true);
    bench.pass_ms(86_400_000);
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 1));
}

#[test]
fn pm_01_on_demand_has_a_leg_for_each_call_and_persistent_one_for_the_day() {
    let mut bench = ann(false, true);
    set(&mut bench, WantedStatus::Available);
    assert_eq!((bench.agent("ann").status, bench.dials()), (AgentStatus::Available, 0));
    for number in 1..=2 {
        bench.callback(&format!("+3120{number}"));
        let phone = bench.dialled("ann");
        bench.answer(phone);
        bench.end_play(phone);
        let customer = bench.customer();
        bench.answer(customer);
        bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
        let ended = bench
            .sip
            .iter()
            .any(|(id, command)| *id == phone && matches!(command, SipCommand::HangUp { .. }));
        assert!(ended, "the leg of call {number} ends with it");
        bench.sip(phone, SipEvent::Ended { by_peer: false, reason: String::new() });
        bench.pass_ms(6_000);
    }
    assert_eq!((bench.dials(), bench.dials_to_trunk()), (4, 2));
}

#[test]
fn pm_07_another_workplace_drops_the_leg_and_is_called_with_a_new_pin() {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(true, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    set(&mut bench, WantedStatus::Available);
    let old = bench.dialled("ann");
    bench.answer(old);
    let mut moved = agent(true, true);
    moved.station = Some(Station::Number { number: "+31209".into() });
    bench.ask(ApiRequest::PutAgent("ann".into(), moved));
    assert!(bench.sip.iter().any(|(id, command)| *id == old && matches!(command, SipCommand::HangUp { .. })));
    bench.sip(old, SipEvent::Ended { by_peer: false, reason: String::new() });
    bench.pass_ms(2_000);
    let new = bench.customer();
    assert_ne!(new, old);
    bench.answer(new);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Validating);
    assert_eq!(bench.played(new).len(), bench.played(old).len(), "a PIN is spoken there too");
}

#[test]
fn pm_12_the_phone_is_told_to_answer_only_on_demand_with_automatic_acceptance() {
    for (persistent, auto_accept, expected) in
        [(false, false, false), (false, true, true), (true, false, false), (true, true, false)]
    {
        let mut bench = ann(persistent, auto_accept);
        set(&mut bench, WantedStatus::Available);
        if !persistent {
            bench.callback("+31201");
            if !auto_accept {
                bench.ask(ApiRequest::Accept("ann".into()));
            }
        }
        assert_eq!(told_to_answer(&bench), expected, "persistent {persistent}, automatic {auto_accept}");
    }
}

#[test]
fn pm_12_off_hook_a_click_is_needed_unless_acceptance_is_automatic() {
    for auto_accept in [false, true] {
        let mut bench = available_agent(auto_accept);
        bench.callback("+31201");
        assert_eq!(bench.dials_to_trunk(), usize::from(auto_accept));
        let expected = if auto_accept { AgentStatus::OnCall } else { AgentStatus::Offered };
        assert_eq!(bench.agent("ann").status, expected);
    }
}

#[test]
fn pm_14_nothing_is_played_to_the_agent_when_a_customer_is_joined() {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let customer = bench.customer();
    let leg = bench.agent_leg("ann");
    let before = bench.engine.len();
    bench.answer(customer);
    let played = bench.engine[before..]
        .iter()
        .any(|command| matches!(command, Command::Play(play) if play.leg == leg));
    assert!(!played);
    assert!(bench.engine[before..].iter().any(|command| matches!(command, Command::Splice(_))));
}
