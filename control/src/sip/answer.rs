//! The answer to an INVITE of ours, whichever run sent that.

use std::sync::Arc;

use offhook_control_core::CallId;
use offhook_control_core::sip::{LocalMedia, RemoteMedia};
use rsipstack::sip::Response;
use tokio::sync::mpsc;

use super::dialog::Dialog;
use super::established::{Established, send_bye};
use super::inspect::arrival_us;
use super::outgoing::{Failure, allows, header};
use super::sdp;
use super::secrets::Secrets;
use super::session_timer::SessionTimer;
use super::shared::{DialogKey, Message, Shared};

/// The call that may become of it.
pub(crate) struct Answer<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) call: CallId,
    pub(crate) sender: mpsc::Sender<Message>,
    pub(crate) key: DialogKey,
    /// What we offered, and the keys in it.
    pub(crate) local: LocalMedia,
    pub(crate) secrets: &'a Secrets,
    /// Media that an earlier response brought.
    pub(crate) early: Option<RemoteMedia>,
    /// Why the call is not wanted any more.
    pub(crate) given_up: Option<Failure>,
}

impl Answer<'_> {
    /// The call in the dialog that the answer opens. Errors: it is not wanted any more, or not understood; then the peer is sent
    /// a BYE.
    pub(crate) fn take(self, mut dialog: Dialog, response: &Response) -> Result<Established, Failure> {
        let remote = match (sdp::accept(&response.body, &self.local, self.secrets), self.early) {
            (Ok(remote), _) => Ok(remote),
            // The answer came in an earlier response already.
            (Err(_), Some(early)) if response.body.is_empty() => Ok(early),
            (Err(error), _) => Err(Failure::new(488, error.to_string())),
        };
        let failure = match (remote, self.given_up) {
            (Ok(remote), None) => {
                let at_mono_us = arrival_us(&response.headers).unwrap_or_else(|| self.shared.mono_us());
                let timer = header(response, "Session-Expires");
                let session = SessionTimer::of_response(timer.as_deref(), self.shared.config.min_session_s);
                let mut established = Established::new(self.shared, self.call, self.sender, self.key, dialog);
                established.secrets = self.secrets.clone();
                established.set_media(self.local, remote, session);
                established.peer_takes_update = allows(&response.headers, "UPDATE");
                established.answered_at_us = Some(at_mono_us);
                return Ok(established);
            }
            (_, Some(given_up)) => given_up,
            (Err(failure), None) => failure,
        };
        send_bye(self.shared, &mut dialog, &failure.reason);
        Err(failure)
    }
}
