//! Several engines: legs spread over them, and moved when one dies (BY-09).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent, conversation};
use offhook_control_core::api::{ApiReply, ApiRequest, StatusBody, WantedStatus};
use offhook_control_core::record::{CallbackReason, Fact};
use offhook_control_core::sip::{SipCommand, SipEvent};
use offhook_control_core::view::AgentStatus;
use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::{Codec, Command, DtmfMode, ErrorCode, EventBody, Media};

const ONE: EngineId = EngineId(0);
const TWO: EngineId = EngineId(1);

fn up(engine: EngineId) -> Input {
    Input::EngineUp { engine, instance: format!("run-{engine}"), restarted: false }
}

/// Two engines, both up.
fn two_engines() -> Bench {
    let mut bench = Bench::with(|config| config.engines = 2);
    bench.take(up(TWO));
    bench
}

/// To which engine the last command of this kind about a call's leg went.
fn last(bench: &Bench, call: CallId, wanted: impl Fn(&Command) -> Option<String>) -> Option<EngineId> {
    let suffix = format!("-{call}");
    let commands = bench.engine.iter().zip(&bench.engine_of).rev();
    let own = |command: &Command| wanted(command).is_some_and(|leg| leg.ends_with(&suffix));
    commands.filter(|(command, _)| own(command)).map(|(_, engine)| *engine).next()
}

fn created(bench: &Bench, call: CallId) -> Option<EngineId> {
    last(bench, call, |command| match command {
        Command::LegCreate(create) => Some(create.leg.clone()),
        _ => None,
    })
}

fn deleted(bench: &Bench, call: CallId) -> Option<EngineId> {
    last(bench, call, |command| match command {
        Command::LegDelete(delete) => Some(delete.leg.clone()),
        _ => None,
    })
}

/// Who was told a new address, with its port.
fn reoffered(bench: &Bench) -> Vec<(CallId, u16)> {
    let reoffer = |(call, command): &(CallId, SipCommand)| match command {
        SipCommand::ReOffer { local } => Some((*call, local.rtp.port())),
        _ => None,
    };
    bench.sip.iter().filter_map(reoffer).collect()
}

fn incoming(bench: &mut Bench) -> CallId {
    let call = CallId(CallId::FIRST_INCOMING);
    bench.arrives(call, "+31205", "100");
    bench.answer(call);
    call
}

#[test]
fn by_09_legs_are_spread_over_the_engines_and_a_call_stays_on_its_agents_engine() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    bench.add_agent("ben", true);
    let (ann, ben) = (bench.dialled("ann"), bench.dialled("ben"));
    assert_eq!(created(&bench, ann), Some(ONE));
    assert_eq!(created(&bench, ben), Some(TWO));
    for number in ["+31201", "+31202"] {
        bench.callback(number);
        let customer = bench.customer();
        bench.answer(customer);
        let agent = bench.last_splice().map(|(a, _)| a);
        let agent = if agent == Some(bench.agent_leg("ann")) { ann } else { ben };
        assert_eq!(created(&bench, customer), created(&bench, agent));
    }
    let ApiReply::Health(health) = bench.ask(ApiRequest::Health) else { panic!("no health") };
    assert_eq!(health.engines.iter().map(|engine| engine.legs).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn by_09_when_an_engine_dies_its_legs_move_to_the_other_and_nobody_is_called_again_or_hung_up() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.answer(customer);
    let dials = bench.dials();
    bench.take(Input::EngineDown { engine: ONE });
    bench.pass_ms(1_000);
    assert_eq!(created(&bench, ann), Some(TWO));
    assert_eq!(created(&bench, customer), Some(TWO));
    assert_eq!(reoffered(&bench), [(ann, 2_024), (customer, 2_024)]);
    let (splice, at) = bench
        .engine
        .iter()
        .zip(&bench.engine_of)
        .rfind(
            |(command, _)| matches!(command, Command::Splice(splice) if splice.a_hears_b && splice.b_hears_a),
        )
        .expect("they are spliced");
    assert!(matches!(splice, Command::Splice(splice) if splice.a == bench.agent_leg("ann")));
    assert_eq!(*at, TWO);
    assert_eq!(bench.dials(), dials);
    assert!(!bench.sip.iter().any(|(_, command)| matches!(command, SipCommand::HangUp { .. })));
}

