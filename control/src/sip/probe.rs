//! A keep-alive by OPTIONS in the dialog: a peer that does not answer it, or knows of no call, is gone.
//!
//! RTP tells of most deaths sooner. This finds a peer that sends no RTP by right, as on hold, long before its session timer.

use std::time::Duration;

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

    /// Asks whether the peer is there (RFC 3261 section 11). The next one is due when this one has been answered.
    pub(crate) fn probe(&mut self) {
        self.probe_due = None;
        self.ask(Method::Options, Vec::new(), Vec::new(), |response| Message::Probed { response });
    }

    /// The peer's answer. One that does not know OPTIONS is there all the same.
    pub(crate) fn on_probed(&mut self, response: Option<&Response>) -> Option<End> {
        match response.map(|response| response.status_code.code()) {
            None | Some(408) => {
                self.send_bye("no answer to OPTIONS");
                Some(End::by_peer("the peer does not answer OPTIONS"))
            }
            Some(481) => {
                self.send_bye("the dialog is gone");
                Some(End::by_peer("the peer answered OPTIONS with 481"))
            }
            Some(_) => {
                self.arm_probe();
                None
            }
        }
    }
}
