//! The root: requests in, commands to the engine and replies out.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use offhook_proto::{Command, Error, Reply, frame};

use crate::call::Call;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::limits::TRANSACTIONS;
use crate::replies::{Asker, Replies, Sighting};
use crate::transaction::{Plan, Then, Transaction};
use crate::value::Dict;
use crate::{bencode, json};

/// What [`Ng`] needs to know at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The engine's media addresses by name; at least one, and the first is the default.
    pub interfaces: Vec<(String, IpAddr)>,
    /// The engine's prompt directory, whose path clients may write before the name of a file.
    pub prompts: Option<String>,
    /// The engine's recording directory, likewise.
    pub recordings: Option<String>,
    /// Wall-clock time at start, in seconds since 1970.
    pub unix_s: u64,
    /// Seed of the keys that SRTP is offered with: from a source fit for keys.
    pub seed: [u8; 32],
    /// Seconds from a `delete` to the end of the media, unless the request says otherwise.
    pub delete_delay_s: u64,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// The sender of a datagram.
    Udp(SocketAddr),
    /// A stream, by a number that is never used twice.
    Stream(u64),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a reply: `cookie SP dictionary`.
    Send {
        /// Receiver.
        to: Peer,
        /// The reply.
        datagram: Vec<u8>,
    },
    /// Have the engine execute a command, in order, and answer with [`Ng::handle_reply`].
    Ask {
        /// What to answer to.
        step: u64,
        /// The command.
        command: Command,
    },
}

/// How a request was written; its reply is written likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Bencode,
    Json,
}

/// The calls of all clients.
#[derive(Debug)]
pub struct Ng {
    pub(crate) config: Config,
    /// Time of the last input.
    pub(crate) now: Duration,
    pub(crate) calls: BTreeMap<Vec<u8>, Call>,
    replies: Replies,
    transactions: BTreeMap<u64, Transaction>,
    /// Which transaction a step belongs to, and its place there.
    steps: HashMap<u64, (u64, usize)>,
    /// When to look at which call.
    pub(crate) timers: BTreeSet<(Duration, Vec<u8>)>,
    pub(crate) next_number: u64,
    pub(crate) totals: Totals,
    pub(crate) random: ChaCha20Rng,
    /// What descriptions are marked with that have passed this engine.
    pub(crate) mark: String,
    outputs: VecDeque<Output>,
}

/// Counters since start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) rejected: u64,
    pub(crate) timed_out: u64,
    pub(crate) terminated: u64,
    pub(crate) answers_dropped: u64,
}

