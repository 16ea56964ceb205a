//! A confirmed call as text for the journal.

use std::net::SocketAddr;

use offhook_control_core::sip::{Direction, LocalMedia, RemoteMedia};
use offhook_proto::{Media, Remote, Srtp};
use serde::{Deserialize, Serialize};

use super::dialog::Dialog;
use super::session_timer::SessionTimer;

/// Layout of the text. A snapshot of another version is refused.
const VERSION: u32 = 1;

/// All that another run needs to go on with a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    version: u32,
    pub(crate) dialog: Dialog,
    local: Local,
    remote: Peer,
    pub(crate) session: Option<SessionTimer>,
    pub(crate) peer_takes_update: bool,
}

/// Our side of the media.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Local {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    media: Vec<Media>,
    session_version: u64,
}

impl From<&LocalMedia> for Local {
    fn from(local: &LocalMedia) -> Self {
        let LocalMedia { rtp, rtcp, media, session_version } = local.clone();
        Self { rtp, rtcp, media, session_version }
    }
}

impl From<Local> for LocalMedia {
    fn from(local: Local) -> Self {
        let Local { rtp, rtcp, media, session_version } = local;
        Self { rtp, rtcp, media, session_version }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Peer {
    remote: Remote,
    media: Media,
    direction: Direction,
    #[serde(default)]
    rtcp_mux: bool,
}

impl Snapshot {
    pub(crate) fn new(
        dialog: &Dialog,
        local: &LocalMedia,
        remote: &RemoteMedia,
        session: Option<SessionTimer>,
        peer_takes_update: bool,
    ) -> Self {
        Self {
            version: VERSION,
            dialog: dialog.clone(),
            local: Local::from(local),
            remote: Peer {
                remote: remote.remote,
                media: remote.media.clone(),
                direction: remote.direction,
                rtcp_mux: remote.rtcp_mux,
            },
            session,
            peer_takes_update,
        }
    }

    /// Our side of the media.
    pub(crate) fn local(&self) -> LocalMedia {
        self.local.clone().into()
    }

    /// The peer's side. Keys are kept by the engine alone; the next offer or answer brings others.
    pub(crate) fn remote(&self) -> RemoteMedia {
        let Peer { remote, media, direction, rtcp_mux } = self.remote.clone();
        RemoteMedia { remote, media, direction, srtp: Srtp::Off, rtcp_mux }
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("our own types serialise into memory")
    }

    /// Reads a text of [`Self::write`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let snapshot: Self = serde_json::from_str(text)
            .map_err(|error| format!("the dialog's snapshot cannot be read: {error}"))?;
        if snapshot.version != VERSION {
            return Err(format!("the dialog's snapshot has version {}, not {VERSION}", snapshot.version));
        }
        Ok(snapshot)
    }
}
