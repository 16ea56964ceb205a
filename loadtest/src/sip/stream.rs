//! Messages cut out of a byte stream (RFC 3261 section 18.3).

/// Longest head and longest body that are waited for.
const MAX_HEAD_BYTES: usize = 65_535;
const MAX_BODY_BYTES: usize = 65_535;

/// What comes next in a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// One whole message.
    Message(Vec<u8>),
    /// A keep-alive, which is answered by an empty line (RFC 5626 section 3.5.1).
    Ping,
}

/// Nothing after this can be understood: no Content-Length, as TCP demands it (section 20.14), or more than is waited for.
#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

/// What has come of a connection and is not yet a whole message.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
}

impl Stream {
    /// Takes what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next piece, once it is there. Errors: the connection is of no use any more.
    pub(crate) fn poll(&mut self) -> Result<Option<Piece>, Broken> {
        if self.bytes.starts_with(b"\r\n\r\n") {
            self.bytes.drain(..4);
            return Ok(Some(Piece::Ping));
        }
        // Half a keep-alive, or the answer to one.
        let blank = self.bytes.starts_with(b"\r\n") && self.bytes.get(2).is_some_and(|&byte| byte != b'\r');
        self.bytes.drain(..if blank { 2 } else { 0 });
        let Some(head_bytes) = self.bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if self.bytes.len() > MAX_HEAD_BYTES { Err(Broken) } else { Ok(None) };
        };
        let body_bytes = content_length(&self.bytes[..head_bytes]).filter(|&bytes| bytes <= MAX_BODY_BYTES);
        let whole_bytes = head_bytes + 4 + body_bytes.ok_or(Broken)?;
        if self.bytes.len() < whole_bytes {
            return Ok(None);
        }
        Ok(Some(Piece::Message(self.bytes.drain(..whole_bytes).collect())))
    }
}

/// What a head says of its body, in the long form or the compact one.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    head.split("\r\n").skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        let named = name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l");
        named.then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";
    const COMPACT: &[u8] = b"SIP/2.0 200 OK\r\nl : 0\r\n\r\n";

    fn pieces(stream: &mut Stream) -> Vec<Piece> {
        std::iter::from_fn(|| stream.poll().expect("nothing is broken")).collect()
    }

    #[test]
    fn messages_and_keep_alives_are_cut_out_wherever_the_stream_was_torn() {
        let whole = [OPTIONS, b"\r\n\r\n", COMPACT, b"\r\n", OPTIONS].concat();
        let expected = [
            Piece::Message(OPTIONS.to_vec()),
            Piece::Ping,
            Piece::Message(COMPACT.to_vec()),
            Piece::Message(OPTIONS.to_vec()),
        ];
        for tear in 0..whole.len() {
            let mut stream = Stream::default();
            stream.push(&whole[..tear]);
            let mut found = pieces(&mut stream);
            stream.push(&whole[tear..]);
            found.extend(pieces(&mut stream));
            assert_eq!(found, expected, "torn at {tear}");
        }
    }

    #[test]
    fn a_message_without_its_length_and_one_without_end_break_the_stream() {
        for broken in
            [&b"OPTIONS sip:a SIP/2.0\r\n\r\n"[..], b"A\r\nContent-Length: -1\r\n\r\n", &[b'x'; 70_000]]
        {
            let mut stream = Stream::default();
            stream.push(broken);
            assert_eq!(stream.poll(), Err(Broken));
        }
        let mut stream = Stream::default();
        stream.push(b"A\r\nContent-Length: 9999999\r\n\r\n");
        assert_eq!(stream.poll(), Err(Broken), "longer than is waited for");
    }
}
