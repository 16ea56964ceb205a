//! The interpreter: one event in, one effect out.

use std::collections::BTreeMap;

use offhook_proto::PlaySource;
use offhook_proto::limits::SPOKEN_NUMBER;

use super::check::is_key;
use super::step::{Action, CallbackAction, DEFAULT, FlowConfig, LONGER, ON_ERROR, TIMEOUT};
use super::variables::fill;
use crate::{AgentId, CallbackId};

/// How a prompt begins that is a number to speak.
const SPOKEN: &str = "number:";

/// Whose flow it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A caller's, by interaction.
    Caller(u64),
    /// A callback's, after the caller was let go.
    Callback(CallbackId),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The flow begins.
    Begin,
    /// What was asked for is done.
    Done,
    /// The estimate that was asked for, in seconds; none while nobody is at work.
    Estimated { wait_s: Option<u64>, position: usize },
    /// What was asked for failed.
    Failed(String),
    /// Whom the caller is passed on to is not reached, and why.
    NotReached(String),
    /// What was played has ended.
    PlayEnded,
    /// The caller pressed a key.
    Key(char),
    /// The time that was asked for has passed.
    Elapsed,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Play prompts once; `PlayEnded` follows, or `Elapsed` if that should not come.
    Prompt { prompts: Vec<PlaySource>, within_ms: u64 },
    /// Loop a file, the queue's music where it is empty; `Elapsed` follows.
    Music { file: String, ms: u64 },
    /// Stop what plays, and await a key; `Elapsed` follows.
    Keys { ms: u64 },
    /// `Elapsed` follows.
    Time { ms: u64 },
    /// Take a place in a queue; answered at once.
    RequestAgent { queue: String, priority: Option<i32> },
    /// Estimate the wait; answered at once.
    Estimate,
    /// Say whether the callback could be stored; answered at once.
    MayCallBack(Order),
    /// Store the callback and drop the call; answered at once. After `Done` there is no call.
    CallBack(Order),
    /// Join the caller with somebody. The flow ends when they talk; else `NotReached` follows.
    Transfer(Other),
    /// End the call, or the callback.
    HangUp,
    /// The flow has ended.
    End,
}

/// Whom a flow passes its caller on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Number(String),
    Agent(AgentId),
}

/// A callback that a flow orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) service: String,
    pub(crate) number: String,
    /// Never dialled; shown to the agent (QC-11).
    pub(crate) extension: Option<String>,
    pub(crate) caller_id: String,
    pub(crate) delay_s: u32,
}

/// A flow on its way.
#[derive(Debug)]
pub(crate) struct Run {
    flow: FlowConfig,
    at: usize,
    state: State,
    variables: BTreeMap<String, String>,
    live: bool,
    /// Has a place in a queue.
    queued: bool,
    keys: String,
    /// Steps since time has last passed, and failures since a step last succeeded.
    hurry: u32,
    failures: u32,
    /// Milliseconds that the flow has waited by its own steps.
    pub(crate) waited_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Something is asked that is answered at once.
    Asking,
    Announcing,
    Music,
    /// A menu's prompts play.
    Prompting,
    /// A menu awaits keys.
    Collecting,
    MayCallBack(Order),
    Confirming(Order),
    CallingBack(Order),
    Transferring,
    Waiting,
    Over,
}

/// Longest prompt, in milliseconds: an end that is not reported by then will not be.
const PROMPT_MS: u64 = 300_000;
/// Most steps in a row in which no time passes.
const HURRY: u32 = 100;
/// Most failures in a row.
const FAILURES: u32 = 20;

impl Run {
    /// A flow that begins with its first step.
    pub(crate) fn new(flow: FlowConfig, variables: BTreeMap<String, String>) -> Self {
        Self {
            flow,
            at: 0,
            state: State::Ready,
            variables,
            live: true,
            queued: false,
            keys: String::new(),
            hurry: 0,
            failures: 0,
            waited_ms: 0,
        }
    }

    /// The same flow, from behind the step with a caption, whose result was its default one. None when the flow has no such
    /// step.
    pub(crate) fn after(
        flow: FlowConfig,
        caption: &str,
        variables: BTreeMap<String, String>,
    ) -> Option<Self> {
        let at = flow.step(caption)?;
        Some(Self { at, queued: true, state: State::Asking, ..Self::new(flow, variables) })
    }

