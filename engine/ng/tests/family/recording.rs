//! Recording, as it is asked for while a call goes on or with its offer.

use offhook_ng::{Dict, Value};

use crate::world::{SDP, World, command, joined, offer};

#[test]
fn a_call_is_recorded_once_paused_resumed_and_stopped() {
    let mut world = joined("");
    let told = |world: &mut World, name: &str, more: Dict| {
        world.recorded.clear();
        let mut request = command(name);
        for key in ["from-tag"] {
            if let Some(value) = more.text(key) {
                request.put(key, value);
            }
        }
        assert_eq!(world.ask(&request).text("result"), Some("ok"), "{name}");
        world.recorded.clone()
    };
    let plain = Dict::default;
    let started = told(&mut world, "start recording", plain());
    assert!(
        started[0].starts_with("start ng-")
            && started[0].contains("-a ng/c-179000")
            && started[0].ends_with("Mixed")
    );
    assert_eq!(started.len(), 1, "{started:?}");
    assert!(told(&mut world, "start recording", plain()).is_empty(), "it runs already");
    assert_eq!(told(&mut world, "pause recording", plain()).len(), 1);
    assert!(told(&mut world, "start recording", plain())[0].starts_with("resume "));
    world.recorded.clear();
    let pause = command("stop recording").with("pause", "yes");
    assert_eq!(world.ask(&pause).text("result"), Some("ok"), "pausing by another name");
    assert!(world.recorded[0].starts_with("pause "), "{:?}", world.recorded);
    assert!(told(&mut world, "start recording", plain())[0].starts_with("resume "));
    assert!(told(&mut world, "stop recording", plain())[0].starts_with("stop "));
    assert!(told(&mut world, "stop recording", plain()).is_empty());
    let of_one = told(&mut world, "start recording", plain().with("from-tag", "b"));
    assert!(of_one[0].contains("-b ng/c-") && of_one[0].ends_with("Leg"), "{of_one:?}");
    world.no_recorder = true;
    for _ in 0..2 {
        let refused = world.ask(&command("start recording"));
        assert_eq!(refused.text("error-reason"), Some("no directory"), "each time");
    }
}

#[test]
fn a_call_whose_offer_asks_for_it_is_recorded_from_its_answer_on() {
    let answer = || command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP);
    for asked in [Dict::default().with("record call", "on"), Dict::default().with("record call", "yes")] {
        let mut world = World::new();
        let wish = asked.text("record call").expect("it is there").to_owned();
        assert_eq!(world.ask(&offer().with("record call", wish.as_str())).text("result"), Some("ok"));
        assert!(world.recorded.is_empty(), "nobody is heard yet");
        assert_eq!(world.ask(&answer()).text("result"), Some("ok"));
        assert_eq!(world.recorded.len(), 1, "{:?}", world.recorded);
        assert!(world.recorded[0].contains("-a ng/c-") && world.recorded[0].ends_with("Mixed"));
        assert_eq!(world.ask(&answer()).text("result"), Some("ok"));
        assert_eq!(world.recorded.len(), 1, "it runs already");
        assert_eq!(world.ask(&command("stop recording")).text("result"), Some("ok"));
        assert!(world.recorded[1].starts_with("stop "));
    }
    let mut world = World::new();
    world.ask(&offer().with("record call", "off"));
    world.ask(&answer());
    assert!(world.recorded.is_empty());
    let mut world = World::new();
    world.no_recorder = true;
    world.ask(&offer());
    assert_eq!(world.ask(&answer().with("record call", "on")).text("result"), Some("ok"), "the call goes on");
    let refused = world.ask(&command("start recording"));
    assert_eq!(refused.text("error-reason"), Some("no directory"), "it is not taken to run");
}

#[test]
fn a_recording_goes_where_a_request_says_below_the_directory() {
    let made = |more: &[(&str, &str)]| {
        let mut world = joined("");
        let mut request = command("start recording");
        more.iter().for_each(|(key, value)| _ = request.put(key, *value));
        let reply = world.ask(&request);
        let file = world.recorded.pop().map(|start| start.split(' ').nth(2).expect("a file").to_owned());
        file.ok_or_else(|| reply.text("error-reason").expect("a reason").to_owned())
    };
    let file = |name: &str| Ok(name.to_owned());
    assert_eq!(made(&[("output-destination", "a/b.wav")]), file("a/b.wav"));
    assert_eq!(made(&[("recording-file", "/srv/recordings/c.wav")]), file("c.wav"));
    assert_eq!(made(&[("recording-dir", "/srv/recordings/x/"), ("recording-file", "d.wav")]), file("d.wav"));
    let in_place = made(&[("recording-dir", "/srv/recordings/2026/")]).expect("a file");
    assert!(in_place.starts_with("2026/c-179000") && in_place.ends_with(".wav"), "{in_place}");
    for key in ["output-destination", "recording-file", "recording-dir"] {
        let outside = Err(format!("{key} is not below the recording directory"));
        assert_eq!(made(&[(key, "/tmp/x.wav")]), outside);
        assert_eq!(made(&[(key, "/srv/recordings2/x.wav")]), outside);
    }
    let mut world = joined("");
    let named =
        |tag: &str| command("start recording").with("output-destination", "x.wav").with("from-tag", tag);
    world.told_by(&named("a"));
    assert!(world.recorded[0].contains(" x.wav "), "{:?}", world.recorded);
}

#[test]
fn a_dialogue_that_is_excluded_is_in_no_recording_of_its_call() {
    let answer = || command("answer").with("from-tag", "a").with("to-tag", "b").with("sdp", SDP);
    let excluded = || vec![Value::from("exclude recording")];
    for requests in
        [[offer().with("flags", excluded()), answer()], [offer(), answer().with("flags", excluded())]]
    {
        let mut world = World::new();
        for request in requests {
            assert_eq!(world.ask(&request.with("record call", "on")).text("result"), Some("ok"));
        }
        for request in [command("start recording"), command("start recording").with("from-tag", "b")] {
            assert_eq!(world.ask(&request).text("result"), Some("ok"));
        }
        assert!(world.recorded.is_empty(), "{:?}", world.recorded);
    }
}
