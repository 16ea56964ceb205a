//! Legs of different encodings, through the real engine.

use std::thread;
use std::time::{Duration, Instant};

use offhook_audio::codec::{Codec as AudioCodec, Decoder, Encoder, OpusConfig};
use offhook_audio::level::dbm0;
use offhook_proto::{Codec, Command, Idle, LegCreate, Media, Play, PlaySource, ToneName};

use crate::support::{Engine, PATIENCE, Packet, Phone, assert_one_stream, leg_towards};

const LEVEL_DBM0: f64 = -12.0;

fn media(codec: Codec) -> (Media, AudioCodec) {
    let (payload_type, audio) = match codec {
        Codec::Pcmu => (0, AudioCodec::Pcmu),
        Codec::Pcma => (8, AudioCodec::Pcma),
        Codec::G722 => (9, AudioCodec::G722),
        Codec::Opus => (111, AudioCodec::Opus),
        Codec::L16 { rate_hz } => (97, AudioCodec::L16 { rate_hz }),
    };
    (Media { codec, payload_type, ..Media::default() }, audio)
}

/// Packets of 20 ms of a tone of 700 Hz.
fn spoken(codec: AudioCodec, count: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec, 16_000, &OpusConfig::default()).expect("it encodes");
    let rate = f64::from(encoder.rate_hz());
    // 0 dBm0, and so −12 dBm0, lies 3.14 dB lower against a full sine (G.711).
    let peak = 32_767.0 * 10_f64.powf(-15.14 / 20.0);
    let sine = |n: usize| (peak * (std::f64::consts::TAU * 700.0 * n as f64 / rate).sin()) as i16;
    let samples: Vec<i16> = (0..count * encoder.rate_hz() as usize / 50).map(sine).collect();
    let frames = samples.chunks(encoder.rate_hz() as usize / 50);
    let mut payload = [0; 1_920];
    frames
        .map(|frame| {
            let len = encoder.encode(frame, &mut payload).expect("it encodes");
            payload[..len].to_vec()
        })
        .collect()
}

/// The level in the middle of those of the last packets: a machine that is late now and then does not move it. None while there
/// are few.
fn usual_level(heard: &[Packet], codec: AudioCodec) -> Option<f64> {
    const LAST: usize = 40;
    let mut decoder = Decoder::new(codec, 16_000).expect("it decodes");
    let levels: Vec<f64> = heard
        .iter()
        .map(|packet| {
            let mut samples = [0; 5_760];
            let count = decoder.decode(&packet.payload, &mut samples).expect("it decodes");
            f64::from(dbm0(&samples[..count]))
        })
        .collect();
    let mut last = levels.get(levels.len().checked_sub(LAST)?..)?.to_vec();
    last.sort_by(f64::total_cmp);
    Some(last[LAST / 2])
}

#[test]
fn two_phones_of_different_encodings_hear_each_other_at_the_same_level() {
    let engine = Engine::start();
    let mut client = engine.client();
    for (n, (left, right)) in [
        (Codec::Pcmu, Codec::Opus),
        (Codec::G722, Codec::Pcma),
        (Codec::Opus, Codec::G722),
        (Codec::L16 { rate_hz: 8_000 }, Codec::Pcmu),
        (Codec::L16 { rate_hz: 16_000 }, Codec::G722),
        (Codec::L16 { rate_hz: 48_000 }, Codec::Opus),
    ]
    .into_iter()
    .enumerate()
    {
        let sides = [media(left), media(right)];
        let mut phones = [Phone::new(), Phone::new()];
        let names = [format!("left-{n}"), format!("right-{n}")];
        let mut legs = Vec::new();
        for ((phone, name), (media, audio)) in phones.iter_mut().zip(&names).zip(&sides) {
            phone.next.payload_type = media.payload_type;
            phone.step = audio.ptime_ts(20);
            let create = LegCreate { idle: Idle::None, media: media.clone(), ..leg_towards(name, phone) };
            legs.push(client.create_with(create));
        }
        client.splice(&names[0], &names[1]);
        let said = sides.each_ref().map(|(_, audio)| spoken(*audio, 60));
        let mut heard = [Vec::new(), Vec::new()];
        // A phone that wakes late does not stay behind for the rest of the call.
        let (began, mut due, mut words) = (Instant::now(), Instant::now(), (0..60).cycle());
        let mut off = [None; 2];
        // On a busy machine they talk for longer.
        while off.iter().any(|off| off.is_none_or(|off: f64| off.abs() >= 0.5)) {
            assert!(began.elapsed() < PATIENCE, "{left:?} and {right:?}: {off:?} dB");
            for word in words.by_ref().take(30) {
                phones[0].send(legs[0].rtp, &said[0][word]);
                phones[1].send(legs[1].rtp, &said[1][word]);
                due += Duration::from_millis(20);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            for side in [0, 1] {
                heard[side].extend(phones[side].heard());
                off[side] = usual_level(&heard[side], sides[side].1).map(|level| level - LEVEL_DBM0);
            }
        }
        for (heard, (media, _)) in heard.iter().zip(&sides) {
            assert_one_stream(heard);
            assert!(heard.iter().all(|packet| packet.payload_type == media.payload_type));
        }
    }
}

#[test]
fn prompts_and_tones_are_played_in_every_encoding() {
    let engine = Engine::start();
    let mut client = engine.client();
    let linear = [8_000, 32_000].map(|rate_hz| Codec::L16 { rate_hz });
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus].into_iter().chain(linear) {
        let (media, audio) = media(codec);
        let (phone, name) = (Phone::new(), codec.to_string().replace('/', "-"));
        client.create_with(LegCreate { idle: Idle::None, media, ..leg_towards(&name, &phone) });
        let sources = vec![
            PlaySource::Tone { name: ToneName::Beep, country: None },
            PlaySource::SilenceMs(100),
            PlaySource::File("1.wav".into()),
        ];
        client.done(Command::Play(Play::new(name, sources)));
        let heard: Vec<Packet> = (0..20).map(|_| phone.hear()).collect();
        assert_one_stream(&heard);
        for pair in heard.windows(2) {
            assert_eq!(
                pair[1].timestamp.wrapping_sub(pair[0].timestamp) % audio.ptime_ts(20),
                0,
                "{codec:?}"
            );
        }
        let mut decoder = Decoder::new(audio, 8_000).expect("it decodes");
        let levels: Vec<f32> = heard
            .iter()
            .map(|packet| {
                let mut samples = [0; 5_760];
                let count = decoder.decode(&packet.payload, &mut samples).expect("it decodes");
                dbm0(&samples[..count])
            })
            .collect();
        let beep = levels[3..8].iter().sum::<f32>() / 5.0;
        assert!((levels[2] - beep).abs() < 1.0 && beep > -30.0, "{codec:?}: {levels:?}");
        assert!(levels[13] < beep - 25.0, "{codec:?}: {levels:?}");
    }
}
