//! A SIP message: reading it off the wire and writing it (RFC 3261 section 7).

/// Longest message read; a UDP datagram can't be longer.
const MAX_MESSAGE_BYTES: usize = 65_535;
/// Most header lines read before the message is refused.
const MAX_HEADERS: usize = 200;

/// One request or response.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) start: Start,
    /// Names are in the long, capitalised-as-received form; look-ups ignore case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The first line.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Request { method: String, uri: String },
    Response { code: u16, reason: String },
}

impl Message {
    /// An empty request.
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        let start = Start::Request { method: method.to_owned(), uri: uri.to_owned() };
        Self { start, headers: Vec::new(), body: Vec::new() }
    }

    /// A response to `request` with the headers that every response copies (RFC 3261 section 8.2.6.2).
    pub(crate) fn response_to(request: &Self, code: u16, reason: &str, to_tag: Option<&str>) -> Self {
        let mut response = Self {
            start: Start::Response { code, reason: reason.to_owned() },
            headers: Vec::new(),
            body: Vec::new(),
        };
        for (name, value) in &request.headers {
            if ["Via", "From", "Call-ID", "CSeq"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
                response.push(name, value);
            } else if name.eq_ignore_ascii_case("To") {
                match to_tag {
                    Some(tag) if param(value, "tag").is_none() => {
                        response.push("To", &format!("{value};tag={tag}"));
                    }
                    _ => response.push("To", value),
                }
            }
        }
        response
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The first header of that name, whole.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every value of that name, in order, with comma-separated lists split.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.flat_map(|(_, v)| split_list(v)).collect()
    }

    /// Sequence number and method of CSeq.
    pub(crate) fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.trim().split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// The branch of the topmost Via.
    pub(crate) fn branch(&self) -> Option<&str> {
        param(self.values("Via").first()?, "branch")
    }

    /// Tag of From or To.
    pub(crate) fn tag(&self, header: &str) -> Option<&str> {
        param(self.header(header)?, "tag")
    }

    /// Bytes for the wire; Content-Length is added here.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut text = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { code, reason } => format!("SIP/2.0 {code} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads one datagram. `None`: it is not a SIP message, or lacks a header that every message has.
    pub(crate) fn parse(datagram: &[u8]) -> Option<Self> {
        if datagram.len() > MAX_MESSAGE_BYTES {
            return None;
        }
        let head_bytes = datagram.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&datagram[..head_bytes]).ok()?;
        let mut lines = head.split("\r\n").skip_while(|line| line.is_empty());
        let start = parse_start(lines.next()?)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut()?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((long_name(name.trim()).to_owned(), value.trim().to_owned()));
            if headers.len() > MAX_HEADERS {
                return None;
            }
        }
        let mut message = Self { start, headers, body: Vec::new() };
        let rest = &datagram[head_bytes + 4..];
        let length = match message.header("Content-Length") {
            Some(length) => length.parse::<usize>().ok().filter(|&n| n <= rest.len())?,
            None => rest.len(),
        };
        message.body = rest[..length].to_vec();
        let complete = ["Via", "From", "To", "Call-ID"].iter().all(|name| message.header(name).is_some());
        (complete && message.cseq().is_some()).then_some(message)
    }
}

/// A parameter of a header value: `param("<sip:a>;tag=x", "tag")` is `x`. Parameters inside `<…>` belong to the URI.
pub(crate) fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let outside = value.rsplit_once('>').map_or(value, |(_, after)| after);
    outside.split(';').skip(1).find_map(|p| {
        let (key, val) = p.split_once('=').unwrap_or((p, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| val.trim().trim_matches('"'))
    })
}

