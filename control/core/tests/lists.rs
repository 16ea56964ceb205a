//! Lists of contacts: imported, listed, put off, taken out, called once more.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, available_agent};
use offhook_control_core::api::{
    ApiError, ApiReply, ApiRequest, ContactBody, ContactFilter, DispositionBody,
};
use offhook_control_core::report::{Page, Report};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::{AgentStatus, ContactView};

fn body(number: &str) -> ContactBody {
    ContactBody {
        queue: "sales".into(),
        number: number.into(),
        list: Some("spring".into()),
        ..ContactBody::default()
    }
}

fn import(bench: &mut Bench, count: usize) {
    let bodies = (0..count).map(|place| body(&format!("+44{place:03}"))).collect();
    assert_eq!(bench.ask(ApiRequest::ImportContacts(bodies)), ApiReply::ContactsStored(count));
}

fn listed(bench: &mut Bench, filter: ContactFilter) -> Vec<ContactView> {
    let page = match bench.ask(ApiRequest::Contacts(filter)) {
        ApiReply::Cut { page, .. } => *page,
        whole => whole,
    };
    match page {
        ApiReply::Contacts(contacts) => contacts,
        other => panic!("{other:?}"),
    }
}

fn spring(bench: &mut Bench) -> Vec<ContactView> {
    listed(bench, ContactFilter { list: Some("spring".into()), ..ContactFilter::default() })
}

fn refused(bench: &mut Bench, request: ApiRequest) -> ApiError {
    match bench.ask(request) {
        ApiReply::Error(error) => error,
        other => panic!("{other:?}"),
    }
}

fn offered(bench: &mut Bench) -> String {
    bench.agent("ann").offer.expect("an offer").number
}

#[test]
fn pv_01_contacts_of_an_import_are_offered_in_their_order_also_after_a_restart() {
    let mut bench = Bench::new();
    import(&mut bench, 12);
    let mut bench = bench.restart();
    bench.add_agent("ann", false);
    for place in 0..12 {
        assert_eq!(offered(&mut bench), format!("+44{place:03}"));
        bench.ask(ApiRequest::Cancel("ann".into()));
    }
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
}

#[test]
fn an_import_with_faults_stores_nothing_and_names_each_row() {
    let mut bench = Bench::new();
    let nowhere = ContactBody { queue: "nowhere".into(), ..body("+44001") };
    let never = ContactBody { not_before: Some("tomorrow".into()), ..body("+44002") };
    let bodies = vec![body("+44000"), nowhere, body("no number"), never];
    let error = refused(&mut bench, ApiRequest::ImportContacts(bodies));
    assert_eq!(error.status, 400);
    for word in ["row 2: queue", "row 3: number", "row 4: not_before"] {
        assert!(error.message.contains(word), "{word} is not in {}", error.message);
    }
    assert!(!error.message.contains("row 1"));
    assert!(listed(&mut bench, ContactFilter::default()).is_empty());
    assert!(bench.facts().count() == Bench::new().facts().count(), "nothing is on record");
}

#[test]
fn a_list_is_shown_page_by_page_in_its_order() {
    let mut bench = Bench::new();
    import(&mut bench, 25);
    bench.ask(ApiRequest::AddContact(ContactBody { list: None, ..body("+44999") }));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let filter =
            ContactFilter { list: Some("spring".into()), after, limit: Some(10), ..ContactFilter::default() };
        let page = listed(&mut bench, filter);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.into_iter().map(|contact| contact.number));
    }
    let all: Vec<_> = (0..25).map(|place| format!("+44{place:03}")).collect();
    assert_eq!(seen, all);
    assert_eq!(listed(&mut bench, ContactFilter::default()).len(), 26);
    let ApiReply::Lists(lists) = bench.ask(ApiRequest::Lists) else { panic!("no lists") };
    let lists: Vec<_> = lists.into_iter().map(|list| (list.list, list.contacts)).collect();
    assert_eq!(lists, [(String::new(), 1), ("spring".to_owned(), 25)]);
    let none = ContactFilter { list: Some("autumn".into()), ..ContactFilter::default() };
    assert_eq!(refused(&mut bench, ApiRequest::Contacts(none)).status, 404);
}

