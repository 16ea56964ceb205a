//! The compliance ledger: each campaign's calls by day, as they follow from the journal's records (BY-08).
//!
//! Compaction may forget calls that the ledger still counts. So the sums of a day go on record, when the day is over and
//! whenever that much has happened since the last time that compaction might forget some of it. A sum stands for all that came
//! before it; what comes after it is added.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::CallId;
use crate::call::DELETED;
use crate::compliance::{AGENT_WITHIN_MS, RING_MS, Rule, US_DAYS, UkRate, uk_rate, us_percent};
use crate::limits::REPORT_ROWS;
use crate::record::{CallSummary, Fact, Record};

/// Calls that belong together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Campaign {
    /// What it is.
    pub kind: CampaignKind,
    /// Name of the list, queue or service.
    pub name: String,
}

/// What a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignKind {
    /// A list of contacts.
    List,
    /// Contacts of a queue that are in no list.
    Queue,
    /// A callback service.
    Service,
}

impl Campaign {
    pub(crate) fn of_contact(list: &str, queue: &str) -> Self {
        match list {
            "" => Self { kind: CampaignKind::Queue, name: queue.to_owned() },
            list => Self { kind: CampaignKind::List, name: list.to_owned() },
        }
    }

    pub(crate) fn of_service(service: &str) -> Self {
        Self { kind: CampaignKind::Service, name: service.to_owned() }
    }
}

/// Days of all campaigns, and calls that still run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By day since 1970 UTC.
    days: BTreeMap<Arc<Campaign>, BTreeMap<u64, Tally>>,
    /// Campaigns of callbacks and contacts that are not done.
    campaigns: BTreeMap<String, Arc<Campaign>>,
    running: BTreeMap<CallId, Running>,
    /// Days and campaigns of which more is known than the sums on record say.
    unsummed: BTreeSet<(u64, Arc<Campaign>)>,
    /// Calls, and beginnings or ends of customers' histories, since the last sum.
    since_sum: usize,
}

#[derive(Debug)]
struct Running {
    campaign: Arc<Campaign>,
    connected_ms: Option<u64>,
}

/// What a campaign's calls of a day came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsSummed {
    /// Whose.
    pub campaign: Campaign,
    /// Day since 1970 UTC.
    pub day: u64,
    /// What happened to them.
    pub tally: Tally,
}

/// What happened to calls that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls made.
    pub dialled: u64,
    /// Answered, and with an agent in time.
    pub human: u64,
    /// Answered by a machine, a fax or a tone.
    pub machine: u64,
    /// Answered, and without an agent in time.
    pub dropped: u64,
    /// Given up before the phone had rung for long enough.
    pub short_ring: u64,
    /// Not made, by the rule that refused them.
    pub refused: BTreeMap<Rule, u64>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.dialled += other.dialled;
        self.human += other.human;
        self.machine += other.machine;
        self.dropped += other.dropped;
        self.short_ring += other.short_ring;
        for (rule, count) in &other.refused {
            *self.refused.entry(*rule).or_default() += count;
        }
    }
}

/// How a campaign stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CampaignView {
    /// Which.
    #[serde(flatten)]
    pub campaign: Campaign,
    /// Calls made within 30 days.
    pub dialled: u64,
    /// Of these, given up before the phone had rung for 15 seconds.
    pub short_ring: u64,
    /// By the US rule.
    pub us: UsView,
    /// By the UK formula.
    pub uk: UkView,
    /// Dials within 30 days that were refused, by rule.
    pub refused: BTreeMap<Rule, u64>,
}

/// The US rule, over 30 days (16 CFR 310.4(b)(4)).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsView {
    /// Calls that a person answered.
    pub answered: u64,
    /// Of these, without an agent within two seconds.
    pub abandoned: u64,
    /// Percent of them.
    pub abandoned_percent: f64,
}

/// The UK formula, over the current day in UTC (Ofcom).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UkView {
    /// Answered and without an agent.
    pub dropped: u64,
    /// With an agent.
    pub human: u64,
    /// Known as machines.
    pub machine: u64,
    /// What the formula makes of them.
    #[serde(flatten)]
    pub rate: UkRate,
}

