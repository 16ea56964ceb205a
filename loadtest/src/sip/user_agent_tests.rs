//! Two user agents on one virtual clock and a wire that loses what it is told to lose.

use std::net::SocketAddr;

use super::*;

const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 20000 RTP/AVP 0\r\n";

struct Wire {
    now_ms: u64,
    caller: UserAgent,
    callee: UserAgent,
    /// One datagram in this many is lost; 0: none.
    lose_every: usize,
    carried: usize,
    heard: Vec<Event>,
}

impl Wire {
    fn new(lose_every: usize) -> Self {
        Self::over(Transport::Udp, lose_every)
    }

    fn over(transport: Transport, lose_every: usize) -> Self {
        let caller = UserAgent::new(SocketAddr::from(([127, 0, 0, 1], 5001)), transport, 1);
        let callee = UserAgent::new(SocketAddr::from(([127, 0, 0, 1], 5002)), transport, 2);
        Self { now_ms: 0, caller, callee, lose_every, carried: 0, heard: Vec::new() }
    }

    fn call(&mut self) -> CallKey {
        let to = self.callee.local;
        self.caller.invite(self.now_ms, "+31", "+32", to, SDP)
    }

    /// Carries everything, and lets time pass up to `for_ms`; the callee's and the caller's events, in order.
    fn run(&mut self, for_ms: u64) -> Vec<Event> {
        let end_ms = self.now_ms + for_ms;
        loop {
            self.carry();
            let deadlines = [self.caller.deadline_ms(), self.callee.deadline_ms()];
            match deadlines.into_iter().flatten().min().filter(|&d| d <= end_ms) {
                Some(deadline_ms) => self.now_ms = deadline_ms,
                None => break,
            }
            self.caller.handle_timeout(self.now_ms);
            self.callee.handle_timeout(self.now_ms);
        }
        self.now_ms = end_ms;
        std::mem::take(&mut self.heard)
    }

    fn carry(&mut self) {
        loop {
            let (from_caller, from_callee) = (self.caller.poll_transmit(), self.callee.poll_transmit());
            if from_caller.is_none() && from_callee.is_none() {
                break;
            }
            for (datagram, to_callee) in [(from_caller, true), (from_callee, false)] {
                let Some((_, bytes)) = datagram else { continue };
                self.carried += 1;
                if self.lose_every > 0 && self.carried.is_multiple_of(self.lose_every) {
                    continue;
                }
                let (from, to) = if to_callee {
                    (self.caller.local, &mut self.callee)
                } else {
                    (self.callee.local, &mut self.caller)
                };
                to.handle_message(self.now_ms, from, &bytes);
            }
        }
        for agent in [&mut self.callee, &mut self.caller] {
            self.heard.extend(std::iter::from_fn(|| agent.poll_event()));
        }
    }
}

fn incoming(events: &[Event]) -> CallKey {
    let found =
        events.iter().find_map(|e| if let Event::Incoming { call, .. } = e { Some(*call) } else { None });
    found.expect("an incoming call")
}

#[test]
fn a_call_is_rung_answered_acknowledged_and_hung_up_even_when_every_third_datagram_is_lost() {
    for lose_every in [0, 3, 5, 7] {
        let mut wire = Wire::new(lose_every);
        wire.call();
        let call = incoming(&wire.run(5_000));
        wire.callee.ring(wire.now_ms, call);
        wire.run(1_000);
        assert!(wire.callee.answer(wire.now_ms, call, SDP));
        let events = wire.run(20_000);
        assert!(events.contains(&Event::Confirmed { call }), "{lose_every}: {events:?}");
        assert!(events.iter().any(|e| matches!(e, Event::Answered { remote: Some(_), .. })), "{events:?}");
        wire.callee.hang_up(wire.now_ms, call);
        let events = wire.run(20_000);
        assert!(
            events.iter().any(|e| matches!(e, Event::Ended { cause: Cause::ByeReceived, .. })),
            "{events:?}"
        );
        assert!(events.contains(&Event::Ended { call, cause: Cause::ByeAnswered }), "{events:?}");
        wire.run(40_000);
        assert_eq!((wire.caller.calls(), wire.callee.calls()), (0, 0));
        assert!(wire.caller.purposes.is_empty() && wire.callee.purposes.is_empty());
    }
}

#[test]
fn over_tcp_the_via_and_the_contact_say_so_and_nothing_but_an_answer_is_sent_again() {
    let mut wire = Wire::over(Transport::Tcp, 0);
    let ours = wire.call();
    let (_, bytes) = wire.caller.poll_transmit().expect("an INVITE");
    let invite = Message::parse(&bytes).expect("our own INVITE");
    assert!(invite.header("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP ")), "{invite:?}");
    assert!(
        invite.header("Contact").is_some_and(|contact| contact.ends_with(";transport=tcp>")),
        "{invite:?}"
    );
    wire.run(31_000);
    assert_eq!(wire.caller.counters.retransmissions_sent, 0, "a connection loses nothing");
    let from = wire.caller.local;
    wire.callee.handle_message(wire.now_ms, from, &bytes);
    while wire.callee.poll_transmit().is_some() {}
    let call = incoming(&std::iter::from_fn(|| wire.callee.poll_event()).collect::<Vec<_>>());
    assert!(wire.callee.answer(wire.now_ms, call, SDP));
    while wire.callee.poll_transmit().is_some() {}
    // The ACK may be late for other reasons than loss (RFC 3261 section 13.3.1.4).
    wire.callee.handle_timeout(wire.now_ms + 500);
    assert_eq!(wire.callee.counters.retransmissions_sent, 1);
    while wire.callee.poll_transmit().is_some() {}
    let events = wire.run(2_000);
    assert!(events.contains(&Event::Ended { call: ours, cause: Cause::TimedOut }), "{events:?}");
}

