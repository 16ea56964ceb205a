use super::*;
use crate::level::dbm0;
use crate::testing::{noise, sine, speech_8k, speech_16k};

const ALL: [Codec; 5] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 16_000 }];

fn speech(rate_hz: u32) -> Vec<i16> {
    if rate_hz == 16_000 { speech_16k() } else { speech_8k() }
}

/// The signal, encoded and decoded in 20 ms frames at a rate in Hz.
fn round_trip(codec: Codec, rate_hz: u32, signal: &[i16]) -> Vec<i16> {
    let mut encoder = Encoder::new(codec, rate_hz, &OpusConfig::default()).expect("an encoder");
    let mut decoder = Decoder::new(codec, rate_hz).expect("a decoder");
    let mut out = Vec::new();
    for frame in signal.chunks_exact(encoder.rate_hz() as usize / 50) {
        let (mut payload, mut decoded) = ([0; 1500], [0; 960]);
        let n = encoder.encode(frame, &mut payload).expect("encodes");
        assert_eq!(codec.payload_ts(&payload[..n]), codec.ptime_ts(20));
        let n = decoder.decode(&payload[..n], &mut decoded).expect("decodes");
        out.extend_from_slice(&decoded[..n]);
    }
    out
}

#[test]
fn speech_keeps_its_level_through_every_codec() {
    for codec in ALL {
        let rate = Encoder::new(codec, 16_000, &OpusConfig::default()).expect("an encoder").rate_hz();
        let original = speech(rate);
        let decoded = round_trip(codec, rate, &original);
        let off = dbm0(&decoded) - dbm0(&original);
        assert!(off.abs() < 0.5, "{codec:?}: {off} dB");
    }
}

#[test]
fn opus_works_at_each_of_its_rates() {
    for rate in [8000, 12_000, 16_000, 24_000, 48_000] {
        let original = sine(rate, 1000.0, -15.0, rate as usize);
        let decoded = round_trip(Codec::Opus, rate, &original);
        assert_eq!(decoded.len(), original.len());
        let off = dbm0(&decoded[rate as usize / 4..]) - dbm0(&original);
        assert!(off.abs() < 0.5, "{rate}: {off} dB");
    }
}

#[test]
fn g722_counts_half_its_samples() {
    assert_eq!(Codec::G722.sample_rate_hz(), 16_000);
    assert_eq!(Codec::G722.ptime_ts(20), 160);
    assert_eq!(Codec::G722.payload_bytes(20), Some(160));
    let decoder = Decoder::new(Codec::G722, 0).expect("a decoder");
    assert_eq!(decoder.samples_in(&[0; 160]), 320);
}

#[test]
fn a_g722_stream_is_heard_as_it_is_after_silence_and_after_another() {
    let encoded = |samples: &[i16]| {
        let mut encoder = Encoder::new(Codec::G722, 16_000, &OpusConfig::default()).expect("an encoder");
        let mut payload = vec![0; samples.len() / 2];
        encoder.encode(samples, &mut payload).expect("encodes");
        payload
    };
    let speech = speech_16k();
    let speech = &speech[..speech.len() & !1];
    let mut silence = [0; 4_000];
    g722::silence(&mut silence);
    // What is heard of silence, or of something else, and of the speech after it.
    let heard_after = |before: &[u8]| {
        let mut decoder = Decoder::new(Codec::G722, 16_000).expect("a decoder");
        let (mut other, mut heard) = (vec![0; 2 * before.len()], vec![0; speech.len()]);
        decoder.decode(before, &mut other).expect("decodes");
        decoder.decode(&encoded(speech), &mut heard).expect("decodes");
        (other, heard)
    };
    let off = |one: &[i16], other: &[i16]| one.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max();
    let (quiet, heard) = heard_after(&silence);
    assert!(quiet.iter().all(|sample| sample.unsigned_abs() < 32), "it is silence");
    assert!(off(speech, &heard[22..]) < Some(3_000), "{:?}", off(speech, &heard[22..]));
    let half = &speech[..speech.len() / 8 * 4];
    for before in [&silence[..80], &encoded(speech), &encoded(half), &encoded(&noise(9, -20.0, 8_000))] {
        let (_, after) = heard_after(before);
        assert!(off(&after, &heard) < Some(3_000), "{:?} louder or softer", off(&after, &heard));
    }
}