#[test]
fn a_contact_that_is_taken_out_is_shown_to_nobody_and_deleted_in_the_reports() {
    let mut bench = Bench::new();
    import(&mut bench, 2);
    let first = spring(&mut bench)[0].id.clone();
    bench.ask(ApiRequest::RemoveContact(first.clone()));
    let check = |bench: &mut Bench| {
        assert_eq!(spring(bench)[0].state, "disabled");
        let queue = ApiRequest::Report { report: Report::QueueEvents, after: 0, limit: 10 };
        let ApiReply::Report(Page::Events(rows)) = bench.ask(queue) else { panic!("no rows") };
        let codes: Vec<_> = rows.iter().map(|(_, row)| row.result_code.as_str()).collect();
        assert_eq!(codes, ["q", "q", "d"]);
        let archive = ApiRequest::Report { report: Report::Archive, after: 0, limit: 10 };
        let ApiReply::Report(Page::Archive(rows)) = bench.ask(archive) else { panic!("no rows") };
        assert_eq!((rows.len(), rows[0].1.state.as_str()), (1, "deleted in queue"));
    };
    check(&mut bench);
    let mut bench = bench.restart();
    check(&mut bench);
    bench.add_agent("ann", false);
    assert_eq!(offered(&mut bench), "+44001");
    let second = spring(&mut bench)[1].id.clone();
    assert_eq!(refused(&mut bench, ApiRequest::RemoveContact(second)).status, 409, "an agent looks at it");
    assert_eq!(refused(&mut bench, ApiRequest::RemoveContact("none".into())).status, 404);
}

#[test]
fn a_contact_is_not_offered_before_its_time() {
    let mut bench = Bench::new();
    bench.ask(ApiRequest::AddContact(body("+44000")));
    // The bench begins a second after eight.
    assert_eq!(spring(&mut bench)[0].not_before, "2027-01-15T08:00:01.000Z");
    let later = "2027-01-15T09:00:00Z".to_owned();
    bench.pass_ms(1_000);
    bench.ask(ApiRequest::AddContact(ContactBody { not_before: Some(later.clone()), ..body("+44001") }));
    let mut bench = bench.restart();
    bench.add_agent("ann", false);
    assert_eq!(offered(&mut bench), "+44000");
    bench.ask(ApiRequest::Cancel("ann".into()));
    assert_eq!(bench.agent("ann").status, AgentStatus::Available);
    let waiting = spring(&mut bench)[1].clone();
    assert_eq!((waiting.state.as_str(), &waiting.not_before[..19]), ("queued", &later[..19]));
    bench.pass_ms(3_595_000);
    assert_eq!(spring(&mut bench)[1].state, "queued");
    bench.pass_ms(5_000);
    assert_eq!(spring(&mut bench)[1].state, "offered");
}

#[test]
fn a_disposition_can_have_the_number_called_once_more_at_a_time() {
    let mut bench = available_agent(false);
    bench.ask(ApiRequest::AddContact(body("+44000")));
    bench.ask(ApiRequest::Accept("ann".into()));
    let call = bench.customer();
    bench.answer(call);
    bench.pass_ms(5_000);
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
    let first = spring(&mut bench)[0].clone();
    let dispose = |again_at: &str| {
        let body = DispositionBody { disposition: "call later".into(), again_at: Some(again_at.into()) };
        ApiRequest::Dispose(first.id.clone(), body)
    };
    assert_eq!(refused(&mut bench, dispose("soon")).status, 400);
    assert_eq!(spring(&mut bench)[0].disposition, None);
    bench.ask(dispose("2200-01-01T00:00:00Z"));
    let contacts = spring(&mut bench);
    assert_eq!(contacts[0].disposition.as_deref(), Some("call later"));
    let again = &contacts[1];
    assert_eq!((again.number.as_str(), again.state.as_str()), ("+44000", "queued"));
    assert_eq!(again.not_before, "2200-01-01T00:00:00.000Z");
    assert_ne!(again.id, first.id);
}
