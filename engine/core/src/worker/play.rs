//! Playing on a worker's legs.

use offhook_proto::{EventBody, PlayEnd};

use super::Worker;
use super::spread::turn;
use crate::leg::Payload;
use crate::leg::continuation::Continuation;
use crate::leg::encoding::{duration_ts, packet_ms};
use crate::leg::player::{Player, Tick};
use crate::leg::stream::Source;
use crate::leg::timer::Timer;
use crate::prompt::Segment;
use crate::rtp::HEADER_BYTES;
use crate::{Extent, LegIx, Time, WorkerOutput};

impl Worker {
    pub(super) fn start_play(&mut self, leg: LegIx, play: String, segments: Vec<Segment>, extent: Extent) {
        self.end_play(leg, PlayEnd::Replaced);
        let now = self.now;
        let hearer = &mut self.legs[leg.index()];
        let first = turn(now, leg, u64::from(packet_ms(&hearer.media)) * 1_000);
        let player = Player::new(play, segments, extent, &hearer.media, first);
        hearer.hear_play(player.just_played(hearer.media.codec));
        hearer.player = Some(Box::new(player));
        hearer.break_off();
        hearer.deadlines.set(Timer::Play, first);
        hearer.plan_idle(first);
        self.totals.plays += 1;
        self.watch_pair(leg);
    }

    /// Ends what plays to a leg, if anything does. What it would hear otherwise comes through again.
    pub(super) fn end_play(&mut self, leg: LegIx, end: PlayEnd) {
        let hearer = &mut self.legs[leg.index()];
        let Some(player) = hearer.player.take() else { return };
        hearer.break_off();
        if hearer.continuation.is_none() {
            hearer.continuation = player.just_played(hearer.media.codec).and_then(Continuation::after);
        }
        hearer.deadlines.stop(Timer::Play);
        let body = EventBody::PlayEnded { leg: hearer.name().to_owned(), play: player.into_name(), end };
        self.totals.plays -= 1;
        self.plan_idle(leg);
        self.watch_pair(leg);
        // Without a moment named by the controller, what was covered stays unheard.
        let half = self.legs[leg.index()].splice;
        if let Some(half) = half.filter(|half| half.measured_from.is_some()) {
            self.release(half.partner);
        }
        self.event(body);
    }

    /// Starts or stops a leg's idle sending, at its turn.
    pub(super) fn plan_idle(&mut self, leg: LegIx) {
        let now = self.now;
        let idle = &mut self.legs[leg.index()];
        let first =
            idle.idle_interval_us().map_or(Time::NEVER, |interval_us| turn(now + 1, leg, interval_us));
        idle.plan_idle(first);
        self.rewind(leg);
    }

    pub(super) fn on_play_tick(&mut self, leg: LegIx, buffer: &mut [u8]) -> Option<WorkerOutput> {
        let now = self.now;
        let hearer = &mut self.legs[leg.index()];
        let media = &hearer.media;
        let player = hearer.player.as_mut()?;
        let packet_ms = player.packet_ms(media);
        let (tick, moved) = player.advance(now, packet_ms);
        let made = player.tick(tick, media, &mut buffer[HEADER_BYTES..]);
        let next_tick = player.next_tick();
        if made == Tick::End {
            self.end_play(leg, PlayEnd::Finished);
            return None;
        }
        hearer.deadlines.set(Timer::Play, next_tick);
        let destination = hearer.latch.destination()?;
        let len = match made {
            Tick::Audio(len) => {
                // The hole before it begins a talkspurt (RFC 3550 section 5.1): without the marker it would look like a jump.
                if moved {
                    hearer.break_off();
                }
                hearer.go_on_in_play(&mut buffer[HEADER_BYTES..HEADER_BYTES + len]);
                let lasts = duration_ts(hearer.media.codec, len, packet_ms);
                hearer.write_made(tick, Source::Player, tick, Payload::Audio, lasts, len, buffer)
            }
            Tick::Event { began, first } => {
                let len =
                    hearer.write_made(tick, Source::Player, began, Payload::TelephoneEvent, 0, 4, buffer);
                buffer[1] |= u8::from(first) << 7;
                len
            }
            Tick::Silence => {
                hearer.stream.pause(Source::Player);
                return None;
            }
            Tick::Pause | Tick::End => return None,
        };
        Some(self.transmit(leg, destination, len))
    }
}
