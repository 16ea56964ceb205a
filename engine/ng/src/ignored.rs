//! What is ignored of a request: refused where the call would not be what was asked for, else named in the reply.

use crate::failure::Failure;
use crate::flags::{Flags, shown};
use crate::value::{Value, same_key};

impl Flags<'_> {
    /// Refuses what would go wrong if it were passed over, in any request.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        let is_set = |key: &&str| {
            self.has(key) || matches!(self.dict.find(key), Some(Value::Int(number)) if *number != 0)
        };
        let unsupported = [
            "DTMF-delay",
            "DTMF-security-trigger",
            "DTMF-security-trigger-end",
            "delay-buffer",
            "discard-recording",
            "recording-pattern",
            "trigger",
            "trigger-end",
            "end-trigger",
        ];
        let of_t38 = || self.dict.texts("T.38").into_iter().find(|wish| matches!(*wish, "decode" | "force"));
        match unsupported.into_iter().find(is_set).or_else(|| of_t38().map(|_| "T.38")) {
            Some(name) => Err(Failure::error(format!("{name} is not supported"))),
            None => Ok(()),
        }
    }

    /// Names the keys and flags that nothing is made of, if there are any.
    pub(crate) fn warning(&self) -> Option<String> {
        let keys = self.dict.0.iter().filter_map(|(key, _)| std::str::from_utf8(key).ok());
        let unknown = |name: &&str| {
            let known = KNOWN.iter().any(|known| same_key(known.as_bytes(), name.as_bytes()));
            let starts = |start: &&str| {
                name.get(..start.len()).is_some_and(|named| same_key(named.as_bytes(), start.as_bytes()))
            };
            !known && !KNOWN_STARTS.iter().any(starts)
        };
        let mut names: Vec<String> =
            keys.chain(self.flags.iter().copied()).filter(unknown).map(shown).collect();
        names.extend(self.ignored_words());
        names.truncate(NAMED);
        (!names.is_empty()).then(|| format!("Ignored: {}", names.join(", ")))
    }

    /// Words of lists, and wishes for codecs, that nothing is made of.
    fn ignored_words(&self) -> impl Iterator<Item = String> {
        let is_replaced = |word: &&str| {
            ["origin", "session-connection"].iter().any(|known| same_key(known.as_bytes(), word.as_bytes()))
        };
        let of_suite = |word: &&str| word.starts_with("no-") || word.starts_with("only-");
        let replaced = self.dict.texts("replace").into_iter().filter(move |word| !is_replaced(word));
        let keys = self.dict.texts("SDES").into_iter().filter(move |word| !of_suite(word));
        let codec = match self.dict.find("codec") {
            Some(Value::Dict(codec)) => &codec.0[..],
            Some(_) | None => &[],
        };
        let wishes = codec.iter().filter_map(|(wish, _)| std::str::from_utf8(wish).ok());
        let unknown = wishes.filter(|wish| !WISHES.contains(wish));
        replaced
            .map(|word| format!("replace={}", shown(word)))
            .chain(keys.map(|word| format!("SDES={}", shown(word))))
            .chain(unknown.map(|wish| format!("codec-{}", shown(wish))))
    }
}

/// Keys and flags that are read, or ask for what is so anyway.
const KNOWN: [&str; 85] = [
    "address",
    "address-family",
    "all",
    "allow-transcoding",
    "always-transcode",
    "answer",
    "asymmetric",
    "call-id",
    "code",
    "codec",
    "command",
    "debug",
    "debugging",
    "delete-delay",
    "digit",
    "direction",
    "drop-traffic",
    "DTLS",
    "DTLS-fingerprint",
    "DTLS-reverse",
    "DTMF-security",
    "duration",
    "endpoint-learning",
    "exclude-recording",
    "external",
    "fatal",
    "file",
    "flags",
    "force",
    "from-label",
    "from-tag",
    "from-tags",
    "full-rtcp-attribute",
    "generate-RTCP",
    "ICE",
    "ICE-lite",
    "inactive",
    "inject-DTMF",
    "instance",
    "interface",
    "internal",
    "label",
    "limit",
    "loop-protect",
    "media",
    "media-address",
    "media-echo",
    "no-endpoint-learning",
    "no-port-latching",
    "no-rtcp-attribute",
    "original-sendrecv",
    "output-destination",
    "pause",
    "port-latching",
    "ptime",
    "ptime-reverse",
    "received-from",
    "record-call",
    "recording-dir",
    "recording-file",
    "reject-ICE",
    "repeat-duration",
    "repeat-times",
    "replace",
    "reset",
    "rtcp-mux",
    "SDES",
    "sdp",
    "set-label",
    "single-codec",
    "SIP-source-address",
    "start-pos",
    "strict-source",
    "supports",
    "symmetric",
    "T.38",
    "to-call-id",
    "to-label",
    "to-tag",
    "transport-protocol",
    "trickle-ICE",
    "trust-address",
    "unidirectional",
    "via-branch",
    "volume",
];
/// Flags that say more behind these words.
const KNOWN_STARTS: [&str; 15] = [
    "codec-accept-",
    "codec-consume-",
    "codec-except-",
    "codec-mask-",
    "codec-offer-",
    "codec-strip-",
    "codec-transcode-",
    "endpoint-learning-",
    "from-tags-",
    "replace-origin",
    "replace-session-connection",
    "rtcp-mux-",
    "SDES-no-",
    "SDES-only-",
    "transcode-",
];
/// What can be wished for codecs.
const WISHES: [&str; 7] = ["accept", "consume", "except", "mask", "offer", "strip", "transcode"];
/// Most names in a warning.
const NAMED: usize = 16;
