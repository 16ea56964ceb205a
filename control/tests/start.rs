//! How the binary starts and ends.

mod binary;

use std::net::TcpListener;

use binary::{Control, Place, binary, output, write};
use serde_json::json;

#[test]
fn five_mistakes_in_a_configuration_are_five_lines_each_with_its_place() {
    let place = Place::new("", "");
    write(
        &place.config(),
        "[sip]\nlisten = \"nowhere\"\nrelm = \"x\"\n[engine]\nlease_ms = \"long\"\n[[queue]]\nname = \"a\"\nring_timeout_s = 3\n\
         [[service]]\nname = \"cb\"\nqueue = \"b\"\n",
    );
    for arguments in [&["check"][..], &[][..]] {
        let (status, text) = output(binary().args(arguments).arg(place.config()));
        assert_eq!(status.code(), Some(2), "{text}");
        for place in [
            "control.toml:2:10:",
            "control.toml:3:1:",
            "control.toml:5:12:",
            "control.toml:8:18:",
            "control.toml:11:9:",
        ] {
            assert!(text.contains(place), "{place} is missing in {text}");
        }
        assert!(text.contains("did you mean realm?"), "{text}");
        assert!(text.contains("5 mistakes"), "{text}");
    }
    assert!(!place.journal().exists(), "nothing was begun");
}

#[test]
fn the_example_passes_the_check() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/example.toml");
    let (status, text) = output(binary().args(["check", example]));
    assert!(status.success(), "{text}");
}

#[test]
fn a_file_that_is_missing_or_no_text_is_a_clear_error() {
    let place = Place::new("", "");
    let (status, text) = output(binary().arg(place.folder.path().join("none.toml")));
    assert_eq!(status.code(), Some(2));
    assert!(text.contains("none.toml cannot be read"), "{text}");
    std::fs::write(place.config(), [0xff, 0xfe, 0x00]).expect("it is written");
    let (status, text) = output(binary().arg(place.config()));
    assert_eq!(status.code(), Some(2), "{text}");
}

#[test]
fn the_ready_line_says_where_it_listens_and_sigterm_ends_it_well() {
    let place = Place::new("", "[[agent]]\nid = \"ann\"\n");
    let mut control = place.start();
    assert!(control.ready.starts_with("offhook-control ready sip=127.0.0.1:"), "{}", control.ready);
    assert!(control.ready.trim_end().ends_with("agents=1"), "{}", control.ready);
    let (status, _) = control.send("PUT", "/api/v1/agents/bob", &json!({"name": "Bob"}));
    assert_eq!(status, 201);
    assert!(control.end("-TERM").success());
    let control = place.start();
    assert!(control.ready.trim_end().ends_with("agents=2"), "{}", control.ready);
    assert_eq!(control.read("/api/v1/agents/bob")["name"], "Bob");
}

#[test]
fn an_address_in_use_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    for (section, what, setting) in [("[http]", "HTTP", "http.listen"), ("[sip]", "SIP", "sip.listen")] {
        let place = Place::new("", "");
        let text = std::fs::read_to_string(place.config()).expect("it is there");
        let text = text.replace(
            &format!("{section}\nlisten = \"127.0.0.1:0\""),
            &format!("{section}\nlisten = \"{address}\""),
        );
        write(&place.config(), &text);
        let error = Control::spawn(binary().arg(place.config())).err().expect("it does not start");
        assert!([what, &address, setting].iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn a_journal_that_cannot_be_made_is_told_once_and_with_what_it_takes() {
    let place = Place::new("", "[journal]\npath = \"/nowhere/offhook.journal\"");
    let (status, text) = output(binary().arg(place.config()));
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("journal.path") && text.contains("its directory has to be there"), "{text}");
    assert_eq!(text.matches("/nowhere/offhook.journal").count(), 1, "{text}");
}

#[test]
fn two_processes_never_share_a_journal() {
    let place = Place::new("", "");
    let _first = place.start();
    let error = Control::spawn(binary().arg(place.config())).err().expect("it does not start");
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn sighup_puts_a_changed_configuration_in_place_and_leaves_a_wrong_one_aside() {
    let place = Place::new("", "");
    let control = place.start();
    let text = std::fs::read_to_string(place.config()).expect("it is there");
    write(&place.config(), &format!("{text}[[queue]]\nname = \"support\"\n[[agent]]\nid = \"ann\"\n"));
    control.signal("-HUP");
    while control.read("/api/v1/agents") == json!([]) {
        std::thread::yield_now();
    }
    assert_eq!(control.read("/api/v1/queues").as_array().map(Vec::len), Some(2));
    write(&place.config(), "[sip\n");
    control.signal("-HUP");
    assert_eq!(control.read("/api/v1/queues").as_array().map(Vec::len), Some(2));
}
