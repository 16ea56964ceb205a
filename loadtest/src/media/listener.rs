//! What the media thread makes of a received packet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hdrhistogram::Histogram;

use super::continuity::Breaks;
use super::digits::{DigitBook, PinEar};
use super::ledger::{Broken, Conversation, Ledger, Live, Rtcp, Trouble, Unstamped, histogram};
use super::oracle::{Kind, Oracle};
use super::party::Party;
use super::pump::Note;
use super::rtp::{self, COMFORT_NOISE, Header, PCMU, TELEPHONE_EVENT};
use super::stamp::{self, Payload, Stamp};
use super::{EndpointId, PHASES, Phase, Role};

/// Most broken streams that the report lists.
const MAX_BROKEN: usize = 50;

/// What a packet brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Said {
    Stamp(Stamp),
    Key(char),
    /// Tone, prompt, silence, noise, or the rest of a key; or nothing that can be used.
    Other,
}

/// Judges, measures and counts.
pub(crate) struct Listener {
    pub(crate) live: Arc<Live>,
    pub(crate) oracle: Oracle,
    tail_packets: u64,
    pub(crate) phase: Phase,
    pub(crate) trouble: Trouble,
    pub(crate) lateness_ns: Histogram<u64>,
    delay_to_agent_ns: Histogram<u64>,
    delay_to_customer_ns: Histogram<u64>,
    round_trip_ns: Histogram<u64>,
    stray_keys: u64,
    unstamped: [[Unstamped; 2]; PHASES],
    book: Option<DigitBook>,
    pin_ears: Vec<Option<PinEar>>,
    on_note: Box<dyn Fn(Note) + Send>,
    now_ns: u64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC: the kernel stamps arrivals with the former.
    realtime_offset_ns: u64,
}

impl Listener {
    pub(crate) fn new(
        run: u64,
        tail_packets: u64,
        book: Option<DigitBook>,
        live: Arc<Live>,
        on_note: Box<dyn Fn(Note) + Send>,
    ) -> Self {
        Self {
            live,
            oracle: Oracle::new(run, tail_packets),
            tail_packets,
            phase: Phase::default(),
            trouble: Trouble::default(),
            lateness_ns: histogram(),
            delay_to_agent_ns: histogram(),
            delay_to_customer_ns: histogram(),
            round_trip_ns: histogram(),
            stray_keys: 0,
            unstamped: Default::default(),
            book,
            pin_ears: Vec::new(),
            on_note,
            now_ns: 0,
            realtime_offset_ns: 0,
        }
    }

    /// The time of what is received next.
    pub(crate) fn set_clocks(&mut self, now_ns: u64, realtime_ns: u64) {
        self.now_ns = now_ns;
        self.realtime_offset_ns = realtime_ns.saturating_sub(now_ns);
    }

    pub(crate) fn admit(&mut self, id: EndpointId, role: Role, understands_pin: bool) {
        self.oracle.admit(id, role);
        if understands_pin && self.book.is_some() {
            let at = id as usize;
            if at >= self.pin_ears.len() {
                self.pin_ears.resize_with(at + 1, || None);
            }
            self.pin_ears[at] = Some(PinEar::default());
        }
    }

    /// Follows the stream that `party` hears.
    pub(crate) fn hear_headers(
        &mut self,
        party: &mut Party,
        packet: &[u8],
        source: Option<SocketAddr>,
    ) -> Said {
        let Some((header, payload)) = rtp::parse(packet) else {
            self.trouble.not_rtp += 1;
            return Said::Other;
        };
        party.continuity.hear(&header);
        party.reporter.hear(&header, self.now_ns);
        if !party.expects(source, self.tail_packets) {
            self.trouble.wrong_source += 1;
            self.oracle.accuse(
                Kind::WrongSource,
                party.id,
                party.id,
                u64::from(header.sequence),
                self.now_ns,
            );
        }
        match stamp::read(payload) {
            Payload::Stamped(stamp) if header.payload_type == PCMU => return Said::Stamp(stamp),
            Payload::Stamped(_) | Payload::Damaged => {
                self.trouble.damaged += 1;
                self.oracle.accuse(
                    Kind::Damaged,
                    party.id,
                    party.id,
                    u64::from(header.sequence),
                    self.now_ns,
                );
            }
            Payload::Other => return self.hear_other(party, &header, payload),
        }
        Said::Other
    }

