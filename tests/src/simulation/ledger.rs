//! A naive ledger beside control's: whoever was answered and joined with an agent within two seconds was served, whatever was found
//! out about them later; whoever was not is abandoned (BY-08). Calls during which somebody died, or the calendar was set, are left out.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::ledger::{Campaign, CampaignKind, CampaignView};
use offhook_control_core::record::Fact;
use offhook_control_core::sip::SipEvent;
use offhook_control_core::{CallId, Input, OpId, Output, RequestId};
use offhook_proto::{Command, Reply};

use super::engines::call_of;
use super::world::World;

/// Calls to customers, by what control was told of them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Splices that control has asked for, each with its customer and the agent's leg.
    asked: BTreeMap<RequestId, (CallId, String)>,
    calls: BTreeMap<CallId, Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// Control heard that they answered, in milliseconds.
    answered_ms: Option<u64>,
    /// Control heard that they and an agent hear each other.
    joined_ms: Option<u64>,
    /// They and an agent heard each other, whether control knew or not.
    hear_ms: Option<u64>,
    /// Legs of the agents whom they were to be joined with until it was on record.
    agents: BTreeSet<String>,
    on_record: bool,
    is_over: bool,
    /// Nobody can say what control may know.
    is_doubtful: bool,
}

/// What a call has to count as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Served,
    Abandoned,
    /// Either, or nothing.
    Unknown,
}

impl Told {
    fn verdict(&self) -> Verdict {
        let Some(answered_ms) = self.answered_ms.filter(|_| !self.is_doubtful) else {
            return Verdict::Unknown;
        };
        let in_time = |at_ms: u64| at_ms.saturating_sub(answered_ms) <= AGENT_WITHIN_MS;
        // An agent may have left before control heard of the splice; another's leg shows that.
        let plain = self.on_record && self.agents.len() == 1;
        match (self.joined_ms, self.hear_ms) {
            (Some(at_ms), _) if plain && in_time(at_ms) => Verdict::Served,
            (_, Some(at_ms)) if in_time(at_ms) => Verdict::Unknown,
            (_, Some(_) | None) => Verdict::Abandoned,
        }
    }
}

/// Calls of a campaign that were answered.
#[derive(Debug, Default)]
struct Counts {
    answered: u64,
    served: u64,
    abandoned: u64,
    /// Served, and by what was found on them perhaps no persons.
    served_machines: u64,
    /// Abandoned, and perhaps no persons.
    abandoned_machines: u64,
}

impl Counts {
    /// What is wrong with what control says.
    fn differ(&self, view: &CampaignView) -> bool {
        let (abandoned, human) = (view.us.abandoned, view.us.answered - view.us.abandoned);
        let served = self.served + self.served_machines;
        let lost = self.abandoned + self.abandoned_machines;
        !(self.served..=self.answered - lost).contains(&human)
            || !(self.abandoned..=self.answered - served).contains(&abandoned)
    }
}

impl World {
    /// Control asks an engine for something.
    pub(super) fn ledger_command(&mut self, request: RequestId, command: &Command) {
        let Command::Splice(splice) = command else { return };
        if !splice.a_hears_b || !splice.b_hears_a {
            return;
        }
        let (agent, customer) =
            if splice.a.starts_with("a-") { (&splice.a, &splice.b) } else { (&splice.b, &splice.a) };
        let Some(call) = call_of(customer) else { return };
        let Some(told) = self.oracle.ledger.calls.get_mut(&call) else { return };
        if !told.on_record {
            told.agents.insert(agent.clone());
            self.oracle.ledger.asked.insert(request, (call, agent.clone()));
        }
    }

    /// Control hears something.
    pub(super) fn ledger_input(&mut self, input: &Input) {
        let now_ms = self.now_us / 1_000;
        let ledger = &mut self.oracle.ledger;
        match input {
            Input::Sip { call, event: SipEvent::Answered { .. } } => {
                if let Some(told) = ledger.calls.get_mut(call) {
                    told.answered_ms.get_or_insert(now_ms);
                }
            }
            Input::EngineReply { request, result: Ok(reply) } if !matches!(reply, Reply::Error(_)) => {
                let asked = ledger.asked.get(request);
                if let Some(told) = asked.and_then(|(call, _)| ledger.calls.get_mut(call)) {
                    told.joined_ms.get_or_insert(now_ms);
                }
            }
            _ => {}
        }
    }

