//! A confirmed dialog (RFC 3261 section 12): all that is needed to send and match requests in it, as text, so that it can be
//! written to the journal and taken up by another run.
//!
//! The stack sets up a call; from its 2xx on the dialog lives here, because the stack cannot restore one with its
//! credentials and flow, nor refresh a remote target.

use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::typed::CSeq;
use rsipstack::sip::{Header, Host, Method, Param, Request, Response, Scheme, Transport, Uri, Version};
use rsipstack::transaction::endpoint::EndpointInner;
use rsipstack::transport::SipAddr;
use serde::{Deserialize, Serialize};

use super::flow::Flow;
use super::phone::Phone;
use super::shared::{Shared, lock};
use super::text::{address_uri, parameter, split_list};

/// State of one dialog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
    /// Our From value, tag included.
    local: String,
    /// Our To value, tag included.
    remote: String,
    /// Remote target: Request-URI of our requests.
    target: String,
    /// Route header values, nearest first.
    routes: Vec<String>,
    /// Our Contact URI.
    contact: String,
    /// CSeq number of our last request.
    local_cseq: u32,
    /// CSeq number of the peer's last request; 0 before the first.
    remote_cseq: u32,
    /// Where our requests go instead of the remote target: a phone behind NAT, a connection of TCP.
    flow: Option<Flow>,
    /// The registration that the peer was called by.
    #[serde(default)]
    phone: Option<Phone>,
    /// Whether the trunk's credentials answer a challenge.
    pub(crate) trunk: bool,
    /// Whether we placed the call: decides who waits longer after a glare (RFC 3261 section 14.1).
    pub(crate) caller: bool,
}

/// What makes a message unfit to open a dialog.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadDialog(String);

