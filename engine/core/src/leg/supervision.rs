//! A leg's part in a supervision: the mix that it hears, or could hear from now on.

use offhook_audio::mix_minus::MixMinus;
use offhook_proto::{Media, SuperviseMode};

use super::conversion::Made;
use super::encoding::{audio_codec, event_rate, loss_percent, opus_config};
use super::key::Key;
use crate::{LegIx, Time};

/// Who one is in a supervision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Supervisor,
    Agent,
    Customer,
}

/// The three of a supervision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trio {
    pub(crate) supervisor: LegIx,
    pub(crate) agent: LegIx,
    pub(crate) customer: LegIx,
}

/// How the partner is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// By its packets, as without a supervision; the mix runs along.
    Direct,
    /// In the mix.
    Mixed,
    /// By its packets again, of which the first is still to be blended with the end of the mix.
    Returning { until: Time },
}

/// One leg's part.
pub(crate) struct Supervision {
    pub(crate) role: Role,
    pub(crate) trio: Trio,
    pub(crate) mode: SuperviseMode,
    /// Of the supervisor, the agent is voice 0 and the customer voice 1; of the two, the partner is 0, the supervisor 1.
    pub(crate) mix: MixMinus,
    /// A key that the partner holds while it is heard in the mix.
    pub(crate) key: Option<Key>,
    path: Path,
    /// The supervisor has gone: this part ends as soon as the partner is heard by its packets.
    ending: bool,
    /// From when on the mix sounds like the partner.
    warm_at: Time,
    next_tick: Time,
}

/// Until a mix that has just begun is behind its jitter buffers.
const WARM_UP_US: u64 = 120_000;
/// How long a first packet after the mix is waited for.
const RETURN_US: u64 = 200_000;

impl Role {
    /// Whether it hears the supervisor.
    pub(crate) fn hears_supervisor(self, mode: SuperviseMode) -> bool {
        match (self, mode) {
            (Self::Agent, SuperviseMode::Whisper | SuperviseMode::Barge)
            | (Self::Customer, SuperviseMode::Barge) => true,
            (Self::Agent, SuperviseMode::Listen)
            | (Self::Customer, SuperviseMode::Listen | SuperviseMode::Whisper)
            | (Self::Supervisor, _) => false,
        }
    }
}

impl Trio {
    /// The leg with a role.
    pub(crate) fn leg(self, role: Role) -> LegIx {
        match role {
            Role::Supervisor => self.supervisor,
            Role::Agent => self.agent,
            Role::Customer => self.customer,
        }
    }

    /// Whose voices a role hears, in the order of its mix.
    pub(crate) fn voices(self, role: Role) -> [LegIx; 2] {
        match role {
            Role::Supervisor => [self.agent, self.customer],
            Role::Agent => [self.customer, self.supervisor],
            Role::Customer => [self.agent, self.supervisor],
        }
    }
}

impl Supervision {
    /// A part that begins; `to` is the media of its leg, `voices` those of the others, whose keys are not heard where they are
    /// `blocked`. None when the codec library has none
    /// such.
    pub(crate) fn new(
        now: Time,
        role: Role,
        trio: Trio,
        mode: SuperviseMode,
        to: &Media,
        voices: [&Media; 2],
        blocked: [bool; 2],
    ) -> Option<Self> {
        let codecs = voices.map(|voice| audio_codec(voice.codec));
        let mut mix =
            MixMinus::new(audio_codec(to.codec), u32::from(to.ptime_ms), &opus_config(to), &codecs).ok()?;
        for voice in [0, 1].into_iter().filter(|voice| blocked[*voice]) {
            mix.filter_keys(voice).ok()?;
        }
        mix.set_audible(0, true);
        mix.set_audible(1, role == Role::Supervisor || role.hears_supervisor(mode));
        Some(Self {
            role,
            trio,
            mode,
            mix,
            key: None,
            path: if role == Role::Supervisor { Path::Mixed } else { Path::Direct },
            ending: false,
            warm_at: now + WARM_UP_US,
            next_tick: Time::NEVER,
        })
    }

    /// Changes who hears the supervisor.
    pub(crate) fn set_mode(&mut self, now: Time, mode: SuperviseMode) {
        self.mode = mode;
        if self.role == Role::Supervisor {
            return;
        }
        let wanted = self.role.hears_supervisor(mode);
        self.mix.set_audible(1, wanted);
        if !wanted && self.path == Path::Mixed {
            self.path = Path::Returning { until: now + RETURN_US };
        }
    }

    /// The supervisor has gone.
    pub(crate) fn end(&mut self, now: Time) {
        self.set_mode(now, SuperviseMode::Listen);
        self.ending = true;
    }

    /// Whether the supervisor's place may be another leg's by now.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Whether its leg is sent the mix.
    pub(crate) fn is_mixed(&self) -> bool {
        self.path == Path::Mixed
    }

    /// Whether the next packet of the partner is to be blended with the end of the mix. True once.
    pub(crate) fn take_return(&mut self) -> bool {
        let returns = matches!(self.path, Path::Returning { .. });
        if returns {
            self.path = Path::Direct;
        }
        returns
    }

    /// Tells the encoder what share of its packets the hearer reports as lost (0 to 1).
    pub(crate) fn expect_loss(&mut self, share: f32) {
        self.mix.expect_loss(loss_percent(share));
    }

    /// Packet time of the mix, in microseconds.
    pub(crate) fn ptime_us(&self) -> u64 {
        u64::from(self.mix.ptime_ms()) * 1_000
    }

    /// Begins ticking.
    pub(crate) fn begin(&mut self, first_tick: Time) {
        self.next_tick = first_tick;
    }

    /// When the next packet is made.
    pub(crate) fn next_tick(&self) -> Time {
        self.next_tick
    }

    /// Writes the payload of the tick that is due. Returns the moment that it stands for, too; [`Made::Over`] when this part
    /// has ended.
    pub(crate) fn tick(&mut self, now: Time, out: &mut [u8]) -> (Time, Made) {
        let late_us = now.since(self.next_tick);
        let tick = self.next_tick + late_us / self.ptime_us() * self.ptime_us();
        self.next_tick = tick + self.ptime_us();
        match self.path {
            Path::Direct if self.ending => return (tick, Made::Over),
            Path::Direct if self.role.hears_supervisor(self.mode) && now >= self.warm_at => {
                self.mix.take_over();
                self.path = Path::Mixed;
            }
            Path::Returning { until } if now >= until => self.path = Path::Direct,
            Path::Direct | Path::Mixed | Path::Returning { .. } => {}
        }
        let returning = matches!(self.path, Path::Returning { .. });
        if returning {
            // What the mix goes on with is kept for the blending.
            return (tick, Made::Nothing);
        }
        let made = self.mix.tick(tick.0, out);
        let silenced = self.key.is_some_and(|key| key.is_held(tick));
        let made = match made {
            Ok(payload) if self.is_mixed() && !silenced => Made::of(payload),
            Ok(_) | Err(_) => Made::Nothing,
        };
        (tick, made)
    }

    /// Takes a telephone-event of the partner, whose duration it converts from the partner's clock to its own. Returns when its key
    /// began.
    pub(crate) fn on_key(
        &mut self,
        now: Time,
        timestamp: u32,
        payload: &mut [u8; 4],
        from: &Media,
        to: &Media,
    ) -> Time {
        Key::on_event(&mut self.key, now, timestamp, payload, (event_rate(from), event_rate(to)))
    }
}

impl std::fmt::Debug for Supervision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Supervision({:?}, {:?}, {:?})", self.role, self.mode, self.path)
    }
}
