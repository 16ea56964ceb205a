//! What has to hold at the end: by control's reports, by the phones' own count, and by the engines'.

use std::collections::BTreeMap;

use offhook_tests::e2e::House;
use serde_json::{Value, json};

use super::console::Console;
use super::phones::Phones;

/// One thing that has to hold.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) holds: bool,
    pub(crate) found: String,
}

fn none(name: &'static str, which: &[String], of: usize) -> Check {
    let shown = which.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
    let found =
        if which.is_empty() { format!("0 of {of}") } else { format!("{} of {of}: {shown}", which.len()) };
    Check { name, holds: which.is_empty(), found }
}

/// Callbacks, by control's own state of each and by its reports, which follow from the journal.
pub(crate) fn callbacks(console: &Console) -> Vec<Check> {
    let ids = console.asked.iter().filter_map(|asked| Some((asked.id.clone()?, &asked.order)));
    let taken: Vec<_> = ids.collect();
    let (mut lost, mut connected) = (Vec::new(), 0);
    for (id, order) in &taken {
        let callback = console.callback(id).unwrap_or_default();
        let (state, reason) = (&callback["_callback_state"], &callback["_callback_reason"]);
        let wanted = if order.fate.talks() { "AGENT_CONNECTED" } else { "FAIL_CALL_TO_CUSTOMER" };
        connected += usize::from(reason == "AGENT_CONNECTED");
        if state != "COMPLETED" || reason != wanted {
            lost.push(format!("{} {state} {reason}", order.number));
        }
    }
    let rows = console.report("call_events").unwrap_or_default();
    let mut talks: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["ciq"] == "c" && row["dte_speak_start"] != "") {
        *talks.entry(row["call_id"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let times = |id: &str| talks.get(id).copied().unwrap_or(0);
    let twice: Vec<String> =
        taken.iter().filter(|(id, _)| times(id) > 1).map(|(_, order)| order.number.clone()).collect();
    let unreported: Vec<String> = taken
        .iter()
        .filter(|(id, order)| order.fate.talks() && times(id) == 0)
        .map(|(_, order)| order.number.clone())
        .collect();
    let unknown = console.asked.len() - taken.len() - console.refused.len();
    vec![
        none("callbacks lost", &lost, taken.len()),
        none("callbacks done twice", &twice, taken.len()),
        none("callbacks done but not in call_events", &unreported, taken.len()),
        none("requests refused", &console.refused, console.asked.len()),
        Check {
            name: "there were callbacks to judge",
            holds: connected > 0,
            found: format!("{connected} connected, {unknown} requests that control's death left unanswered"),
        },
    ]
}

/// Agents, by their phones: called once, and hung up on by nobody.
pub(crate) fn agents(phones: &Phones, agents: &[String], off_hook: usize) -> Vec<Check> {
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for invite in phones.sipp.invites() {
        *calls.entry(invite.to_user().to_owned()).or_default() += 1;
    }
    let called = |agent: &String| calls.get(agent).copied().unwrap_or(0);
    let again = |agent: &&String| called(agent) > 1;
    let redialled: Vec<String> = agents.iter().filter(again).cloned().collect();
    let dropped = phones.sipp.received("BYE ");
    let moved = phones.sipp.received_twice("INVITE ");
    vec![
        none("agents redialled", &redialled, agents.len()),
        Check {
            name: "agents' legs dropped",
            holds: dropped == 0 && off_hook == agents.len(),
            found: format!("{dropped}; {off_hook} of {} still off hook", agents.len()),
        },
        Check {
            name: "legs were moved to the other engine",
            holds: moved > 0,
            found: format!("{moved} phones got a new offer in their call"),
        },
    ]
}

/// Every call of the phones, by their own count.
pub(crate) fn scenarios(phones: &Phones) -> Check {
    let (failed, unexpected) = (phones.count("FailedCall(C)"), phones.count("FailedUnexpectedMessage(C)"));
    let (whole, left) = (phones.count("SuccessfulCall(C)"), phones.count(super::CALLS_LEFT));
    let name = match phones.name {
        "agents" => "agents' phones: calls that did not go by the scenario",
        "customers" => "customers: calls that did not go by the scenario",
        _ => "callers: calls that did not go by the scenario",
    };
    Check {
        name,
        holds: failed == 0 && unexpected == 0 && left == 0 && whole > 0,
        found: format!("{failed}, {unexpected} of them by an unexpected message; {left} left; {whole} did"),
    }
}

/// Engines, at the end: nothing left, and nobody heard who should not be.
pub(crate) fn engines(house: &House, count: usize) -> Vec<Check> {
    let mut checks = Vec::new();
    for number in 0..count {
        let stats = house.ask_engine_number(number, &json!({ "command": "statistics" }));
        let left = stats["legs"].as_u64();
        checks.push(Check {
            name: "legs left in an engine when all is over",
            holds: left == Some(0),
            found: left.map_or_else(|| stats.to_string(), |left| left.to_string()),
        });
    }
    checks
}

/// Calls that were connected with their time from answer to audio (BY-01).
pub(crate) fn records(statistics: &Value) -> Check {
    let (p50, p99) = (&statistics["answer_to_audio_p50_ms"], &statistics["answer_to_audio_p99_ms"]);
    Check {
        name: "answer to two-way audio is on record (BY-01)",
        holds: p50.is_number() && p99.is_number(),
        found: format!("p50 {p50} ms, p99 {p99} ms"),
    }
}
