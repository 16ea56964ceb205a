//! Limits of the protocol.

/// Largest datagram in either direction, in bytes.
pub const DATAGRAM_BYTES: usize = 16_384;
/// Longest cookie, in bytes.
pub const COOKIE_BYTES: usize = 64;
/// Longest name of a leg, a controller or a play, in bytes.
pub const NAME_BYTES: usize = 64;
/// Most names in one `leg.list` reply.
pub const LIST_PAGE: u16 = 200;
/// Most sources in one `play`.
pub const PLAY_SOURCES: usize = 64;
/// Most events of one subscriber that wait for an acknowledgement.
pub const EVENTS_UNACKNOWLEDGED: usize = 4_096;
/// Most of those in flight at once.
pub const EVENTS_IN_FLIGHT: usize = 64;
/// How long a reply is kept for a repeated cookie, in milliseconds.
pub const REPLY_KEPT_MS: u64 = 30_000;
/// Most replies kept.
pub const REPLIES_KEPT: usize = 65_536;
