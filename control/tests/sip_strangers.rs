//! Strangers who connect over TCP, where whoever listens has to keep something for each of them.
#![allow(missing_docs)]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use offhook_control::sip::{SipConfig, TrunkConfig};
use offhook_control_core::Now;
use offhook_control_core::sip::{SipCommand, SipEvent};
use support::peer::{Heard, Peer};
use support::phone::{Phone, nonce};
use support::{PATIENCE, Port, config, free_port, now};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::Id;

fn request(method: &str, number: usize, call_id: &str, via: &str) -> String {
    with_more(method, number, call_id, via, "")
}

fn with_more(method: &str, number: usize, call_id: &str, via: &str, more: &str) -> String {
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: {via};branch=z9hG4bK{method}{number}\r\nFrom: <sip:s@127.0.0.1>;tag=f\r\n\
         To: <sip:100@127.0.0.1>\r\nCall-ID: {call_id}{number}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
         {more}Content-Length: 0\r\n\r\n"
    )
}

/// That others are answered.
async fn is_served(at: SocketAddr) {
    let peer = Peer::new().await;
    let via = format!("SIP/2.0/UDP {}", peer.address());
    peer.send(at, &request("OPTIONS", 1, "other", &via)).await;
    peer.hear("SIP/2.0 200").await;
}

