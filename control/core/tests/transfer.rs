//! Customers passed on to an agent, a number or a queue, by behaviour id.

#[allow(dead_code, reason = "each test file uses its own part")]
mod bench;

use bench::{Bench, agent};
use offhook_control_core::api::{
    ApiReply, ApiRequest, PageWish, StatusBody, TransferBody, TransferMode, WantedStatus,
};
use offhook_control_core::config::{Config, QueueConfig};
use offhook_control_core::record::{Destination, Fact};
use offhook_control_core::report::{EventRow, Page, Report};
use offhook_control_core::sip::SipEvent;
use offhook_control_core::view::{AgentStatus, Notification};
use offhook_control_core::{AgentId, CallId};
use offhook_proto::Command;

/// Ann with a customer; Bob is available, and clicks or not.
fn ann_and_bob(bob_auto_accept: bool) -> (Bench, CallId) {
    let mut bench = Bench::new();
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let customer = bench.customer();
    bench.answer(customer);
    bench.add_agent("bob", bob_auto_accept);
    (bench, customer)
}

fn transfer(bench: &mut Bench, to: Destination, mode: TransferMode) -> ApiReply {
    bench.ask(ApiRequest::Transfer("ann".into(), TransferBody { to, mode }))
}

fn to_bob(bench: &mut Bench, mode: TransferMode) {
    let reply = transfer(bench, Destination::Agent("bob".into()), mode);
    assert!(matches!(reply, ApiReply::Agent(..)), "{reply:?}");
}

/// Whom the last splice of an agent's leg joined it with; none when it was parked since.
fn joined(bench: &Bench, leg: &str) -> Option<String> {
    bench.engine.iter().rev().find_map(|command| match command {
        Command::Splice(splice) if splice.a == leg && splice.b_hears_a => Some(Some(splice.b.clone())),
        Command::Unsplice(unsplice) if unsplice.leg == leg => Some(None),
        Command::LegPark(park) if park.leg == leg => Some(None),
        _ => None,
    })?
}

fn hang_up(bench: &mut Bench, call: CallId) {
    bench.sip(call, SipEvent::Ended { by_peer: true, reason: String::new() });
}

fn call_events(bench: &mut Bench) -> Vec<EventRow> {
    let request = ApiRequest::Report { report: Report::CallEvents, after: 0, limit: 100 };
    match bench.ask(request) {
        ApiReply::Report(Page::Events(rows)) => rows.into_iter().map(|(_, row)| row).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pv_07_a_blind_transfer_joins_the_customer_with_the_other_agent_and_frees_the_first() {
    let (mut bench, customer) = ann_and_bob(true);
    let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
    assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")));
    to_bob(&mut bench, TransferMode::Blind);
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (None, Some(format!("c-{customer}"))));
    assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp);
    assert_eq!(bench.agent("bob").status, AgentStatus::OnCall);
    assert_eq!(bench.dials_to_trunk(), 1, "nobody is dialled again");
}

#[test]
fn pv_07_an_agent_on_demand_keeps_the_phone_while_they_speak_about_a_transfer() {
    for completes in [true, false] {
        let mut bench = Bench::new();
        bench.add_agent_on_demand("ann");
        bench.callback("+31201");
        let phone = bench.dialled("ann");
        bench.answer(phone);
        let customer = bench.customer();
        bench.answer(customer);
        bench.add_agent("bob", true);
        let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
        to_bob(&mut bench, TransferMode::Attended);
        assert!(!bench.is_hung_up(phone));
        assert_eq!(joined(&bench, &ann), Some(bob.clone()));
        if completes {
            bench.ask(ApiRequest::CompleteTransfer("ann".into()));
            assert_eq!(joined(&bench, &bob), Some(format!("c-{customer}")));
        } else {
            bench.ask(ApiRequest::CancelTransfer("ann".into()));
            assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")));
            assert!(!bench.is_hung_up(phone));
            hang_up(&mut bench, customer);
        }
        assert!(bench.is_hung_up(phone), "the call on demand is over");
    }
}

#[test]
fn pv_07_the_new_agents_event_has_the_same_session_and_ciq_a_and_the_contacts_has_c() {
    let (mut bench, customer) = ann_and_bob(true);
    bench.pass_ms(5_000);
    to_bob(&mut bench, TransferMode::Blind);
    bench.pass_ms(7_000);
    hang_up(&mut bench, customer);
    let rows = call_events(&mut bench);
    let shown: Vec<_> =
        rows.iter().map(|row| (row.call_sequence, row.ciq.as_str(), row.duration_speak_sec)).collect();
    assert_eq!(shown, [(2, "a", 5), (3, "c", 12), (4, "a", 7)]);
    assert!(rows.iter().all(|row| row.internal_iq_session_id == customer.to_string()));
    assert!(rows.iter().all(|row| row.call_id == rows[0].call_id && row.result_code == "k"));
}

