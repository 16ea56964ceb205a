//! Legs of different encodings hear each other.

mod support;

use offhook_audio::level::dbm0;
use offhook_audio::packetise::possible_ptime;
use offhook_engine_core::{DropReason, LegId, LegSetup, Segment, Verdict, WorkerCommand};
use offhook_proto::{Codec, EventBody, LegUpdate, Media};
use support::speaker::{Hum, audio_codec, decoded, media};
use support::{Rig, Talker, assert_one_stream, prompt, rtp, setup};

const ALL: [Codec; 8] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Opus,
    Codec::L16 { rate_hz: 8_000 },
    Codec::L16 { rate_hz: 16_000 },
    Codec::L16 { rate_hz: 44_100 },
    Codec::L16 { rate_hz: 48_000 },
];

/// A phone that says a tone of 700 Hz at −12 dBm0 in some encoding.
fn voice(leg: u64, media: Media) -> Hum {
    Hum::new(leg, media, 700.0, -12.0)
}

fn rig(one: Media, other: Media) -> Rig {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: one, ..setup(1) });
    rig.create(LegSetup { media: other, ..setup(2) });
    for leg in 1..=2 {
        rig.latch(leg);
    }
    rig
}

#[test]
fn every_pair_keeps_the_level_within_half_a_db() {
    for from in ALL {
        for to in ALL {
            let mut rig = rig(media(to), media(from));
            rig.splice(1, 2);
            voice(2, media(from)).hum(&mut rig, 2_000);
            let heard = rig.take_heard(1);
            assert_one_stream(&heard);
            assert!(heard.iter().all(|sent| sent.header().payload_type == media(to).payload_type));
            let samples = decoded(&heard, to, 16_000);
            let settled = &samples[samples.len() / 4..];
            let off = dbm0(settled) + 12.0;
            assert!(off.abs() < 0.5, "{from:?} to {to:?}: {off} dB");
            // Two seconds, in packets of 10 ms where 20 do not fit a datagram.
            let ptime_ms = possible_ptime(audio_codec(to), 20).expect("it has packets");
            let heard_ms = heard.len() * ptime_ms as usize;
            assert!((1_940..=2_020).contains(&heard_ms), "{from:?} to {to:?}: {heard_ms} ms");
            assert!(heard.iter().all(|sent| sent.bytes.len() <= 1_412), "{to:?}: they fit a datagram");
        }
    }
}

#[test]
fn packet_times_of_both_sides_may_differ() {
    let pairs =
        [(Codec::Pcma, Codec::G722), (Codec::Pcma, Codec::Pcmu), (Codec::Pcmu, Codec::Pcma)].into_iter();
    for (from, to) in pairs {
        for (from_ms, to_ms) in [(10, 60), (60, 10), (30, 20), (20, 40)] {
            hears_in_packets_of(to_ms, &Media { ptime_ms: to_ms, ..media(to) }, from, from_ms);
        }
    }
}

/// Lets a leg hear a voice in packets of some length, and checks that it hears it whole in packets of another.
fn hears_in_packets_of(made_ms: u8, to: &Media, from: Codec, from_ms: u8) {
    let case = format!("{from:?} {from_ms} ms to {to:?}");
    let from = Media { ptime_ms: from_ms, ..media(from) };
    let mut rig = rig(to.clone(), from.clone());
    rig.splice(1, 2);
    voice(2, from).hum(&mut rig, 3_000);
    let heard = rig.take_heard(1);
    assert_one_stream(&heard);
    let made_ts = audio_codec(to.codec).ptime_ts(u32::from(made_ms));
    for (pair, sent) in heard.windows(2).zip(&heard) {
        let step = pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp);
        assert_eq!(step, made_ts, "{case}");
        assert_eq!(audio_codec(to.codec).payload_ts(&sent.bytes[12..]), made_ts, "{case}");
    }
    let samples = decoded(&heard, to.codec, 16_000);
    let off = dbm0(&samples[samples.len() / 4..]) + 12.0;
    assert!(off.abs() < 0.5, "{case}: {off} dB");
    let heard_ms = heard.len() * usize::from(made_ms);
    assert!((2_850..=3_060).contains(&heard_ms), "{case}: {heard_ms} ms");
}

#[test]
fn who_asks_for_a_packet_time_hears_its_own_encoding_in_it() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 8_000 }] {
        for (from_ms, to_ms) in [(20, 60), (60, 20), (20, 10)] {
            let to = Media { ptime_ms: to_ms, repacketise: true, ..media(codec) };
            hears_in_packets_of(to_ms, &to, codec, from_ms);
        }
    }
    let to = Media { ptime_ms: 30, repacketise: true, ..media(Codec::Opus) };
    hears_in_packets_of(20, &to, Codec::Opus, 40);
}

#[test]
fn who_takes_packets_up_to_a_length_hears_longer_ones_in_its_packet_time() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let to = Media { ptime_ms: 20, max_ptime_ms: Some(40), ..media(codec) };
        hears_in_packets_of(20, &to, codec, 60);
    }
}