#[test]
fn by_09_an_engine_that_is_only_looked_at_again_keeps_its_legs() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.take(Input::EngineDown { engine: ONE });
    bench.take(up(ONE));
    bench.pass_ms(5_000);
    assert_eq!(created(&bench, ann), Some(ONE));
    assert_eq!(reoffered(&bench), []);
}

#[test]
fn by_09_legs_wait_for_an_engine_when_none_is_up_and_go_to_the_first_that_comes() {
    let mut bench = Bench::with(|config| config.engines = 2);
    bench.pass_ms(5_000);
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.take(Input::EngineDown { engine: ONE });
    bench.pass_ms(5_000);
    assert_eq!(created(&bench, ann), Some(ONE));
    bench.take(up(TWO));
    assert_eq!(created(&bench, ann), Some(TWO));
    assert_eq!(reoffered(&bench), [(ann, 2_024)]);
}

#[test]
fn by_09_an_engine_that_was_only_cut_off_is_freed_of_the_legs_that_were_moved() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.take(Input::EngineDown { engine: ONE });
    bench.pass_ms(1_000);
    assert_eq!(deleted(&bench, ann), None);
    bench.take(up(ONE));
    assert_eq!(deleted(&bench, ann), Some(ONE));
    assert_eq!(created(&bench, ann), Some(TWO));
}

#[test]
fn by_09_a_caller_who_waits_on_another_engine_is_moved_to_the_agents() {
    let mut bench = two_engines();
    let caller = incoming(&mut bench);
    assert_eq!(created(&bench, caller), Some(ONE));
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    assert_eq!(created(&bench, ann), Some(TWO));
    assert_eq!(created(&bench, caller), Some(TWO));
    assert_eq!(reoffered(&bench), [(caller, 2_024)]);
    assert!(bench.order.iter().any(|step| step == "splice both"));
    assert_eq!(deleted(&bench, caller), None, "the phone has had no time to follow");
    bench.pass_ms(3_000);
    assert_eq!(deleted(&bench, caller), Some(ONE));
}

#[test]
fn by_09_the_leg_that_a_phone_has_left_falls_silent_at_once() {
    let mut bench = two_engines();
    let caller = incoming(&mut bench);
    bench.sip(caller, SipEvent::Snapshot { data: "answered".into() });
    bench.add_agent("ann", true);
    assert_eq!(reoffered(&bench), [(caller, 2_024)]);
    assert_eq!(deleted(&bench, caller), None);
    bench.sip(caller, SipEvent::Snapshot { data: "followed".into() });
    assert_eq!(deleted(&bench, caller), Some(ONE));
    bench.pass_ms(3_000);
    let deletes = bench.engine.iter().filter(|command| matches!(command, Command::LegDelete(_)));
    assert_eq!(deletes.count(), 1, "once, and only there");
}

#[test]
fn by_09_an_agent_whose_leg_was_moved_is_not_given_up_before_the_phone_has_followed() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    bench.pass_ms(60_000);
    bench.take(Input::EngineDown { engine: ONE });
    bench.pass_ms(300);
    bench.packet_age_ms = u64::MAX;
    let dials = bench.dials();
    bench.callback("+31201");
    bench.pass_ms(1_000);
    assert_eq!(bench.dials(), dials, "nobody is dialled before the leg is proved");
    bench.packet_age_ms = 20;
    bench.pass_ms(1_000);
    assert_eq!(bench.dials_to_trunk(), 1);
    assert_eq!(bench.dials(), dials + 1);
}

