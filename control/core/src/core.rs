//! The root: dispatches inputs to the entities and tells what changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::agent::Agent;
use crate::call::Call;
use crate::callback::Callback;
use crate::callback_index::CallbackIndex;
use crate::config::QueueConfig;
use crate::engines::Engines;
use crate::estimate::Handling;
use crate::flow::clocks::calendar_ms;
use crate::flow::detection::{Listening, Message};
use crate::flow::engine::Asked;
use crate::flow::replay::Replayed;
use crate::inbound_flow::{Owner, Run};
use crate::interaction::Interaction;
use crate::ledger::Ledger;
use crate::mutation::Mutation;
use crate::preview::Contact;
use crate::projection::Projection;
use crate::queue::Queues;
use crate::record::Fact;
use crate::report::Reports;
use crate::throttle::Throttle;
use crate::timer::{Deadline, Timer, Timers};
use crate::trunk::Trunk;
use crate::view::Notification;
use crate::{AgentId, CallId, CallbackId, Config, ContactId, Input, Now, OfferId, Output, Record, RequestId};

/// The control plane.
#[derive(Debug)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now: Now,
    /// What the calendar showed when our clock began, in milliseconds since 1970 UTC; another time after it was set.
    pub(crate) calendar_ms: i64,
    /// Number of this run over the journal, from 1.
    pub(crate) run: u64,
    pub(crate) engines: Engines,
    pub(crate) trunk: Trunk,
    pub(crate) replayed: Replayed,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) calls: BTreeMap<CallId, Call>,
    /// Whose leg has which name.
    pub(crate) legs: BTreeMap<String, CallId>,
    pub(crate) requests: BTreeMap<RequestId, Asked>,
    pub(crate) interactions: BTreeMap<u64, Interaction>,
    /// Customers whose agent was lost.
    pub(crate) held: BTreeSet<u64>,
    /// Answered customers of whom nobody knows yet whether they are persons, by interaction.
    pub(crate) listening: BTreeMap<u64, Listening>,
    /// Machines that are left a message.
    pub(crate) messages: BTreeMap<CallId, Message>,
    pub(crate) queues: Queues,
    /// Queues that are configured no more, with people in them.
    pub(crate) removed_queues: BTreeMap<String, QueueConfig>,
    pub(crate) handling: Handling,
    pub(crate) callbacks: BTreeMap<CallbackId, Callback>,
    /// Flows that run.
    pub(crate) flows: BTreeMap<Owner, Run>,
    pub(crate) index: CallbackIndex,
    /// How often each callback service was asked for of late.
    pub(crate) throttles: BTreeMap<String, Throttle>,
    pub(crate) contacts: BTreeMap<ContactId, Contact>,
    /// Contacts by list; those without one belong to the list without a name.
    pub(crate) lists: BTreeMap<String, BTreeSet<ContactId>>,
    /// Completed callbacks that are still shown.
    pub(crate) finished_callbacks: VecDeque<CallbackId>,
    /// Finished contacts that are still shown.
    pub(crate) finished_contacts: VecDeque<ContactId>,
    pub(crate) projection: Projection,
    pub(crate) reports: Reports,
    pub(crate) ledger: Ledger,
    /// Numbers that are not called, as digits.
    pub(crate) do_not_call: BTreeSet<String>,
    pub(crate) timers: Timers,
    /// Calls whose leg is driven again a little later.
    pub(crate) retry: BTreeSet<CallId>,
    pub(crate) match_due: bool,
    /// Incoming calls that are over, so that a doubled report does not revive them.
    pub(crate) past_incoming: VecDeque<CallId>,
    /// No phone is called before this, on our clock: calls of an earlier run are being ended.
    pub(crate) phones_from_us: u64,
    pub(crate) mutation: Option<Mutation>,
    changed: BTreeSet<Changed>,
    outputs: VecDeque<Output>,
    transitions: Option<BTreeMap<Transition, u64>>,
    counter: u64,
}

/// Entity, state and event, by name.
pub type Transition = (&'static str, &'static str, &'static str);

/// What whoever listens has to be told about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Changed {
    Agent(AgentId),
    Call(CallId),
    Callback(CallbackId),
    Contact(ContactId),
}

