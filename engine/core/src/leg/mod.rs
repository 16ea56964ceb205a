//! One leg: a port pair, its peer, and the one stream that the peer hears for ever.

pub(crate) mod allowance;
pub(crate) mod continuation;
pub(crate) mod conversion;
pub(crate) mod detect;
pub(crate) mod digits;
mod emodel;
pub(crate) mod encoding;
pub(crate) mod handover;
pub(crate) mod hold;
mod idle;
mod info;
mod key;
pub(crate) mod latch;
pub(crate) mod one_way;
pub(crate) mod park;
pub(crate) mod player;
pub(crate) mod press;
pub(crate) mod quality;
pub(crate) mod receive;
mod recent;
pub(crate) mod recording;
pub(crate) mod report;
pub(crate) mod secure;
mod setup;
pub(crate) mod stream;
pub(crate) mod supervision;
pub(crate) mod timer;

use std::net::SocketAddr;

use offhook_proto::{Codec, Drops, DtmfMode, Idle, Media, Srtp};
pub use setup::LegSetup;

use self::allowance::Allowance;
use self::continuation::Continuation;
use self::conversion::Conversion;
use self::detect::Detect;
use self::digits::Digits;
use self::encoding::{convert, duration_ts, event_rate};
use self::handover::{Handover, Installed};
use self::hold::Hold;
use self::key::convert_duration;
use self::latch::Latch;
use self::one_way::OneWay;
use self::park::Parked;
use self::player::Player;
use self::quality::{Line, Quality};
use self::receive::Receive;
use self::recent::RecentDrops;
use self::recording::Recording;
use self::report::Reports;
use self::secure::Secure;
use self::stream::{Numbered, Source, Stream};
use self::supervision::{Role, Supervision};
use self::timer::{Deadlines, Timer};
use crate::rtp::Header;
use crate::{DropReason, LegId, LegIx, OpId, Time};

/// A leg with all its state, as it moves between workers.
#[derive(Debug)]
pub struct Leg {
    pub(crate) identity: Box<setup::Identity>,
    pub(crate) media: Media,
    pub(crate) idle: Idle,
    pub(crate) silent_after_ms: u32,
    pub(crate) one_way_after_ms: u32,
    pub(crate) created: Time,
    pub(crate) latch: Latch,
    pub(crate) receive: Receive,
    pub(crate) stream: Stream,
    pub(crate) digits: Digits,
    pub(crate) reports: Reports,
    pub(crate) quality: Box<Quality>,
    pub(crate) player: Option<Box<Player>>,
    pub(crate) splice: Option<Half>,
    /// What it hears its partner through, where the two differ in encoding.
    pub(crate) conversion: Option<Box<Conversion>>,
    /// What the next one goes on from.
    pub(crate) continuation: Option<Box<Continuation>>,
    pub(crate) recording: Option<Recording>,
    /// What listens to it, beside whoever hears it.
    pub(crate) detect: Option<Box<Detect>>,
    /// Present in a call with a supervisor, and of a supervisor.
    pub(crate) supervision: Option<Box<Supervision>>,
    /// Legs that hear a copy of what it says, and the one that it hears a copy of.
    #[expect(clippy::box_collection, reason = "one word in every leg, of which hardly any has listeners")]
    pub(crate) listeners: Option<Box<Vec<LegIx>>>,
    pub(crate) listens_to: Option<LegIx>,
    /// Present while parked.
    pub(crate) parked: Option<Parked>,
    pub(crate) last_packet: Option<Time>,
    /// When a packet came last that can be heard, and when comfort noise did; 0 never.
    pub(crate) last_audio: Time,
    pub(crate) last_noise: Time,
    /// Present while it and its partner hear each other, and are to be watched for that.
    pub(crate) one_way: Option<Box<OneWay>>,
    /// Whether `leg.silent` was raised and no packet came since.
    pub(crate) silent: bool,
    pub(crate) deadlines: Deadlines,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) packets_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_forwarded: u64,
    pub(crate) drops: Drops,
    pub(crate) recent_drops: RecentDrops,
    /// Events that its peer's packets may cause yet.
    pub(crate) allowance: Allowance,
    /// Nobody has heard it yet, and it was never parked: what it says may be what an answer is waited for with.
    pub(crate) fresh: bool,
    /// Packets that could not be sent on yet.
    pub(crate) hold: Option<Box<Hold>>,
    /// Present when its packets are encrypted.
    pub(crate) secure: Option<Box<Secure>>,
    /// Whether its RTCP goes over the RTP port.
    pub(crate) rtcp_mux: bool,
    /// What becomes of the keys pressed on it.
    pub(crate) dtmf: DtmfMode,
    /// Present once what it says was looked at for a path in the kernel.
    pub(crate) handover: Option<Box<Handover>>,
}

