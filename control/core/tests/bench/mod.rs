//! The core between an engine that answers at once and a SIP network that does what the test says.

pub(crate) mod flow;
mod legs;
pub(crate) mod news;
pub(crate) mod reports;

use std::collections::BTreeMap;

use offhook_control_core::api::{AgentBody, ApiReply, ApiRequest, LoginBody, StatusBody, WantedStatus};
use offhook_control_core::config::{Config, QueueConfig, ServiceConfig};
use offhook_control_core::inbound_flow::FlowConfig;
use offhook_control_core::record::{CallbackReason, Fact, Record, Station};
use offhook_control_core::sip::{Direction, RemoteMedia, SipCommand, SipEvent, Target};
use offhook_control_core::view::{AgentView, Notification};
use offhook_control_core::{CallId, CallbackId, Core, EngineId, Input, Now, OpId, Output};
use offhook_proto::{
    Command, Error, ErrorCode, EventBody, LegCreated, LegList, Media, PlayEnd, PlaySource, PlayStarted,
    Remote, Reply, Request, Srtp, validate,
};
use serde_json::Value;

use legs::Legs;

pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) config: Config,
    now_us: u64,
    /// By how much the calendar was set, in milliseconds.
    set_ms: i64,
    pub(crate) packet_age_ms: u64,
    pub(crate) sip: Vec<(CallId, SipCommand)>,
    pub(crate) engine: Vec<Command>,
    /// To which engine each of these went.
    pub(crate) engine_of: Vec<EngineId>,
    pub(crate) records: Vec<Record>,
    pub(crate) notes: Vec<Notification>,
    pub(crate) webhooks: Vec<Value>,
    /// Files that the engine does not have.
    pub(crate) broken_prompts: Vec<String>,
    refused: Vec<Refusal>,
    flows: Vec<FlowConfig>,
    /// What came out, in order, in words.
    pub(crate) order: Vec<String>,
    replies: BTreeMap<OpId, ApiReply>,
    legs: Legs,
    next_op: u64,
}

