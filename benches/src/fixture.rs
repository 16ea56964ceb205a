//! A worker with legs, as its shell would drive it, without sockets.

use std::net::SocketAddr;

use offhook_engine_core::{
    LegId, LegIx, LegSetup, OpId, Time, Worker, WorkerCommand, WorkerConfig, WorkerOutput,
};
use offhook_proto::{Idle, LatchMode, Media, Remote, Srtp};

/// A worker whose legs are numbered like their places, each with a phone at [`phone`].
pub fn worker(legs: u32, media: impl Fn(u32) -> Media) -> Worker {
    let config =
        WorkerConfig { worker: 0, unix_us_at_start: 1_790_000_000_000_000, seed: 5, max_legs: legs as usize };
    let mut worker = Worker::new(config);
    for leg in 0..legs {
        let setup = LegSetup {
            id: LegId(u64::from(leg)),
            name: format!("leg-{leg}").into(),
            owner: None,
            rtp: SocketAddr::from(([127, 0, 0, 1], 20_000)),
            rtcp: SocketAddr::from(([127, 0, 0, 1], 20_001)),
            ssrc: 0x0ff0_0000 | leg,
            sequence: 100,
            timestamp: 1_000,
            remote: Some(Remote { rtp: phone(leg), rtcp: None }),
            media: media(leg),
            latch: LatchMode::default(),
            idle: Idle::None,
            park: false,
            silent_after_ms: 0,
            one_way_after_ms: 0,
            srtp: Srtp::Off,
            rtcp_mux: false,
            dtmf: offhook_proto::DtmfMode::Pass,
        };
        worker.handle_command(Time(0), WorkerCommand::Create { op: OpId(0), setup: Box::new(setup) });
        drain(&mut worker);
    }
    worker
}

/// A worker whose legs are joined in pairs: 0 with 1, 2 with 3 and so on.
pub fn spliced(legs: u32) -> Worker {
    let mut worker = worker(legs, |_| Media::default());
    for a in (0..legs).step_by(2) {
        splice(&mut worker, a, a + 1);
    }
    worker
}

/// Joins two legs, each hearing the other, and returns the number of outputs.
pub fn splice(worker: &mut Worker, a: u32, b: u32) -> usize {
    let command = WorkerCommand::Splice {
        op: OpId(1),
        a: LegId(u64::from(a)),
        b: LegId(u64::from(b)),
        a_hears_b: true,
        b_hears_a: true,
        replace: false,
        since: Time(0),
        replay: false,
    };
    worker.handle_command(Time(0), command);
    drain(worker)
}

/// Parts two legs, and returns the number of outputs.
pub fn unsplice(worker: &mut Worker, leg: u32) -> usize {
    let command = WorkerCommand::Unsplice { op: OpId(2), leg: LegId(u64::from(leg)), park: Vec::new() };
    worker.handle_command(Time(0), command);
    drain(worker)
}

/// Polls a worker's outputs to the end; returns how many of them were packets.
pub fn drain(worker: &mut Worker) -> usize {
    let mut buffer = [0; offhook_engine_core::limits::PACKET_BYTES];
    let mut packets = 0;
    while let Some(output) = worker.poll_output(&mut buffer) {
        packets += usize::from(matches!(output, WorkerOutput::Transmit { .. }));
    }
    packets
}

/// Where a leg's phone is.
pub fn phone(leg: u32) -> SocketAddr {
    SocketAddr::from(([127, 1, (leg >> 8) as u8, leg as u8], 4_000))
}

/// A leg's place, for worker inputs.
pub fn place(leg: u32) -> LegIx {
    LegIx(leg)
}

/// Writes a PCMU packet of 20 ms: the `number`th of a leg's phone.
pub fn write_packet(packet: &mut [u8; 172], leg: u32, number: u32) {
    packet[0] = 0x80;
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&leg.to_be_bytes());
}