#[test]
fn a_caller_who_gives_up_ends_the_call_on_both_sides() {
    for lose_every in [0, 3, 4] {
        let mut wire = Wire::new(lose_every);
        let ours = wire.call();
        let call = incoming(&wire.run(5_000));
        wire.callee.ring(wire.now_ms, call);
        wire.run(5_000);
        wire.caller.hang_up(wire.now_ms, ours);
        let events = wire.run(40_000);
        assert!(events.contains(&Event::Ended { call, cause: Cause::Cancelled }), "{events:?}");
        assert!(events.contains(&Event::Ended { call: ours, cause: Cause::Refused(487) }), "{events:?}");
        assert_eq!((wire.caller.calls(), wire.callee.calls()), (0, 0));
    }
}

#[test]
fn an_answer_that_crosses_a_cancel_is_acknowledged_and_hung_up() {
    let mut wire = Wire::new(0);
    let ours = wire.call();
    let call = incoming(&wire.run(10));
    wire.callee.answer(wire.now_ms, call, SDP);
    wire.caller.hang_up(wire.now_ms, ours);
    wire.run(40_000);
    assert_eq!((wire.caller.calls(), wire.callee.calls()), (0, 0));
}

#[test]
fn a_refusal_reaches_the_caller_with_its_code_and_is_not_repeated_after_the_ack() {
    let mut wire = Wire::new(0);
    let ours = wire.call();
    let call = incoming(&wire.run(10));
    assert!(wire.callee.reject(wire.now_ms, call, 486));
    assert!(!wire.callee.answer(wire.now_ms, call, SDP));
    let events = wire.run(40_000);
    assert!(events.contains(&Event::Ended { call: ours, cause: Cause::Refused(486) }));
    assert_eq!(wire.callee.counters.retransmissions_sent, 0);
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut wire = Wire::new(0);
    wire.call();
    let call = incoming(&wire.run(10));
    wire.callee.answer(wire.now_ms, call, SDP);
    wire.callee.hang_up(wire.now_ms, call);
    let events = wire.run(1_000);
    let confirmed = events.iter().position(|e| *e == Event::Confirmed { call });
    let ended = events.iter().position(|e| *e == Event::Ended { call, cause: Cause::ByeAnswered });
    assert!(confirmed < ended && confirmed.is_some(), "{events:?}");
}

#[test]
fn a_dead_peer_ends_everything_after_32_seconds() {
    let mut wire = Wire::new(1);
    let ours = wire.call();
    wire.caller.register(0, "a", "p", wire.callee.local, 60);
    let events = wire.run(33_000);
    assert!(events.contains(&Event::Ended { call: ours, cause: Cause::TimedOut }));
    assert!(events.contains(&Event::RegisterFailed { user: "a".to_owned(), code: 408 }));
}

#[test]
fn a_registration_answers_its_challenge_and_believes_the_second_refusal() {
    let registrar = SocketAddr::from(([127, 0, 0, 1], 5060));
    let mut agent = UserAgent::new(SocketAddr::from(([127, 0, 0, 1], 5001)), Transport::Udp, 1);
    agent.register(0, "a", "p", registrar, 60);
    for attempt in 0..3 {
        let (_, bytes) = agent.poll_transmit().expect("a REGISTER");
        let request = Message::parse(&bytes).expect("our own REGISTER");
        assert_eq!(request.header("Authorization").is_some(), attempt > 0);
        assert_eq!(request.cseq(), Some((attempt + 1, "REGISTER")));
        let mut response = Message::response_to(&request, 401, "Unauthorized", Some("t"));
        response.push("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"");
        agent.handle_message(0, registrar, &response.write());
    }
    assert_eq!(agent.poll_transmit(), None);
    assert_eq!(agent.poll_event(), Some(Event::RegisterFailed { user: "a".to_owned(), code: 401 }));
}

#[test]
fn garbage_is_counted_and_strangers_are_told_481() {
    let mut agent = UserAgent::new(SocketAddr::from(([127, 0, 0, 1], 5001)), Transport::Udp, 1);
    let from = SocketAddr::from(([127, 0, 0, 1], 5060));
    agent.handle_message(0, from, b"\x80\x00garbage");
    agent.handle_message(0, from, b"\r\n\r\n");
    assert_eq!(agent.counters.unreadable, 1);
    let bye = "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
        Call-ID: nobody\r\nCSeq: 1 BYE\r\n\r\n";
    agent.handle_message(0, from, bye.as_bytes());
    let (_, answer) = agent.poll_transmit().expect("an answer");
    assert!(answer.starts_with(b"SIP/2.0 481 "));
}
