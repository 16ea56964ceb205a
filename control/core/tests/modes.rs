//! Connection modes and their settings, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent, available_agent};
use offhook_control_core::api::{
    AgentBody, ApiReply, ApiRequest, ConfirmModeBody, ConnectBody, LoginBody, StatusBody, WantedStatus,
};
use offhook_control_core::config::{GroupModes, ModesConfig};
use offhook_control_core::modes::{Mode, ModeWish};
use offhook_control_core::record::Station;
use offhook_control_core::sip::{SipCommand, SipEvent, Target};
use offhook_control_core::view::{AgentStatus, ConnectionStatus};
use offhook_proto::{Command, PlaySource};

fn set(bench: &mut Bench, status: WantedStatus) {
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status }));
}

/// Ann, logged in, with or without a persistent leg and automatic acceptance.
fn ann(persistent: bool, auto_accept: bool) -> Bench {
    let mut bench = Bench::new();
    let mut body = agent(false, auto_accept);
    body.persistent = Some(persistent);
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
fn pc_06_the_end_of_a_break_calls_nobody_where_agents_are_to_establish_first() {
    let mut bench = Bench::with(|config| config.agents.establish_after_break = false);
    bench.ask(ApiRequest::PutAgent("ann".into(), agent(false, true)));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    let available = || ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available });
    let refused = bench.ask(available());
    assert_eq!((refused.status(), &refused.body()["error"]), (409, &"no_connection".into()));
    assert_eq!((bench.agent("ann").status, bench.dials()), (AgentStatus::OnBreak, 0));
    bench.ask(ApiRequest::Connect("ann".into(), ConnectBody::default()));
    assert_eq!(bench.ask(available()).status(), 200, "it is on its way");
    let phone = bench.dialled("ann");
    bench.answer(phone);
    bench.end_play(phone);
    assert_eq!((bench.agent("ann").status, bench.dials()), (AgentStatus::Available, 1));
    set(&mut bench, WantedStatus::OnBreak);
    bench.sip(phone, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!(bench.ask(available()).status(), 409);
    bench.ask(ApiRequest::Login("ann".into(), LoginBody { initiate: true }));
    assert_eq!((bench.ask(available()).status(), bench.dials()), (200, 2));
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
    assert!(bench.is_hung_up(leg));
}

#[test]
fn pc_09_idleness_begins_when_the_customer_and_the_wrap_up_are_over() {
    let mut bench = Bench::with(|config| config.agents.idle_timeout_min = 2);
    bench.add_agent("ann", true);
    bench.pass_ms(30_000);
    bench.callback("+31201");
    let customer = bench.customer();
    bench.answer(customer);
    bench.pass_ms(89_000);
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    // Five seconds of wrap-up, in which the first two minutes are over.
    bench.pass_ms(5_000 + 119_000);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.pass_ms(2_000);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
    assert!(bench.is_hung_up(bench.dialled("ann")));
}

#[test]
fn pc_09_another_time_out_holds_for_legs_that_are_open() {
    let mut bench = available_agent(true);
    bench.pass_ms(100_000);
    bench.reconfigure(|config| config.agents.idle_timeout_min = 2);
    bench.pass_ms(19_000);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.reconfigure(|config| config.agents.idle_timeout_min = 0);
    bench.pass_ms(300_000);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
    bench.reconfigure(|config| config.agents.idle_timeout_min = 2);
    bench.pass_ms(1_000);
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
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
        let ended = bench.is_hung_up(phone);
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
    assert!(bench.is_hung_up(old));
    bench.sip(old, SipEvent::Ended { by_peer: false, reason: String::new() });
    bench.pass_ms(2_000);
    let new = bench.customer();
    assert_ne!(new, old);
    bench.answer(new);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Validating);
    assert_eq!(bench.played(new).len(), bench.played(old).len(), "a PIN is spoken there too");
}