impl Ledger {
    pub(crate) fn on_record(&mut self, record: &Record) {
        let at_ms = record.at_ms;
        match &record.fact {
            Fact::ContactAdded { id, spec } => {
                self.begin(&id.0, Campaign::of_contact(&spec.list, &spec.queue));
            }
            Fact::CallbackAdded(spec) => self.begin(&spec.id.0, Campaign::of_service(&spec.service)),
            Fact::ContactDialled { id, call, .. } => self.dialled(&id.0, *call, at_ms),
            Fact::CallbackDialled { id, call, .. } => self.dialled(&id.0, *call, at_ms),
            Fact::ContactRemoved { id } | Fact::ContactResult { id, again_ms: None, .. } => self.end(&id.0),
            Fact::CallbackEnded { id, .. } => self.end(&id.0),
            Fact::Connected { call, since_ms, .. } => {
                if let Some(running) = self.running.get_mut(call) {
                    running.connected_ms.get_or_insert(since_ms.unwrap_or(at_ms));
                }
            }
            Fact::CallEnded { call, summary } => self.ended(*call, summary.as_deref(), at_ms),
            Fact::DialRefused(refused) => {
                let campaign = self.known(refused.campaign.clone());
                *self.tally(&campaign, at_ms).refused.entry(refused.rule).or_default() += 1;
            }
            // Callers count for what compaction keeps too.
            Fact::InboundArrived { .. } => self.since_sum += 1,
            Fact::CallsSummed(summed) => self.summed(summed, at_ms),
            Fact::ContactResult { .. }
            | Fact::Booted { .. }
            | Fact::AgentSaved(_)
            | Fact::AgentStatus { .. }
            | Fact::ModeChosen { .. }
            | Fact::ModeInForce { .. }
            | Fact::ConnectionAsked { .. }
            | Fact::ConnectionEnded { .. }
            | Fact::ConnectionTold { .. }
            | Fact::WrapUp { .. }
            | Fact::LegUp { .. }
            | Fact::SettingUp { .. }
            | Fact::Dialog { .. }
            | Fact::AgentRequested { .. }
            | Fact::CallbackAttempted { .. }
            | Fact::CallbackMoved { .. }
            | Fact::CallbackRevised(_)
            | Fact::CallbackAsked { .. }
            | Fact::CallbackConfirmed { .. }
            | Fact::CallbackCalledIn { .. }
            | Fact::ContactDisposed { .. }
            | Fact::Spliced { .. }
            | Fact::NoPerson { .. }
            | Fact::AudioFlowed { .. }
            | Fact::Parted { .. }
            | Fact::Transferred { .. }
            | Fact::KeysBlocked { .. }
            | Fact::AudioMissed { .. }
            | Fact::CalendarSet { .. }
            | Fact::NumbersListed { .. }
            | Fact::NumberUnlisted { .. }
            | Fact::AgentRemoved { .. } => {}
        }
    }

    fn known(&self, campaign: Campaign) -> Arc<Campaign> {
        self.days.get_key_value(&campaign).map_or_else(|| Arc::new(campaign), |(known, _)| Arc::clone(known))
    }

    fn begin(&mut self, id: &str, campaign: Campaign) {
        let campaign = self.known(campaign);
        self.days.entry(Arc::clone(&campaign)).or_default();
        self.campaigns.insert(id.to_owned(), campaign);
    }

    fn end(&mut self, id: &str) {
        self.campaigns.remove(id);
        self.since_sum += 1;
    }

    /// The sums that are to go on record now: of days that are over, or all of them after enough calls.
    pub(crate) fn due_sums(&self, now_ms: u64) -> Vec<CallsSummed> {
        let (today, all) = (now_ms / DAY_MS, self.since_sum >= SUM_EVERY);
        let due = self.unsummed.iter().take_while(|(day, _)| all || *day < today);
        let sum = |(day, campaign): &(u64, Arc<Campaign>)| {
            let tally = self.days.get(campaign)?.get(day)?.clone();
            Some(CallsSummed { campaign: Campaign::clone(campaign), day: *day, tally })
        };
        due.filter_map(sum).collect()
    }

    fn summed(&mut self, summed: &CallsSummed, at_ms: u64) {
        let campaign = self.known(summed.campaign.clone());
        self.since_sum = 0;
        *self.tally_of(&campaign, summed.day, at_ms) = summed.tally.clone();
        self.unsummed.remove(&(summed.day, campaign));
    }

    fn dialled(&mut self, id: &str, call: CallId, at_ms: u64) {
        let Some(campaign) = self.campaigns.get(id).cloned() else { return };
        self.tally(&campaign, at_ms).dialled += 1;
        self.running.insert(call, Running { campaign, connected_ms: None });
    }

