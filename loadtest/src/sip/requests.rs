//! What a user agent does when told to, and how it serves requests.

use std::net::SocketAddr;

use super::call::{Call, Stage, same_transaction};
use super::digest::Challenge;
use super::message::{Message, Start, uri_of, user_of};
use super::user_agent::{Purpose, Registration, UserAgent, cancel_name};
use super::{CallKey, Cause, Event, Transport, sdp};

const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY, MESSAGE";

impl UserAgent {
    /// Registers `user` for `expires_s` seconds (0 removes the binding); the outcome is an event.
    pub fn register(
        &mut self,
        now_ms: u64,
        user: &str,
        password: &str,
        registrar: SocketAddr,
        expires_s: u32,
    ) {
        let cseq = self.registrations.get(user).map_or(0, |r| r.cseq);
        let password = password.to_owned();
        let registration = Registration { password, registrar, expires_s, cseq, authentications: 0 };
        self.registrations.insert(user.to_owned(), registration);
        self.send_register(now_ms, user, None);
    }

    /// Calls `to_user` at `peer` and offers `description`.
    pub fn invite(
        &mut self,
        now_ms: u64,
        from_user: &str,
        to_user: &str,
        peer: SocketAddr,
        description: &str,
    ) -> CallKey {
        let tag = self.token();
        let call_id = format!("{}@{}", self.token(), self.local.ip());
        let target = format!("sip:{to_user}@{peer}");
        let local_uri = format!("<sip:{from_user}@{}>", self.local);
        let mut invite = Message::request("INVITE", &target);
        invite.push("Max-Forwards", "70");
        invite.push("From", &format!("{local_uri};tag={tag}"));
        invite.push("To", &format!("<{target}>"));
        invite.push("Call-ID", &call_id);
        invite.push("CSeq", "1 INVITE");
        invite.push("Contact", &self.contact(from_user));
        invite.push("Allow", ALLOW);
        invite.push("Content-Type", "application/sdp");
        description.as_bytes().clone_into(&mut invite.body);
        let mut call = Call::incoming(&invite, peer, tag, String::new());
        call.stage = Stage::Calling { provisional: false, cancel: false };
        call.local_uri = local_uri;
        call.remote = format!("<{target}>");
        call.target = target;
        call.cseq = 1;
        call.description = Some(description.to_owned());
        let key = self.adopt(call);
        self.send_invite(now_ms, key, invite);
        key
    }

    /// Sends 180 for a waiting call.
    pub fn ring(&mut self, now_ms: u64, call: CallKey) {
        self.respond_to_call(now_ms, call, 180, "Ringing", None);
    }

    /// Answers a waiting call. False: it is not waiting any more.
    pub fn answer(&mut self, now_ms: u64, key: CallKey, description: &str) -> bool {
        let Some(call) = self.calls.get_mut(&key).filter(|call| call.stage == Stage::Ringing) else {
            return false;
        };
        call.stage = Stage::AwaitAck { hang_up: false };
        call.description = Some(description.to_owned());
        self.respond_to_call(now_ms, key, 200, "OK", Some(description));
        true
    }

    /// Refuses a waiting call with a code of 300 to 699. False: it is not waiting any more.
    pub fn reject(&mut self, now_ms: u64, key: CallKey, code: u16) -> bool {
        if !self.calls.get(&key).is_some_and(|call| call.stage == Stage::Ringing) {
            return false;
        }
        self.respond_to_call(now_ms, key, code, reason(code), None);
        self.end(key, Cause::WeRefused);
        true
    }

    /// Ends a call in whatever way its stage demands; [`Event::Ended`] follows.
    pub fn hang_up(&mut self, now_ms: u64, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        match call.stage {
            Stage::Ringing => {
                self.reject(now_ms, key, 480);
            }
            // BYE has to wait for the ACK (RFC 3261 section 15).
            Stage::AwaitAck { .. } => call.stage = Stage::AwaitAck { hang_up: true },
            Stage::Calling { provisional, cancel: false } => {
                call.stage = Stage::Calling { provisional, cancel: true };
                if provisional {
                    self.send_cancel(now_ms, key);
                }
            }
            Stage::Calling { cancel: true, .. } | Stage::Closing => {}
            Stage::Up => {
                call.stage = Stage::Closing;
                let (bye, to) = (call.request("BYE"), call.next_hop());
                self.send_request(now_ms, bye, to, Purpose::Bye(key));
            }
        }
    }

