//! The shell around the core: it performs outputs in order, after their records are durable, and may die at any instant.

use std::collections::{BTreeMap, BTreeSet};

use offhook_control_core::compact::Compactor;
use offhook_control_core::record::Fact;
use offhook_control_core::view::Notification;
use offhook_control_core::{Core, EngineId, Input, Key, Output, Record};
use rand::RngExt as _;

use super::network::{Peer, PeerAct, PeerState, Who};
use super::world::{Happening, SECOND, World};

pub(super) struct Shell {
    pub(super) core: Option<Core>,
    /// Counts lives of the process.
    pub(super) run: u64,
    /// When the present life began.
    pub(super) started_us: u64,
    /// When the last life ended.
    pub(super) crashed_us: u64,
    /// Engines that it has heard in this life, each with the engine's life.
    pub(super) heard: BTreeMap<EngineId, u64>,
    /// What survives.
    pub(super) journal: Vec<Record>,
    /// Written, not durable: with the batch that makes it so.
    unsynced: Vec<(u64, Record)>,
    /// Outputs that wait for a batch.
    waiting: Vec<(u64, Output)>,
    pending_keys: BTreeMap<Key, u32>,
    batch: u64,
    last_flush_us: u64,
}

impl Shell {
    pub(super) fn new(core: Core) -> Self {
        Self {
            core: Some(core),
            run: 0,
            started_us: 0,
            crashed_us: 0,
            heard: BTreeMap::new(),
            journal: Vec::new(),
            unsynced: Vec::new(),
            waiting: Vec::new(),
            pending_keys: BTreeMap::new(),
            batch: 0,
            last_flush_us: 0,
        }
    }

    /// Nothing waits for the disk.
    pub(super) fn is_durable(&self) -> bool {
        self.unsynced.is_empty() && self.waiting.is_empty()
    }

    /// All records of which control knows, durable or not.
    pub(super) fn written(&self) -> impl Iterator<Item = &Record> {
        self.journal.iter().chain(self.unsynced.iter().map(|(_, record)| record))
    }
}

impl World {
    pub(super) fn start_control(&mut self) {
        let now = self.now();
        self.shell.run += 1;
        self.shell.started_us = self.now_us;
        self.shell.heard.clear();
        self.network_after_start();
        self.forget_tick();
        let seed = self.rng.random();
        let mut core = Core::new(self.config.clone(), seed);
        for record in self.compacted() {
            core.replay(record.clone());
        }
        // Slow, so not each time.
        if !self.shell.journal.is_empty() && self.shell.journal.len().is_multiple_of(8) {
            let mut full = Core::new(self.config.clone(), seed);
            self.shell.journal.iter().for_each(|record| full.replay(record.clone()));
            let (short, full) = (format!("{core:?}"), format!("{full:?}"));
            assert_eq!(short, full, "what compaction left out was needed: {:#?}", self.shell.journal);
        }
        core.observe();
        if let Some(mutation) = self.mutation {
            core.mutate(mutation);
        }
        core.start(now);
        self.trace(|| "control starts".to_owned());
        let mut rest = Vec::new();
        while let Some(output) = core.poll_output() {
            match output {
                // Durable before anything else happens.
                Output::Record(record) => {
                    self.judge_booking(&record.fact);
                    self.append(record);
                }
                output => rest.push(output),
            }
        }
        self.shell.core = Some(core);
        for output in rest {
            if let Output::Notify(notification) = &output {
                self.order_note(notification);
                self.note_booking(notification);
            }
            self.perform(output);
        }
        self.judge_order();
        self.open_links();
        for engine in self.engine_ids() {
            if self.engine(engine).is_reachable() {
                let delay = self.between_ms(1, 50);
                self.tell_up(engine, delay);
            }
        }
        self.users_after_start();
        self.oracle.order.trunk_open = !self.config.trunk_watched;
        self.look_at_trunk();
        self.wake();
    }

    /// The journal without what later records made void.
    fn compacted(&self) -> impl Iterator<Item = &Record> {
        let mut compactor = Compactor::default();
        for (seq, record) in (0..).zip(&self.shell.journal) {
            compactor.note(seq, record);
        }
        let dead: BTreeSet<u64> = compactor.take_dead().into_iter().collect();
        (0..).zip(&self.shell.journal).filter(move |(seq, _)| !dead.contains(seq)).map(|(_, record)| record)
    }

    pub(super) fn crash_control(&mut self) {
        let Some(mut core) = self.shell.core.take() else { return };
        for (transition, count) in core.take_transitions() {
            *self.outcome.transitions.entry(transition).or_default() += count;
        }
        self.outcome.crashes += 1;
        self.shell.crashed_us = self.now_us;
        self.oracle.disturbed_us = self.now_us;
        self.shell.run += 1;
        self.forget_tick();
        // Some of what was written may have reached the disk.
        let lucky = self.rng.random_range(0..self.shell.unsynced.len() + 1);
        let survivors: Vec<Record> =
            self.shell.unsynced.drain(..).take(lucky).map(|(_, record)| record).collect();
        self.trace(|| format!("control crashes; {lucky} unsynced records survive"));
        for record in survivors {
            self.append(record);
        }
        self.shell.waiting.clear();
        self.shell.pending_keys.clear();
        self.ledger_after_crash();
        // What was not carried out when it died is not carried out: the customer is back with whoever had them.
        self.oracle.passed.clear();
        self.judge_control_crash();
        self.order_after_crash();
        self.bookings_after_crash();
        self.cut_links();
        self.network_after_crash();
        let pause = self.between_ms(50, 3_000) + if self.silence_a_phone() { 5 * SECOND } else { 0 };
        self.after(pause, Happening::ControlStart);
    }

