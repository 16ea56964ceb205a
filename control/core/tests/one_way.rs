//! Conversations of which one direction has no audio: shown, counted, on record, and left alone (BY-02).

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bench::flow::summary;
use bench::{Bench, available_agent, conversation};
use offhook_control_core::CallId;
use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::record::AudioPath::{self, FromAgent, FromCustomer, ToAgent, ToCustomer};
use offhook_control_core::sip::{Direction, RemoteMedia, SipEvent};
use offhook_control_core::view::{AgentStatus, CallView, Notification};
use offhook_proto::AudioDirection::{FromPeer, ToPeer};
use offhook_proto::{AudioDirection, Command, EventBody};

fn lost(bench: &mut Bench, leg: &str, direction: AudioDirection) {
    bench.event(EventBody::LegOneWay { leg: leg.to_owned(), direction, unheard_ms: 5_000 });
}

fn found(bench: &mut Bench, leg: &str, direction: AudioDirection) {
    bench.event(EventBody::LegTwoWay { leg: leg.to_owned(), direction });
}

/// What was last told live of a call, since this was asked before.
fn told(bench: &mut Bench, call: CallId) -> Option<CallView> {
    let mut views = bench.notes.drain(..).filter_map(|note| match note {
        Notification::Call(view) if view.id == call.to_string() => Some(*view),
        _ => None,
    });
    views.next_back()
}

fn missing(bench: &mut Bench, call: CallId) -> Option<Vec<AudioPath>> {
    told(bench, call).map(|view| view.one_way)
}

