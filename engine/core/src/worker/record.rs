//! Recording: what one leg says and another hears is told to the shell, and nothing else ever is.

use std::ops::Range;

use offhook_proto::{Codec, DtmfMode};

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

    /// Notes what was made for a leg, for a moment, out of what its partner says, or whom it listens to on behalf of all.
    pub(super) fn note_made(&mut self, leg: LegIx, tick: Time, payload: Range<usize>) {
        let to = &self.legs[leg.index()];
        let into = match (self.partner(leg), to.listens_to) {
            (Some(partner), _) => self.recordings(partner, Some(leg)),
            (None, Some(of)) if self.ear(of) == Some(leg) => self.recordings(of, None),
            (None, _) => None,
        };
        let Some(into) = into else { return };
        let clock_rate_hz = to.clock_rate();
        self.tap = Some(Tap {
            into,
            at: self.now,
            codec: to.media.codec,
            ssrc: to.stream.ssrc(),
            timestamp: ts_of(tick, clock_rate_hz),
            clock_rate_hz,
            payload,
        });
    }

    /// Notes that a packet of audio of `leg` was sent on to `partner`.
    pub(super) fn note_heard(&mut self, leg: LegIx, partner: LegIx, header: &Header, converted: bool) {
        if let Some(into) = self.recordings(leg, Some(partner)) {
            let codec = self.legs[if converted { partner } else { leg }.index()].media.codec;
            self.note_packet(leg, into, codec, header);
        }
    }

    /// Notes that a packet of audio of `leg` was copied to those that listen to it, if nobody else hears it. Where keys are
    /// taken out of the copies, what is made for one of them is noted instead.
    pub(super) fn note_copied(&mut self, leg: LegIx, header: &Header) {
        let from = &self.legs[leg.index()];
        let (codec, filtered) = (from.media.codec, from.dtmf == DtmfMode::Block);
        if !filtered
            && let Some(into) = self.recordings(leg, None)
            && self.ear(leg).is_some()
        {
            self.note_packet(leg, into, codec, header);
        }
    }

    fn note_packet(&mut self, leg: LegIx, into: Recordings, codec: Codec, header: &Header) {
        self.tap = Some(Tap {
            into,
            at: self.now,
            codec,
            ssrc: header.ssrc,
            timestamp: header.timestamp,
            clock_rate_hz: self.legs[leg.index()].clock_rate(),
            payload: header.payload_at..header.payload_at + header.payload_len,
        });
    }

    /// What a leg says is recorded in, as its own voice and as that of whom `hearer` hears; none when it is not.
    fn recordings(&self, leg: LegIx, hearer: Option<LegIx>) -> Option<Recordings> {
        let of =
            |leg: LegIx, side| self.legs[leg.index()].recording.and_then(|recording| recording.side(side));
        let into = [of(leg, Side::Near), hearer.and_then(|hearer| of(hearer, Side::Far))];
        (into != [None; 2]).then_some(into)
    }
}

/// As in [`Tap::into`].
type Recordings = [Option<(RecordId, Side)>; 2];
