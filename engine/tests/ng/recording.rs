//! Recording, as a proxy asks for it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

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
    both_talk((&mut a, at_a), (&mut b, at_b));
    assert_eq!(ng.ask(&command("stop recording", "call/../1")).text("result"), Some("ok"));
    let name = await_both_voices(&folder.path().join("ng"));
    assert!(name.starts_with("call____1-"), "{name}");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1, "nothing beside it");
}

/// Two steady voices, of different levels.
const VOICES: [i16; 2] = [1_000, 4_000];

/// Both phones talk for a second, each at its level, to the engine's ends.
pub(crate) fn both_talk((a, at_a): (&mut Phone, SocketAddr), (b, at_b): (&mut Phone, SocketAddr)) {
    let [low, high] = VOICES.map(g711::linear_to_ulaw);
    for _ in 0..50 {
        a.send(at_a, &[low; 160]);
        b.hear();
        b.send(at_b, &[high; 160]);
        a.hear();
    }
}

/// Waits until the one file in a folder has a second in which both phones talked at once; its name.
pub(crate) fn await_both_voices(folder: &Path) -> String {
    let mixed: i16 = VOICES.map(|level| g711::ulaw_to_linear(g711::linear_to_ulaw(level))).iter().sum();
    let began = Instant::now();
    loop {
        let file = fs::read_dir(folder).ok().and_then(|mut files| files.next()?.ok());
        if let Some((name, samples)) = file.and_then(|file| {
            let reader = hound::WavReader::open(file.path()).ok()?;
            let samples = reader.into_samples().collect::<Result<Vec<i16>, _>>().ok()?;
            Some((file.file_name().to_string_lossy().into_owned(), samples))
        }) {
            // Most of the second: the two streams do not begin in the same moment.
            if samples.iter().filter(|sample| sample.abs_diff(mixed) < 64).count() > 40 * 160 {
                return name;
            }
        }
        assert!(began.elapsed() < PATIENCE, "there is no recording with both voices");
        std::thread::sleep(Duration::from_millis(20));
    }
}
