//! Session timers (RFC 4028): who refreshes, when, and when a session is dead.

use serde::{Deserialize, Serialize};

/// An agreed session interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionTimer {
    /// Session-Expires, in seconds.
    pub(crate) interval_s: u32,
    /// Whether we send the refreshes.
    pub(crate) ours: bool,
}

impl SessionTimer {
    /// What a 2xx to our request agreed on; none when the peer keeps no session timer. In that exchange we are the UAC.
    pub(crate) fn of_response(session_expires: Option<&str>, least_s: u32) -> Option<Self> {
        let (interval_s, refresher) = parse(session_expires?)?;
        Some(Self { interval_s: interval_s.max(least_s), ours: refresher != Some(Refresher::Uas) })
    }

    /// What we agree to in a request of the peer, which is then the UAC.
    ///
    /// `Err` names the smallest interval that we accept (422, RFC 4028 section 6).
    pub(crate) fn of_request(session_expires: Option<&str>, least_s: u32) -> Result<Option<Self>, u32> {
        let Some((interval_s, refresher)) = session_expires.and_then(parse) else {
            return Ok(None);
        };
        if interval_s < least_s {
            return Err(least_s);
        }
        Ok(Some(Self { interval_s, ours: refresher == Some(Refresher::Uas) }))
    }

    /// Session-Expires in our 2xx to such a request.
    pub(crate) fn response_value(self) -> String {
        format!("{};refresher={}", self.interval_s, if self.ours { "uas" } else { "uac" })
    }

    /// Session-Expires in our refresh, where we are the UAC.
    pub(crate) fn request_value(self) -> String {
        format!("{};refresher={}", self.interval_s, if self.ours { "uac" } else { "uas" })
    }

    /// Milliseconds after the last refresh when we refresh again, or give the peer up (RFC 4028 section 10).
    pub(crate) fn due_ms(self) -> u64 {
        let interval_ms = u64::from(self.interval_s) * 1_000;
        if self.ours { interval_ms / 2 } else { interval_ms - (interval_ms / 3).min(32_000) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

fn parse(value: &str) -> Option<(u32, Option<Refresher>)> {
    let mut parts = value.split(';');
    let interval_s = parts.next()?.trim().parse().ok()?;
    let refresher = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let ours = name.trim().eq_ignore_ascii_case("refresher");
        match value.trim() {
            value if ours && value.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            value if ours && value.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        }
    });
    Some((interval_s, refresher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refresher_refreshes_at_half_time() {
        let timer = SessionTimer::of_response(Some("1800;refresher=uac"), 90).expect("a timer");
        assert!(timer.ours);
        assert_eq!(timer.due_ms(), 900_000);
    }

    #[test]
    fn the_other_side_gives_up_shortly_before_the_end() {
        let timer = SessionTimer::of_response(Some("90 ; refresher=uas"), 90).expect("a timer");
        assert!(!timer.ours);
        assert_eq!(timer.due_ms(), 60_000);
        let timer = SessionTimer { interval_s: 1_800, ours: false };
        assert_eq!(timer.due_ms(), 1_768_000);
    }

    #[test]
    fn an_interval_below_the_least_is_refused() {
        assert_eq!(SessionTimer::of_request(Some("30"), 90), Err(90));
        assert_eq!(SessionTimer::of_request(Some("rubbish"), 90), Ok(None));
        assert_eq!(SessionTimer::of_request(None, 90), Ok(None));
    }

    #[test]
    fn a_peer_that_leaves_the_choice_refreshes_itself() {
        let timer = SessionTimer::of_request(Some("600"), 90).expect("accepted").expect("a timer");
        assert_eq!(timer.response_value(), "600;refresher=uac");
    }
}