    /// Judges a stamp, and enters it in the account of the customer of the two.
    pub(crate) fn hear_stamp(
        &mut self,
        listener: EndpointId,
        role: Role,
        stamp: &Stamp,
        arrived_realtime_ns: Option<u64>,
        parties: &mut [Option<Party>],
    ) {
        let arrival_ns = self.arrival_ns(arrived_realtime_ns);
        if !self.oracle.hear(listener, stamp, arrival_ns) {
            self.live.violations.store(self.oracle.violation_count, Relaxed);
            return;
        }
        self.live.heard.fetch_add(1, Relaxed);
        let delay_ns = arrival_ns.saturating_sub(stamp.sent_ns);
        let customer = if role == Role::Agent { stamp.speaker } else { listener };
        let Some(customer) = parties.get_mut(customer as usize).and_then(Option::as_mut) else { return };
        let (hearing, delays) = match role {
            Role::Agent => (&mut customer.heard, &mut self.delay_to_agent_ns),
            Role::Customer => (&mut customer.hears, &mut self.delay_to_customer_ns),
        };
        delays.saturating_record(delay_ns);
        let early = role == Role::Customer && customer.answered_ns.is_none_or(|at| stamp.sent_ns < at);
        customer.early_packets += u64::from(early);
        if hearing.hear(stamp, arrival_ns) {
            (self.on_note)(Note::Heard { listener, speaker: stamp.speaker });
        }
    }

    /// Enters a key in the account of the customer of the two.
    pub(crate) fn hear_key(
        &mut self,
        listener: EndpointId,
        role: Role,
        key: char,
        parties: &mut [Option<Party>],
    ) {
        // An agent's last customer has gone, and the next one may not have said a word.
        match customer_of(&self.oracle, listener, role, parties).filter(|customer| customer.remote.is_some())
        {
            Some(customer) => customer.keys.hear(role.other(), key),
            None => self.stray_keys += 1,
        }
    }

    /// Enters a key that a speaker has begun to press.
    pub(crate) fn press_key(
        &mut self,
        speaker: EndpointId,
        role: Role,
        key: char,
        parties: &mut [Option<Party>],
    ) {
        let Some(customer) = customer_of(&self.oracle, speaker, role, parties) else { return };
        if customer.heard.heard.is_some() || customer.hears.heard.is_some() {
            customer.keys.press(role, key);
        } else {
            customer.keys.press_alone(key);
        }
    }

    /// Takes what came for an endpoint's RTCP port.
    pub(crate) fn hear_report(&mut self, party: &mut Party, packet: &[u8], arrived_realtime_ns: Option<u64>) {
        let arrival_ns = self.arrival_ns(arrived_realtime_ns);
        if let Some(round_trip_ns) = party.hear_report(packet, arrival_ns) {
            self.round_trip_ns.saturating_record(round_trip_ns);
        }
    }

    /// On the monotonic clock; now when the kernel has not said.
    fn arrival_ns(&self, arrived_realtime_ns: Option<u64>) -> u64 {
        arrived_realtime_ns.map_or(self.now_ns, |at| at.saturating_sub(self.realtime_offset_ns))
    }

