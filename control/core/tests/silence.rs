//! Phones that fall silent, and silences that nobody was there to be told of (BY-02).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::{Caller, announce, arrive, flow, request, step, with};
use bench::news::{alive, calling, says, silent};
use bench::{Bench, available_agent, conversation};
use offhook_control_core::api::{ApiRequest, LoginBody, StatusBody, WantedStatus};
use offhook_control_core::config::Config;
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::view::{AgentStatus, ConnectionStatus};
use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::{Command, ErrorCode, EventBody, PlayEnd};

fn is_told_again(bench: &Bench, call: CallId) -> bool {
    let told =
        |(id, command): &(CallId, SipCommand)| *id == call && matches!(command, SipCommand::ReOffer { .. });
    bench.sip.iter().any(told)
}

/// Ann is off hook; her phone fell silent so long ago, and control died since.
fn restarted(last_packet_ms: u64) -> (Bench, CallId) {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    bench.packet_age_ms = last_packet_ms;
    let mut bench = bench.restart();
    bench.restored([ann]);
    (bench, ann)
}

#[test]
fn by_02_by_10_a_phone_that_fell_silent_while_control_was_away_is_told_again_and_then_given_up() {
    let (mut bench, ann) = restarted(30_000);
    assert!(is_told_again(&bench, ann), "it may have lost its way");
    bench.pass_ms(2_900);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.pass_ms(200);
    assert_ne!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.pass_ms(5_000);
    assert_eq!(bench.dials(), 1, "it is called again");
}

#[test]
fn by_02_by_10_a_phone_that_is_told_again_after_a_restart_is_believed_by_sip_once_it_has_agreed() {
    for agrees in [false, true] {
        let (mut bench, ann) = restarted(30_000);
        // What the dialog was when it was taken up.
        bench.keep_dialogs([ann]);
        if agrees {
            bench.keep_dialogs([ann]);
        }
        bench.pass_ms(3_050);
        assert_eq!(bench.probes(ann), usize::from(agrees));
        assert_eq!(bench.agent("ann").connection == ConnectionStatus::Up, agrees);
    }
}

#[test]
fn by_02_a_phone_is_silent_for_as_long_as_the_engine_knows_it_and_no_longer() {
    let (mut bench, ann) = calling();
    // The engine is told late where the phone is, and takes nothing from it until then.
    for _ in 0..2 {
        bench.refuse_next(|command| matches!(command, Command::LegUpdate(_)), ErrorCode::Timeout);
    }
    bench.packet_age_ms = 60_000;
    bench.answer(ann);
    says(&mut bench, silent(&format!("a-ann-{ann}")));
    bench.pass_ms(3_050);
    assert!(!bench.is_hung_up(ann), "it was told 100 ms after the answer");
    bench.pass_ms(100);
    assert!(bench.is_hung_up(ann));
}

#[test]
fn by_02_by_10_a_phone_that_speaks_again_after_a_restart_is_kept() {
    let (mut bench, ann) = restarted(30_000);
    bench.pass_ms(1_000);
    says(&mut bench, alive(&format!("a-ann-{ann}")));
    bench.pass_ms(60_000);
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 0));
}

#[test]
fn by_10_a_phone_that_is_heard_is_left_alone_after_a_restart() {
    let (mut bench, ann) = restarted(640);
    bench.pass_ms(60_000);
    assert!(!is_told_again(&bench, ann));
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 0));
}

#[test]
fn by_10_a_phone_that_followed_when_nobody_could_tell_the_engine_where_it_is_is_asked_after_a_restart() {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    let mut bench = bench.untold().restart();
    bench.restored([ann]);
    assert!(is_told_again(&bench, ann));
}

/// Ann and a customer talk; both fell silent so long ago, and control died since.
fn talking(last_packet_ms: u64) -> (Bench, CallId, CallId) {
    let (mut bench, customer) = conversation();
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann, customer]);
    bench.packet_age_ms = last_packet_ms;
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([ann, customer]);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    (bench, ann, customer)
}

