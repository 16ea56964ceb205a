//! A key belongs to whoever heard it begin: the rest of one that a menu was answered with does not reach the agent.

mod support;

use std::ops::Range;

use offhook_audio::dtmf::{DtmfDetector, DtmfEvent};
use offhook_audio::g711::ulaw_to_linear;
use offhook_engine_core::LegSetup;
use offhook_proto::{Codec, DtmfMode, EventBody, Media};
use support::speaker::{Speaker, media, silence};
use support::{Rig, Sent, assert_one_stream, setup};

const AGENT: u64 = 1;
const CALLER: u64 = 2;

/// An agent, and a caller who is in talk with nobody.
fn menu(agent: Media, dtmf: DtmfMode) -> (Rig, Speaker) {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: agent, ..setup(AGENT) });
    rig.create(LegSetup { dtmf, ..setup(CALLER) });
    rig.latch(AGENT);
    rig.latch(CALLER);
    let mut caller = Speaker::new(CALLER, media(Codec::Pcmu));
    caller.say(&mut rig, &silence(200));
    (rig, caller)
}

/// A key that is pressed, and when in the timestamps of its phone.
#[derive(Clone, Copy)]
struct Key(u8, u32);

/// Holds a key down, from one millisecond of it to another: a packet every 20.
fn down(rig: &mut Rig, phone: &mut Speaker, Key(key, began): Key, ms: Range<u16>) {
    for ms in (ms.start + 20..=ms.end).step_by(20) {
        phone.event(rig, began, key, false, ms * 8);
        rig.pass_ms(20);
        phone.timestamp = phone.timestamp.wrapping_add(160);
    }
}

/// Lets a key go that was down for so long: three packets.
fn up(rig: &mut Rig, phone: &mut Speaker, Key(key, began): Key, ms: u16) {
    for _ in 0..3 {
        phone.event(rig, began, key, true, ms * 8);
        rig.pass_ms(20);
        phone.timestamp = phone.timestamp.wrapping_add(160);
    }
}

fn events(heard: &[Sent]) -> usize {
    heard.iter().filter(|sent| sent.header().payload_type == 101).count()
}

fn told(rig: &Rig) -> Vec<char> {
    let digit = |event: &EventBody| match event {
        EventBody::Dtmf { digit, .. } => Some(*digit),
        _ => None,
    };
    rig.events.iter().filter_map(digit).collect()
}

#[test]
fn qc_17_the_rest_of_a_key_that_a_menu_was_answered_with_is_not_heard_by_the_agent() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        for dtmf in [DtmfMode::Pass, DtmfMode::Convert] {
            for speaks_between in [false, true] {
                let at = format!("{codec:?} {dtmf:?} {speaks_between}");
                let (mut rig, mut caller) = menu(media(codec), dtmf);
                let key = Key(1, caller.timestamp);
                down(&mut rig, &mut caller, key, 0..60);
                rig.splice(AGENT, CALLER);
                if speaks_between {
                    caller.say(&mut rig, &silence(20));
                }
                down(&mut rig, &mut caller, key, 60..80);
                up(&mut rig, &mut caller, key, 100);
                caller.say(&mut rig, &silence(400));
                let heard = rig.take_heard(AGENT);
                assert!(heard.len() >= 15, "{at}: what the caller says is heard");
                assert_eq!(events(&heard), 0, "{at}");
                assert_one_stream(&heard);
                assert_eq!(told(&rig), ['1'], "{at}: the controller hears of it, once");
                assert_eq!(rig.info(CALLER).counters.drops.late, 4, "{at}");
                // The next one is for the agent.
                let key = Key(2, caller.timestamp);
                down(&mut rig, &mut caller, key, 0..80);
                up(&mut rig, &mut caller, key, 100);
                let next = rig.take_heard(AGENT);
                assert_eq!(events(&next), 4 + 3, "{at}");
                let numbers = heard.iter().chain(&next).map(|sent| sent.header().sequence);
                let whole = numbers.clone().zip(numbers.skip(1)).all(|(a, b)| b == a.wrapping_add(1));
                assert!(whole, "{at}: no gap");
            }
        }
    }
}

