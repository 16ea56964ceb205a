//! Who may hear whom, judged packet by packet.
//!
//! Nobody tells the oracle whom control has joined: it holds everybody to what the packets themselves have shown. A customer's
//! first packet to or from an agent binds the two until the customer's call is over. From then on a packet to or from anyone
//! else is a violation, as is anything between two agents, between two customers, or from oneself.
//!
//! After a call is over only packets in flight may arrive: a packet that was *sent* after the end counts against a bound in
//! packets, whatever the clock says, and against a bound of zero once the agent has been joined to the next customer.

use super::stamp::Stamp;
use super::{EndpointId, Role};

/// Most violations kept with their details; all are counted.
const MAX_LISTED: usize = 1_000;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An endpoint heard itself.
    HeardItself,
    /// An agent heard another agent.
    AgentHeardAgent,
    /// A customer heard another customer.
    CustomerHeardCustomer,
    /// An agent in a conversation heard, or was heard by, a second customer.
    SecondCustomer,
    /// A customer in a conversation heard, or was heard by, a second agent.
    SecondAgent,
    /// More packets sent after the end of the call than the bound allows.
    HeardAfterEnd,
    /// A former partner heard the agent's next conversation.
    HeardNextConversation,
    /// Somebody who had no call at all heard or was heard.
    NoCall,
    /// A stamp of another run, or of a speaker that does not exist.
    UnknownSpeaker,
    /// A payload was changed on the way.
    Damaged,
    /// A packet came from an address other than the one that was signalled.
    WrongSource,
    /// Control's own record names another agent than the packets do.
    RecordDisagrees,
}

/// One packet that nobody should have heard.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    /// CLOCK_MONOTONIC of its arrival.
    pub(crate) at_ns: u64,
    pub(crate) listener: EndpointId,
    pub(crate) speaker: EndpointId,
    /// The speaker's sequence number.
    pub(crate) packet: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    role: Role,
    partner: Option<EndpointId>,
    /// When the present partner was first heard.
    joined_ns: u64,
    /// When the endpoint's call had ended for certain.
    over_ns: Option<u64>,
    /// Packets sent after that and heard all the same.
    tail_packets: u64,
}

/// The judge of a run.
#[derive(Debug)]
pub(crate) struct Oracle {
    run: u64,
    /// Packets sent after the end of a call that may still be heard.
    tail_bound: u64,
    endpoints: Vec<Option<Known>>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) violation_count: u64,
    pub(crate) longest_tail_packets: u64,
}

impl Oracle {
    /// A judge that allows `tail_bound` packets sent after a call's end.
    pub(crate) fn new(run: u64, tail_bound: u64) -> Self {
        Self {
            run,
            tail_bound,
            endpoints: Vec::new(),
            violations: Vec::new(),
            violation_count: 0,
            longest_tail_packets: 0,
        }
    }

    /// An endpoint begins to exist.
    pub(crate) fn admit(&mut self, id: EndpointId, role: Role) {
        let at = id as usize;
        if at >= self.endpoints.len() {
            self.endpoints.resize(at + 1, None);
        }
        self.endpoints[at] =
            Some(Known { role, partner: None, joined_ns: 0, over_ns: None, tail_packets: 0 });
    }

    /// An endpoint's call has ended for certain: the BYE has been answered.
    pub(crate) fn over(&mut self, id: EndpointId, at_ns: u64) {
        if let Some(known) = self.known_mut(id) {
            known.over_ns.get_or_insert(at_ns);
        }
    }

    /// An endpoint that was over begins a new call, as an agent's phone does when dialled again.
    pub(crate) fn again(&mut self, id: EndpointId) {
        if let Some(known) = self.known_mut(id) {
            known.over_ns = None;
        }
    }

    /// Who a customer has been joined to.
    pub(crate) fn partner(&self, customer: EndpointId) -> Option<EndpointId> {
        self.known(customer)?.partner
    }

    /// Judges one stamp. True: it is the listener's partner, or was within the bound.
    pub(crate) fn hear(&mut self, listener: EndpointId, stamp: &Stamp, at_ns: u64) -> bool {
        match self.judge(listener, stamp, at_ns) {
            Ok(()) => true,
            Err(kind) => {
                self.accuse(kind, listener, stamp.speaker, stamp.sequence, at_ns);
                false
            }
        }
    }

