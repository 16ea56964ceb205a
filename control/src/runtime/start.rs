//! Start-up: the journal is replayed, sockets are opened, agents of the configuration are put in place.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::bail;
use offhook_control_core::api::{AgentBody, ApiReply, ApiRequest};
use offhook_control_core::compact::Compactor;
use offhook_control_core::record::{AgentProfile, Fact};
use offhook_control_core::{AgentId, Core, EngineId, Input, OpId};
use tokio::sync::{mpsc, oneshot, watch};

use super::gate::Gate;
use super::replay::replay;
use super::{Ask, Inbox, Progress, Runtime, VOID_RECORDS};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::EngineLink;
use crate::feed::Feed;
use crate::passwords::Passwords;
use crate::sip::{SipConfig, SipPort};
use crate::webhook::Webhooks;

/// The way in for HTTP and for whoever re-reads the configuration.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) feed: Arc<Feed>,
}

impl Runtime {
    /// Replays the journal, starts SIP and the engine's client, opens this run and puts the configured agents in place.
    ///
    /// # Errors
    /// When the journal cannot be used, or an address cannot be bound.
    pub(crate) async fn start(config: &Config, clock: Clock) -> anyhow::Result<(Self, Inbox, Doors)> {
        let mut core = Core::new(config.core.clone(), rand::random());
        let passwords = Arc::new(Passwords::default());
        let (progress_sender, progress) = watch::channel(Progress::default());
        let mut known = HashMap::new();
        let mut compactor = Compactor::default();
        let mut void = Vec::new();
        let mut journal = replay(&config.journal, progress_sender, |seq, record| {
            passwords.note(&record);
            compactor.note(seq, &record);
            if compactor.dead() >= VOID_RECORDS {
                void.push(compactor.take_dead());
            }
            if let Fact::AgentSaved(profile) = &record.fact {
                known.insert(profile.id.clone(), profile.as_ref().clone());
            }
            core.replay(record);
        })?;
        for void in void {
            // What finds no room is found again at the next start.
            let _ = journal.remove(void);
        }
        let (input_sender, inputs) = mpsc::channel(INPUTS);
        let (ask_sender, asks) = mpsc::channel(ASKS);
        let sip = SipPort::start(sip_config(config, clock, &passwords), input_sender.clone()).await?;
        let mut engines = Vec::with_capacity(config.engines.len());
        for (id, engine) in (0..).map(EngineId).zip(&config.engines) {
            let controller = &config.core.controller;
            engines.push(EngineLink::start(id, engine, controller, input_sender.clone()).await?);
        }
        let feed = Arc::new(Feed::new(clock.now().unix_ms));
        let next_seq = journal.next_seq();
        let mut runtime = Self {
            core,
            clock,
            next_seq,
            journal,
            backlog: std::collections::VecDeque::new(),
            compactor,
            keep_ms: super::keep_ms(&config.core),
            gate: Gate::new(next_seq - 1),
            stalled: None,
            sip,
            calls: std::collections::BTreeSet::new(),
            engines,
            answers: HashMap::new(),
            next_op: 0,
            feed: Arc::clone(&feed),
            passwords,
            webhooks: Webhooks::start(),
            taken_up: false,
            closing: false,
        };
        runtime.core.start(clock.now());
        runtime.drain();
        let mut inbox = Inbox { inputs, asks, progress: progress.clone() };
        runtime.await_journal(&mut inbox).await?;
        for (id, body) in &config.agents {
            if !known.get(id).is_some_and(|profile| is_saved(profile, id, body)) {
                runtime.put_agent(id, body);
            }
        }
        let doors = Doors { asks: ask_sender, inputs: input_sender, progress, feed };
        Ok((runtime, inbox, doors))
    }

    /// Address and port of SIP.
    pub(crate) fn sip_addr(&self) -> std::net::SocketAddr {
        self.sip.local_addr()
    }

    /// The record that opens this run has to be on disk before the core may be told anything.
    async fn await_journal(&mut self, inbox: &mut Inbox) -> anyhow::Result<()> {
        while !self.gate.is_empty() {
            inbox.progress.changed().await?;
            self.on_progress(inbox);
            if let Some(reason) = &self.stalled {
                bail!("the journal cannot be written: {reason}");
            }
        }
        Ok(())
    }

    fn put_agent(&mut self, id: &AgentId, body: &AgentBody) {
        self.next_op += 1;
        let op = OpId(self.next_op);
        let (answer, answered) = oneshot::channel();
        self.answers.insert(op, answer);
        self.step(Input::Api { op, request: ApiRequest::PutAgent(id.clone(), body.clone()) });
        let agent = id.clone();
        tokio::spawn(async move {
            if let Ok(ApiReply::Error(error)) = answered.await {
                tracing::error!(%agent, reason = error.message, "an agent of the configuration is refused");
            }
        });
    }
}

fn sip_config(config: &Config, clock: Clock, passwords: &Arc<Passwords>) -> SipConfig {
    let credentials = Arc::clone(passwords) as Arc<dyn crate::sip::Credentials>;
    SipConfig {
        advertise: config.sip.advertise,
        media: config.core.media.clone(),
        trunk: config.trunk.clone(),
        session_expires_s: config.sip.session_expires_s,
        options_every_s: config.sip.options_every_s,
        dscp: config.sip.dscp,
        digests: config.sip.digests.clone(),
        bindings: config.sip.bindings.clone(),
        takes_up: true,
        srtp: config.sip.srtp,
        ..SipConfig::new(config.sip.listen, &config.sip.realm, credentials, Arc::new(move || clock.now()))
    }
}

/// Whether the journal says of an agent what the configuration says.
fn is_saved(profile: &AgentProfile, id: &AgentId, body: &AgentBody) -> bool {
    let AgentBody { name, skills, station, group, persistent, auto_accept, pin, password } = body;
    profile.name == *name.as_ref().unwrap_or(&id.0)
        && profile.skills == *skills
        && profile.station == *station
        && profile.group == *group
        && (profile.persistent, profile.auto_accept, profile.pin) == (*persistent, *auto_accept, *pin)
        && (password.is_none() || profile.password == *password)
}

/// Inputs of SIP and engine that may wait for the core.
const INPUTS: usize = 16_384;
/// API requests that may wait for the core; above it, they get 503.
const ASKS: usize = 1_024;
