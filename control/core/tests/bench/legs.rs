//! What the engine has kept when another run of control asks it, or another run of its own begins.

use offhook_control_core::config::Config;
use offhook_control_core::sip::SipEvent;
use offhook_control_core::{CallId, EngineId, Input, RequestId};
use offhook_proto::{Codec, Command, LegInfo, LegState, Media, Reply};

use super::{Bench, addresses, remote};

/// Legs that the engine has.
#[derive(Default)]
pub(super) struct Legs {
    pub(super) names: Vec<String>,
    /// Two that another run has spliced, both ways.
    spliced: Option<[String; 2]>,
    /// Only the first of them hears the other.
    ringing: bool,
    /// What all of them speak, where it is not PCMU.
    codec: Option<Codec>,
    /// It was told of no leg where the peer is.
    untold: bool,
    /// What it says of this one gets lost.
    unheard: Option<String>,
    /// What it says of any leg is on its way: requests and their replies.
    late: Option<Vec<(RequestId, Reply)>>,
}

impl Legs {
    /// Whether a reply does not come, or not yet.
    pub(super) fn withhold(&mut self, request: RequestId, command: &Command, reply: &Reply) -> bool {
        let Command::LegQuery(query) = command else { return false };
        if let Some(late) = &mut self.late {
            late.push((request, reply.clone()));
        }
        self.late.is_some() || self.unheard.as_ref() == Some(&query.leg)
    }
}

impl Bench {
    /// The dialogs of these calls are on record.
    pub(crate) fn keep_dialogs(&mut self, calls: impl IntoIterator<Item = CallId>) {
        for call in calls {
            self.sip(call, SipEvent::Snapshot { data: "dialog".into() });
        }
    }

    /// The dialogs of these calls are taken up by another run.
    pub(crate) fn restored(&mut self, calls: impl IntoIterator<Item = CallId>) {
        for call in calls {
            self.sip(call, SipEvent::Restored);
        }
    }

    /// Control dies; another run takes its journal over.
    pub(crate) fn restart(self) -> Self {
        let flows = self.flows.clone();
        self.restart_with(|config| config.flows = flows)
    }

    /// The same, with other settings.
    pub(crate) fn restart_with(self, change: impl FnOnce(&mut Config)) -> Self {
        let clock = self.clock_of_next_run();
        Self::over(self.records, self.legs, clock, self.packet_age_ms, change)
    }

    /// Control dies; the next run has not heard the engine yet.
    pub(crate) fn restart_alone(self, change: impl FnOnce(&mut Config)) -> Self {
        let clock = self.clock_of_next_run();
        Self::alone(self.records, self.legs, clock, self.packet_age_ms, change)
    }

    /// A second later, by a calendar that stays as it was set.
    fn clock_of_next_run(&self) -> (u64, i64) {
        (self.now_us + 1_000_000, self.set_ms)
    }

    /// The engine dies with all its legs, and is there again.
    pub(crate) fn loses_all_legs(&mut self) {
        self.legs = Legs::default();
    }

    /// Control dies while these two hear each other.
    pub(crate) fn restart_with_spliced(self, legs: [String; 2]) -> Self {
        self.spliced(legs).restart()
    }

    /// These two hear each other.
    pub(crate) fn spliced(mut self, legs: [String; 2]) -> Self {
        self.legs.spliced = Some(legs);
        self
    }

    /// The first of these hears the other, whose phone still rings.
    pub(crate) fn ringing(mut self, legs: [String; 2]) -> Self {
        self.legs.ringing = true;
        self.spliced(legs)
    }

    /// All legs speak this.
    pub(crate) fn speaking(mut self, codec: Codec) -> Self {
        self.legs.codec = Some(codec);
        self
    }

    /// Nobody has told the engine where the phones are.
    pub(crate) fn untold(mut self) -> Self {
        self.legs.untold = true;
        self
    }

    /// What the engine says of this leg gets lost.
    pub(crate) fn unheard_of(mut self, leg: &str) -> Self {
        self.legs.unheard = Some(leg.to_owned());
        self
    }

    /// What the engine says of legs from now on is long on its way.
    pub(crate) fn delay_answers(&mut self) {
        self.legs.late = Some(Vec::new());
    }

    /// What it has said arrives, as will what it says from now on.
    pub(crate) fn answers_arrive(&mut self) {
        for (request, reply) in self.legs.late.take().unwrap_or_default() {
            self.take(Input::EngineReply { request, result: Ok(reply) });
        }
    }

    /// Another run of an engine, with none of the legs.
    pub(crate) fn engine_restarts(&mut self, engine: EngineId) {
        self.legs = Legs::default();
        self.take(Input::EngineUp { engine, instance: "another".into(), restarted: true });
    }

    /// The engine has a leg more than it is thought to have.
    pub(crate) fn has_leg(&mut self, leg: &str) {
        self.legs.names.push(leg.to_owned());
    }

    /// The engine has lost a leg.
    pub(crate) fn has_lost(&mut self, leg: &str) {
        self.legs.names.retain(|name| name != leg);
    }

    pub(super) fn info(&self, engine: EngineId, leg: &str) -> LegInfo {
        let (rtp, rtcp) = addresses(engine);
        let pair = self.legs.spliced.as_ref().filter(|pair| pair.iter().any(|name| name == leg));
        LegInfo {
            state: if pair.is_some() { LegState::Spliced } else { LegState::Parked },
            spliced_to: pair.and_then(|pair| pair.iter().find(|name| *name != leg).cloned()),
            hears: pair.is_some_and(|[first, _]| first == leg || !self.legs.ringing),
            heard: pair.is_some_and(|[first, _]| first != leg || !self.legs.ringing),
            last_packet_ms: (self.packet_age_ms != u64::MAX).then_some(self.packet_age_ms),
            owner: Some(if leg.starts_with("foreign") { "another" } else { "control" }.to_owned()),
            remote: (!self.legs.untold).then(|| remote().remote),
            codec: self.legs.codec.unwrap_or(Media::default().codec),
            ..LegInfo::new(leg, rtp, rtcp)
        }
    }
}