#[test]
fn by_10_after_a_restart_each_leg_is_found_on_its_own_engine() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    let mut bench = bench.restart_with(|config| config.engines = 2);
    assert!(bench.sip.is_empty(), "one engine has not been heard");
    bench.pass_ms(4_000);
    assert!(matches!(bench.sip[..], [(call, SipCommand::Restore { .. })] if call == ann));
    bench.restored([ann]);
    assert_eq!(created(&bench, ann), None, "its leg was kept");
    assert_eq!(reoffered(&bench), []);
}

#[test]
fn by_10_what_an_engine_has_told_counts_though_it_dies_before_the_other_is_heard() {
    let mut bench = available_agent(true);
    let callback = bench.callback("+31201");
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.keep_dialogs([ann, customer]);
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    // They talk, and control dies before that is on record.
    let mut bench = bench.spliced(legs).restart_with(|config| config.engines = 2);
    bench.pass_ms(500);
    bench.take(Input::EngineDown { engine: ONE });
    bench.pass_ms(4_000);
    assert_eq!(bench.ended(&callback), Some(CallbackReason::AgentConnected));
    bench.take(up(TWO));
    bench.pass_ms(200_000);
    assert_eq!(bench.dials_to_trunk(), 0, "nobody is called twice");
}

#[test]
fn by_10_a_customer_whose_leg_comes_after_the_agents_dialog_is_heard_too() {
    let (mut bench, customer) = conversation();
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann, customer]);
    // The customer's leg died with its engine, while control was dead as well; the next one takes a moment.
    bench.has_lost(&format!("c-{customer}"));
    let mut bench = bench.restart_with(|config| config.engines = 2);
    bench.refuse_next_create(ErrorCode::Timeout);
    bench.pass_ms(3_050);
    bench.restored([ann]);
    bench.pass_ms(500);
    bench.restored([customer]);
    bench.sip(customer, SipEvent::Updated(bench::remote()));
    bench.pass_ms(1_000);
    let spliced = bench.order.iter().filter(|done| *done == "splice both").count();
    assert_eq!(spliced, 1, "{:?}", bench.order);
}

#[test]
fn by_10_a_phone_whose_call_cannot_be_kept_is_not_called_before_that_call_has_ended() {
    let mut bench = available_agent(true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    bench.has_lost(&format!("a-ann-{ann}"));
    let mut bench = bench.restart_with(|config| config.engines = 2);
    // The agent wants a new connection while nobody knows yet what became of the former one.
    bench.ask(ApiRequest::Disconnect("ann".into()));
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
    bench.refuse_next_create(ErrorCode::OutOfPorts);
    bench.pass_ms(3_100);
    assert_eq!(bench.dials(), 0, "the former call is only being taken up");
    bench.restored([ann]);
    assert!(matches!(bench.sip.last(), Some((call, SipCommand::HangUp { .. })) if *call == ann));
    bench.sip(ann, SipEvent::Ended { by_peer: false, reason: "bye".into() });
    bench.pass_ms(5_000);
    assert_eq!(bench.dials(), 1);
}

#[test]
fn by_09_by_10_a_leg_that_is_moved_after_a_restart_is_made_as_it_was() {
    let settings = |bench: &Bench| {
        bench.engine.iter().rev().find_map(|command| match command {
            Command::LegCreate(create) => Some((create.leg.clone(), create.idle, create.silent_after_ms)),
            _ => None,
        })
    };
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    let before = settings(&bench);
    let mut bench = bench.restart_with(|config| config.engines = 2);
    bench.pass_ms(4_000);
    bench.restored([ann]);
    bench.take(up(TWO));
    bench.take(Input::EngineDown { engine: ONE });
    bench.pass_ms(5_000);
    assert_eq!(created(&bench, ann), Some(TWO));
    assert!(before.is_some() && settings(&bench) == before, "{before:?}: {:?}", settings(&bench));
}

#[test]
fn by_10_a_phone_that_had_not_followed_its_leg_when_control_died_is_told_again_and_not_given_up() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    // The leg is on its new engine, where nothing has come yet.
    bench.packet_age_ms = u64::MAX;
    let mut bench = bench.restart_with(|config| config.engines = 2);
    bench.pass_ms(4_000);
    bench.restored([ann]);
    assert_eq!(reoffered(&bench).len(), 1);
    bench.callback("+31201");
    bench.pass_ms(1_000);
    assert_eq!(bench.dials(), 0, "the leg is not proved, and the phone is not called again");
    bench.packet_age_ms = 20;
    bench.pass_ms(1_000);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn by_09_by_10_a_phone_whose_address_went_with_the_engine_after_a_restart_is_asked_for_it() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    let mut bench = bench.restart_with(|config| config.engines = 2);
    bench.pass_ms(4_000);
    bench.restored([ann]);
    assert_eq!(reoffered(&bench), []);
    // The leg is made again at the very port that it had: the phone has nothing to follow, yet only it knows where it is.
    bench.take(Input::EngineUp { engine: ONE, instance: "another".into(), restarted: true });
    assert_eq!(reoffered(&bench).len(), 1);
    bench.sip(ann, SipEvent::Updated(bench::remote()));
    let told = bench
        .engine
        .iter()
        .any(|command| matches!(command, Command::LegUpdate(update) if update.remote.is_some()));
    assert!(told, "the engine is told where the phone is");
}

