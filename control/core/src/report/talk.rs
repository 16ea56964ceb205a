//! One customer's call and everybody who took part, until its rows are written.

use super::moment::Moment;
use super::row::EventRow;
use crate::record::CallKind;
use crate::{AgentId, CallId};

/// A callback or contact that is not done.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) kind: CallKind,
    pub(super) queue: String,
    pub(super) number: String,
    pub(super) arrived: Moment,
    pub(super) attempts: u32,
    pub(super) agent: Option<AgentId>,
    /// Events written so far.
    pub(super) sequence: u32,
    /// The last attempt, or the last call of the customer.
    pub(super) call: Option<CallId>,
    /// That was the customer's own (CB-09).
    pub(super) called_in: bool,
}

impl Request {
    pub(super) fn queue_key(&self) -> String {
        queue_key(self.kind, &self.queue)
    }
}

/// `queue_key` of a queue (PV-02).
pub(super) fn queue_key(kind: CallKind, queue: &str) -> String {
    match kind {
        CallKind::Preview => format!("__Dialer_{queue}"),
        CallKind::Callback => format!("__Callback_{queue}"),
        CallKind::Inbound | CallKind::AgentLeg => queue.to_owned(),
    }
}

/// A customer's call.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) call_id: String,
    pub(super) session: String,
    pub(super) request: Request,
    pub(super) started: Moment,
    pub(super) spoke: Option<Moment>,
    pub(super) contact_sequence: u32,
    pub(super) parties: Vec<Party>,
    /// In a queue since then.
    pub(super) waits: Option<Moment>,
    pub(super) code: Option<(String, Option<u16>)>,
    pub(super) cancelled: bool,
    /// The last agent's phone was lost, and with it the attempt.
    pub(super) agent_lost: bool,
    /// A callback keeps its place in the queue (CB-12).
    pub(super) called_back: bool,
}

/// An agent, or somebody else whom the customer was joined with.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) who: AgentId,
    sequence: u32,
    started: Moment,
    spoke: Option<Moment>,
    /// Their phone was lost then, and they have not come back.
    lost: Option<Moment>,
    ended: Option<Moment>,
}

impl Talk {
    pub(super) fn next_sequence(&mut self) -> u32 {
        self.request.sequence += 1;
        self.request.sequence
    }

    /// Somebody comes in; whoever was there before has left.
    pub(super) fn enter(&mut self, who: &AgentId, at: Moment) {
        self.leave(at);
        let sequence = self.next_sequence();
        self.request.agent = Some(who.clone());
        let party = Party { who: who.clone(), sequence, started: at, spoke: None, lost: None, ended: None };
        self.parties.push(party);
    }

    /// Whoever is there leaves.
    pub(super) fn leave(&mut self, at: Moment) {
        if let Some(party) = self.parties.last_mut() {
            party.ended.get_or_insert(party.lost.unwrap_or(at));
        }
    }

    /// Who talked is lost. Unless they come back, that was their end.
    pub(super) fn part(&mut self, who: &AgentId, at: Moment) {
        if let Some(party) = self.parties.last_mut().filter(|party| party.who == *who) {
            party.lost.get_or_insert(at);
        }
    }

    /// They talk. Somebody new comes in for it.
    pub(super) fn connect(&mut self, who: &AgentId, at: Moment) {
        let there = self.parties.last().is_some_and(|party| party.who == *who && party.ended.is_none());
        if !there {
            self.enter(who, at);
        }
        if let Some(party) = self.parties.last_mut() {
            party.spoke.get_or_insert(at);
            party.lost = None;
        }
        self.spoke.get_or_insert(at);
    }

    /// The rows of all parties, at the end of the call, in order of their sequence.
    pub(super) fn rows(&self, at: Moment) -> Vec<EventRow> {
        let fallback = if self.spoke.is_some() { "k" } else { "e" };
        let (code, response) = self.code.clone().unwrap_or_else(|| (fallback.to_owned(), None));
        let by_agent = matches!(code.as_str(), "h" | "q");
        let agents = match (by_agent || self.cancelled, self.agent_lost) {
            (true, _) => "h",
            (false, true) => "e",
            (false, false) => "k",
        };
        let mut rows: Vec<EventRow> = self
            .parties
            .iter()
            .map(|party| EventRow {
                call_sequence: party.sequence,
                result_code: agents.to_owned(),
                ciq: if party.who.is_guest() { "e" } else { "a" }.to_owned(),
                ..self.row(party.started, party.spoke, party.ended.or(party.lost).unwrap_or(at))
            })
            .collect();
        rows.push(EventRow {
            call_sequence: self.contact_sequence,
            result_code: code,
            result_response: response.map(|status| status.to_string()).unwrap_or_default(),
            ciq: "c".to_owned(),
            ..self.row(self.started, self.spoke, at)
        });
        rows.sort_by_key(|row| row.call_sequence);
        rows
    }

    fn row(&self, from: Moment, spoke: Option<Moment>, to: Moment) -> EventRow {
        EventRow {
            call_id: self.call_id.clone(),
            internal_iq_session_id: self.session.clone(),
            dte_start: from.write(),
            duration_tot_sec: from.seconds_until(to),
            dte_speak_start: spoke.map(Moment::write).unwrap_or_default(),
            duration_speak_sec: spoke.map_or(0, |spoke| spoke.seconds_until(to)),
            originating: self.request.number.clone(),
            queue_key: self.request.queue_key(),
            ..EventRow::default()
        }
    }
}