#[test]
fn pv_07_the_other_agent_is_asked_first_and_whoever_refuses_gives_the_customer_back() {
    let (mut bench, customer) = ann_and_bob(false);
    let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
    to_bob(&mut bench, TransferMode::Blind);
    assert_eq!(bench.agent("bob").status, AgentStatus::Offered);
    assert_eq!(joined(&bench, &bob), None);
    bench.ask(ApiRequest::Reject("bob".into()));
    bench.pass_ms(2_000);
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (Some(format!("c-{customer}")), None));
    assert_eq!(bench.agent("bob").status, AgentStatus::Available);
}

#[test]
fn pv_07_an_offer_that_nobody_reacts_to_brings_the_customer_back() {
    let (mut bench, customer) = ann_and_bob(false);
    let ann = bench.agent_leg("ann");
    to_bob(&mut bench, TransferMode::Blind);
    bench.pass_ms(17_000);
    assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")));
    assert_eq!(bench.agent("bob").status, AgentStatus::Refused);
}

#[test]
fn pv_07_an_agent_who_is_not_available_is_refused_and_nothing_changes() {
    let (mut bench, customer) = ann_and_bob(true);
    let ann = bench.agent_leg("ann");
    bench.ask(ApiRequest::PutAgent("cat".into(), agent(false, true)));
    let cases = [
        (Destination::Agent("cat".into()), 409),
        (Destination::Agent("ann".into()), 400),
        (Destination::Agent("nobody".into()), 404),
        (Destination::Number("no number".into()), 400),
        (Destination::Queue("nowhere".into()), 400),
    ];
    for (to, status) in cases {
        let ApiReply::Error(error) = transfer(&mut bench, to.clone(), TransferMode::Blind) else {
            panic!("{to:?} is taken")
        };
        assert_eq!(error.status, status, "{to:?}");
    }
    assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")));
    assert!(!bench.facts().any(|fact| matches!(fact, Fact::Transferred { .. })));
}

#[test]
fn pv_07_a_number_is_called_and_joined_and_its_hanging_up_ends_the_call() {
    let (mut bench, customer) = ann_and_bob(true);
    transfer(&mut bench, Destination::Number("+44700".into()), TransferMode::Blind);
    let number = bench.customer();
    assert_ne!(number, customer);
    let ann = bench.agent_leg("ann");
    assert_eq!(joined(&bench, &ann), None);
    bench.answer(number);
    let spliced = bench.last_splice();
    let (guest, partner) = spliced.expect("a splice");
    assert!(guest.ends_with(&format!("-{number}")), "{guest}");
    assert_eq!(partner, format!("c-{customer}"));
    assert!(bench.played(number).is_empty(), "the number hears no announcement of ours");
    hang_up(&mut bench, number);
    assert!(bench.is_hung_up(customer));
    bench.sip(customer, SipEvent::Ended { by_peer: false, reason: String::new() });
    let rows = call_events(&mut bench);
    assert_eq!(rows.iter().map(|row| row.ciq.as_str()).collect::<Vec<_>>(), ["a", "c", "e"]);
    let ApiReply::Agents(agents) = bench.ask(ApiRequest::Agents(PageWish::default())) else {
        panic!("no list")
    };
    assert_eq!(agents.len(), 2, "a number is no agent");
    assert!(bench.facts().any(|fact| matches!(fact, Fact::AgentRemoved { .. })), "and is forgotten");
}

#[test]
fn pv_07_a_number_that_is_busy_brings_the_customer_back_at_once() {
    let (mut bench, customer) = ann_and_bob(true);
    let ann = bench.agent_leg("ann");
    transfer(&mut bench, Destination::Number("+44700".into()), TransferMode::Blind);
    let number = bench.customer();
    bench.sip(number, SipEvent::Failed { status: 486, reason: String::new(), network: false, cause: None });
    bench.pass_ms(2_000);
    assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")));
    assert_eq!(bench.dials_to_trunk(), 2, "the number is not called again");
}