#[test]
fn packets_that_last_as_they_are_to_are_forwarded_at_once() {
    let own = |change: fn(&mut Media)| {
        let mut own = media(Codec::Pcmu);
        change(&mut own);
        own
    };
    for (to, lengths) in [
        (own(|media| media.repacketise = true), &[160, 0][..]),
        (own(|media| (media.ptime_ms, media.repacketise) = (30, true)), &[240]),
        (own(|media| media.max_ptime_ms = Some(40)), &[160, 80, 320, 0, 1]),
        (own(|_| {}), &[160, 480, 800, 1, 0]),
    ] {
        for from in [Codec::Pcmu, Codec::Pcma] {
            let mut rig = rig(to.clone(), media(from));
            rig.splice(1, 2);
            for (at, length) in (1_u16..).zip(lengths) {
                let payload_type = media(from).payload_type;
                let packet = rtp(payload_type, at, u32::from(at) * 160, 9, &vec![0xA5; *length]);
                let sent = rig.receive(2, &packet);
                let is_wished = *length == 0 || *length == usize::from(to.ptime_ms) * 8;
                if from == Codec::Pcmu || is_wished {
                    assert_eq!(sent.map(|sent| sent.bytes.len()), Ok(12 + length), "{to:?}");
                } else {
                    assert_eq!(
                        sent,
                        Err(Verdict::Consume),
                        "another law is turned into the hearer's packet time"
                    );
                    break;
                }
            }
        }
    }
}

#[test]
fn a_speaker_that_changes_its_packet_time_in_mid_call_goes_on_as_one_stream() {
    let mut rig = rig(Media { repacketise: true, ..media(Codec::Pcmu) }, media(Codec::Pcmu));
    rig.splice(1, 2);
    voice(2, media(Codec::Pcmu)).hum(&mut rig, 1_000);
    let mut voice = voice(2, Media { ptime_ms: 60, ..media(Codec::Pcmu) });
    (voice.phone.sequence, voice.phone.timestamp) =
        (65_530_u16.wrapping_add(50), (u32::MAX - 500).wrapping_add(8_000));
    voice.hum(&mut rig, 1_000);
    let heard = rig.take_heard(1);
    assert_one_stream(&heard);
    assert!(heard.iter().all(|sent| sent.bytes.len() == 172));
    assert!((95..=101).contains(&heard.len()), "{}", heard.len());
}

#[test]
fn the_same_encoding_is_forwarded_untouched() {
    for codec in ALL {
        let mut rig = rig(media(codec), Media { payload_type: 99, ..media(codec) });
        rig.splice(1, 2);
        let sent = rig.receive(2, &rtp(99, 1, 1, 9, &[0xA5; 60])).expect("it is sent on at once");
        assert_eq!(
            (sent.header().payload_type, &sent.bytes[12..]),
            (media(codec).payload_type, &[0xA5; 60][..])
        );
    }
}

#[test]
fn going_from_one_partner_to_another_of_another_encoding_is_one_stream() {
    let mut rig = rig(media(Codec::Pcmu), media(Codec::Opus));
    rig.create(setup(3));
    rig.latch(3);
    let (mut opus, mut plain) = (voice(2, media(Codec::Opus)), voice(3, media(Codec::Pcmu)));
    let mut heard = Vec::new();
    for round in 0..20 {
        rig.splice(1, 2);
        opus.hum(&mut rig, 200);
        rig.splice(1, 3);
        plain.hum(&mut rig, 100);
        if round % 4 == 0 {
            rig.play(1, "p", vec![prompt(Codec::Pcmu, vec![5; 400]), Segment::Keys("1".into())], 1);
            plain.hum(&mut rig, 300);
        }
    }
    heard.extend(rig.take_heard(1));
    assert_one_stream(&heard);
    let last = &heard[heard.len() - 1];
    let moved = last.header().timestamp.wrapping_sub(heard[0].header().timestamp);
    let elapsed = (last.at.since(heard[0].at) / 125) as u32;
    assert!(moved.abs_diff(elapsed) < 800, "timestamps went {moved} in {elapsed}");
}

#[test]
fn a_key_keeps_its_length_between_clocks_and_silences_the_audio() {
    let mut rig = rig(media(Codec::Opus), media(Codec::Pcmu));
    rig.splice(1, 2);
    let mut voice = voice(2, media(Codec::Pcmu));
    voice.hum(&mut rig, 500);
    rig.take_heard(1);
    for step in 1..=5_u16 {
        let [high, low] = (step * 160).to_be_bytes();
        let end = u8::from(step == 5) << 7;
        let packet = rtp(101, voice.phone.sequence, voice.phone.timestamp, 77, &[7, end | 10, high, low]);
        voice.phone.sequence = voice.phone.sequence.wrapping_add(1);
        let sent = rig.receive(2, &packet).expect("it is sent on at once");
        assert_eq!(sent.bytes[12..], [&[7, end | 10][..], &(step * 960).to_be_bytes()].concat());
        rig.pass_ms(20);
    }
    let heard = rig.take_heard(1);
    assert_one_stream(&heard);
    let key: Vec<_> = heard.iter().filter(|sent| sent.header().payload_type == 101).collect();
    assert_eq!(key.len(), 5);
    assert!(key.iter().all(|sent| sent.header().timestamp == key[0].header().timestamp));
    assert!(heard.len() <= 6, "no made-up sound while a key is held: {}", heard.len());
    assert!(
        rig.events.iter().any(|event| matches!(event, EventBody::Dtmf { digit: '7', duration_ms: 100, .. }))
    );
}