#[test]
fn a_g722_phone_that_is_joined_in_the_middle_of_speech_is_too_loud_for_160_ms_at_most() {
    const PACKET: usize = 160;
    const SETTLED: usize = 8 * PACKET;
    let speech = speech_16k();
    // A phone's own encoder, which knows nothing of ours.
    let (mut phone, mut payload) = (audio_codec::g722::G722Encoder::default(), vec![0; speech.len() / 2]);
    let len = audio_codec::Encoder::encode_into(&mut phone, &speech[..speech.len() & !1], &mut payload);
    payload.truncate(len.expect("there is room"));
    let heard = |before: &[u8], payload: &[u8]| {
        let mut decoder = Decoder::new(Codec::G722, 16_000).expect("a decoder");
        let mut samples = vec![0; 2 * (before.len() + payload.len())];
        decoder.decode(&[before, payload].concat(), &mut samples).expect("decodes");
        samples.split_off(2 * before.len())
    };
    let loudest = |samples: &[i16]| f64::from(samples.iter().map(|s| s.unsigned_abs()).max().expect("some"));
    let mut silence = vec![0; 50 * PACKET];
    g722::silence(&mut silence);
    let whole = heard(&[], &payload);
    for (before, most_of_100) in [(&[][..], 0), (&silence, 20)] {
        let (mut cuts, mut bursts) = (0, 0);
        for at in (PACKET..payload.len() - 2 * SETTLED).step_by(PACKET) {
            let joined = heard(before, &payload[at..at + 2 * SETTLED]);
            let (first, then) = joined.split_at(2 * SETTLED);
            let (real, real_then) = whole[2 * at..2 * (at + 2 * SETTLED)].split_at(2 * SETTLED);
            cuts += 1;
            bursts += u32::from(loudest(first) > 1.41 * loudest(real).max(200.0));
            assert!(loudest(first) < 2.6 * loudest(&whole), "packet {}", at / PACKET);
            let apart = (loudest(then) - loudest(real_then)).abs();
            assert!(apart < 0.15 * loudest(real_then).max(2_000.0), "packet {}: {apart}", at / PACKET);
        }
        assert!(bursts * 100 <= cuts * most_of_100, "{bursts} of {cuts} after {} bytes", before.len());
    }
}

#[test]
fn codecs_are_found_by_their_rtpmap_and_payload_type() {
    for codec in ALL {
        assert_eq!(
            Codec::from_rtpmap(&codec.encoding_name().to_lowercase(), codec.clock_rate_hz()),
            Some(codec)
        );
    }
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16 { rate_hz: 44_100 }] {
        assert_eq!(Codec::from_static_payload_type(codec.default_payload_type()), Some(codec));
    }
    assert_eq!(Codec::from_rtpmap("PCMU", 16_000), None);
    assert_eq!(Codec::from_rtpmap("G722", 16_000), None);
    assert_eq!(Codec::from_rtpmap("speex", 8000), None);
}

#[test]
fn l16_of_impossible_rates_is_refused() {
    for rate_hz in [0, 7900, 8001, 48_100, u32::MAX] {
        let codec = Codec::L16 { rate_hz };
        assert_eq!(Codec::from_rtpmap("L16", rate_hz), None);
        assert_eq!(Decoder::new(codec, 8000).err(), Some(CodecError::Unsupported));
        assert_eq!(Encoder::new(codec, 8000, &OpusConfig::default()).err(), Some(CodecError::Unsupported));
    }
}

#[test]
fn opus_in_silence_sends_nothing_when_told_so() {
    let config = OpusConfig { dtx: true, ..OpusConfig::default() };
    let mut encoder = Encoder::new(Codec::Opus, 16_000, &config).expect("an encoder");
    let mut payload = [0; 1500];
    let sent = |encoder: &mut Encoder, frame: &[i16], payload: &mut [u8]| {
        usize::from(encoder.encode(frame, payload).expect("encodes") > 0)
    };
    let mut quiet = 0;
    for frame in speech_16k()[16_000..32_000].chunks(320) {
        quiet += 1 - sent(&mut encoder, frame, &mut payload);
    }
    assert!(quiet < 10, "{quiet} of 50 frames of speech were not sent");
    let silent: usize = (0..200).map(|_| sent(&mut encoder, &[0; 320], &mut payload)).sum();
    assert!(silent < 60, "{silent} of 200 frames of silence were sent");
}

