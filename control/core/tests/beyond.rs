//! What no other product offers: measured audio, proof before dialling, resumption, fairness, restarts.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::available_agent;
use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::record::{CallbackReason, DialResult, Fact};
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use offhook_control_core::view::AgentStatus;
use offhook_control_core::{CallId, EngineId};
use offhook_proto::{Command, EventBody, PlaySource};

#[test]
fn by_01_the_answer_to_audio_time_is_the_slower_direction() {
    let (mut bench, call) = bench::conversation();
    let (agent, customer) = (bench.agent_leg("ann"), format!("c-{call}"));
    bench.pass_ms(100);
    for (from, to, after_us) in [(&agent, &customer, 7_000), (&customer, &agent, 3_000)] {
        bench.event(EventBody::SpliceAudio(offhook_proto::SpliceAudio {
            from: from.clone(),
            to: to.clone(),
            after_us,
            dropped_packets: 0,
        }));
    }
    let ApiReply::Call(view) = bench.ask(ApiRequest::Call(call)) else { panic!("no call") };
    assert_eq!(view.answer_to_audio_ms, Some(7.0));
}

#[test]
fn by_01_our_part_of_it_ends_when_the_engine_has_opened_both_gates() {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let call = bench.customer();
    bench.pass_ms(50);
    // The 200 OK waited for 3 ms before anybody looked at it.
    let at_mono_us = bench.now().mono_us - 3_000;
    bench.sip(call, SipEvent::Answered { remote: bench::remote(), at_mono_us });
    let ApiReply::Call(view) = bench.ask(ApiRequest::Call(call)) else { panic!("no call") };
    assert_eq!((view.answer_to_open_ms, view.answer_to_audio_ms), (Some(3.0), None));
    bench.pass_ms(1_000);
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    let summary = bench.facts().find_map(|fact| match fact {
        Fact::CallEnded { summary: Some(summary), .. } => Some(summary.answer_to_open_ms),
        _ => None,
    });
    assert_eq!(summary, Some(Some(3.0)), "it is on record");
    let ApiReply::Statistics(statistics) = bench.ask(ApiRequest::Statistics) else { panic!("no statistics") };
    assert_eq!(statistics.answer_to_open_p99_ms, Some(3.0));
}

#[test]
fn by_02_no_customer_is_dialled_for_an_agent_whose_last_packet_is_old() {
    let mut bench = available_agent(true);
    bench.packet_age_ms = 3_500;
    bench.callback("+31201");
    assert_eq!(bench.dials_to_trunk(), 0);
    assert_ne!(bench.agent("ann").status, AgentStatus::Available);
    bench.packet_age_ms = 100;
    bench.pass_ms(2_000);
    let call = bench.dialled("ann");
    bench.answer(call);
    bench.end_play(call);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn by_02_one_lost_packet_of_a_parked_leg_delays_the_dial_and_does_not_redial_the_phone() {
    let mut bench = available_agent(true);
    let leg = bench.last_agent_dial("ann");
    bench.packet_age_ms = 1_280;
    bench.callback("+31201");
    bench.pass_ms(500);
    assert_eq!(
        (bench.dials_to_trunk(), bench.last_agent_dial("ann")),
        (0, leg),
        "not proved, not dead either"
    );
    bench.packet_age_ms = 20;
    bench.pass_ms(200);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (1, leg));
}

#[test]
fn by_02_a_phone_that_is_heard_by_its_reports_only_is_proved_by_the_next_one_where_that_is_expected() {
    let mut bench = bench::Bench::with(|config| config.agents.silent_after_ms = 10_000);
    bench.add_agent("ann", true);
    let leg = bench.last_agent_dial("ann");
    bench.packet_age_ms = 5_000;
    bench.callback("+31201");
    bench.pass_ms(1_000);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (0, leg), "neither proved nor dead");
    bench.packet_age_ms = 20;
    bench.pass_ms(200);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (1, leg));
}

