//! Conversations of which one direction has no audio, and silences that are none of it (BY-02).

mod support;

use offhook_engine_core::{LegId, LegSetup, WorkerCommand};
use offhook_proto::AudioDirection::{FromPeer, ToPeer};
use offhook_proto::{AudioDirection, Codec, EventBody, LegUpdate};
use support::secure::update;
use support::speaker::media;
use support::{Rig, Talker, address, prompt, rtp, setup};

const AFTER_MS: u32 = 5_000;

/// What was told of directions: which leg and way, and since when it is unheard; none when it is heard again.
type Told = (String, AudioDirection, Option<u64>);

struct Call {
    rig: Rig,
    talkers: [Talker; 2],
    /// Highest number that each phone reports.
    highest: u32,
}

impl Call {
    /// Legs 1 and 2, latched; nobody hears anybody.
    fn apart() -> Self {
        Self::of([1, 2].map(setup))
    }

    fn of(legs: [LegSetup; 2]) -> Self {
        let mut rig = Rig::new();
        for setup in legs {
            let leg = setup.id.0;
            rig.create(LegSetup { one_way_after_ms: AFTER_MS, ..setup });
            rig.latch(leg);
        }
        Self { rig, talkers: [Talker::new(1), Talker::new(2)], highest: 0 }
    }

    /// The two have talked for three seconds.
    fn begin() -> Self {
        let mut call = Self::apart();
        call.rig.splice(1, 2);
        call.talk_s(3, &[1, 2]);
        assert_eq!(call.told(), []);
        call
    }

    /// Lets these phones talk.
    fn talk_s(&mut self, seconds: u32, legs: &[u64]) {
        for _ in 0..seconds * 50 {
            for leg in legs {
                let _ = self.talkers[*leg as usize - 1].talk(&mut self.rig, 7);
            }
            self.rig.pass_ms(20);
        }
    }

    /// A report of a leg's phone, of a share of our stream in 256ths.
    fn report(&mut self, leg: u64, lost: u8) {
        self.highest += 50;
        let ssrc = self.rig.info(leg).ssrc;
        let mut report = vec![0x81, 201, 0, 7];
        for word in [77, ssrc, u32::from(lost) << 24 | 5, self.highest, 80, 0, 0] {
            report.extend(word.to_be_bytes());
        }
        self.receive_rtcp(leg, &report);
    }

    /// A report of a leg's phone that hears nobody, in the form of a sender's or not.
    fn report_nothing(&mut self, leg: u64, sends: bool) {
        let mut report = if sends { vec![0x80, 200, 0, 6] } else { vec![0x80, 201, 0, 1] };
        report.extend([0, 0, 0, 77]);
        report.resize(if sends { 28 } else { 8 }, 0);
        self.receive_rtcp(leg, &report);
    }

    fn receive_rtcp(&mut self, leg: u64, report: &[u8]) {
        self.rig.receive_rtcp(leg, address(&format!("10.0.0.{}:4001", leg + 1)), report);
    }

    /// Seconds in which the second phone talks, and the first one reports that it hears it.
    fn only_reports_s(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.talk_s(1, &[2]);
            self.report(1, 0);
        }
    }

    fn told(&mut self) -> Vec<Told> {
        let events = self.rig.events.drain(..);
        let told = events.filter_map(|event| match event {
            EventBody::LegOneWay { leg, direction, unheard_ms } => Some((leg, direction, Some(unheard_ms))),
            EventBody::LegTwoWay { leg, direction } => Some((leg, direction, None)),
            _ => None,
        });
        told.collect()
    }

    /// The ways that were told as unheard, and no more than that.
    fn lost(&mut self) -> Vec<(String, AudioDirection)> {
        let told = self.told();
        assert!(told.iter().all(|told| told.2.is_some()), "{told:?}");
        told.into_iter().map(|(leg, direction, _)| (leg, direction)).collect()
    }
}

fn way(leg: u64, direction: AudioDirection) -> (String, AudioDirection) {
    (format!("leg-{leg}"), direction)
}