    /// Control decides on a fact.
    pub(super) fn ledger_decision(&mut self, fact: &Fact) {
        let calls = &mut self.oracle.ledger.calls;
        match fact {
            Fact::CallbackDialled { call, .. } | Fact::ContactDialled { call, .. } => {
                calls.entry(*call).or_default();
            }
            Fact::Connected { call, .. } => {
                if let Some(told) = calls.get_mut(call) {
                    told.on_record = true;
                }
            }
            Fact::CallEnded { call, .. } => {
                if let Some(told) = calls.get_mut(call) {
                    told.is_over = true;
                }
            }
            _ => {}
        }
    }

    /// A customer and an agent hear each other.
    pub(super) fn ledger_hears(&mut self, customer: CallId) {
        let now_ms = self.now_us / 1_000;
        if let Some(told) = self.oracle.ledger.calls.get_mut(&customer) {
            told.hear_ms.get_or_insert(now_ms);
        }
    }

    /// Somebody dies, or the calendar is set: nobody can say what control knows of the calls that run.
    pub(super) fn ledger_doubts(&mut self) {
        for told in self.oracle.ledger.calls.values_mut().filter(|told| !told.is_over) {
            told.is_doubtful = true;
        }
    }

    /// Control died, and with it what was not on disk.
    pub(super) fn ledger_after_crash(&mut self) {
        self.oracle.ledger.asked.clear();
        let ended = |fact: &Fact| match fact {
            Fact::CallEnded { call, .. } => Some(*call),
            _ => None,
        };
        let over: BTreeSet<CallId> =
            self.shell.journal.iter().filter_map(|record| ended(&record.fact)).collect();
        for (call, told) in &mut self.oracle.ledger.calls {
            told.is_doubtful |= !over.contains(call);
        }
    }

    /// At the very end.
    pub(super) fn judge_ledger(&mut self) {
        let counts = self.counts();
        let now = self.now();
        let Some(core) = &mut self.shell.core else { return };
        core.handle(now, Input::Api { op: OpId(u64::MAX), request: ApiRequest::Compliance });
        let reply = std::iter::from_fn(|| core.poll_output()).find_map(|output| match output {
            Output::Reply { reply: ApiReply::Compliance(view), .. } => Some(view),
            _ => None,
        });
        let Some(view) = reply else { return self.violate("the ledger is not shown".to_owned()) };
        for (campaign, counts) in counts {
            let shown = view.campaigns.iter().find(|view| view.campaign == campaign);
            match shown {
                Some(shown) if !counts.differ(shown) => {}
                shown => {
                    let (name, us) = (&campaign.name, shown.map(|shown| &shown.us));
                    return self.violate(format!("the ledger says {us:?} of {name}, and it had {counts:?}"));
                }
            }
        }
    }

    fn counts(&self) -> BTreeMap<Campaign, Counts> {
        let (mut campaigns, mut dialled) = (BTreeMap::new(), BTreeMap::new());
        let mut counts: BTreeMap<Campaign, Counts> = BTreeMap::new();
        for record in self.shell.written() {
            match &record.fact {
                Fact::CallbackAdded(spec) => {
                    let campaign = Campaign { kind: CampaignKind::Service, name: spec.service.clone() };
                    campaigns.insert(spec.id.0.clone(), campaign);
                }
                Fact::ContactAdded { id, spec } => {
                    let campaign = match spec.list.as_str() {
                        "" => Campaign { kind: CampaignKind::Queue, name: spec.queue.clone() },
                        list => Campaign { kind: CampaignKind::List, name: list.to_owned() },
                    };
                    campaigns.insert(id.0.clone(), campaign);
                }
                Fact::CallbackDialled { id, call, .. } => {
                    dialled.insert(*call, campaigns.get(&id.0).cloned());
                }
                Fact::ContactDialled { id, call, .. } => {
                    dialled.insert(*call, campaigns.get(&id.0).cloned());
                }
                Fact::CallEnded { call, summary: Some(summary) } if summary.answered_ms.is_some() => {
                    let Some(campaign) = dialled.get(call).cloned().flatten() else { continue };
                    let verdict = self.oracle.ledger.calls.get(call).map_or(Verdict::Unknown, Told::verdict);
                    let machine = self.oracle.machines.contains_key(call);
                    let found = counts.entry(campaign).or_default();
                    found.answered += 1;
                    match (verdict, machine) {
                        (Verdict::Served, false) => found.served += 1,
                        (Verdict::Served, true) => found.served_machines += 1,
                        (Verdict::Abandoned, false) => found.abandoned += 1,
                        (Verdict::Abandoned, true) => found.abandoned_machines += 1,
                        (Verdict::Unknown, _) => {}
                    }
                }
                _ => {}
            }
        }
        counts
    }
}

/// An agent who comes later than this, in milliseconds, is none (16 CFR 310.4(b)(4)).
const AGENT_WITHIN_MS: u64 = 2_000;