/// This leg's half of a splice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half {
    pub(crate) partner: LegIx,
    /// Whether this leg hears its partner.
    pub(crate) hears: bool,
    /// Present until this leg has heard the first packet.
    pub(crate) awaits: Option<Awaits>,
    /// Packets of the partner that were held since then are still sent on.
    pub(crate) replay_from: Time,
    /// Keys that the partner pressed before are not heard: they were for somebody else.
    pub(crate) keys_from: Time,
    /// The moment that was last measured from, when the controller named one.
    pub(crate) measured_from: Option<Time>,
    /// When this leg was last sent a packet of its partner's.
    pub(crate) heard_at: Option<Time>,
}

/// What is measured until the first packet is heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaits {
    pub(crate) since: Time,
    /// Drops of the partner as of that moment.
    pub(crate) drops_before: u64,
}

/// Why a leg leaves its worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leaving {
    Moves(OpId),
    Ends(OpId),
}

/// What a packet carries, by its payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Audio,
    TelephoneEvent,
    ComfortNoise,
}

impl Payload {
    /// Whether a packet's timestamp is that of its own moment. Telephone-events repeat that of the key's beginning.
    pub(crate) fn has_own_moment(self) -> bool {
        self != Self::TelephoneEvent
    }
}

impl Leg {
    /// Opens a leg. `random` seeds its CNAME.
    pub(crate) fn new(now: Time, setup: LegSetup, random: u64) -> Self {
        Self {
            media: setup.media.clone(),
            idle: setup.idle,
            silent_after_ms: setup.silent_after_ms,
            one_way_after_ms: setup.one_way_after_ms,
            created: now,
            latch: Latch::new(setup.latch, setup.remote),
            receive: Receive::default(),
            stream: Stream::new(setup.ssrc, setup.sequence, setup.timestamp),
            digits: Digits::default(),
            reports: Reports::new(random),
            quality: Box::default(),
            player: None,
            splice: None,
            conversion: None,
            continuation: None,
            recording: None,
            detect: None,
            supervision: None,
            listeners: None,
            listens_to: None,
            parked: None,
            last_packet: None,
            last_audio: Time(0),
            last_noise: Time(0),
            one_way: None,
            silent: false,
            deadlines: Deadlines::default(),
            leaving: None,
            packets_received: 0,
            bytes_received: 0,
            packets_forwarded: 0,
            drops: Drops::default(),
            recent_drops: RecentDrops::default(),
            allowance: Allowance::default(),
            fresh: !setup.park,
            hold: None,
            secure: match &setup.srtp {
                Srtp::Off => None,
                Srtp::On(keys) => Some(Box::new(Secure::new(keys))),
            },
            rtcp_mux: setup.rtcp_mux,
            dtmf: setup.dtmf,
            handover: None,
            identity: Box::new(setup::Identity::from(setup)),
        }
    }

    /// Identity for as long as the engine runs.
    pub fn id(&self) -> LegId {
        self.identity.id
    }