    pub(super) fn on_request(&mut self, now_ms: u64, from: SocketAddr, method: &str, request: &Message) {
        let key = server_key(request, method);
        if method == "ACK" {
            self.on_ack(now_ms, &key, request);
            return;
        }
        if let Some((to, bytes)) = self.transactions.stored(&key) {
            self.counters.retransmissions_received += 1;
            if !bytes.is_empty() {
                self.out.push_back((to, bytes));
            }
            return;
        }
        let call = request.header("Call-ID").and_then(|id| self.by_call_id.get(id)).copied();
        match (method, call) {
            ("INVITE", None) if request.tag("To").is_none() => self.on_invite(now_ms, from, key, request),
            ("INVITE" | "UPDATE", Some(call)) => self.on_reoffer(now_ms, from, &key, call, request),
            ("BYE", Some(call)) => {
                self.respond(now_ms, from, &key, request, 200, None);
                self.end(call, Cause::ByeReceived);
            }
            ("CANCEL", Some(call)) => {
                self.respond(now_ms, from, &key, request, 200, None);
                if self.calls.get(&call).is_some_and(|call| call.stage == Stage::Ringing) {
                    self.respond_to_call(now_ms, call, 487, "Request Terminated", None);
                    self.end(call, Cause::Cancelled);
                }
            }
            ("OPTIONS", _) | ("INFO" | "NOTIFY" | "MESSAGE", Some(_)) => {
                self.respond(now_ms, from, &key, request, 200, None);
            }
            ("INVITE" | "UPDATE" | "BYE" | "CANCEL" | "INFO" | "NOTIFY" | "MESSAGE", _) => {
                self.counters.unexpected += 1;
                self.respond(now_ms, from, &key, request, 481, None);
            }
            _ => {
                self.counters.unexpected += 1;
                self.respond(now_ms, from, &key, request, 405, None);
            }
        }
    }

    pub(super) fn send_register(&mut self, now_ms: u64, user: &str, challenge: Option<(u16, &Challenge)>) {
        let cnonce = self.token();
        let Some(registration) = self.registrations.get_mut(user) else { return };
        registration.cseq += 1;
        let registrar = registration.registrar;
        let uri = format!("sip:{registrar}");
        let address = format!("<sip:{user}@{registrar}>");
        let mut request = Message::request("REGISTER", &uri);
        request.push("Max-Forwards", "70");
        request.push("From", &format!("{address};tag={cnonce}"));
        request.push("To", &address);
        request.push("Call-ID", &format!("register-{user}-{:x}@{}", self.seed, self.local.ip()));
        request.push("CSeq", &format!("{} REGISTER", registration.cseq));
        let contact = format!("<sip:{user}@{}{}>", self.local, uri_parameter(self.transport));
        request.push("Contact", &contact);
        request.push("Expires", &registration.expires_s.to_string());
        if let Some((code, challenge)) = challenge {
            let answer = challenge.answer(user, &registration.password, "REGISTER", &uri, &cnonce);
            request.push(authorization(code), &answer);
        }
        self.send_request(now_ms, request, registrar, Purpose::Register(user.to_owned()));
    }

    pub(super) fn send_cancel(&mut self, now_ms: u64, key: CallKey) {
        let Some(call) = self.calls.get(&key) else { return };
        let (cancel, peer) = (same_transaction(&call.invite, "CANCEL", None), call.peer);
        let bytes = cancel.write();
        let name = cancel_name(&call.invite_key);
        self.transactions.start_client(now_ms, &name, peer, &bytes, false);
        self.purposes.insert(name, Purpose::Cancel);
        self.out.push_back((peer, bytes));
    }