#[test]
fn pm_07_whose_workplace_is_taken_away_is_on_break_and_waits_for_no_call() {
    let mut bench = available_agent(true);
    let leg = bench.last_dial();
    bench.ask(ApiRequest::PutAgent("ann".into(), AgentBody { station: None, ..agent(false, true) }));
    assert!(bench.is_hung_up(leg));
    bench.sip(leg, SipEvent::Ended { by_peer: false, reason: String::new() });
    assert_eq!(bench.agent("ann").status, AgentStatus::OnBreak);
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

/// An available agent on demand who has the PIN set, and a callback for them.
fn on_demand_with_pin_has_a_callback(auto_accept: bool) -> Bench {
    let mut bench = Bench::new();
    let body = AgentBody { persistent: Some(false), ..agent(true, auto_accept) };
    bench.ask(ApiRequest::PutAgent("ann".into(), body));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    set(&mut bench, WantedStatus::Available);
    bench.callback("+31201");
    bench
}

#[test]
fn pm_12_pm_04_on_demand_no_pin_is_asked_and_the_customer_waits_for_no_announcement() {
    for auto_accept in [false, true] {
        let mut bench = on_demand_with_pin_has_a_callback(auto_accept);
        assert_eq!(told_to_answer(&bench), auto_accept);
        let phone = bench.dialled("ann");
        bench.answer(phone);
        assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up);
        assert_eq!((bench.played(phone), bench.dials_to_trunk()), (Vec::new(), 1));
    }
}