#[test]
fn pv_07_a_queue_gives_the_customer_to_the_next_agent_in_the_place_of_their_arrival() {
    let (mut bench, customer) = ann_and_bob(false);
    bench.callback("+31999");
    assert_eq!(bench.agent("bob").status, AgentStatus::Offered, "the newer one is offered already");
    bench.ask(ApiRequest::Reject("bob".into()));
    transfer(&mut bench, Destination::Queue("sales".into()), TransferMode::Blind);
    let offer = bench.agent("bob").offer.expect("an offer");
    assert_eq!(offer.number, "+31201", "the older arrival");
    bench.ask(ApiRequest::Accept("bob".into()));
    let bob = bench.agent_leg("bob");
    assert_eq!(joined(&bench, &bob), Some(format!("c-{customer}")));
}

#[test]
fn by_10_a_customer_passed_on_to_a_queue_has_the_same_place_there_after_a_restart() {
    let queues = |vip: i32| {
        move |config: &mut Config| {
            config.queues[0].priority = 3;
            let (name, skill) = ("vip".into(), Some("sales".into()));
            config.queues.push(QueueConfig { name, skill, priority: vip, ..QueueConfig::default() });
        }
    };
    let mut bench = Bench::with(queues(7));
    bench.add_agent("ann", true);
    bench.callback("+31201");
    let customer = bench.customer();
    bench.answer(customer);
    let caller = CallId(CallId::FIRST_INCOMING + 1);
    bench.arrives(caller, "+31202", "100");
    bench.answer(caller);
    bench.keep_dialogs([customer, caller]);
    transfer(&mut bench, Destination::Queue("vip".into()), TransferMode::Blind);
    // Another priority is for those who come from now on.
    let mut bench = bench.restart_with(queues(1));
    bench.restored([caller, customer]);
    bench.add_agent("bob", true);
    bench.pass_ms(2_000);
    let bob = bench.agent_leg("bob");
    assert_eq!(joined(&bench, &bob), Some(format!("c-{customer}")));
}

#[test]
fn pv_07_attended_the_agents_speak_first_and_the_customer_hears_neither() {
    let (mut bench, customer) = ann_and_bob(true);
    let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
    to_bob(&mut bench, TransferMode::Attended);
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (Some(bob.clone()), None));
    assert!(!bench.played(customer).is_empty(), "the customer hears an announcement");
    bench.ask(ApiRequest::CompleteTransfer("ann".into()));
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (None, Some(format!("c-{customer}"))));
    assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp);
    hang_up(&mut bench, customer);
    assert_eq!(call_events(&mut bench).len(), 3);
}

#[test]
fn pv_07_attended_the_agent_can_take_the_customer_back() {
    let (mut bench, customer) = ann_and_bob(true);
    let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
    to_bob(&mut bench, TransferMode::Attended);
    bench.ask(ApiRequest::CancelTransfer("ann".into()));
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (Some(format!("c-{customer}")), None));
    assert_eq!(bench.agent("bob").status, AgentStatus::Available);
    assert!(!bench.facts().any(|fact| matches!(fact, Fact::Transferred { .. })));
}

#[test]
fn pv_07_attended_whoever_hangs_up_leaves_the_customer_with_the_other() {
    for (who, left) in [("ann", "bob"), ("bob", "ann")] {
        let (mut bench, customer) = ann_and_bob(true);
        to_bob(&mut bench, TransferMode::Attended);
        let (gone, leg) = (bench.dialled(who), bench.agent_leg(left));
        hang_up(&mut bench, gone);
        assert_eq!(joined(&bench, &leg), Some(format!("c-{customer}")), "{who} hung up");
    }
}

#[test]
fn pv_07_attended_a_customer_who_hangs_up_frees_both() {
    let (mut bench, customer) = ann_and_bob(true);
    to_bob(&mut bench, TransferMode::Attended);
    hang_up(&mut bench, customer);
    let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (None, None));
    assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp);
    assert_eq!(bench.agent("bob").status, AgentStatus::Available);
}

#[test]
fn pv_07_attended_a_number_answers_before_the_transfer_can_be_completed() {
    let (mut bench, customer) = ann_and_bob(true);
    transfer(&mut bench, Destination::Number("+44700".into()), TransferMode::Attended);
    let ApiReply::Error(error) = bench.ask(ApiRequest::CompleteTransfer("ann".into())) else {
        panic!("nobody has answered")
    };
    assert_eq!(error.code, "not_answered");
    let number = bench.customer();
    bench.answer(number);
    let ann = bench.agent_leg("ann");
    assert!(joined(&bench, &ann).is_some_and(|leg| leg.ends_with(&format!("-{number}"))));
    bench.ask(ApiRequest::CompleteTransfer("ann".into()));
    let last = bench.last_splice().map(|(_, b)| b);
    assert_eq!(last, Some(format!("c-{customer}")));
    assert_eq!(bench.agent("ann").status, AgentStatus::WrapUp);
    assert!(AgentId::from(".g1").is_guest() && !AgentId::from("ann").is_guest());
}

