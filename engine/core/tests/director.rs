//! The director with real workers: names, ports, moves, prompts, leases, and what repeats.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use offhook_engine_core::{EncodedPrompt, PortRange, Time};
use offhook_proto::{
    Codec, Command, EngineInfo, Error, ErrorCode, EventAck, EventBody, LegCreate, LegCreated, LegInfo,
    LegList, LegListRequest, LegState, LegUpdate, Listen, ListenStop, Media, Play, PlaySource, PlayStarted,
    Subscribe, Subscribed, Supervise, SuperviseMode, SuperviseStop, ToneName, frame,
};
use support::asking::{PORTS, code, create, delete, info, query, splice, unsplice, world};
use support::world::{Dice, World};

#[test]
fn a_leg_is_created_once_and_the_same_again_answers_alike() {
    let mut world = world();
    let first: LegCreated = world.call(create("a")).parse().expect("it is created");
    let again: LegCreated = world.call(create("a")).parse().expect("it is the same");
    assert_eq!(first, again);
    let other = LegCreate { leg: "a".into(), park: true, ..LegCreate::default() };
    assert_eq!(code(world.call(Command::LegCreate(other))), Some(ErrorCode::LegExists));
    assert_eq!(world.open.len(), 1);
    assert_eq!(code(world.call(delete("a"))), None);
    assert_eq!(code(world.call(delete("a"))), Some(ErrorCode::LegNotFound));
    assert!(world.open.is_empty());
}

#[test]
fn an_engine_that_hears_itself_or_another_one_does_not_answer() {
    let mut world = world();
    let (mut heard, mut answered) = (0, 0);
    world.datagram(b"x1 {\"command\":\"ping\"}");
    world.datagram(b"x2 {\"command\":\"jump\"}");
    let replies = std::mem::take(&mut world.replies);
    assert_eq!(replies.len(), 2);
    let event = br#"event {"instance":"test","seq":1,"at_ms":0,"event":"leg.alive","leg":"a"}"#.to_vec();
    for answer in replies.iter().map(|(cookie, reply)| frame::join(cookie, reply)).chain([event]) {
        heard += 1;
        world.answered.clear();
        world.datagram(&answer);
        world.datagram(&answer);
        answered += world.answered.len();
    }
    assert_eq!((heard, answered), (3, 0));
    let engine: EngineInfo = world.call(Command::Statistics).parse().expect("figures");
    assert_eq!(engine.requests_refused, 1 + 2 * 3);
}

#[test]
fn legs_go_where_there_are_fewest_or_where_they_are_sent() {
    let mut world = world();
    for leg in ["a", "b", "c", "d", "e", "f"] {
        world.call(create(leg));
    }
    let on = |world: &mut World, leg| info(world, leg).worker;
    assert_eq!(["a", "b", "c", "d", "e", "f"].map(|leg| on(&mut world, leg)), [0, 1, 2, 0, 1, 2]);
    let beside = LegCreate { leg: "g".into(), beside: Some("b".into()), ..LegCreate::default() };
    world.call(Command::LegCreate(beside));
    assert_eq!(on(&mut world, "g"), 1);
    let named = |worker| {
        Command::LegCreate(LegCreate { leg: "h".into(), worker: Some(worker), ..LegCreate::default() })
    };
    assert_eq!(code(world.call(named(3))), Some(ErrorCode::BadValue));
    assert_eq!(code(world.call(named(2))), None);
    assert_eq!(on(&mut world, "h"), 2);
}

