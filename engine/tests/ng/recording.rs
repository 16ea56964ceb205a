//! Recording, as a proxy asks for it.

use std::fs;

use offhook_audio::g711;

use crate::client::{NgClient, answer, audio_of, command, offer, sdp_at};
use crate::support::{Engine, PATIENCE, Phone};

#[test]
fn a_call_is_recorded_into_one_file_with_both_voices() {
    let folder = tempfile::tempdir().expect("a directory");
    let engine = Engine::start_with(&["--recordings", folder.path().to_str().expect("UTF-8")]);
    let ng = NgClient::to(engine.control);
    let (mut a, mut b) = (Phone::new(), Phone::new());
    let at_b = audio_of(&ng.sdp(&offer("call/../1", "a", &sdp_at(a.address(), ""))));
    let at_a = audio_of(&ng.sdp(&answer("call/../1", "a", "b", &sdp_at(b.address(), ""))));
    assert_eq!(ng.ask(&command("start recording", "call/../1")).text("result"), Some("ok"));
    let (low, high) = (g711::linear_to_ulaw(1_000), g711::linear_to_ulaw(4_000));
    for _ in 0..50 {
        a.send(at_a, &[low; 160]);
        b.hear();
        b.send(at_b, &[high; 160]);
        a.hear();
    }
    assert_eq!(ng.ask(&command("stop recording", "call/../1")).text("result"), Some("ok"));
    let began = std::time::Instant::now();
    let samples: Vec<i16> = loop {
        let file = fs::read_dir(folder.path().join("ng")).ok().and_then(|mut files| files.next()?.ok());
        let samples = file.and_then(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            assert!(name.starts_with("call____1-"), "{name}");
            let reader = hound::WavReader::open(file.path()).ok()?;
            reader.into_samples().collect::<Result<Vec<i16>, _>>().ok()
        });
        match samples {
            Some(samples) if samples.len() >= 50 * 160 => break samples,
            _ => assert!(began.elapsed() < PATIENCE, "there is no recording"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let (low, high) = (g711::ulaw_to_linear(low), g711::ulaw_to_linear(high));
    assert!(samples.iter().any(|sample| (sample - low - high).abs() < 64), "both at once");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1, "nothing beside it");
}
