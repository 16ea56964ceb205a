//! What turns the partner's packets into another encoding for a leg: jitter buffer, decoder, resampler and encoder.

use offhook_audio::codec::Encoder;
use offhook_audio::dtmf::KeyFilter;
use offhook_audio::packetise::Payload;
use offhook_audio::transcode::{TranscodeConfig, Transcoder};
use offhook_proto::Media;

use super::encoding::{audio_codec, event_rate, loss_percent, opus_config};
use super::key::Key;
use super::press::{KeyEvents, KeyPacket, KeyTones};
use crate::Time;

/// One direction of a splice between legs of different encodings or packet times, or whose keys take another form.
pub(crate) struct Conversion {
    transcoder: Transcoder,
    /// When the next packet is made; none before the first one has come.
    next_tick: Time,
    last_packet: Time,
    key: Option<Key>,
    /// Takes the tones of keys out, and what these are sent as.
    filter: Option<Box<KeyFilter>>,
    events: Option<Box<KeyEvents>>,
    /// Keys that came as telephone-events, heard as tones.
    tones: Option<Box<KeyTones>>,
    /// Nothing but such a key needs it, or noise in a pause of speech that is forwarded: it ends with them.
    brief: bool,
    /// Noise came last.
    noise: bool,
    /// Units a second in which telephone-events count, those that come and those that go.
    event_rates: (u32, u32),
}

/// What a tick gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A payload of this many bytes, which lasts so many timestamp units.
    Audio { len: usize, duration_ts: u32 },
    /// A telephone-event.
    Key(KeyPacket),
    /// Nothing to send in this packet time.
    Nothing,
    /// Silence that the hearer has asked not to be sent: the next audio begins a talkspurt (RFC 7587 section 4.1).
    Silence,
    /// There is nothing to make any more: the partner has been silent for so long, or the key is over.
    Over,
}

impl Made {
    /// What an encoder gives.
    pub(crate) fn of(payload: Payload) -> Self {
        match payload {
            Payload { len: 0, .. } => Self::Silence,
            Payload { len, duration_ts } => Self::Audio { len, duration_ts },
        }
    }
}

/// Without a packet for so long, comfort noise included, nothing is made any more.
const SILENT_AFTER_US: u64 = 10_000_000;

impl Conversion {
    /// A conversion that has heard nothing, which takes out keys where asked to; they are telephone-events where `events`. A `brief`
    /// one ends with the keys and the noise in it. None when the codec library has none such.
    pub(crate) fn new(from: &Media, to: &Media, filters: bool, events: bool, brief: bool) -> Option<Self> {
        let (from_codec, to_codec) = (audio_codec(from.codec), audio_codec(to.codec));
        let mut config = TranscodeConfig::new(from_codec, to_codec, u32::from(to.ptime_ms));
        config.opus = opus_config(to);
        let transcoder = Transcoder::new(&config).ok()?;
        let filter = if filters { Some(Box::new(KeyFilter::new(transcoder.rate_hz())?)) } else { None };
        let events = events.then(|| Box::new(KeyEvents::new(transcoder.ptime_ms(), event_rate(to))));
        Some(Self {
            transcoder,
            filter,
            events,
            tones: None,
            brief,
            noise: false,
            next_tick: Time::NEVER,
            last_packet: Time(0),
            key: None,
            event_rates: (event_rate(from), event_rate(to)),
        })
    }

    /// Tells the encoder what share of its packets the hearer reports as lost (0 to 1).
    pub(crate) fn expect_loss(&mut self, share: f32) {
        self.transcoder.expect_loss(loss_percent(share));
    }

    /// Goes on where another encoder has stopped.
    pub(crate) fn go_on_with(&mut self, encoder: Encoder) {
        self.transcoder.go_on_with(encoder);
    }

    /// The encoder as it stopped.
    pub(crate) fn into_encoder(self) -> Encoder {
        self.transcoder.into_encoder()
    }

