//! rtpengine's own Perl client (Debian's rtpengine-utils).

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::client::sdp_at;
use crate::installed;
use crate::support::{Engine, Phone};

fn ng_client(engine: &Engine, arguments: &[&str], input: &str) -> (bool, String) {
    let (ip, port) = (engine.control.ip().to_string(), engine.control.port().to_string());
    let mut child = Command::new("rtpengine-ng-client")
        .args(["--proxy-address", &ip, "--proxy-port", &port])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_perl_client_makes_looks_at_and_ends_a_call() {
    if !installed("rtpengine-ng-client", "--version") {
        return;
    }
    let engine = Engine::start();
    let (one, other) = (Phone::new(), Phone::new());
    let tags = ["--call-id=perl", "--from-tag=a", "--to-tag=b"];
    let ask = |arguments: &[&str], sdp: &str| {
        let (done, said) = ng_client(&engine, arguments, sdp);
        assert!(done, "{arguments:?}: {said}");
        said
    };
    assert!(ask(&["ping"], "").contains("pong"));
    let sdp = |phone: &Phone| format!("--sdp={}", sdp_at(phone.address(), ""));
    let offered = ask(&["offer", tags[0], tags[1], &sdp(&one)], "");
    assert!(offered.contains("m=audio"), "{offered}");
    let answered = ask(&["answer", tags[0], tags[1], tags[2], &sdp(&other)], "");
    assert!(answered.contains("m=audio"), "{answered}");
    assert!(ask(&["query", tags[0]], "").contains("local port"));
    let switches =
        ["block media", "silence media", "unblock media", "unsilence media", "block DTMF", "unblock DTMF"];
    for switch in switches {
        ask(&[switch, tags[0], tags[1]], "");
    }
    let (done, said) = ng_client(&engine, &["start forwarding", tags[0]], "");
    assert!(!done && said.contains("start forwarding is not supported"), "{said}");
    assert!(ask(&["list"], "").contains("perl"));
    assert!(ask(&["delete", tags[0], tags[1], tags[2], "--delete-delay=0"], "").contains("created"));
    assert!(!ask(&["list"], "").contains("perl"));
}