    /// Name, as the controller chose it.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// What a payload type means on this leg; none when it was not negotiated.
    pub(crate) fn payload(&self, payload_type: u8) -> Option<Payload> {
        if payload_type == self.media.payload_type {
            Some(Payload::Audio)
        } else if self.media.telephone_event == Some(payload_type) {
            Some(Payload::TelephoneEvent)
        } else if self.media.comfort_noise == Some(payload_type) {
            Some(Payload::ComfortNoise)
        } else {
            None
        }
    }

    /// The payload type for something on this leg; none when it was not negotiated.
    pub(crate) fn payload_type(&self, payload: Payload) -> Option<u8> {
        match payload {
            Payload::Audio => Some(self.media.payload_type),
            Payload::TelephoneEvent => self.media.telephone_event,
            Payload::ComfortNoise => self.media.comfort_noise,
        }
    }

    /// The numbers of a packet that this leg sends, for a hearer who knows its payload by another type.
    pub(crate) fn numbered(&self, header: &Header, payload: Payload, payload_type: u8) -> Numbered {
        let audio = payload == Payload::Audio;
        let (codec, ptime_ms) = (self.media.codec, self.media.ptime_ms);
        Numbered {
            source: Source::Partner(header.ssrc),
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type,
            payload,
            duration_ts: if audio { duration_ts(codec, header.payload_len, ptime_ms) } else { 0 },
            clock_rate: self.clock_rate(),
        }
    }

    /// Turns a payload of its own, where it lies, into what a hearer takes of it as it is.
    pub(crate) fn convert_for(&self, hearer: &Media, payload: Payload, body: &mut [u8]) {
        match payload {
            Payload::Audio => convert(self.media.codec, hearer.codec, body),
            Payload::TelephoneEvent => convert_duration(body, (event_rate(&self.media), event_rate(hearer))),
            Payload::ComfortNoise => {}
        }
    }

    /// Timestamp units a second.
    pub(crate) fn clock_rate(&self) -> u32 {
        encoding::clock_rate(self.media.codec)
    }

    /// What is known of its peer's line.
    pub(crate) fn line(&self) -> Line {
        Line {
            totals: self.receive.totals(),
            jitter_ms: f64::from(self.receive.jitter_ts()) * 1_000.0 / f64::from(self.clock_rate()),
            round_trip_ms: self.reports.peer().and_then(|report| report.round_trip_ms),
            ptime_ms: self.media.ptime_ms,
            codec: self.media.codec,
            unheard_since: self.unheard_since(),
        }
    }

    /// Whether tones of keys are to be taken out of what a leg hears of it.
    pub(crate) fn filters_keys(&self, hearer: &Media) -> bool {
        match self.dtmf {
            DtmfMode::Pass => false,
            DtmfMode::Convert => self.media.telephone_event.is_none() && hearer.telephone_event.is_some(),
            DtmfMode::Block => true,
        }
    }

    /// Whether a leg is sent its packets as they are, or rewritten where they lie, if each [`encoding::suits`] it.
    pub(crate) fn is_heard_as_it_is(&self, hearer: &Self) -> bool {
        hearer.conversion.is_none()
            && encoding::in_place(self.media.codec, hearer.media.codec)
            && !self.filters_keys(&hearer.media)
            && !self.sounds_keys(&hearer.media)
            && !self.sounds_noise(&hearer.media)
    }

    /// Whether keys are to be heard as tones in an encoding whose decoder must not change its encoder for the time of a key: it
    /// takes some 50 ms to follow.
    fn sounds_keys(&self, hearer: &Media) -> bool {
        encoding::remembers(hearer.codec)
            && self.dtmf == DtmfMode::Convert
            && self.media.telephone_event.is_some()
            && hearer.telephone_event.is_none()
    }

    /// Whether its pauses are to be heard as noise in G.722, once it has announced one: from then on all of it is made anew, since a
    /// decoder that has heard the noise would have to find into its speech again each time, four times as loud.
    fn sounds_noise(&self, hearer: &Media) -> bool {
        hearer.codec == Codec::G722
            && hearer.comfort_noise.is_none()
            && self.media.comfort_noise.is_some()
            && self.last_noise > Time(0)
    }

