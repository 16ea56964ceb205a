//! A browser's encoding and a telephone's, joined by what rtpengine's clients say of codecs: by content, through the real engine.

use std::thread;
use std::time::{Duration, Instant};

use offhook_audio::codec::{Codec, Decoder, Encoder, OpusConfig};
use offhook_audio::level::dbm0;
use offhook_audio::tones::{Segment, Tone, ToneSource, dtmf_frequencies};
use offhook_ng::Value;

use crate::client::{NgClient, answer, audio_of, offer, sdp_at};
use crate::support::{Engine, PATIENCE, Phone};

/// A second of a tone, in packets of 20 ms.
fn spoken(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec, 8_000, &OpusConfig::default()).expect("it encodes");
    let pair = dtmf_frequencies('5').expect("a key");
    let mut source =
        ToneSource::new(&Tone::new(&[Segment::dual(pair, -8.0, Segment::FOREVER_MS)], false), 8_000);
    let packet = |_| {
        let (mut samples, mut payload) = ([0; 160], [0; 1_400]);
        source.render(&mut samples);
        let len = encoder.encode(&samples, &mut payload).expect("it encodes");
        payload[..len].to_vec()
    };
    (0..50).map(packet).collect()
}

#[test]
fn a_browser_hears_a_telephone_and_is_heard_by_it() {
    let engine = Engine::start();
    let ng = NgClient::to(engine.control);
    let (mut browser, mut telephone) = (Phone::new(), Phone::new());
    let opus =
        sdp_at(browser.address(), "a=rtpmap:111 opus/48000/2\r\n").replace("RTP/AVP 0 101", "RTP/AVP 111");
    let flags = ["codec-mask-opus", "codec-transcode-PCMU"].map(Value::from).to_vec();
    let to_telephone = ng.sdp(&offer("c", "a", &opus).with("flags", flags));
    assert!(to_telephone.contains(" RTP/AVP 0\r\n"), "{to_telephone}");
    let to_browser = ng.sdp(&answer("c", "a", "b", &sdp_at(telephone.address(), "")));
    assert!(to_browser.contains(" RTP/AVP 111\r\n"), "{to_browser}");
    (browser.next.payload_type, browser.step) = (111, 960);
    let said = [spoken(Codec::Opus), spoken(Codec::Pcmu)];
    let mut decoders =
        [Codec::Pcmu, Codec::Opus].map(|codec| Decoder::new(codec, 8_000).expect("it decodes"));
    let mut levels = [f32::MIN; 2];
    let began = Instant::now();
    for word in (0..50).cycle() {
        browser.send(audio_of(&to_browser), &said[0][word]);
        telephone.send(audio_of(&to_telephone), &said[1][word]);
        thread::sleep(Duration::from_millis(20));
        for (side, phone) in [&telephone, &browser].into_iter().enumerate() {
            for packet in phone.heard() {
                assert_eq!(packet.payload_type, [0, 111][side]);
                let mut samples = [0; 5_760];
                let count = decoders[side].decode(&packet.payload, &mut samples).expect("it decodes");
                levels[side] = dbm0(&samples[..count]);
            }
        }
        // Two tones of -8 dBm0 are one sound of -5.
        if levels.iter().all(|level| (level + 5.0).abs() < 1.5) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{levels:?}");
    }
}
