//! The director's commands.

use offhook_proto::{DtmfMode, Error, ErrorCode, LatchMode, LegUpdate, Media, SuperviseEnd};

use super::Worker;
use super::splice::Gates;
use crate::leg::report::Reports;
use crate::leg::timer::Timer;
use crate::leg::{Leg, LegSetup};
use crate::limits::KEEP_ONE_IN;
use crate::{
    Answer, LegId, LegIx, OpId, RecordChange, Socket, Time, WorkerCommand, WorkerOutput, WorkerReport,
};

impl Worker {
    /// Executes one command.
    pub fn handle_command(&mut self, now: Time, command: WorkerCommand) {
        self.now = now;
        let changed = self.recall_for(&command);
        self.execute(command);
        self.offer_after(changed);
    }

    fn execute(&mut self, command: WorkerCommand) {
        match command {
            WorkerCommand::Create { op, setup } => {
                self.create(*setup);
                self.done(op, Ok(()));
            }
            WorkerCommand::Adopt { leg } => {
                self.adopt(leg);
            }
            WorkerCommand::Detach { op, leg, replace } => {
                if let Err(error) = self.find(leg).and_then(|leg| self.detach(op, leg, replace)) {
                    self.done(op, Err(error));
                }
            }
            WorkerCommand::Delete { op, leg } => match self.find(leg) {
                Ok(leg) => self.delete(op, leg),
                Err(error) => self.done(op, Err(error)),
            },
            WorkerCommand::Update { op, leg, change } => {
                let result = self.find(leg).inspect(|&leg| self.update(leg, *change));
                self.show(op, result);
            }
            WorkerCommand::Query { op, leg } => {
                let result = self.find(leg);
                self.show(op, result);
            }
            WorkerCommand::Park { op, leg, keep_one_in } => {
                let result = self.find(leg).and_then(|leg| self.park(leg, keep_one_in));
                self.done(op, result);
            }
            WorkerCommand::Unpark { op, leg } => {
                let result = self.find(leg).map(|leg| self.unpark(leg));
                self.done(op, result);
            }
            WorkerCommand::Splice { op, a, b, a_hears_b, b_hears_a, replace, since, replay } => {
                let gates = Gates { a_hears_b, b_hears_a, replace, since, replay };
                let result = self.find(a).and_then(|a| self.splice(a, self.find(b)?, gates));
                self.done(op, result);
            }
            WorkerCommand::Unsplice { op, leg, park } => {
                let result = self.find(leg).and_then(|leg| self.unsplice(leg, &park));
                self.done(op, result);
            }
            WorkerCommand::Supervise { op, leg, of, with, mode } => {
                let legs = self.find(leg).and_then(|leg| Ok((leg, self.find(of)?)));
                let result = legs.and_then(|(leg, of)| self.supervise(leg, of, with, mode));
                self.done(op, result);
            }
            WorkerCommand::SuperviseStop { op, leg } => {
                let result = self.find(leg).map(|leg| {
                    if self.legs[leg.index()].supervises() {
                        self.end_supervision(leg, SuperviseEnd::Stopped);
                    }
                });
                self.done(op, result);
            }
            WorkerCommand::Listen { op, leg, of } => {
                let result = self.find(leg).and_then(|leg| self.listen(leg, self.find(of)?));
                self.done(op, result);
            }
            WorkerCommand::ListenStop { op, leg } => {
                let result = self.find(leg).map(|leg| self.stop_listening(leg));
                self.done(op, result);
            }
            WorkerCommand::Play { op, leg, play, segments, extent } => {
                let result = self.find(leg).map(|leg| self.start_play(leg, play, segments, extent));
                self.done(op, result);
            }
            WorkerCommand::PlayStop { op, leg, play } => {
                let result = self.find(leg).map(|leg| Answer::Stopped(self.stop_play(leg, play.as_deref())));
                self.report(WorkerReport::Done { op, result });
            }
            WorkerCommand::Record { op, leg, change } => {
                let result = self.find(leg).map(|leg| match change {
                    RecordChange::Start(id) => self.start_recording(leg, id),
                    RecordChange::Pause(paused) => self.pause_recording(leg, paused),
                    RecordChange::Stop => self.end_recording(leg, false),
                });
                self.done(op, result);
            }
            WorkerCommand::Detect { op, leg, start } => {
                let result = self.find(leg).and_then(|leg| match start {
                    Some(wanted) => self.start_detection(leg, &wanted),
                    None => {
                        self.stop_detection(leg);
                        Ok(())
                    }
                });
                self.done(op, result);
            }
            WorkerCommand::Info { op } => {
                let info = Box::new(self.info());
                self.report(WorkerReport::Info { op, info });
            }
        }
    }

    fn create(&mut self, setup: LegSetup) {
        let park = setup.park;
        let leg = Box::new(Leg::new(self.now, setup, self.spread.next()));
        let ix = self.adopt(leg);
        let first_report = Reports::next(self.now, park, self.spread.next());
        let created = &mut self.legs[ix.index()];
        created.deadlines.set(Timer::Report, first_report);
        created.watch_silence();
        self.connect_if_strict(ix);
        if park {
            self.park(ix, KEEP_ONE_IN).expect("a new leg is not spliced");
        }
        self.plan_idle(ix);
    }

