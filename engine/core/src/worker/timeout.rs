//! What is due, and the polling of outputs.

use std::net::SocketAddr;

use offhook_proto::EventBody;

use super::spread::turn;
use super::{Queued, Worker};
use crate::leg::digits::Digit;
use crate::leg::encoding::event_rate;
use crate::leg::timer::Timer;
use crate::limits::{HEARING_US, LATE_LOOK_US, PACKET_BYTES};
use crate::{LegIx, Socket, Time, WorkerOutput};

impl Worker {
    /// Does what is due. The packets are made as they are polled.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        if self.poll_timeout().is_some_and(|due| now.since(due) > LATE_LOOK_US) {
            self.hears_from = now + HEARING_US;
        }
        let due = &mut self.due;
        self.wheel.take_due(now, |leg| due.push_back(LegIx(leg)));
    }

    /// When to call [`Worker::handle_timeout`]; none when nothing is planned.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.wheel.deadline()
    }

    /// Whether there is something to poll: [`Worker::poll_output`] may still give nothing.
    pub fn has_outputs(&self) -> bool {
        !self.queue.is_empty() || !self.due.is_empty()
    }

    /// The next thing to do. `buffer` takes the bytes of a [`WorkerOutput::Transmit`].
    ///
    /// # Panics
    /// When `buffer` is shorter than [`PACKET_BYTES`].
    pub fn poll_output(&mut self, buffer: &mut [u8]) -> Option<WorkerOutput> {
        assert!(buffer.len() >= PACKET_BYTES, "the buffer holds any packet made here");
        loop {
            match self.queue.pop_front() {
                Some(Queued::Output(output)) => return Some(output),
                Some(Queued::Goodbye(leg)) => {
                    if let Some(output) = self.write_report(leg, true, buffer) {
                        return Some(output);
                    }
                    continue;
                }
                Some(Queued::Held { leg, from }) => {
                    if let Some(output) = self.try_held(leg, from, buffer) {
                        return Some(output);
                    }
                    continue;
                }
                None => {}
            }
            let leg = *self.due.front()?;
            let now = self.now;
            let timer = self
                .legs
                .get_mut(leg.index())
                .filter(|leg| leg.leaving.is_none())
                .and_then(|leg| leg.deadlines.take_due(now));
            match timer {
                Some(timer) => {
                    if let Some(output) = self.on_timer(leg, timer, buffer) {
                        return Some(output);
                    }
                }
                None => {
                    self.due.pop_front();
                    self.rewind(leg);
                }
            }
        }
    }

    fn on_timer(&mut self, leg: LegIx, timer: Timer, buffer: &mut [u8]) -> Option<WorkerOutput> {
        match timer {
            Timer::Play => self.on_play_tick(leg, buffer),
            Timer::Convert => self.on_convert_tick(leg, buffer),
            Timer::Mix => self.on_mix_tick(leg, buffer),
            Timer::Idle => self.on_idle_tick(leg, buffer),
            Timer::Digit => {
                self.on_digit_timeout(leg);
                None
            }
            Timer::Silence => {
                self.on_silence(leg);
                None
            }
            Timer::OneWay => {
                self.on_one_way_look(leg);
                None
            }
            Timer::Detect => {
                self.on_detect_tick(leg);
                None
            }
            Timer::Handover => {
                self.on_handover_look(leg);
                None
            }
            Timer::Report => {
                self.sync_pair(leg);
                let next = self.next_report(leg);
                self.legs[leg.index()].deadlines.set(Timer::Report, next);
                self.look_at_quality(leg);
                self.write_report(leg, false, buffer)
            }
        }
    }

    /// Tells to send the `len` bytes that were made for a leg.
    pub(super) fn transmit(&mut self, leg: LegIx, destination: SocketAddr, len: usize) -> WorkerOutput {
        self.totals.generated += 1;
        let address = self.legs[leg.index()].latch.address_of(destination);
        WorkerOutput::Transmit { leg, socket: Socket::Rtp, len, address }
    }

    fn on_idle_tick(&mut self, leg: LegIx, buffer: &mut [u8]) -> Option<WorkerOutput> {
        let now = self.now;
        let idle = &mut self.legs[leg.index()];
        let interval_us = idle.idle_interval_us()?;
        idle.plan_idle(turn(now + 1, leg, interval_us));
        let destination = idle.latch.destination()?;
        // The turn that this tick stands for, so that timestamps keep even steps.
        let tick = turn(now + 1, leg, interval_us) - interval_us;
        let len = idle.write_idle(tick, buffer);
        Some(self.transmit(leg, destination, len))
    }

    fn on_digit_timeout(&mut self, leg: LegIx) {
        let pressed = &mut self.legs[leg.index()];
        let digit = pressed.digits.on_timeout(self.now, event_rate(&pressed.media));
        if let Some(deadline) = pressed.digits.deadline() {
            pressed.deadlines.set(Timer::Digit, deadline);
        }
        if let Some(digit) = digit {
            self.release_tone(leg, digit);
            self.on_digit(leg, digit);
        }
    }

    pub(super) fn on_digit(&mut self, leg: LegIx, digit: Digit) {
        let now = self.now;
        let pressed = &mut self.legs[leg.index()];
        if pressed.detect.as_mut().is_some_and(|detect| detect.has_told(now, digit.key)) {
            return;
        }
        if !pressed.allowance.take(now) {
            return;
        }
        let leg = pressed.name().to_owned();
        self.event(EventBody::Dtmf { leg, digit: digit.key, duration_ms: digit.duration_ms });
    }

    fn on_silence(&mut self, leg: LegIx) {
        self.sync(leg);
        if self.now < self.hears_from {
            let again = self.hears_from.at_shared_tick();
            self.legs[leg.index()].deadlines.set(Timer::Silence, again);
            return;
        }
        if self.legs[leg.index()].silent_at() <= self.now {
            // The worker itself has to hear it when it comes back.
            self.take_back(leg);
        }
        if self.look_without_filter(leg) {
            return;
        }
        let silent = &mut self.legs[leg.index()];
        if silent.silent_at() > self.now {
            silent.watch_silence();
            return;
        }
        silent.silent = true;
        let silent_ms = self.now.since(silent.last_packet.unwrap_or(silent.created)) / 1_000;
        let leg = silent.name().to_owned();
        self.event(EventBody::LegSilent { leg, silent_ms });
    }
}