    /// Puts a violation on the list.
    pub(crate) fn accuse(
        &mut self,
        kind: Kind,
        listener: EndpointId,
        speaker: EndpointId,
        packet: u64,
        at_ns: u64,
    ) {
        self.violation_count += 1;
        if self.violations.len() < MAX_LISTED {
            self.violations.push(Violation { kind, at_ns, listener, speaker, packet });
        }
    }

    fn judge(&mut self, listener: EndpointId, stamp: &Stamp, at_ns: u64) -> Result<(), Kind> {
        let speaker = stamp.speaker;
        let hears = *self.known(listener).ok_or(Kind::NoCall)?;
        let speaks = *self.known(speaker).filter(|_| stamp.run == self.run).ok_or(Kind::UnknownSpeaker)?;
        let (agent, customer) = match (hears.role, speaks.role) {
            _ if listener == speaker => return Err(Kind::HeardItself),
            (Role::Agent, Role::Agent) => return Err(Kind::AgentHeardAgent),
            (Role::Customer, Role::Customer) => return Err(Kind::CustomerHeardCustomer),
            (Role::Agent, Role::Customer) => (listener, speaker),
            (Role::Customer, Role::Agent) => (speaker, listener),
        };
        let (agents, customers) = if agent == listener { (hears, speaks) } else { (speaks, hears) };
        match customers.partner {
            Some(partner) if partner == agent => self.check_end(agent, customer, &agents, &customers, stamp),
            Some(_) => Err(Kind::SecondAgent),
            // What was sent before the end may be read after it.
            None if customers.over_ns.is_some_and(|over_ns| stamp.sent_ns > over_ns) => Err(Kind::NoCall),
            None => self.join(agent, customer, &agents, at_ns),
        }
    }

    fn join(
        &mut self,
        agent: EndpointId,
        customer: EndpointId,
        agents: &Known,
        at_ns: u64,
    ) -> Result<(), Kind> {
        let busy = agents
            .partner
            .and_then(|former| self.known(former))
            .is_some_and(|former| former.over_ns.is_none());
        if busy {
            return Err(Kind::SecondCustomer);
        }
        for (one, other) in [(agent, customer), (customer, agent)] {
            if let Some(known) = self.known_mut(one) {
                known.partner = Some(other);
                known.joined_ns = at_ns;
            }
        }
        Ok(())
    }

    fn check_end(
        &mut self,
        agent: EndpointId,
        customer: EndpointId,
        agents: &Known,
        customers: &Known,
        stamp: &Stamp,
    ) -> Result<(), Kind> {
        if agents.partner != Some(customer) && stamp.sent_ns > agents.joined_ns {
            return Err(Kind::HeardNextConversation);
        }
        let ends = [customers.over_ns, self.known(agent).and_then(|known| known.over_ns)];
        let Some(over_ns) = ends.into_iter().flatten().min() else { return Ok(()) };
        if stamp.sent_ns <= over_ns {
            return Ok(());
        }
        let bound = self.tail_bound;
        let Some(known) = self.known_mut(customer) else { return Err(Kind::NoCall) };
        known.tail_packets += 1;
        let tail_packets = known.tail_packets;
        self.longest_tail_packets = self.longest_tail_packets.max(tail_packets);
        if tail_packets > bound { Err(Kind::HeardAfterEnd) } else { Ok(()) }
    }

    fn known(&self, id: EndpointId) -> Option<&Known> {
        self.endpoints.get(id as usize)?.as_ref()
    }

