//! Digest authentication, the client's side (RFC 2617 section 3.2.2, MD5).

use md5::{Digest, Md5};

/// A challenge from a 401 or 407.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    qop_auth: bool,
}

impl Challenge {
    /// Reads a WWW-Authenticate or Proxy-Authenticate value. `None`: not Digest, or not MD5.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(' ')?;
        let parameters = parameters(rest);
        let find = |name: &str| {
            parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
        };
        let md5 = find("algorithm").is_none_or(|a| a.eq_ignore_ascii_case("MD5"));
        if !scheme.eq_ignore_ascii_case("Digest") || !md5 {
            return None;
        }
        let qop_auth =
            find("qop").is_some_and(|list| list.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")));
        Some(Self { realm: find("realm")?, nonce: find("nonce")?, opaque: find("opaque"), qop_auth })
    }

    /// The Authorization value that answers this challenge.
    pub(crate) fn answer(&self, user: &str, password: &str, method: &str, uri: &str, cnonce: &str) -> String {
        let Self { realm, nonce, .. } = self;
        let ha1 = hex(&format!("{user}:{realm}:{password}"));
        let ha2 = hex(&format!("{method}:{uri}"));
        let mut value =
            format!("Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\"");
        let response = if self.qop_auth {
            value.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
            hex(&format!("{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}"))
        } else {
            hex(&format!("{ha1}:{nonce}:{ha2}"))
        };
        value.push_str(&format!(", response=\"{response}\", algorithm=MD5"));
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }
}

fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, tail) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.push((name.trim_matches([',', ' ']).to_owned(), value.trim().to_owned()));
        rest = tail;
    }
    found
}

fn hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2617_section_3_5_is_answered_as_printed() {
        let challenge = Challenge::parse(
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        )
        .expect("the challenge of the RFC");
        let answer = challenge.answer("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b");
        assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
        assert!(answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""));
    }

    #[test]
    fn other_schemes_and_hashes_are_declined() {
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
        assert_eq!(Challenge::parse("Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256"), None);
        assert_eq!(Challenge::parse("Digest realm=\"x"), None);
    }
}