impl From<rsipstack::sip::Error> for BadDialog {
    fn from(error: rsipstack::sip::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<rsipstack::Error> for BadDialog {
    fn from(error: rsipstack::Error) -> Self {
        Self(error.to_string())
    }
}

impl Dialog {
    /// The dialog that `ok` to our `invite` opens (RFC 3261 section 12.1.2).
    pub(crate) fn of_answer(
        invite: &Request,
        ok: &Response,
        flow: Option<Flow>,
        trunk: bool,
    ) -> Result<Self, BadDialog> {
        Self::early(invite, flow, trunk)?.answered(ok)
    }

    /// What is known of a dialog before our `invite` is answered: all but the peer's side, for which its To and Request-URI stand.
    pub(crate) fn early(invite: &Request, flow: Option<Flow>, trunk: bool) -> Result<Self, BadDialog> {
        let local = invite.from_header()?.value().to_owned();
        Self {
            call_id: invite.call_id_header()?.value().to_owned(),
            local_tag: parameter(&local, "tag").unwrap_or_default().to_owned(),
            remote_tag: String::new(),
            local,
            remote: invite.to_header()?.value().to_owned(),
            target: invite.uri.to_string(),
            routes: Vec::new(),
            contact: address_uri(invite.contact_header()?.value()).to_owned(),
            local_cseq: invite.cseq_header()?.seq()?,
            remote_cseq: 0,
            flow,
            phone: None,
            trunk,
            caller: true,
        }
        .in_lines()
    }

    /// The same, opened by `ok`; of a forked INVITE also one beside it.
    pub(crate) fn answered(&self, ok: &Response) -> Result<Self, BadDialog> {
        let remote = ok.to_header()?.value().to_owned();
        let mut routes = record_routes(&ok.headers);
        routes.reverse();
        Self {
            remote_tag: parameter(&remote, "tag").unwrap_or_default().to_owned(),
            remote,
            // Who names no place is where it was called.
            target: contact_value(&ok.headers)
                .map(address_uri)
                .filter(|uri| is_target(uri))
                .map_or_else(|| self.target.clone(), str::to_owned),
            routes,
            remote_cseq: 0,
            ..self.clone()
        }
        .in_lines()
    }

    /// The dialog that our 2xx with `local_tag` to the peer's `invite` opens (RFC 3261 section 12.1.1).
    pub(crate) fn of_invite(
        invite: &Request,
        local_tag: &str,
        contact: &str,
        flow: Option<Flow>,
        trunk: bool,
    ) -> Result<Self, BadDialog> {
        let remote = invite.from_header()?.value().to_owned();
        let target = address_uri(invite.contact_header()?.value()).to_owned();
        if !is_target(&target) {
            return Err(BadDialog("a Contact to which no request can be sent".into()));
        }
        Self {
            call_id: invite.call_id_header()?.value().to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: parameter(&remote, "tag").unwrap_or_default().to_owned(),
            local: format!("{};tag={local_tag}", without_tag(invite.to_header()?.value())),
            remote,
            target,
            routes: record_routes(&invite.headers),
            contact: contact.to_owned(),
            local_cseq: 0,
            remote_cseq: invite.cseq_header()?.seq()?,
            flow,
            phone: None,
            trunk,
            caller: false,
        }
        .in_lines()
    }

    /// The same with the phone that was called.
    pub(crate) fn with(self, phone: Option<Phone>) -> Self {
        Self { phone, ..self }
    }

    /// Refuses what would be more than one line in a request of ours: a lone CR ends no header for the parser, but may for
    /// the next reader.
    fn in_lines(self) -> Result<Self, BadDialog> {
        let texts = [&self.call_id, &self.local, &self.remote, &self.target, &self.contact];
        let fit = texts.into_iter().chain(&self.routes).all(|text| is_one_line(text));
        if !fit {
            return Err(BadDialog("a control character in a header that our requests would repeat".into()));
        }
        Ok(self)
    }

    /// Takes note of a request of the peer. False when it is older than one before (RFC 3261 section 12.2.2).
    pub(crate) fn takes(&mut self, request: &Request) -> bool {
        let Some(cseq) = request.cseq_header().ok().and_then(|cseq| cseq.seq().ok()) else {
            return false;
        };
        if self.remote_cseq != 0 && cseq <= self.remote_cseq {
            return false;
        }
        self.remote_cseq = cseq;
        true
    }

    /// Takes the peer's new Contact from a request or response that refreshes the target (RFC 3261 section 12.2.1.2).
    pub(crate) fn refresh_target(&mut self, contact: &str) {
        let uri = address_uri(contact);
        if is_target(uri) {
            uri.clone_into(&mut self.target);
        }
    }

    /// The peer is heard from there, and asked there from now on if it is not by its Contact. True when that is another place.
    pub(crate) fn hear(&mut self, from: Option<Flow>) -> bool {
        let moves = self.flow.is_some() && from.is_some() && self.flow != from;
        if moves {
            self.flow = from;
        }
        moves
    }

    /// Goes where the peer, a phone, has registered from since it was looked for last.
    pub(crate) fn follow(&mut self, shared: &Shared) {
        let Some(phone) = &mut self.phone else { return };
        let now = lock(&shared.registrar).flow_of(shared.steady_ms(), phone);
        if let Some(now) = now.filter(|now| *now != phone.flow) {
            phone.flow = now;
            self.flow = Some(now);
        }
    }

    /// Where the peer is asked instead of at its Contact.
    pub(crate) fn flow(&self) -> Option<Flow> {
        self.flow
    }

    /// Whether the peer is a phone that was called by its registration.
    pub(crate) fn is_phone(&self) -> bool {
        self.phone.is_some()
    }

    /// The peer is to be asked at its Contact. False when it is anyway.
    pub(crate) fn leave_flow(&mut self) -> bool {
        self.flow.take().is_some()
    }

    /// Where the next request goes, as far as that is known without looking up a name.
    pub(crate) fn next_hop(&self) -> Option<Flow> {
        let hop = self.destination(&Uri::try_from(self.target.as_str()).ok()?).ok()?;
        Some(Flow { tcp: hop.r#type == Some(Transport::Tcp), address: hop.get_socketaddr().ok()? })
    }

    /// Skips CSeq numbers that an earlier run may have used after its last snapshot.
    pub(crate) fn skip_cseq(&mut self, count: u32) {
        self.local_cseq = self.local_cseq.saturating_add(count);
    }

    /// CSeq number for the next attempt of a request that was challenged.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// A request in this dialog, and where to send it.
    pub(crate) fn request(
        &mut self,
        endpoint: &EndpointInner,
        method: Method,
        more: Vec<Header>,
        body: Vec<u8>,
    ) -> Result<(Request, SipAddr), BadDialog> {
        let uri = Uri::try_from(self.target.as_str())?;
        let destination = self.destination(&uri)?;
        let transport = destination.r#type.unwrap_or_default();
        let via = endpoint.get_via(listener(endpoint, transport), None)?;
        let mut headers = vec![
            Header::Via(via.into()),
            Header::CallId(self.call_id.clone().into()),
            Header::From(self.local.clone().into()),
            Header::To(self.remote.clone().into()),
            Header::CSeq(CSeq { seq: self.next_cseq(), method }.into()),
            Header::MaxForwards(70.into()),
            Header::UserAgent(endpoint.user_agent.clone().into()),
            Header::Contact(format!("<{}>", self.contact).into()),
        ];
        headers.extend(self.routes.iter().map(|route| Header::Route(route.clone().into())));
        headers.extend(more);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        headers.push(Header::ContentLength(length.into()));
        Ok((Request { method, uri, headers: headers.into(), body, version: Version::V2 }, destination))
    }

    /// The ACK to a 2xx to an INVITE of ours, and where to send it (RFC 3261 section 13.2.2.4).
    pub(crate) fn ack(
        &self,
        endpoint: &EndpointInner,
        ok: &Response,
    ) -> Result<(Request, SipAddr), BadDialog> {
        let mut at_its_number = self.clone();
        at_its_number.local_cseq = ok.cseq_header()?.seq()?.saturating_sub(1);
        at_its_number.request(endpoint, Method::Ack, Vec::new(), Vec::new())
    }

    pub(crate) fn contact(&self) -> &str {
        &self.contact
    }

    /// Our From value, tag included.
    pub(crate) fn local(&self) -> &str {
        &self.local
    }

    /// Our To value; with a tag once the peer has one.
    pub(crate) fn remote(&self) -> &str {
        &self.remote
    }

    /// Request-URI of our requests.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// CSeq number of our last request.
    pub(crate) fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    fn destination(&self, target: &Uri) -> Result<SipAddr, BadDialog> {
        if let Some(route) = self.routes.first() {
            let uri = Uri::try_from(address_uri(route))?;
            return Ok(SipAddr::try_from(&uri)?);
        }
        match self.flow {
            Some(flow) => Ok(flow.sip_addr()),
            None => Ok(SipAddr::try_from(target)?),
        }
    }
}

/// Whether a request of SIP can be sent to `uri`: to what else is named, we could not even send a BYE.
fn is_target(uri: &str) -> bool {
    let is_in_name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    let is_sip = |uri: Uri| {
        let is_host = match &uri.host_with_port.host {
            Host::IpAddr(_) => true,
            Host::Domain(name) => name.to_string().chars().all(is_in_name),
        };
        is_host && matches!(uri.scheme, Some(Scheme::Sip | Scheme::Sips))
    };
    is_one_line(uri) && Uri::try_from(uri).is_ok_and(is_sip)
}

/// Whether `text` can stand in a header: horizontal tabs are the only control characters there (RFC 3261 section 25.1).
fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_ascii_control() && c != '\t')
}

/// Our own address for a transport.
pub(crate) fn listener(endpoint: &EndpointInner, transport: Transport) -> Option<SipAddr> {
    let listeners = endpoint.transport_layer.get_listen_addrs();
    listeners.into_iter().find(|address| address.r#type.unwrap_or_default() == transport)
}

/// Adds a To tag to a request that we answer, so that every response carries the same one.
pub(crate) fn tag_request(request: &mut Request, tag: &str) {
    if let Ok(to) = request.to_header().cloned() {
        request.headers.unique_push(to.with_tag(tag.into()).into());
    }
}

fn record_routes(headers: &rsipstack::sip::Headers) -> Vec<String> {
    let values = headers.iter().filter_map(|header| match header {
        Header::RecordRoute(value) => Some(value.value()),
        _ => None,
    });
    values.flat_map(split_list).map(str::to_owned).collect()
}

fn without_tag(to: &str) -> &str {
    match to.rsplit_once(";tag=") {
        Some((before, _)) => before,
        None => to,
    }
}

/// Whether a URI names TCP.
pub(crate) fn is_tcp(uri: &Uri) -> bool {
    uri.params.iter().any(|param| matches!(param, Param::Transport(Transport::Tcp)))
}

/// The first Contact value of a message.
pub(crate) fn contact_value(headers: &rsipstack::sip::Headers) -> Option<&str> {
    headers.iter().find_map(|header| match header {
        Header::Contact(value) => Some(value.value()),
        _ => None,
    })
}