#[test]
fn a_supervisor_moves_to_the_call_and_does_not_move_the_call() {
    let mut world = world();
    for leg in ["agent", "customer", "lead", "other"] {
        world.call(create(leg));
    }
    let supervise = |with: &str, mode| {
        let (leg, of, with) = ("lead".to_owned(), "agent".to_owned(), Some(with.to_owned()));
        Command::Supervise(Supervise { leg, of, with, mode })
    };
    let early = world.call(supervise("customer", SuperviseMode::Listen));
    assert_eq!(code(early), Some(ErrorCode::NotSpliced));
    world.call(splice("agent", "customer", false));
    let wrong = world.call(supervise("other", SuperviseMode::Listen));
    assert_eq!(code(wrong), Some(ErrorCode::NotSpliced), "the agent talks to somebody else");
    let gone = world.call(supervise("nobody", SuperviseMode::Listen));
    assert_eq!(code(gone), Some(ErrorCode::LegNotFound));
    let agent = info(&mut world, "agent").worker;
    for mode in [SuperviseMode::Listen, SuperviseMode::Barge, SuperviseMode::Barge] {
        assert_eq!(code(world.call(supervise("customer", mode))), None);
        let lead = info(&mut world, "lead");
        assert_eq!((lead.worker, lead.supervises.map(|of| of.mode)), (agent, Some(mode)));
    }
    assert_eq!(info(&mut world, "agent").supervised_by.as_deref(), Some("lead"));
    assert_eq!(code(world.call(splice("lead", "other", false))), Some(ErrorCode::AlreadySpliced));
    let stop = || Command::SuperviseStop(SuperviseStop { leg: "lead".into() });
    assert_eq!((code(world.call(stop())), code(world.call(stop()))), (None, None));
    assert_eq!(info(&mut world, "agent").supervised_by, None);
    assert_eq!(code(world.call(delete("lead"))), None);
}

#[test]
fn who_listens_moves_to_who_is_heard_also_when_that_is_another() {
    let mut world = world();
    for leg in ["one", "two", "ear"] {
        world.call(create(leg));
    }
    let listen = |of: &str| Command::Listen(Listen { leg: "ear".into(), of: of.into() });
    for of in ["one", "two", "two", "one"] {
        assert_eq!(code(world.call(listen(of))), None);
        let (ear, heard) = (info(&mut world, "ear"), info(&mut world, of));
        assert_eq!((ear.worker, ear.listens_to.as_deref()), (heard.worker, Some(of)));
    }
    assert_eq!(code(world.call(listen("nobody"))), Some(ErrorCode::LegNotFound));
    let stop = || Command::ListenStop(ListenStop { leg: "ear".into() });
    assert_eq!((code(world.call(stop())), code(world.call(stop()))), (None, None));
    assert_eq!(info(&mut world, "ear").listens_to, None);
}

#[test]
fn a_full_worker_takes_no_leg_and_others_do() {
    let mut world = World::with_room(2, 9, 2, PORTS);
    for leg in ["a", "b", "c"] {
        assert_eq!(code(world.call(create(leg))), None);
    }
    let on = |leg: &str, worker| {
        Command::LegCreate(LegCreate { leg: leg.into(), worker: Some(worker), ..LegCreate::default() })
    };
    assert_eq!(code(world.call(on("d", 0))), Some(ErrorCode::TooManyLegs));
    assert_eq!(
        code(world.call(splice("a", "b", false))),
        Some(ErrorCode::TooManyLegs),
        "b would have to move"
    );
    assert_eq!(code(world.call(splice("b", "a", false))), None, "a has room to move to");
    assert_eq!(code(world.call(on("d", 0))), None);
    assert_eq!(code(world.call(create("e"))), Some(ErrorCode::TooManyLegs));
    world.call(delete("a"));
    assert_eq!(code(world.call(create("e"))), None);
    assert_eq!(info(&mut world, "e").worker, 1);
}

#[test]
fn limits_are_told_as_what_they_are() {
    let mut world = World::new(1, 2, PORTS);
    world.call(create("a"));
    world.call(create("b"));
    assert_eq!(code(world.call(create("c"))), Some(ErrorCode::TooManyLegs));
    let mut world = World::new(1, 9, PortRange { first: 20_000, last: 20_003 });
    world.call(create("a"));
    world.call(create("b"));
    assert_eq!(code(world.call(create("c"))), Some(ErrorCode::OutOfPorts));
    world.call(delete("a"));
    assert_eq!(code(world.call(create("c"))), None);
}

