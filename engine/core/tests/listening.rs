//! Legs that hear a copy of what another one says: by content, and at nobody's cost.

mod support;

use offhook_audio::codec::Decoder;
use offhook_audio::dtmf::DtmfDetector;
use offhook_audio::level::dbm0;
use offhook_engine_core::limits::LISTENERS;
use offhook_engine_core::{LegId, LegSetup, OpId, WorkerCommand};
use offhook_proto::{Codec, DtmfMode, ErrorCode, LegUpdate, Media};
use support::speaker::{Speaker, audio_codec, keys, media, prompt_samples, silence};
use support::{Rig, Talker, prompt, setup};

const SPEAKER: u64 = 1;
const PARTNER: u64 = 2;
const EAR: u64 = 3;

fn rig(speaker: Media) -> Rig {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: speaker, ..setup(SPEAKER) });
    rig.create(setup(PARTNER));
    rig.latch(SPEAKER);
    rig.latch(PARTNER);
    rig
}

fn ear(rig: &mut Rig, leg: u64, media: Media) {
    rig.create(LegSetup { media, ..setup(leg) });
}

fn listen(rig: &mut Rig, leg: u64, of: u64) -> Result<(), ErrorCode> {
    let (leg, of) = (LegId(leg), LegId(of));
    rig.command(|op| WorkerCommand::Listen { op, leg, of }).map(|_| ()).map_err(|error| error.code)
}

/// What a leg's phone was sent, at 8 kHz; its packets are one stream.
fn heard(rig: &mut Rig, leg: u64, codec: Codec) -> Vec<i16> {
    let sent = rig.take_heard(leg);
    for pair in sent.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence.wrapping_add(1)));
        assert!(after.timestamp.wrapping_sub(before.timestamp) < 0x8000_0000, "timestamps ran back");
    }
    let mut decoder = Decoder::new(audio_codec(codec), 8_000).expect("it decodes");
    let mut narrow = offhook_audio::resample::Resampler::new(decoder.rate_hz(), 8_000).expect("it resamples");
    let mut all = Vec::new();
    for packet in sent.iter().filter(|packet| packet.header().payload_type == media(codec).payload_type) {
        let (mut decoded, mut made) = ([0; 5_760], [0; 5_760]);
        let count = decoder.decode(&packet.bytes[12..], &mut decoded).expect("it decodes");
        let count = narrow.process(&decoded[..count], &mut made);
        all.extend_from_slice(&made[..count]);
    }
    all
}

/// Sum of squares: what was said is as loud wherever it lies.
fn energy_db(samples: &[i16]) -> f32 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (sum + 1.0).log10() as f32
}

#[test]
fn ears_of_every_encoding_hear_the_same_and_the_partner_hears_it_untouched() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let mut rig = rig(media(codec));
        rig.splice(SPEAKER, PARTNER);
        let ears = [
            (3, Codec::Pcmu),
            (4, Codec::Pcma),
            (5, Codec::G722),
            (6, Codec::Opus),
            (7, Codec::L16 { rate_hz: 48_000 }),
        ];
        for (leg, codec) in ears {
            ear(&mut rig, leg, media(codec));
            assert_eq!(listen(&mut rig, leg, SPEAKER), Ok(()));
            assert_eq!(rig.info(leg).listens_to.as_deref(), Some("leg-1"));
        }
        rig.take_heard(PARTNER);
        let speech = prompt_samples("thank_you.wav");
        let mut phone = Speaker::new(SPEAKER, media(codec));
        phone.say(&mut rig, &speech);
        phone.say(&mut rig, &silence(400));
        for (leg, codec) in ears {
            let off = energy_db(&heard(&mut rig, leg, codec)) - energy_db(&speech);
            assert!(off.abs() < 0.7, "{codec:?}: {off} dB");
        }
        if codec == Codec::Pcmu {
            let mut coded = vec![0; speech.len()];
            offhook_audio::g711::encode_ulaw(&speech, &mut coded);
            let partner: Vec<u8> =
                rig.take_heard(PARTNER).iter().flat_map(|sent| sent.bytes[12..].to_vec()).collect();
            assert_eq!(partner[..coded.len()], coded, "bit by bit, as it came");
        }
    }
}