#[test]
fn by_03_by_10_the_customer_of_a_phone_that_fell_silent_while_control_was_away_is_held() {
    let (mut bench, ann, customer) = talking(30_000);
    says(&mut bench, alive(&format!("c-{customer}")));
    bench.pass_ms(6_900);
    assert!(!bench.is_hung_up(ann));
    bench.pass_ms(200);
    assert!(bench.is_hung_up(ann), "it has been silent for as long as it may be in a conversation");
    assert!(!bench.played(customer).is_empty(), "the customer is held");
    bench.pass_ms(5_000);
    assert_ne!(bench.dialled("ann"), ann, "and the agent is called again");
}

#[test]
fn by_10_a_customer_who_fell_silent_while_control_was_away_does_not_hold_an_agent_for_ever() {
    let (mut bench, ann, customer) = talking(90_000);
    says(&mut bench, alive(&format!("a-ann-{ann}")));
    bench.pass_ms(59_000);
    assert!(!bench.is_hung_up(customer));
    bench.pass_ms(2_000);
    assert!(bench.is_hung_up(customer));
    assert_ne!(bench.agent("ann").status, AgentStatus::OnCall);
    assert!(!bench.is_hung_up(ann));
}

#[test]
fn by_10_a_silence_that_is_told_while_another_engine_is_waited_for_is_not_lost() {
    for speaks_again in [false, true] {
        let mut bench = Bench::with(|config| config.engines = 2);
        bench.take(Input::EngineUp { engine: EngineId(1), instance: "2".into(), restarted: false });
        bench.add_agent("ann", true);
        let ann = bench.dialled("ann");
        bench.keep_dialogs([ann]);
        let mut bench = bench.restart_with(|config| config.engines = 2);
        let leg = format!("a-ann-{ann}");
        bench.pass_ms(1_000);
        says(&mut bench, silent(&leg));
        if speaks_again {
            says(&mut bench, alive(&leg));
        } else {
            bench.packet_age_ms = 3_000;
        }
        bench.pass_ms(3_000);
        bench.restored([ann]);
        bench.pass_ms(4_000);
        assert_eq!(bench.agent("ann").connection == ConnectionStatus::Up, speaks_again);
    }
}

#[test]
fn by_02_a_silence_that_was_lost_with_other_events_is_noticed() {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.pass_ms(60_000);
    bench.packet_age_ms = 10_000;
    says(&mut bench, EventBody::EventsLost { count: 4_096 });
    assert_eq!(bench.probes(ann), 1, "it is asked by SIP");
    bench.pass_ms(3_000);
    assert!(bench.is_hung_up(ann), "which it does not answer");
}

/// Ann's phone was heard, and is not any more since 3 s.
fn muted(change: impl FnOnce(&mut Config)) -> (Bench, CallId) {
    let mut bench = Bench::with(change);
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    let leg = bench.agent_leg("ann");
    says(&mut bench, EventBody::LegLatched { leg: leg.clone(), source: ([127, 0, 0, 2], 4_000).into() });
    bench.pass_ms(60_000);
    bench.packet_age_ms = 3_000;
    says(&mut bench, silent(&leg));
    (bench, ann)
}

#[test]
fn by_02_a_phone_that_sends_nothing_is_kept_for_as_long_as_it_answers_by_sip_and_no_longer() {
    let (mut bench, ann) = muted(|_| ());
    for asked in 1..20 {
        assert_eq!(bench.probes(ann), asked);
        bench.pass_ms(1_000);
        bench.sip(ann, SipEvent::Alive);
        bench.pass_ms(4_000);
    }
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 1));
    bench.pass_ms(2_900);
    assert!(!bench.is_hung_up(ann));
    bench.pass_ms(200);
    assert!(bench.is_hung_up(ann), "the last time it did not answer");
}