#[test]
fn a_port_that_somebody_else_has_is_passed_over() {
    let mut world = World::new(1, 9, PortRange { first: 20_000, last: 20_019 });
    world.taken = (20_000..20_018).collect();
    let created: LegCreated = world.call(create("a")).parse().expect("one is free");
    assert_eq!(created.rtp.port(), 20_018);
    assert_eq!(code(world.call(create("b"))), Some(ErrorCode::OutOfPorts));
    let engine: EngineInfo = world.call(Command::Statistics).parse().expect("figures");
    assert_eq!((engine.legs, engine.ports_free, engine.workers[0].legs), (1, 9, 1));
}

#[test]
fn a_splice_across_workers_moves_the_second_leg() {
    let mut world = world();
    world.call(create("a"));
    world.call(create("b"));
    let before: LegInfo = info(&mut world, "b");
    assert_eq!(code(world.call(splice("a", "b", false))), None);
    let after = info(&mut world, "b");
    assert_eq!((after.worker, after.spliced_to.as_deref()), (0, Some("a")));
    assert_eq!((after.rtp, after.ssrc), (before.rtp, before.ssrc));
    let engine: EngineInfo = world.call(Command::Statistics).parse().expect("figures");
    assert_eq!(
        engine.workers.iter().map(|worker| (worker.legs, worker.splices)).collect::<Vec<_>>(),
        [(2, 1), (0, 0), (0, 0)]
    );
    world.call(create("c"));
    assert_eq!(code(world.call(splice("c", "b", false))), Some(ErrorCode::AlreadySpliced));
    assert_eq!(code(world.call(splice("c", "b", true))), None);
    assert_eq!(info(&mut world, "a").state, LegState::Idle);
    assert_eq!(code(world.call(unsplice("b"))), None);
    assert_eq!(code(world.call(unsplice("b"))), None);
}

#[test]
fn a_splice_that_cannot_be_is_refused_before_anything_moves() {
    let mut world = world();
    world.call(create("a"));
    let media = Media { codec: Codec::Opus, payload_type: 111, ..Media::default() };
    world.call(Command::LegCreate(LegCreate { leg: "b".into(), media, ..LegCreate::default() }));
    assert_eq!(code(world.call(splice("a", "x", true))), Some(ErrorCode::LegNotFound));
    assert_eq!(info(&mut world, "b").worker, 1);
    let change = LegUpdate { leg: "b".into(), media: Some(Media::default()), ..LegUpdate::default() };
    world.call(Command::LegUpdate(change));
    assert_eq!(code(world.call(splice("a", "b", true))), None);
}

#[test]
fn a_repeated_cookie_is_answered_again_and_not_executed_again() {
    let mut world = world();
    let request = br#"k1 {"command":"leg.create","leg":"a"}"#;
    world.datagram(request);
    world.datagram(request);
    world.settle(&mut Dice(5));
    assert_eq!(world.answered["k1"], 1, "a repeat is not answered before the first");
    let first = world.replies["k1"].clone();
    world.call(delete("a"));
    world.datagram(request);
    assert_eq!((world.answered["k1"], world.replies["k1"].clone()), (2, first));
    assert_eq!(code(world.call(query("a"))), Some(ErrorCode::LegNotFound));
    let engine: EngineInfo = world.call(Command::Ping).parse().expect("figures");
    assert_eq!(engine.requests_repeated, 2);
}

#[test]
fn bad_datagrams_are_answered_clearly_or_counted() {
    let mut world = world();
    for (datagram, expected) in [
        (&b"x1 {\"command\":\"leg.create\"}"[..], ErrorCode::BadValue),
        (b"x2 {\"command\":\"fly\"}", ErrorCode::BadRequest),
        (b"x3 not json", ErrorCode::BadRequest),
        (b"x4 ", ErrorCode::BadRequest),
    ] {
        world.datagram(datagram);
        let cookie = std::str::from_utf8(&datagram[..2]).expect("it is text");
        assert_eq!(code(world.replies[cookie].clone()), Some(expected), "{cookie}");
    }
    world.datagram(b"\xFF\xFE");
    world.datagram(b"");
    let engine: EngineInfo = world.call(Command::Ping).parse().expect("figures");
    assert_eq!(engine.requests_refused, 6);
}