fn counted(bench: &mut Bench) -> Vec<(String, u64)> {
    match bench.ask(ApiRequest::Statistics) {
        ApiReply::Statistics(figures) => {
            figures.one_way.into_iter().filter(|(_, times)| *times > 0).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The limit that the engine was last told for a leg.
fn limit_ms(bench: &Bench, leg: &str) -> Option<u32> {
    let limit = |command: &Command| match command {
        Command::LegCreate(create) if create.leg == leg => create.one_way_after_ms,
        Command::LegUpdate(update) if update.leg == leg => update.one_way_after_ms,
        _ => None,
    };
    bench.engine.iter().rev().find_map(limit)
}

#[test]
fn by_02_a_one_way_call_is_shown_live_counted_and_kept_on_record_and_goes_on() {
    let (mut bench, customer) = conversation();
    let (ann, ann_leg, leg) = (bench.dialled("ann"), bench.agent_leg("ann"), format!("c-{customer}"));
    bench.notes.clear();
    lost(&mut bench, &leg, FromPeer);
    assert_eq!(missing(&mut bench, customer), Some(vec![FromCustomer]));
    lost(&mut bench, &leg, FromPeer);
    assert_eq!(missing(&mut bench, customer), None, "no news");
    lost(&mut bench, &ann_leg, ToPeer);
    assert_eq!(missing(&mut bench, customer), Some(vec![ToAgent, FromCustomer]));
    found(&mut bench, &leg, FromPeer);
    lost(&mut bench, &leg, FromPeer);
    found(&mut bench, &leg, FromPeer);
    let view = told(&mut bench, customer).expect("it changed");
    assert_eq!(view.one_way, [ToAgent]);
    let times = BTreeMap::from([(ToAgent, 1), (FromCustomer, 2)]);
    assert_eq!(view.one_way_times, times);
    assert_eq!(counted(&mut bench), [("from_customer".to_owned(), 2), ("to_agent".to_owned(), 1)]);
    bench.pass_ms(60_000);
    assert!(!bench.is_hung_up(customer) && !bench.is_hung_up(ann));
    assert_eq!(bench.agent("ann").status, AgentStatus::OnCall);

    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    let record = summary(&bench, customer);
    assert_eq!(record.one_way, times);
    let written = serde_json::to_value(&record).expect("it is JSON");
    assert_eq!(written["one_way"], serde_json::json!({ "to_agent": 1, "from_customer": 2 }));
    let ended = told(&mut bench, customer).expect("it is over");
    assert!(ended.one_way.is_empty() && ended.one_way_times == times);
}

#[test]
fn by_02_by_10_what_was_missing_before_a_restart_of_control_counts_on() {
    let (mut bench, customer) = conversation();
    let (ann, leg) = (bench.dialled("ann"), format!("c-{customer}"));
    bench.keep_dialogs([ann, customer]);
    lost(&mut bench, &leg, FromPeer);
    found(&mut bench, &leg, FromPeer);
    let legs = [bench.agent_leg("ann"), leg.clone()];
    let mut bench = bench.restart_with_spliced(legs);
    bench.restored([ann, customer]);
    lost(&mut bench, &leg, FromPeer);
    lost(&mut bench, &leg, ToPeer);
    let times = BTreeMap::from([(FromCustomer, 2), (ToCustomer, 1)]);
    assert_eq!(told(&mut bench, customer).map(|view| view.one_way_times), Some(times.clone()));
    let mut bench = bench.restart();
    bench.sip(customer, SipEvent::Ended { by_peer: true, reason: String::new() });
    assert_eq!(summary(&bench, customer).one_way, times);
}

#[test]
fn by_02_what_was_missing_in_a_conversation_is_not_in_the_next_one() {
    let (mut bench, first) = conversation();
    let leg = bench.agent_leg("ann");
    lost(&mut bench, &leg, FromPeer);
    assert_eq!(missing(&mut bench, first), Some(vec![FromAgent]));
    bench.sip(first, SipEvent::Ended { by_peer: true, reason: String::new() });
    bench.pass_ms(600_000);
    bench.callback("+31202");
    let second = bench.customer();
    assert_ne!(first, second);
    bench.answer(second);
    let view = told(&mut bench, second).expect("they talk");
    assert!(view.state == "spliced" && view.one_way.is_empty(), "{view:?}");
    lost(&mut bench, &leg, FromPeer);
    assert_eq!(missing(&mut bench, second), Some(vec![FromAgent]), "it is news again");
    bench.event(EventBody::EventsLost { count: 1 });
    lost(&mut bench, &leg, FromPeer);
    assert_eq!(counted(&mut bench), [("from_agent".to_owned(), 3)], "its end may have been among them");
}

#[test]
fn by_02_nothing_is_missed_of_a_leg_that_talks_to_nobody() {
    let mut bench = available_agent(true);
    let leg = bench.agent_leg("ann");
    lost(&mut bench, &leg, FromPeer);
    lost(&mut bench, "c-4711", FromPeer);
    assert_eq!(counted(&mut bench), []);
}

#[test]
fn by_02_nothing_is_missed_of_a_peer_who_holds() {
    let (mut bench, customer) = conversation();
    let leg = format!("c-{customer}");
    assert_eq!(limit_ms(&bench, &leg), Some(5_000));
    lost(&mut bench, &leg, FromPeer);
    bench.notes.clear();
    for direction in [Direction::SendOnly, Direction::Inactive] {
        bench.sip(customer, SipEvent::Updated(RemoteMedia { direction, ..bench::remote() }));
        assert_eq!(limit_ms(&bench, &leg), Some(0), "{direction:?}");
    }
    assert_eq!(missing(&mut bench, customer), Some(vec![]));
    bench.sip(customer, SipEvent::Updated(bench::remote()));
    assert_eq!(limit_ms(&bench, &leg), Some(5_000));
    lost(&mut bench, &leg, FromPeer);
    assert_eq!(counted(&mut bench), [("from_customer".to_owned(), 2)]);
}

#[test]
fn by_02_who_holds_by_an_address_of_zeros_keeps_the_call() {
    let (mut bench, customer) = conversation();
    let (ann, mut held) = (bench.dialled("ann"), bench::remote());
    held.remote.rtp.set_ip(Ipv4Addr::UNSPECIFIED.into());
    held.direction = Direction::SendOnly;
    for (call, leg) in [(customer, format!("c-{customer}")), (ann, bench.agent_leg("ann"))] {
        bench.sip(call, SipEvent::Updated(held.clone()));
        assert_eq!(limit_ms(&bench, &leg), Some(0));
        bench.sip(call, SipEvent::Updated(bench::remote()));
        assert_eq!(limit_ms(&bench, &leg), Some(5_000));
    }
    assert_eq!(told(&mut bench, customer).map(|view| view.state), Some("spliced".to_owned()));
}