    /// Packet time of what it makes, in microseconds.
    fn ptime_us(&self) -> u64 {
        u64::from(self.transcoder.ptime_ms()) * 1_000
    }

    /// When the next packet is made.
    pub(crate) fn next_tick(&self) -> Time {
        self.next_tick
    }

    /// Takes a packet of audio. Ticks begin at `first_tick` if there are none yet.
    pub(crate) fn on_audio(
        &mut self,
        now: Time,
        first_tick: Time,
        sequence: u16,
        timestamp: u32,
        payload: &[u8],
    ) {
        self.begin(now, first_tick);
        self.noise = false;
        self.transcoder.on_audio(now.0, sequence, timestamp, payload);
    }

    /// Takes a packet of comfort noise.
    pub(crate) fn on_noise(
        &mut self,
        now: Time,
        first_tick: Time,
        sequence: u16,
        timestamp: u32,
        payload: &[u8],
    ) {
        self.begin(now, first_tick);
        self.noise = true;
        self.transcoder.on_comfort_noise(now.0, sequence, timestamp, payload);
    }

    /// Takes a telephone-event's timestamp and payload of at least 4 bytes, in which it converts the duration. Returns when
    /// its key began.
    pub(crate) fn on_key(&mut self, now: Time, timestamp: u32, payload: &mut [u8; 4]) -> Time {
        Key::on_event(&mut self.key, now, timestamp, payload, self.event_rates)
    }

    /// Whether what it makes is recorded, rather than what comes.
    pub(crate) fn filters(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether a key is heard or sent in the place of audio.
    pub(crate) fn sounds_key(&self) -> bool {
        self.tones.as_ref().is_some_and(|tones| tones.sounds())
            || self.events.as_ref().is_some_and(|events| events.sounds())
    }

    /// Whether it only fills a pause in what is forwarded otherwise.
    pub(crate) fn fills_pause(&self) -> bool {
        self.brief && self.noise && !self.sounds_key()
    }

    /// The keys that are heard as tones. Ticks begin at `first_tick` if there are none yet.
    pub(crate) fn tones(&mut self, now: Time, first_tick: Time) -> &mut KeyTones {
        self.begin(now, first_tick);
        let rate_hz = self.transcoder.rate_hz();
        self.tones.get_or_insert_with(|| Box::new(KeyTones::new(rate_hz)))
    }

    /// Writes the payload of the tick that is due. Returns the moment that it stands for, too.
    pub(crate) fn tick(&mut self, now: Time, out: &mut [u8]) -> (Time, Made) {
        let late_us = now.since(self.next_tick);
        let tick = self.next_tick + late_us / self.ptime_us() * self.ptime_us();
        self.next_tick = tick + self.ptime_us();
        let keys = self.sounds_key();
        if !keys && (self.brief && !self.noise || now.since(self.last_packet) > SILENT_AFTER_US) {
            return (tick, Made::Over);
        }
        let Self { transcoder, filter, events, tones, .. } = self;
        let made = transcoder.tick_through(tick.0, out, |samples| {
            if let Some(filter) = filter {
                filter.process(samples, |event| {
                    if let Some(events) = events {
                        events.on_event(event);
                    }
                });
            }
            if let Some(tones) = tones {
                tones.render(samples);
            }
        });
        if let Some(packet) = self.events.as_mut().and_then(|events| events.tick(tick)) {
            return (tick, Made::Key(packet));
        }
        let made = match made {
            Some(Ok(payload)) if self.key.is_none_or(|key| !key.is_held(tick)) => Made::of(payload),
            Some(_) | None => Made::Nothing,
        };
        (tick, made)
    }

    fn begin(&mut self, now: Time, first_tick: Time) {
        self.last_packet = now;
        if self.next_tick == Time::NEVER {
            self.next_tick = first_tick;
        }
    }
}

impl std::fmt::Debug for Conversion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conversion(next at {} µs)", self.next_tick.0)
    }
}
