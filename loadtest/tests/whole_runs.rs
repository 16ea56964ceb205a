//! The whole harness against a switchboard that works, and against ones that don't.

mod switchboard;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use offhook_loadtest::sip::Transport;
use serde_json::Value;
use switchboard::{Fault, Switchboard, TOKEN};

/// An address on loopback by process and test, so that no two of them ever meet.
fn own_address(host: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    // 127.0/16 is where everybody else is.
    Ipv4Addr::new(127, high.max(1), low, host)
}

fn play(host: u8, fault: Fault, extra: &[&str]) -> (bool, Value) {
    play_over(Transport::Udp, host, fault, extra)
}

fn play_over(transport: Transport, host: u8, fault: Fault, extra: &[&str]) -> (bool, Value) {
    let trunk = SocketAddr::from((own_address(host), 5080));
    let board = Switchboard::start(trunk, transport, fault);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{host}"));
    let control = format!("http://{}", board.http);
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["run", "--control", &control, "--sip", &board.sip.to_string()])
        .args([
            "--trunk-listen",
            &trunk.to_string(),
            "--phones-listen",
            &SocketAddr::new(trunk.ip(), 5070).to_string(),
        ])
        .args(["--phones-transport", transport.name(), "--trunk-transport", transport.name()])
        .args(["--media-ip", &trunk.ip().to_string(), "--agents", "6", "--ramp", "50/s", "--parked", "500ms"])
        .args([
            "--callbacks",
            "3/s",
            "--previews",
            "1/s",
            "--inbound",
            "1/s",
            "--duration",
            "6s",
            "--drain",
            "20s",
        ])
        .args([
            "--ring",
            "50ms..300ms",
            "--talk",
            "500ms..2s",
            "--wrap-up",
            "50ms..200ms",
            "--accept-after",
            "20ms",
        ])
        .args(["--max-answer-to-audio", "20s", "--seed", "5", "--report-dir"])
        .arg(&directory)
        .args(extra)
        .output()
        .expect("the harness runs");
    let json = std::fs::read(directory.join("report.json")).unwrap_or_else(|_| {
        panic!(
            "no report: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let html = std::fs::read_to_string(directory.join("report.html")).expect("a page");
    assert!(
        html.contains("</html>") && !html.contains("src=") && !html.contains("href="),
        "the page stands alone"
    );
    (output.status.success(), serde_json::from_slice(&json).expect("JSON"))
}

fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("checks").iter();
    checks
        .filter(|c| c["passed"] == false && c["binding"] == true)
        .map(|c| c["name"].as_str().expect("a name"))
        .collect()
}

fn kinds(report: &Value) -> Vec<&str> {
    let listed = report["misrouting"]["listed"].as_array().expect("a list").iter();
    listed.map(|violation| violation["what"].as_str().expect("a kind")).collect()
}

#[test]
fn a_switchboard_without_fault_passes_and_every_planned_outcome_occurs() {
    let (passed, report) =
        play(1, Fault::None, &["--busy", "20%", "--no-answer", "30%", "--early-hangup", "15%"]);
    assert!(passed, "{:?}", failed(&report));
    assert_eq!(report["misrouting"]["violations"], 0);
    assert!(report["record"]["agree"].as_u64() > Some(5));
    let callbacks = &report["outcomes"]["callback"];
    for outcome in ["talked", "busy", "no_answer", "early_hangup"] {
        assert!(callbacks[outcome].as_u64() > Some(0), "{outcome}: {callbacks}");
    }
    assert!(report["outcomes"]["preview"]["talked"].as_u64() > Some(0));
    assert!(report["outcomes"]["inbound"]["talked"].as_u64() > Some(0));
    assert!(report["answer_to_audio"]["two_way_ms"]["count"].as_u64() > Some(5));
}

#[test]
fn phones_and_trunk_are_reached_over_tcp_as_well() {
    let (passed, report) =
        play_over(Transport::Tcp, 8, Fault::None, &["--busy", "20%", "--early-hangup", "15%"]);
    assert!(passed, "{:?}", failed(&report));
    assert!(report["misrouting"]["packets_judged"].as_u64() > Some(0));
    let received = |line: &str| report["sip"][line]["received"].as_u64();
    assert!(received("phones") > Some(0) && received("trunk") > Some(0));
}

#[test]
fn a_customer_heard_by_a_bystander_is_found_and_named() {
    let (passed, report) = play(2, Fault::Misroute, &[]);
    assert!(!passed);
    assert!(report["misrouting"]["violations"].as_u64() > Some(0));
    let first = &report["misrouting"]["listed"][0];
    assert!(first["listener"].as_str().is_some_and(|name| name.starts_with("agent")), "{first}");
    assert!(first["speaker"].as_str().is_some_and(|name| name.starts_with("+3197")), "{first}");
}

#[test]
fn lost_packets_are_counted_and_fail_the_run() {
    let (passed, report) = play(3, Fault::Lose, &[]);
    assert!(!passed);
    assert!(failed(&report).contains(&"no packet was lost in a conversation"));
    assert_eq!(report["misrouting"]["violations"], 0);
}

#[test]
fn keys_that_both_sides_press_are_heard_once_each_and_one_that_is_heard_again_fails_the_run() {
    let keys = ["--keys", "5#", "--talk", "3s..4s"];
    let (passed, report) = play(9, Fault::None, &keys);
    assert!(passed, "{:?}", failed(&report));
    let (pressed, heard) = (report["keys"]["pressed"].as_u64(), report["keys"]["heard"].as_u64());
    assert!(pressed == heard && pressed > Some(4), "{}", report["keys"]);
    let (passed, report) = play(10, Fault::RepeatKeys, &keys);
    assert!(!passed);
    assert!(failed(&report).contains(&"every key was heard once by the other side"), "{}", report["keys"]);
}

#[test]
fn inbound_callers_press_what_a_menu_asks_for_and_wait_in_vain_when_it_is_something_else() {
    let menu = |host, keys| {
        let calls = ["--callbacks", "0", "--previews", "0", "--early-hangup", "0%", "--patience", "4s"];
        let (passed, report) =
            play(host, Fault::Menu, &[&calls[..], &["--menu-keys", keys, "--menu-after", "200ms"]].concat());
        let talked = report["outcomes"]["inbound"]["talked"].as_u64().unwrap_or(0);
        (passed, talked, report["keys"]["in_menus"].as_u64().unwrap_or(0))
    };
    let (passed, talked, keys) = menu(11, "42");
    assert!(passed && talked > 2 && keys >= 2 * talked, "{talked} talked after {keys} keys");
    let (passed, talked, _) = menu(12, "24");
    assert!(!passed && talked == 0);
}

#[test]
fn a_conversation_that_only_one_side_hears_fails_the_run() {
    let (passed, report) = play(4, Fault::OneWay, &[]);
    assert!(!passed);
    assert!(failed(&report).contains(&"every conversation was two-way"));
}

#[test]
fn an_agent_who_is_heard_after_the_hang_up_is_a_violation() {
    let (passed, report) = play(5, Fault::KeepTalking, &["--customer-ends", "100%"]);
    assert!(!passed);
    assert!(kinds(&report).iter().any(|kind| ["heard_after_end", "heard_next_conversation"].contains(kind)));
}

#[test]
fn a_stream_that_starts_anew_at_a_splice_fails_the_run() {
    let (passed, report) = play(6, Fault::NewStream, &[]);
    assert!(!passed);
    assert!(failed(&report).contains(&"what each leg hears is one unbroken stream"));
    assert!(report["continuity"]["agents"]["ssrc_changes"].as_u64() > Some(0));
}

#[test]
fn a_record_that_names_the_wrong_agent_is_a_violation() {
    let (passed, report) = play(7, Fault::WrongRecord, &[]);
    assert!(!passed);
    assert!(kinds(&report).contains(&"record_disagrees"));
}

/// What a run against `control` says when it does not even begin.
fn refusal(control: &str, extra: &[&str]) -> String {
    let reports = concat!(env!("CARGO_TARGET_TMPDIR"), "/report-refused");
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["run", "--control", control, "--agents", "1", "--report-dir", reports])
        .args(extra)
        .output()
        .expect("the harness runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn token_file(name: &str, token: &str) -> String {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, token).expect("a file");
    file.to_str().expect("a path of text").to_owned()
}

#[test]
fn a_control_that_demands_a_token_is_opened_with_one() {
    let (passed, report) =
        play(13, Fault::Locked, &["--token-file", &token_file("token", &format!("{TOKEN}\n"))]);
    assert!(passed, "{:?}", failed(&report));
    assert!(report["misrouting"]["packets_judged"].as_u64() > Some(0));
}

#[test]
fn a_control_that_is_not_there_or_lets_nobody_in_is_told_before_anything_is_played() {
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let told = refusal(&format!("http://{nobody}"), &[]);
    assert!(told.contains("cannot be reached") && told.contains(&nobody.to_string()), "{told}");

    let board = Switchboard::start(SocketAddr::from((own_address(14), 5080)), Transport::Udp, Fault::Locked);
    let control = format!("http://{}", board.http);
    assert!(refusal(&control, &[]).contains("demands a token (--token-file)"));
    let wrong = token_file("wrong-token", "open-sesame-0124");
    assert!(refusal(&control, &["--token-file", &wrong]).contains("does not take the token"));
    let empty = token_file("empty-token", "\n");
    assert!(refusal(&control, &["--token-file", &empty]).contains("has no token in it"));
    assert!(
        refusal(&control, &["--token-file", "/nonexistent/token"]).contains("cannot read /nonexistent/token")
    );
}

#[test]
fn a_place_where_no_report_can_be_left_is_told_before_anything_is_played() {
    let board = Switchboard::start(SocketAddr::from((own_address(15), 5080)), Transport::Udp, Fault::None);
    let file = token_file("a-file", "");
    let told = refusal(&format!("http://{}", board.http), &["--report-dir", &file]);
    assert!(told.contains("cannot make") && told.contains("--report-dir"), "{told}");
}
