//! The write-ahead rule: what may be done now, and what waits for the disk.
//!
//! Within one step everything after a record waits for that record, and nothing overtakes what comes before it. Between steps
//! only what belongs to the same [`Lane`] keeps its order, so that nobody waits for somebody else's record.

use std::collections::{BTreeMap, HashMap};

use offhook_control_core::view::Notification;
use offhook_control_core::{Key, Output, Record};

/// Outputs in front of which the journal has to catch up.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Everything up to this record is on disk.
    durable: u64,
    /// By the record that they wait for, then by age.
    held: BTreeMap<(u64, u64), Held>,
    /// For each lane the last record that something in it waits for.
    lanes: HashMap<Lane, u64>,
    /// The record of [`Key::All`], for which everybody waits.
    everybody: u64,
    count: u64,
}

/// What came of one step.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// To do at once, in order.
    pub(crate) due: Vec<Output>,
    /// To append as one group.
    pub(crate) records: Vec<Record>,
}

#[derive(Debug)]
enum Held {
    Output(Lane, Box<Output>),
    Record(Lane),
}

/// Whose order an output belongs to. Live events have lanes of their own: one per object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    Key(Key),
    Topic(&'static str, String),
}

impl Gate {
    /// Nothing waits; everything up to `durable` is on disk.
    pub(crate) fn new(durable: u64) -> Self {
        Self { durable, ..Self::default() }
    }

    /// Sorts the outputs of one step. `next_seq` is the number that its first record will get.
    pub(crate) fn step(&mut self, next_seq: u64, outputs: impl Iterator<Item = Output>) -> Step {
        let mut step = Step::default();
        let mut wait = self.everybody;
        for output in outputs {
            let lane = Lane::of(&output);
            if let Output::Record(record) = output {
                wait = next_seq + step.records.len() as u64;
                if lane == Lane::Key(Key::All) {
                    self.everybody = wait;
                }
                step.records.push(record);
                self.hold(wait, Held::Record(lane));
                continue;
            }
            let after = output.after().map(Lane::Key);
            for lane in [Some(&lane), after.as_ref()].into_iter().flatten() {
                wait = wait.max(self.lanes.get(lane).copied().unwrap_or(0));
            }
            if wait <= self.durable {
                step.due.push(output);
            } else {
                self.hold(wait, Held::Output(lane, Box::new(output)));
            }
        }
        step
    }