#[test]
fn pv_07_pm_12_attended_an_agent_who_has_to_click_is_asked_before_anybody_is_heard() {
    let (mut bench, customer) = ann_and_bob(false);
    let (ann, bob) = (bench.agent_leg("ann"), bench.agent_leg("bob"));
    to_bob(&mut bench, TransferMode::Attended);
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (None, None));
    let shown = bench.agent("bob");
    assert_eq!(shown.status, AgentStatus::Offered);
    assert_eq!(shown.offer.expect("an offer").number, "+31201");
    let ApiReply::Error(error) = bench.ask(ApiRequest::CompleteTransfer("ann".into())) else {
        panic!("nobody has accepted")
    };
    assert_eq!(error.code, "not_answered");
    bench.ask(ApiRequest::Accept("bob".into()));
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (Some(bob.clone()), None));
    assert_eq!(bench.agent("bob").status, AgentStatus::OnCall);
    bench.ask(ApiRequest::CompleteTransfer("ann".into()));
    assert_eq!((joined(&bench, &ann), joined(&bench, &bob)), (None, Some(format!("c-{customer}"))));
}

/// States of the offers to an agent, in their order.
fn offers(bench: &Bench, agent: &str) -> Vec<String> {
    let of_agent = bench.notes.iter().filter_map(|note| match note {
        Notification::Offer(offer) if offer.agent == agent.into() => Some(offer.state.clone()),
        _ => None,
    });
    of_agent.collect()
}

#[test]
fn pv_07_pm_12_attended_whoever_is_asked_and_does_not_come_gives_the_customer_back() {
    type Case = (fn(&mut Bench), &'static str, AgentStatus);
    let cases: [Case; 7] = [
        (|bench| drop(bench.ask(ApiRequest::Reject("bob".into()))), "rejected", AgentStatus::Available),
        (|bench| drop(bench.ask(ApiRequest::Cancel("bob".into()))), "cancelled", AgentStatus::Available),
        (|bench| bench.pass_ms(15_000), "timed_out", AgentStatus::Refused),
        (
            |bench| {
                let status = StatusBody { status: WantedStatus::OnBreak };
                bench.ask(ApiRequest::SetStatus("bob".into(), status));
            },
            "rejected",
            AgentStatus::OnBreak,
        ),
        (|bench| drop(bench.ask(ApiRequest::Logout("bob".into()))), "withdrawn", AgentStatus::LoggedOut),
        (
            |bench| {
                let bob = bench.dialled("bob");
                hang_up(bench, bob);
            },
            "withdrawn",
            AgentStatus::PersistentCallOffered,
        ),
        (
            |bench| drop(bench.ask(ApiRequest::CancelTransfer("ann".into()))),
            "withdrawn",
            AgentStatus::Available,
        ),
    ];
    for (which, (refuse, state, status)) in cases.into_iter().enumerate() {
        let (mut bench, customer) = ann_and_bob(false);
        let ann = bench.agent_leg("ann");
        to_bob(&mut bench, TransferMode::Attended);
        refuse(&mut bench);
        assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")), "{which}");
        assert_eq!(bench.agent("ann").status, AgentStatus::OnCall, "{which}");
        assert_eq!(bench.agent("bob").status, status, "{which}");
        assert_eq!(offers(&bench, "bob"), ["offered", state], "{which}");
    }
}

#[test]
fn pv_07_pm_12_attended_who_is_asked_gets_no_customer_whose_agent_is_lost_meanwhile() {
    let (mut bench, customer) = ann_and_bob(false);
    let bob = bench.agent_leg("bob");
    to_bob(&mut bench, TransferMode::Attended);
    let ann = bench.dialled("ann");
    bench.sip(ann, SipEvent::Ended { by_peer: false, reason: String::new() });
    assert_eq!((joined(&bench, &bob), bench.agent("bob").status), (None, AgentStatus::Available));
    assert!(!bench.is_hung_up(customer));
    bench.pass_ms(2_000);
    let again = bench.dialled("ann");
    bench.answer(again);
    let ann = bench.agent_leg("ann");
    assert_eq!(joined(&bench, &ann), Some(format!("c-{customer}")));
}
