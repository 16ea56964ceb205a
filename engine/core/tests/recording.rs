//! What is told to be recorded: what one leg says and another hears, and nothing else.

mod support;

use offhook_engine_core::{LegId, OpId, RecordChange, RecordId, Side, WorkerCommand};
use offhook_proto::Codec;
use support::{Rig, Talker};

fn record(rig: &mut Rig, leg: u64, change: RecordChange) {
    rig.done(|op| WorkerCommand::Record { op, leg: LegId(leg), change });
}

/// Recordings that a leg's next packet goes into.
fn tapped(rig: &mut Rig, talker: &mut Talker) -> Vec<(u64, Side)> {
    let _ = talker.talk(rig, 9);
    let tap = rig.worker.take_tap();
    assert!(rig.worker.take_tap().is_none(), "told once");
    tap.iter().flat_map(|tap| tap.into).flatten().map(|(record, side)| (record.0, side)).collect()
}

#[test]
fn by_06_an_idle_leg_and_a_closed_gate_are_never_told() {
    let mut rig = Rig::with_legs(2);
    let (mut agent, mut customer) = (Talker::new(1), Talker::new(2));
    record(&mut rig, 1, RecordChange::Start(RecordId(7)));
    assert!(tapped(&mut rig, &mut agent).is_empty());
    rig.gates(1, 2, true, false);
    assert!(tapped(&mut rig, &mut agent).is_empty(), "nobody hears it");
    assert_eq!(tapped(&mut rig, &mut customer), [(7, Side::Far)]);
    rig.splice(1, 2);
    assert_eq!(tapped(&mut rig, &mut agent), [(7, Side::Near)]);
    record(&mut rig, 2, RecordChange::Start(RecordId(8)));
    assert_eq!(tapped(&mut rig, &mut agent), [(7, Side::Near), (8, Side::Far)], "each leg has its own");
    rig.unsplice(1);
    assert!(tapped(&mut rig, &mut agent).is_empty());
}

#[test]
fn a_pause_leaves_out_and_a_recording_ends_once() {
    let mut rig = Rig::with_legs(2);
    let mut customer = Talker::new(2);
    rig.splice(1, 2);
    record(&mut rig, 1, RecordChange::Start(RecordId(7)));
    record(&mut rig, 1, RecordChange::Pause(true));
    assert!(tapped(&mut rig, &mut customer).is_empty());
    record(&mut rig, 1, RecordChange::Pause(false));
    assert_eq!(tapped(&mut rig, &mut customer), [(7, Side::Far)]);
    record(&mut rig, 1, RecordChange::Start(RecordId(8)));
    rig.tell(WorkerCommand::Delete { op: OpId(900), leg: LegId(1) });
    record(&mut rig, 2, RecordChange::Stop);
    let ends: Vec<_> = rig.actions.iter().filter(|action| action.starts_with("record")).collect();
    assert_eq!(ends, ["record end 7 false", "record end 8 true"]);
}

#[test]
fn the_payload_is_told_in_the_encoding_that_lies_in_the_buffer() {
    let mut rig = Rig::with_legs(1);
    let media = offhook_proto::Media { codec: Codec::Pcma, payload_type: 8, ..Default::default() };
    rig.create(offhook_engine_core::LegSetup { media, ..support::setup(2) });
    rig.latch(2);
    rig.splice(1, 2);
    record(&mut rig, 1, RecordChange::Start(RecordId(7)));
    let mut customer = Talker { payload_type: 8, ..Talker::new(2) };
    let sent = customer.talk(&mut rig, 0xD5).expect("it is sent on");
    let tap = rig.worker.take_tap().expect("it is recorded");
    assert_eq!((tap.codec, tap.payload.clone()), (Codec::Pcmu, 12..172));
    assert_eq!(sent.bytes[tap.payload], [0xFE; 160], "its neighbour in the other law");
    assert_eq!((tap.ssrc, tap.clock_rate_hz), (customer.ssrc, 8_000));
}
