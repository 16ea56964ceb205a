//! What comes over a connection of TCP, cut into messages (RFC 3261 sections 7.5 and 18.3).

use super::limits::MESSAGE_BYTES;

/// Bytes of a stream that have come and wait to be whole.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// What has come; more is to be added at its end.
    pub(crate) received: Vec<u8>,
    /// So many have to be there before it is worth another look.
    needed: usize,
    /// No end of the headers is before here.
    looked: usize,
}

/// What a stream consists of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A keep-alive that asks for an answer (RFC 5626 section 4.4.1).
    Ping,
    /// Headers and as much of a body as these announce; whether it is a message is not looked at.
    Message(Vec<u8>),
}

/// Why nobody can say where the next message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("a message is longer than {MESSAGE_BYTES} bytes")]
    TooLong,
    #[error("Content-Length is no number, or several")]
    BadLength,
}

impl Pieces {
    /// The next piece that is whole.
    pub(crate) fn poll(&mut self) -> Result<Option<Piece>, Broken> {
        loop {
            if self.received.is_empty() || self.received.len() < self.needed {
                return Ok(None);
            }
            if self.received.starts_with(PING) {
                self.take(PING.len());
                return Ok(Some(Piece::Ping));
            }
            if PING.starts_with(&self.received) {
                return Ok(None);
            }
            if self.received.starts_with(b"\r\n") {
                // An answer to a keep-alive, or what some put between messages (section 7.5).
                self.take(2);
                continue;
            }
            let Some(end) = self.received[self.looked..].windows(4).position(|end| end == PING) else {
                self.looked = self.received.len().saturating_sub(3);
                return if self.received.len() > MESSAGE_BYTES { Err(Broken::TooLong) } else { Ok(None) };
            };
            let head = self.looked + end + 4;
            let whole = head.saturating_add(content_length(&self.received[..head])?.unwrap_or(0));
            if whole > MESSAGE_BYTES {
                return Err(Broken::TooLong);
            }
            if self.received.len() < whole {
                (self.needed, self.looked) = (whole, head - 4);
                return Ok(None);
            }
            return Ok(Some(Piece::Message(self.take(whole))));
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        (self.needed, self.looked) = (0, 0);
        self.received.drain(..length).collect()
    }
}

/// What the headers say of the length of the body, if anything; over a connection that means that there is none (section 20.14).
pub(crate) fn content_length(head: &[u8]) -> Result<Option<usize>, Broken> {
    let mut said = None;
    for line in head.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = line[colon + 1..].trim_ascii();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(digits).ok().filter(|_| is_number);
        let length = length.and_then(|digits| digits.parse().ok()).ok_or(Broken::BadLength)?;
        if said.is_some_and(|before: usize| before != length) {
            return Err(Broken::BadLength);
        }
        said = Some(length);
    }
    Ok(said)
}

const PING: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: &str, body: &str) -> Vec<u8> {
        format!("INFO sip:a SIP/2.0\r\n{length}\r\n\r\n{body}").into_bytes()
    }

    fn all(pieces: &mut Pieces) -> Result<Vec<Piece>, Broken> {
        let mut found = Vec::new();
        while let Some(piece) = pieces.poll()? {
            found.push(piece);
        }
        Ok(found)
    }

    #[test]
    fn a_stream_is_cut_the_same_however_it_comes() {
        let (one, two) = (message("Content-Length : 3", "abc"), message("l: 0", ""));
        let stream = [PING, &one, b"\r\n", &two, &message("To: b", ""), &one, PING].concat();
        let expected = [
            Piece::Ping,
            Piece::Message(one.clone()),
            Piece::Message(two),
            Piece::Message(message("To: b", "")),
            Piece::Message(one),
            Piece::Ping,
        ];
        for step in [1, 2, 3, 7, stream.len()] {
            let (mut pieces, mut found) = (Pieces::default(), Vec::new());
            for part in stream.chunks(step) {
                pieces.received.extend_from_slice(part);
                found.extend(all(&mut pieces).expect("it can be cut"));
            }
            assert_eq!(found, expected, "in steps of {step}");
            assert!(pieces.received.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let refused = |bytes: Vec<u8>| all(&mut Pieces { received: bytes, ..Pieces::default() });
        for length in ["-1", "", "1e3", "+5", "0x10", "99999999999999999999999", "5, 5"] {
            let text = message(&format!("Content-Length: {length}"), "");
            assert_eq!(refused(text), Err(Broken::BadLength), "{length}");
        }
        assert_eq!(refused(message("Content-Length: 0\r\nl: 5", "")), Err(Broken::BadLength));
        for length in [MESSAGE_BYTES.to_string(), usize::MAX.to_string()] {
            assert_eq!(refused(message(&format!("l: {length}"), "")), Err(Broken::TooLong), "{length}");
        }
        assert_eq!(refused(vec![b'x'; MESSAGE_BYTES + 1]), Err(Broken::TooLong));
        assert_eq!(refused(vec![b'x'; MESSAGE_BYTES]), Ok(Vec::new()), "its end may still come");
        let twice = message("Content-Length: 1\r\nContent-Length: 1", "a");
        assert_eq!(refused(twice.clone()), Ok(vec![Piece::Message(twice)]));
    }
}
