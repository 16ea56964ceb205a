//! Calls whose packets the kernel forwards.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use offhook_proto::{Command, EngineInfo, EventBody, Idle, LegCreate, LegCreated, WorkerInfo};

use crate::may_load;
use crate::support::{
    Client, Engine, PATIENCE, Packet, Phone, assert_one_stream, leg_towards, number, spoken,
};

/// A phone, its leg, and everything that it has heard.
pub(crate) struct Party {
    pub(crate) phone: Phone,
    pub(crate) leg: LegCreated,
    heard: Vec<Packet>,
    said: u32,
}

impl Party {
    fn new(client: &mut Client, name: &str) -> Self {
        Self::with(client, name, Phone::new())
    }

    pub(crate) fn with(client: &mut Client, name: &str, phone: Phone) -> Self {
        let leg =
            client.create_with(LegCreate { idle: Idle::None, address: None, ..leg_towards(name, &phone) });
        Self { phone, leg, heard: Vec::new(), said: 0 }
    }

    /// Says its next word, which the other hears.
    pub(crate) fn say_to(&mut self, other: &mut Self) {
        self.phone.say(self.leg.rtp, self.said);
        let packet = other.phone.hear();
        assert_eq!(packet.payload, spoken(self.phone.next.ssrc, self.said));
        other.heard.push(packet);
        self.said += 1;
    }
}

/// Figures of all workers together.
pub(crate) fn figures(client: &mut Client) -> WorkerInfo {
    let info: EngineInfo = client.ask(Command::Statistics);
    info.workers.iter().fold(WorkerInfo::default(), |mut sum, worker| {
        sum.kernel_rules += worker.kernel_rules;
        sum.kernel_packets += worker.kernel_packets;
        sum.packets_received += worker.packets_received;
        sum.packets_forwarded += worker.packets_forwarded;
        sum.wakeups += worker.wakeups;
        sum
    })
}

/// Two talk, a word each in turn, until so many directions are the kernel's.
pub(crate) fn talk_until(client: &mut Client, rules: u64, ann: &mut Party, bob: &mut Party) {
    let began = Instant::now();
    while figures(client).kernel_rules != rules {
        ann.say_to(bob);
        bob.say_to(ann);
        assert!(began.elapsed() < PATIENCE, "never {rules} rules: {:?}", figures(client));
    }
}

/// Ann and bob, both of whom the kernel forwards.
fn in_the_kernel(client: &mut Client) -> (Party, Party) {
    let (mut ann, mut bob) = (Party::new(client, "ann"), Party::new(client, "bob"));
    client.splice("ann", "bob");
    talk_until(client, 2, &mut ann, &mut bob);
    (ann, bob)
}

pub(crate) fn talk(ann: &mut Party, bob: &mut Party, words: u32) {
    for _ in 0..words {
        ann.say_to(bob);
        bob.say_to(ann);
    }
}

/// The same until all of so many words each have been forwarded by the kernel; the figures before and after them. A worker that
/// gets no processor for seconds loses its lease, and a phone that gets none is looked at anew: then they begin again.
pub(crate) fn talk_past_the_worker(
    client: &mut Client,
    ann: &mut Party,
    bob: &mut Party,
    words: u32,
) -> [WorkerInfo; 2] {
    let began = Instant::now();
    loop {
        let before = figures(client);
        talk(ann, bob, words);
        let after = figures(client);
        if after.kernel_packets - before.kernel_packets == 2 * u64::from(words) {
            return [before, after];
        }
        assert!(began.elapsed() < PATIENCE, "not all of them: {before:?} {after:?}");
        talk_until(client, 2, ann, bob);
    }
}

#[test]
fn a_call_that_goes_past_its_worker_is_the_same_call_to_everybody() {
    if !may_load() {
        return;
    }
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = in_the_kernel(&mut client);
    let began = Instant::now();
    let [before, after] = talk_past_the_worker(&mut client, &mut ann, &mut bob, 1_000);
    assert_eq!(after.packets_forwarded - before.packets_forwarded, 2_000);
    // Two workers renew their leases twice a second, and are asked for their figures.
    let wakeups = 100 + 8 * began.elapsed().as_secs();
    assert!(
        after.wakeups - before.wakeups < wakeups,
        "a worker that has nothing to do sleeps: {before:?} {after:?}"
    );
    for (heard, leg) in [(&bob.heard, &bob.leg), (&ann.heard, &ann.leg)] {
        assert_one_stream(heard);
        assert!(heard.iter().all(|packet| packet.ssrc == leg.ssrc));
        let markers = heard.iter().filter(|packet| packet.marker).count();
        assert_eq!(markers, 1, "it is one talkspurt");
        assert!(heard.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 160));
    }
    for (name, party) in [("ann", &ann), ("bob", &bob)] {
        let counters = client.query(name).counters;
        let said = u64::from(party.said);
        assert_eq!(
            (counters.packets_received, counters.packets_forwarded, counters.packets_lost),
            (said, said, 0)
        );
        assert_eq!((counters.packets_sent, counters.bytes_sent), (said, said * 160));
    }
}