    /// Now and then an agent's phone dies with control, which is away for so long that it hears of no silence.
    fn silence_a_phone(&mut self) -> bool {
        let is_up = |peer: &Peer| matches!(peer.who, Who::Phone(_)) && peer.state == PeerState::Up;
        let mut phones = self.network.peers.iter().filter(|(_, peer)| is_up(peer) && peer.dead_us.is_none());
        let Some(call) = phones.next().map(|(call, _)| *call) else { return false };
        let dies = self.chance(15);
        if dies {
            self.after(0, Happening::Peer { call, act: PeerAct::Die });
        }
        dies
    }

    fn append(&mut self, record: Record) {
        self.trace(|| format!("journal {:?}", record.fact));
        self.judge_record(&record.fact);
        if let Fact::Dialog { call, .. } = &record.fact {
            self.network_snapshot_durable(*call);
        }
        self.shell.journal.push(record);
    }

    /// Control takes one input, unless it has died since it was sent.
    pub(super) fn hear(&mut self, run: u64, input: Input) {
        if run != self.shell.run || self.shell.core.is_none() {
            return;
        }
        self.trace(|| format!("  in {input:?}"));
        self.judge_input(&input);
        self.ledger_input(&input);
        let now = self.now();
        self.outcome.steps += 1;
        let Some(core) = &mut self.shell.core else { return };
        core.handle(now, input);
        self.drain();
        self.wake();
    }

    fn wake(&mut self) {
        let due = self.shell.core.as_ref().and_then(Core::poll_timeout);
        self.set_tick(due);
    }

    fn drain(&mut self) {
        let mut blocked = None;
        while let Some(output) = self.shell.core.as_mut().and_then(Core::poll_output) {
            if let Output::Record(record) = output {
                let batch = *blocked.get_or_insert_with(|| self.shell.batch + 1);
                let key = record.key();
                self.trace(|| format!("  write {:?}", record.fact));
                self.judge_decision(&record.fact);
                self.ledger_decision(&record.fact);
                self.judge_trunk(&record.fact);
                self.order_decision(&record.fact);
                self.judge_booking(&record.fact);
                self.shell.unsynced.push((batch, record));
                *self.shell.pending_keys.entry(key).or_default() += 1;
                continue;
            }
            if let Output::Notify(notification) = &output {
                self.order_note(notification);
                self.note_booking(notification);
            }
            if let Output::Notify(Notification::Call(view)) = &output {
                self.judge_call_view(view);
            }
            if let Output::Reply { reply, .. } = &output {
                self.judge_refusal(reply);
            }
            let key = output.key();
            let waits = |key: &Key| *key != Key::None && self.shell.pending_keys.contains_key(key);
            let behind = waits(&key) || output.after().as_ref().is_some_and(waits);
            match blocked {
                Some(batch) => self.wait_for(batch, key, output),
                None if behind => self.wait_for(self.shell.batch, key, output),
                None => self.perform(output),
            }
        }
        self.judge_order();
        if let Some(batch) = blocked {
            self.shell.batch = batch;
            let delay = self.rng.random_range(200..20_000_u64);
            // Batches become durable in order.
            let at = (self.now_us + delay).max(self.shell.last_flush_us);
            self.shell.last_flush_us = at;
            let run = self.shell.run;
            self.at(at, Happening::Durable { run, batch });
        }
    }

    fn wait_for(&mut self, batch: u64, key: Key, output: Output) {
        if key != Key::None {
            *self.shell.pending_keys.entry(key).or_default() += 1;
        }
        self.shell.waiting.push((batch, output));
    }

    pub(super) fn on_durable(&mut self, run: u64, batch: u64) {
        if run != self.shell.run {
            return;
        }
        let unsynced = std::mem::take(&mut self.shell.unsynced);
        for (at, record) in unsynced {
            if at <= batch {
                self.unkey(&record.key());
                self.append(record);
            } else {
                self.shell.unsynced.push((at, record));
            }
        }
        let waiting = std::mem::take(&mut self.shell.waiting);
        for (at, output) in waiting {
            if at <= batch {
                self.unkey(&output.key());
                self.perform(output);
            } else {
                self.shell.waiting.push((at, output));
            }
        }
    }

    fn unkey(&mut self, key: &Key) {
        if let Some(count) = self.shell.pending_keys.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.shell.pending_keys.remove(key);
            }
        }
    }

    fn perform(&mut self, output: Output) {
        let run = self.shell.run;
        if let Output::Engine { request, command, .. } = &output {
            self.ledger_command(*request, command);
        }
        match output {
            Output::Record(record) => self.append(record),
            Output::Sip { call, command } => {
                self.trace(|| format!("  sip {call} {command:?}"));
                self.judge_command(call, &command);
                let delay = self.rng.random_range(100..30_000_u64);
                let delay = self.network_in_order(call, delay);
                self.after(delay, Happening::Signal { run, call, command });
            }
            Output::Engine { engine, request, key: _, command } if self.wire.is_some() => {
                self.send_command(engine, request, command);
            }
            Output::Engine { engine, request, key: _, command } => {
                let delay = self.rng.random_range(50..5_000_u64);
                self.after(delay, Happening::Command { run, engine, request, command });
            }
            Output::Reply { op, reply } => self.on_reply(op, &reply),
            Output::Notify(notification) => self.on_notification(notification),
            Output::Push { body, .. } => self.on_push(&body),
            Output::Webhook { .. } => {}
        }
    }
}
