//! Pauses of speech that is forwarded, as comfort noise describes them (RFC 3389), for hearers who do not know it.

mod support;

use offhook_audio::level::dbov;
use offhook_engine_core::{LegSetup, Verdict};
use offhook_proto::{Codec, DtmfMode, Media};
use support::speaker::{Hum, audio_codec, decoded, media, silence};
use support::{Rig, Sent, assert_one_stream, rtp, setup};

/// Leg 1 hears leg 2, and knows no comfort noise.
fn rig(from: Codec, to: &Media) -> Rig {
    let mut rig = Rig::new();
    let hearer = Media { comfort_noise: None, ..to.clone() };
    rig.create(LegSetup { media: hearer, ..setup(1) });
    rig.create(LegSetup { media: media(from), dtmf: DtmfMode::Convert, ..setup(2) });
    for leg in 1..=2 {
        rig.latch(leg);
    }
    rig.splice(1, 2);
    rig
}

/// Describes noise of a level below overload, and lets some time pass without another packet.
fn pause(rig: &mut Rig, voice: &mut Hum, level: u8, ms: u64) -> Result<Sent, Verdict> {
    let phone = &mut voice.phone;
    let packet = rtp(13, phone.sequence, phone.timestamp, phone.ssrc, &[level]);
    phone.sequence = phone.sequence.wrapping_add(1);
    let clock_rate_hz = audio_codec(phone.media.codec).clock_rate_hz();
    phone.timestamp = phone.timestamp.wrapping_add((ms * u64::from(clock_rate_hz) / 1_000) as u32);
    let sent = rig.receive(2, &packet);
    rig.pass_ms(ms);
    sent
}

/// The next packet of a voice is sent on as it is.
fn is_forwarded(rig: &mut Rig, voice: &mut Hum) {
    let phone = &mut voice.phone;
    let packet = rtp(phone.media.payload_type, phone.sequence, phone.timestamp, phone.ssrc, &[0xA5; 160]);
    phone.sequence = phone.sequence.wrapping_add(1);
    phone.timestamp = phone.timestamp.wrapping_add(160);
    let sent = rig.receive(2, &packet).expect("it is sent on at once");
    assert_eq!(sent.bytes.len(), packet.len());
}

#[test]
fn the_described_noise_is_heard_in_one_stream_until_speech_is_forwarded_again() {
    let linear = Codec::L16 { rate_hz: 8_000 };
    for (from, to) in [
        (Codec::Pcmu, Codec::Pcmu),
        (Codec::Pcma, Codec::Pcma),
        (Codec::Pcmu, Codec::Pcma),
        (Codec::Pcma, Codec::Pcmu),
        (linear, linear),
    ] {
        for level in [35, 50, 60] {
            let mut rig = rig(from, &media(to));
            let mut voice = Hum::new(2, media(from), 700.0, -12.0);
            rig.take_heard(1);
            let dropped_before = rig.info(2).counters.drops;
            voice.hum(&mut rig, 500);
            let spoken = rig.take_heard(1);
            assert_eq!(pause(&mut rig, &mut voice, level, 1_500), Err(Verdict::Consume));
            assert_eq!(pause(&mut rig, &mut voice, level, 1_500), Err(Verdict::Consume));
            let noise = rig.take_heard(1);
            is_forwarded(&mut rig, &mut voice);
            rig.pass_ms(20);
            voice.hum(&mut rig, 500);
            let resumed = rig.take_heard(1);

            let case = format!("{from:?} to {to:?}, {level} dB below overload");
            assert_eq!((spoken.len(), resumed.len()), (25, 26), "{case}");
            assert!((148..=151).contains(&noise.len()), "{case}: {} packets", noise.len());
            let settled = decoded(&noise[10..], to, 8_000);
            let off = dbov(&settled) + f32::from(level);
            assert!(off.abs() < 2.0, "{case}: off by {off} dB");
            let heard = [spoken, noise, resumed].concat();
            assert_one_stream(&heard);
            for pair in heard.windows(2) {
                let step = pair[1].header().timestamp.wrapping_sub(pair[0].header().timestamp);
                assert!((160..=240).contains(&step), "{case}: {step}");
            }
            let lasted = heard[heard.len() - 1].header().timestamp.wrapping_sub(heard[0].header().timestamp);
            assert!(lasted.abs_diff(4_000 * 8) <= 400, "{case}: {lasted}");
            assert_eq!(rig.info(2).counters.drops, dropped_before, "{case}");
        }
    }
}

