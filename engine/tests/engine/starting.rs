//! Start and stop.

use std::net::UdpSocket;
use std::process::{Command as Process, Output, Stdio};

use offhook_proto::{Command, EngineInfo, uninterrupted};

use crate::support::{Engine, Phone, engine, number};

fn output(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = engine(arguments).output().expect("it runs");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[test]
fn a_signal_ends_it_with_a_bye_on_every_leg_and_its_figures() {
    for signal in ["TERM", "INT"] {
        let engine = Engine::start();
        let mut client = engine.client();
        let (mut ann, mut bob) = (Phone::new(), Phone::new());
        let (a, b) = (client.create("a", &ann), client.create("b", &bob));
        client.splice("a", "b");
        ann.say(a.rtp, 1);
        assert_eq!(number(&bob.hear()), 1);
        bob.say(b.rtp, 2);
        assert_eq!(number(&ann.hear()), 2);
        engine.signal(signal);
        for phone in [&ann, &bob] {
            let mut buffer = [0; 1_500];
            let length = uninterrupted(|| phone.rtcp.recv(&mut buffer)).expect("a last report");
            assert!(buffer[..length].windows(2).any(|pair| pair == [0x81, 203]), "with a BYE");
        }
        let (status, log) = engine.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("worker stopped") && log.contains("packets_forwarded"), "{log}");
    }
}

#[test]
fn a_control_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let (code, text) = output(&["--control", &address]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
}