#[test]
fn names_are_listed_in_pages_and_by_owner() {
    let mut world = World::new(1, 1_000, PortRange { first: 20_000, last: 21_000 });
    for leg in 0..300 {
        let owner = if leg % 3 == 0 { Some("south") } else { Some("north") };
        world.ask_as(owner, create(&format!("leg-{leg:03}")));
    }
    world.settle(&mut Dice(9));
    let list = |world: &mut World, after: Option<&str>, owner: Option<&str>| {
        let request =
            LegListRequest { after: after.map(Into::into), owner: owner.map(Into::into), limit: None };
        world.call(Command::LegList(request)).parse::<LegList>().expect("a list")
    };
    let first = list(&mut world, None, None);
    assert_eq!((first.legs.len(), first.more, first.total), (200, true, 300));
    let rest = list(&mut world, first.legs.last().map(String::as_str), None);
    assert_eq!((rest.legs.len(), rest.more, rest.legs[0].as_str()), (100, false, "leg-200"));
    assert_eq!(list(&mut world, None, Some("south")).legs.len(), 100);
}

#[test]
fn a_play_waits_for_its_files_and_keeps_the_order_of_its_sources() {
    let mut world = world();
    world.call(create("a"));
    let file = |name: &str| PlaySource::File(name.into());
    let sources = vec![file("x.wav"), PlaySource::SilenceMs(40), file("y.wav"), PlaySource::Dtmf("1".into())];
    let play = Command::Play(Play { play: "p".into(), ..Play::new("a", sources) });
    let playing = world.ask(play);
    let asked = world.ask(query("a"));
    world.settle(&mut Dice(3));
    assert!(!world.replies.contains_key(&asked), "what comes later waits");
    let loads: Vec<_> = world.loads.drain(..).collect();
    assert_eq!(loads.iter().map(|(_, file)| file.as_str()).collect::<Vec<_>>(), ["x.wav", "y.wav"]);
    for (prompt, file) in loads.iter().rev() {
        let length = if file == "x.wav" { 160 } else { 1_600 };
        let prompt_of = EncodedPrompt::new(Codec::Pcmu, vec![1; length]);
        world.director.handle_prompt(world.now, *prompt, Ok(Arc::new(prompt_of)));
        world.collect();
    }
    world.settle(&mut Dice(3));
    let started: PlayStarted = world.replies[&playing].clone().parse().expect("it plays");
    assert_eq!(started, PlayStarted { play: "p".into(), duration_ms: Some(20 + 40 + 200 + 200) });
    let shown: LegInfo = world.replies[&asked].clone().parse().expect("the leg is there");
    assert_eq!(shown.playing.as_deref(), Some("p"));
}

#[test]
fn a_file_that_cannot_be_played_refuses_the_play() {
    let mut world = world();
    world.call(create("a"));
    let sources = vec![PlaySource::File("x.wav".into()), PlaySource::File("y.wav".into())];
    let playing = world.ask(Command::Play(Play::new("a", sources)));
    for (prompt, _) in world.loads.drain(..).collect::<Vec<_>>() {
        let error = Error::new(ErrorCode::BadPrompt, "x.wav: no such file");
        world.director.handle_prompt(world.now, prompt, Err(error));
        world.collect();
    }
    assert_eq!(code(world.replies[&playing].clone()), Some(ErrorCode::BadPrompt));
    assert_eq!(info(&mut world, "a").playing, None);
    let tone = PlaySource::Tone { name: ToneName::Ringback, country: Some("de".into()) };
    let play = Play { play: "t".into(), ..Play::new("a", vec![tone]) };
    let started: PlayStarted = world.call(Command::Play(play)).parse().expect("it plays");
    assert_eq!(started.duration_ms, None);
}

