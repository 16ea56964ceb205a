//! What is told to be recorded: what one leg says and another hears, and nothing else.

mod support;

use offhook_engine_core::{LegId, LegSetup, OpId, RecordChange, RecordId, Side, WorkerCommand};
use offhook_proto::{Codec, LegUpdate, Media, SuperviseMode};
use support::{Rig, Talker, prompt, setup};

fn record(rig: &mut Rig, leg: u64, change: RecordChange) {
    rig.done(|op| WorkerCommand::Record { op, leg: LegId(leg), change });
}

/// Recordings that a leg's next packet goes into.
fn tapped(rig: &mut Rig, talker: &mut Talker) -> Vec<(u64, Side)> {
    let _ = talker.talk(rig, 9);
    assert!(rig.worker.take_tap().is_none(), "told once");
    rig.tap.iter().flat_map(|tap| tap.into).flatten().map(|(record, side)| (record.0, side)).collect()
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
    for supervised in [false, true] {
        let mut rig = Rig::with_legs(1);
        let media = Media { codec: Codec::Pcma, payload_type: 8, ..Default::default() };
        rig.create(LegSetup { media, ..setup(2) });
        rig.create(setup(3));
        rig.latch(2);
        rig.splice(1, 2);
        if supervised {
            let (leg, of, with, mode) = (LegId(3), LegId(1), None, SuperviseMode::Listen);
            rig.done(|op| WorkerCommand::Supervise { op, leg, of, with, mode });
        }
        record(&mut rig, 1, RecordChange::Start(RecordId(7)));
        let mut customer = Talker { payload_type: 8, ..Talker::new(2) };
        let sent = customer.talk(&mut rig, 0xD5).expect("it is sent on");
        let tap = rig.tap.take().expect("it is recorded");
        assert_eq!((tap.codec, tap.payload.clone()), (Codec::Pcmu, 12..172), "supervised: {supervised}");
        assert_eq!(sent.bytes[tap.payload], [0xFE; 160], "its neighbour in the other law");
        assert_eq!((tap.ssrc, tap.clock_rate_hz), (customer.ssrc, 8_000));
        customer.sequence -= 2;
        assert!(customer.talk(&mut rig, 0xD5).is_err(), "late");
        assert_eq!(rig.tap, None, "what is not sent on is not recorded");
    }
}

fn listen(rig: &mut Rig, leg: u64, of: u64) {
    rig.done(|op| WorkerCommand::Listen { op, leg: LegId(leg), of: LegId(of) });
}

#[test]
fn a_party_whom_only_listeners_hear_is_recorded_once() {
    let mut rig = Rig::with_legs(2);
    let mut party = Talker::new(1);
    record(&mut rig, 1, RecordChange::Start(RecordId(7)));
    for ear in [3, 4] {
        rig.create(setup(ear));
        listen(&mut rig, ear, 1);
        assert_eq!(tapped(&mut rig, &mut party), [(7, Side::Near)]);
    }
    rig.play(3, "p", vec![prompt(Codec::Pcmu, vec![5; 16_000])], 1);
    assert_eq!(tapped(&mut rig, &mut party), [(7, Side::Near)], "the other hears it");
    rig.play(4, "p", vec![prompt(Codec::Pcmu, vec![5; 16_000])], 1);
    assert!(tapped(&mut rig, &mut party).is_empty(), "both are covered");
    rig.pass_ms(3_000);
    rig.gates(1, 2, true, false);
    assert_eq!(tapped(&mut rig, &mut party), [(7, Side::Near)], "its partner does not hear it yet");
    record(&mut rig, 2, RecordChange::Start(RecordId(8)));
    rig.splice(1, 2);
    assert_eq!(tapped(&mut rig, &mut party), [(7, Side::Near), (8, Side::Far)]);
    rig.unsplice(1);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(1), keep_one_in: 1 });
    assert!(tapped(&mut rig, &mut party).is_empty(), "an idle microphone is not recorded");
}

#[test]
fn a_party_whom_only_listeners_hear_is_recorded_from_its_first_word_on() {
    let mut rig = Rig::with_legs(1);
    rig.create(LegSetup { remote: None, ..setup(2) });
    listen(&mut rig, 1, 2);
    record(&mut rig, 2, RecordChange::Start(RecordId(7)));
    let mut party = Talker::new(2);
    assert!(tapped(&mut rig, &mut party).is_empty(), "nobody knows who that is");
    let change = Box::new(LegUpdate { remote: setup(2).remote, ..LegUpdate::default() });
    rig.command(|op| WorkerCommand::Update { op, leg: LegId(2), change }).expect("it is there");
    let [(tap, packet)] = &rig.tapped[..] else { panic!("{:?}", rig.tapped) };
    assert_eq!((tap.into[0], tap.codec), (Some((RecordId(7), Side::Near)), Codec::Pcmu));
    assert_eq!(packet[tap.payload.clone()], [9; 160]);
}
