//! An INVITE of ours without an answer, as text for the journal.

use std::net::SocketAddr;

use offhook_control_core::sip::LocalMedia;
use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::typed::CSeq;
use rsipstack::sip::{Header, Method, Request, Uri, Version};
use serde::{Deserialize, Serialize};

use super::dialog::{BadDialog, Dialog};
use super::flow::Flow;
use super::route::Plan;
use super::snapshot::Local;

/// Layout of the text. One of another version is refused.
const VERSION: u32 = 1;

/// All that another run needs to wait for the answer, or to cancel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetUp {
    version: u32,
    /// The dialog that an answer will open, without the peer's side.
    pub(crate) dialog: Dialog,
    /// The INVITE's Via, branch included.
    via: String,
    /// Where the INVITE went.
    destination: Flow,
    local: Local,
    /// When we would have given up, in milliseconds since 1970 UTC.
    pub(crate) until_ms: u64,
    /// How long it may ring once it begins to, in milliseconds; none when it has begun.
    #[serde(default)]
    pub(crate) ring_ms: Option<u32>,
    /// Whether the stack may have used CSeq numbers for PRACKs.
    pub(crate) reliable: bool,
}

impl SetUp {
    pub(crate) fn new(
        invite: &Request,
        local: &LocalMedia,
        plan: &Plan,
        until_ms: u64,
        ring_ms: Option<u32>,
    ) -> Result<Self, BadDialog> {
        Ok(Self {
            version: VERSION,
            dialog: Dialog::early(invite, plan.flow, plan.trunk)?.with(plan.phone.clone()),
            via: invite.top_via_header()?.value().to_owned(),
            destination: plan.destination,
            local: Local::from(local),
            until_ms,
            ring_ms,
            reliable: plan.reliable,
        })
    }

    /// What we offered.
    pub(crate) fn local(&self) -> LocalMedia {
        self.local.clone().into()
    }

    /// Where the INVITE went over UDP; none over TCP.
    pub(crate) fn datagrams_to(&self) -> Option<SocketAddr> {
        (!self.destination.tcp).then_some(self.destination.address)
    }

    /// A request of the INVITE's own hop and branch: its CANCEL (RFC 3261 section 9.1), or with the To of a refusal the ACK to
    /// that (section 17.1.1.3).
    pub(crate) fn request(&self, method: Method, to: Option<&str>) -> Result<(Request, Flow), BadDialog> {
        let headers = vec![
            Header::Via(self.via.clone().into()),
            Header::CallId(self.dialog.call_id.clone().into()),
            Header::From(self.dialog.local().to_owned().into()),
            Header::To(to.unwrap_or(self.dialog.remote()).to_owned().into()),
            Header::CSeq(CSeq { seq: self.dialog.last_cseq(), method }.into()),
            Header::MaxForwards(70.into()),
            Header::ContentLength(0.into()),
        ];
        let uri = Uri::try_from(self.dialog.target())?;
        let request =
            Request { method, uri, headers: headers.into(), body: Vec::new(), version: Version::V2 };
        Ok((request, self.destination))
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("our own types serialise into memory")
    }

    /// Reads a text of [`Self::write`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let set_up: Self = serde_json::from_str(text)
            .map_err(|error| format!("what is kept of the INVITE cannot be read: {error}"))?;
        if set_up.version != VERSION {
            return Err(format!("what is kept of the INVITE has version {}, not {VERSION}", set_up.version));
        }
        Ok(set_up)
    }
}
