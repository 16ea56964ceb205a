//! A keep-alive by OPTIONS in the dialog: a peer that does not answer it, or knows of no call, is gone.
//!
//! RTP tells of most deaths sooner. This finds a peer that sends no RTP by right, as on hold, long before its session timer.

use std::time::Duration;

use offhook_control_core::sip::SipEvent;
use rsipstack::sip::{Method, Response};
use tokio::time::Instant;

use super::established::{End, Established};
use super::shared::Message;

impl Established {
    /// Sets the time of the next probe; none where the configuration wants none.
    pub(crate) fn arm_probe(&mut self) {
        let every_s = self.shared.config.options_every_s;
        self.probe_due = every_s.map(|seconds| Instant::now() + Duration::from_secs(u64::from(seconds)));
    }

    /// Asks whether the peer is there (RFC 3261 section 11), for the core (`asked`) or because it is time: then the next one is
    /// due when this one has been answered.
    pub(crate) fn probe(&mut self, asked: bool) {
        if !asked {
            self.probe_due = None;
        }
        let told = move |response| Message::Probed { asked, response };
        self.ask(Method::Options, Vec::new(), Vec::new(), told);
    }

    /// The peer's answer to what the core asked, which has a patience of its own: no answer, or one that a proxy gives for a
    /// peer that it does not reach, tells nothing.
    pub(crate) async fn on_answered(&mut self, response: Option<&Response>) -> Option<End> {
        match response.map_or(0, |response| response.status_code.code()) {
            481 => Some(self.end_unknown()),
            // Whoever does not take OPTIONS is there all the same (RFC 3261 sections 21.4.6 and 21.5.2).
            200..=299 | 405 | 501 => {
                self.shared.emit(self.call, SipEvent::Alive).await;
                None
            }
            _ => None,
        }
    }

    /// The peer's answer. One that does not know OPTIONS is there all the same.
    pub(crate) fn on_probed(&mut self, response: Option<&Response>) -> Option<End> {
        match response.map(|response| response.status_code.code()) {
            None | Some(408) => {
                self.send_bye("no answer to OPTIONS");
                Some(End::by_peer("the peer does not answer OPTIONS"))
            }
            Some(481) => Some(self.end_unknown()),
            Some(_) => {
                self.arm_probe();
                None
            }
        }
    }

    /// The peer knows of no such call.
    fn end_unknown(&mut self) -> End {
        self.send_bye("the dialog is gone");
        End::by_peer("the peer answered OPTIONS with 481")
    }
}
