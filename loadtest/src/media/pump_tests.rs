//! Endpoints wired straight to each other: what the media thread measures without any engine between.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::media::ledger::Ledger;
use crate::media::sockets::{PortPool, raise_file_limit};
use crate::units::Ports;

fn there(rtp: SocketAddr) -> Remote {
    Remote { rtp, wants_media: true, telephone_event: Some(101) }
}

/// `pairs` agents and customers who hear each other, and `idle` agents who talk to a socket that nobody reads.
fn play(pairs: u32, idle: u32, last_octet: u8, for_ms: u64, rtcp: bool) -> Ledger {
    raise_file_limit(u64::from(pairs * 4 + idle * 2 + 100)).expect("descriptors");
    let ip = IpAddr::from([127, 0, 8, last_octet]);
    let mut ports = PortPool::new(ip, Ports { first: 20_000, last: 31_999 });
    let mut pump = Pump::start(5, 25, None, rtcp, |_| ()).expect("a thread");
    let sink = ports.open().expect("a port");
    let agents = pairs + idle;
    let admit = |id, role, ports: &mut PortPool| -> SocketAddr {
        let pair = ports.open().expect("a port");
        let sockets = Sockets { rtp: pair.rtp, rtcp: pair.rtcp };
        pump.tell(Command::Admit { id, role, sockets, understands_pin: false });
        pair.local
    };
    for agent in 0..agents {
        let local = admit(agent, Role::Agent, &mut ports);
        if agent >= pairs {
            pump.tell(Command::Talk { id: agent, remote: there(sink.local) });
            continue;
        }
        let customer = agents + agent;
        let remote = admit(customer, Role::Customer, &mut ports);
        pump.tell(Command::Talk { id: agent, remote: there(remote) });
        pump.tell(Command::Answered { id: customer, at_ns: clock::now_ns(), remote: there(local) });
    }
    std::thread::sleep(Duration::from_millis(for_ms));
    pump.finish().expect("an account")
}

#[test]
fn endpoints_without_a_switch_between_hear_each_other_in_one_unbroken_stream() {
    let ledger = play(10, 5, 1, 600, true);
    assert_eq!(ledger.violation_count, 0, "{:?}", ledger.violations);
    assert!(ledger.agents.unbroken() && ledger.customers.unbroken());
    assert_eq!(ledger.conversations.len(), 10);
    for conversation in &ledger.conversations {
        assert_eq!(conversation.agent, Some(conversation.customer - 15));
        let (to_agent, to_customer) =
            (conversation.to_agent.expect("heard"), conversation.to_customer.expect("heard"));
        assert_eq!((to_agent.missing(), to_customer.missing(), to_agent.first_sequence), (0, 0, 0));
    }
}

#[test]
fn endpoints_that_report_to_each_other_measure_the_round_trip_and_say_that_nothing_was_lost() {
    // Each has sent its first report after 3.1 s, and the later one of a pair answers the other's.
    let ledger = play(3, 0, 3, 4_000, true);
    assert!(ledger.rtcp.sent >= 6 && ledger.rtcp.received == ledger.rtcp.sent, "{:?}", ledger.rtcp);
    assert!(ledger.round_trip_ns.len() >= 3, "{}", ledger.round_trip_ns.len());
    assert_eq!((ledger.rtcp.told, ledger.rtcp.lost), (6, 0));
    let silent = play(1, 0, 4, 3_500, false);
    assert_eq!((silent.rtcp.sent, silent.rtcp.received), (0, 0));
}

/// How much of a core the harness takes. Run by hand, in release: `cargo test --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_2000_agents_and_500_conversations() {
    let ledger = play(500, 1_500, 2, 10_000, true);
    let cores = ledger.cpu_ns as f64 / ledger.wall_ns as f64;
    let late_us = |quantile| ledger.lateness_ns.value_at_quantile(quantile) / 1_000;
    println!("{} sent, {} heard, {cores:.2} cores", ledger.sent, ledger.heard);
    println!("late by p50 {} p99 {} p99.9 {} µs", late_us(0.5), late_us(0.99), late_us(0.999));
    let delay_us = |quantile| ledger.delay_to_agent_ns.value_at_quantile(quantile) / 1_000;
    println!(
        "delay p50 {} p99 {} p99.9 {} µs; {:?}",
        delay_us(0.5),
        delay_us(0.99),
        delay_us(0.999),
        ledger.trouble
    );
    assert_eq!(ledger.violation_count, 0);
}