    pub(super) fn send_ack(&mut self, key: CallKey) {
        let branch = self.token();
        let via = self.via(&branch);
        let Some(call) = self.calls.get_mut(&key) else { return };
        let (mut ack, to) = (call.request("ACK"), call.next_hop());
        ack.headers.insert(0, ("Via".to_owned(), via));
        ack.push("Max-Forwards", "70");
        let bytes = ack.write();
        call.ack = Some((to, bytes.clone()));
        self.out.push_back((to, bytes));
    }

    fn adopt(&mut self, call: Call) -> CallKey {
        self.serial += 1;
        let key = self.serial;
        self.by_call_id.insert(call.call_id.clone(), key);
        self.calls.insert(key, call);
        key
    }

    fn via(&self, branch: &str) -> String {
        let transport = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        format!("SIP/2.0/{transport} {};branch=z9hG4bK{branch};rport", self.local)
    }

    fn contact(&self, user: &str) -> String {
        let (at, parameter) = (if user.is_empty() { "" } else { "@" }, uri_parameter(self.transport));
        format!("<sip:{user}{at}{}{parameter}>", self.local)
    }

    fn send_invite(&mut self, now_ms: u64, key: CallKey, invite: Message) {
        let branch = self.token();
        let mut invite = invite;
        invite.headers.insert(0, ("Via".to_owned(), self.via(&branch)));
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.invite = invite;
        call.invite_key = format!("z9hG4bK{branch}");
        let (bytes, peer, name) = (call.invite.write(), call.peer, call.invite_key.clone());
        self.transactions.start_client(now_ms, &name, peer, &bytes, true);
        self.purposes.insert(name, Purpose::Invite(key));
        self.out.push_back((peer, bytes));
    }

    fn send_request(&mut self, now_ms: u64, request: Message, to: SocketAddr, purpose: Purpose) {
        let branch = self.token();
        let mut request = request;
        request.headers.insert(0, ("Via".to_owned(), self.via(&branch)));
        let bytes = request.write();
        let name = format!("z9hG4bK{branch}");
        self.transactions.start_client(now_ms, &name, to, &bytes, false);
        self.purposes.insert(name, purpose);
        self.out.push_back((to, bytes));
    }

    fn on_invite(&mut self, now_ms: u64, from: SocketAddr, key: String, invite: &Message) {
        let tag = self.token();
        let Start::Request { uri, .. } = &invite.start else { return };
        let to_user = user_of(uri).to_owned();
        let from_user = user_of(uri_of(invite.header("From").unwrap_or(""))).to_owned();
        let call = self.adopt(Call::incoming(invite, from, tag, key));
        self.respond_to_call(now_ms, call, 100, "Trying", None);
        let offer = sdp::parse(&invite.body);
        self.events.push_back(Event::Incoming { call, to_user, from_user, offer });
    }

    fn on_reoffer(&mut self, now_ms: u64, from: SocketAddr, key: &str, call_key: CallKey, request: &Message) {
        let Some(call) = self.calls.get_mut(&call_key) else { return };
        let description = call.description.clone();
        if call.stage == Stage::Ringing {
            self.counters.unexpected += 1;
            self.respond(now_ms, from, key, request, 491, None);
            return;
        }
        call.refresh_target(request);
        // Only an UPDATE without a body gets no description back (RFC 3311 section 5.2).
        let update = matches!(&request.start, Start::Request { method, .. } if method == "UPDATE");
        let description = description.filter(|_| !(update && request.body.is_empty()));
        self.respond(now_ms, from, key, request, 200, description.as_deref());
        if !request.body.is_empty() {
            self.events.push_back(Event::Reoffered { call: call_key, remote: sdp::parse(&request.body) });
        }
    }

