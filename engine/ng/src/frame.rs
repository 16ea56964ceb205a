//! Requests on a stream: `cookie SP dictionary` one after another, each as long as its dictionary says.

use offhook_proto::limits::COOKIE_BYTES;

use crate::limits::FRAME_BYTES;
use crate::{bencode, json};

/// Cuts a stream of bytes into frames. White space between frames is skipped.
#[derive(Debug, Default)]
pub struct Splitter {
    held: Vec<u8>,
    /// How far the frame that is arriving has been looked through.
    scan: Option<Scan>,
}

#[derive(Debug)]
enum Scan {
    Bencode(bencode::Scan),
    Json(json::Scan),
}

/// The stream cannot be understood any more: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Splitter {
    /// Takes what has been read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole frame, or none yet. At most [`FRAME_BYTES`] are held for it.
    ///
    /// # Errors
    /// [`Broken`]: no cookie, no dictionary, or one that is too long.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let blank = self.held.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.held.drain(..blank);
        let Some(space) = self.held.iter().take(COOKIE_BYTES + 1).position(|&byte| byte == b' ') else {
            return if self.held.len() > COOKIE_BYTES { Err(Broken) } else { Ok(None) };
        };
        let dictionary = &self.held[space + 1..];
        let scan = match dictionary.first() {
            None => return Ok(None),
            Some(b'd') => self.scan.get_or_insert(Scan::Bencode(bencode::Scan::default())),
            Some(b'{') => self.scan.get_or_insert(Scan::Json(json::Scan::default())),
            Some(_) => return Err(Broken),
        };
        let length = match scan {
            Scan::Bencode(scan) => scan.length(dictionary).map_err(|()| Broken)?,
            Scan::Json(scan) => scan.length(dictionary),
        };
        match length {
            Some(length) if space + 1 + length <= FRAME_BYTES => {
                self.scan = None;
                Ok(Some(self.held.drain(..space + 1 + length).collect()))
            }
            None if self.held.len() <= FRAME_BYTES => Ok(None),
            Some(_) | None => Err(Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] = b"c1 d7:command4:pinge\n c2 {\"command\":\"} ping\"}c3 d7:command4:pinge";

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_stream_is_cut(cuts in proptest::collection::vec(1_usize..9, 1..40)) {
            let (mut splitter, mut frames, mut at) = (Splitter::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(STREAM.len());
                splitter.push(&STREAM[at..end]);
                while let Some(frame) = splitter.next_frame().expect("sound") {
                    frames.push(frame);
                }
                at = end;
                if at == STREAM.len() {
                    break;
                }
            }
            prop_assert_eq!(frames.len(), 3);
            prop_assert_eq!(&frames[1], b"c2 {\"command\":\"} ping\"}");
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut splitter = Splitter::default();
            splitter.push(&bytes);
            while let Ok(Some(_)) = splitter.next_frame() {}
        }
    }

    #[test]
    fn what_is_no_request_breaks_the_stream() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[b'x'; 80], b"c1 le", b"c1 d999999999:"] {
            let mut splitter = Splitter::default();
            splitter.push(bytes);
            assert_eq!(splitter.next_frame(), Err(Broken), "{bytes:?}");
        }
        let mut splitter = Splitter::default();
        splitter.push(format!("c1 d3:sdp{FRAME_BYTES}:").as_bytes());
        splitter.push(&vec![b'a'; FRAME_BYTES]);
        assert_eq!(splitter.next_frame(), Err(Broken));
    }
}
