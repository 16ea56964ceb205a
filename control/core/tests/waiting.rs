//! Who waits is served, or told: no request and no customer waits for something that will not come.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use bench::flow::{Caller, arrive, arrive_at, callback, example, flow, music, request, step, with};
use offhook_control_core::api::{
    AgentBody, ApiReply, ApiRequest, ConnectBody, LoginBody, Outcome, StatusBody, TransferBody, TransferMode,
    WantedStatus,
};
use offhook_control_core::config::Config;
use offhook_control_core::inbound_flow::Action;
use offhook_control_core::record::Destination;
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::{AgentStatus, Notification};
use offhook_control_core::{CallId, Core, EngineId, Input, Now, OpId, Output};
use offhook_proto::{Command, LegList, Reply};

fn connect(op: u64) -> Input {
    Input::Api { op: OpId(op), request: ApiRequest::Connect("ann".into(), ConnectBody::default()) }
}

/// A core that has not heard of its engine yet, with Ann logged in.
fn before_the_engine() -> Core {
    let mut core = Core::new(Config::default(), [7; 32]);
    core.start(Now::default());
    let requests = [
        ApiRequest::PutAgent("ann".into(), bench::agent(false, true)),
        ApiRequest::Login("ann".into(), LoginBody::default()),
    ];
    for request in requests {
        core.handle(Now::default(), Input::Api { op: OpId(1), request });
    }
    core
}

fn outputs(core: &mut Core) -> Vec<Output> {
    std::iter::from_fn(|| core.poll_output()).collect()
}

fn replies(outputs: &[Output]) -> Vec<&ApiReply> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Reply { reply, .. } => Some(reply),
            _ => None,
        })
        .collect()
}

#[test]
fn pc_07_a_connection_that_is_given_up_before_it_was_dialled_is_told_and_never_dialled() {
    for request in [ApiRequest::Disconnect("ann".into()), ApiRequest::Logout("ann".into())] {
        let mut core = before_the_engine();
        outputs(&mut core);
        core.handle(Now::default(), connect(2));
        let started = outputs(&mut core);
        assert!(
            matches!(replies(&started)[..], [ApiReply::Operation(reply)] if reply.outcome == Outcome::Started)
        );
        core.handle(Now::default(), Input::Api { op: OpId(3), request: request.clone() });
        let told = outputs(&mut core).into_iter().find_map(|output| match output {
            Output::Notify(Notification::Operation(view)) => Some(view),
            _ => None,
        });
        let told = told.unwrap_or_else(|| panic!("{request:?} says nothing"));
        assert_eq!((told.result.as_str(), told.error.as_deref()), ("failed", Some("cancelled")));
        core.handle(
            Now::default(),
            Input::EngineUp { engine: EngineId(0), instance: "1".into(), restarted: false },
        );
        for output in outputs(&mut core) {
            if let Output::Engine { request, command: Command::LegList(_), .. } = output {
                let result = Ok(Reply::ok(&LegList { ..LegList::default() }));
                core.handle(Now::default(), Input::EngineReply { request, result });
            }
        }
        let after = outputs(&mut core);
        assert!(
            !after.iter().any(|output| matches!(output, Output::Engine { .. })),
            "{request:?}: {after:?}"
        );
    }
}

#[test]
fn requests_for_a_connection_that_does_not_come_up_are_limited() {
    let mut core = before_the_engine();
    for op in 2..2_000 {
        core.handle(Now::default(), connect(op));
    }
    let all = outputs(&mut core);
    let all = replies(&all);
    let started = all.iter().filter(|reply| matches!(reply, ApiReply::Operation(_))).count();
    let refused =
        all.iter().filter(|reply| matches!(reply, ApiReply::Error(error) if error.status == 429)).count();
    assert_eq!((started, refused), (64, 1_998 - 64));
}

