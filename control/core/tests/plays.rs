//! What is played to a leg, when nobody knows whether it plays already.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::Bench;
use offhook_control_core::{CallId, EngineId, Input};
use offhook_proto::{Command, EventBody, PlayEnd};

/// Names of the plays that were asked for, in order.
fn plays(bench: &Bench) -> Vec<String> {
    let name = |command: &Command| match command {
        Command::Play(play) => Some(play.play.clone()),
        _ => None,
    };
    bench.engine.iter().filter_map(name).collect()
}

#[test]
fn by_09_music_that_took_its_own_place_goes_on() {
    let mut bench = Bench::new();
    let caller = CallId(CallId::FIRST_INCOMING);
    bench.arrives(caller, "+31205", "100");
    bench.answer(caller);
    // The request met the new run of an engine before anybody knew of the restart, and is made again then.
    bench.take(Input::EngineUp { engine: EngineId(0), instance: "2".into(), restarted: true });
    let asked = plays(&bench);
    let [first, second] = &asked[..] else { panic!("the music was asked for as {asked:?}") };
    assert_eq!(first, second);
    bench.event(EventBody::PlayEnded {
        leg: format!("c-{caller}"),
        play: first.clone(),
        end: PlayEnd::Replaced,
    });
    bench.take(Input::EngineUp { engine: EngineId(0), instance: "3".into(), restarted: true });
    assert_eq!(plays(&bench).len(), 3, "the caller waits in silence");
    bench.event(EventBody::PlayEnded {
        leg: format!("c-{caller}"),
        play: first.clone(),
        end: PlayEnd::Finished,
    });
    bench.take(Input::EngineUp { engine: EngineId(0), instance: "4".into(), restarted: true });
    assert_eq!(plays(&bench).len(), 3, "what ended by itself is over");
}