    fn ended(&mut self, call: CallId, summary: Option<&CallSummary>, at_ms: u64) {
        let Some(running) = self.running.remove(&call) else { return };
        let Some(summary) = summary else { return };
        let tally = self.tally(&running.campaign, at_ms);
        let Some(answered_ms) = summary.answered_ms else {
            let given_up = matches!(summary.result.as_str(), "cancelled" | "no_answer" | DELETED);
            let rang = summary.rang_ms.is_some_and(|rang_ms| at_ms.saturating_sub(rang_ms) < RING_MS);
            tally.short_ring += u64::from(given_up && rang);
            return;
        };
        let machine = MACHINES.contains(&summary.result.as_str());
        let in_time = |connected_ms: u64| connected_ms.saturating_sub(answered_ms) <= AGENT_WITHIN_MS;
        match running.connected_ms {
            _ if machine => tally.machine += 1,
            Some(connected_ms) if in_time(connected_ms) => tally.human += 1,
            Some(_) | None => tally.dropped += 1,
        }
    }

    /// Today's, about to change.
    fn tally(&mut self, campaign: &Arc<Campaign>, at_ms: u64) -> &mut Tally {
        let today = at_ms / DAY_MS;
        self.unsummed.insert((today, Arc::clone(campaign)));
        self.since_sum += 1;
        self.tally_of(campaign, today, at_ms)
    }

    fn tally_of(&mut self, campaign: &Arc<Campaign>, day: u64, at_ms: u64) -> &mut Tally {
        let days = self.days.entry(Arc::clone(campaign)).or_default();
        days.retain(|day, _| day + US_DAYS > at_ms / DAY_MS);
        days.entry(day).or_default()
    }

    /// All campaigns that made a call, or were refused one, within 30 days.
    pub(crate) fn views(&self, now_ms: u64) -> Vec<CampaignView> {
        let views = self.days.iter().filter(|(_, days)| !days.is_empty());
        views.map(|(campaign, _)| self.view(campaign, now_ms)).collect()
    }

    pub(crate) fn view(&self, campaign: &Campaign, now_ms: u64) -> CampaignView {
        let today = now_ms / DAY_MS;
        let (mut month, mut day) = (Tally::default(), Tally::default());
        for (at, tally) in self.days.get(campaign).into_iter().flatten() {
            if at + US_DAYS > today {
                month.add(tally);
            }
            if *at == today {
                day.add(tally);
            }
        }
        let (answered, abandoned) = (month.human + month.dropped, month.dropped);
        CampaignView {
            campaign: campaign.clone(),
            dialled: month.dialled,
            short_ring: month.short_ring,
            us: UsView { answered, abandoned, abandoned_percent: us_percent(abandoned, answered) },
            uk: UkView {
                dropped: day.dropped,
                human: day.human,
                machine: day.machine,
                rate: uk_rate(day.dropped, day.human, day.machine),
            },
            refused: month.refused,
        }
    }
}

