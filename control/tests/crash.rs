//! What was accepted survives: `kill -9` at any moment, and a disk that is full.

mod binary;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use binary::{Control, PATIENCE, Place, binary};
use serde_json::{Value, json};

const CALLBACK: &str = "/genesys/1/service/callback/cb";

/// Posts until the process is gone; keeps every id that was given out, with its number.
fn post(control: &Control, accepted: &Mutex<BTreeMap<String, String>>, series: usize) {
    for n in 0.. {
        let number = format!("+1{series:03}{n:07}");
        let body = json!({ "_customer_number": number, "_call_direction": "USERTERMINATED" }).to_string();
        match control.raw("POST", CALLBACK, "application/json", body.as_bytes()) {
            Ok((200, value)) => {
                let id = value["_id"].as_str().expect("an id").to_owned();
                let former = accepted.lock().expect("no panic").insert(id, number);
                assert_eq!(former, None, "no id is given out twice");
            }
            Ok((status, value)) => panic!("{status} {value}"),
            Err(_) => return,
        }
    }
}

#[test]
fn a_callback_that_was_accepted_survives_kill_9_at_any_moment_and_exists_once() {
    let place = Place::new("", "");
    let accepted = Mutex::new(BTreeMap::new());
    let rounds = 8;
    for round in 0..rounds {
        let mut control = place.start();
        let pid = control.pid();
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (control, accepted) = (&control, &accepted);
                scope.spawn(move || post(control, accepted, round * 4 + client));
            }
            let before = accepted.lock().expect("no panic").len();
            let began = Instant::now();
            while accepted.lock().expect("no panic").len() == before && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(rand::random::<u64>() % 200));
            let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            assert!(killed.expect("kill runs").success());
        });
        control.kill();
    }
    let accepted = accepted.into_inner().expect("no panic");
    assert!(accepted.len() >= rounds, "only {} were accepted", accepted.len());
    let control = place.start();
    for (id, number) in &accepted {
        let by_id = control.read(&format!("{CALLBACK}?_id={id}"));
        assert_eq!(by_id.as_array().map(Vec::len), Some(1), "{id}: {by_id}");
        assert_eq!(by_id[0]["_customer_number"], number.as_str());
        assert_eq!(by_id[0]["_callback_state"], "QUEUED");
        let by_number = control.read(&format!("{CALLBACK}?_customer_number=%2B{}", &number[1..]));
        assert_eq!(by_number.as_array().map(Vec::len), Some(1), "{number}: {by_number}");
    }
}

#[test]
fn a_full_disk_refuses_changes_with_the_reason_and_what_waited_is_written_when_there_is_room() {
    let place = Place::new("", "");
    let mut limited = Command::new("prlimit");
    limited.arg("--fsize=200000:unlimited").arg(binary().get_program()).arg(place.config());
    let control = Control::spawn(&mut limited).expect("it starts");
    let padding = "x".repeat(4_000);
    let mut accepted = Vec::new();
    let mut n = 0;
    let refused = loop {
        n += 1;
        assert!(n < 1_000, "the limit was never reached");
        let body = json!({ "_customer_number": format!("+1{n:010}"), "note": padding, "_call_direction": "USERTERMINATED" });
        match control.send("POST", CALLBACK, &body) {
            (200, value) => accepted.push(value["_id"].as_str().expect("an id").to_owned()),
            (503, value) if value["error"] == "unconfirmed" => {}
            refused => break refused,
        }
    };
    assert_eq!((refused.0, &refused.1["error"]), (503, &json!("journal_stalled")), "{refused:?}");
    assert!(refused.1["message"].as_str().is_some_and(|message| message.contains("journal")), "{refused:?}");
    let (status, health) = control.send("GET", "/healthz", &Value::Null);
    assert_eq!((status, &health["error"]), (503, &json!("journal_stalled")), "{health}");
    assert_eq!(control.read("/api/v1/queues")[0]["name"], "sales", "reading goes on");
    let lifted =
        Command::new("prlimit").args(["--pid", &control.pid().to_string(), "--fsize=unlimited"]).status();
    assert!(lifted.expect("prlimit runs").success());
    while control.send("GET", "/healthz", &Value::Null).0 != 200 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = control.send(
        "POST",
        CALLBACK,
        &json!({ "_customer_number": "+19990000000", "_call_direction": "USERTERMINATED" }),
    );
    assert_eq!(after.0, 200, "{after:?}");
    accepted.push(after.1["_id"].as_str().expect("an id").to_owned());
    let waited = control.read(CALLBACK).as_array().map(Vec::len);
    drop(control);
    let control = place.start();
    for id in &accepted {
        assert_eq!(control.read(&format!("{CALLBACK}?_id={id}")).as_array().map(Vec::len), Some(1), "{id}");
    }
    assert_eq!(control.read(CALLBACK).as_array().map(Vec::len), waited, "what waited was written");
}