    fn update(&mut self, leg: LegIx, change: LegUpdate) {
        if let Some(media) = change.media {
            self.update_media(leg, media);
        }
        if let Some(dtmf) = change.dtmf {
            self.update_dtmf(leg, dtmf);
        }
        let was_secure = self.is_secure(leg);
        if let Some(rtcp_mux) = change.rtcp_mux {
            self.update_rtcp_mux(leg, rtcp_mux);
        }
        if let Some(srtp) = &change.srtp {
            self.update_srtp(leg, srtp);
        }
        // What was learnt from packets that nobody had signed does not count any more.
        let learns_again = change.relatch || self.is_secure(leg) && !was_secure;
        let updated = &mut self.legs[leg.index()];
        if let Some(silent_after_ms) = change.silent_after_ms {
            updated.silent_after_ms = silent_after_ms;
            updated.silent = false;
            updated.watch_silence();
        }
        if let Some(one_way_after_ms) = change.one_way_after_ms {
            updated.one_way_after_ms = one_way_after_ms;
            self.watch_again(leg);
        }
        let updated = &mut self.legs[leg.index()];
        if let Some(idle) = change.idle
            && updated.idle != idle
        {
            updated.idle = idle;
            updated.deadlines.stop(Timer::Idle);
        }
        let mode = change.latch.unwrap_or(updated.latch.mode());
        let remote = change.remote.or(updated.latch.remote());
        if learns_again || mode != updated.latch.mode() || remote != updated.latch.remote() {
            let (rtp, rtcp) = (updated.latch.rtp_connected, updated.latch.rtcp_connected);
            updated.latch.restart(mode, remote);
            for (socket, connected) in [(Socket::Rtp, rtp), (Socket::Rtcp, rtcp)] {
                if connected {
                    self.output(WorkerOutput::Disconnect { leg, socket });
                }
            }
            self.connect_if_strict(leg);
            self.release(leg);
        }
        self.plan_idle(leg);
    }

    fn update_media(&mut self, leg: LegIx, media: Media) {
        if let Some(partner) = self.partner(leg) {
            // What the partner hears may have another clock from now on.
            self.legs[partner.index()].break_off();
        }
        self.renew_copies(leg);
        let updated = &mut self.legs[leg.index()];
        let filter_changes = updated.media.telephone_event != media.telephone_event;
        let made_otherwise = updated.media.codec != media.codec
            || updated.media.ptime_ms != media.ptime_ms
            || updated.media.max_ptime_ms != media.max_ptime_ms
            || updated.media.repacketise != media.repacketise
            || updated.media.opus != media.opus
            || updated.media.telephone_event_rate_hz != media.telephone_event_rate_hz;
        if made_otherwise || filter_changes {
            updated.break_off();
        }
        if updated.media.codec != media.codec {
            updated.continuation = None;
        }
        if let Some(detect) = &mut updated.detect {
            detect.follow(media.codec);
        }
        updated.media = media;
        if filter_changes {
            self.renew_filter(leg);
        }
        self.renew_supervision(leg);
    }

    fn update_dtmf(&mut self, leg: LegIx, dtmf: DtmfMode) {
        if std::mem::replace(&mut self.legs[leg.index()].dtmf, dtmf) == dtmf {
            return;
        }
        if let Some(partner) = self.partner(leg) {
            // What it hears goes another way from now on.
            self.legs[partner.index()].break_off();
        }
        self.renew_copies(leg);
        self.renew_supervision(leg);
    }

    fn update_rtcp_mux(&mut self, leg: LegIx, rtcp_mux: bool) {
        let before = std::mem::replace(&mut self.legs[leg.index()].rtcp_mux, rtcp_mux);
        if before != rtcp_mux {
            self.renew_filter(leg);
        }
    }

    /// A strict leg's peer is known before it speaks.
    fn connect_if_strict(&mut self, leg: LegIx) {
        let strict = &mut self.legs[leg.index()].latch;
        if let (LatchMode::Strict, Some(remote)) = (strict.mode(), strict.remote()) {
            strict.rtp_connected = true;
            self.output(WorkerOutput::Connect { leg, socket: Socket::Rtp, address: remote.rtp });
        }
    }

    /// Stops what plays, or only the play of this name. Returns how far it had come.
    fn stop_play(&mut self, leg: LegIx, play: Option<&str>) -> Option<u64> {
        let Leg { player, media, .. } = &*self.legs[leg.index()];
        let stopped = player.as_ref().filter(|player| play.is_none_or(|play| play == player.name()))?;
        let position_ms = stopped.position_ms(media);
        self.end_play(leg, offhook_proto::PlayEnd::Stopped);
        Some(position_ms)
    }

    fn find(&self, leg: LegId) -> Result<LegIx, Error> {
        self.by_id.get(&leg).copied().ok_or_else(|| Error::new(ErrorCode::LegNotFound, "the leg is gone"))
    }

    fn done(&mut self, op: OpId, result: Result<(), Error>) {
        self.report(WorkerReport::Done { op, result: result.map(|()| Answer::Done) });
    }

    fn show(&mut self, op: OpId, result: Result<LegIx, Error>) {
        let result = result.map(|leg| Answer::Leg(Box::new(self.leg_info(leg, self.now))));
        self.report(WorkerReport::Done { op, result });
    }

    fn leg_info(&self, leg: LegIx, now: Time) -> offhook_proto::LegInfo {
        let shown = &self.legs[leg.index()];
        let partner = shown.splice.map(|half| &self.legs[half.partner.index()]);
        let heard = partner.and_then(|partner| partner.splice).is_some_and(|half| half.hears);
        let partner = partner.map(|partner| partner.name().to_owned());
        let (supervises, supervised_by) = self.supervision_of(leg);
        let info = shown.info(now, self.config.worker, partner);
        let listens_to = shown.listens_to.map(|of| self.legs[of.index()].name().to_owned());
        offhook_proto::LegInfo { heard, supervises, supervised_by, listens_to, ..info }
    }
}
