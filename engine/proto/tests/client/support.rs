//! A client, and what an engine says to it.

use offhook_proto::{
    Client, ClientEvent, Command, Config, Event, EventBody, LegQuery, Reply, Request, Subscribed, frame,
};

pub(crate) const MS: u64 = 1_000;
pub(crate) const S: u64 = 1_000_000;

pub(crate) fn config() -> Config {
    Config { controller: Some("north-1".to_owned()), lease_ms: Some(30_000), ..Config::default() }
}

pub(crate) fn one_shot() -> Client {
    Client::new(0, 1, Config::one_shot()).expect("the default is sound")
}

pub(crate) fn query(leg: &str) -> Command {
    Command::LegQuery(LegQuery { leg: leg.to_owned() })
}

pub(crate) fn sent(client: &mut Client) -> Vec<(String, Request)> {
    std::iter::from_fn(|| client.poll_transmit())
        .map(|datagram| {
            let (cookie, body) = frame::split(&datagram).expect("it has a cookie");
            (cookie.to_owned(), Request::parse(body).expect("a client writes sound requests"))
        })
        .collect()
}

pub(crate) fn news(client: &mut Client) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

pub(crate) fn pong(client: &mut Client, now: u64, cookie: &str, instance: &str) {
    let body = serde_json::json!({"result": "pong", "instance": instance});
    client.handle_datagram(now, &frame::join(cookie, &body));
}

pub(crate) fn subscribed(client: &mut Client, now: u64, cookie: &str, instance: &str, seq: u64) {
    let reply = Reply::ok(&Subscribed { instance: instance.to_owned(), seq });
    client.handle_datagram(now, &frame::join(cookie, &reply));
}

pub(crate) fn event(instance: &str, seq: u64) -> Event {
    let body = EventBody::LegAlive { leg: format!("leg-{seq}") };
    Event { instance: instance.to_owned(), seq, at_ms: 0, body }
}

/// A client that is subscribed to run `a` from event 1 on.
pub(crate) fn subscriber() -> Client {
    let mut client = Client::new(0, 1, config()).expect("it is sound");
    client.handle_timeout(0);
    for (cookie, request) in sent(&mut client) {
        match request.command {
            Command::Ping => pong(&mut client, 0, &cookie, "a"),
            Command::Subscribe(_) => subscribed(&mut client, 0, &cookie, "a", 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(news(&mut client), [ClientEvent::EngineUp { instance: "a".to_owned() }]);
    client
}
