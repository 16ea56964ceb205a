//! A leg as a controller sees it.

use offhook_proto::{LegCounters, LegInfo, LegState};

use super::{Leg, count};
use crate::Time;

impl Leg {
    /// All about it. The names of other legs are the worker's to know.
    pub(crate) fn info(&self, now: Time, worker: u16, spliced_to: Option<String>) -> LegInfo {
        let state = match (self.splice, self.parked) {
            (Some(_), _) => LegState::Spliced,
            (None, Some(_)) => LegState::Parked,
            (None, None) => LegState::Idle,
        };
        LegInfo {
            leg: self.identity.name.to_string(),
            owner: self.identity.owner.as_deref().map(str::to_owned),
            state,
            spliced_to,
            hears: self.splice.is_some_and(|half| half.hears)
                || self.supervises()
                || self.listens_to.is_some(),
            heard: false,
            supervises: None,
            supervised_by: None,
            listens_to: None,
            playing: self.player.as_ref().map(|player| player.name().to_owned()),
            worker,
            rtp: self.identity.rtp,
            rtcp: self.identity.rtcp,
            remote: self.latch.remote(),
            latched: self.latch.peer(),
            latch: self.latch.mode(),
            idle: self.idle,
            codec: self.media.codec,
            srtp: self.secure.as_ref().map(|secure| secure.info()),
            rtcp_mux: self.rtcp_mux,
            dtmf: self.dtmf,
            ssrc: self.stream.ssrc(),
            remote_ssrc: self.receive.ssrc(),
            age_ms: now.since(self.created) / 1_000,
            last_packet_ms: self.last_packet.map(|at| now.since(at) / 1_000),
            counters: self.counters(),
            quality: self.quality.opinion(now, &self.line()),
            rtcp_report: self.reports.peer(),
        }
    }

    fn counters(&self) -> LegCounters {
        let (packets_sent, bytes_sent) = self.stream.sent();
        let totals = self.receive.totals();
        let mut drops = self.drops;
        // Not lost yet, but not sent on either.
        for held in self.hold.iter().flat_map(|hold| hold.iter()) {
            count(&mut drops, held.reason);
        }
        LegCounters {
            packets_received: self.packets_received,
            bytes_received: self.bytes_received,
            packets_sent,
            bytes_sent,
            packets_forwarded: self.packets_forwarded,
            packets_lost: totals.lost(),
            packets_filtered: totals.filtered,
            jitter_ms: self.receive.jitter_ts() as f32 * 1_000.0 / self.clock_rate() as f32,
            drops,
        }
    }
}
