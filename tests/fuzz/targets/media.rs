//! Packets to eight legs: pairs that are forwarded, transcoded, with keys in both forms and comfort noise, one of them heard by
//! a detector, a recorder and a supervisor. Time passes between packets, so that what was put into jitter buffers is decoded.
#![no_main]
#![allow(dead_code, reason = "the rig of the engine's own tests is used in part")]

#[path = "../../../engine/core/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use offhook_engine_core::{LegId, LegSetup, RecordChange, RecordId, WorkerCommand};
use offhook_proto::{
    AmdParameters, Codec, DetectStart, DetectWhat, DtmfMode, Media, SuperviseMode, ToneParameters,
};
use support::{Rig, phone, setup};

/// Legs 1 to 8, of which 1 and 2 are a pair, 3 and 4, and so on; and 9, which supervises the second.
const LEGS: [(Codec, u8, Option<u8>, DtmfMode); 9] = [
    (Codec::Pcmu, 0, Some(101), DtmfMode::Pass),
    (Codec::Pcmu, 0, Some(101), DtmfMode::Pass),
    (Codec::Pcmu, 0, Some(101), DtmfMode::Pass),
    (Codec::G722, 9, None, DtmfMode::Convert),
    (Codec::Opus, 96, Some(101), DtmfMode::Pass),
    (Codec::L16 { rate_hz: 16_000 }, 97, Some(101), DtmfMode::Pass),
    (Codec::Pcma, 8, None, DtmfMode::Convert),
    (Codec::Opus, 96, Some(101), DtmfMode::Block),
    (Codec::L16 { rate_hz: 44_100 }, 98, None, DtmfMode::Pass),
];

fuzz_target!(|data: &[u8]| {
    let mut rig = Rig::new();
    for (leg, (codec, payload_type, telephone_event, dtmf)) in (1..).zip(LEGS) {
        let media = Media { codec, payload_type, telephone_event, ..Media::default() };
        rig.create(LegSetup { media, dtmf, ..setup(leg) });
        rig.latch(leg);
    }
    for leg in [1, 3, 5, 7] {
        rig.splice(leg, leg + 1);
    }
    let detect = DetectStart {
        leg: "leg-5".into(),
        what: vec![DetectWhat::Amd, DetectWhat::Tones, DetectWhat::Dtmf],
        amd: AmdParameters::default(),
        tones: ToneParameters::default(),
    };
    rig.done(|op| WorkerCommand::Detect { op, leg: LegId(5), start: Some(Box::new(detect)) });
    let change = RecordChange::Start(RecordId(1));
    rig.done(|op| WorkerCommand::Record { op, leg: LegId(5), change });
    let (leg, of, mode) = (LegId(9), LegId(3), SuperviseMode::Barge);
    rig.done(|op| WorkerCommand::Supervise { op, leg, of, with: Some(LegId(4)), mode });
    // Packets one after another: two bytes of length, a byte that chooses the leg (four bits) and how long the one after it is
    // in coming (0 to 30 ms), then the packet.
    let mut rest = data;
    while let [high, low, way, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (packet, next) = tail.split_at(len.min(tail.len()));
        let leg = u64::from(way % 16) % LEGS.len() as u64 + 1;
        let _ = rig.receive_from(leg, phone(leg), packet);
        rig.pass_ms(u64::from(way / 16 % 4) * 10);
        rest = next;
    }
});
