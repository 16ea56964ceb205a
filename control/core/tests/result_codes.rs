//! How an attempt at a contact or a callback ended: the codes of its events, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::reports::{archive, events};
use bench::{Bench, available_agent};
use offhook_control_core::CallId;
use offhook_control_core::api::{ApiRequest, BulkCancel, CancelReason, ContactBody};
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