#[test]
fn by_02_a_phone_that_was_just_picked_up_is_waited_for_and_one_that_stays_dumb_is_called_again() {
    let mut bench = available_agent(true);
    let leg = bench.last_agent_dial("ann");
    // Not a packet yet.
    bench.packet_age_ms = u64::MAX;
    bench.callback("+31201");
    bench.pass_ms(1_000);
    assert_eq!(
        (bench.dials_to_trunk(), bench.last_agent_dial("ann")),
        (0, leg),
        "its first packet is waited for"
    );
    bench.pass_ms(4_000);
    assert_eq!(bench.dials_to_trunk(), 0);
    let again = bench.last_agent_dial("ann");
    assert_ne!(again, leg, "a phone that stays dumb is dead");
    bench.answer(again);
    bench.end_play(again);
    bench.pass_ms(500);
    bench.packet_age_ms = 10;
    bench.pass_ms(500);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (1, again));
}

#[test]
fn by_02_what_an_engine_said_before_it_heard_a_phone_and_what_came_late_does_not_end_the_leg() {
    let mut bench = available_agent(true);
    let leg = bench.last_agent_dial("ann");
    bench.packet_age_ms = u64::MAX;
    bench.pass_ms(1_500);
    bench.delay_answers();
    bench.callback("+31201");
    bench.packet_age_ms = 20;
    bench.pass_ms(1_900);
    bench.answers_arrive();
    bench.pass_ms(100);
    assert_eq!((bench.dials_to_trunk(), bench.last_agent_dial("ann")), (1, leg));
}