#[test]
fn by_09_by_10_a_phone_that_followed_its_leg_to_an_engine_that_died_with_control_is_told_of_the_old_leg() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    bench.keep_dialogs([ann]);
    // The engine that answers was cut off, and holds a leg that the phone has left since.
    bench.packet_age_ms = 20_000;
    let mut bench = bench.restart_with(|config| config.engines = 2);
    bench.pass_ms(4_000);
    bench.restored([ann]);
    assert_eq!(reoffered(&bench), [(ann, 1_024)]);
    bench.packet_age_ms = 20;
    bench
        .take(Input::EngineEvent { engine: ONE, event: EventBody::LegAlive { leg: format!("a-ann-{ann}") } });
    bench.pass_ms(60_000);
    assert_eq!(bench.dials(), 0, "nobody is called again");
}

#[test]
fn by_10_a_customer_who_is_told_again_after_a_restart_is_offered_first_what_the_agent_speaks() {
    let pcma = || Media { codec: Codec::Pcma, payload_type: 8, ..Media::default() };
    let mut bench = Bench::with(|config| config.media.push(pcma()));
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.answer(customer);
    bench.keep_dialogs([ann, customer]);
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    bench.packet_age_ms = 20_000;
    let mut bench =
        bench.spliced(legs).speaking(Codec::Pcma).restart_with(|config| config.media.push(pcma()));
    bench.restored([ann, customer]);
    let offered = bench.sip.iter().find_map(|(call, command)| match command {
        SipCommand::ReOffer { local } if *call == customer => Some(local.media[0].codec),
        _ => None,
    });
    assert_eq!(offered, Some(Codec::Pcma));
}

/// Ann and a customer, after a restart of control that left nothing of the customer's dialog.
fn with_a_customer_without_a_dialog() -> (Bench, CallId, CallId) {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let (ann, customer) = (bench.dialled("ann"), bench.customer());
    bench.answer(customer);
    bench.keep_dialogs([ann]);
    let legs = [bench.agent_leg("ann"), format!("c-{customer}")];
    let mut bench = bench.spliced(legs).restart_with(|config| config.engines = 2);
    bench.pass_ms(4_000);
    bench.restored([ann]);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    (bench, ann, customer)
}

