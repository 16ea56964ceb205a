//! One call of a user agent: its dialog (RFC 3261 section 12) and where it stands.

use std::net::SocketAddr;

use super::message::{Message, Start, address_of, uri_of};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// We are called and have not answered.
    Ringing,
    /// We answered and wait for the ACK; `hang_up` once it is there.
    AwaitAck { hang_up: bool },
    /// We call; `provisional`: the other side has shown that it is there; `cancel`: we have changed our mind.
    Calling { provisional: bool, cancel: bool },
    /// Answered and acknowledged.
    Up,
    /// Our BYE is on its way.
    Closing,
}

/// The state of one call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) stage: Stage,
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    /// From or To as it goes into our requests, without our tag.
    pub(crate) local_uri: String,
    /// The whole header value of the other side, with its tag once known.
    pub(crate) remote: String,
    /// Where requests inside the dialog are addressed.
    pub(crate) target: String,
    pub(crate) routes: Vec<String>,
    pub(crate) cseq: u32,
    /// Next hop of the call's first message; used when the target has no literal address.
    pub(crate) peer: SocketAddr,
    /// The INVITE that created the call: theirs, or ours as last sent.
    pub(crate) invite: Message,
    /// Transaction of that INVITE.
    pub(crate) invite_key: String,
    /// What we answer offers with.
    pub(crate) description: Option<String>,
    /// The last ACK we sent to a 2xx, for when the 2xx is repeated.
    pub(crate) ack: Option<(SocketAddr, Vec<u8>)>,
}

impl Call {
    /// A call that has just come in as `invite`.
    pub(crate) fn incoming(invite: &Message, peer: SocketAddr, tag: String, invite_key: String) -> Self {
        let contact = invite.values("Contact").first().map_or("", |c| uri_of(c)).to_owned();
        Self {
            stage: Stage::Ringing,
            call_id: invite.header("Call-ID").unwrap_or("").to_owned(),
            local_tag: tag,
            local_uri: invite.header("To").unwrap_or("").to_owned(),
            remote: invite.header("From").unwrap_or("").to_owned(),
            target: contact,
            routes: invite.values("Record-Route").into_iter().map(str::to_owned).collect(),
            cseq: 0,
            peer,
            invite: invite.clone(),
            invite_key,
            description: None,
            ack: None,
        }
    }

    /// Takes the other side's tag, target and routes from its 2xx to our INVITE (RFC 3261 section 12.1.2).
    pub(crate) fn establish(&mut self, response: &Message) {
        if let Some(to) = response.header("To") {
            to.clone_into(&mut self.remote);
        }
        self.refresh_target(response);
        self.routes = response.values("Record-Route").into_iter().rev().map(str::to_owned).collect();
    }

    /// Follows a changed Contact (RFC 3261 section 12.2.1.2).
    pub(crate) fn refresh_target(&mut self, message: &Message) {
        if let Some(contact) = message.values("Contact").first() {
            uri_of(contact).clone_into(&mut self.target);
        }
    }

    /// The next hop of a request inside the dialog.
    pub(crate) fn next_hop(&self) -> SocketAddr {
        let first = self.routes.first().map_or(self.target.as_str(), |route| uri_of(route));
        address_of(first).unwrap_or(self.peer)
    }

    /// A request inside the dialog, without Via. ACK repeats the INVITE's number.
    pub(crate) fn request(&mut self, method: &str) -> Message {
        if method != "ACK" {
            self.cseq += 1;
        }
        let target =
            if self.target.is_empty() { uri_of(&self.remote).to_owned() } else { self.target.clone() };
        let mut request = Message::request(method, &target);
        for route in &self.routes {
            request.push("Route", route);
        }
        request.push("From", &format!("{};tag={}", self.local_uri, self.local_tag));
        request.push("To", &self.remote);
        request.push("Call-ID", &self.call_id);
        request.push("CSeq", &format!("{} {method}", self.cseq));
        request
    }
}

/// CANCEL for our own `invite` (RFC 3261 section 9.1), and ACK for its refusal (section 17.1.1.3) with the To of `response`.
pub(crate) fn same_transaction(invite: &Message, method: &str, response: Option<&Message>) -> Message {
    let Start::Request { uri, .. } = &invite.start else { return invite.clone() };
    let mut request = Message::request(method, uri);
    for name in ["Via", "From", "Call-ID", "Route"] {
        if let Some(value) = invite.header(name) {
            request.push(name, value);
        }
    }
    let to = response.and_then(|r| r.header("To")).or(invite.header("To"));
    request.push("To", to.unwrap_or(""));
    request.push("CSeq", &format!("{} {method}", invite.cseq().map_or(1, |(n, _)| n)));
    request.push("Max-Forwards", "70");
    request
}