#[test]
fn by_03_the_customer_of_a_lost_leg_is_held_and_joined_again() {
    let (mut bench, customer) = bench::conversation();
    let old = bench.last_agent_dial("ann");
    bench.sip(old, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert!(bench.played(customer).contains(&PlaySource::File("hold.wav".into())));
    bench.pass_ms(2_000);
    let again = bench.last_agent_dial("ann");
    assert_ne!(again, old);
    bench.answer(again);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    let spliced = bench.engine.iter().rev().find_map(|command| match command {
        Command::Splice(splice) => Some(splice.clone()),
        _ => None,
    });
    let spliced = spliced.expect("joined again");
    assert_eq!((spliced.a, spliced.b), (format!("a-ann-{again}"), format!("c-{customer}")));
}

#[test]
fn by_07_never_more_callbacks_in_flight_than_agents() {
    let mut bench = available_agent(true);
    for number in 0..5 {
        bench.callback(&format!("+3120{number}"));
    }
    assert_eq!(bench.dials_to_trunk(), 1);
    let first = bench.sip.iter().find_map(|(_, command)| match command {
        SipCommand::Dial { target: Target::Trunk { number }, .. } => Some(number.clone()),
        _ => None,
    });
    assert_eq!(first.as_deref(), Some("+31200"));
}

#[test]
fn by_10_a_restart_takes_up_the_open_leg_and_dials_nobody() {
    let mut bench = available_agent(true);
    let call = bench.last_dial();
    bench.keep_dialogs([call]);
    let mut next = bench.restart();
    assert!(
        next.sip.iter().any(|(id, command)| *id == call && matches!(command, SipCommand::Restore { .. }))
    );
    next.restored([call]);
    assert_eq!(next.agent("ann").status, AgentStatus::Available);
    next.pass_ms(10_000);
    assert_eq!(next.dials(), 0);
}

#[test]
fn by_10_a_callback_in_flight_at_a_crash_is_unknown_and_called_later() {
    let mut bench = available_agent(true);
    let id = bench.callback("+31201");
    bench.customer();
    let next = bench.restart();
    assert!(next.facts().any(|fact| matches!(
        fact,
        Fact::CallbackAttempted { id: other, result: DialResult::Unknown, .. } if *other == id
    )));
    assert_eq!(next.ended(&id), None);
    assert_eq!(next.dials_to_trunk(), 0);
}

#[test]
fn by_09_by_10_one_leg_that_tells_of_a_conversation_is_enough_though_the_engine_dies_before_the_other_tells()
{
    for told_by_customer in [true, false] {
        let mut bench = available_agent(true);
        let callback = bench.callback("+31201");
        let (ann, customer) = (bench.dialled("ann"), bench.customer());
        bench.keep_dialogs([ann, customer]);
        let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
        let unheard = legs[usize::from(!told_by_customer)].clone();
        // They talk, and control dies before that is on record.
        let mut bench = bench.spliced(legs).unheard_of(&unheard).restart();
        assert_eq!(bench.ended(&callback), Some(CallbackReason::AgentConnected), "before anything else dies");
        bench.engine_restarts(EngineId(0));
        for call in [ann, customer] {
            bench.sip(call, SipEvent::RestoreFailed { reason: "no such dialog".into() });
        }
        bench.pass_ms(400_000);
        assert_eq!(bench.dials_to_trunk(), 0, "nobody is called twice");
    }
}

#[test]
fn by_10_an_agent_who_hears_a_customer_ring_has_not_talked_with_them() {
    let mut bench = available_agent(true);
    let callback = bench.callback("+31201");
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.keep_dialogs([ann]);
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    let bench = bench.ringing(legs).restart();
    assert_eq!(bench.ended(&callback), None);
    assert!(!bench.facts().any(|fact| matches!(fact, Fact::Connected { .. })));
}

/// A callback's customer whose phone rings for ann when control is killed, and the next run.
fn killed_while_it_rings() -> (bench::Bench, offhook_control_core::CallbackId, CallId, CallId) {
    let (mut bench, id, ann, customer) = bench::customer_is_called_back();
    bench.sip(customer, SipEvent::Ringing);
    (bench.restart(), id, ann, customer)
}

#[test]
fn by_10_a_customer_whose_phone_rang_at_a_crash_is_joined_when_they_pick_up() {
    let (mut next, id, ann, customer) = killed_while_it_rings();
    assert!(next.sip.contains(&(customer, SipCommand::Resume { set_up: "invite".into() })), "{:?}", next.sip);
    next.restored([ann]);
    next.sip(customer, SipEvent::Ringing);
    next.pass_ms(2_000);
    next.answer(customer);
    assert_eq!(next.last_splice(), Some((format!("a-ann-{ann}"), format!("c-{customer}"))));
    assert_eq!(next.agent("ann").status, AgentStatus::OnCall);
    assert!(next.ended(&id).is_some(), "they talk: the callback is done");
    next.pass_ms(200_000);
    assert_eq!(next.dials(), 0, "nobody is called again");
}

#[test]
fn by_10_a_customer_who_does_not_pick_up_after_a_crash_was_not_reached_and_that_is_known() {
    let (mut next, id, ann, customer) = killed_while_it_rings();
    next.restored([ann]);
    next.sip(customer, SipEvent::Ringing);
    next.sip(customer, SipEvent::Failed { status: 486, reason: "busy".into(), network: false, cause: None });
    assert!(next.facts().any(|fact| matches!(
        fact,
        Fact::CallbackAttempted { id: other, result: DialResult::Busy, .. } if *other == id
    )));
    assert_eq!(next.agent("ann").status, AgentStatus::Available);
}

#[test]
fn by_10_an_agents_phone_that_rang_at_a_crash_is_cancelled_before_it_is_called_again() {
    let mut bench = available_agent(true);
    let lost = bench.last_dial();
    bench.sip(lost, SipEvent::Ended { by_peer: false, reason: "no answer to OPTIONS".into() });
    bench.pass_ms(5_000);
    let ringing = bench.last_dial();
    assert_ne!(ringing, lost, "called again");
    bench.sip(ringing, SipEvent::SettingUp { data: "invite".into() });
    let mut next = bench.restart();
    assert!(next.sip.contains(&(ringing, SipCommand::Resume { set_up: "invite".into() })), "{:?}", next.sip);
    assert_eq!(next.dials(), 0);
    next.sip(ringing, SipEvent::Ringing);
    assert!(next.is_hung_up(ringing));
    next.sip(
        ringing,
        SipEvent::Failed { status: 487, reason: "cancelled".into(), network: false, cause: None },
    );
    next.pass_ms(5_000);
    assert_eq!(next.dials(), 1);
}
