//! Limits of the protocol.

/// Largest datagram that the engine takes, in bytes; what it sends is no larger, but for `statistics` of many workers.
pub const DATAGRAM_BYTES: usize = 16_384;
/// Room for a datagram from the engine, in bytes: all that UDP over IPv4 can carry.
pub const REPLY_BYTES: usize = 65_507;
/// Longest cookie, in bytes.
pub const COOKIE_BYTES: usize = 64;
/// Longest name of a leg, a controller or a play, in bytes.
pub const NAME_BYTES: usize = 64;
/// Deepest nesting of a dictionary: the outermost braces are the first level.
pub const JSON_DEPTH: usize = 8;
/// Most names in one `leg.list` reply.
pub const LIST_PAGE: u16 = 200;
/// Most sources in one `play`.
pub const PLAY_SOURCES: usize = 64;
/// Longest time that a play can be limited to, and latest moment at which it can begin in its list, in milliseconds: a day.
pub const PLAY_MS: u32 = 86_400_000;
/// Longest name of a prompt file, in bytes.
pub const FILE_BYTES: usize = 255;
/// Most keys in one DTMF source.
pub const DTMF_KEYS: usize = 64;
/// Milliseconds that a key can be held, and the pause after it.
pub const KEY_MS: std::ops::RangeInclusive<u32> = 40..=5_000;
/// Longest time that all keys of one source take with their pauses, in milliseconds.
pub const KEYS_MS: u64 = 60_000;
/// Levels of a key, in dBm0.
pub const KEY_LEVEL_DBM0: std::ops::RangeInclusive<i8> = -63..=0;
/// Greatest number that is spoken.
pub const SPOKEN_NUMBER: u32 = 999_999_999;
/// Longest silence in one play source, in milliseconds.
pub const SILENCE_MS: u32 = 600_000;
/// Clock rates that telephone-events can have, in Hz.
pub const TELEPHONE_EVENT_RATE_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Packet times that a leg can have, in milliseconds; in steps of [`PTIME_STEP_MS`].
pub const PTIME_MS: std::ops::RangeInclusive<u8> = 10..=60;
/// Step of [`PTIME_MS`].
pub const PTIME_STEP_MS: u8 = 10;
/// Samples a second that a recording can have.
pub const RECORD_RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];
/// Milliseconds that a parameter of a detection can be.
pub const DETECT_MS: std::ops::RangeInclusive<u32> = 10..=60_000;
/// Milliseconds that a tone of a detection can last; shorter ones are not heard.
pub const DETECT_TONE_MS: std::ops::RangeInclusive<u32> = 60..=60_000;
/// Frequencies of a detection's beeps, in Hz.
pub const DETECT_HZ: std::ops::RangeInclusive<u32> = 200..=3_800;
/// Levels of a detection's faintest tone, in dBm0.
pub const DETECT_LEVEL_DBM0: std::ops::RangeInclusive<i8> = -55..=0;
/// Words that can make a machine.
pub const DETECT_WORDS: std::ops::RangeInclusive<u32> = 1..=100;
/// Mean absolute samples that can be voice.
pub const DETECT_THRESHOLD: std::ops::RangeInclusive<u16> = 1..=32_767;
/// Milliseconds between comfort-noise packets.
pub const COMFORT_NOISE_MS: std::ops::RangeInclusive<u32> = 20..=60_000;
/// Milliseconds between keep-alive packets.
pub const KEEPALIVE_MS: std::ops::RangeInclusive<u32> = 1_000..=60_000;
/// Milliseconds after which a leg can be called silent; 0 besides, for never.
pub const SILENT_AFTER_MS: std::ops::RangeInclusive<u32> = 100..=3_600_000;
/// Milliseconds without audio in a conversation after which a leg is told as one-way, where this is not 0. The shortest are longer
/// than what Opus leaves out in a silence (400 ms).
pub const ONE_WAY_AFTER_MS: std::ops::RangeInclusive<u32> = 1_000..=3_600_000;
/// A parked leg passes one packet in at most so many, in user space.
pub const KEEP_ONE_IN: u16 = 1_024;
/// Longest time that a splice is measured from, in microseconds.
pub const SINCE_US: u64 = 3_600_000_000;
/// Milliseconds of silence that a lease can bear; 0 besides, for no lease.
pub const LEASE_MS: std::ops::RangeInclusive<u32> = 1_000..=3_600_000;
/// Most events of one subscriber that wait for an acknowledgement.
pub const EVENTS_UNACKNOWLEDGED: usize = 4_096;
/// Most of those in flight at once.
pub const EVENTS_IN_FLIGHT: usize = 64;
/// How long a reply is kept for a repeated cookie, in milliseconds.
pub const REPLY_KEPT_MS: u64 = 30_000;
/// Most replies kept.
pub const REPLIES_KEPT: usize = 65_536;

/// How far a signature's time may be from the receiver's clock, either way, in milliseconds.
pub const SIGNATURE_WINDOW_MS: u64 = 10_000;
/// Shortest shared key, in bytes.
pub const KEY_BYTES_MIN: usize = 16;
/// Most signatures remembered, to refuse a second sight of one.
pub const SIGNATURES_KEPT: usize = 131_072;
/// Bytes that a signature adds to a datagram: `@`, at most 20 digits, `.`, 64 hexadecimal digits and a space.
pub const SIGNATURE_BYTES: usize = 87;

/// Most requests of one client in flight.
pub const CLIENT_IN_FLIGHT: usize = 1_024;
/// Most requests of one client unfinished: in flight, waiting, or answered and not yet polled.
pub const CLIENT_UNFINISHED: usize = 65_536;
/// Most events that a client holds for its owner; those that come after are left to be sent again.
pub const CLIENT_EVENTS_HELD: usize = 4_096;
/// How far ahead of a missing event a client keeps later ones.
pub const CLIENT_REORDER: u64 = 256;
/// Longest time that a client may wait for one reply, in microseconds: below [`REPLY_KEPT_MS`], so that a request sent
/// again is never executed again.
pub const CLIENT_TIMEOUT_US: u64 = 20_000_000;
