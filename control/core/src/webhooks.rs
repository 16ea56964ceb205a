//! Where outcomes and pushes may be posted to.
//!
//! `callback_url` comes with a request, so that whoever holds a token has control post a small JSON body to any address that its machine
//! reaches. Answers are shown to nobody and redirects are not followed. Receivers stand inside the operator's network as a rule, so private
//! addresses are not refused by themselves: a list of hosts is what tells the ones that are meant from the others.

use http::Uri;
use serde::{Deserialize, Serialize};

/// Hosts that may be posted to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Each a name, a name behind `*.`, or an address (IPv6 in brackets), with a port or for all ports; none = every host.
    pub allowed_hosts: Vec<String>,
}

impl WebhookConfig {
    /// Whether a URL may be posted to. With a list, one that names no host never may.
    pub fn allows(&self, url: &str) -> bool {
        self.allowed_hosts.is_empty()
            || target(url)
                .is_some_and(|(host, port)| self.allowed_hosts.iter().any(|entry| fits(entry, &host, port)))
    }

    /// Whether a text is an entry of the list.
    pub fn is_entry(text: &str) -> bool {
        let (pattern, _) = split(text);
        let host = pattern.strip_prefix("*.").unwrap_or(pattern);
        let uri: Option<Uri> = format!("http://{host}/").parse().ok();
        !host.is_empty() && !host.contains('*') && uri.is_some_and(|uri| uri.host() == Some(host))
    }
}

/// Host in lower case and port, as the client that posts reads them.
fn target(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let usual = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual)))
}

fn fits(entry: &str, host: &str, port: u16) -> bool {
    let (pattern, only) = split(entry);
    let pattern = pattern.to_ascii_lowercase();
    let is_host = match pattern.strip_prefix('*') {
        Some(domain) => host.len() > domain.len() && host.ends_with(domain),
        None => host == pattern,
    };
    is_host && only.is_none_or(|only| only == port)
}

/// A host, and its port where the entry has one.
fn split(entry: &str) -> (&str, Option<u16>) {
    let port = |(host, port): (&'_ str, &'_ str)| Some((host.len(), port.parse().ok()?));
    match entry.rsplit_once(':').filter(|_| !entry.ends_with(']')).and_then(port) {
        Some((at, port)) => (&entry[..at], Some(port)),
        None => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(hosts: &[&str]) -> WebhookConfig {
        assert!(hosts.iter().all(|host| WebhookConfig::is_entry(host)), "{hosts:?}");
        WebhookConfig { allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
    }

    #[test]
    fn a_list_lets_its_hosts_pass_and_nothing_that_only_looks_like_them() {
        let list = only(&["crm.example", "*.hooks.example", "10.0.0.5:8443", "[::1]"]);
        for url in [
            "http://crm.example/done",
            "https://CRM.example:444?a=b",
            "https://a.b.hooks.example/",
            "https://10.0.0.5:8443/x",
            "http://[::1]:9000/",
            "http://anybody@crm.example/",
        ] {
            assert!(list.allows(url), "{url}");
        }
        for url in [
            "http://crm.example.evil.example/",
            "http://crm.example@evil.example/",
            "http://evil.example/crm.example",
            "http://evil.example#@crm.example/",
            "http://evil.example\\@crm.example/",
            "http://hooks.example/",
            "http://evilhooks.example/",
            "http://10.0.0.5/",
            "http://169.254.169.254/latest/meta-data",
            "ftp://crm.example/",
            "httpcrm.example",
            "http://",
        ] {
            assert!(!list.allows(url), "{url}");
            assert!(WebhookConfig::default().allows(url), "without a list: {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_no_entry() {
        for wrong in
            ["", "*", "*.", "a.*.example", "http://crm.example", "crm.example/x", "a@b", "::1", "a b"]
        {
            assert!(!WebhookConfig::is_entry(wrong), "{wrong}");
        }
    }
}
