//! Lists that are longer than an answer: page by page, nothing missed and nothing twice, or how much was left off.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent};
use offhook_control_core::CallId;
use offhook_control_core::api::{
    ApiReply, ApiRequest, CallbackFilter, CallbackQueues, ContactBody, ContactFilter, More, PageWish,
};
use offhook_control_core::limits::{HISTORY, LISTING};
use offhook_control_core::sip::SipEvent;
use serde_json::Value;

/// Ids on each page, until there is no next one.
fn pages(bench: &mut Bench, mut request: impl FnMut(Option<String>) -> ApiRequest) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let reply = bench.ask(request(after));
        assert_eq!(reply.status(), 200, "{}", reply.body());
        let Value::Array(views) = reply.body() else { panic!("no list") };
        let id =
            |view: &Value| [&view["id"], &view["_id"]].into_iter().find_map(Value::as_str).map(str::to_owned);
        pages.push(views.iter().map(|view| id(view).expect("an id")).collect());
        match reply {
            ApiReply::Cut { more: More::Next(id), .. } => after = Some(id),
            ApiReply::Cut { more, .. } => panic!("{more:?}"),
            _ => return pages,
        }
    }
}

/// Sizes of the pages, whose ids are in order and each there once.
fn sizes(pages: &[Vec<String>], key: impl Fn(&str) -> u128) -> Vec<usize> {
    assert!(pages.concat().is_sorted_by(|a, b| key(a) < key(b)), "{pages:?}");
    pages.iter().map(Vec::len).collect()
}

fn hex(id: &str) -> u128 {
    u128::from_str_radix(&id[..32], 16).expect("hexadecimal digits")
}

fn decimal(id: &str) -> u128 {
    id.parse().expect("a number")
}

#[test]
fn more_agents_than_one_answer_holds_come_over_two_pages() {
    let mut bench = Bench::new();
    for number in 0..=LISTING {
        bench.ask(ApiRequest::PutAgent(format!("a{number:05}").as_str().into(), agent(false, true)));
    }
    let found = pages(&mut bench, |after| ApiRequest::Agents(PageWish { after, limit: None }));
    assert_eq!(sizes(&found, |id| decimal(&id[1..])), [LISTING, 1]);
    for limit in [0, LISTING + 1] {
        let wish = PageWish { after: None, limit: Some(limit) };
        assert_eq!(bench.ask(ApiRequest::Agents(wish)).status(), 400, "{limit}");
    }
}

#[test]
fn calls_that_live_do_not_push_out_those_that_have_ended() {
    let mut bench = Bench::new();
    for number in 0..5 {
        let call = CallId(CallId::FIRST_INCOMING + number);
        bench.arrives(call, &format!("+3120{number}"), "100");
        bench.answer(call);
        if number % 2 == 0 {
            bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
        }
    }
    let list = |after| ApiRequest::Calls(PageWish { after, limit: Some(2) });
    assert_eq!(sizes(&pages(&mut bench, list), decimal), [2, 2, 1]);
    let wish = PageWish { after: Some("the last".into()), limit: None };
    assert_eq!(bench.ask(ApiRequest::Calls(wish)).status(), 400);
}

#[test]
fn cb_14_callbacks_come_page_by_page_also_those_of_a_number() {
    let mut bench = Bench::new();
    for number in 0..5 {
        bench.callback(&format!("+3120{number}"));
    }
    for _ in 0..2 {
        let id = bench.callback("+31209");
        bench.ask(ApiRequest::CancelCallback { service: "cb".into(), id });
    }
    for (number, expected) in [(None, vec![2, 2, 2, 1]), (Some("+31209"), vec![2]), (Some("+31201"), vec![1])]
    {
        let found = pages(&mut bench, |after| {
            let filter = CallbackFilter {
                customer_number: number.map(str::to_owned),
                after: after.map(|id| id.as_str().into()),
                limit: Some(2),
                ..CallbackFilter::default()
            };
            ApiRequest::QueryCallbacks { service: String::new(), filter }
        });
        assert_eq!(sizes(&found, hex), expected, "{number:?}");
    }
}

#[test]
fn cb_14_callbacks_by_queue_say_how_many_are_left_off() {
    let mut bench = Bench::new();
    for number in 0..3 {
        bench.callback(&format!("+3120{number}"));
    }
    let mut ask =
        |max| bench.ask(ApiRequest::CallbackQueues(CallbackQueues { max, ..CallbackQueues::default() }));
    assert!(matches!(ask(Some(1)), ApiReply::Cut { more: More::LeftOff(2), .. }));
    assert!(matches!(ask(Some(3)), ApiReply::CallbackQueues(_)));
    assert!(matches!(ask(None), ApiReply::CallbackQueues(_)));
}

#[test]
fn contacts_say_where_the_next_page_begins() {
    let mut bench = Bench::new();
    let body = |number: usize| ContactBody {
        queue: "sales".into(),
        number: format!("+44{number:05}"),
        ..ContactBody::default()
    };
    bench.ask(ApiRequest::ImportContacts((0..HISTORY).map(body).collect()));
    bench.ask(ApiRequest::AddContact(body(HISTORY)));
    let found = pages(&mut bench, |after| {
        ApiRequest::Contacts(ContactFilter {
            after: after.map(|id| id.as_str().into()),
            ..Default::default()
        })
    });
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [LISTING, 1]);
}