#[test]
fn a_change_of_encoding_in_mid_call_goes_on_as_one_stream() {
    let mut rig = rig(media(Codec::Pcmu), media(Codec::Pcmu));
    rig.splice(1, 2);
    voice(2, media(Codec::Pcmu)).hum(&mut rig, 200);
    for codec in [Codec::G722, Codec::Opus, Codec::Pcmu] {
        let change = LegUpdate { leg: "leg-2".into(), media: Some(media(codec)), ..LegUpdate::default() };
        rig.done(|op| WorkerCommand::Update { op, leg: LegId(2), change: Box::new(change) });
        voice(2, media(codec)).hum(&mut rig, 400);
    }
    let heard = rig.take_heard(1);
    assert_one_stream(&heard);
    assert!(heard.len() > 50, "{}", heard.len());
}

#[test]
fn a_partner_that_falls_silent_is_not_made_up_for_ever() {
    let mut rig = rig(media(Codec::Pcmu), media(Codec::G722));
    rig.splice(1, 2);
    voice(2, media(Codec::G722)).hum(&mut rig, 200);
    rig.pass_ms(11_000);
    rig.take_heard(1);
    rig.pass_ms(10_000);
    assert!(rig.take_heard(1).is_empty());
    voice(2, media(Codec::G722)).hum(&mut rig, 200);
    let heard = rig.take_heard(1);
    assert!(heard[0].header().marker, "it comes back as a talkspurt");
}

#[test]
fn first_audio_is_told_when_it_is_really_sent() {
    let mut rig = rig(media(Codec::Pcmu), media(Codec::G722));
    rig.splice(1, 2);
    voice(2, media(Codec::G722)).hum(&mut rig, 100);
    let first = rig.take_heard(1)[0].at;
    let told = rig.events.iter().find_map(|event| match event {
        EventBody::SpliceAudio(audio) => Some(audio.after_us),
        _ => None,
    });
    assert_eq!(told, Some(first.0));
}

#[test]
fn four_hundred_conversions_do_not_tick_in_one_millisecond() {
    let mut rig = Rig::new();
    for leg in 1..=400 {
        let codec = if leg % 2 == 0 { Codec::G722 } else { Codec::Pcmu };
        rig.create(LegSetup { media: media(codec), ..setup(leg) });
        rig.latch(leg);
    }
    for leg in (1..400).step_by(2) {
        rig.splice(leg, leg + 1);
    }
    for leg in 1..=400 {
        let media = media(if leg % 2 == 0 { Codec::G722 } else { Codec::Pcmu });
        let _ = rig.receive(leg, &rtp(media.payload_type, 1, 160, 5, &[0; 160]));
    }
    let start = rig.now;
    rig.sent.clear();
    rig.pass_ms(20);
    assert!(rig.sent.len() >= 390, "{}", rig.sent.len());
    let mut per_ms = [0; 21];
    for sent in &rig.sent {
        per_ms[(sent.at.since(start) / 1_000) as usize] += 1;
    }
    assert!(per_ms.iter().all(|packets| *packets <= 60), "{per_ms:?}");
}

#[test]
fn a_prompt_covers_a_converted_partner() {
    let mut rig = rig(media(Codec::Pcmu), media(Codec::Opus));
    rig.splice(1, 2);
    let mut voice = voice(2, media(Codec::Opus));
    voice.hum(&mut rig, 200);
    rig.take_heard(1);
    rig.play(1, "p", vec![prompt(Codec::Pcmu, vec![5; 1_600])], 1);
    voice.hum(&mut rig, 180);
    let heard = rig.take_heard(1);
    assert!(heard.iter().all(|sent| sent.bytes[12] == 5), "nothing but the prompt");
    assert!(rig.info(2).counters.drops.covered > 5);
    voice.hum(&mut rig, 200);
    assert_one_stream(&[heard, rig.take_heard(1)].concat());
}

#[test]
fn a_packet_that_is_no_audio_of_its_encoding_harms_nobody() {
    let mut rig = rig(media(Codec::Pcmu), media(Codec::Opus));
    rig.splice(1, 2);
    for sequence in 0..500_u16 {
        let payload: Vec<u8> = (0..sequence % 300).map(|at| (at * 37 + sequence) as u8).collect();
        let _ = rig.receive(2, &rtp(111, sequence, u32::from(sequence) * 960, 9, &payload));
        let _ = rig.receive(2, &rtp(13, sequence, u32::from(sequence) * 960, 9, &payload));
        let short = rig.receive(2, &rtp(101, sequence, 0, 9, &payload[..payload.len().min(3)]));
        assert_eq!(short, Err(Verdict::Drop(DropReason::Malformed)));
        rig.pass_ms(20);
    }
    assert!(Talker::new(1).talk(&mut rig, 1).is_err(), "taken in for conversion");
}
