//! Recordings: the file first, then the leg.

use offhook_proto::{Codec, Error, EventBody, RecordEnd, RecordStart};

use super::op::{Stage, Task};
use super::{Director, DirectorOutput};
use crate::{OpId, RecordChange, RecordId, Time, WorkerCommand};

impl Director {
    pub(super) fn record(&mut self, op: OpId, body: &RecordStart) -> Result<Stage, Error> {
        let usual = usual_rate_hz(self.entry(&body.leg)?.media.codec);
        self.next_record += 1;
        let record = RecordId(self.next_record);
        let (leg, file, mode) = (body.leg.clone(), body.file.clone(), body.mode);
        let rate_hz = body.rate_hz.unwrap_or(usual);
        self.outputs.push_back(DirectorOutput::OpenRecording { op, record, leg, file, mode, rate_hz });
        Ok(Stage::Recording(record))
    }

    /// Takes the result of [`DirectorOutput::OpenRecording`].
    pub fn handle_recording(&mut self, now: Time, op: OpId, result: Result<(), Error>) {
        self.now = now;
        if let Err(error) = result.and_then(|()| self.on_recording(op)) {
            self.finish(op, Err(error));
        }
        self.run_ready();
    }

    fn on_recording(&mut self, op: OpId) -> Result<(), Error> {
        let Some(opened) = self.ops.get(&op) else { return Ok(()) };
        let (Task::RecordStart(body), Stage::Recording(record)) = (&opened.task, &opened.stage) else {
            return Ok(());
        };
        let (leg, record) = (body.leg.clone(), *record);
        self.recordings += 1;
        let change = RecordChange::Start(record);
        self.tell_leg(&leg, |leg| WorkerCommand::Record { op, leg, change })
    }

    /// Has a file closed that a worker refused to record into.
    pub(super) fn on_not_recording(&mut self, record: RecordId) {
        self.outputs.push_back(DirectorOutput::CloseRecording { record });
    }

    /// Takes note of how many frames found no room on their way into recordings, in all.
    pub fn count_frames_lost(&mut self, lost: u64) {
        self.record_frames_lost = lost;
    }

    /// Takes note that a recording has ended and its file is complete.
    pub fn handle_recorded(
        &mut self,
        now: Time,
        leg: String,
        file: String,
        end: RecordEnd,
        duration_ms: u64,
        reason: Option<String>,
    ) {
        self.recordings = self.recordings.saturating_sub(1);
        self.recordings_failed += u64::from(end == RecordEnd::Failed);
        self.controllers.raise(now, &EventBody::RecordEnded { leg, file, end, duration_ms, reason });
    }
}

/// Samples a second that a recording has for what an encoding carries: twice a telephone's for what is wide.
fn usual_rate_hz(codec: Codec) -> u32 {
    match codec {
        Codec::Pcmu | Codec::Pcma => 8_000,
        Codec::L16 { rate_hz } if rate_hz < 16_000 => 8_000,
        Codec::G722 | Codec::Opus | Codec::L16 { .. } => 16_000,
    }
}