    /// The account of the whole run.
    pub(crate) fn finish(mut self, parties: &[Option<Party>], wall_ns: u64, cpu_ns: u64) -> Ledger {
        let (mut agents, mut customers, mut broken) = (Breaks::default(), Breaks::default(), Vec::new());
        let (mut conversations, mut rtcp, mut trouble) = (Vec::new(), Rtcp::default(), self.trouble);
        for party in parties.iter().flatten() {
            let breaks = party.continuity.breaks;
            for _ in 0..party.unexplained() {
                self.oracle.accuse(Kind::WrongSource, party.id, party.id, 0, self.now_ns);
            }
            rtcp.received += party.rtcp_received;
            rtcp.sent += party.reporter.sent;
            if let Some(told) = party.reporter.told {
                rtcp.told += 1;
                rtcp.lost += u64::from(told.lost.max(0).cast_unsigned());
                rtcp.most_jitter_ts = rtcp.most_jitter_ts.max(told.jitter_ts);
            }
            trouble.overflowed += u64::from(party.overflowed);
            if !breaks.unbroken() {
                let first = party.continuity.first_break;
                broken.push(Broken { endpoint: party.id, breaks, first });
            }
            match party.role {
                Role::Agent => agents.add(&breaks),
                Role::Customer => {
                    customers.add(&breaks);
                    conversations.push(conversation(party, &self.oracle));
                }
            }
        }
        let broken_count = broken.len() as u64;
        broken.sort_by_key(|b| {
            std::cmp::Reverse((b.breaks.ssrc_changes + b.breaks.sequence_jumps, b.breaks.lost))
        });
        broken.truncate(MAX_BROKEN);
        Ledger {
            sent: self.live.sent.load(Relaxed),
            heard: self.live.heard.load(Relaxed),
            delay_to_agent_ns: self.delay_to_agent_ns,
            delay_to_customer_ns: self.delay_to_customer_ns,
            lateness_ns: self.lateness_ns,
            conversations,
            agents,
            customers,
            broken,
            broken_count,
            unstamped: self.unstamped,
            trouble,
            rtcp,
            round_trip_ns: self.round_trip_ns,
            stray_keys: self.stray_keys,
            violation_count: self.oracle.violation_count,
            longest_tail_packets: self.oracle.longest_tail_packets,
            violations: self.oracle.violations,
            cpu_ns,
            wall_ns,
        }
    }

    fn hear_other(&mut self, party: &mut Party, header: &Header, payload: &[u8]) -> Said {
        let counts = &mut self.unstamped[self.phase as usize][usize::from(party.role == Role::Customer)];
        match header.payload_type {
            PCMU if payload.iter().all(|&byte| byte == 0xff || byte == 0x7f) => counts.silence += 1,
            PCMU => counts.sound += 1,
            COMFORT_NOISE => counts.comfort_noise += 1,
            TELEPHONE_EVENT => {
                counts.telephone_events += 1;
                return party.key_ear.hear(header, payload).map_or(Said::Other, Said::Key);
            }
            _ => counts.other += 1,
        }
        let ear = self.pin_ears.get_mut(party.id as usize).and_then(Option::as_mut);
        if let (Some(ear), Some(book), PCMU) = (ear, &self.book, header.payload_type)
            && let Some(digit) = ear.hear(book, payload)
        {
            (self.on_note)(Note::Digit { listener: party.id, digit });
        }
        Said::Other
    }
}

/// The customer of whom an endpoint's conversation is.
fn customer_of<'a>(
    oracle: &Oracle,
    id: EndpointId,
    role: Role,
    parties: &'a mut [Option<Party>],
) -> Option<&'a mut Party> {
    let customer = match role {
        Role::Agent => oracle.partner(id)?,
        Role::Customer => id,
    };
    parties.get_mut(customer as usize)?.as_mut()
}

fn conversation(customer: &Party, oracle: &Oracle) -> Conversation {
    Conversation {
        customer: customer.id,
        agent: oracle.partner(customer.id),
        answered_ns: customer.answered_ns,
        sent: customer.sent,
        to_agent: customer.heard.heard,
        to_customer: customer.hears.heard,
        early_packets: customer.early_packets,
        keys: customer.keys.clone(),
    }
}