impl Ng {
    /// Without calls.
    ///
    /// # Panics
    /// When there is no interface.
    pub fn new(config: Config) -> Self {
        assert!(!config.interfaces.is_empty(), "an engine has a media address");
        let mut random = ChaCha20Rng::from_seed(config.seed);
        Self {
            mark: format!("{:016x}", random.next_u64()),
            random,
            config,
            now: Duration::ZERO,
            calls: BTreeMap::new(),
            replies: Replies::default(),
            transactions: BTreeMap::new(),
            steps: HashMap::new(),
            timers: BTreeSet::new(),
            next_number: 0,
            totals: Totals::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one request, `cookie SP dictionary`. One without a cookie is ignored.
    pub fn handle_datagram(&mut self, now: Duration, peer: Peer, datagram: &[u8]) {
        self.now = now;
        let Ok((cookie, dictionary)) = frame::split(datagram) else { return };
        let (encoding, dict) = match dictionary.first() {
            Some(b'd') => {
                (Encoding::Bencode, bencode::parse(dictionary).ok_or("Could not decode bencode dictionary"))
            }
            Some(b'{') => (Encoding::Json, json::parse(dictionary).ok_or("Failed to parse JSON document")),
            _ => (Encoding::Bencode, Err("Invalid NG data format")),
        };
        if dict.as_ref().is_ok_and(is_answer) {
            self.totals.answers_dropped += 1;
            return;
        }
        let asker = Asker { peer, cookie: cookie.into() };
        match self.replies.see(now, &asker) {
            Sighting::UnderWay => return,
            Sighting::Answered(datagram) => {
                return self.outputs.push_back(Output::Send { to: peer, datagram });
            }
            Sighting::New => {}
        }
        let mut transaction = Transaction::new(Some(asker), encoding);
        let plan = dict.map_err(Failure::error).and_then(|dict| {
            let flags = Flags::of(&dict);
            transaction.supports_load_limit = flags.supports_load_limit();
            transaction.warning = flags.warning();
            self.execute(&dict)
        });
        self.begin(transaction, plan);
    }

    /// Takes the engine's answer to an [`Output::Ask`].
    pub fn handle_reply(&mut self, now: Duration, step: u64, reply: Reply) {
        self.now = now;
        let Some((number, place)) = self.steps.remove(&step) else { return };
        let Some(transaction) = self.transactions.get_mut(&number) else { return };
        let result = match reply {
            Reply::Ok(body) => Ok(body),
            Reply::Error(error) => Err(error),
        };
        if transaction.on_result(place, result)
            && let Some(transaction) = self.transactions.remove(&number)
        {
            self.finish(transaction);
        }
    }

    /// Dictionaries that were answers of some engine and no requests: to answer them would have no end.
    pub fn answers_dropped(&self) -> u64 {
        self.totals.answers_dropped
    }

    /// When to call [`Ng::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        while let Some((due, _)) = self.timers.first()
            && *due <= now
        {
            let Some((_, call_id)) = self.timers.pop_first() else { return };
            self.look_at(&call_id);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn execute(&mut self, dict: &Dict) -> Result<Plan, Failure> {
        let command =
            dict.text("command").ok_or_else(|| Failure::error("Dictionary contains no key \"command\""))?;
        if self.transactions.len() >= TRANSACTIONS {
            return Err(Failure::LoadLimit(crate::failure::LOAD_LIMIT));
        }
        let flags = Flags::of(dict);
        flags.refuse()?;
        match command {
            "ping" => Ok(Plan::answered(Dict::default().with("result", "pong"))),
            "offer" | "answer" if flags.has("loop-protect") && flags.sdp()?.is_marked(&self.mark) => {
                let untouched = dict.bytes("sdp").unwrap_or_default().to_vec();
                Ok(Plan::answered(Dict::default().with("sdp", untouched).with("result", "ok")))
            }
            "offer" => self.offer(&flags),
            "answer" => self.answer(&flags),
            "delete" => self.delete(&flags),
            "query" => self.query(&flags),
            "list" => Ok(self.list(dict)),
            "statistics" => Ok(Plan::new(vec![Command::Statistics], Then::Statistics)),
            "play media" => self.play_media(dict, &flags),
            "stop media" => self.stop_media(&flags),
            "play DTMF" => self.play_dtmf(dict, &flags),
            "block media" => self.block_media(&flags, true),
            "unblock media" => self.block_media(&flags, false),
            "silence media" => self.silence_media(&flags, true),
            "unsilence media" => self.silence_media(&flags, false),
            "block DTMF" => self.block_dtmf(&flags, true),
            "unblock DTMF" => self.block_dtmf(&flags, false),
            "publish" => self.publish(&flags),
            "subscribe request" => self.subscribe_request(dict, &flags),
            "subscribe answer" => self.subscribe_answer(&flags),
            "unsubscribe" => self.unsubscribe(&flags),
            "connect" => self.connect(dict, &flags),
            "mesh" => self.mesh(&flags),
            "create" => self.create(&flags),
            "create answer" => self.create_answer(&flags),
            "transform" => self.transform(dict, &flags),
            "start recording" => self.start_recording(&flags),
            "pause recording" => self.pause_recording(&flags),
            "stop recording" if flags.has("pause") => self.pause_recording(&flags),
            "stop recording" => self.stop_recording(&flags),
            known if UNSUPPORTED.contains(&known) => Err(Failure::error(format!("{known} is not supported"))),
            _ => Err(Failure::error("Unrecognized command")),
        }
    }

    /// Sends a plan's commands to the engine, or finishes at once when there are none.
    pub(crate) fn begin(&mut self, mut transaction: Transaction, plan: Result<Plan, Failure>) {
        let plan = match plan {
            Ok(plan) => plan,
            Err(failure) => return self.reply(&transaction, failure.reply(transaction.supports_load_limit)),
        };
        transaction.then = plan.then;
        transaction.expect(plan.commands.len());
        if plan.commands.is_empty() {
            return self.finish(transaction);
        }
        let number = self.next_number();
        for (place, command) in plan.commands.into_iter().enumerate() {
            let step = self.next_number();
            self.steps.insert(step, (number, place));
            self.outputs.push_back(Output::Ask { step, command });
        }
        self.transactions.insert(number, transaction);
    }

    fn finish(&mut self, mut transaction: Transaction) {
        let results = std::mem::take(&mut transaction.results);
        let results: Vec<_> = results.into_iter().flatten().collect();
        let then = std::mem::replace(&mut transaction.then, Then::Nothing);
        let reply = match then {
            Then::Nothing => return,
            Then::Reply(dict) => Ok(dict),
            Then::Check(dict) => first_error(&results).map_or(Ok(dict), |error| Err(error.into())),
            Then::Taken(call_id) => self.finish_taken(&call_id, &results),
            Then::Rewrite(rewrite) => self.finish_rewrite(&rewrite, &results),
            Then::Opening(opening) => self.finish_opening(&opening, &results),
            Then::Transform(transforming) => self.finish_transform(&transforming, &results),
            Then::Query(snapshot) => Ok(snapshot.filled(&results)),
            Then::Look(call_id) => return self.finish_look(&call_id, &results),
            Then::Statistics => self.finish_statistics(&results),
            Then::Play => Self::finish_play(&results),
            Then::Stop => Self::finish_stop(&results),
            Then::Recording(call_id, started) => self.finish_recording(&call_id, &started, &results),
        };
        let supports_load_limit = transaction.supports_load_limit;
        let reply = reply.unwrap_or_else(|failure| failure.reply(supports_load_limit));
        self.reply(&transaction, reply);
    }

    fn reply(&mut self, transaction: &Transaction, mut dict: Dict) {
        let Some(asker) = &transaction.asker else { return };
        if let Some(warning) = &transaction.warning
            && dict.text("result") == Some("ok")
            && dict.find("warning").is_none()
        {
            dict.put("warning", warning.as_str());
        }
        let mut datagram = asker.cookie.as_bytes().to_vec();
        datagram.push(b' ');
        match transaction.encoding {
            Encoding::Bencode => bencode::write(&dict, &mut datagram),
            Encoding::Json => json::write(&dict, &mut datagram),
        }
        self.replies.keep(asker, &datagram);
        self.outputs.push_back(Output::Send { to: asker.peer, datagram });
    }

    /// A number that is never used twice.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The media address of an interface's name, of an address written out, or else the default; of the right IP version.
    pub(crate) fn local_address(&self, name: Option<&str>, ipv6: bool) -> Result<IpAddr, Failure> {
        let fits = |address: &&(String, IpAddr)| address.1.is_ipv6() == ipv6;
        let named = |(known, address): &&(String, IpAddr)| {
            name.is_some_and(|name| known == name || address.to_string() == name)
        };
        let interfaces = &self.config.interfaces;
        interfaces
            .iter()
            .find(|one| named(one) && fits(one))
            .or_else(|| interfaces.iter().find(fits))
            .map(|(_, address)| *address)
            .ok_or_else(|| {
                let version = if ipv6 { 6 } else { 4 };
                Failure::error(format!("No media address of IPv{version} on this engine"))
            })
    }
}

fn is_answer(dict: &Dict) -> bool {
    dict.find("result").is_some() && dict.find("command").is_none()
}

/// The first refusal among the engine's answers.
pub(crate) fn first_error(results: &[Result<Body, Error>]) -> Option<&Error> {
    results.iter().find_map(|result| result.as_ref().err())
}

/// The body of a success.
pub(crate) type Body = serde_json::Map<String, serde_json::Value>;

/// Whether a dictionary is a request of this family rather than of the native one: everything in bencode, and what JSON
/// names a command of this family. `ping` and `statistics` in JSON are native.
pub fn speaks_ng(dictionary: &[u8]) -> bool {
    match dictionary.first() {
        Some(b'd') => true,
        Some(b'{') => json::parse(dictionary).is_some_and(|dict| match dict.text("command") {
            Some("unsubscribe") => dict.find("call-id").is_some(),
            Some(command) => SUPPORTED.contains(&command) || UNSUPPORTED.contains(&command),
            None => false,
        }),
        _ => false,
    }
}

/// Commands that the engine's own family does not have.
const SUPPORTED: [&str; 25] = [
    "mesh",
    "create",
    "create answer",
    "transform",
    "publish",
    "subscribe request",
    "subscribe answer",
    "start recording",
    "stop recording",
    "pause recording",
    "connect",
    "offer",
    "answer",
    "delete",
    "query",
    "list",
    "play media",
    "stop media",
    "play DTMF",
    "block media",
    "unblock media",
    "silence media",
    "unsilence media",
    "block DTMF",
    "unblock DTMF",
];

/// rtpengine's commands that this engine refuses by name.
const UNSUPPORTED: [&str; 3] = ["start forwarding", "stop forwarding", "cli"];