    /// The call is over: what needs one is refused from here on (QC-10), and the numbers are those of the call back (QC-06).
    pub(crate) fn called_back(mut self, number: String, caller_id: String) -> Self {
        self.let_go(number, caller_id);
        self
    }

    fn let_go(&mut self, number: String, caller_id: String) {
        self.live = false;
        self.set("ANI", number);
        self.set("DNIS", caller_id);
    }

    pub(crate) fn flow(&self) -> &str {
        &self.flow.name
    }

    /// Caption of the step where it is.
    pub(crate) fn caption(&self) -> &str {
        self.flow.steps.get(self.at).map_or("", |step| &step.caption)
    }

    /// Whether it waits for somebody whom the caller is passed on to.
    pub(crate) fn is_transferring(&self) -> bool {
        self.state == State::Transferring
    }

    fn action(&self) -> Option<&Action> {
        self.flow.steps.get(self.at).map(|step| &step.action)
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    pub(crate) fn set(&mut self, variable: &str, value: String) {
        self.variables.insert(variable.to_owned(), value);
    }

    /// Takes one event; what is to be done about it.
    pub(crate) fn handle(&mut self, event: Event) -> Option<Effect> {
        match (self.state.clone(), event) {
            (State::Over, _) => None,
            (State::Ready, Event::Begin) => self.enter(),
            (State::MayCallBack(order), Event::Done) => Some(self.confirm(order)),
            (State::CallingBack(order), Event::Done) => {
                self.let_go(order.number, order.caller_id);
                self.go(DEFAULT)
            }
            (State::Asking, Event::Done) => {
                self.queued = true;
                self.go(DEFAULT)
            }
            (State::Asking, Event::Estimated { wait_s, position }) => self.compare(wait_s, position),
            (State::Transferring, Event::NotReached(why)) => self.fail(why),
            (State::Confirming(order), Event::PlayEnded) => Some(self.call_back(order)),
            (State::Announcing, Event::PlayEnded) => self.pass(DEFAULT),
            (State::Music | State::Waiting, Event::Elapsed) => self.pass(DEFAULT),
            (State::Prompting, Event::PlayEnded) => Some(self.collect()),
            (State::Prompting | State::Collecting, Event::Key(key)) => self.key(key),
            (State::Collecting, Event::Elapsed) => self.finish_keys(),
            (State::Announcing | State::Prompting | State::Confirming(_), Event::Elapsed) => {
                self.fail("the prompt did not end".to_owned())
            }
            (
                State::Asking
                | State::Announcing
                | State::Music
                | State::Prompting
                | State::MayCallBack(_)
                | State::Confirming(_)
                | State::CallingBack(_),
                Event::Failed(why),
            ) => self.fail(why),
            // Late or doubled.
            (
                State::Ready
                | State::Asking
                | State::Announcing
                | State::Music
                | State::Prompting
                | State::Collecting
                | State::MayCallBack(_)
                | State::Confirming(_)
                | State::CallingBack(_)
                | State::Transferring
                | State::Waiting,
                _,
            ) => None,
        }
    }

    /// Begins the step where it is.
    fn enter(&mut self) -> Option<Effect> {
        self.hurry += 1;
        if self.hurry > HURRY || self.failures > FAILURES {
            return Some(self.end());
        }
        let Some(step) = self.flow.steps.get(self.at) else { return Some(self.end()) };
        let action = step.action.clone();
        if action.is_voice() && !self.live {
            return self.fail(format!("{} needs a call, and a callback has ended it", action.name()));
        }
        match self.begin(action) {
            Ok(effect) => effect,
            Err(why) => self.fail(why),
        }
    }

    fn begin(&mut self, action: Action) -> Result<Option<Effect>, String> {
        let (state, effect) = match action {
            Action::Announce { prompts } => {
                let prompts = self.sources(&prompts)?;
                (State::Announcing, Effect::Prompt { prompts, within_ms: PROMPT_MS })
            }
            Action::Menu { prompts, .. } => {
                self.keys.clear();
                let prompts = self.sources(&prompts)?;
                if prompts.is_empty() {
                    return Ok(Some(self.collect()));
                }
                (State::Prompting, Effect::Prompt { prompts, within_ms: PROMPT_MS })
            }
            Action::Music { file, seconds } => {
                let file = fill(&file, &self.variables)?;
                (State::Music, Effect::Music { file, ms: u64::from(seconds) * 1_000 })
            }
            Action::RequestAgent { queue, priority } => {
                (State::Asking, Effect::RequestAgent { queue, priority })
            }
            Action::EstimatedWait { .. } => (State::Asking, Effect::Estimate),
            Action::Callback(callback) => {
                let order = self.order(callback)?;
                (State::MayCallBack(order.clone()), Effect::MayCallBack(order))
            }
            Action::Transfer { number, agent } => {
                (State::Transferring, Effect::Transfer(self.other(&number, &agent)?))
            }
            Action::Wait { seconds } => {
                let ms = u64::from(seconds) * 1_000;
                self.waited_ms += ms;
                (State::Waiting, Effect::Time { ms })
            }
            Action::HangUp => (State::Over, Effect::HangUp),
            Action::Set { variable, value } => {
                let value = fill(&value, &self.variables)?;
                self.set(&variable, shorten(value));
                return Ok(self.go(DEFAULT));
            }
        };
        self.state = state;
        Ok(Some(effect))
    }

    /// What to play: files, and numbers to speak (`number:42`).
    fn sources(&self, prompts: &[String]) -> Result<Vec<PlaySource>, String> {
        let source = |prompt: &String| {
            let prompt = fill(prompt, &self.variables)?;
            let Some(number) = prompt.strip_prefix(SPOKEN) else { return Ok(PlaySource::File(prompt)) };
            match number.parse() {
                Ok(value @ 0..=SPOKEN_NUMBER) => Ok(PlaySource::Number { value, folder: String::new() }),
                _ => Err(format!("{prompt:?} cannot be spoken: a number is 0 to {SPOKEN_NUMBER}")),
            }
        };
        prompts.iter().map(source).collect()
    }

    fn other(&self, number: &str, agent: &str) -> Result<Other, String> {
        if number.is_empty() {
            return Ok(Other::Agent(AgentId(fill(agent, &self.variables)?)));
        }
        let number = fill(number, &self.variables)?;
        crate::flow::api::check_number("number", &number).map_err(|error| error.message)?;
        Ok(Other::Number(number))
    }

    fn order(&self, callback: CallbackAction) -> Result<Order, String> {
        if !self.queued {
            return Err("no agent has been requested: there is no place to keep".to_owned());
        }
        // A prompt that cannot be told is a mistake too, and found before anything is promised.
        fill(&callback.prompt, &self.variables)?;
        let number = fill(&callback.phone_number, &self.variables)?;
        let (number, extension) = split_extension(&number);
        if extension.is_none() && is_extension(number) {
            return Err(format!("{number} is an extension, which is never dialled automatically"));
        }
        crate::flow::api::check_number("phone_number", number).map_err(|error| error.message)?;
        let delay = fill(&callback.call_delay_s, &self.variables)?;
        let delay_s = delay.trim().parse().map_err(|_| format!("call_delay_s is no number: {delay}"))?;
        let caller_id = match fill(&callback.caller_id, &self.variables)?.trim() {
            "" => fill("{DNIS}", &self.variables)?,
            shown => shown.to_owned(),
        };
        Ok(Order {
            service: callback.service,
            number: number.to_owned(),
            extension: extension.map(str::to_owned),
            caller_id,
            delay_s,
        })
    }

    fn confirm(&mut self, order: Order) -> Effect {
        let prompt = if let Some(Action::Callback(callback)) = self.action() {
            fill(&callback.prompt, &self.variables).unwrap_or_default()
        } else {
            String::new()
        };
        if prompt.is_empty() {
            return self.call_back(order);
        }
        self.state = State::Confirming(order);
        Effect::Prompt { prompts: vec![PlaySource::File(prompt)], within_ms: PROMPT_MS }
    }

    fn call_back(&mut self, order: Order) -> Effect {
        self.state = State::CallingBack(order.clone());
        Effect::CallBack(order)
    }

    fn compare(&mut self, wait_s: Option<u64>, position: usize) -> Option<Effect> {
        self.set("EstimatedWait", wait_s.map(|seconds| seconds.to_string()).unwrap_or_default());
        let minutes = wait_s.map(|seconds| seconds.div_ceil(60).to_string());
        self.set("EstimatedWaitMinutes", minutes.unwrap_or_default());
        self.set("Position", position.to_string());
        let longer = if let Some(Action::EstimatedWait { longer_than_s }) = self.action() {
            wait_s.is_none_or(|seconds| seconds > u64::from(*longer_than_s))
        } else {
            false
        };
        self.go(if longer { LONGER } else { DEFAULT })
    }

    /// Most keys, terminator, milliseconds for each key and variable of the menu where it is.
    fn menu(&self) -> (usize, Option<char>, u64, String) {
        let Some(Action::Menu { digits, terminator, timeout_s, variable, .. }) = self.action() else {
            return (0, None, 0, String::new());
        };
        (usize::from(*digits), *terminator, u64::from(*timeout_s) * 1_000, variable.clone())
    }

    fn collect(&mut self) -> Effect {
        self.state = State::Collecting;
        Effect::Keys { ms: self.menu().2 }
    }

    fn key(&mut self, key: char) -> Option<Effect> {
        if !is_key(key) {
            return None;
        }
        let (most, terminator, _, _) = self.menu();
        if terminator == Some(key) {
            return self.finish_keys();
        }
        self.keys.push(key);
        if self.keys.len() >= most { self.finish_keys() } else { Some(self.collect()) }
    }

    fn finish_keys(&mut self) -> Option<Effect> {
        let keys = std::mem::take(&mut self.keys);
        let variable = self.menu().3;
        self.set(&variable, keys.clone());
        self.pass(if keys.is_empty() { TIMEOUT } else { &keys })
    }

    /// Time has passed: on with a result.
    fn pass(&mut self, result: &str) -> Option<Effect> {
        self.hurry = 0;
        self.go(result)
    }

    fn go(&mut self, result: &str) -> Option<Effect> {
        self.failures = 0;
        self.follow(result)
    }

    fn fail(&mut self, why: String) -> Option<Effect> {
        self.failures += 1;
        self.set("_ERR", shorten(why));
        self.follow(ON_ERROR)
    }

    fn follow(&mut self, result: &str) -> Option<Effect> {
        let next = self.flow.steps.get(self.at).and_then(|step| step.branch(result));
        let Some(next) = next.and_then(|caption| self.flow.step(caption)) else { return Some(self.end()) };
        self.at = next;
        self.enter()
    }

    fn end(&mut self) -> Effect {
        self.state = State::Over;
        Effect::End
    }
}

/// Splits what stands behind an extension's mark from a number: `+15550100x12`, `+15550100;ext=12`, `+15550100,12`.
fn split_extension(number: &str) -> (&str, Option<&str>) {
    let number = number.trim();
    let Some(at) = number.find([';', ',', 'x', 'X', 'e']) else { return (number, None) };
    let (plain, rest) = number.split_at(at);
    let mark = |char: char| !char.is_ascii_digit();
    let extension = rest.trim_start_matches(mark);
    let digits = !extension.is_empty() && extension.chars().all(|char| char.is_ascii_digit());
    if digits && !plain.trim().is_empty() { (plain.trim(), Some(extension)) } else { (number, None) }
}

/// Whether a number is one of a house's own: a few digits, without `+`.
fn is_extension(number: &str) -> bool {
    !number.starts_with('+') && number.len() <= EXTENSION_DIGITS
}

/// Longest number that counts as an extension.
const EXTENSION_DIGITS: usize = 5;

/// Within what the journal keeps of a variable.
fn shorten(mut text: String) -> String {
    let end = text.char_indices().nth(VALUE_CHARS).map_or(text.len(), |(at, _)| at);
    text.truncate(end);
    text
}

/// Longest value of a variable, in characters.
const VALUE_CHARS: usize = 256;