/// Which command the engine will not carry out, and what it says.
type Refusal = (fn(&Command) -> bool, ErrorCode);

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(Vec::new(), Legs::default(), FIRST, RECENT_MS, change)
    }

    fn over(
        records: Vec<Record>,
        legs: Legs,
        clock: (u64, i64),
        packet_age_ms: u64,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut bench = Self::alone(records, legs, clock, packet_age_ms, change);
        bench.hears_engine();
        bench
    }

    /// No engine is heard yet. `clock`: ours in microseconds, and by how much the calendar was set, in milliseconds.
    fn alone(
        records: Vec<Record>,
        legs: Legs,
        clock: (u64, i64),
        packet_age_ms: u64,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let queue = QueueConfig {
            name: "sales".into(),
            skill: Some("sales".into()),
            dnis: vec!["100".into()],
            ..QueueConfig::default()
        };
        let service = ServiceConfig { name: "cb".into(), queue: "sales".into(), ..ServiceConfig::default() };
        let mut config = Config { queues: vec![queue], services: vec![service], ..Config::default() };
        change(&mut config);
        let mut core = Core::new(config.clone(), [7; 32]);
        let flows = config.flows.clone();
        for record in &records {
            core.replay(record.clone());
        }
        let mut bench = Self {
            core,
            config,
            now_us: clock.0,
            set_ms: clock.1,
            packet_age_ms,
            sip: Vec::new(),
            engine: Vec::new(),
            engine_of: Vec::new(),
            records,
            notes: Vec::new(),
            webhooks: Vec::new(),
            broken_prompts: Vec::new(),
            refused: Vec::new(),
            flows,
            order: Vec::new(),
            replies: BTreeMap::new(),
            legs,
            next_op: 0,
        };
        bench.core.start(bench.now());
        bench.pump();
        // What is overdue comes first.
        bench.take(Input::Tick);
        bench
    }

    /// The engine is there.
    pub(crate) fn hears_engine(&mut self) {
        self.take(Input::EngineUp { engine: EngineId(0), instance: "1".into(), restarted: false });
    }

    /// Over a journal.
    pub(crate) fn of(records: Vec<Record>) -> Self {
        Self::over(records, Legs::default(), FIRST, RECENT_MS, |_| {})
    }

    /// The configuration is read again.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.take(Input::Config(Box::new(self.config.clone())));
    }

    pub(crate) fn now(&self) -> Now {
        let unix_ms = 1_800_000_000_000 + self.now_us / 1_000;
        Now { mono_us: self.now_us, unix_ms: unix_ms.saturating_add_signed(self.set_ms) }
    }

    /// Somebody sets the calendar, and the shell notices.
    pub(crate) fn set_calendar(&mut self, by_s: i64) {
        self.set_ms += by_s * 1_000;
        self.take(Input::Tick);
    }

    pub(crate) fn take(&mut self, input: Input) {
        self.core.handle(self.now(), input);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Record(record) => {
                    let fact = serde_json::to_value(&record.fact).expect("a fact is JSON");
                    self.order.push(format!("record {}", fact["fact"].as_str().unwrap_or_default()));
                    self.records.push(record);
                }
                Output::Sip { call, command } => {
                    match command {
                        SipCommand::Dial { .. } => self.order.push(format!("dial {call}")),
                        SipCommand::HangUp { .. } => self.order.push("hang up".to_owned()),
                        _ => {}
                    }
                    self.sip.push((call, command));
                }
                Output::Engine { engine, request, command, .. } => {
                    let reply = self.execute(engine, &command);
                    let is_withheld = self.legs.withhold(request, &command, &reply);
                    self.engine.push(command);
                    self.engine_of.push(engine);
                    if is_withheld {
                        continue;
                    }
                    self.core.handle(self.now(), Input::EngineReply { request, result: Ok(reply) });
                }
                Output::Reply { op, reply } => {
                    self.replies.insert(op, reply);
                }
                Output::Notify(note) => self.notes.push(note),
                Output::Webhook { body, .. } | Output::Push { body, .. } => self.webhooks.push(body),
            }
        }
    }

    fn execute(&mut self, engine: EngineId, command: &Command) -> Reply {
        if let Some(at) = self.refused.iter().position(|(which, _)| which(command)) {
            return Reply::Error(Error::new(self.refused.remove(at).1, "refused"));
        }
        let request = Request { controller: None, command: command.clone() };
        if let Err(error) = validate::request(&request) {
            return Reply::Error(error);
        }
        match command {
            Command::LegCreate(create) => {
                self.legs.names.push(create.leg.clone());
                let (rtp, rtcp) = addresses(engine);
                Reply::ok(&LegCreated { leg: create.leg.clone(), rtp, rtcp, worker: 0, ssrc: 1 })
            }
            Command::LegDelete(delete) => {
                self.legs.names.retain(|leg| *leg != delete.leg);
                Reply::done()
            }
            Command::LegList(_) => {
                let legs = self.legs.names.clone();
                let total = legs.len() as u64;
                Reply::ok(&LegList { legs, more: false, total })
            }
            Command::LegQuery(query) => Reply::ok(&self.info(engine, &query.leg)),
            Command::Play(play) if self.is_broken(&play.sources) => {
                Reply::Error(Error::new(ErrorCode::BadPrompt, "no such file"))
            }
            Command::Play(play) => Reply::ok(&PlayStarted { play: play.play.clone(), duration_ms: None }),
            Command::LegUpdate(update) => {
                let keys = update.dtmf.map(|mode| format!("keys {mode:?}").to_lowercase());
                self.order.extend(keys);
                Reply::done()
            }
            Command::Splice(splice) => {
                self.order.push(format!("splice {}", if splice.b_hears_a { "both" } else { "one" }));
                Reply::done()
            }
            _ => Reply::done(),
        }
    }

    /// The engine will not create the next leg.
    pub(crate) fn refuse_next_create(&mut self, code: ErrorCode) {
        self.refuse_next(|command| matches!(command, Command::LegCreate(_)), code);
    }

    /// The engine will not carry out the next of these commands; each call counts for one.
    pub(crate) fn refuse_next(&mut self, which: fn(&Command) -> bool, code: ErrorCode) {
        self.refused.push((which, code));
    }

    fn is_broken(&self, sources: &[PlaySource]) -> bool {
        let broken = |source: &PlaySource| matches!(source, PlaySource::File(name) if self.broken_prompts.contains(name));
        sources.iter().any(broken)
    }

    /// Legs that the engine has.
    pub(crate) fn open_legs(&self) -> usize {
        self.legs.names.len()
    }

    pub(crate) fn ask(&mut self, request: ApiRequest) -> ApiReply {
        self.next_op += 1;
        let op = OpId(self.next_op);
        self.take(Input::Api { op, request });
        self.replies.remove(&op).expect("every request is answered")
    }

    pub(crate) fn sip(&mut self, call: CallId, event: SipEvent) {
        self.take(Input::Sip { call, event });
    }

    /// Somebody calls in from the trunk.
    pub(crate) fn arrives(&mut self, call: CallId, from: &str, to: &str) {
        let (from, to, remote) = (from.to_owned(), to.to_owned(), Some(remote()));
        self.sip(call, SipEvent::Incoming { from, to, remote, trunk: true, headers: Vec::new() });
    }

    pub(crate) fn event(&mut self, event: EventBody) {
        let leg = match &event {
            EventBody::PlayEnded { leg, .. } => leg.clone(),
            _ => String::new(),
        };
        let created = |command: &Command| matches!(command, Command::LegCreate(create) if create.leg == leg);
        let at = self.engine.iter().rposition(created);
        let engine = at.map_or(EngineId(0), |at| self.engine_of[at]);
        self.take(Input::EngineEvent { engine, event });
    }

    pub(crate) fn answer(&mut self, call: CallId) {
        let at_mono_us = self.now_us;
        self.sip(call, SipEvent::Answered { remote: remote(), at_mono_us });
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn pass_ms(&mut self, ms: u64) {
        let end = self.now_us + ms * 1_000;
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= end) {
            self.now_us = self.now_us.max(due);
            self.take(Input::Tick);
        }
        self.now_us = end;
    }

    pub(crate) fn agent(&mut self, id: &str) -> AgentView {
        match self.ask(ApiRequest::Agent(id.into())) {
            ApiReply::Agent(view, _) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn add_agent(&mut self, id: &str, auto_accept: bool) {
        self.ask(ApiRequest::PutAgent(id.into(), agent(false, auto_accept)));
        self.ask(ApiRequest::Login(id.into(), LoginBody::default()));
        self.ask(ApiRequest::SetStatus(id.into(), StatusBody { status: WantedStatus::Available }));
        let call = self.dialled(id);
        self.answer(call);
        self.end_play(call);
    }

    /// Available, and called for each customer.
    pub(crate) fn add_agent_on_demand(&mut self, id: &str) {
        let body = AgentBody { persistent: Some(false), ..agent(false, true) };
        self.ask(ApiRequest::PutAgent(id.into(), body));
        self.ask(ApiRequest::Login(id.into(), LoginBody::default()));
        self.ask(ApiRequest::SetStatus(id.into(), StatusBody { status: WantedStatus::Available }));
    }

    pub(crate) fn callback(&mut self, number: &str) -> CallbackId {
        self.callback_with(serde_json::json!({ "_customer_number": number }))
    }

    pub(crate) fn callback_with(&mut self, params: Value) -> CallbackId {
        let Value::Object(mut params) = params else { panic!("not an object") };
        params.entry("_call_direction").or_insert_with(|| "USERTERMINATED".into());
        match self.ask(ApiRequest::StartCallback { service: "cb".into(), params }) {
            ApiReply::CallbackStored(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn callback_state(&mut self, id: &CallbackId) -> String {
        let request = ApiRequest::QueryCallbacks {
            service: "cb".into(),
            filter: offhook_control_core::api::CallbackFilter { id: Some(id.clone()), ..Default::default() },
        };
        match self.ask(request) {
            ApiReply::Callbacks(views) => views[0].state.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.records.iter().map(|record| &record.fact)
    }

    pub(crate) fn ended(&self, id: &CallbackId) -> Option<CallbackReason> {
        let mut ends = self.facts().filter_map(|fact| match fact {
            Fact::CallbackEnded { id: other, reason, .. } if other == id => Some(*reason),
            _ => None,
        });
        let first = ends.next();
        assert_eq!(ends.next(), None, "ended twice");
        first
    }

    fn targets(&self) -> impl DoubleEndedIterator<Item = (CallId, &Target)> {
        self.sip.iter().filter_map(|(call, command)| match command {
            SipCommand::Dial { target, .. } => Some((*call, target)),
            _ => None,
        })
    }

    pub(crate) fn dials(&self) -> usize {
        self.targets().count()
    }

    pub(crate) fn dials_to_trunk(&self) -> usize {
        self.targets().filter(|(_, target)| matches!(target, Target::Trunk { .. })).count()
    }

    pub(crate) fn last_dial(&self) -> CallId {
        self.targets().next_back().expect("somebody was dialled").0
    }

    /// The last call to an agent's phone.
    pub(crate) fn dialled(&self, agent: &str) -> CallId {
        let own = |target: &Target| matches!(target, Target::Registered { aor } if aor == agent);
        self.targets().rev().find(|(_, target)| own(target)).expect("the agent was dialled").0
    }

    pub(crate) fn last_agent_dial(&self, agent: &str) -> CallId {
        self.dialled(agent)
    }

    /// The last call to a customer.
    pub(crate) fn customer(&self) -> CallId {
        let trunk = |target: &Target| matches!(target, Target::Trunk { .. });
        self.targets().rev().find(|(_, target)| trunk(target)).expect("a customer was dialled").0
    }

    /// How often the peer of a call was asked by SIP whether it is there.
    pub(crate) fn probes(&self, call: CallId) -> usize {
        self.sip.iter().filter(|sent| **sent == (call, SipCommand::Probe)).count()
    }

    /// Whether we hung up on a call.
    pub(crate) fn is_hung_up(&self, call: CallId) -> bool {
        self.sip.iter().any(|(id, command)| *id == call && matches!(command, SipCommand::HangUp { .. }))
    }

    /// The legs that were last spliced so that both hear each other.
    pub(crate) fn last_splice(&self) -> Option<(String, String)> {
        self.engine.iter().rev().find_map(|command| match command {
            Command::Splice(splice) if splice.b_hears_a => Some((splice.a.clone(), splice.b.clone())),
            _ => None,
        })
    }

    pub(crate) fn agent_leg(&self, agent: &str) -> String {
        format!("a-{agent}-{}", self.dialled(agent))
    }

    /// What was last played to a call's leg.
    pub(crate) fn played(&self, call: CallId) -> Vec<PlaySource> {
        let suffix = format!("-{call}");
        let last = self.engine.iter().rev().find_map(|command| match command {
            Command::Play(play) if play.leg.ends_with(&suffix) => Some(play.sources.clone()),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// What was last played to a call's leg ends by itself.
    pub(crate) fn end_play(&mut self, call: CallId) {
        self.end_play_by(call, PlayEnd::Finished);
    }

    /// What was last played to a call's leg ends.
    pub(crate) fn end_play_by(&mut self, call: CallId, end: PlayEnd) {
        let suffix = format!("-{call}");
        let last = self.engine.iter().rev().find_map(|command| match command {
            Command::Play(play) if play.leg.ends_with(&suffix) => Some((play.leg.clone(), play.play.clone())),
            _ => None,
        });
        if let Some((leg, play)) = last {
            self.event(EventBody::PlayEnded { leg, play, end });
        }
    }
}

pub(crate) fn agent(pin: bool, auto_accept: bool) -> AgentBody {
    AgentBody {
        name: None,
        skills: vec!["sales".into()],
        station: Some(Station::Registered),
        group: None,
        persistent: Some(true),
        auto_accept: Some(auto_accept),
        pin,
        password: None,
    }
}

/// Ann, off hook and available.
pub(crate) fn available_agent(auto_accept: bool) -> Bench {
    let mut bench = Bench::new();
    bench.add_agent("ann", auto_accept);
    bench
}

/// A callback's customer whose INVITE is on record, and ann, whose leg outlives a restart: the callback, her call and the customer's.
pub(crate) fn customer_is_called_back() -> (Bench, CallbackId, CallId, CallId) {
    let mut bench = available_agent(true);
    let ann = bench.last_dial();
    bench.keep_dialogs([ann]);
    let id = bench.callback("+31201");
    let customer = bench.customer();
    bench.sip(customer, SipEvent::SettingUp { data: "invite".into() });
    (bench, id, ann, customer)
}

/// Ann and a customer who was called back.
pub(crate) fn conversation() -> (Bench, CallId) {
    let mut bench = available_agent(true);
    bench.callback("+31201");
    let call = bench.customer();
    bench.answer(call);
    (bench, call)
}

pub(crate) fn remote() -> RemoteMedia {
    RemoteMedia {
        remote: Remote { rtp: ([127, 0, 0, 2], 4_000).into(), rtcp: None },
        media: Media::default(),
        direction: Direction::SendRecv,
        srtp: Srtp::Off,
        rtcp_mux: false,
    }
}

/// The clock of a first run.
const FIRST: (u64, i64) = (1_000_000, 0);
/// Age of every leg's last packet, unless a test says otherwise.
const RECENT_MS: u64 = 100;

fn addresses(engine: EngineId) -> (std::net::SocketAddr, std::net::SocketAddr) {
    let port = 1_024 + 1_000 * engine.0;
    (([127, 0, 0, 1], port).into(), ([127, 0, 0, 1], port + 1).into())
}