#[test]
fn by_02_a_phone_that_sends_reports_and_no_audio_is_told_once_and_once_again_when_it_is_heard() {
    let mut call = Call::begin();
    for _ in 0..10 {
        call.rig.pass_ms(1_000);
        call.report(1, 0);
    }
    let told = call.told();
    let [(leg, FromPeer, Some(unheard_ms))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(leg, "leg-1");
    assert!((5_000..=6_100).contains(unheard_ms), "{unheard_ms}");
    call.talk_s(2, &[1, 2]);
    assert_eq!(call.told(), [("leg-1".to_owned(), FromPeer, None)]);
    call.talk_s(20, &[1, 2]);
    assert_eq!(call.told(), []);
}

#[test]
fn by_02_a_single_packet_ends_it_whenever_it_comes_between_two_looks() {
    for late_ms in (0..1_000).step_by(90) {
        let mut call = Call::begin();
        update(&mut call.rig, 1, LegUpdate { one_way_after_ms: Some(1_000), ..LegUpdate::default() });
        call.talk_s(3, &[2]);
        assert_eq!(call.lost(), [way(1, FromPeer)]);
        call.rig.pass_ms(late_ms);
        let _ = call.talkers[0].talk(&mut call.rig, 7);
        call.rig.pass_ms(1_030);
        assert_eq!(call.told(), [("leg-1".to_owned(), FromPeer, None)], "{late_ms} ms later");
    }
}

#[test]
fn by_02_a_phone_that_sends_nothing_at_all_is_told_while_the_other_one_speaks() {
    let mut call = Call::begin();
    call.talk_s(4, &[2]);
    assert_eq!(call.told(), []);
    call.talk_s(10, &[2]);
    assert_eq!(call.lost(), [way(1, FromPeer)]);
    let mut call = Call::begin();
    call.rig.pass_ms(60_000);
    assert_eq!(call.told(), [], "nobody speaks, and nothing shows that anybody is there");
}

#[test]
fn by_02_a_phone_that_was_never_heard_in_a_conversation_is_told_too() {
    let mut call = Call::apart();
    call.rig.splice(1, 2);
    call.talk_s(6, &[2]);
    assert_eq!(call.lost(), [way(1, FromPeer)]);
}

#[test]
fn by_02_audio_that_cannot_be_heard_is_none() {
    let mut call = Call::begin();
    for _ in 0..6 * 50 {
        let mut packet = call.talkers[0].packet(7);
        packet[1] = 18;
        let _ = call.rig.receive(1, &packet);
        call.rig.pass_ms(20);
    }
    assert_eq!(call.lost(), [way(1, FromPeer)], "it speaks another encoding than was agreed");
}

#[test]
fn by_02_a_peer_who_reports_twice_that_all_is_lost_does_not_hear_until_it_reports_otherwise() {
    let mut call = Call::begin();
    for lost in [255, 255, 255] {
        call.report(1, lost);
        call.talk_s(5, &[1, 2]);
    }
    assert_eq!(call.lost(), [way(1, ToPeer)]);
    call.report(1, 0);
    assert_eq!(call.told(), [("leg-1".to_owned(), ToPeer, None)]);
}

#[test]
fn by_02_a_peer_whose_reports_say_nothing_of_our_stream_does_not_hear_it() {
    for sends in [true, false] {
        let mut call = Call::begin();
        call.report(1, 0);
        for _ in 0..2 {
            call.talk_s(5, &[1, 2]);
            assert_eq!(call.told(), []);
            call.report_nothing(1, sends);
        }
        assert_eq!(call.lost(), [way(1, ToPeer)], "{sends}");
    }
}

#[test]
fn by_02_a_peer_whose_reports_never_say_anything_of_any_stream_may_hear_all_the_same() {
    for sends in [true, false] {
        let mut call = Call::begin();
        for _ in 0..12 {
            call.talk_s(5, &[1, 2]);
            call.report_nothing(1, sends);
        }
        assert_eq!(call.told(), [], "{sends}");
        call.report(1, 255);
        call.talk_s(5, &[1, 2]);
        call.report_nothing(1, sends);
        assert_eq!(call.lost(), [way(1, ToPeer)], "it does tell of what it hears: {sends}");
    }
}

#[test]
fn by_02_a_peer_that_is_sent_nothing_has_nothing_to_report() {
    let mut call = Call::begin();
    call.report(1, 0);
    for _ in 0..4 {
        call.talk_s(1, &[1]);
        call.report_nothing(1, true);
    }
    assert_eq!(call.told(), []);
}

#[test]
fn by_02_nobody_is_missed_while_a_phone_rings_on_hold_or_during_a_prompt() {
    let mut call = Call::apart();
    for (a_hears_b, b_hears_a) in [(true, false), (false, true), (false, false)] {
        call.rig.gates(1, 2, a_hears_b, b_hears_a);
        call.only_reports_s(20);
        assert_eq!(call.told(), []);
    }
    call.rig.splice(1, 2);
    call.talk_s(1, &[1, 2]);
    for hearer in [1, 2] {
        call.rig.play(hearer, "hold", vec![prompt(Codec::Pcmu, vec![5; 8_000])], 0);
        call.only_reports_s(20);
        assert_eq!(call.told(), []);
        call.rig.done(|op| WorkerCommand::PlayStop { op, leg: LegId(hearer), play: None });
        call.talk_s(1, &[1, 2]);
    }
    call.rig.gates(1, 2, true, false);
    call.only_reports_s(20);
    call.rig.splice(1, 2);
    call.only_reports_s(4);
    assert_eq!(call.told(), [], "the time before does not count");
    call.only_reports_s(3);
    assert_eq!(call.lost(), [way(1, FromPeer)]);
}

#[test]
fn by_02_nobody_is_missed_who_is_parked_or_talks_to_nobody() {
    let mut call = Call::begin();
    call.talk_s(6, &[2]);
    assert_eq!(call.lost(), [way(1, FromPeer)]);
    call.rig.done(|op| WorkerCommand::Unsplice { op, leg: LegId(1), park: vec![LegId(1)] });
    for _ in 0..20 {
        call.rig.pass_ms(1_000);
        call.report(1, 0);
        call.report_nothing(2, true);
    }
    assert_eq!(call.told(), []);
    call.rig.splice(1, 2);
    call.talk_s(20, &[1, 2]);
    assert_eq!(call.told(), [], "the end of what was told went with the conversation");
}

#[test]
fn by_02_a_silence_that_is_announced_by_comfort_noise_is_not_missed_until_audio_came() {
    let mut call = Call::begin();
    let noise = |talker: &mut Talker| {
        let packet = rtp(13, talker.sequence, talker.timestamp, talker.ssrc, &[60]);
        talker.sequence = talker.sequence.wrapping_add(1);
        packet
    };
    let packet = noise(&mut call.talkers[0]);
    let _ = call.rig.receive(1, &packet);
    call.only_reports_s(60);
    assert_eq!(call.told(), []);
    call.talk_s(1, &[1, 2]);
    call.only_reports_s(7);
    assert_eq!(call.lost(), [way(1, FromPeer)]);
    let packet = noise(&mut call.talkers[0]);
    let _ = call.rig.receive(1, &packet);
    call.only_reports_s(20);
    assert_eq!(call.told(), [("leg-1".to_owned(), FromPeer, None)], "the way is open");
}

#[test]
fn by_02_opus_that_leaves_its_silence_out_is_heard() {
    let opus = media(Codec::Opus);
    let mut call = Call::of([1, 2].map(|leg| LegSetup { media: opus.clone(), ..setup(leg) }));
    for talker in &mut call.talkers {
        talker.payload_type = opus.payload_type;
    }
    call.rig.splice(1, 2);
    for _ in 0..150 {
        let _ = call.talkers[0].talk(&mut call.rig, 7);
        for _ in 0..20 {
            let _ = call.talkers[1].talk(&mut call.rig, 7);
            call.rig.pass_ms(20);
        }
        call.report(1, 0);
    }
    assert_eq!(call.told(), []);
}

#[test]
fn by_02_what_came_while_the_worker_was_stopped_is_read_before_anybody_is_missed() {
    let mut call = Call::begin();
    call.rig.now = call.rig.now.plus_ms(10_000);
    call.rig.pass_ms(200);
    call.talk_s(10, &[1, 2]);
    assert_eq!(call.told(), []);
}

#[test]
fn by_02_the_limit_is_changed_for_what_comes_after_and_0_is_never() {
    let mut call = Call::begin();
    let limit = |call: &mut Call, ms| {
        update(&mut call.rig, 1, LegUpdate { one_way_after_ms: Some(ms), ..LegUpdate::default() });
    };
    limit(&mut call, 0);
    for _ in 0..4 {
        call.talk_s(5, &[2]);
        call.report(1, 255);
    }
    assert_eq!(call.told(), []);
    limit(&mut call, 1_000);
    call.talk_s(2, &[2]);
    assert_eq!(call.lost(), [way(1, FromPeer)]);
}

#[test]
fn by_02_the_opinion_of_a_stream_that_is_missing_is_poor_until_it_comes_again() {
    let mut call = Call::begin();
    call.talk_s(17, &[1, 2]);
    let quality = |call: &mut Call| {
        let events = call.rig.events.drain(..);
        let told: Vec<bool> = events
            .filter_map(|event| match event {
                EventBody::LegQuality { leg, quality } if leg == "leg-1" => {
                    quality.recent_mos.map(|recent| recent < 3.6)
                }
                _ => None,
            })
            .collect();
        let recent = call.rig.info(1).quality.and_then(|quality| quality.recent_mos);
        (told, recent.expect("it was heard"))
    };
    let (told, recent_mos) = quality(&mut call);
    assert!(told.is_empty() && recent_mos > 4.4, "{told:?}, {recent_mos}");
    call.only_reports_s(25);
    let (told, recent_mos) = quality(&mut call);
    assert!(told == [true] && recent_mos < 1.2, "{told:?}, {recent_mos}");
    call.talk_s(40, &[1, 2]);
    let (told, recent_mos) = quality(&mut call);
    assert!(told == [false] && recent_mos > 4.4, "{told:?}, {recent_mos}");
}
