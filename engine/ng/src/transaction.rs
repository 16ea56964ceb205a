//! One request that waits for the engine.

use offhook_proto::{Command, Error};

use crate::offer::Rewrite;
use crate::query::Snapshot;
use crate::replies::Asker;
use crate::root::{Body, Encoding};
use crate::solo::Opening;
use crate::transform::Transforming;
use crate::value::Dict;

/// What a request comes to: commands for the engine, and what is made of their answers.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) commands: Vec<Command>,
    pub(crate) then: Then,
}

/// What is made of the engine's answers.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// A reply that does not depend on them.
    Reply(Dict),
    /// A reply, unless one of them is an error.
    Check(Dict),
    /// A party's answer has taken effect, unless one of them is an error.
    Taken(Vec<u8>),
    /// A session description.
    Rewrite(Box<Rewrite>),
    /// A description of the engine's own.
    Opening(Box<Opening>),
    /// Where transformed media is received.
    Transform(Box<Transforming>),
    /// A call's state.
    Query(Box<Snapshot>),
    /// Whether a call still has media.
    Look(Vec<u8>),
    /// The engine's figures.
    Statistics,
    /// How long it plays.
    Play,
    /// Where it was stopped.
    Stop,
    /// Whether these legs of a call are recorded from now on.
    Recording(Vec<u8>, Vec<String>),
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// Who is answered; nobody when a timer asks.
    pub(crate) asker: Option<Asker>,
    pub(crate) encoding: Encoding,
    pub(crate) supports_load_limit: bool,
    /// What of the request is ignored.
    pub(crate) warning: Option<String>,
    pub(crate) then: Then,
    pub(crate) results: Vec<Option<Result<Body, Error>>>,
    missing: usize,
}

impl Plan {
    pub(crate) fn new(commands: Vec<Command>, then: Then) -> Self {
        Self { commands, then }
    }

    /// Nothing to ask the engine.
    pub(crate) fn answered(dict: Dict) -> Self {
        Self::new(Vec::new(), Then::Reply(dict))
    }

    /// Success, when the commands succeed.
    pub(crate) fn checked(commands: Vec<Command>) -> Self {
        Self::new(commands, Then::Check(Dict::default().with("result", "ok")))
    }
}

impl Transaction {
    pub(crate) fn new(asker: Option<Asker>, encoding: Encoding) -> Self {
        let (then, results) = (Then::Nothing, Vec::new());
        Self { asker, encoding, supports_load_limit: false, warning: None, then, results, missing: 0 }
    }

    pub(crate) fn expect(&mut self, answers: usize) {
        self.missing = answers;
        self.results.resize_with(answers, || None);
    }

    /// Takes one answer. True when it was the last.
    pub(crate) fn on_result(&mut self, place: usize, result: Result<Body, Error>) -> bool {
        if let Some(slot @ None) = self.results.get_mut(place) {
            *slot = Some(result);
            self.missing -= 1;
        }
        self.missing == 0
    }
}