#[test]
fn pm_11_pm_04_a_leg_on_demand_ends_with_its_customer_when_the_mode_has_changed_and_the_next_asks_for_the_pin()
 {
    for loses_leg in [false, true] {
        let mut bench = on_demand_with_pin_has_a_callback(true);
        let phone = bench.dialled("ann");
        bench.answer(phone);
        let customer = bench.customer();
        bench.answer(customer);
        bench.ask(ApiRequest::PutAgent("ann".into(), agent(true, true)));
        set(&mut bench, WantedStatus::Available);
        assert_eq!((in_force(&mut bench), bench.agent("ann").status), ((true, true), AgentStatus::OnCall));
        if loses_leg {
            bench.sip(phone, SipEvent::Ended { by_peer: false, reason: "no answer to OPTIONS".into() });
            bench.pass_ms(2_000);
        } else {
            bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
            assert!(bench.is_hung_up(phone));
            bench.sip(phone, SipEvent::Ended { by_peer: false, reason: String::new() });
        }
        let next = bench.dialled("ann");
        assert_ne!(next, phone);
        assert!(!told_to_answer(&bench), "a validation call");
        bench.answer(next);
        assert_eq!(bench.agent("ann").connection, ConnectionStatus::Validating);
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

/// Ann, logged in and working offline, under these settings.
fn offline(change: impl FnOnce(&mut ModesConfig)) -> Bench {
    let mut bench = Bench::with(|config| change(&mut config.modes));
    let mut body = agent(false, false);
    (body.persistent, body.auto_accept) = (None, None);
    bench.ask(ApiRequest::PutAgent("ann".into(), body));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    set(&mut bench, WantedStatus::WorkingOffline);
    bench
}

fn free_to_choose(modes: &mut ModesConfig) {
    modes.agents_may_change_persistent = true;
    modes.agents_may_change_auto_accept = true;
}

fn wish(bench: &mut Bench, persistent: Option<bool>, auto_accept: Option<bool>) -> ApiReply {
    bench.ask(ApiRequest::SetMode("ann".into(), ModeWish { persistent, auto_accept }))
}

fn refusal(reply: &ApiReply) -> (u16, &'static str) {
    match reply {
        ApiReply::Error(error) => (error.status, error.code),
        other => panic!("{other:?}"),
    }
}

fn confirm(bench: &mut Bench, asked: ApiReply) -> ApiReply {
    let ApiReply::ModeAsked(asked) = asked else { panic!("{asked:?}") };
    bench.ask(ApiRequest::ConfirmMode("ann".into(), ConfirmModeBody { change: asked.change }))
}

/// The mode in force: persistent, automatic acceptance.
fn in_force(bench: &mut Bench) -> (bool, bool) {
    let ann = bench.agent("ann");
    (ann.persistent, ann.auto_accept)
}

#[test]
fn pm_02_an_agent_changes_what_the_administrator_allows_and_nothing_else() {
    let no_mode = (403, "mode_not_allowed");
    let no_accept = (403, "auto_accept_not_allowed");
    for (mode, accept) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut bench = offline(|modes| {
            modes.agents_may_change_persistent = mode;
            modes.agents_may_change_auto_accept = accept;
        });
        let records = bench.records.len();
        let asked = wish(&mut bench, Some(false), None);
        assert!(if mode { asked.status() == 202 } else { refusal(&asked) == no_mode }, "{asked:?}");
        let asked = wish(&mut bench, None, Some(true));
        assert!(if accept { asked.status() == 202 } else { refusal(&asked) == no_accept }, "{asked:?}");
        assert_eq!(bench.records.len(), records, "nothing is stored before the confirmation");
        let may = bench.agent("ann").may_change;
        assert_eq!((may.persistent, may.auto_accept), (mode, accept));
    }
}

#[test]
fn pm_02_without_the_administrators_permission_there_is_no_persistent_mode() {
    let mut bench = offline(|modes| {
        free_to_choose(modes);
        modes.persistent_enabled = false;
    });
    assert_eq!(in_force(&mut bench), (false, false));
    assert_eq!(refusal(&wish(&mut bench, Some(true), None)), (403, "persistent_not_enabled"));
    set(&mut bench, WantedStatus::Available);
    assert_eq!((bench.agent("ann").status, bench.dials()), (AgentStatus::Available, 0));
}

#[test]
fn pm_02_a_right_that_was_taken_away_before_the_confirmation_is_gone() {
    let mut bench = offline(free_to_choose);
    let asked = wish(&mut bench, Some(false), None);
    bench.reconfigure(|config| config.modes.agents_may_change_persistent = false);
    assert_eq!(refusal(&confirm(&mut bench, asked)), (403, "mode_not_allowed"));
    set(&mut bench, WantedStatus::Available);
    assert!(in_force(&mut bench).0);
}

#[test]
fn pm_11_a_change_is_refused_unless_the_agent_works_offline() {
    let mut bench = offline(free_to_choose);
    let expected = (409, "not_working_offline");
    set(&mut bench, WantedStatus::OnBreak);
    assert_eq!(refusal(&wish(&mut bench, Some(false), None)), expected);
    set(&mut bench, WantedStatus::WorkingOffline);
    let asked = wish(&mut bench, Some(false), None);
    set(&mut bench, WantedStatus::Available);
    assert_eq!(refusal(&wish(&mut bench, Some(false), None)), expected);
    assert_eq!(refusal(&confirm(&mut bench, asked)), (409, "no_change"), "it was left open too long");
    bench.ask(ApiRequest::Logout("ann".into()));
    assert_eq!(refusal(&wish(&mut bench, Some(false), None)), expected);
}

#[test]
fn pm_11_a_change_is_told_then_confirmed_and_in_force_at_the_next_available() {
    let mut bench = offline(free_to_choose);
    assert_eq!(refusal(&wish(&mut bench, None, None)), (400, "bad_parameter"));
    let stale = wish(&mut bench, None, Some(true));
    let asked = wish(&mut bench, Some(false), Some(true));
    let ApiReply::ModeAsked(notice) = &asked else { panic!("{asked:?}") };
    assert!(notice.notice.contains("next available"), "{notice:?}");
    assert_eq!(refusal(&confirm(&mut bench, stale)), (409, "no_change"), "only the last one counts");
    assert_eq!((in_force(&mut bench), bench.agent("ann").next_mode), ((true, false), None));

    assert_eq!(confirm(&mut bench, asked).status(), 200);
    let next = Some(Mode { persistent: false, auto_accept: true });
    assert_eq!((in_force(&mut bench), bench.agent("ann").next_mode), ((true, false), next));
    assert_eq!(bench.agent("ann").status, AgentStatus::WorkingOffline);

    set(&mut bench, WantedStatus::Available);
    assert_eq!((in_force(&mut bench), bench.agent("ann").next_mode), ((false, true), None));
    assert_eq!(bench.dials(), 0, "from now on the phone is called for customers only");
    bench.callback("+31201");
    assert!(told_to_answer(&bench));
}

#[test]
fn pm_11_the_change_holds_for_the_session_through_breaks_and_a_restart() {
    let mut bench = offline(free_to_choose);
    let asked = wish(&mut bench, Some(false), None);
    confirm(&mut bench, asked);
    let mut bench = bench.restart_with(|config| free_to_choose(&mut config.modes));
    assert!(in_force(&mut bench).0, "not yet available since");
    set(&mut bench, WantedStatus::Available);
    set(&mut bench, WantedStatus::OnBreak);
    let mut bench = bench.restart_with(|config| free_to_choose(&mut config.modes));
    assert!(!in_force(&mut bench).0);
    set(&mut bench, WantedStatus::Available);
    assert!(!in_force(&mut bench).0);
    bench.ask(ApiRequest::Logout("ann".into()));
    bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
    assert!(in_force(&mut bench).0, "another session begins with what is set");
    set(&mut bench, WantedStatus::Available);
    assert_eq!(bench.dials(), 1);
}

#[test]
fn pm_11_the_open_leg_is_closed_when_on_demand_comes_into_force_and_customers_reach_the_phone() {
    let mut bench = offline(free_to_choose);
    set(&mut bench, WantedStatus::Available);
    let leg = bench.dialled("ann");
    bench.answer(leg);
    bench.end_play(leg);
    set(&mut bench, WantedStatus::WorkingOffline);
    let asked = wish(&mut bench, Some(false), None);
    confirm(&mut bench, asked);
    assert_eq!(bench.agent("ann").connection, ConnectionStatus::Up, "working offline keeps the connection");
    set(&mut bench, WantedStatus::Available);
    assert!(bench.is_hung_up(leg));
    bench.sip(leg, SipEvent::Ended { by_peer: false, reason: String::new() });
    bench.pass_ms(5_000);
    assert_eq!((bench.agent("ann").status, bench.dials()), (AgentStatus::Available, 1));
    bench.callback("+31201");
    assert_eq!(bench.dials(), 2);
}

#[test]
fn pm_13_what_an_administrator_changes_counts_from_the_next_available_on() {
    let mut bench = offline(|modes| {
        modes.groups = vec![GroupModes { name: "night".into(), ..GroupModes::default() }];
    });
    set(&mut bench, WantedStatus::Available);
    let leg = bench.dialled("ann");
    bench.answer(leg);
    bench.end_play(leg);
    let mut body = agent(false, false);
    (body.group, body.persistent, body.auto_accept) = (Some("night".into()), None, None);
    bench.ask(ApiRequest::PutAgent("ann".into(), body.clone()));
    bench.reconfigure(|config| config.modes.groups[0].wish.auto_accept = Some(true));
    assert_eq!(in_force(&mut bench), (true, false));
    set(&mut bench, WantedStatus::Available);
    assert_eq!(in_force(&mut bench), (true, true), "the group's");
    body.auto_accept = Some(false);
    bench.ask(ApiRequest::PutAgent("ann".into(), body.clone()));
    set(&mut bench, WantedStatus::Available);
    assert_eq!(in_force(&mut bench), (true, false), "the agent's own");
    bench.reconfigure(|config| config.modes.agents_may_set = false);
    set(&mut bench, WantedStatus::Available);
    assert_eq!(in_force(&mut bench), (true, true), "which does not count any more");
    body.group = Some("day".into());
    let reply = bench.ask(ApiRequest::PutAgent("ann".into(), body));
    assert_eq!(refusal(&reply), (400, "bad_parameter"), "there is no such group");
}

#[test]
fn pm_14_a_connect_tone_is_played_once_to_the_agent_where_one_is_configured() {
    let mut bench = Bench::with(|config| config.prompts.connect_tone = "beep.wav".into());
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let customer = bench.customer();
    let before = bench.engine.len();
    bench.answer(customer);
    let leg = bench.agent_leg("ann");
    let plays: Vec<_> = bench.engine[before..]
        .iter()
        .filter_map(|command| match command {
            Command::Play(play) => Some((play.leg.clone(), play.sources.clone(), play.times)),
            _ => None,
        })
        .collect();
    assert_eq!(plays, [(leg, vec![PlaySource::File("beep.wav".into())], 1)]);
}
