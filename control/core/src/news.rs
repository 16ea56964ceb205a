//! What the client of an engine tells, as inputs of the core.

use offhook_proto::ClientEvent;

use crate::{EngineId, Input};

/// What a piece of news means to the core; nothing for replies, which go to whoever asked. `run` is the engine's run as known
/// so far, empty at first.
pub fn news(engine: EngineId, event: ClientEvent, run: &mut String) -> Vec<Input> {
    match event {
        ClientEvent::Event(event) => vec![Input::EngineEvent { engine, event: event.body }],
        ClientEvent::EngineUp { instance } => {
            run.clone_from(&instance);
            vec![Input::EngineUp { engine, instance, restarted: false }]
        }
        ClientEvent::EngineRestarted { new, .. } => {
            run.clone_from(&new);
            vec![Input::EngineUp { engine, instance: new, restarted: true }]
        }
        ClientEvent::EngineSilent => vec![Input::EngineDown { engine }],
        ClientEvent::EngineBack => {
            vec![Input::EngineUp { engine, instance: run.clone(), restarted: false }]
        }
        // Whoever has missed events has to look at everything again, as after an outage.
        ClientEvent::EventsMissed => {
            vec![
                Input::EngineDown { engine },
                Input::EngineUp { engine, instance: run.clone(), restarted: false },
            ]
        }
        ClientEvent::SubscribeRefused(_) | ClientEvent::Reply { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: EngineId = EngineId(0);

    #[test]
    fn missed_events_make_the_core_look_at_the_same_run_again() {
        let mut run = String::new();
        news(ENGINE, ClientEvent::EngineUp { instance: "one".into() }, &mut run);
        let inputs = news(ENGINE, ClientEvent::EventsMissed, &mut run);
        assert!(
            matches!(&inputs[..], [Input::EngineDown { .. }, Input::EngineUp { instance, restarted: false, .. }] if instance == "one")
        );
    }

    #[test]
    fn a_new_run_is_told_as_a_restart() {
        let mut run = String::from("one");
        let event = ClientEvent::EngineRestarted { old: "one".into(), new: "two".into() };
        let inputs = news(ENGINE, event, &mut run);
        assert!(matches!(&inputs[..], [Input::EngineUp { restarted: true, .. }]));
        assert_eq!(run, "two");
    }
}