/// The URI of a name-addr or addr-spec (RFC 3261 section 20.10).
pub(crate) fn uri_of(value: &str) -> &str {
    match (value.find('<'), value.rfind('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// The user part of a SIP or tel URI; empty when there is none.
pub(crate) fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    let user = match rest.split_once('@') {
        Some((user, _)) => user,
        None if uri.starts_with("tel:") => rest,
        None => "",
    };
    user.split(';').next().unwrap_or(user)
}

/// Where a SIP URI with a literal address points; port 5060 when none is written.
pub(crate) fn address_of(uri: &str) -> Option<std::net::SocketAddr> {
    let rest = uri.split_once(':')?.1;
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    let host = host.split([';', '?']).next()?;
    host.parse().ok().or_else(|| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some(std::net::SocketAddr::new(address, 5060))
    })
}

fn split_list(value: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from) = (0_i32, false, 0);
    let mut parts = Vec::new();
    for (at, c) in value.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(value[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[from..].trim());
    parts
}

fn parse_start(line: &str) -> Option<Start> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
        return Some(Start::Response { code, reason: reason.to_owned() });
    }
    let mut words = line.split(' ');
    let (method, uri, version) = (words.next()?, words.next()?, words.next()?);
    let valid = version == "SIP/2.0" && words.next().is_none() && !uri.is_empty();
    let valid = valid && !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    valid.then(|| Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

/// Compact header forms (RFC 3261 section 7.3.3).
fn long_name(name: &str) -> &str {
    match name {
        "i" => "Call-ID",
        "m" => "Contact",
        "f" => "From",
        "t" => "To",
        "v" => "Via",
        "l" => "Content-Length",
        "c" => "Content-Type",
        "k" => "Supported",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+3120@127.0.0.1:5080 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport, \
        SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK0\r\nf: \"A, B\" <sip:a@b;x=1>;tag=ft\r\nTo: <sip:+3120@c>\r\ni: abc\r\n\
        CSeq: 7 INVITE\r\nSubject: folded\r\n line\r\nl: 4\r\n\r\nbodyrest";

    #[test]
    fn compact_forms_lists_folding_and_length_are_understood() {
        let message = Message::parse(INVITE.as_bytes()).expect("a valid INVITE");
        assert_eq!(message.branch(), Some("z9hG4bK1"));
        assert_eq!(message.values("Via").len(), 2);
        assert_eq!(message.tag("From"), Some("ft"));
        assert_eq!(message.tag("To"), None);
        assert_eq!(message.cseq(), Some((7, "INVITE")));
        assert_eq!(message.header("Subject"), Some("folded line"));
        assert_eq!(message.body, b"body");
    }

    #[test]
    fn a_response_copies_what_it_must_and_adds_the_tag_once() {
        let request = Message::parse(INVITE.as_bytes()).expect("a valid INVITE");
        let response = Message::response_to(&request, 200, "OK", Some("mine"));
        let read = Message::parse(&response.write()).expect("our own response");
        assert_eq!(read.tag("To"), Some("mine"));
        assert_eq!(Message::response_to(&read, 200, "OK", Some("other")).tag("To"), Some("mine"));
    }

    #[test]
    fn uris_give_up_their_parts() {
        assert_eq!(uri_of("\"x\" <sip:a@b;lr>;tag=1"), "sip:a@b;lr");
        assert_eq!(uri_of("sip:a@b;tag=1"), "sip:a@b");
        assert_eq!(user_of("sip:+31;npdi@h"), "+31");
        assert_eq!(user_of("tel:+31"), "+31");
        assert_eq!(address_of("sip:a@127.0.0.1:5070;transport=udp"), "127.0.0.1:5070".parse().ok());
        assert_eq!(address_of("sip:[::1]"), "[::1]:5060".parse().ok());
        assert_eq!(address_of("sip:a@example.net"), None);
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_read_or_refused_but_never_panics() {
        let bytes = INVITE.as_bytes();
        for end in 0..bytes.len() {
            let _ = Message::parse(&bytes[..end]);
            for value in [0, b'\r', b'\n', b' ', b':', b'<', b',', 0xff] {
                let mut changed = bytes.to_vec();
                changed[end] = value;
                if let Some(message) = Message::parse(&changed) {
                    let _ = (message.branch(), message.tag("From"), message.values("Via"), message.write());
                }
            }
        }
    }
}
