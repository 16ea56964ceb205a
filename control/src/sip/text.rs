//! Text that goes into and comes out of headers.

use rsipstack::sip::Uri;

/// User part of a URI from a name or number: what is not allowed there is percent-encoded (RFC 3261 section 25.1), control
/// characters are dropped.
pub(crate) fn user_part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes().take(128) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'+' => {
                out.push(char::from(byte));
            }
            0..=32 | 127 => {}
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// A display name that cannot end its quotes or its line.
pub(crate) fn display_name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>')).take(128).collect()
}

/// A reason phrase or header value on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).take(256).collect()
}

/// User part of a URI, decoded.
pub(crate) fn user_of(uri: &Uri) -> String {
    decode(uri.user().unwrap_or_default())
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let hex = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match (bytes[at], hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits a header value at commas that are outside quotes and angle brackets (RFC 3261 section 7.3.1).
pub(crate) fn split_list(value: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut angle, mut start) = (false, false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in value.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            ',' if !quoted && !angle => {
                parts.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The URI of a `name-addr` or `addr-spec`, without header parameters.
pub(crate) fn address_uri(value: &str) -> &str {
    let after_name = if value.trim_start().starts_with('"') {
        let body = value.trim_start();
        let mut escaped = false;
        let end = body[1..].find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        end.map_or(body, |end| &body[end + 2..])
    } else {
        value
    };
    match after_name.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default().trim(),
        None => after_name.split(';').next().unwrap_or_default().trim(),
    }
}

/// A parameter after the URI of a header value, by name.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let tail = match value.rsplit_once('>') {
        Some((_, tail)) => tail,
        None => value.split_once(';').map(|(_, tail)| tail)?,
    };
    tail.split(';').find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_cannot_write_headers_of_its_own() {
        assert_eq!(user_part("+31 20\r\nX: y"), "+3120X%3Ay");
        assert_eq!(display_name("Bob\"\r\nVia: x<sip:a>"), "BobVia: xsip:a");
    }

    #[test]
    fn commas_in_quotes_and_angles_do_not_split() {
        let value = "\"Smith, \\\"J\" <sip:a@b;x=1,2>;q=0.5, sip:c@d";
        assert_eq!(split_list(value), ["\"Smith, \\\"J\" <sip:a@b;x=1,2>;q=0.5", "sip:c@d"]);
    }

    #[test]
    fn the_uri_is_found_behind_a_name_with_brackets() {
        assert_eq!(address_uri("\"a <b>\" <sip:c@d;transport=tcp>;tag=1"), "sip:c@d;transport=tcp");
        assert_eq!(address_uri("sip:c@d;tag=1"), "sip:c@d");
        assert_eq!(parameter("<sip:c@d;tag=2>;tag=1", "tag"), Some("1"));
        assert_eq!(parameter("sip:c@d;expires=60", "Expires"), Some("60"));
        assert_eq!(parameter("sip:c@d", "tag"), None);
    }

    #[test]
    fn a_percent_sign_without_two_hex_digits_stays() {
        for text in ["%+1", "1%2", "%", "%zz"] {
            assert_eq!(decode(text), text);
        }
    }

    #[test]
    fn a_number_comes_back_from_a_uri() {
        let uri = Uri::try_from("sip:%23%31@example.com").expect("a URI");
        assert_eq!(user_of(&uri), "#1");
    }
}