#[test]
fn a_pause_without_an_end_is_not_made_up_for_ever_and_speech_goes_on_after_it() {
    let mut rig = rig(Codec::Pcmu, &media(Codec::Pcmu));
    let mut voice = Hum::new(2, media(Codec::Pcmu), 700.0, -12.0);
    voice.hum(&mut rig, 100);
    let _ = pause(&mut rig, &mut voice, 50, 12_000);
    rig.take_heard(1);
    rig.pass_ms(1_000);
    assert_eq!(rig.take_heard(1).len(), 0);
    is_forwarded(&mut rig, &mut voice);
}

#[test]
fn a_key_in_a_pause_is_heard_and_the_noise_goes_on_after_it() {
    let mut rig = rig(Codec::Pcmu, &Media { telephone_event: None, ..media(Codec::Pcmu) });
    let mut voice = Hum::new(2, media(Codec::Pcmu), 700.0, -12.0);
    voice.hum(&mut rig, 100);
    let _ = pause(&mut rig, &mut voice, 60, 500);
    rig.take_heard(1);
    let began = voice.phone.timestamp;
    for step in 1..=10_u16 {
        voice.phone.event(&mut rig, began, 5, step == 10, step * 160);
        rig.pass_ms(20);
    }
    let key = decoded(&rig.take_heard(1), Codec::Pcmu, 8_000);
    assert!(dbov(&key[800..]) > -20.0, "{} dBov", dbov(&key[800..]));
    rig.pass_ms(1_000);
    let noise = rig.take_heard(1);
    assert!((49..=51).contains(&noise.len()), "{}", noise.len());
    let level = dbov(&decoded(&noise[20..], Codec::Pcmu, 8_000));
    assert!((level + 60.0).abs() < 2.0, "{level} dBov");
    is_forwarded(&mut rig, &mut voice);
}

#[test]
fn g722_has_the_noise_too_and_speech_after_it_is_no_louder() {
    let mut rig = rig(Codec::G722, &media(Codec::G722));
    let mut voice = Hum::new(2, media(Codec::G722), 700.0, -12.0);
    rig.take_heard(1);
    let (mut heard, mut spoken) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let begins = heard.len();
        voice.hum(&mut rig, 500);
        // As phones do, it goes on for a moment before it says that it is silent.
        voice.phone.say(&mut rig, &silence(200));
        heard.extend(rig.take_heard(1));
        spoken.push(begins..heard.len());
        assert_eq!(pause(&mut rig, &mut voice, 50, 1_500), Err(Verdict::Consume));
        let noise = rig.take_heard(1);
        assert!((74..=76).contains(&noise.len()), "{} packets", noise.len());
        heard.extend(noise);
    }
    assert_one_stream(&heard);
    let samples = decoded(&heard, Codec::G722, 16_000);
    let noise = dbov(&samples[samples.len() - 16_000..]);
    assert!((noise + 50.0).abs() < 2.0, "{noise} dBov");
    let peak = |packets: &std::ops::Range<usize>| {
        let spoken = &samples[packets.start * 320..packets.end * 320];
        spoken.iter().map(|sample| f64::from(sample.unsigned_abs())).fold(0.0, f64::max)
    };
    let peaks: Vec<f64> = spoken.iter().map(peak).collect();
    // G.722 overshoots where a tone begins at once, by itself.
    assert!(peaks.iter().all(|peak| *peak < 1.25 * peaks[0]), "{peaks:?}");
}

#[test]
fn who_knows_comfort_noise_is_sent_it() {
    let mut rig = Rig::with_legs(2);
    rig.splice(1, 2);
    let sent = rig.receive(2, &rtp(13, 7, 160, 99, &[50])).expect("it is sent on");
    assert_eq!((sent.header().payload_type, &sent.bytes[12..]), (13, &[50][..]));
}