#[test]
fn a_tone_that_goes_on_is_no_silence_to_opus_and_the_noise_of_a_line_is() {
    let config = OpusConfig { dtx: true, ..OpusConfig::default() };
    let sent = |samples: Vec<i16>| {
        let mut encoder = Encoder::new(Codec::Opus, 16_000, &config).expect("an encoder");
        let mut payload = [0; 1500];
        samples.chunks(320).filter(|frame| encoder.encode(frame, &mut payload).expect("encodes") > 0).count()
    };
    assert_eq!(sent(sine(16_000, 440.0, -24.0, 160_000)), 500);
    assert!(sent(noise(5, -60.0, 160_000)) < 100);
}

#[test]
fn opus_recovers_a_lost_packet_from_the_next() {
    let config = OpusConfig { fec: true, expected_loss_percent: 30, ..OpusConfig::default() };
    let original = speech_16k();
    let mut encoder = Encoder::new(Codec::Opus, 16_000, &config).expect("an encoder");
    let packets: Vec<Vec<u8>> = original
        .chunks_exact(320)
        .map(|frame| {
            let mut payload = [0; 1500];
            let n = encoder.encode(frame, &mut payload).expect("encodes");
            payload[..n].to_vec()
        })
        .collect();
    let decoded = |lose: bool, recover: bool| {
        let mut decoder = Decoder::new(Codec::Opus, 16_000).expect("a decoder");
        let mut out = Vec::new();
        for (i, packet) in packets.iter().enumerate() {
            let mut frame = [0; 320];
            let lost = lose && i % 5 == 4;
            match packets.get(i + 1) {
                Some(next) if lost && recover => decoder.recover(next, &mut frame),
                _ if lost => decoder.conceal(&mut frame),
                _ => drop(decoder.decode(packet, &mut frame).expect("decodes")),
            }
            out.extend_from_slice(&frame);
        }
        out
    };
    let clean = decoded(false, false);
    let error =
        |got: &[i16]| dbm0(&clean.iter().zip(got).map(|(a, b)| a.saturating_sub(*b)).collect::<Vec<_>>());
    let (with, without) = (error(&decoded(true, true)), error(&decoded(true, false)));
    assert!(with < without - 2.0, "recovered {with}, concealed {without}");
}

#[test]
fn nonsense_is_an_error_and_never_a_panic() {
    let rubbish: Vec<u8> = noise(11, 0.0, 700).iter().map(|&s| s as u8).collect();
    for codec in ALL {
        let mut decoder = Decoder::new(codec, 8000).expect("a decoder");
        let mut out = [0; 5760];
        for length in 0..rubbish.len() {
            let _ = decoder.decode(&rubbish[..length], &mut out);
            let _ = decoder.decode(&rubbish[length..], &mut out);
        }
        assert_eq!(decoder.decode(&[], &mut out), Err(CodecError::Malformed), "{codec:?}");
        decoder.conceal(&mut out[..333]);
        decoder.recover(&rubbish[..3], &mut out[..161]);
    }
    let mut decoder = Decoder::new(Codec::Pcmu, 8000).expect("a decoder");
    assert_eq!(decoder.decode(&[0; 160], &mut [0; 80]), Err(CodecError::TooShort));
    for codec in ALL {
        let mut encoder = Encoder::new(codec, 8000, &OpusConfig::default()).expect("an encoder");
        assert_eq!(encoder.encode(&[0; 160], &mut [0; 10]), Err(CodecError::TooShort), "{codec:?}");
    }
    let mut encoder = Encoder::new(Codec::Opus, 8000, &OpusConfig::default()).expect("an encoder");
    assert_eq!(encoder.encode(&[0; 161], &mut [0; 1000]), Err(CodecError::Unsupported));
    let mut encoder = Encoder::new(Codec::G722, 0, &OpusConfig::default()).expect("an encoder");
    assert_eq!(encoder.encode(&[0; 3], &mut [0; 1000]), Err(CodecError::Unsupported));
}

#[test]
fn losses_are_concealed_by_every_codec() {
    for codec in ALL {
        let mut encoder = Encoder::new(codec, 16_000, &OpusConfig::default()).expect("an encoder");
        let mut decoder = Decoder::new(codec, 16_000).expect("a decoder");
        let length = encoder.rate_hz() as usize / 50;
        let tone = sine(encoder.rate_hz(), 200.0, -10.0, length * 20);
        let (mut payload, mut out) = ([0; 1500], vec![0; length]);
        for frame in tone.chunks(length) {
            let n = encoder.encode(frame, &mut payload).expect("encodes");
            decoder.decode(&payload[..n], &mut out).expect("decodes");
        }
        decoder.conceal(&mut out);
        assert!(dbm0(&out) > -14.0, "{codec:?}: {}", dbm0(&out));
    }
}
