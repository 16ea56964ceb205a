//! Offers and answers in a confirmed call, from both sides, and its session timer.

use std::time::Duration;

use offhook_control_core::sip::{Direction, LocalMedia, RemoteMedia};
use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Header, Method, Request, Response, StatusCode, StatusCodeKind};
use rsipstack::transaction::transaction::Transaction;
use tokio::time::Instant;

use super::dialog::contact_value;
use super::door::{Answer, required};
use super::established::{End, Established};
use super::flow::Flow;
use super::incoming::{drive, value};
use super::limits::{OFFER_AGAIN_MOST_MS, OFFER_AGAIN_MS, OFFER_ATTEMPTS};
use super::outgoing::{header, min_se};
use super::request::{allow, full_response, reply, sdp_warning};
use super::sdp::{self, Description, SdpError};
use super::session_timer::SessionTimer;
use super::shared::{Message, lock};
use super::text::parameter;

impl Established {
    /// A request of the peer in the dialog.
    pub(crate) async fn on_peer(&mut self, transaction: Transaction) -> Option<End> {
        let request = &transaction.original;
        let from = request.from_header().map(|from| from.value().to_owned()).unwrap_or_default();
        if parameter(&from, "tag").unwrap_or_default() != self.dialog.remote_tag {
            reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
            return None;
        }
        if !self.dialog.takes(request) {
            reply(transaction, StatusCode::ServerInternalError, Vec::new());
            return None;
        }
        let from = Flow::of(transaction.connection.as_ref());
        *lock(&self.heard) = from;
        if self.dialog.hear(from) {
            self.tell_snapshot().await;
        }
        if let Some(unknown) = required(request) {
            reply(transaction, StatusCode::BadExtension, vec![Header::Unsupported(unknown.into())]);
            return None;
        }
        match request.method {
            Method::Bye => {
                let reason = value(request, "Reason").unwrap_or_else(|| "BYE".to_owned());
                reply(transaction, StatusCode::OK, Vec::new());
                return Some(End::by_peer(reason));
            }
            Method::Invite | Method::Update => self.on_offer(transaction).await,
            Method::Info => {
                let (status, headers) = informed(request);
                reply(transaction, status, headers);
            }
            Method::Options => reply(transaction, StatusCode::OK, vec![allow()]),
            Method::Refer => reply(transaction, StatusCode::Decline, Vec::new()),
            Method::Notify | Method::PRack => {
                reply(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
            }
            Method::Message | Method::Publish | Method::Subscribe | Method::Register => {
                reply(transaction, StatusCode::MethodNotAllowed, vec![allow()]);
            }
            Method::Ack | Method::Cancel => {}
        }
        None
    }

    /// A re-INVITE or UPDATE.
    async fn on_offer(&mut self, transaction: Transaction) {
        let request = transaction.original.clone();
        let is_invite = request.method == Method::Invite;
        // One exchange at a time (RFC 3261 section 14.2, RFC 3311 section 5.2). An UPDATE without an offer is none.
        let exchanges = is_invite || is_offer(&request);
        if exchanges && (self.offering.is_some() || self.unacked.is_some()) {
            return reply(transaction, StatusCode::RequestPending, Vec::new());
        }
        let session = match SessionTimer::of_request(
            value(&request, "Session-Expires").as_deref(),
            self.shared.config.min_session_s,
        ) {
            Ok(session) => session,
            Err(least_s) => {
                let headers = vec![Header::MinSE(least_s.to_string().into())];
                return reply(transaction, StatusCode::SessionIntervalTooSmall, headers);
            }
        };
        let (sdp, remote) = match self.answer_to(&request) {
            Ok(answer) => answer,
            Err(error) => {
                return reply(transaction, StatusCode::NotAcceptableHere, vec![sdp_warning(&error)]);
            }
        };
        let mut response = full_response(&self.shared, &request, StatusCode::OK, self.dialog.contact(), sdp);
        if let Some(session) = session {
            response.headers.push(Header::SessionExpires(session.response_value().into()));
            response.headers.push(Header::Require("timer".into()));
        }
        if is_invite {
            self.unacked = request.cseq_header().ok().and_then(|cseq| cseq.seq().ok());
            self.answer_in_ack = remote.is_none();
        }
        respond(transaction, response, is_invite, self);
        if let Some(contact) = contact_value(&request.headers) {
            self.dialog.refresh_target(contact);
        }
        if session.is_some() || self.session.is_some_and(|session| !session.ours) {
            self.set_session(session);
        }
        if let Some(remote) = remote {
            self.on_remote(remote).await;
        }
        self.tell_snapshot().await;
    }

    /// Our SDP for a request of the peer, and what the peer said in it. It tells what a refused offer of ours was to tell.
    fn answer_to(&mut self, request: &Request) -> Result<(Option<String>, Option<RemoteMedia>), SdpError> {
        let Some(again) = self.again.take() else { return self.answer_with(request) };
        let before = self.local.replace(again.local.clone());
        let answer = self.answer_with(request);
        if !matches!(answer, Ok((Some(_), _))) {
            (self.local, self.again) = (before, Some(again));
        }
        answer
    }

    fn answer_with(&mut self, request: &Request) -> Result<(Option<String>, Option<RemoteMedia>), SdpError> {
        let direction = self.direction();
        if !is_offer(request) {
            let ours = (request.method == Method::Invite).then(|| self.next_local()).flatten();
            return Ok((ours.map(|local| sdp::offer(&local, &self.secrets, direction)), None));
        }
        let offer = Description::parse(&request.body, self.secrets.security)?;
        let before = self.local.clone();
        let local = self.next_local().ok_or(SdpError::NoAudio)?;
        match sdp::answer(&offer, &local, &self.secrets) {
            Ok((text, remote)) => Ok((Some(text), Some(remote))),
            Err(error) => {
                self.local = before;
                Err(error)
            }
        }
    }

    /// Offers other media, now or when the present exchange is over.
    pub(crate) fn offer(&mut self, mut local: LocalMedia) {
        self.again = None;
        if self.offering.is_some() || self.unacked.is_some() {
            self.next_offer = Some(local);
            return;
        }
        let last = self.local.as_ref().map_or(0, |local| local.session_version);
        local.session_version = local.session_version.max(last + 1);
        let text = sdp::offer(&local, &self.secrets, Direction::SendRecv);
        self.offering = Some(local);
        self.invite(text, false);
    }

    /// Makes an offer again that was refused for the moment.
    pub(crate) fn offer_again(&mut self) {
        if let Some(again) = self.again.take() {
            self.offer(again.local);
        }
    }

    fn invite(&mut self, sdp: String, refresh: bool) {
        let mut headers = self.session_headers();
        headers.push(Header::ContentType("application/sdp".into()));
        self.ask(Method::Invite, headers, sdp.into_bytes(), move |response| Message::Replied {
            offered: true,
            refresh,
            response,
        });
    }

    fn session_headers(&self) -> Vec<Header> {
        let mut headers = vec![allow(), Header::Supported("timer".into())];
        if let Some(session) = self.session {
            headers.push(Header::SessionExpires(session.request_value().into()));
            headers.push(Header::MinSE(self.shared.config.min_session_s.to_string().into()));
        }
        headers
    }

    /// The session timer has run to its mark.
    pub(crate) fn on_due(&mut self) -> Option<End> {
        let session = self.session?;
        if !session.ours {
            self.send_bye("session expired");
            return Some(End::by_peer("the session expired without a refresh"));
        }
        self.due = Some(Instant::now() + Duration::from_millis(session.due_ms()));
        if self.offering.is_some() || self.unacked.is_some() {
            return None;
        }
        if self.peer_takes_update {
            let headers = self.session_headers();
            let told = |response| Message::Replied { offered: false, refresh: true, response };
            self.ask(Method::Update, headers, Vec::new(), told);
        } else if let Some(local) = self.local.clone() {
            let text = sdp::offer(&local, &self.secrets, self.direction());
            self.offering = Some(local);
            self.invite(text, true);
        }
        None
    }

    /// The answer to a re-INVITE or UPDATE of ours, with the offer that was in it.
    pub(crate) async fn on_reply(
        &mut self,
        offered: Option<LocalMedia>,
        refresh: bool,
        response: Option<Response>,
    ) -> Option<End> {
        let Some(response) = response else {
            self.send_bye("no answer in the dialog");
            return Some(End::by_peer("the peer does not answer"));
        };
        match (response.status_code.kind(), response.status_code.code()) {
            (StatusCodeKind::Successful, _) => return self.on_agreed(offered, &response).await,
            // The peer knows of no call, or is not there (RFC 3261 section 12.2.1.2).
            (_, 408 | 481) => {
                self.send_bye("the dialog is gone");
                return Some(End::by_peer(format!("the peer answered {}", response.status_code)));
            }
            (_, 491 | 500 | 503) => {
                if let Some(local) = offered.filter(|_| !refresh) {
                    self.after_refusal(local, &response);
                }
            }
            (_, 422) if self.takes_longer_session(&response) => match offered {
                Some(local) if !refresh => self.offer(local),
                _ => return self.on_due(),
            },
            (_, status) => {
                tracing::info!(call = %self.call, status, refresh, "the peer refused our request in the dialog");
            }
        }
        self.continue_offers();
        None
    }

    /// The peer finds our session interval too short (RFC 4028 section 7.3). Whether it is to be asked once more: with a longer one,
    /// and not for ever.
    fn takes_longer_session(&mut self, response: &Response) -> bool {
        let Some((session, least_s)) = self.session.as_mut().zip(min_se(response)) else { return false };
        self.refusals += 1;
        let goes_on = least_s > session.interval_s && self.refusals < OFFER_ATTEMPTS;
        if goes_on {
            session.interval_s = least_s;
        } else {
            self.refusals = 0;
        }
        goes_on
    }

    async fn on_agreed(&mut self, offered: Option<LocalMedia>, response: &Response) -> Option<End> {
        self.refusals = 0;
        if let Some(contact) = contact_value(&response.headers) {
            self.dialog.refresh_target(contact);
        }
        if self.session.is_some() {
            let agreed = header(response, "Session-Expires");
            self.set_session(SessionTimer::of_response(agreed.as_deref(), self.shared.config.min_session_s));
        }
        if let Some(local) = offered {
            match sdp::accept(&response.body, &local, &self.secrets) {
                Ok(remote) => {
                    self.local = Some(local);
                    self.on_remote(remote).await;
                }
                Err(error) => {
                    self.send_bye(&error.to_string());
                    let reason = format!("no usable answer to our offer: {error}");
                    return Some(End { by_peer: false, reason });
                }
            }
        }
        self.tell_snapshot().await;
        self.continue_offers();
        None
    }

    fn continue_offers(&mut self) {
        if let Some(local) = self.next_offer.take() {
            self.offer(local);
        }
    }

    /// A refusal for the moment: our offer met the peer's (491), or the peer cannot take one now. The session goes on as it was
    /// (RFC 3261 section 14.1), and the offer is made again; a refresh is not, as its next mark comes.
    fn after_refusal(&mut self, local: LocalMedia, response: &Response) {
        self.refusals += 1;
        let status = response.status_code.code();
        if self.next_offer.is_some() {
            return;
        }
        if self.refusals >= OFFER_ATTEMPTS {
            tracing::warn!(call = %self.call, status, "an offer was refused repeatedly; giving it up");
            self.refusals = 0;
            return;
        }
        let wait_ms = match status {
            // Longer for the caller (RFC 3261 section 14.1).
            491 if self.dialog.caller => rand::random_range(2_100..=4_000),
            491 => rand::random_range(0..=2_000),
            _ => refused_for_ms(header(response, "Retry-After").as_deref(), self.refusals),
        };
        tracing::info!(call = %self.call, status, wait_ms, "an offer of ours is refused, and made again");
        self.again = Some(Again { at: Instant::now() + Duration::from_millis(wait_ms), local });
    }
}

fn is_offer(request: &Request) -> bool {
    !request.body.trim_ascii().is_empty()
}

/// The answer to an INFO. It tells that the peer is there; whatever is in it is for nobody (RFC 6086 section 4.2.2, RFC 3261 section
/// 8.2.3).
fn informed(info: &Request) -> Answer {
    if value(info, "Info-Package").is_some() {
        let none = Header::Other("Recv-Info".to_owned(), String::new());
        return (StatusCode::Other(469, "Bad Info Package".to_owned()), vec![none]);
    }
    let disposition = value(info, "Content-Disposition").unwrap_or_default();
    let is_optional =
        parameter(&disposition, "handling").is_some_and(|it| it.eq_ignore_ascii_case("optional"));
    if info.body.is_empty() || is_optional {
        return (StatusCode::OK, vec![allow()]);
    }
    (StatusCode::UnsupportedMediaType, vec![Header::Accept(String::new().into())])
}

/// An offer that was refused for the moment.
pub(crate) struct Again {
    /// When it is made again.
    pub(crate) at: Instant,
    /// Our side.
    pub(crate) local: LocalMedia,
}

/// How long to wait after so many refusals: what the peer asks for (RFC 3261 section 20.33), else longer each time.
fn refused_for_ms(retry_after: Option<&str>, refusals: u32) -> u64 {
    let digits = |text: &str| text.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>();
    let asked_s: Option<u64> = retry_after.and_then(|text| digits(text).parse().ok());
    let own_ms = OFFER_AGAIN_MS << (refusals - 1).min(16);
    asked_s.map_or(own_ms, |seconds| seconds.saturating_mul(1_000)).clamp(OFFER_AGAIN_MS, OFFER_AGAIN_MOST_MS)
}

fn respond(mut transaction: Transaction, response: Response, is_invite: bool, call: &Established) {
    let sender = call.sender.clone();
    tokio::spawn(async move {
        if let Err(error) = transaction.respond(response).await {
            tracing::debug!(%error, "a response could not be sent");
        }
        if is_invite {
            drive(transaction, sender).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::refused_for_ms;

    #[test]
    fn a_peer_that_says_for_how_long_it_is_busy_is_asked_then_and_another_one_less_and_less_often() {
        assert_eq!(
            [1, 2, 3, 9].map(|refusals| refused_for_ms(None, refusals)),
            [1_000, 2_000, 4_000, 32_000]
        );
        assert_eq!(refused_for_ms(Some("5;duration=3600"), 1), 5_000);
        assert_eq!(refused_for_ms(Some(" 18 (I am in a meeting)"), 1), 18_000);
        assert_eq!(
            ["0", "99999999999999999999", "soon"].map(|text| refused_for_ms(Some(text), 1)),
            [1_000; 3]
        );
        assert_eq!(refused_for_ms(Some("99999999999"), 1), 32_000);
    }
}