#[test]
fn who_is_spliced_to_nobody_is_heard_too_unless_parked() {
    let mut rig = rig(media(Codec::Pcmu));
    ear(&mut rig, EAR, media(Codec::Pcmu));
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()));
    let drops = rig.info(SPEAKER).counters.drops;
    let mut phone = Speaker::new(SPEAKER, media(Codec::Pcmu));
    phone.say(&mut rig, &prompt_samples("1.wav"));
    assert!(dbm0(&heard(&mut rig, EAR, Codec::Pcmu)) > -30.0);
    assert_eq!(rig.info(SPEAKER).counters.drops, drops, "nothing of it was lost");
    rig.pass_ms(300);
    rig.take_heard(EAR);
    rig.done(|op| WorkerCommand::Park { op, leg: LegId(SPEAKER), keep_one_in: 1 });
    phone.say(&mut rig, &prompt_samples("1.wav"));
    assert!(dbm0(&heard(&mut rig, EAR, Codec::Pcmu)) < -60.0, "an idle microphone goes nowhere");
}

#[test]
fn an_ear_is_never_heard_and_hears_no_blocked_key() {
    let mut rig = rig(media(Codec::Pcmu));
    rig.splice(SPEAKER, PARTNER);
    ear(&mut rig, EAR, media(Codec::Pcmu));
    rig.latch(EAR);
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()));
    rig.sent.clear();
    assert!(Talker::new(EAR).talk(&mut rig, 1).is_err());
    assert!(rig.sent.is_empty());
    let change = Box::new(LegUpdate { dtmf: Some(DtmfMode::Block), ..LegUpdate::default() });
    rig.command(|op| WorkerCommand::Update { op, leg: LegId(SPEAKER), change }).expect("changed");
    let mut phone = Speaker::new(SPEAKER, media(Codec::Pcmu));
    phone.say(&mut rig, &[silence(200), keys("4111"), silence(300)].concat());
    let heard = heard(&mut rig, EAR, Codec::Pcmu);
    DtmfDetector::default().push(&heard, |event| panic!("{event:?}"));
    assert!(dbm0(&heard) < -60.0);
}

#[test]
fn listening_ends_with_either_leg_a_splice_and_a_stop_and_another_leg_takes_its_place() {
    let mut rig = rig(media(Codec::Pcmu));
    ear(&mut rig, EAR, media(Codec::Pcmu));
    let listens = |rig: &mut Rig| rig.info(EAR).listens_to;
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()));
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()), "again");
    assert_eq!(listen(&mut rig, EAR, PARTNER), Ok(()));
    assert_eq!(listens(&mut rig).as_deref(), Some("leg-2"));
    let mut phone = Speaker::new(SPEAKER, media(Codec::Pcmu));
    rig.take_heard(EAR);
    phone.say(&mut rig, &prompt_samples("1.wav"));
    assert!(heard(&mut rig, EAR, Codec::Pcmu).is_empty(), "not the one before");
    for _ in 0..2 {
        rig.done(|op| WorkerCommand::ListenStop { op, leg: LegId(EAR) });
        assert_eq!(listens(&mut rig), None);
    }
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()));
    rig.splice(EAR, PARTNER);
    assert_eq!(listens(&mut rig), None);
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Err(ErrorCode::AlreadySpliced));
    rig.unsplice(EAR);
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()));
    rig.tell(WorkerCommand::Delete { op: OpId(900), leg: LegId(SPEAKER) });
    assert_eq!(listens(&mut rig), None);
    assert_eq!(listen(&mut rig, EAR, PARTNER), Ok(()));
    rig.tell(WorkerCommand::Delete { op: OpId(901), leg: LegId(EAR) });
    assert!(Talker::new(PARTNER).talk(&mut rig, 1).is_err(), "nobody hears it any more");
}

#[test]
fn so_many_listen_and_no_more() {
    let mut rig = Rig::new();
    for leg in 1..=LISTENERS as u64 + 2 {
        ear(&mut rig, leg, media(Codec::Pcmu));
        if leg > 1 {
            let wanted = if leg as usize <= LISTENERS + 1 { Ok(()) } else { Err(ErrorCode::Busy) };
            assert_eq!(listen(&mut rig, leg, 1), wanted, "{leg}");
        }
    }
}

#[test]
fn a_prompt_covers_the_copy_and_gives_way_to_it_again() {
    let mut rig = rig(media(Codec::Pcmu));
    ear(&mut rig, EAR, media(Codec::Pcmu));
    assert_eq!(listen(&mut rig, EAR, SPEAKER), Ok(()));
    let mut phone = Speaker::new(SPEAKER, media(Codec::Pcmu));
    phone.say(&mut rig, &silence(200));
    rig.play(EAR, "p", vec![prompt(Codec::Pcmu, vec![5; 1_600])], 1);
    rig.take_heard(EAR);
    phone.say(&mut rig, &silence(180));
    assert!(rig.take_heard(EAR).iter().all(|sent| sent.bytes[12] == 5), "nothing but the prompt");
    phone.say(&mut rig, &prompt_samples("1.wav"));
    assert!(dbm0(&heard(&mut rig, EAR, Codec::Pcmu)) > -35.0);
}