    fn known_mut(&mut self, id: EndpointId) -> Option<&mut Known> {
        self.endpoints.get_mut(id as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: u64 = 3;
    const ANN: EndpointId = 0;
    const BOB: EndpointId = 1;
    const CARL: EndpointId = 2;
    const DORA: EndpointId = 3;

    /// Two agents (Ann, Bob), two customers (Carl, Dora).
    struct Trial {
        oracle: Oracle,
        now_ns: u64,
    }

    impl Trial {
        fn new() -> Self {
            let mut oracle = Oracle::new(1, BOUND);
            for id in [ANN, BOB, CARL, DORA] {
                oracle.admit(id, if id < CARL { Role::Agent } else { Role::Customer });
            }
            Self { oracle, now_ns: 0 }
        }

        fn hear(&mut self, listener: EndpointId, speaker: EndpointId) -> bool {
            self.now_ns += 1;
            let stamp = Stamp { run: 1, speaker, sequence: 0, sent_ns: self.now_ns };
            self.oracle.hear(listener, &stamp, self.now_ns)
        }

        fn over(&mut self, id: EndpointId) {
            self.oracle.over(id, self.now_ns);
        }

        fn kinds(&self) -> Vec<Kind> {
            self.oracle.violations.iter().map(|v| v.kind).collect()
        }
    }

    #[test]
    fn two_conversations_side_by_side_and_one_after_the_other_are_fine() {
        let mut trial = Trial::new();
        assert!(trial.hear(ANN, CARL) && trial.hear(CARL, ANN));
        assert!(trial.hear(BOB, DORA) && trial.hear(DORA, BOB));
        trial.over(DORA);
        trial.oracle.admit(4, Role::Customer);
        assert!(trial.hear(BOB, 4) && trial.hear(4, BOB));
        assert_eq!(trial.oracle.partner(4), Some(BOB));
        assert_eq!(trial.kinds(), []);
    }

    #[test]
    fn agents_never_hear_agents_nor_customers_customers_nor_anyone_themselves() {
        let mut trial = Trial::new();
        assert!(!trial.hear(ANN, BOB) && !trial.hear(CARL, DORA) && !trial.hear(ANN, ANN));
        assert_eq!(trial.kinds(), [Kind::AgentHeardAgent, Kind::CustomerHeardCustomer, Kind::HeardItself]);
    }

    #[test]
    fn a_second_customer_or_a_second_agent_is_a_violation_in_either_direction() {
        let mut trial = Trial::new();
        assert!(trial.hear(ANN, CARL));
        assert!(!trial.hear(ANN, DORA) && !trial.hear(DORA, ANN));
        assert!(!trial.hear(BOB, CARL) && !trial.hear(CARL, BOB));
        use Kind::{SecondAgent, SecondCustomer};
        assert_eq!(trial.kinds(), [SecondCustomer, SecondCustomer, SecondAgent, SecondAgent]);
    }

    #[test]
    fn after_the_end_a_bounded_number_of_packets_may_still_arrive() {
        let mut trial = Trial::new();
        assert!(trial.hear(CARL, ANN));
        trial.over(CARL);
        for _ in 0..BOUND {
            assert!(trial.hear(CARL, ANN));
        }
        assert!(!trial.hear(CARL, ANN));
        assert_eq!(trial.kinds(), [Kind::HeardAfterEnd]);
    }

    #[test]
    fn a_packet_sent_before_the_end_may_arrive_at_any_time() {
        let mut trial = Trial::new();
        assert!(trial.hear(CARL, ANN));
        trial.oracle.over(CARL, 1_000);
        for _ in 0..10 {
            assert!(trial.hear(CARL, ANN));
        }
    }

    #[test]
    fn a_former_partner_never_hears_the_next_conversation() {
        let mut trial = Trial::new();
        assert!(trial.hear(ANN, CARL));
        trial.over(CARL);
        assert!(trial.hear(ANN, DORA));
        assert!(!trial.hear(CARL, ANN));
        assert_eq!(trial.kinds(), [Kind::HeardNextConversation]);
    }

    #[test]
    fn ended_customers_other_runs_and_unknown_endpoints_are_heard_by_nobody() {
        let mut trial = Trial::new();
        trial.over(CARL);
        assert!(!trial.hear(ANN, CARL) && !trial.hear(ANN, 99) && !trial.hear(99, ANN));
        let foreign = Stamp { run: 2, speaker: DORA, sequence: 0, sent_ns: 0 };
        assert!(!trial.oracle.hear(ANN, &foreign, 0));
        assert_eq!(trial.kinds(), [Kind::NoCall, Kind::UnknownSpeaker, Kind::NoCall, Kind::UnknownSpeaker]);
    }
}
