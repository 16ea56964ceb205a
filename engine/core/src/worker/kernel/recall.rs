//! Taking a direction back, and taking note of what was forwarded meanwhile.

use std::net::SocketAddr;

use super::offer::look_at;
use super::{Kernel, Worker};
use crate::kernel::Progress;
use crate::leg::encoding::duration_ts;
use crate::leg::timer::Timer;
use crate::leg::{Leg, Payload};
use crate::limits::HANDOVER_REMAINDER_MS;
use crate::rtp::{Header, is_rtcp};
use crate::worker::splice::both;
use crate::{LegId, LegIx, WorkerCommand};

impl Worker {
    /// Takes back what a command could change, or takes note of what it asks for. Returns the legs to offer again afterwards.
    pub(in crate::worker) fn recall_for(&mut self, command: &WorkerCommand) -> [Option<LegId>; 2] {
        if self.kernel.is_none() {
            return [None; 2];
        }
        if let WorkerCommand::Query { leg, .. } = command
            && let Some(&leg) = self.by_id.get(leg)
        {
            self.sync_pair(leg);
        }
        let changed = command.changes();
        for leg in changed.into_iter().flatten() {
            if let Some(&leg) = self.by_id.get(&leg) {
                self.recall_pair(leg);
            }
        }
        changed
    }

    /// Begins to watch anew what a command may have changed.
    pub(in crate::worker) fn offer_after(&mut self, changed: [Option<LegId>; 2]) {
        for leg in changed.into_iter().flatten() {
            if let Some(&leg) = self.by_id.get(&leg) {
                self.offer_pair(leg);
            }
        }
    }

    /// Takes note of what the kernel has forwarded of a leg's and its partner's.
    pub(in crate::worker) fn sync_pair(&mut self, leg: LegIx) {
        for leg in [Some(leg), self.partner(leg)].into_iter().flatten() {
            self.sync(leg);
        }
    }

    /// Takes note of what the kernel has forwarded of a leg's.
    pub(in crate::worker) fn sync(&mut self, leg: LegIx) {
        if self.is_in_kernel(leg)
            && let Some(Kernel { path, .. }) = &self.kernel
        {
            let progress = path.progress(leg);
            self.fold(leg, &progress);
        }
    }

    /// Takes back what a leg says, for something of its own doing. It is offered again, the later the less it has lasted.
    pub(in crate::worker) fn take_back(&mut self, leg: LegIx) {
        let Some(&rule) = self.legs[leg.index()].in_kernel() else { return };
        self.recall(leg);
        let Some(Kernel { patience, .. }) = &self.kernel else { return };
        let offered = &mut self.legs[leg.index()];
        if let Some(handover) = &mut offered.handover {
            handover.be_patient(self.now, rule.since, &offered.receive);
            let look_ms = handover.look_in_ms(patience.look_ms);
            offered.deadlines.set(Timer::Handover, look_at(self.now, look_ms));
            self.rewind(leg);
        }
    }

    /// Looks at a packet that the kernel has not taken, if it forwards what its leg says. Afterwards the worker can handle it
    /// as ever.
    #[cold]
    pub(in crate::worker) fn on_passed_up(&mut self, leg: LegIx, source: SocketAddr, packet: &[u8]) {
        let spoke = &self.legs[leg.index()];
        let (Some(&rule), Some(partner)) = (spoke.in_kernel(), self.partner(leg)) else { return };
        // Strangers must not be able to take anything back.
        if spoke.latch.latched() != Some(source) || is_rtcp(packet) {
            return;
        }
        let Some(header) = Header::parse(packet) else { return };
        self.sync(leg);
        let (from, to) = both(&mut self.legs, leg, partner);
        // What is no payload of the leg is not sent on, so that its timestamp is of no account.
        let payload = from.payload(header.payload_type).unwrap_or(Payload::TelephoneEvent);
        let keeps = to.stream.keeps_shifts(self.now, &from.numbered(&header, payload, 0));
        let waited = self.now.since(rule.since) <= HANDOVER_REMAINDER_MS * 1_000;
        if !keeps || payload == Payload::Audio && !waited {
            self.take_back(leg);
        }
    }

    /// Packets that the kernel has forwarded and that no leg has been told of.
    pub(in crate::worker) fn unknown_packets(&self) -> u64 {
        let Some(Kernel { path, legs, .. }) = &self.kernel else { return 0 };
        let unknown = |&leg: &LegIx| {
            let rule = self.legs[leg.index()].in_kernel()?;
            Some(path.progress(leg).packets.saturating_sub(rule.known.packets))
        };
        legs.iter().filter_map(unknown).sum()
    }

    fn recall_pair(&mut self, leg: LegIx) {
        for leg in [Some(leg), self.partner(leg)].into_iter().flatten() {
            self.recall(leg);
        }
    }

    fn recall(&mut self, leg: LegIx) {
        if self.is_in_kernel(leg)
            && let Some(Kernel { path, legs, .. }) = &mut self.kernel
        {
            let progress = path.withdraw(leg);
            legs.remove(&leg);
            self.fold(leg, &progress);
            if let Some(handover) = &mut self.legs[leg.index()].handover {
                handover.on_withdrawn();
            }
        }
    }

    /// Makes everything as if the worker had forwarded itself what it has not yet taken note of.
    fn fold(&mut self, leg: LegIx, progress: &Progress) {
        let Some(partner) = self.partner(leg) else { return };
        let (from, to) = both(&mut self.legs, leg, partner);
        let Some(handover) = &mut from.handover else { return };
        let Some((packets, payload_bytes)) = handover.on_progress(progress) else { return };
        let Leg { media, receive, .. } = from;
        let lasts = duration_ts(media.codec, usize::from(progress.last_payload_bytes), media.ptime_ms);
        to.stream.on_forwarded(progress, packets, payload_bytes, receive.highest(), lasts);
        receive.on_forwarded(progress, packets);
        from.packets_received += packets;
        from.bytes_received += payload_bytes;
        from.packets_forwarded += packets;
        self.totals.received += packets;
        self.totals.forwarded += packets;
        from.last_packet = from.last_packet.max(Some(progress.last_at));
        from.last_audio = from.last_audio.max(progress.last_at);
        if let Some(half) = &mut to.splice {
            half.heard_at = half.heard_at.max(Some(progress.last_at));
        }
    }
}