async fn a_stranger_who_reads_no_answers(method: &str) {
    let port = Port::start(config()).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stranger = socket.connect(port.address()).await.expect("a connection");
    // Each answer has the Call-ID in it: more than the buffers between the two hold.
    let call_id = "x".repeat(8_000);
    for number in 0..1_500 {
        let text = request(method, number, &call_id, "SIP/2.0/TCP 127.0.0.1:9");
        let written = tokio::time::timeout(PATIENCE, stranger.write_all(text.as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
    is_served(port.address()).await;
}

#[tokio::test]
async fn who_reads_no_answers_over_tcp_keeps_nobody_elses() {
    a_stranger_who_reads_no_answers("OPTIONS").await;
}

#[tokio::test]
async fn who_reads_no_answers_to_cancels_over_tcp_keeps_nobody_elses() {
    a_stranger_who_reads_no_answers("CANCEL").await;
}

#[tokio::test]
async fn who_connects_and_says_nothing_makes_room_for_others() {
    let port = Port::start(SipConfig { max_strangers: 8, ..config() }).await;
    let open = async || TcpStream::connect(port.address()).await.expect("a connection");
    let first = open().await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(open().await);
    }
    let mut byte = [0];
    let closed = tokio::time::timeout(PATIENCE, first.readable()).await;
    closed.expect("it is closed").expect("it is readable");
    assert_eq!(first.try_read(&mut byte).expect("its end"), 0);
    is_served(port.address()).await;
}

#[tokio::test]
async fn guesses_at_passwords_take_nobodys_place() {
    let port = Port::start(config()).await;
    let peer = Peer::new().await;
    let via = format!("SIP/2.0/UDP {}", peer.address());
    peer.send(port.address(), &request("REGISTER", 0, "guess", &via)).await;
    let challenge = peer.hear("SIP/2.0 401").await;
    let nonce = nonce(&challenge.text);
    for number in 1..=20 {
        let guess = format!(
            "Authorization: Digest username=\"100\", realm=\"offhook.test\", nonce=\"{nonce}\", uri=\"sip:offhook.test\", \
             response=\"{number}\"\r\n"
        );
        peer.send(port.address(), &with_more("REGISTER", number, "guess", &via, &guess)).await;
        peer.hear("SIP/2.0 403").await;
    }
    let counts = port.port.counts();
    assert_eq!((counts.transactions, counts.finished_transactions), (0, 0), "{counts:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_by_its_status() {
    let port = Port::start(config()).await;
    let peer = Peer::new().await;
    let via = format!("SIP/2.0/UDP {}", peer.address());
    let page = "Content-Type: text/html\r\nContent-Length: 3\r\n\r\n<a>";
    let cases = [
        ("OPTIONS", "sip:100@127.0.0.1 SIP/2.0", "sip:100@127.0.0.1 SIP/3.0", "SIP/2.0 505"),
        ("OPTIONS", "CSeq: 1 ", "CSeq: -1 ", "SIP/2.0 400"),
        ("OPTIONS", "CSeq: 1 ", "CSeq: 4294967296 ", "SIP/2.0 400"),
        ("OPTIONS", "CSeq: 1 OPTIONS", "CSeq: 1 INFO", "SIP/2.0 400"),
        ("OPTIONS", "CSeq:", "Number:", "SIP/2.0 400"),
        ("OPTIONS", "From:", "By:", "SIP/2.0 400"),
        ("OPTIONS", "\r\nTo:", "\r\nFor:", "SIP/2.0 400"),
        ("OPTIONS", "Call-ID:", "Call:", "SIP/2.0 400"),
        ("INVITE", "Content-Length: 0\r\n\r\n", page, "SIP/2.0 415"),
        ("UPDATE", "Content-Length: 0\r\n\r\n", page, "SIP/2.0 415"),
        ("MESSAGE", "Content-Length: 0\r\n\r\n", page, "SIP/2.0 405"),
    ];
    for (number, (method, right, wrong, status)) in cases.into_iter().enumerate() {
        let text = request(method, number, "unfit", &via).replacen(right, wrong, 1);
        peer.send(port.address(), &text).await;
        let answer = peer.hear("SIP/").await;
        assert!(answer.is(status), "{text}{}", answer.text);
        assert_eq!(answer.header("Accept") == "application/sdp", answer.is("SIP/2.0 415"), "{}", answer.text);
    }
    is_served(port.address()).await;
}

/// Requests that nobody takes, as line, what is changed of their headers, and the status that they get.
const UNTAKEN: [(&str, (&str, &str), &str); 16] = [
    ("FOO sip:100@127.0.0.1 SIP/2.0", ("", ""), "501"),
    ("foo sip:100@127.0.0.1 SIP/2.0", ("", ""), "501"),
    ("FOO sip:100@127.0.0.1 SIP/2.0", ("127.0.0.1>\r\nCall", "127.0.0.1>;tag=none\r\nCall"), "501"),
    ("FOO sip:100@127.0.0.1 SIP/3.0", ("", ""), "505"),
    ("FOO sip:100@127.0.0.1 SIP/2.0", ("CSeq: 1 FOO", "CSeq: 1 BAR"), "400"),
    ("FOO{} sip:100@127.0.0.1 SIP/2.0", ("", ""), "400"),
    ("INVITE sip: SIP/2.0", ("", ""), "400"),
    ("INVITE sip:100@127.0.0.1 SIP/2.0", (";tag=f", ""), "400"),
    ("CANCEL sip:100@127.0.0.1 SIP/2.0", (";tag=f", ""), "400"),
    ("INVITE sip:100@127.0.0.1 SIP/2.0", ("Content-Length: 0\r\n\r\n", "e: gzip\r\nl: 3\r\n\r\n123"), "415"),
    ("PUBLISH sip:100@127.0.0.1 SIP/2.0", ("", ""), "405"),
    ("SUBSCRIBE sip:100@127.0.0.1 SIP/2.0", ("", ""), "405"),
    ("MESSAGE sip:100@127.0.0.1 SIP/2.0", ("127.0.0.1>\r\nCall", "127.0.0.1>;tag=none\r\nCall"), "481"),
    ("REFER sip:100@127.0.0.1 SIP/2.0", ("", ""), "405"),
    ("INFO sip:100@127.0.0.1 SIP/2.0", ("", ""), "481"),
    ("PRACK sip:100@127.0.0.1 SIP/2.0", ("127.0.0.1>\r\nCall", "127.0.0.1>;tag=none\r\nCall"), "481"),
];

fn untaken(number: usize, via: &str) -> (String, &'static str) {
    let (line, (right, wrong), status) = UNTAKEN[number];
    let method = line.split(' ').next().expect("a method");
    let whole = request(method, number, "untaken", via);
    let (_, headers) = whole.split_once("\r\n").expect("a line");
    (format!("{line}\r\n{headers}").replacen(right, wrong, 1), status)
}

fn assert_refused(asked: &str, answer: &Heard, status: &str) {
    assert!(answer.is(&format!("SIP/2.0 {status} ")), "{asked}{}", answer.text);
    for name in ["CSeq", "Call-ID", "From"] {
        assert!(asked.contains(&format!("{name}: {}\r\n", answer.header(name))), "{asked}{}", answer.text);
    }
    assert!(answer.header("To").contains("tag="), "{}", answer.text);
    let names_methods = answer.header("Allow").starts_with("INVITE, ACK, CANCEL, BYE");
    assert_eq!(names_methods, ["405", "501"].contains(&status), "{}", answer.text);
}

#[tokio::test]
async fn what_nobody_takes_is_told_so_over_udp_and_the_same_again() {
    let port = Port::start(config()).await;
    let peer = Peer::new().await;
    let via = format!("SIP/2.0/UDP {}", peer.address());
    for number in 0..UNTAKEN.len() {
        let (text, status) = untaken(number, &via);
        peer.send(port.address(), &text).await;
        let answer = peer.hear("SIP/").await;
        assert_refused(&text, &answer, status);
        peer.send(port.address(), &text).await;
        assert_eq!(peer.hear("SIP/").await.text, answer.text);
    }
    // The first that is answered then is what was sent last.
    for ack in ["ACK sip:100@127.0.0.1 SIP/2.0", "ACK sip: SIP/2.0", "ACK  SIP/2.0"] {
        let text = request("ACK", 99, "untaken", &via).replacen("ACK sip:100@127.0.0.1 SIP/2.0", ack, 1);
        peer.send(port.address(), &text).await;
    }
    peer.send(port.address(), &request("OPTIONS", 1, "last", &via)).await;
    assert_eq!(peer.hear("SIP/").await.header("Call-ID"), "last1");
    let counts = port.port.counts();
    assert_eq!((counts.transactions, counts.finished_transactions), (0, 0), "{counts:?}");
}

#[tokio::test]
async fn what_nobody_takes_is_told_so_over_tcp_and_the_connection_goes_on() {
    let port = Port::start(config()).await;
    let mut stranger = Phone::connect(port.address()).await;
    let via = "SIP/2.0/TCP 127.0.0.1:9";
    let ack = request("ACK", 99, "untaken", via).replacen("sip:100@127.0.0.1", "sip:", 1);
    for number in 0..UNTAKEN.len() {
        let (text, status) = untaken(number, via);
        stranger.send(&format!("{ack}{text}")).await;
        assert_refused(&text, &stranger.hear("SIP/").await, status);
    }
}

#[tokio::test]
async fn a_datagram_that_is_cut_off_is_refused_and_one_without_a_length_is_whole() {
    let trunk = Some(TrunkConfig::new("127.0.0.1", free_port()));
    let mut port = Port::start(SipConfig { trunk, ..config() }).await;
    let peer = Peer::new().await;
    let via = format!("SIP/2.0/UDP {}", peer.address());
    let contact = format!("Contact: <sip:s@{}>\r\n", peer.address());
    let body = peer.sdp();
    for (length, body, status) in [
        (format!("Content-Length: {}\r\n", body.len() + 1), body.clone(), "400"),
        ("Content-Length: long\r\n".to_owned(), body.clone(), "400"),
        (String::new(), "x".repeat(9_000), "513"),
        (String::new(), "x".repeat(60_000), "513"),
    ] {
        let bare = with_more("INVITE", body.len(), "cut", &via, &contact);
        let text = bare.replacen("Content-Length: 0\r\n", &length, 1) + &body;
        peer.send(port.address(), &text).await;
        let answer = peer.hear("SIP/").await;
        assert!(answer.is(&format!("SIP/2.0 {status} ")), "{}", answer.text);
    }
    let latin = contact.clone() + "Subject: Jos\u{e9}\r\n";
    let text = with_more("INVITE", 1, "whole", &via, &latin).replacen("Content-Length: 0\r\n", "", 1) + &body;
    // As one byte, which is no UTF-8; what is behind it counts all the same.
    let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).expect("Latin-1")).collect();
    peer.send_bytes(port.address(), &bytes).await;
    let (call, event) = port.incoming().await;
    let SipEvent::Incoming { remote: Some(remote), .. } = event else { panic!("no offer: {event:?}") };
    assert_eq!(remote.remote.rtp.port(), 40_000);
    port.port.command(call, SipCommand::Reject { status: 480, reason: "test".to_owned() });
    peer.hear("SIP/2.0 480").await;
}

/// A clock that keeps whoever looks at it for the first time waiting, once it is told to.
#[derive(Default)]
struct Slow {
    /// Tasks that look at it again and again.
    others: Mutex<HashSet<Option<Id>>>,
    state: Mutex<State>,
    allowed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Quick,
    Slow,
    Waiting,
}

impl Slow {
    fn now(&self) -> Now {
        let mut state = self.state.lock().expect("nobody panics");
        let task = tokio::task::try_id();
        if *state == State::Quick {
            self.others.lock().expect("nobody panics").insert(task);
        } else if !self.others.lock().expect("nobody panics").contains(&task) {
            *state = State::Waiting;
            let wait = || self.allowed.wait_while(state, |state| *state != State::Quick);
            drop(tokio::task::block_in_place(wait).expect("nobody panics"));
        }
        now()
    }

    fn is(&self, state: State) -> bool {
        *self.state.lock().expect("nobody panics") == state
    }

    fn set(&self, state: State) {
        *self.state.lock().expect("nobody panics") = state;
        self.allowed.notify_all();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_is_read_of_a_connection_than_is_handled_and_others_are_served_meanwhile() {
    let slow = Arc::new(Slow::default());
    let clock = Arc::clone(&slow);
    let port = Port::start(SipConfig { clock: Arc::new(move || clock.now()), ..config() }).await;
    // The registrar looks each second.
    while slow.others.lock().expect("nobody panics").iter().flatten().count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slow.set(State::Slow);
    let via = "SIP/2.0/TCP 127.0.0.1:9";
    let mut stranger = Phone::connect(port.address()).await;
    // That it is refused is to be mentioned in the log, once in a second.
    stranger.send(&request("INVITE", 1, "flood", via)).await;
    while !slow.is(State::Waiting) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // More than the buffers between the two hold, which the system lets grow to some megabytes.
    let call_id = "x".repeat(8_000);
    let flood: String = (0..8_000).map(|number| request("OPTIONS", number, &call_id, via)).collect();
    let mut flooding = Box::pin(stranger.send(&flood));
    let read = tokio::time::timeout(Duration::from_secs(10), &mut flooding).await;
    is_served(port.address()).await;
    slow.set(State::Quick);
    assert!(read.is_err(), "64 MB are read while nothing of it is handled");
}
