//! Digest authentication, the server's side (RFC 7616, RFC 8760): header values as sent, hashes, nothing kept.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// Hash of a digest (RFC 7616 section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, which every phone knows.
    Md5,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// As in a challenge.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// By that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn hex(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }
}

/// Credentials of an Authorization header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) uri: String,
    response: String,
    algorithm: Option<String>,
    qop: Option<String>,
    cnonce: String,
    nc: String,
}

impl Credentials {
    /// Reads a header value. None unless it is a Digest with the parts that every digest has.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut credentials = Self::default();
        for part in super::text::split_list(rest) {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = unquoted(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "username" => credentials.username = value,
                "realm" => credentials.realm = value,
                "nonce" => credentials.nonce = value,
                "uri" => credentials.uri = value,
                "response" => credentials.response = value,
                "algorithm" => credentials.algorithm = Some(value),
                "qop" => credentials.qop = Some(value),
                "cnonce" => credentials.cnonce = value,
                "nc" => credentials.nc = value,
                _ => {}
            }
        }
        let complete = !credentials.username.is_empty()
            && !credentials.nonce.is_empty()
            && !credentials.response.is_empty()
            && !credentials.uri.is_empty();
        complete.then_some(credentials)
    }

    /// How often the client has used the nonce; none without `qop`.
    pub(crate) fn nonce_count(&self) -> Option<u32> {
        self.qop.as_ref()?;
        u32::from_str_radix(&self.nc, 16).ok()
    }

    /// Its hash; none when it is unknown.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::of(self.algorithm.as_deref().unwrap_or("MD5"))
    }

    /// Whether a password gives the response, over the request's method and the URI as the client wrote it.
    pub(crate) fn matches(&self, method: &str, password: &str) -> bool {
        let Some(algorithm) = self.algorithm() else {
            return false;
        };
        let secret = algorithm.hex(&format!("{}:{}:{password}", self.username, self.realm));
        let request = algorithm.hex(&format!("{method}:{}", self.uri));
        let expected = match self.qop.as_deref() {
            None => algorithm.hex(&format!("{secret}:{}:{request}", self.nonce)),
            Some("auth") => {
                algorithm.hex(&format!("{secret}:{}:{}:{}:auth:{request}", self.nonce, self.nc, self.cnonce))
            }
            Some(_) => return false,
        };
        same(expected.as_bytes(), self.response.to_ascii_lowercase().as_bytes())
    }
}

/// Compares without telling by its time where the difference is.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 section 3.9.1, whose request is an HTTP GET.
    fn example(algorithm: &str, response: &str) -> String {
        format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    }

    #[test]
    fn the_example_of_rfc_7616_matches_with_sha_256() {
        let value = example("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
        let credentials = Credentials::parse(&value).expect("credentials");
        assert!(credentials.matches("GET", "Circle of Life"));
        assert!(!credentials.matches("GET", "Circle of Death"));
        assert_eq!(credentials.nonce_count(), Some(1));
    }

    #[test]
    fn the_example_of_rfc_7616_matches_with_md5() {
        let value = example("MD5", "8ca523f5e9506fed4657c9700eebdbec");
        assert!(Credentials::parse(&value).expect("credentials").matches("GET", "Circle of Life"));
    }

    #[test]
    fn an_unknown_algorithm_or_scheme_never_matches() {
        let value = example("SHA-512", "8ca523f5e9506fed4657c9700eebdbec");
        assert!(!Credentials::parse(&value).expect("credentials").matches("GET", "Circle of Life"));
        assert!(Credentials::parse("Basic abc").is_none());
        assert!(Credentials::parse("Digest").is_none());
        assert!(Credentials::parse("Digest username=\"a").is_none());
    }
}