/// One timer serves those who wait for an agent who refused (30 s) and those on hold (20 s).
#[test]
fn by_03_a_customer_on_hold_is_not_forgotten_over_one_whom_an_agent_refused() {
    let (mut bench, _) = bench::conversation();
    bench.add_agent("bob", false);
    bench.callback("+31202");
    assert_eq!(bench.agent("bob").status, AgentStatus::Offered);
    bench.ask(ApiRequest::Reject("bob".into()));
    let leg = bench.last_agent_dial("ann");
    bench.sip(leg, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(2_000);
    assert_ne!(bench.last_agent_dial("ann"), leg, "her phone rings, and nobody answers");
    bench.pass_ms(23_000);
    assert_eq!(bench.agent("bob").status, AgentStatus::OnCall);
}

#[test]
fn by_07_callers_keep_the_order_of_their_arrival_through_a_restart() {
    let mut bench = Bench::new();
    let calls = [1, 2].map(|number| CallId(CallId::FIRST_INCOMING + number));
    for call in calls {
        bench.arrives(call, &format!("+3120{call}"), "100");
        bench.pass_ms(100);
    }
    // The second is through first.
    for call in [calls[1], calls[0]] {
        bench.answer(call);
        bench.keep_dialogs([call]);
        bench.pass_ms(100);
    }
    let mut bench = bench.restart();
    bench.restored(calls);
    bench.add_agent("ann", true);
    bench.pass_ms(2_000);
    let joined = bench.engine.iter().find_map(|command| match command {
        Command::Splice(splice) => Some(splice.b.clone()),
        _ => None,
    });
    assert_eq!(joined, Some(format!("c-{}", calls[0])));
}

/// A caller of a queue that lets nobody wait for more than a minute.
fn waits_a_minute() -> (Bench, Caller) {
    let mut bench = Bench::with(|config| config.queues[0].max_wait_s = 60);
    let caller = arrive_at(&mut bench, 1, "+31201", "100");
    bench.pass_ms(59_000);
    (bench, caller)
}

#[test]
fn a_caller_who_has_waited_for_as_long_as_may_be_is_let_go() {
    let (mut bench, caller) = waits_a_minute();
    assert!(!caller.was_dropped(&bench));
    bench.pass_ms(1_000);
    assert!(caller.was_dropped(&bench));
}

/// The same of a flow that hangs up after half a minute.
fn is_hung_up_on_by_the_flow() -> (Bench, Caller) {
    let mut bench = Bench::with(with(flow(vec![
        step("ask", request(), &[("Default", "music")]),
        step("music", music(), &[("Default", "bye")]),
        step("bye", Action::HangUp, &[]),
    ])));
    let caller = arrive(&mut bench, 1, "+31201");
    bench.pass_ms(29_000);
    (bench, caller)
}

#[test]
fn a_caller_for_whom_an_agents_phone_rings_is_let_go_only_when_nobody_picks_up() {
    let waits: [fn() -> (Bench, Caller); 2] = [waits_a_minute, is_hung_up_on_by_the_flow];
    for (wait, answers) in waits.into_iter().flat_map(|wait| [(wait, true), (wait, false)]) {
        let (mut bench, caller) = wait();
        let body = AgentBody { persistent: Some(false), ..bench::agent(false, true) };
        bench.ask(ApiRequest::PutAgent("ann".into(), body));
        bench.ask(ApiRequest::Login("ann".into(), LoginBody::default()));
        bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::Available }));
        let phone = bench.dialled("ann");
        bench.pass_ms(5_000);
        assert!(!caller.was_dropped(&bench), "somebody is being reached");
        if answers {
            bench.answer(phone);
            bench.pass_ms(120_000);
            assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
        } else {
            let (reason, network, cause) = (String::new(), false, None);
            bench.sip(phone, SipEvent::Failed { status: 486, reason, network, cause });
            bench.pass_ms(2_000);
        }
        assert_eq!(caller.was_dropped(&bench), !answers);
    }
}

#[test]
fn by_10_pv_07_who_was_passed_on_to_a_queue_does_not_go_through_the_flow_again_after_a_restart() {
    let mut bench = Bench::with(with(example(callback(), &[])));
    bench.add_agent("ann", true);
    let caller = arrive(&mut bench, 1, "+31201");
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);
    bench.ask(ApiRequest::SetStatus("ann".into(), StatusBody { status: WantedStatus::OnBreak }));
    let body = TransferBody { to: Destination::Queue("sales".into()), mode: TransferMode::Blind };
    bench.ask(ApiRequest::Transfer("ann".into(), body));
    bench.pass_ms(60_000);
    let music = caller.hears(&bench);
    let mut bench = bench.restart();
    bench.restored([caller.0]);
    for _ in 0..2 {
        bench.pass_ms(30_000);
        assert_eq!(caller.hears(&bench), music, "and no menu");
    }
    bench.add_agent("bob", true);
    assert_eq!(bench.agent("bob").call, Some(caller.0.to_string()));
}