impl Core {
    /// An empty control plane. `seed` feeds PINs and ids; the shell draws it from the system.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            engines: Engines::new(config.engines),
            trunk: Trunk::new(config.trunk_watched),
            config,
            rng: ChaCha8Rng::from_seed(seed),
            now: Now::default(),
            calendar_ms: 0,
            run: 0,
            replayed: Replayed::default(),
            agents: BTreeMap::new(),
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            requests: BTreeMap::new(),
            interactions: BTreeMap::new(),
            held: BTreeSet::new(),
            listening: BTreeMap::new(),
            messages: BTreeMap::new(),
            queues: Queues::default(),
            removed_queues: BTreeMap::new(),
            handling: Handling::default(),
            callbacks: BTreeMap::new(),
            flows: BTreeMap::new(),
            index: CallbackIndex::default(),
            throttles: BTreeMap::new(),
            contacts: BTreeMap::new(),
            lists: BTreeMap::new(),
            finished_callbacks: VecDeque::new(),
            finished_contacts: VecDeque::new(),
            projection: Projection::default(),
            reports: Reports::default(),
            ledger: Ledger::default(),
            do_not_call: BTreeSet::new(),
            timers: Timers::default(),
            retry: BTreeSet::new(),
            match_due: false,
            past_incoming: VecDeque::new(),
            phones_from_us: 0,
            mutation: None,
            changed: BTreeSet::new(),
            outputs: VecDeque::new(),
            transitions: None,
            counter: 0,
        }
    }

    /// Takes up one record of the journal, before [`Core::start`].
    pub fn replay(&mut self, record: Record) {
        self.report(&record);
        self.on_record(record);
    }

    /// Begins this run: emits its first record. The shell gives no input before that record is durable.
    pub fn start(&mut self, now: Now) {
        self.now = now;
        self.calendar_ms = calendar_ms(now);
        self.run += 1;
        self.counter = 0;
        self.record(Fact::Booted { run: self.run });
        self.rebuild();
        self.finish();
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        self.look_at_calendar();
        match input {
            Input::Api { op, request } => {
                let reply = self.on_api(request);
                self.push(Output::Reply { op, reply });
            }
            Input::Sip { call, event } => self.on_sip(call, event),
            Input::Registration { aor, contact } => self.on_registration(&AgentId(aor), contact.is_some()),
            Input::EngineReply { request, result } => self.on_engine_reply(request, result),
            Input::EngineEvent { engine, event } => self.on_engine_event(engine, event),
            Input::EngineUp { engine, instance: _, restarted } => self.on_engine_up(engine, restarted),
            Input::EngineDown { engine } => self.on_engine_down(engine),
            Input::Trunk { outage } => self.on_trunk(outage),
            Input::Config(config) => self.take_config(*config),
            Input::Tick => {
                while let Some(timer) = self.timers.expired(now) {
                    self.on_timer(timer);
                }
            }
        }
        self.finish();
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, in microseconds on the clock of [`Now::mono_us`], unless the calendar is set before it.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next(self.now)
    }

    /// Whether a time of day is waited for: then [`Input::Tick`] is due as soon as the calendar was set, too.
    pub fn waits_for_calendar(&self) -> bool {
        self.timers.wait_for_calendar()
    }

    /// Whether calls of the run before have yet to be taken up: the engines are being asked what they have of them.
    pub fn is_taking_up(&self) -> bool {
        self.replayed.is_pending()
    }

    /// SIP digest password of an agent's phone.
    pub fn password(&self, agent: &str) -> Option<&str> {
        self.agents.get(&AgentId::from(agent))?.profile.password.as_deref()
    }

    /// Counts from now on which event met which state.
    #[doc(hidden)]
    pub fn observe(&mut self) {
        self.transitions = Some(BTreeMap::new());
    }

    /// What was counted since the last time.
    #[doc(hidden)]
    pub fn take_transitions(&mut self) -> BTreeMap<Transition, u64> {
        self.transitions.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Every event that moves a state of an entity, and every request that meets one, by name: what there is to be covered.
    #[doc(hidden)]
    pub fn known_transitions() -> BTreeSet<Transition> {
        use crate::{call, connection, interaction};
        let mut known = crate::flow::observed::requests();
        for state in call::State::ALL {
            let moves = call::Event::ALL.into_iter().filter(|event| state.next(*event).is_some());
            known.extend(moves.map(|event| ("call", state.name(), event.name())));
        }
        for state in connection::State::ALL {
            let moves = connection::Event::ALL.into_iter().filter(|event| state.next(*event).is_some());
            known.extend(moves.map(|event| ("connection", state.name(), event.name())));
        }
        for stage in interaction::Stage::ALL {
            let ways = interaction::Way::ALL;
            let moves = interaction::Event::ALL.into_iter();
            let moves = moves.filter(|event| ways.iter().any(|way| stage.next(*event, *way).is_some()));
            known.extend(moves.map(|event| ("interaction", stage.name(), event.name())));
        }
        known
    }

    /// Breaks one behaviour on purpose, so that a test can prove that it would be noticed.
    #[doc(hidden)]
    pub fn mutate(&mut self, mutation: Mutation) {
        self.mutation = Some(mutation);
    }

    /// Whether nothing runs and nothing is left behind: no call, no engine request, no interaction.
    #[doc(hidden)]
    pub fn is_quiet(&self) -> bool {
        self.calls.is_empty() && self.requests.is_empty() && self.interactions.is_empty()
    }

    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.transitions.is_some()
    }

    pub(crate) fn saw(&mut self, entity: &'static str, state: &'static str, event: &'static str) {
        if let Some(transitions) = &mut self.transitions {
            *transitions.entry((entity, state, event)).or_default() += 1;
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn record(&mut self, fact: Fact) {
        self.put_on_record(fact);
        for sum in self.ledger.due_sums(self.now.unix_ms) {
            self.put_on_record(Fact::CallsSummed(Box::new(sum)));
        }
    }

    fn put_on_record(&mut self, fact: Fact) {
        let record = Record::new(self.now.unix_ms, fact);
        self.report(&record);
        self.push(Output::Record(record));
    }

    /// Reports follow from records alone, live and replayed alike.
    pub(crate) fn report(&mut self, record: &Record) {
        let keep_ms = self.report_keep_ms();
        self.reports.on_record(record, keep_ms);
        self.ledger.on_record(record);
    }

    /// How long rows are kept.
    pub(crate) fn report_keep_ms(&self) -> u64 {
        u64::from(self.config.reports.retention_days) * 86_400_000
    }

    pub(crate) fn changed(&mut self, what: Changed) {
        self.changed.insert(what);
    }

    pub(crate) fn arm(&mut self, timer: Timer, in_ms: u64) {
        let until_us = self.now.mono_us.saturating_add(in_ms.saturating_mul(1_000));
        self.timers.arm(timer, Deadline::Ours(until_us));
    }

    /// Arms a timer for a moment of the calendar, whenever that will be.
    pub(crate) fn arm_at(&mut self, timer: Timer, unix_ms: u64) {
        if self.mutated(Mutation::KeepCalendar) {
            return self.arm(timer, unix_ms.saturating_sub(self.now.unix_ms));
        }
        self.timers.arm(timer, Deadline::Calendar(unix_ms));
    }

    /// A number that no other thing of any run has; fits 53 bits.
    pub(crate) fn unique(&mut self) -> u64 {
        self.counter += 1;
        (self.run << 32) + self.counter
    }

    pub(crate) fn next_request(&mut self) -> RequestId {
        RequestId(self.unique())
    }

    pub(crate) fn next_offer(&mut self) -> OfferId {
        OfferId(format!("o{}", self.unique()))
    }

    /// Ends a step: whoever can be matched is matched, and all changes are told.
    fn finish(&mut self) {
        while std::mem::take(&mut self.match_due) {
            self.match_waiting();
        }
        if self.changed.is_empty() {
            return;
        }
        while let Some(what) = self.changed.pop_first() {
            let notification = match &what {
                Changed::Agent(id) if id.is_guest() => None,
                Changed::Agent(id) => self.agent_view(id).map(|view| Notification::Agent(Box::new(view))),
                Changed::Call(id) => self.call_view(*id).map(|view| Notification::Call(Box::new(view))),
                Changed::Callback(id) => {
                    self.callbacks.get(id).map(|callback| Notification::Callback(Box::new(callback.view())))
                }
                Changed::Contact(id) => {
                    self.contacts.get(id).map(|contact| Notification::Contact(Box::new(contact.view())))
                }
            };
            if let Some(notification) = notification {
                self.push(Output::Notify(notification));
            }
        }
        if !self.timers.is_armed(&Timer::Statistics) {
            self.arm(Timer::Statistics, STATISTICS_EVERY_MS);
        }
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Announced(agent) => self.on_announced(&agent),
            Timer::Pin(agent) => self.on_pin_timeout(&agent),
            Timer::Redial(agent) => self.on_redial(&agent),
            Timer::Confirm(id) => self.on_confirm_timeout(&id),
            Timer::Offer(agent) => self.on_offer_timeout(&agent),
            Timer::Told(agent) => self.on_told(&agent),
            Timer::WrapUp(agent) => self.on_wrap_up_over(&agent),
            Timer::Idle(agent) => self.on_idle(&agent),
            Timer::Silent(agent) => self.on_silence_over(&agent, false),
            Timer::Unheard(call) => self.on_silent(call),
            Timer::Setup(call) => self.on_setup_timeout(call),
            Timer::Proof(interaction) => self.on_proof_due(interaction),
            Timer::Join(call) => self.on_join_timeout(call),
            Timer::Verdict(call) => self.on_verdict_overdue(call),
            Timer::Message(call) => self.on_message_due(call),
            Timer::Hold(call) => self.on_hold_timeout(call),
            Timer::MaxWait(call) => self.on_max_wait(call),
            Timer::Ended(call) => self.on_end_overdue(call),
            Timer::Flow(owner) => self.on_flow_time(owner),
            Timer::CallDelay(interaction) => self.on_call_delay_over(interaction),
            Timer::CallbackDue(id) => self.on_callback_due(&id),
            Timer::CallbackTtl(id) => self.on_callback_ttl(&id),
            Timer::ContactDue(id) => self.on_contact_due(&id),
            Timer::Match => self.match_due = true,
            Timer::Engine => self.on_engine_retry(),
            Timer::FailOver => self.fail_over(),
            Timer::Reconcile => self.on_reconciling_overdue(),
            Timer::OldLeg(engine, leg) => self.on_old_leg(engine, leg),
            Timer::Statistics => {
                let statistics = self.statistics();
                self.push(Output::Notify(Notification::Statistics(Box::new(statistics))));
            }
        }
    }
}

const STATISTICS_EVERY_MS: u64 = 1_000;