/// Compaction keeps as many finished histories as reports have rows: what is summed up this often is never forgotten before.
const SUM_EVERY: usize = REPORT_ROWS / 4;
/// Results of answered calls that no person answered: a busy tone may come in the audio alone.
const MACHINES: [&str; 4] = ["answering_machine", "fax", "error_tone", "busy"];
pub(crate) const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// One call of a campaign: when it rang, was answered, had an agent and ended, in milliseconds, and how.
    fn called(ledger: &mut Ledger, call: u64, at: [Option<u64>; 4], result: &str) {
        let id = format!("{call}");
        let [rang_ms, answered_ms, connected_ms, ended_ms] = at;
        let mut record = |at_ms: u64, mut fact: Value| {
            (fact["v"], fact["at_ms"]) = (json!(1), json!(at_ms));
            ledger.on_record(&serde_json::from_value(fact).expect("a record"));
        };
        let begin_ms = rang_ms.or(answered_ms).unwrap_or(0);
        record(
            begin_ms,
            json!({ "fact": "contact_added", "id": id, "queue": "sales", "number": "+31", "data": null }),
        );
        record(
            begin_ms,
            json!({ "fact": "contact_dialled", "id": id, "attempt": 1, "call": call, "agent": "ann" }),
        );
        if let Some(connected_ms) = connected_ms {
            record(connected_ms, json!({ "fact": "connected", "call": call, "agent": "ann" }));
        }
        let summary = json!({ "kind": "preview", "number": "+31", "agent": "ann", "started_ms": begin_ms,
            "rang_ms": rang_ms, "answered_ms": answered_ms, "answer_to_audio_ms": null, "result": result });
        record(
            ended_ms.unwrap_or(begin_ms),
            json!({ "fact": "call_ended", "call": call, "summary": summary }),
        );
    }

    fn sales(ledger: &Ledger, now_ms: u64) -> CampaignView {
        ledger.view(&Campaign::of_contact("", "sales"), now_ms)
    }

    #[test]
    fn by_08_an_agent_more_than_two_seconds_after_the_answer_is_an_abandoned_call() {
        let mut ledger = Ledger::default();
        let at = 20_000 * DAY_MS;
        called(&mut ledger, 1, [None, Some(at), Some(at + 2_000), Some(at + 9_000)], "hung_up");
        called(&mut ledger, 2, [None, Some(at), Some(at + 2_001), Some(at + 9_000)], "hung_up");
        called(&mut ledger, 3, [None, Some(at), None, Some(at + 9_000)], "hung_up");
        called(&mut ledger, 4, [None, Some(at), Some(at + 100), Some(at + 9_000)], "answering_machine");
        called(&mut ledger, 5, [Some(at), None, None, Some(at + 14_999)], "cancelled");
        called(&mut ledger, 6, [Some(at), None, None, Some(at + 15_000)], "no_answer");
        called(&mut ledger, 7, [Some(at), None, None, Some(at + 1_000)], "busy");
        called(&mut ledger, 8, [Some(at), Some(at), None, Some(at + 3_000)], "busy");
        let view = sales(&ledger, at);
        assert_eq!((view.dialled, view.us.answered, view.us.abandoned, view.short_ring), (8, 3, 2, 1));
        assert_eq!((view.uk.dropped, view.uk.human, view.uk.machine), (2, 1, 2));
        assert!(
            (view.uk.rate.estimated_abandoned - 2.0 / 3.0).abs() < 1e-9 && view.us.abandoned_percent > 66.6
        );
    }

    #[test]
    fn by_08_the_us_rate_is_of_thirty_days_and_the_uk_rate_of_one() {
        let mut ledger = Ledger::default();
        let at = 20_000 * DAY_MS;
        called(&mut ledger, 1, [None, Some(at), None, Some(at + 9_000)], "hung_up");
        assert_eq!(sales(&ledger, at + 29 * DAY_MS).us.abandoned, 1);
        assert_eq!(sales(&ledger, at + 29 * DAY_MS).uk.dropped, 0);
        assert_eq!(sales(&ledger, at + 30 * DAY_MS).us.abandoned, 0);
        called(&mut ledger, 2, [None, Some(at + 30 * DAY_MS), None, Some(at + 30 * DAY_MS)], "hung_up");
        assert_eq!(ledger.days.values().map(BTreeMap::len).sum::<usize>(), 1, "old days are forgotten");
        assert!(ledger.campaigns.len() == 2 && ledger.running.is_empty());
    }

    #[test]
    fn by_08_sums_are_due_when_their_day_is_over_and_after_many_calls_and_count_nothing_twice() {
        let mut ledger = Ledger::default();
        let at = 20_000 * DAY_MS;
        called(&mut ledger, 1, [None, Some(at), None, Some(at + 9_000)], "hung_up");
        assert!(ledger.due_sums(at).is_empty());
        let sums = ledger.due_sums(at + DAY_MS);
        assert!(matches!(&sums[..], [sum] if sum.day == 20_000 && sum.tally.dropped == 1));
        let before = sales(&ledger, at);
        ledger.on_record(&Record::new(at, Fact::CallsSummed(Box::new(sums[0].clone()))));
        assert_eq!((sales(&ledger, at), ledger.due_sums(at + DAY_MS)), (before, Vec::new()));
        // Each is counted when it is dialled and when it ends.
        let calls = SUM_EVERY as u64 / 2 + 1;
        for call in 2..=calls {
            called(&mut ledger, call, [None, Some(at), None, Some(at + 9_000)], "hung_up");
        }
        let sums = ledger.due_sums(at);
        assert_eq!(sums[0].tally.dropped, calls);
        ledger.on_record(&Record::new(at, Fact::CallsSummed(Box::new(sums[0].clone()))));
        assert!(ledger.due_sums(at).is_empty());
        assert_eq!(sales(&ledger, at).us.abandoned, calls);
    }
}
