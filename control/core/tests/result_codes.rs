//! How an attempt at a contact or a callback ended: the codes of its events, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::flow::{Caller, announce, arrive, arrive_at, flow, music, request, step, with};
use bench::reports::{archive, events};
use bench::{Bench, available_agent};
use offhook_control_core::CallId;
use offhook_control_core::api::{ApiReply, ApiRequest, BulkCancel, CancelReason, ContactBody};
use offhook_control_core::config::{Config, QueueConfig};
use offhook_control_core::inbound_flow::Action;
use offhook_control_core::report::Report;
use offhook_control_core::sip::SipEvent;

/// A previewed contact, and a customer who asked for it, being called.
const CALLED: [fn() -> (Bench, CallId); 2] = [previewed, called_back];

fn previewed() -> (Bench, CallId) {
    let mut bench = available_agent(false);
    let body = ContactBody { queue: "sales".into(), number: "+4420".into(), ..ContactBody::default() };
    bench.ask(ApiRequest::AddContact(body));
    bench.ask(ApiRequest::Accept("ann".into()));
    let call = bench.customer();
    (bench, call)
}

fn called_back() -> (Bench, CallId) {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let call = bench.customer();
    (bench, call)
}

fn failed(status: u16) -> SipEvent {
    SipEvent::Failed { status, reason: String::new(), network: false, cause: None }
}

/// Codes of the contact's event, with its response, and of the agent's.
fn codes(bench: &mut Bench) -> [String; 3] {
    let rows = events(bench, Report::CallEvents);
    let of = |ciq: &str| rows.iter().find(|row| row.ciq == ciq).expect("an event of each");
    [of("c").result_code.clone(), of("c").result_response.clone(), of("a").result_code.clone()]
}

#[test]
fn pv_06_the_contacts_event_has_the_result_code_of_its_leg() {
    let ends = [
        (false, 486, false, Some(17), "b", ""),
        (true, 603, false, None, "b", ""),
        (true, 480, false, None, "b", ""),
        (false, 404, false, None, "e", "404"),
        (false, 404, false, Some(1), "e", "1"),
        (false, 480, false, Some(1), "e", "1"),
        (false, 408, false, None, "c", ""),
        (true, 408, false, None, "t", ""),
        (false, 503, true, None, "e", "503"),
    ];
    for called in CALLED {
        for (rings, status, network, cause, code, response) in ends {
            let (mut bench, call) = called();
            if rings {
                bench.sip(call, SipEvent::Ringing);
            }
            bench.sip(call, SipEvent::Failed { status, reason: String::new(), network, cause });
            assert_eq!(codes(&mut bench), [code, response, "k"], "{status}");
            let rows = events(&mut bench, Report::CallEvents);
            assert!(rows.iter().all(|row| row.dte_speak_start.is_empty() && row.duration_speak_sec == 0));
            assert_eq!(events(&mut bench.restart(), Report::CallEvents), rows, "{status}");
        }
    }
}

#[test]
fn pv_06_an_attempt_that_ends_on_our_side_has_the_code_of_who_ended_it() {
    for called in CALLED {
        for (rings, code) in [(false, "q"), (true, "h")] {
            let (mut bench, call) = called();
            if rings {
                bench.sip(call, SipEvent::Ringing);
            }
            bench.ask(ApiRequest::HangUp("ann".into()));
            bench.sip(call, failed(487));
            assert_eq!(codes(&mut bench), [code, "", "h"]);
        }
        let (mut bench, call) = called();
        bench.pass_ms(10_001);
        bench.sip(call, failed(487));
        assert_eq!(codes(&mut bench), ["c", "", "k"], "nothing rang in time");
    }
}

#[test]
fn pv_06_cb_14_a_callback_that_is_cancelled_while_it_rings_is_no_agents_doing() {
    for by_admin in [false, true] {
        let mut bench = available_agent(true);
        let id = bench.callback("+31201");
        let call = bench.customer();
        bench.sip(call, SipEvent::Ringing);
        bench.ask(match by_admin {
            false => ApiRequest::CancelCallback { service: "cb".into(), id },
            true => {
                let (ids, reason) = (vec![id], CancelReason::CancelledByAdmin);
                ApiRequest::CancelCallbacks(BulkCancel { ids, reason })
            }
        });
        bench.sip(call, failed(487));
        assert_eq!(codes(&mut bench), ["d", "", "k"], "by admin: {by_admin}");
        assert_eq!(archive(&mut bench)[0].state, "deleted in queue");
        assert_eq!(codes(&mut bench.restart()), ["d", "", "k"]);
    }
}

