//! Requests: sent again, answered once, given up; and what is no answer at all.

use std::collections::BTreeSet;

use offhook_proto::client::Counters;
use offhook_proto::{Client, ClientEvent, Config, Error, ErrorCode, Reply, frame};

use crate::support::{MS, S, config, news, one_shot, query, sent, subscriber};

#[test]
fn a_request_is_sent_again_with_the_same_cookie_after_growing_pauses_and_then_given_up() {
    let mut client = one_shot();
    let id = client.request(0, query("a")).expect("it is sound");
    let mut times = Vec::new();
    let mut cookies = BTreeSet::new();
    let mut now = 0;
    loop {
        for (cookie, _) in sent(&mut client) {
            times.push(now / MS);
            cookies.insert(cookie);
        }
        if let Some(ClientEvent::Reply { id: ended, result }) = client.poll_event() {
            assert_eq!(
                (ended, result.expect_err("nobody answered").code, now),
                (id, ErrorCode::Timeout, 3 * S)
            );
            break;
        }
        now = client.poll_timeout().expect("the request has a deadline");
        client.handle_timeout(now);
    }
    assert_eq!(times, [0, 100, 300, 700, 1_500, 2_300]);
    assert_eq!(cookies.len(), 1);
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_reply_ends_its_request_once_and_late_ones_are_counted() {
    let mut client = one_shot();
    let id = client.request(0, query("a")).expect("it is sound");
    let (cookie, _) = sent(&mut client).remove(0);
    let refusal = Error::new(ErrorCode::LegNotFound, "no leg is called a");
    for _ in 0..2 {
        client.handle_datagram(5, &frame::join(&cookie, &Reply::Error(refusal.clone())));
    }
    assert_eq!(news(&mut client), [ClientEvent::Reply { id, result: Err(refusal) }]);
    assert_eq!((client.counters().stray, client.poll_timeout()), (1, None));
}

#[test]
fn clients_with_other_seeds_use_other_cookies_and_ignore_each_others_replies() {
    let mut clients = [1, 2].map(|seed| Client::new(0, seed, Config::one_shot()).expect("it is sound"));
    let cookies = clients.each_mut().map(|client| {
        client.request(0, query("a")).expect("it is sound");
        sent(client).remove(0).0
    });
    assert_ne!(cookies[0], cookies[1]);
    clients[0].handle_datagram(1, &frame::join(&cookies[1], &Reply::done()));
    assert_eq!((clients[0].poll_event(), clients[0].counters().stray), (None, 1));
}

#[test]
fn an_unsound_request_is_refused_before_it_is_sent() {
    let mut client = one_shot();
    assert_eq!(client.request(0, query("a b")).expect_err("a space").code, ErrorCode::BadValue);
    assert_eq!(client.poll_transmit(), None);
}

#[test]
fn a_window_of_requests_is_in_flight_the_rest_wait_and_beyond_a_limit_the_client_is_busy() {
    let mut client = one_shot();
    for n in 0..65_536 {
        client.request(0, query(&format!("leg-{n}"))).expect("there is room");
    }
    assert_eq!(client.request(0, query("a")).expect_err("it is full").code, ErrorCode::Busy);
    let first = sent(&mut client);
    assert_eq!(first.len(), 1_024);
    client.handle_datagram(1, &frame::join(&first[7].0, &Reply::done()));
    let next = sent(&mut client);
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].1.command, query("leg-1024"));
    assert_eq!(client.request(1, query("a")).expect_err("the reply was not polled").code, ErrorCode::Busy);
    assert_eq!(news(&mut client).len(), 1);
    assert!(client.request(1, query("a")).is_ok());
    client.handle_timeout(4 * S);
    assert_eq!(news(&mut client).len(), 65_536);
    assert_eq!((client.poll_timeout(), client.poll_transmit()), (None, None));
}

#[test]
fn garbage_is_counted_and_changes_nothing() {
    let mut client = subscriber();
    for garbage in
        [b"".as_slice(), b"x", b"event ", b"event {}", b"event {\"instance\":7}", b" {}", b"\xff {}"]
    {
        client.handle_datagram(MS, garbage);
    }
    assert_eq!(client.counters(), Counters { malformed: 7, ..Counters::default() });
    assert_eq!((news(&mut client), sent(&mut client)), (vec![], vec![]));
}

#[test]
fn a_reply_of_no_shape_ends_its_request_with_a_word() {
    let mut client = one_shot();
    client.request(0, query("a")).expect("it is sound");
    let (cookie, _) = sent(&mut client).remove(0);
    client.handle_datagram(1, format!("{cookie} {{\"command\":\"ping\"}}").as_bytes());
    let Some(ClientEvent::Reply { result: Err(error), .. }) = client.poll_event() else { panic!("no reply") };
    assert_eq!(error.code, ErrorCode::BadReply);
}

#[test]
fn a_configuration_out_of_range_is_refused() {
    let bad = [
        Config { timeout_us: 0, ..Config::default() },
        Config { timeout_us: 20 * S + 1, ..Config::default() },
        Config { controller: Some(String::new()), ..Config::default() },
        Config { lease_ms: Some(999), ..config() },
        Config { controller: None, ..config() },
    ];
    for config in bad {
        assert_eq!(Client::new(0, 1, config).expect_err("out of range").code, ErrorCode::BadValue);
    }
}
