//! Limits of the `ng` family. Reaching one gives rtpengine's error, never a stall.

/// Deepest nesting of a dictionary.
pub const DEPTH: usize = 16;
/// Most values in one dictionary, keys included.
pub const VALUES: usize = 4_096;
/// Largest request over a stream, in bytes: cookie, space and dictionary.
pub const FRAME_BYTES: usize = 262_144;
/// Largest SDP body, in bytes.
pub const SDP_BYTES: usize = 65_536;
/// Most media sections in one body.
pub const SECTIONS: usize = 16;
/// Most formats in one media section.
pub const FORMATS: usize = 64;
/// Most dialogues in one call: branches of a fork, subscriptions, publications.
pub const DIALOGUES: usize = 32;
/// Most calls at once.
pub const CALLS: usize = 32_768;
/// Most requests that wait for the engine at once.
pub const TRANSACTIONS: usize = 4_096;
/// Longest call-id, tag or branch, in bytes.
pub const NAME_BYTES: usize = 1_024;
/// Most replies kept for repeated cookies, and for how long, in milliseconds.
pub const REPLIES: usize = 16_384;
/// How long a reply is kept, in milliseconds.
pub const REPLY_KEPT_MS: u64 = 30_000;
/// Most bytes of replies kept.
pub const REPLY_BYTES: usize = 32 << 20;
/// Calls named by `list` unless asked otherwise.
pub const LIST: usize = 32;
/// Longest `delete-delay`, in seconds.
pub const DELETE_DELAY_S: u64 = 3_600;
/// Between two looks at whether a call still has media, in milliseconds.
pub const LOOK_MS: u64 = 20_000;
