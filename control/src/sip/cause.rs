//! Why a call failed, in the telephone network's own words: Reason headers (RFC 3326).

use rsipstack::sip::{Header, Headers};

/// The cause of ITU-T Q.850, 1 to 127, that a response carries; the first of several (RFC 3326 section 2).
pub(crate) fn q850_cause(headers: &Headers) -> Option<u8> {
    headers.iter().find_map(|header| match header {
        Header::Reason(reason) => cause_of(reason.value()),
        _ => None,
    })
}

fn cause_of(reasons: &str) -> Option<u8> {
    reasons.split(',').find_map(|reason| {
        let mut parts = reason.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case("Q.850") {
            return None;
        }
        let cause = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().parse().ok())?
        });
        cause.filter(|cause| (1..=127).contains(cause))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pv_06_the_cause_of_the_telephone_network_is_found_among_the_reasons() {
        let found = [
            ("Q.850 ;cause=16 ;text=\"Terminated\"", Some(16)),
            ("SIP ;cause=404, q.850;text=\"Unallocated (unassigned) number\"; Cause = 1", Some(1)),
            ("SIP;cause=600;text=\"Busy, everywhere\"", None),
            ("Q.850", None),
            ("Q.850;cause=", None),
            ("Q.850;cause=0", None),
            ("Q.850;cause=300", None),
            ("", None),
        ];
        for (reasons, cause) in found {
            assert_eq!(cause_of(reasons), cause, "{reasons}");
        }
    }
}
