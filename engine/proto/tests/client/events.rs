//! Events and subscriptions: in order, once, and taken up again.

use offhook_proto::{Client, ClientEvent, Command, Error, ErrorCode, Reply, frame};

use crate::support::{MS, S, config, event, news, pong, query, sent, subscribed, subscriber};

#[test]
fn events_are_handed_over_in_order_and_once() {
    let mut client = subscriber();
    for seq in [2, 1, 1, 4, 2, 3, 5] {
        client.handle_datagram(MS, &frame::join("event", &event("a", seq)));
    }
    let seqs: Vec<u64> = news(&mut client)
        .into_iter()
        .map(|news| match news {
            ClientEvent::Event(event) => event.seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    assert_eq!(client.counters().events_dropped, 2);
}

#[test]
fn events_are_acknowledged_together_after_20_ms_or_at_once_after_16() {
    let mut client = subscriber();
    for seq in 1..=3 {
        client.handle_datagram(MS, &frame::join("event", &event("a", seq)));
    }
    assert_eq!(client.poll_timeout(), Some(21 * MS));
    assert_eq!(sent(&mut client), []);
    client.handle_timeout(21 * MS);
    assert_eq!(acknowledged(&mut client), [3]);
    for seq in 4..=19 {
        client.handle_datagram(22 * MS, &frame::join("event", &event("a", seq)));
    }
    assert_eq!(acknowledged(&mut client), [19]);
    client.handle_datagram(30 * MS, &frame::join("event", &event("a", 19)));
    client.handle_timeout(50 * MS);
    assert_eq!(acknowledged(&mut client), [19], "it came again, so the acknowledgement was lost");
}

fn acknowledged(client: &mut Client) -> Vec<u64> {
    sent(client)
        .into_iter()
        .map(|(_, request)| match request.command {
            Command::EventAck(ack) => ack.seq,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn an_event_of_an_unknown_kind_is_acknowledged_and_left_out() {
    let mut client = subscriber();
    let unknown = serde_json::json!({"instance": "a", "seq": 1, "at_ms": 0, "event": "leg.sang", "leg": "x"});
    client.handle_datagram(MS, &frame::join("event", &unknown));
    client.handle_datagram(MS, &frame::join("event", &event("a", 2)));
    assert_eq!(news(&mut client), [ClientEvent::Event(event("a", 2))]);
    assert_eq!(client.counters().events_unknown, 1);
}

#[test]
fn events_that_their_owner_has_no_room_for_are_left_to_be_sent_again() {
    let mut client = subscriber();
    client.hold_events(true);
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    client.handle_timeout(100 * MS);
    assert_eq!((news(&mut client), sent(&mut client)), (vec![], vec![]));
    client.hold_events(false);
    client.handle_datagram(200 * MS, &frame::join("event", &event("a", 1)));
    assert_eq!(news(&mut client), [ClientEvent::Event(event("a", 1))]);
}

#[test]
fn an_event_that_never_comes_is_given_up_after_ten_seconds_with_a_word() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 2)));
    for second in 1..=10 {
        client.handle_timeout(MS + second * S);
    }
    let news: Vec<_> =
        news(&mut client).into_iter().filter(|news| *news != ClientEvent::EngineSilent).collect();
    assert_eq!(news, [ClientEvent::EventsMissed, ClientEvent::Event(event("a", 2))]);
}

#[test]
fn a_subscription_begins_after_what_was_raised_before_it() {
    let mut client = Client::new(0, 1, config()).expect("it is sound");
    client.handle_timeout(0);
    client.handle_datagram(1, &frame::join("event", &event("a", 41)));
    client.handle_datagram(1, &frame::join("event", &event("a", 42)));
    let (cookie, _) = sent(&mut client)
        .into_iter()
        .find(|(_, request)| matches!(request.command, Command::Subscribe(_)))
        .expect("it subscribes at once");
    subscribed(&mut client, 2, &cookie, "a", 41);
    let up = ClientEvent::EngineUp { instance: "a".to_owned() };
    assert_eq!(news(&mut client), [up, ClientEvent::Event(event("a", 42))]);
    assert_eq!(acknowledged(&mut client), [42], "which covers those before it");
}

#[test]
fn another_instance_is_reported_and_subscribed_to_from_its_start() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    assert_eq!(news(&mut client).len(), 1);
    client.handle_timeout(S);
    let ping = sent(&mut client)
        .into_iter()
        .find(|(_, request)| request.command == Command::Ping)
        .expect("an idle client pings");
    pong(&mut client, S, &ping.0, "b");
    assert_eq!(
        news(&mut client),
        [ClientEvent::EngineRestarted { old: "a".to_owned(), new: "b".to_owned() }]
    );
    let (cookie, after) = subscription(&mut client);
    assert_eq!(after, None);
    subscribed(&mut client, S, &cookie, "b", 0);
    client.handle_datagram(S, &frame::join("event", &event("a", 2)));
    client.handle_datagram(S, &frame::join("event", &event("b", 1)));
    assert_eq!(
        news(&mut client),
        [ClientEvent::Event(event("b", 1))],
        "the old run's event was long under way"
    );
    assert_eq!(client.instance(), Some("b"));
}