    /// Ends what it hears: whatever comes next follows on as a talkspurt of its own.
    pub(crate) fn break_off(&mut self) {
        self.stream.break_off();
        self.hear_directly();
        self.deadlines.stop(Timer::Convert);
    }

    /// Whether it hears its partner, a play, or whom it supervises.
    pub(crate) fn hears_somebody(&self) -> bool {
        self.player.is_some()
            || self.splice.is_some_and(|half| half.hears)
            || self.supervises()
            || self.listens_to.is_some()
    }

    /// Whether what others say can be sent to it: nothing plays to it, and its address is known.
    pub(crate) fn may_hear(&self) -> bool {
        self.player.is_none() && self.latch.destination().is_some()
    }

    /// Whether it takes part in a call of two others.
    pub(crate) fn supervises(&self) -> bool {
        self.supervision.as_ref().is_some_and(|part| part.role == Role::Supervisor)
    }

    /// Counts a packet of this leg that is dropped.
    pub(crate) fn count_drop(&mut self, now: Time, reason: DropReason) {
        count(&mut self.drops, reason);
        self.recent_drops.on_drop(now);
    }

    /// Whether the reason for which a packet was not sent on may go away in a moment.
    pub(crate) fn may_pass(&self, reason: DropReason, source: SocketAddr) -> bool {
        let passing = match reason {
            DropReason::Stranger => self.latch.may_learn(source),
            DropReason::NotSpliced => self.fresh,
            DropReason::GateClosed | DropReason::NoKey => true,
            DropReason::Malformed
            | DropReason::PayloadType
            | DropReason::Late
            | DropReason::Covered
            | DropReason::NoRemote
            | DropReason::Truncated
            | DropReason::SendFailed
            | DropReason::AuthFailed
            | DropReason::Replayed => false,
        };
        passing && self.parked.is_none()
    }

    /// The rule by which the kernel forwards what it says.
    pub(crate) fn in_kernel(&self) -> Option<&Installed> {
        self.handover.as_ref()?.installed()
    }

    /// Takes note of a packet of the peer. Returns whether the leg had been reported silent.
    pub(crate) fn on_alive(&mut self, now: Time) -> bool {
        self.last_packet = Some(now);
        std::mem::take(&mut self.silent)
    }

    /// When it counts as silent, as far as is known now.
    pub(crate) fn silent_at(&self) -> Time {
        if self.silent_after_ms == 0 || self.silent {
            return Time::NEVER;
        }
        self.last_packet.unwrap_or(self.created).plus_ms(u64::from(self.silent_after_ms))
    }

    /// Sets the deadline of its silence anew, at a shared tick.
    pub(crate) fn watch_silence(&mut self) {
        let at = self.silent_at().min(self.look_at()).at_shared_tick();
        self.deadlines.set(Timer::Silence, at);
    }
}

/// Counts a drop.
pub(crate) fn count(drops: &mut Drops, reason: DropReason) {
    let counter = match reason {
        DropReason::Malformed => &mut drops.malformed,
        DropReason::Stranger => &mut drops.stranger,
        DropReason::NotSpliced => &mut drops.not_spliced,
        DropReason::GateClosed => &mut drops.gate_closed,
        DropReason::PayloadType => &mut drops.payload_type,
        DropReason::Late => &mut drops.late,
        DropReason::Covered => &mut drops.covered,
        DropReason::NoRemote => &mut drops.no_remote,
        DropReason::Truncated => &mut drops.truncated,
        DropReason::SendFailed => &mut drops.send_failed,
        DropReason::AuthFailed => &mut drops.auth_failed,
        DropReason::Replayed => &mut drops.replayed,
        DropReason::NoKey => &mut drops.no_key,
    };
    *counter += 1;
}