#[test]
fn qc_17_the_repeated_end_of_a_key_is_not_a_key_for_who_comes_after_it() {
    let (mut rig, mut caller) = menu(media(Codec::Pcmu), DtmfMode::Pass);
    let began = caller.timestamp;
    down(&mut rig, &mut caller, Key(1, began), 0..80);
    caller.event(&mut rig, began, 1, true, 800);
    assert_eq!(told(&rig), ['1'], "what the controller splices after");
    rig.splice(AGENT, CALLER);
    caller.event(&mut rig, began, 1, true, 800);
    caller.event(&mut rig, began, 1, true, 800);
    caller.say(&mut rig, &silence(100));
    let heard = rig.take_heard(AGENT);
    assert_eq!(events(&heard), 0);
    assert_one_stream(&heard);
    assert!(heard.len() >= 4);
    assert_eq!(rig.info(CALLER).counters.drops.late, 2);
}

#[test]
fn qc_17_the_rest_of_a_key_is_no_tone_either_for_an_agent_without_telephone_events() {
    let agent = Media { telephone_event: None, ..media(Codec::Pcmu) };
    let (mut rig, mut caller) = menu(agent, DtmfMode::Convert);
    let key = Key(1, caller.timestamp);
    down(&mut rig, &mut caller, key, 0..60);
    rig.splice(AGENT, CALLER);
    down(&mut rig, &mut caller, key, 60..200);
    up(&mut rig, &mut caller, key, 220);
    caller.say(&mut rig, &silence(400));
    let key = Key(2, caller.timestamp);
    down(&mut rig, &mut caller, key, 0..80);
    up(&mut rig, &mut caller, key, 100);
    caller.say(&mut rig, &silence(400));
    let heard = rig.take_heard(AGENT);
    assert_one_stream(&heard);
    let samples = heard.iter().flat_map(|sent| sent.bytes[12..].iter().map(|byte| ulaw_to_linear(*byte)));
    let (mut detector, mut keys) = (DtmfDetector::default(), Vec::new());
    detector.push(&samples.collect::<Vec<i16>>(), |event| {
        if let DtmfEvent::Pressed { key } = event {
            keys.push(key);
        }
    });
    assert_eq!(keys, ['2']);
}

#[test]
fn a_key_that_began_behind_a_closed_gate_does_not_come_through_when_it_opens() {
    let (mut rig, mut caller) = menu(media(Codec::Pcmu), DtmfMode::Pass);
    rig.gates(AGENT, CALLER, false, true);
    let key = Key(5, caller.timestamp);
    down(&mut rig, &mut caller, key, 0..60);
    rig.splice(AGENT, CALLER);
    up(&mut rig, &mut caller, key, 80);
    caller.say(&mut rig, &silence(100));
    assert_eq!(events(&rig.take_heard(AGENT)), 0);
    let key = Key(6, caller.timestamp);
    down(&mut rig, &mut caller, key, 0..60);
    // The same splice again changes nothing for a key that is heard.
    rig.splice(AGENT, CALLER);
    up(&mut rig, &mut caller, key, 80);
    assert_eq!(events(&rig.take_heard(AGENT)), 3 + 3);
}

#[test]
fn by_01_a_key_pressed_between_the_answer_and_the_splice_is_heard_whole() {
    let (mut rig, mut caller) = menu(media(Codec::Pcmu), DtmfMode::Pass);
    let answered = rig.now;
    let key = Key(5, caller.timestamp);
    down(&mut rig, &mut caller, key, 0..60);
    rig.splice_since(AGENT, CALLER, answered);
    up(&mut rig, &mut caller, key, 80);
    let heard = rig.take_heard(AGENT);
    assert_eq!(events(&heard), 3 + 3);
    assert_one_stream(&heard);
    assert_eq!(rig.info(CALLER).counters.drops.late, 0);
}

#[test]
fn who_comes_next_does_not_hear_the_rest_of_a_key_that_the_one_before_heard() {
    let (mut rig, mut caller) = menu(media(Codec::Pcmu), DtmfMode::Pass);
    rig.create(setup(3));
    rig.latch(3);
    rig.splice(AGENT, CALLER);
    let key = Key(7, caller.timestamp);
    down(&mut rig, &mut caller, key, 0..60);
    rig.splice(3, CALLER);
    up(&mut rig, &mut caller, key, 80);
    assert_eq!((events(&rig.take_heard(AGENT)), events(&rig.take_heard(3))), (3, 0));
}
