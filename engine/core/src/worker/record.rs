//! Recording: what one leg says and another hears is told to the shell, and nothing else ever is.

use std::ops::Range;

use super::Worker;
use crate::leg::receive::ts_of;
use crate::leg::recording::{RecordId, Recording, Side, Tap};
use crate::rtp::Header;
use crate::{LegIx, Time, WorkerOutput};

impl Worker {
    /// What is recorded of the packet that was just handled with [`Worker::handle_rtp`], or of the one that
    /// [`Worker::poll_output`] has just put out. To be asked for after each.
    pub fn take_tap(&mut self) -> Option<Tap> {
        self.tap.take()
    }

    /// Begins a recording in place of one that there is.
    pub(super) fn start_recording(&mut self, leg: LegIx, id: RecordId) {
        self.end_recording(leg, false);
        self.legs[leg.index()].recording = Some(Recording { id, paused: false });
    }

    pub(super) fn pause_recording(&mut self, leg: LegIx, paused: bool) {
        if let Some(recording) = &mut self.legs[leg.index()].recording {
            recording.paused = paused;
        }
    }

    pub(super) fn end_recording(&mut self, leg: LegIx, leg_ends: bool) {
        if let Some(Recording { id, .. }) = self.legs[leg.index()].recording.take() {
            self.output(WorkerOutput::RecordEnd { record: id, at: self.now, leg_ends });
        }
    }

    /// Notes what was made for a leg, for a moment, out of what its partner says.
    pub(super) fn note_made(&mut self, leg: LegIx, tick: Time, payload: Range<usize>) {
        let to = &self.legs[leg.index()];
        let Some(from) = self.partner(leg).map(|partner| &self.legs[partner.index()]) else { return };
        let into = [
            from.recording.and_then(|recording| recording.side(Side::Near)),
            to.recording.and_then(|recording| recording.side(Side::Far)),
        ];
        if into == [None; 2] {
            return;
        }
        self.tap = Some(Tap {
            into,
            at: self.now,
            codec: to.media.codec,
            ssrc: to.stream.ssrc(),
            timestamp: ts_of(tick, to.clock_rate()),
            clock_rate_hz: to.clock_rate(),
            payload,
        });
    }

    /// Notes that a packet of audio of `leg` was sent on to `partner`.
    pub(super) fn note_heard(&mut self, leg: LegIx, partner: LegIx, header: &Header, converted: bool) {
        let (from, to) = (&self.legs[leg.index()], &self.legs[partner.index()]);
        let into = [
            from.recording.and_then(|recording| recording.side(Side::Near)),
            to.recording.and_then(|recording| recording.side(Side::Far)),
        ];
        if into == [None; 2] {
            return;
        }
        self.tap = Some(Tap {
            into,
            at: self.now,
            codec: if converted { to.media.codec } else { from.media.codec },
            ssrc: header.ssrc,
            timestamp: header.timestamp,
            clock_rate_hz: from.clock_rate(),
            payload: header.payload_at..header.payload_at + header.payload_len,
        });
    }
}