#[test]
fn by_02_a_phone_is_not_silent_while_the_engine_does_not_know_where_it_is() {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::PutAgent("ann".into(), bench::agent(false, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
    let ann = bench.dialled("ann");
    let leg = bench.agent_leg("ann");
    bench.pass_ms(3_000);
    says(&mut bench, silent(&leg));
    // The engine is out of reach when the phone is picked up.
    bench.take(Input::EngineDown { engine: EngineId(0) });
    bench.packet_age_ms = 60_000;
    bench.answer(ann);
    bench.pass_ms(4_000);
    assert!(!bench.is_hung_up(ann));
    bench.take(Input::EngineUp { engine: EngineId(0), instance: "1".into(), restarted: false });
    bench.pass_ms(60_000);
    assert!(bench.is_hung_up(ann), "it knows it since, and hears nothing");
}

#[test]
fn by_02_an_answer_that_nobody_waits_for_proves_nothing() {
    let (mut bench, ann) = muted(|_| ());
    bench.sip(ann, SipEvent::Alive);
    bench.pass_ms(2_000);
    bench.sip(ann, SipEvent::Alive);
    bench.callback("+31201");
    assert_eq!((bench.probes(ann), bench.dials_to_trunk()), (2, 0));
}

#[test]
fn by_02_a_phone_that_knows_of_no_call_any_more_is_called_again() {
    let (mut bench, ann) = muted(|_| ());
    bench.sip(ann, SipEvent::Ended { by_peer: true, reason: "481".into() });
    bench.pass_ms(5_000);
    assert_ne!(bench.dialled("ann"), ann);
}

#[test]
fn by_02_a_customer_is_dialled_for_a_muted_phone_once_it_has_answered_by_sip() {
    let (mut bench, ann) = muted(|_| ());
    bench.sip(ann, SipEvent::Alive);
    bench.pass_ms(2_000);
    bench.callback("+31201");
    bench.pass_ms(500);
    assert_eq!(
        (bench.probes(ann), bench.dials_to_trunk()),
        (2, 0),
        "what it said two seconds ago is too old"
    );
    bench.sip(ann, SipEvent::Alive);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn by_02_no_customer_is_dialled_for_a_muted_phone_that_does_not_answer_by_sip() {
    let (mut bench, ann) = muted(|_| ());
    bench.sip(ann, SipEvent::Alive);
    bench.pass_ms(2_000);
    bench.callback("+31201");
    bench.pass_ms(3_100);
    assert!(bench.is_hung_up(ann));
    assert_eq!(bench.dials_to_trunk(), 0);
}

#[test]
fn by_02_a_phone_on_demand_that_answers_by_sip_while_it_is_hung_up_on_is_called_again_after_that_and_not_before()
 {
    let mut bench = Bench::with(|config| config.queues[0].wrap_up_ms = 0);
    bench.add_agent_on_demand("ann");
    bench.callback("+31201");
    let phone = bench.dialled("ann");
    bench.answer(phone);
    let (leg, customer) = (bench.agent_leg("ann"), bench.customer());
    says(&mut bench, EventBody::LegLatched { leg: leg.clone(), source: ([127, 0, 0, 2], 4_000).into() });
    bench.answer(customer);
    bench.callback("+31202");
    bench.pass_ms(10_000);
    says(&mut bench, silent(&leg));
    // The engine has the leg still when the phone answers.
    bench.refuse_next(|command| matches!(command, Command::LegDelete(_)), ErrorCode::Timeout);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert!(bench.probes(phone) == 1 && bench.is_hung_up(phone));
    bench.sip(phone, SipEvent::Alive);
    bench.pass_ms(5_000);
    assert_eq!(bench.dials(), 2, "ann and the first customer");
    bench.sip(phone, SipEvent::Ended { by_peer: false, reason: String::new() });
    assert_ne!(bench.dialled("ann"), phone);
}

#[test]
fn by_02_a_dead_phone_is_called_again_after_what_was_asked_of_its_call_before() {
    let (mut bench, first) = muted(|_| ());
    bench.pass_ms(10_000);
    let second = bench.dialled("ann");
    bench.sip(second, SipEvent::Failed { status: 486, reason: String::new(), network: false, cause: None });
    bench.pass_ms(10_000);
    let third = bench.dialled("ann");
    let after = |of: CallId| {
        bench.sip.iter().find_map(|(call, command)| match command {
            SipCommand::Dial { after, .. } if *call == of => Some(*after),
            _ => None,
        })
    };
    assert_eq!([first, second, third].map(after), [None, Some(first), Some(second)].map(Some));
}

#[test]
fn by_03_an_agent_who_mutes_the_phone_in_mid_call_keeps_the_customer() {
    let (mut bench, customer) = conversation();
    let ann = bench.dialled("ann");
    let leg = bench.agent_leg("ann");
    says(&mut bench, EventBody::LegLatched { leg: leg.clone(), source: ([127, 0, 0, 2], 4_000).into() });
    bench.pass_ms(10_000);
    bench.packet_age_ms = 3_000;
    says(&mut bench, silent(&leg));
    for _ in 0..10 {
        bench.pass_ms(1_000);
        bench.sip(ann, SipEvent::Alive);
        bench.pass_ms(4_000);
    }
    assert!(!bench.is_hung_up(ann) && !bench.is_hung_up(customer));
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    bench.pass_ms(3_000);
    assert!(bench.is_hung_up(ann), "it stopped answering");
    assert!(!bench.played(customer).is_empty(), "the customer is held");
}

#[test]
fn by_02_a_media_timeout_ends_the_leg_of_a_silent_phone_whatever_it_says_by_sip() {
    let (mut bench, ann) = muted(|config| config.agents.media_timeout_s = 30);
    for _ in 0..5 {
        bench.pass_ms(500);
        bench.sip(ann, SipEvent::Alive);
        bench.pass_ms(4_500);
    }
    bench.sip(ann, SipEvent::Alive);
    bench.pass_ms(1_000);
    assert!(!bench.is_hung_up(ann), "29 s");
    bench.pass_ms(2_000);
    assert!(bench.is_hung_up(ann));
}

#[test]
fn by_09_a_muted_phone_that_agreed_to_follow_its_leg_to_another_engine_is_kept_there() {
    let (mut bench, ann) = muted(|config| config.engines = 1);
    bench.engine_restarts(EngineId(0));
    bench.pass_ms(1_000);
    bench.keep_dialogs([ann]);
    says(&mut bench, silent(&format!("a-ann-{ann}")));
    for _ in 0..5 {
        bench.pass_ms(1_000);
        bench.sip(ann, SipEvent::Alive);
        bench.pass_ms(4_000);
    }
    assert_eq!((bench.agent("ann").connection, bench.dials()), (ConnectionStatus::Up, 1));
}

#[test]
fn a_leg_that_is_heard_again_when_the_engine_is_asked_is_not_given_up() {
    let (mut bench, _) = conversation();
    let ann = bench.dialled("ann");
    bench.pass_ms(10_000);
    let leg = bench.agent_leg("ann");
    says(&mut bench, silent(&leg));
    bench.pass_ms(1_000);
    says(&mut bench, EventBody::EventsLost { count: 4_096 });
    bench.pass_ms(10_000);
    assert!(!bench.is_hung_up(ann));
}

/// Somebody who calls in and hears a first prompt, and then a second.
fn two_prompts() -> (Bench, Caller) {
    let flow = flow(vec![
        step("ask", request(), &[("Default", "first")]),
        step("first", announce("first.wav"), &[("Default", "second")]),
        step("second", announce("second.wav"), &[]),
    ]);
    let mut bench = Bench::with(with(flow));
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(caller.hears(&bench), ["first.wav"]);
    (bench, caller)
}

#[test]
fn by_09_a_prompt_that_ended_with_the_leg_that_it_was_played_to_is_not_over() {
    let (mut bench, caller) = two_prompts();
    bench.end_play_by(caller.0, PlayEnd::LegDeleted);
    assert_eq!(caller.hears(&bench), ["first.wav"], "it is played where the leg is opened again");
    bench.end_play(caller.0);
    assert_eq!(caller.hears(&bench), ["second.wav"]);
}

#[test]
fn the_end_of_a_prompt_that_was_lost_with_other_events_is_noticed() {
    let (mut bench, caller) = two_prompts();
    says(&mut bench, EventBody::EventsLost { count: 4_096 });
    assert_eq!(caller.hears(&bench), ["second.wav"]);
}