#[test]
fn a_control_socket_that_others_can_reach_needs_a_key_or_a_word() {
    let (code, text) = output(&["--control", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--key-file") && text.contains("--open"), "{text}");
}

#[test]
fn arguments_that_cannot_work_are_refused_with_the_reason() {
    for (arguments, reason) in [
        (&["--ports", "9-10"][..], "below 1024"),
        (&["--cpus", "0,0"], "twice"),
        (&["--cpus", "1000"], "may not use processor 1000, only 0"),
        (&["--prompts", "/nowhere"], "--prompts: /nowhere is not a directory"),
        (&["--recordings", "/nowhere"], "--recordings: /nowhere is not a directory"),
        (&["--recordings", "/proc/self"], "no file can be made in /proc/self"),
        (&["--ng-tcp", "0.0.0.0:0"], "--open"),
        (&["--key-file", "/nowhere"], "/nowhere"),
        (&["--max-legs", "0"], "0"),
        (&["--log", "a=b=c"], "--log"),
        (&["--advertise", "203.0.113.9"], "two addresses"),
        (&["--advertise", "127.0.0.2=203.0.113.9"], "127.0.0.2 is not a --media-address"),
        (&["--advertise", "127.0.0.1=2001:db8::9"], "one version of IP"),
        (&["--advertise", "127.0.0.1=192.0.2.1", "--advertise", "127.0.0.1=192.0.2.2"], "twice"),
    ] {
        let (code, text) = output(arguments);
        assert!(code.is_some_and(|code| code != 0), "{arguments:?}");
        assert!(text.contains(reason), "{arguments:?}: {text}");
    }
}

#[test]
fn a_mistake_in_the_options_is_told_from_what_may_go_better_next_time() {
    for (arguments, code) in [
        (&["--nonsense"][..], 2),
        (&["--control", "0.0.0.0:0"], 2),
        (&["--ng-tcp", "0.0.0.0:0"], 2),
        (&["--advertise", "127.0.0.2=203.0.113.9"], 2),
        (&["--prompts", "/nowhere"], 1),
        (&["--recordings", "/nowhere"], 1),
        (&["--metrics", "192.0.2.1:1"], 1),
    ] {
        let (found, text) = output(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
    }
}

#[test]
fn a_command_without_an_engine_says_where_it_looked_for_one() {
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let mut ctl = Process::new(env!("CARGO_BIN_EXE_offhook-engine"));
    let output = ctl.args(["ctl", "--control", &free.to_string(), "stats"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("running at {free}")), "{text}");
}

#[test]
fn an_engine_that_may_not_have_what_it_is_asked_for_says_what_it_takes_and_what_to_leave_out() {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let has_nothing = status.contains("CapEff:\t0000000000000000");
    for (option, takes) in
        [("--kernel", ["CAP_BPF", "CAP_NET_ADMIN", "6.6"]), ("--steer", ["CAP_BPF", "CAP_NET_ADMIN", "5.9"])]
    {
        let engine = engine(&[option]);
        // As in a container that was given nothing. Who has nothing anyway may not give it away.
        let mut powerless = Process::new("setpriv");
        powerless.arg("--no-new-privs");
        if !has_nothing {
            powerless.args(["--bounding-set=-all", "--inh-caps=-all"]);
        }
        powerless.arg(engine.get_program()).args(engine.get_args());
        let output = match powerless.output() {
            Ok(output) => output,
            Err(error) => return eprintln!("not tested without setpriv(1): {error}"),
        };
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(takes.iter().all(|word| text.contains(word)), "{text}");
        assert!(text.contains(&format!("without {option}")), "{text}");
    }
}

#[test]
fn check_says_what_this_machine_can_do() {
    let (code, text) = output(&["--check"]);
    assert_eq!(code, Some(0), "{text}");
    for word in ["io_uring", "gathered", "task work", "open files", "ports", "rmem_max", "prompts: "] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let (code, text) = output(&["--check", "--recordings", "/nowhere"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("FAIL") && text.contains("--recordings: /nowhere"), "{text}");
    let (code, text) = output(&["--check", "--media-address", "192.0.2.1"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("FAIL") && text.contains("192.0.2.1"), "{text}");
    let running = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let taken = running.local_addr().expect("its address").to_string();
    let (code, text) = output(&["--check", "--control", &taken]);
    assert_eq!(code, Some(0), "an engine that runs there makes no machine unfit: {text}");
    assert!(text.contains(&format!("{taken} is in use")), "{text}");
}

/// As `ctl list | head -0`.
#[test]
fn whoever_reads_ctl_may_stop_at_any_time() {
    let engine = Engine::start();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut ctl = Process::new(env!("CARGO_BIN_EXE_offhook-engine"));
    ctl.args(["ctl", "--control", &engine.control.to_string(), "list"]).stdout(writer);
    let output = ctl.stderr(Stdio::piped()).output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn two_legs_are_spliced_by_hand() {
    let engine = Engine::start();
    let control = engine.control.to_string();
    let ctl = |line: &str| {
        let words = ["ctl", "--control", &control].into_iter().chain(line.split(' '));
        let output =
            Process::new(env!("CARGO_BIN_EXE_offhook-engine")).args(words).output().expect("it runs");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let (mut ann, bob) = (Phone::new(), Phone::new());
    assert!(ctl("ping").1.starts_with("pong from "));
    for (leg, phone) in [("ann", &ann), ("bob", &bob)] {
        let (done, text) = ctl(&format!("create {leg} --remote {} --idle none", phone.address()));
        assert!(done && text.contains("receives RTP on 127.0.0.1:"), "{text}");
    }
    assert_eq!(ctl("splice ann bob"), (true, "ok\n".into()));
    let mut client = engine.client();
    let rtp = client.query("ann").rtp;
    ann.say(rtp, 5);
    assert_eq!(number(&bob.hear()), 5);
    let (_, text) = ctl("query ann");
    assert!(text.contains("spliced to bob") && text.contains("1 packet,") && text.contains("PCMU"), "{text}");
    let (_, text) = ctl("list");
    assert_eq!(text, "ann\nbob\n2 of 2 legs\n");
    let (_, text) = ctl("raw {\"command\":\"ping\"}");
    assert!(text.contains("pong"), "{text}");
    let (done, text) = ctl("raw {\"command\":\"nonsense\"}");
    assert!(!done && text.contains("no such command"), "what the engine refuses is a failure: {text}");
    let mut ping = Process::new(env!("CARGO_BIN_EXE_offhook-engine"));
    assert!(ping.args(["ctl", "ping", "--control", &control]).status().expect("it runs").success());
    let (done, text) = ctl("--json query bob");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(done && json["spliced_to"] == "ann", "{text}");
    assert!(ctl("play bob tone:ringback:nl --name ring").1.contains("until stopped"));
    bob.hear();
    let (done, text) = ctl("stop bob");
    assert!(done && text.starts_with("stopped ") && text.ends_with(" ms into the list\n"), "{text}");
    assert_eq!(ctl("stop bob"), (true, "nothing was playing\n".into()));
    assert!(ctl("play bob tone:ringback:nl --from 500 --for 60").0);
    assert_eq!(ctl("unsplice ann --park ann --park bob"), (true, "ok\n".into()));
    assert!(ctl("stats").1.contains("2 legs"));
    assert!(ctl("delete ann").0);
    let (done, text) = ctl("query ann");
    assert!(!done && text.starts_with("error: "), "{text}");
    let info: EngineInfo = client.ask(Command::Statistics);
    assert_eq!((info.legs, info.workers.len()), (1, 2));
}
