//! An engine with fewer open files than its legs have sockets.

use offhook_proto::{Command, Idle, LegCreate, LegDelete, LegPark};

use crate::support::{Engine, Phone, engine, leg_towards, number};

/// Two for each of 200 legs would be 400.
const FILES: u32 = 300;

fn leg(name: &str, phone: &Phone) -> LegCreate {
    LegCreate { idle: Idle::None, ..leg_towards(name, phone) }
}

#[test]
fn more_legs_than_open_files_are_created_deleted_and_created_again() {
    let engine = Engine::start_with_files(FILES, &[]);
    let mut client = engine.client();
    let mut phone = Phone::new();
    for round in 0..2 {
        let mut legs = Vec::new();
        for n in 0..200 {
            legs.push(client.create_with(leg(&format!("leg-{n}"), &phone)));
        }
        for leg in &legs {
            phone.say(leg.rtp, round);
        }
        for n in 0..200 {
            let name = format!("leg-{n}");
            client.await_leg(&name, |leg| leg.counters.packets_received == 1);
            client.done(Command::LegDelete(LegDelete { leg: name }));
        }
    }
}

#[test]
fn legs_whose_sockets_only_the_rings_hold_move_and_park_and_lose_nothing() {
    let engine = Engine::start_with_files(FILES, &[]);
    let mut client = engine.client();
    let (mut ann, mut bob) = (Phone::new(), Phone::new());
    client.create_with(LegCreate { worker: Some(0), ..leg("left", &ann) });
    let right = client.create_with(LegCreate { worker: Some(1), ..leg("right", &ann) });
    let mover = client.create_with(LegCreate { worker: Some(0), ..leg("mover", &bob) });
    for round in 0..20 {
        let partner = if round % 2 == 0 { "right" } else { "left" };
        client.splice(partner, "mover");
        for n in 0..20 {
            bob.say(mover.rtp, round * 20 + n);
            assert_eq!(number(&ann.hear()), round * 20 + n);
        }
        client.unsplice("mover");
        client.done(Command::LegPark(LegPark { leg: "mover".into(), keep_one_in: None }));
    }
    client.splice("right", "mover");
    ann.say(right.rtp, 7);
    assert_eq!(number(&bob.hear()), 7);
    assert_eq!(client.query("mover").counters.packets_lost, 0);
}

#[test]
fn check_says_that_few_open_files_are_enough() {
    let engine = engine(&["--check"]);
    let line = format!("ulimit -n {FILES}; \"$0\" \"$@\"");
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .arg(engine.get_program())
        .args(engine.get_args())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("open files"), "{text}");
}
