//! What a worker thread does when the kernel or itself has no room for a moment.

use std::net::UdpSocket;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, bounded};
use offhook_engine_core::{LegSetup, OpId, WorkerCommand};
use offhook_proto::{DtmfMode, Idle, LatchMode, Media, Srtp};
use tokio::sync::Notify;

use super::*;
use crate::link::FromWorker;

/// A worker on this thread, and control's ends of its links.
fn worker() -> (WorkerThread, Sender<ToWorker>, Receiver<FromWorker>) {
    let (commands_in, commands) = bounded(8);
    let (reports_in, reports) = bounded(8);
    let control = ControlLink::new(0, commands, reports_in, Arc::new(Notify::new()));
    let clock = Clock::start();
    let (recorder, ..) = Recorder::start(None, clock).expect("a thread can be started");
    let setup = WorkerSetup {
        cpu: None,
        clock,
        ring: RingConfig {
            files: 16,
            receive_buffers: 8,
            send_buffers: 4,
            send_len: PACKET_BYTES,
            ..RingConfig::default()
        },
        core: WorkerConfig { worker: 0, unix_us_at_start: 0, seed: 1, max_legs: 4 },
        recorder,
        min_wait: Duration::ZERO,
        steer: None,
        kernel: None,
    };
    let (thread, _) = WorkerThread::new(setup, control).expect("this machine has io_uring");
    (thread, commands_in, reports)
}

fn create(leg: u64) -> ToWorker {
    let bound = || UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let (rtp, rtcp) = (bound(), bound());
    let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
    let setup = LegSetup {
        id: LegId(leg),
        name: format!("leg-{leg}").into(),
        owner: None,
        rtp: address(&rtp),
        rtcp: address(&rtcp),
        ssrc: 1,
        sequence: 0,
        timestamp: 0,
        remote: None,
        media: Media::default(),
        latch: LatchMode::Signalled,
        idle: Idle::None,
        park: false,
        silent_after_ms: 0,
        one_way_after_ms: 0,
        srtp: Srtp::Off,
        rtcp_mux: false,
        dtmf: DtmfMode::Pass,
    };
    let command = WorkerCommand::Create { op: OpId(leg), setup: Box::new(setup) };
    ToWorker { command, sockets: Some(LegSockets { rtp: rtp.into(), rtcp: rtcp.into() }) }
}

/// Where a leg receives RTP.
fn rtp_of(message: &ToWorker) -> SocketAddr {
    match &message.command {
        WorkerCommand::Create { setup, .. } => setup.rtp,
        other => panic!("{other:?}"),
    }
}

/// Operations that were done, in order.
fn done(thread: &mut WorkerThread, reports: &Receiver<FromWorker>) -> Vec<u64> {
    assert!(thread.control.flush(), "control takes them all");
    let op = |message: FromWorker| match message.report {
        WorkerReport::Done { op, result: Ok(_) } => op.0,
        other => panic!("{other:?}"),
    };
    reports.try_iter().map(op).collect()
}

#[test]
fn what_no_buffer_is_free_for_is_done_a_moment_later_and_in_order() {
    let (mut thread, commands, reports) = worker();
    assert_eq!(thread.longest_wait(true), LONGEST_WAIT);
    let held: Vec<_> = std::iter::from_fn(|| thread.ring.buffer()).collect();
    assert_eq!(held.len(), 4);
    for leg in [1, 2] {
        commands.send(create(leg)).expect("there is room");
    }
    for _ in 0..3 {
        let now = thread.clock.now();
        assert!(thread.take_commands(now));
        thread.retry();
        assert_eq!(thread.longest_wait(true), RETRY_AFTER, "nobody would wake it");
        thread.wait(now, true).expect("it waits a moment");
        assert!(done(&mut thread, &reports).is_empty());
    }
    drop(held);
    thread.retry();
    assert_eq!(done(&mut thread, &reports), [1], "its sockets were kept for it");
    let now = thread.clock.now();
    assert!(thread.take_commands(now));
    assert_eq!(done(&mut thread, &reports), [2]);
    assert_eq!(thread.ports.iter().flatten().filter(|ports| ports.rtp.receiving).count(), 2);
    assert_eq!(thread.longest_wait(true), LONGEST_WAIT);
}

#[test]
fn a_leg_leaves_though_the_ring_had_no_room_to_cancel_its_receives_at_first() {
    let (mut thread, commands, reports) = worker();
    let created = create(1);
    let rtp = rtp_of(&created);
    commands.send(created).expect("there is room");
    let now = thread.clock.now();
    assert!(thread.take_commands(now));
    assert_eq!(done(&mut thread, &reports), [1]);
    thread.core.handle_command(now, WorkerCommand::Delete { op: OpId(2), leg: LegId(1) });
    // As a full queue leaves it.
    assert!(matches!(thread.core.poll_output(&mut [0; PACKET_BYTES]), Some(WorkerOutput::Disarm { .. })));
    thread.ports[0].as_mut().expect("it is there").leaving = true;
    thread.leaving.push(LegIx(0));
    let closed = loop {
        thread.retry();
        assert!(thread.control.flush());
        if let Ok(message) = reports.try_recv() {
            break message.report;
        }
        thread.wait(now, true).expect("it waits");
        thread.take_completions();
    };
    assert!(matches!(closed, WorkerReport::Closed { op: OpId(2), .. }), "{closed:?}");
    assert!(UdpSocket::bind(rtp).is_ok(), "its port is free again");
}
