//! What a leg is sent when it hears nobody.

use offhook_proto::Idle;

use super::encoding::{duration_ts, packet, packet_ms};
use super::receive::ts_of;
use super::report::PARKED_INTERVAL_US;
use super::stream::{Numbered, Source};
use super::timer::Timer;
use super::{Leg, Payload};
use crate::Time;
use crate::rtp::HEADER_BYTES;

/// Level of comfort noise in −dBov (RFC 3389 section 3): barely there.
const NOISE_LEVEL: u8 = 70;
/// Interval from which on idle packets come at shared ticks, in microseconds.
const SELDOM_US: u64 = 500_000;

impl Leg {
    /// Time between two packets of idle sending; none when it sends nothing.
    pub(crate) fn idle_interval_us(&self) -> Option<u64> {
        match self.idle {
            Idle::None => None,
            Idle::Silence => Some(u64::from(packet_ms(&self.media)) * 1_000),
            Idle::ComfortNoise { interval_ms } | Idle::Keepalive { interval_ms } => {
                Some(u64::from(interval_ms.max(1)) * 1_000)
            }
        }
    }

    /// Starts or stops idle sending, as the leg hears nobody or somebody. The first packet is due at `first`, or at the
    /// next shared tick when so few are sent that a few milliseconds are of no account.
    pub(crate) fn plan_idle(&mut self, first: Time) {
        let wanted = !self.hears_somebody() && self.leaving.is_none();
        match self.idle_interval_us() {
            Some(interval_us) if wanted => {
                if self.deadlines.is_off(Timer::Idle) {
                    let shares_ticks = interval_us >= SELDOM_US;
                    self.deadlines
                        .set(Timer::Idle, if shares_ticks { first.at_shared_tick() } else { first });
                }
            }
            _ => self.deadlines.stop(Timer::Idle),
        }
    }

    /// Time between two packets of idle sending that reports leave with: a parked leg's, if they are about as seldom as reports.
    pub(crate) fn reports_share_us(&self) -> Option<u64> {
        let seldom = SELDOM_US..=PARKED_INTERVAL_US;
        self.idle_interval_us().filter(|interval_us| self.parked.is_some() && seldom.contains(interval_us))
    }

    /// Writes one packet of idle sending. Returns its bytes: 0 is an empty datagram (RFC 6263 section 4.1).
    pub(crate) fn write_idle(&mut self, tick: Time, out: &mut [u8]) -> usize {
        match self.idle {
            Idle::None | Idle::Keepalive { .. } => 0,
            Idle::Silence => self.write_silence(tick, out),
            Idle::ComfortNoise { .. } => match self.media.comfort_noise {
                Some(payload_type) => self.write_noise(tick, payload_type, out),
                None => self.write_silence(tick, out),
            },
        }
    }

    fn write_silence(&mut self, tick: Time, out: &mut [u8]) -> usize {
        let (ms, room) = (packet_ms(&self.media), &mut out[HEADER_BYTES..]);
        let len = match self.continuation.as_mut().and_then(|last| last.silence(ms, room)) {
            Some(len) => len,
            None => {
                self.continuation = None;
                packet(self.media.codec, ms, room)
            }
        };
        let lasts = duration_ts(self.media.codec, len, packet_ms(&self.media));
        self.write_made(tick, Source::Idle, tick, Payload::Audio, lasts, len, out)
    }

    fn write_noise(&mut self, tick: Time, payload_type: u8, out: &mut [u8]) -> usize {
        out[HEADER_BYTES] = NOISE_LEVEL;
        let numbered = Numbered {
            source: Source::Idle,
            sequence: 0,
            timestamp: ts_of(tick, self.clock_rate()),
            marker: false,
            payload_type,
            payload: Payload::ComfortNoise,
            duration_ts: 0,
            clock_rate: self.clock_rate(),
        };
        self.stream.stamp_made(tick, numbered, 1).write(out);
        HEADER_BYTES + 1
    }

    /// Stamps a packet made here, whose payload of `len` bytes lies behind the header's place. Returns its bytes.
    #[expect(clippy::too_many_arguments, reason = "each says one thing about the packet")]
    pub(crate) fn write_made(
        &mut self,
        tick: Time,
        source: Source,
        timestamp_of: Time,
        payload: Payload,
        duration_ts: u32,
        len: usize,
        out: &mut [u8],
    ) -> usize {
        let numbered = Numbered {
            source,
            sequence: 0,
            timestamp: ts_of(timestamp_of, self.clock_rate()),
            marker: false,
            payload_type: self.payload_type(payload).unwrap_or(self.media.payload_type),
            payload,
            duration_ts,
            clock_rate: self.clock_rate(),
        };
        self.stream.stamp_made(tick, numbered, len).write(out);
        HEADER_BYTES + len
    }
}