    fn on_ack(&mut self, now_ms: u64, key: &str, ack: &Message) {
        self.transactions.quiet(key);
        let call = ack.header("Call-ID").and_then(|id| self.by_call_id.get(id)).copied();
        let Some((call_key, call)) = call.and_then(|key| Some((key, self.calls.get_mut(&key)?))) else {
            return;
        };
        self.transactions.quiet(&call.invite_key);
        if let Some(reinvite) = ack.cseq().map(|(number, _)| reinvite_name(&call.call_id, number)) {
            self.transactions.quiet(&reinvite);
        }
        if let Stage::AwaitAck { hang_up } = call.stage {
            call.stage = Stage::Up;
            self.events.push_back(Event::Confirmed { call: call_key });
            if hang_up {
                self.hang_up(now_ms, call_key);
            }
        }
    }

    fn respond_to_call(&mut self, now_ms: u64, key: CallKey, code: u16, reason: &str, body: Option<&str>) {
        let Some(call) = self.calls.get(&key) else { return };
        let tag = (code > 100).then_some(call.local_tag.as_str());
        let mut response = Message::response_to(&call.invite, code, reason, tag);
        for route in call.invite.values("Record-Route") {
            response.push("Record-Route", route);
        }
        if code > 100 {
            response.push("Contact", &self.contact(""));
        }
        let (name, peer) = (call.invite_key.clone(), call.peer);
        self.send_response(now_ms, &name, peer, response, self.repeats(code), body);
    }

    fn respond(
        &mut self,
        now_ms: u64,
        to: SocketAddr,
        key: &str,
        request: &Message,
        code: u16,
        body: Option<&str>,
    ) {
        let tag = self.token();
        let call = request.header("Call-ID").and_then(|id| self.by_call_id.get(id));
        let tag = call.and_then(|key| self.calls.get(key)).map_or(tag, |call| call.local_tag.clone());
        let mut response = Message::response_to(request, code, reason(code), Some(&tag));
        response.push("Allow", ALLOW);
        response.push("Contact", &self.contact(""));
        let (number, method) = request.cseq().unwrap_or((0, ""));
        let invite = method == "INVITE";
        if invite && code < 300 {
            // The ACK of a 2xx has a branch of its own, so this one is found by Call-ID and number.
            let name = reinvite_name(request.header("Call-ID").unwrap_or(""), number);
            let bytes = with_body(response.clone(), body).write();
            self.transactions.start_server(now_ms, &name, to, &bytes, true);
            self.send_response(now_ms, key, to, response, false, body);
            return;
        }
        self.send_response(now_ms, key, to, response, invite && self.repeats(code), body);
    }

    /// Whether a response to an INVITE is sent again until its ACK comes: a 2xx over any transport (RFC 3261 section 13.3.1.4), a
    /// refusal only where it may get lost (section 17.2.1).
    fn repeats(&self, code: u16) -> bool {
        code >= 200 && (code < 300 || self.transport == Transport::Udp)
    }

    fn send_response(
        &mut self,
        now_ms: u64,
        key: &str,
        to: SocketAddr,
        response: Message,
        resend: bool,
        body: Option<&str>,
    ) {
        let bytes = with_body(response, body).write();
        self.transactions.start_server(now_ms, key, to, &bytes, resend);
        self.out.push_back((to, bytes));
    }
}

fn with_body(mut response: Message, body: Option<&str>) -> Message {
    if let Some(body) = body {
        response.push("Content-Type", "application/sdp");
        body.as_bytes().clone_into(&mut response.body);
    }
    response
}

/// What a URI of ours adds to be reached over a transport (RFC 3261 section 19.1.1).
fn uri_parameter(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
    }
}

fn server_key(request: &Message, method: &str) -> String {
    let method = if method == "ACK" { "INVITE" } else { method };
    format!("s|{method}|{}", request.branch().unwrap_or(""))
}

fn reinvite_name(call_id: &str, number: u32) -> String {
    format!("r|{call_id}|{number}")
}

fn authorization(code: u16) -> &'static str {
    if code == 407 { "Proxy-Authorization" } else { "Authorization" }
}

/// Reason phrases of the codes we send.
fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        603 => "Decline",
        _ => "Refused",
    }
}
