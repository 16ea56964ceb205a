//! Endpoints wired straight to each other: what the media thread measures without any engine between.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::media::ledger::Ledger;
use crate::media::sockets::{PortPool, raise_file_limit};
use crate::units::Ports;

/// `pairs` agents and customers who hear each other, and `idle` agents who talk to a socket that nobody reads.
fn play(pairs: u32, idle: u32, last_octet: u8, for_ms: u64) -> Ledger {
    raise_file_limit(u64::from(pairs * 4 + idle * 2 + 100)).expect("descriptors");
    let ip = IpAddr::from([127, 0, 8, last_octet]);
    let mut ports = PortPool::new(ip, Ports { first: 20_000, last: 31_999 });
    let mut pump = Pump::start(5, 25, None, |_| ()).expect("a thread");
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
            pump.tell(Command::Talk { id: agent, remote: sink.local });
            continue;
        }
        let customer = agents + agent;
        let remote = admit(customer, Role::Customer, &mut ports);
        pump.tell(Command::Talk { id: agent, remote });
        pump.tell(Command::Answered { id: customer, at_ns: clock::now_ns(), remote: local });
    }
    std::thread::sleep(Duration::from_millis(for_ms));
    pump.finish().expect("an account")
}

#[test]
fn endpoints_without_a_switch_between_hear_each_other_in_one_unbroken_stream() {
    let ledger = play(10, 5, 1, 600);
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

/// How much of a core the harness takes. Run by hand, in release: `cargo test --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_2000_agents_and_500_conversations() {
    let ledger = play(500, 1_500, 2, 10_000);
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
