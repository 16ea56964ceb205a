//! Secure legs: nothing of theirs is looked at before it is authenticated, nothing is sent to them in the clear.

use offhook_proto::Srtp;

use super::Worker;
use crate::leg::secure::Secure;
use crate::leg::{Leg, count};
use crate::rtp::is_rtcp;
use crate::{DropReason, LegIx, Socket};

impl Worker {
    /// Whether what is sent to a leg's peer has to go through [`Worker::seal`].
    pub fn is_secure(&self, leg: LegIx) -> bool {
        self.legs.get(leg.index()).is_some_and(|leg| leg.secure.is_some())
    }

    /// Protects the packet in the first `len` bytes of `buffer`, which is about to be sent from a leg's socket. To be called,
    /// with [`crate::limits::SRTP_OVERHEAD_BYTES`] more room than `len`, for each packet that goes to a secure leg.
    ///
    /// Returns how many bytes to send; none when the packet must not be sent, which is counted.
    pub fn seal(&mut self, leg: LegIx, socket: Socket, buffer: &mut [u8], len: usize) -> Option<usize> {
        let hearer = self.legs.get_mut(leg.index())?;
        let Some(secure) = &mut hearer.secure else { return Some(len) };
        let reports = socket == Socket::Rtcp || hearer.rtcp_mux && is_rtcp(&buffer[..len]);
        match secure.seal(reports, buffer, len) {
            Ok(len) => Some(len),
            Err(reason) => {
                self.drop_of(leg, reason);
                None
            }
        }
    }

    /// Gives a leg other keys, or none. What its peer sent before its key was known is authenticated now.
    pub(super) fn update_srtp(&mut self, leg: LegIx, srtp: &Srtp) {
        let Leg { secure, hold, drops, recent_drops, rtcp_mux, .. } = &mut *self.legs[leg.index()];
        // Of a plain leg, packets of strangers may be encrypted; what was let in was not, and is no longer wanted.
        let was_plain = secure.is_none();
        match (srtp, &mut *secure) {
            (Srtp::Off, None) => return,
            (Srtp::Off, Some(_)) => *secure = None,
            (Srtp::On(keys), Some(secure)) => secure.rekey(keys),
            (Srtp::On(keys), None) => *secure = Some(Box::new(Secure::new(keys))),
        }
        let Some(hold) = hold else { return };
        let now = self.now;
        let unopened = if was_plain { DropReason::Stranger } else { DropReason::NoKey };
        hold.revise(
            |held, packet| {
                if held.reason != unopened {
                    return if was_plain { Err(DropReason::AuthFailed) } else { Ok((held.len, held.reason)) };
                }
                let secure = secure.as_mut().ok_or(DropReason::NoKey)?;
                let reports = *rtcp_mux && is_rtcp(packet);
                let opened = match secure.open(reports, packet) {
                    Err(DropReason::AuthFailed) if !reports => {
                        secure.open_rolled_over(now, DropReason::AuthFailed, packet)
                    }
                    opened => opened,
                };
                match opened {
                    Ok(len) => Ok((len, DropReason::Stranger)),
                    Err(DropReason::NoKey) => Ok((held.len, DropReason::NoKey)),
                    Err(reason) => Err(reason),
                }
            },
            |held| {
                count(&mut self.totals.drops, held.reason);
                count(drops, held.reason);
                recent_drops.on_drop(held.at);
            },
        );
        self.legs[leg.index()].hold.take_if(|hold| hold.len() == 0);
        self.release(leg);
    }
}
