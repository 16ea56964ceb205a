//! RTCP in and out.

use std::net::SocketAddr;

use offhook_proto::EventBody;

use super::spread::turn;
use super::{Queued, Worker};
use crate::leg::latch::Admission;
use crate::leg::report::{Reports, ntp_of};
use crate::limits::PACKET_BYTES;
use crate::rtcp::{self, Item};
use crate::{DropReason, LegIx, Socket, Time, WorkerOutput};

impl Worker {
    /// Takes one RTCP packet as received by `leg`.
    pub fn handle_rtcp(&mut self, now: Time, leg: LegIx, source: SocketAddr, packet: &[u8]) {
        self.now = now;
        let Some(reported) = self.legs.get_mut(leg.index()) else { return };
        let mut opened = [0; PACKET_BYTES];
        let packet = match &mut reported.secure {
            Some(secure) if !packet.is_empty() => {
                let Some(encrypted) = opened.get_mut(..packet.len()) else {
                    return self.drop_of(leg, DropReason::Truncated);
                };
                encrypted.copy_from_slice(packet);
                match secure.open(true, encrypted) {
                    Ok(len) => &opened[..len],
                    Err(reason) => return self.drop_of(leg, reason),
                }
            }
            Some(_) | None => packet,
        };
        if !rtcp::parse(packet, |_| {}) {
            // An empty datagram keeps a binding open (RFC 6263 section 4.1).
            if !packet.is_empty() {
                self.drop_of(leg, DropReason::Malformed);
            }
            return;
        }
        match reported.latch.admit_rtcp(source) {
            Admission::Known | Admission::Believed { .. } => {}
            Admission::Learnt { .. } => {
                if !std::mem::replace(&mut reported.latch.rtcp_connected, true) {
                    self.output(WorkerOutput::Connect { leg, socket: Socket::Rtcp, address: source });
                }
            }
            Admission::Refused => return self.drop_of(leg, DropReason::Stranger),
        }
        self.on_alive(leg);
        self.on_reports(leg, packet);
    }

    /// Reads reports of a source that was admitted.
    pub(super) fn on_reports(&mut self, leg: LegIx, packet: &[u8]) {
        let (now, ntp) = (self.now, self.ntp());
        let reported = &mut self.legs[leg.index()];
        let (ssrc, clock_rate) = (reported.stream.ssrc(), reported.clock_rate());
        let (mut gone, mut is_report, mut ours) = (false, false, None);
        rtcp::parse(packet, |item| match item {
            Item::Sender { ntp_middle, .. } => {
                is_report = true;
                reported.reports.on_sender(now, ntp_middle);
            }
            Item::Receiver => is_report = true,
            Item::Block(block) if block.of == ssrc => {
                ours = Some(block);
                reported.reports.on_block(ntp, &block, clock_rate);
                let lost = f32::from(block.fraction_lost) / 256.0;
                if let Some(conversion) = &mut reported.conversion {
                    conversion.expect_loss(lost);
                }
                if let Some(part) = &mut reported.supervision {
                    part.expect_loss(lost);
                }
            }
            Item::Block(_) => reported.reports.on_any_block(),
            Item::Voip { of, metrics } if of == ssrc => reported.reports.on_voip(metrics),
            Item::Voip { .. } => {}
            Item::Goodbye { ssrc } => gone |= reported.reports.on_goodbye(ssrc),
        });
        if gone && reported.allowance.take(now) {
            let body = EventBody::LegBye { leg: reported.name().to_owned() };
            self.event(body);
        }
        if is_report {
            self.on_report_of_ours(leg, ours.as_ref());
        }
    }

    /// When a leg reports next. A parked leg's report leaves with its next idle packet where it may: the second to leave finds
    /// socket and route warm.
    pub(super) fn next_report(&mut self, leg: LegIx) -> Time {
        let reporting = &self.legs[leg.index()];
        let due = Reports::next(self.now, reporting.parked.is_some(), self.spread.next());
        match reporting.reports_share_us() {
            Some(interval_us) => turn(due, leg, interval_us).at_shared_tick(),
            None => due,
        }
    }

    /// Writes a leg's report into `buffer`; none when there is nowhere to send it.
    pub(super) fn write_report(
        &mut self,
        leg: LegIx,
        goodbye: bool,
        buffer: &mut [u8],
    ) -> Option<WorkerOutput> {
        let (now, ntp) = (self.now, self.ntp());
        let reported = self.legs.get_mut(leg.index())?;
        let (socket, connected, destination) = if reported.rtcp_mux {
            (Socket::Rtp, reported.latch.rtp_connected, reported.latch.destination()?)
        } else {
            (Socket::Rtcp, reported.latch.rtcp_connected, reported.latch.rtcp_destination()?)
        };
        let clock_rate = reported.clock_rate();
        let report =
            reported.reports.report(now, ntp, &reported.stream, &mut reported.receive, clock_rate, goodbye);
        let len = rtcp::write(&report, buffer);
        let address = (!connected).then_some(destination);
        Some(WorkerOutput::Transmit { leg, socket, len, address })
    }

    /// Rates how a leg's peer is heard, and tells when that has become poor or good again.
    pub(super) fn look_at_quality(&mut self, leg: LegIx) {
        let looked_at = &mut self.legs[leg.index()];
        let line = looked_at.line();
        if let Some(quality) = looked_at.quality.look(self.now, &line) {
            let leg = looked_at.name().to_owned();
            self.event(EventBody::LegQuality { leg, quality });
        }
    }

    pub(super) fn say_goodbye(&mut self, leg: LegIx) {
        self.queue.push_back(Queued::Goodbye(leg));
    }

    fn ntp(&self) -> u64 {
        ntp_of(self.config.unix_us_at_start.saturating_add(self.now.0))
    }
}