#[test]
fn pv_06_a_call_that_whoever_runs_the_place_ends_while_it_rings_is_no_agents_doing() {
    for called in CALLED {
        for rings in [false, true] {
            let (mut bench, call) = called();
            if rings {
                bench.sip(call, SipEvent::Ringing);
            }
            bench.ask(ApiRequest::EndCall(call));
            bench.sip(call, failed(487));
            assert_eq!(codes(&mut bench), ["d", "", "k"], "rings: {rings}");
            bench.pass_ms(3_600_000);
            assert_eq!(bench.dials_to_trunk(), 1, "it is not called again");
            assert_eq!(codes(&mut bench.restart()), ["d", "", "k"]);
        }
        let (mut bench, call) = called();
        bench.sip(call, SipEvent::Ringing);
        bench.ask(ApiRequest::EndCall(bench.dialled("ann")));
        bench.sip(call, failed(487));
        assert_eq!(
            codes(&mut bench),
            ["e", "", "e"],
            "the agent's phone is gone, and the agent did not hang up"
        );
    }
}

/// Code and queue of each queue event, code of the callers' own events, what the archive calls them, and how many have given up.
type Left = (Vec<(String, String)>, Vec<String>, Vec<String>, u64);

fn left(bench: &mut Bench) -> Left {
    let queued = events(bench, Report::QueueEvents).into_iter().map(|row| (row.result_code, row.queue_key));
    let own = events(bench, Report::CallEvents).into_iter().map(|row| row.result_code);
    let archived = archive(bench).into_iter().map(|row| row.state);
    let ApiReply::Statistics(figures) = bench.ask(ApiRequest::Statistics) else { panic!("no statistics") };
    (queued.collect(), own.collect(), archived.collect(), figures.abandoned)
}

/// Asks for an agent of one queue, later of another, and gives up.
fn two_queues(config: &mut Config) {
    config.queues.push(QueueConfig { name: "vip".into(), ..QueueConfig::default() });
    let vip = Action::RequestAgent { queue: "vip".into(), priority: None };
    with(flow(vec![
        step("hello", announce("hello.wav"), &[("Default", "ask")]),
        step("ask", request(), &[("Default", "music")]),
        step("music", music(), &[("Default", "ask others")]),
        step("ask others", vip, &[("Default", "more music")]),
        step("more music", music(), &[("Default", "bye")]),
        step("bye", Action::HangUp, &[]),
    ]))(config);
}

#[test]
fn pv_08_each_way_out_of_a_queue_has_its_code_and_who_was_in_none_has_no_queue_event() {
    type Way = fn(&mut Bench) -> Caller;
    let ways: [(Way, Left); 5] = [
        (
            |bench| {
                let caller = arrive_at(bench, 1, "+31201", "100");
                bench.pass_ms(61_000);
                caller
            },
            (vec![("t".into(), "sales".into())], vec!["t".into()], vec!["abandoned".into()], 1),
        ),
        (
            |bench| {
                let caller = arrive_at(bench, 1, "+31201", "100");
                bench.pass_ms(5_000);
                bench.ask(ApiRequest::EndCall(caller.0));
                caller
            },
            (vec![("c".into(), "sales".into())], vec!["d".into()], vec!["deleted in queue".into()], 0),
        ),
        (
            |bench| {
                let caller = arrive_at(bench, 1, "+31201", "100");
                bench.pass_ms(5_000);
                caller.hang_up(bench);
                caller
            },
            (vec![("h".into(), "sales".into())], vec!["h".into()], vec!["abandoned".into()], 1),
        ),
        (
            |bench| {
                let caller = arrive(bench, 1, "+31201");
                bench.end_play(caller.0);
                bench.pass_ms(60_000);
                assert!(caller.was_dropped(bench), "by the flow");
                caller
            },
            (
                vec![("b".into(), "sales".into()), ("b".into(), "vip".into())],
                vec!["d".into()],
                vec!["unanswered".into()],
                0,
            ),
        ),
        (
            |bench| {
                let caller = arrive(bench, 1, "+31201");
                bench.pass_ms(5_000);
                caller.hang_up(bench);
                caller
            },
            (vec![], vec!["h".into()], vec!["abandoned".into()], 1),
        ),
    ];
    for (way, expected) in ways {
        let mut bench = Bench::with(|config| {
            config.queues[0].max_wait_s = 60;
            two_queues(config);
        });
        let caller = way(&mut bench);
        bench.sip(caller.0, SipEvent::Ended { by_peer: false, reason: String::new() });
        assert_eq!(left(&mut bench), expected);
        let lasted: Vec<_> =
            events(&mut bench, Report::QueueEvents).iter().map(|row| row.duration_tot_sec).collect();
        if lasted.len() == 2 {
            assert_eq!(lasted, [30, 30], "since each place was taken");
        }
        let rebuilt = left(&mut bench.restart());
        assert_eq!((rebuilt.0, rebuilt.1, rebuilt.2), (expected.0, expected.1, expected.2));
    }
}