#[test]
fn by_09_an_agent_comes_to_the_engine_of_a_customer_who_cannot_be_told_of_another() {
    let (mut bench, ann, customer) = with_a_customer_without_a_dialog();
    bench.take(up(TWO));
    bench.sip(ann, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(2_000);
    let again = bench.dialled("ann");
    assert_ne!(again, ann);
    assert_eq!(created(&bench, again), Some(TWO));
    bench.answer(again);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    assert_eq!(created(&bench, again), Some(ONE));
    assert_eq!(reoffered(&bench), [(again, 1_024)]);
    assert_eq!(created(&bench, customer), None, "the customer's leg stays where it is");
}

#[test]
fn by_09_a_customer_who_cannot_be_told_of_another_engine_is_lost_with_theirs_and_their_agent_is_free() {
    let (mut bench, _, customer) = with_a_customer_without_a_dialog();
    bench.take(Input::EngineUp { engine: ONE, instance: "another".into(), restarted: true });
    assert_ne!(bench.agent("ann").status, AgentStatus::OnCall);
    assert_eq!(created(&bench, customer), None);
    let ended = bench.facts().any(|fact| matches!(fact, Fact::CallEnded { call, .. } if *call == customer));
    assert!(ended);
}

#[test]
fn by_09_a_leg_that_the_new_run_of_an_engine_has_already_is_made_again_and_nobody_is_called_again() {
    let mut bench = two_engines();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    let dials = bench.dials();
    bench.refuse_next_create(ErrorCode::LegExists);
    bench.take(Input::EngineUp { engine: ONE, instance: "another".into(), restarted: true });
    bench.pass_ms(1_000);
    assert_eq!((deleted(&bench, ann), created(&bench, ann)), (Some(ONE), Some(ONE)));
    let of_life = |command: &&Command| matches!(command, Command::LegCreate(_) | Command::LegDelete(_));
    let last = bench.engine.iter().rev().find(of_life);
    assert!(matches!(last, Some(Command::LegCreate(_))), "{last:?}");
    assert_eq!(bench.dials(), dials);
    assert!(!bench.sip.iter().any(|(_, command)| matches!(command, SipCommand::HangUp { .. })));
}

#[test]
fn by_09_a_customer_is_dialled_although_the_engine_was_restarted_after_the_leg_was_opened() {
    let mut bench = Bench::new();
    bench.add_agent("ann", true);
    // A packet is waited for before the customer is dialled.
    bench.packet_age_ms = 2_000;
    bench.callback("+31201");
    assert_eq!(bench.dials_to_trunk(), 0);
    bench.take(Input::EngineUp { engine: ONE, instance: "another".into(), restarted: true });
    bench.packet_age_ms = 0;
    bench.pass_ms(1_000);
    assert_eq!(bench.dials_to_trunk(), 1);
}

#[test]
fn by_09_a_leg_that_an_engines_new_run_made_for_a_call_that_is_over_is_deleted() {
    let mut bench = Bench::new();
    bench.add_agent("ann", true);
    let ann = bench.dialled("ann");
    // Asked of the run that died, executed by the next one, forgotten in between.
    bench.has_leg("a-bob-7");
    bench.take(Input::EngineUp { engine: ONE, instance: "another".into(), restarted: true });
    bench.pass_ms(1_000);
    let deleted: Vec<&str> = bench
        .engine
        .iter()
        .filter_map(|command| match command {
            Command::LegDelete(delete) => Some(delete.leg.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(deleted, ["a-bob-7"]);
    assert_eq!(created(&bench, ann), Some(ONE));
}

#[test]
fn an_agents_keys_are_converted_for_the_carrier_and_a_customers_voice_is_left_alone() {
    let (bench, _) = conversation();
    let created = bench.engine.iter().filter_map(|command| match command {
        Command::LegCreate(create) => Some((create.leg.starts_with("a-"), create.dtmf)),
        _ => None,
    });
    let mut created: Vec<_> = created.collect();
    created.dedup();
    assert_eq!(created, [(true, DtmfMode::Convert), (false, DtmfMode::Pass)]);
}
