//! The calls of a run, one by one: the director's view joined with the packets'.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::media::EndpointId;
use crate::media::hearing::Heard;
use crate::media::ledger::{Conversation, Ledger};
use crate::media::oracle::{Kind as Wrong, Violation};
use crate::plan::{Behaviour, Kind};
use crate::run::director::Director;
use crate::run::state::{Attempt, Outcome};

use super::Record;
use super::build::quantiles_ms;

/// One call that reached a customer's telephone, or came from it.
#[derive(Debug, Serialize)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) number: String,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) agent: Option<String>,
    pub(crate) answered: bool,
    pub(crate) two_way_ms: Option<f64>,
    pub(crate) lost_after_answer: Option<u64>,
    pub(crate) missing: u64,
    pub(crate) heard_by_agent: u64,
    pub(crate) heard_by_customer: u64,
    /// To the agent's first packet at the customer, without the wait for a packet that had not been sent yet.
    pub(crate) inside_to_customer_ms: Option<f64>,
    /// The later of both directions, likewise.
    pub(crate) inside_ms: Option<f64>,
    #[serde(skip)]
    pub(crate) to_agent_ms: Option<f64>,
    #[serde(skip)]
    pub(crate) to_customer_ms: Option<f64>,
    #[serde(skip)]
    pub(crate) behaviour: Behaviour,
    #[serde(skip)]
    pub(crate) conversation: Option<Conversation>,
}

/// Joins attempts with what was heard of them.
pub(crate) fn calls(director: &Director, ledger: &Ledger) -> Vec<Call> {
    let heard: HashMap<EndpointId, &Conversation> =
        ledger.conversations.iter().map(|c| (c.customer, c)).collect();
    director
        .attempts
        .iter()
        .map(|attempt| call(director, attempt, heard.get(&attempt.endpoint).copied()))
        .collect()
}

fn call(director: &Director, attempt: &Attempt, heard: Option<&Conversation>) -> Call {
    let order = &director.orders[attempt.order];
    let answered_ns = heard.and_then(|c| c.answered_ns);
    let after_ms = |at_ns: u64| answered_ns.map(|answered| (at_ns.saturating_sub(answered)) as f64 / 1e6);
    let (to_agent, to_customer) = (heard.and_then(|c| c.to_agent), heard.and_then(|c| c.to_customer));
    let to_agent_ms = to_agent.and_then(|h| after_ms(h.first_arrival_ns));
    let to_customer_ms = to_customer.and_then(|h| after_ms(h.first_arrival_ns));
    // A customer's packets are counted from the answer on, an agent's are not.
    let inside_to_agent = answered_ns.zip(to_agent).map(|(at_ns, h)| inside_ns(at_ns, &h, h.first_sequence));
    let inside_to_customer = answered_ns.zip(to_customer).map(|(at_ns, h)| {
        let lost = h.first_sent_ns.saturating_sub(at_ns + PACING_NS) / PTIME_NS;
        inside_ns(at_ns, &h, lost)
    });
    let agent = heard.and_then(|c| c.agent).and_then(|id| director.agents.get(id as usize));
    Call {
        kind: order.kind,
        number: order.number.clone(),
        outcome: order.outcome,
        agent: agent.map(|agent| agent.id.clone()),
        answered: answered_ns.is_some(),
        two_way_ms: to_agent_ms.zip(to_customer_ms).map(|(a, b)| a.max(b)),
        lost_after_answer: to_agent.map(|h| h.first_sequence),
        inside_to_customer_ms: inside_to_customer.map(|ns| ns as f64 / 1e6),
        inside_ms: inside_to_agent.zip(inside_to_customer).map(|(a, b)| a.max(b) as f64 / 1e6),
        missing: to_agent.map_or(0, |h| h.missing()) + to_customer.map_or(0, |h| h.missing()),
        heard_by_agent: to_agent.map_or(0, |h| h.distinct),
        heard_by_customer: to_customer.map_or(0, |h| h.distinct),
        to_agent_ms,
        to_customer_ms,
        behaviour: order.behaviour,
        conversation: heard.cloned(),
    }
}

/// From the answer to the arrival of the first packet heard, in nanoseconds, without the wait for that packet.
///
/// The time since the first of the packets that were `lost` between the two counts.
fn inside_ns(answered_ns: u64, heard: &Heard, lost: u64) -> u64 {
    let waited_ns = heard.first_sent_ns.saturating_sub(answered_ns + lost * PTIME_NS);
    heard.first_arrival_ns.saturating_sub(answered_ns + waited_ns)
}

const PTIME_NS: u64 = 20_000_000;
/// How much later than 20 ms after the one before a packet may be sent.
const PACING_NS: u64 = 2_000_000;

/// Holds control's records against the packets; a disagreement is a violation.
pub(crate) fn compare(calls: &[Call], records: Option<&Value>, violations: &mut Vec<Violation>) -> Record {
    let Some(records) = records.and_then(Value::as_array) else { return Record::default() };
    let customers = records.iter().filter(|record| record["kind"] != "agent_leg");
    // Of several calls to one number the one that names an agent tells who it was.
    let mut by_number: HashMap<&str, Option<&str>> = HashMap::new();
    let (mut measured_ms, mut open_ms) = (Vec::new(), Vec::new());
    for record in customers {
        let Some(number) = record["number"].as_str() else { continue };
        let agent = by_number.entry(number).or_default();
        *agent = record["agent"].as_str().or(*agent);
        measured_ms.extend(record["answer_to_audio_ms"].as_f64());
        open_ms.extend(record["answer_to_open_ms"].as_f64());
    }
    let mut account = Record { available: true, ..Record::default() };
    account.engine_answer_to_audio_ms = quantiles_ms(measured_ms);
    account.answer_to_open_ms = quantiles_ms(open_ms);
    for call in calls {
        let (Some(agent), Some(conversation)) = (&call.agent, &call.conversation) else { continue };
        let Some(recorded) = by_number.get(call.number.as_str()).copied().flatten() else {
            account.without_record += 1;
            continue;
        };
        account.compared += 1;
        if recorded == agent {
            account.agree += 1;
            continue;
        }
        violations.push(Violation {
            kind: Wrong::RecordDisagrees,
            at_ns: conversation.answered_ns.unwrap_or(0),
            listener: conversation.agent.unwrap_or(0),
            speaker: conversation.customer,
            packet: 0,
        });
    }
    account
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(first_sent_ms: u64, first_arrival_ms: u64) -> Heard {
        Heard {
            first_sequence: 7,
            last_sequence: 7,
            first_sent_ns: first_sent_ms * 1_000_000,
            first_arrival_ns: first_arrival_ms * 1_000_000,
            last_arrival_ns: first_arrival_ms * 1_000_000,
            distinct: 1,
            repeated: 0,
            reordered: 0,
            longest_gap_ns: 0,
        }
    }

    #[test]
    fn the_wait_for_a_speakers_next_packet_is_not_ours_and_that_for_a_lost_one_is() {
        let inside_ms = |heard, lost| inside_ns(1_000_000_000, &heard, lost) / 1_000_000;
        assert_eq!(inside_ms(heard(1_013, 1_015), 0), 2, "heard at once");
        assert_eq!(inside_ms(heard(1_033, 1_035), 1), 22, "the one before was lost");
        assert_eq!(inside_ms(heard(995, 1_004), 0), 4, "sent before the answer, and kept");
    }
}