#[test]
fn a_controller_that_falls_silent_loses_its_legs_and_all_are_told() {
    let mut world = world();
    let subscribe = |lease_ms| Command::Subscribe(Subscribe { lease_ms, ..Subscribe::default() });
    world.ask_as(Some("north"), subscribe(2_000));
    world.ask_as(Some("south"), subscribe(0));
    world.ask_as(Some("north"), create("a"));
    world.ask_as(Some("south"), create("b"));
    world.ask_as(None, create("c"));
    world.settle(&mut Dice(1));
    world.pass_ms(1_999);
    assert!(world.events.is_empty());
    world.pass_ms(1);
    let expired: Vec<_> = world.events.drain(..).map(|event| event.body).collect();
    let told = EventBody::LeaseExpired { controller: "north".into(), legs: 1 };
    assert_eq!(expired, [told.clone(), told]);
    world.ask_as(Some("south"), Command::EventAck(EventAck { seq: 1 }));
    world.pass_ms(2_500);
    let released = |world: &World| {
        world
            .events
            .iter()
            .any(|event| matches!(&event.body, EventBody::LegReleased { leg, .. } if leg == "a"))
    };
    assert!(released(&world));
    assert_eq!(code(world.call(query("a"))), Some(ErrorCode::LegNotFound));
    assert!(code(world.call(query("b"))).is_none() && code(world.call(query("c"))).is_none());
}

#[test]
fn a_controller_that_is_heard_in_time_keeps_its_legs() {
    let mut world = world();
    world.call(Command::Subscribe(Subscribe { lease_ms: 1_000, ..Subscribe::default() }));
    world.call(create("a"));
    for _ in 0..10 {
        world.pass_ms(1_500);
        world.call(Command::Ping);
    }
    assert_eq!(code(world.call(query("a"))), None);
}

#[test]
fn a_subscription_is_continued_or_begun_anew() {
    let mut world = world();
    let subscribe = |after| Command::Subscribe(Subscribe { lease_ms: 1_000, after, ..Subscribe::default() });
    let begun: Subscribed = world.call(subscribe(None)).parse().expect("it is taken");
    assert_eq!((begun.instance.as_str(), begun.seq), ("test", 0));
    world.pass_ms(1_100);
    assert_eq!(world.events.drain(..).map(|event| event.seq).collect::<BTreeSet<_>>(), BTreeSet::from([1]));
    let renewed: Subscribed = world.call(subscribe(Some(1))).parse().expect("it is taken");
    assert_eq!(renewed.seq, 1);
    world.pass_ms(900);
    assert!(world.events.is_empty(), "it was acknowledged");
    let elsewhere =
        Subscribe { address: Some("10.0.0.9:1".parse().expect("literal")), ..Subscribe::default() };
    assert_eq!(code(world.call(Command::Subscribe(elsewhere))), Some(ErrorCode::BadValue));
    assert!(code(world.call(Command::Unsubscribe)).is_none());
    assert!(code(world.call(Command::EventAck(EventAck { seq: 9 }))).is_some());
}

#[test]
fn a_shutdown_says_goodbye_for_every_leg_and_takes_no_more() {
    let mut world = World::new(3, 1_000, PortRange { first: 20_000, last: 22_000 });
    for leg in 0..600 {
        let remote =
            Some(offhook_proto::Remote { rtp: "10.0.0.1:4000".parse().expect("literal"), rtcp: None });
        world.ask(Command::LegCreate(LegCreate {
            leg: format!("leg-{leg}"),
            remote,
            ..LegCreate::default()
        }));
    }
    world.settle(&mut Dice(77));
    let opening = world.ask(create("last"));
    world.director.handle_shutdown(world.now);
    world.collect();
    world.settle(&mut Dice(78));
    world.pass_ms(1_000);
    assert_eq!((world.director.legs(), world.open.len(), world.goodbyes), (0, 0, 600));
    assert!(world.replies.contains_key(&opening));
    assert_eq!(code(world.call(create("x"))), Some(ErrorCode::Busy));
}

#[test]
fn time_stands_still_unless_something_is_due() {
    assert_eq!(world().director.poll_timeout(), None);
    assert_eq!(world().now, Time(0));
}
