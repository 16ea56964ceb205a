//! Files that are played to a party.

use offhook_ng::Value;
use offhook_proto::Command;

use crate::world::{command, joined};

#[test]
fn a_file_is_played_from_where_as_often_and_as_long_as_a_request_says() {
    let mut world = joined("");
    let request = || command("play media").with("from-tag", "a").with("file", "x.wav");
    let mut played = |more: &[(&str, Value)]| {
        let mut request = request();
        more.iter().for_each(|(key, value)| _ = request.put(key, value.clone()));
        let told = world.told_by(&request);
        let [Command::Play(play)] = &told[..] else { panic!("{told:?}") };
        (play.times, play.start_ms, play.limit_ms)
    };
    let number = Value::Int;
    assert_eq!(played(&[]), (1, 0, 0));
    assert_eq!(played(&[("repeat-times", number(3))]), (3, 0, 0));
    assert_eq!(played(&[("repeat-duration", number(10_000))]), (0, 0, 10_000), "as often as it fits in");
    assert_eq!(played(&[("repeat-duration", number(900)), ("repeat-times", "2".into())]), (2, 0, 900));
    assert_eq!(played(&[("start-pos", "16000".into())]), (1, 2_000, 0));
    for key in ["repeat-times", "repeat-duration", "start-pos"] {
        for value in [number(-1_000), "often".into()] {
            let reason = world.refused(&request().with(key, value));
            assert_eq!(reason, format!("Out of range '{key}' specified"));
        }
    }
    let stop = command("stop media").with("from-tag", "a");
    assert_eq!(world.refused(&stop), "Not currently playing media");
    world.position_ms = Some(1_250);
    assert_eq!(world.ask(&stop).find("last-frame-pos"), Some(&number(10_000)));
}