    /// The journal has caught up to `durable`: what may be done now, in order.
    pub(crate) fn advance(&mut self, durable: u64) -> Vec<Output> {
        self.durable = self.durable.max(durable);
        let later = self.held.split_off(&(self.durable + 1, 0));
        let released = std::mem::replace(&mut self.held, later);
        let mut due = Vec::new();
        for held in released.into_values() {
            let lane = match held {
                Held::Record(lane) => lane,
                Held::Output(lane, output) => {
                    due.push(*output);
                    lane
                }
            };
            if self.lanes.get(&lane).is_some_and(|wait| *wait <= self.durable) {
                self.lanes.remove(&lane);
            }
        }
        due
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn hold(&mut self, wait: u64, held: Held) {
        let lane = match &held {
            Held::Output(lane, _) | Held::Record(lane) => lane,
        };
        if !matches!(lane, Lane::Key(Key::None)) {
            self.lanes.insert(lane.clone(), wait);
        }
        self.count += 1;
        self.held.insert((wait, self.count), held);
    }
}

impl Lane {
    fn of(output: &Output) -> Self {
        match output {
            Output::Notify(notification) => {
                Self::Topic(notification.topic(), object(notification).to_owned())
            }
            Output::Record(_)
            | Output::Sip { .. }
            | Output::Engine { .. }
            | Output::Reply { .. }
            | Output::Webhook { .. }
            | Output::Push { .. } => Self::Key(output.key()),
        }
    }
}

/// What a live event is about, by name.
fn object(notification: &Notification) -> &str {
    match notification {
        Notification::Agent(view) => &view.id.0,
        Notification::Offer(view) => &view.id.0,
        Notification::Callback(view) => &view.id.0,
        Notification::Contact(view) => &view.id.0,
        Notification::Call(view) => &view.id,
        Notification::Operation(view) => &view.operation,
        Notification::Statistics(_) | Notification::Trunk(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use offhook_control_core::record::Fact;
    use offhook_control_core::sip::{LocalMedia, SipCommand, Target};
    use offhook_control_core::view::AgentStatus;
    use offhook_control_core::{AgentId, CallId};

    use super::*;

    fn hang_up(call: u64) -> Output {
        Output::Sip { call: CallId(call), command: SipCommand::HangUp { reason: String::new() } }
    }

    fn dial(call: u64, after: Option<u64>) -> Output {
        let address = ([127, 0, 0, 1], 1_024).into();
        let local = LocalMedia { rtp: address, rtcp: address, media: Vec::new(), session_version: 1 };
        let command = SipCommand::Dial {
            target: Target::Uri(String::new()),
            caller_id: None,
            display: None,
            local,
            auto_answer: false,
            ring_timeout_ms: 1,
            after: after.map(CallId),
        };
        Output::Sip { call: CallId(call), command }
    }

    fn status(agent: &str) -> Output {
        let fact = Fact::AgentStatus { agent: AgentId::from(agent), status: AgentStatus::OnBreak };
        Output::Record(Record::new(0, fact))
    }

    fn ended(call: u64) -> Output {
        Output::Record(Record::new(0, Fact::CallEnded { call: CallId(call), summary: None }))
    }

    fn statistics() -> Output {
        Output::Notify(Notification::Statistics(Box::default()))
    }

    fn check(found: &[Output], expected: &[Output]) {
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn what_stands_before_a_record_goes_at_once_and_what_follows_waits_for_it() {
        let mut gate = Gate::new(0);
        let step = gate.step(1, [hang_up(1), status("ann"), hang_up(2)].into_iter());
        check(&step.due, &[hang_up(1)]);
        assert_eq!(step.records.len(), 1);
        check(&gate.advance(0), &[]);
        check(&gate.advance(1), &[hang_up(2)]);
        assert!(gate.is_empty());
    }

    #[test]
    fn a_call_waits_for_its_own_record_and_for_no_other() {
        let mut gate = Gate::new(0);
        gate.step(1, [ended(1)].into_iter());
        check(&gate.step(2, [hang_up(1)].into_iter()).due, &[]);
        check(&gate.step(2, [hang_up(2)].into_iter()).due, &[hang_up(2)]);
        check(&gate.advance(1), &[hang_up(1)]);
        check(&gate.step(2, [hang_up(1)].into_iter()).due, &[hang_up(1)]);
    }

    #[test]
    fn a_phone_is_called_again_after_it_was_hung_up_on_and_not_before() {
        let mut gate = Gate::new(0);
        gate.step(1, [status("ann"), hang_up(1)].into_iter());
        check(&gate.step(2, [dial(2, Some(1))].into_iter()).due, &[]);
        check(&gate.step(2, [hang_up(2)].into_iter()).due, &[]);
        check(&gate.step(2, [dial(3, None)].into_iter()).due, &[dial(3, None)]);
        check(&gate.advance(1), &[hang_up(1), dial(2, Some(1)), hang_up(2)]);
        check(&gate.step(2, [dial(4, Some(1))].into_iter()).due, &[dial(4, Some(1))]);
        assert!(gate.is_empty() && gate.lanes.is_empty());
    }

    #[test]
    fn nothing_overtakes_what_its_own_step_put_before_it() {
        let mut gate = Gate::new(0);
        gate.step(1, [ended(1)].into_iter());
        check(&gate.step(2, [hang_up(1), hang_up(2)].into_iter()).due, &[]);
        check(&gate.advance(1), &[hang_up(1), hang_up(2)]);
    }

    #[test]
    fn live_events_of_one_object_keep_their_order() {
        let mut gate = Gate::new(0);
        gate.step(1, [status("ann"), statistics()].into_iter());
        check(&gate.step(2, [statistics()].into_iter()).due, &[]);
        check(&gate.advance(1), &[statistics(), statistics()]);
    }

    #[test]
    fn everybody_waits_for_the_record_that_opens_a_run() {
        let mut gate = Gate::new(0);
        gate.step(1, [Output::Record(Record::new(0, Fact::Booted { run: 1 }))].into_iter());
        check(&gate.step(2, [hang_up(7)].into_iter()).due, &[]);
        check(&gate.advance(1), &[hang_up(7)]);
        check(&gate.step(2, [hang_up(8)].into_iter()).due, &[hang_up(8)]);
    }

    #[test]
    fn a_group_of_several_records_is_waited_for_as_a_whole() {
        let mut gate = Gate::new(10);
        let step = gate.step(11, [status("ann"), ended(3), hang_up(3)].into_iter());
        assert_eq!(step.records.len(), 2);
        check(&gate.advance(11), &[]);
        check(&gate.advance(12), &[hang_up(3)]);
        assert!(gate.lanes.is_empty());
    }
}