#[test]
fn what_a_phone_hears_is_one_stream_through_calls_in_and_out_of_the_kernel() {
    if !may_load() {
        return;
    }
    let engine = Engine::start();
    let mut client = engine.client();
    let names = ["bob", "cem", "dee"];
    let mut agent = Party::new(&mut client, "agent");
    let mut callers: Vec<Party> = names.iter().map(|name| Party::new(&mut client, name)).collect();
    for round in 0..6 {
        let (caller, name) = (&mut callers[round % 3], names[round % 3]);
        client.splice("agent", name);
        talk_until(&mut client, 2, &mut agent, caller);
        talk(&mut agent, caller, 20);
        client.unsplice("agent");
        assert_eq!(figures(&mut client).kernel_rules, 0, "nothing is forwarded that is not spliced");
        caller.phone.say(caller.leg.rtp, u32::MAX);
        agent.phone.next.sequence = agent.phone.next.sequence.wrapping_add(1);
    }
    assert_one_stream(&agent.heard);
    assert!(agent.heard.iter().all(|packet| number(packet) != u32::MAX), "said after the end");
    for caller in &callers {
        assert_one_stream(&caller.heard);
    }
}

#[test]
fn a_key_that_is_pressed_meanwhile_is_told_and_sent_on_in_the_stream() {
    if !may_load() {
        return;
    }
    let engine = Engine::start();
    let mut client = engine.subscriber("here", 60_000);
    let (mut ann, mut bob) = in_the_kernel(&mut client);
    for key in 0..5_u8 {
        talk(&mut ann, &mut bob, 5);
        // RFC 4733 section 2.5.1.2: one timestamp, a growing duration, the end three times.
        let timestamp = ann.phone.next.timestamp;
        for packet in 1..=7_u16 {
            let duration = packet.min(5) * 160;
            let [high, low] = duration.to_be_bytes();
            let event = Packet {
                payload_type: 101,
                marker: packet == 1,
                timestamp,
                payload: vec![key, if packet >= 5 { 0x8A } else { 0x0A }, high, low],
                ..ann.phone.next.clone()
            };
            ann.phone.rtp.send_to(&event.write(), ann.leg.rtp).expect("sent");
            ann.phone.next.sequence = ann.phone.next.sequence.wrapping_add(1);
            let heard = bob.phone.hear();
            assert_eq!((heard.payload_type, &heard.payload), (101, &event.payload));
            bob.heard.push(heard);
        }
        ann.phone.next.timestamp = timestamp.wrapping_add(800);
        let digit = client.await_event(|event| match event {
            EventBody::Dtmf { digit, .. } => Some(digit),
            _ => None,
        });
        assert_eq!(digit, char::from(b'0' + key));
    }
    talk_until(&mut client, 2, &mut ann, &mut bob);
    assert_one_stream(&bob.heard);
}

#[test]
fn a_phone_that_starts_its_stream_anew_is_heard_on() {
    if !may_load() {
        return;
    }
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = in_the_kernel(&mut client);
    for start in 1..5_u16 {
        talk_until(&mut client, 2, &mut ann, &mut bob);
        ann.phone.next.ssrc ^= u32::from(start);
        ann.phone.next.sequence = start * 11_111;
        ann.phone.next.timestamp = u32::from(start) * 1_000_000_007;
        ann.say_to(&mut bob);
    }
    talk_until(&mut client, 2, &mut ann, &mut bob);
    assert_one_stream(&bob.heard);
}

#[test]
fn nothing_is_forwarded_any_more_when_the_engine_has_been_killed() {
    if !may_load() {
        return;
    }
    let engine = Engine::start();
    let mut client = engine.client();
    let (ann, bob) = in_the_kernel(&mut client);
    engine.signal("KILL");
    let _ = engine.wait();
    // Nobody has the port any more, and the kernel says so.
    ann.phone.rtp.connect(ann.leg.rtp).expect("connected");
    let began = Instant::now();
    loop {
        let sent = ann.phone.rtp.send(&ann.phone.next.write());
        if sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "somebody still takes the packets");
    }
    bob.phone.heard();
    for _ in 0..10 {
        let _ = ann.phone.rtp.send(&ann.phone.next.write());
    }
    assert_eq!(bob.phone.hear_within(Duration::from_millis(100)), None);
}

#[test]
fn an_engine_that_is_stopped_falls_silent_and_goes_on_when_it_is_let() {
    if !may_load() {
        return;
    }
    let engine = Engine::start();
    let mut client = engine.client();
    let (mut ann, mut bob) = in_the_kernel(&mut client);
    engine.signal("STOP");
    let began = Instant::now();
    loop {
        ann.phone.say(ann.leg.rtp, ann.said);
        ann.said += 1;
        if bob.phone.hear_within(Duration::from_millis(50)).is_none() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the lease never ends");
    }
    engine.signal("CONT");
    // What waited is heard now.
    assert_eq!(number(&bob.phone.hear()), ann.said - 1);
    bob.heard.clear();
    talk_until(&mut client, 2, &mut ann, &mut bob);
    assert_one_stream(&bob.heard);
}