#[test]
fn what_the_old_run_did_not_answer_is_not_asked_of_the_new_one() {
    let mut client = subscriber();
    let asked: Vec<_> = (0..2_000)
        .map(|leg| client.request(MS, query(&format!("leg-{leg}"))).expect("there is room"))
        .collect();
    let in_flight = sent(&mut client).len();
    assert!(in_flight < asked.len(), "some wait for a place in the window");
    client.handle_datagram(MS, &frame::join("event", &event("b", 1)));
    let news = news(&mut client);
    let restarted = ClientEvent::EngineRestarted { old: "a".to_owned(), new: "b".to_owned() };
    assert_eq!(news[0], restarted, "it is told first");
    for (news, asked) in news[1..].iter().zip(&asked) {
        let ClientEvent::Reply { id, result: Err(error) } = news else { panic!("{news:?}") };
        assert_eq!((id, error.code), (asked, ErrorCode::Timeout));
    }
    assert_eq!(news.len() - 1, asked.len(), "each has its end");
    client.request(MS, query("new")).expect("there is room");
    client.handle_timeout(S);
    let queries: Vec<_> = sent(&mut client)
        .into_iter()
        .map(|(_, request)| request.command)
        .filter(|command| matches!(command, Command::LegQuery(_)))
        .collect();
    assert!(!queries.is_empty() && queries.iter().all(|command| *command == query("new")), "{queries:?}");
}

fn subscription(client: &mut Client) -> (String, Option<u64>) {
    sent(client)
        .into_iter()
        .find_map(|(cookie, request)| match request.command {
            Command::Subscribe(body) => Some((cookie, body.after)),
            _ => None,
        })
        .expect("it subscribes")
}

#[test]
fn silence_is_reported_once_and_its_end_renews_the_subscription_where_it_stood() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    news(&mut client);
    let mut now = 0;
    while now < 8 * S {
        now = client.poll_timeout().expect("it watches the engine");
        client.handle_timeout(now);
    }
    assert_eq!(news(&mut client), [ClientEvent::EngineSilent]);
    let pings = sent(&mut client);
    let (cookie, _) =
        pings.iter().rev().find(|(_, request)| request.command == Command::Ping).expect("it goes on pinging");
    pong(&mut client, now, cookie, "a");
    assert_eq!(news(&mut client), [ClientEvent::EngineBack]);
    let (cookie, after) = subscription(&mut client);
    assert_eq!(after, Some(1));
    subscribed(&mut client, now, &cookie, "a", 0);
    assert_eq!(news(&mut client), [ClientEvent::EventsMissed], "the engine numbers anew");
    client.handle_datagram(now, &frame::join("event", &event("a", 1)));
    assert_eq!(news(&mut client), [ClientEvent::Event(event("a", 1))]);
}

#[test]
fn what_a_client_slept_through_is_not_the_engines_silence() {
    let mut client = subscriber();
    client.handle_datagram(MS, &frame::join("event", &event("a", 1)));
    news(&mut client);
    let mut now = 60 * S;
    client.handle_timeout(now);
    assert_eq!(news(&mut client), [], "it was stopped for a minute, and has not asked yet");
    assert!(sent(&mut client).iter().any(|(_, request)| request.command == Command::Ping));
    while now < 62 * S {
        now = client.poll_timeout().expect("it watches the engine");
        client.handle_timeout(now);
        assert!(now > 62 * S || news(&mut client).is_empty());
    }
    while now < 64 * S {
        now = client.poll_timeout().expect("it watches the engine");
        client.handle_timeout(now);
    }
    assert_eq!(news(&mut client), [ClientEvent::EngineSilent], "now it has been asked in vain");
}

#[test]
fn a_refused_subscription_is_reported_and_tried_again() {
    let mut client = Client::new(0, 1, config()).expect("it is sound");
    client.handle_timeout(0);
    let (cookie, _) = subscription(&mut client);
    let refusal = Error::new(ErrorCode::Busy, "too many subscribers");
    client.handle_datagram(0, &frame::join(&cookie, &Reply::Error(refusal.clone())));
    assert_eq!(news(&mut client), [ClientEvent::SubscribeRefused(refusal)]);
    client.handle_timeout(S);
    assert_eq!(subscription(&mut client).1, None);
}
