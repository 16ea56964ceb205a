//! Limits of the engine. Reaching one gives a clear error or a counted drop, never a stall.

/// Largest RTP or RTCP packet that the engine makes, in bytes.
pub const PACKET_BYTES: usize = 1_500;

/// Most bytes that protecting a packet adds to it.
pub const SRTP_OVERHEAD_BYTES: usize = offhook_srtp::OVERHEAD_BYTES;
/// Milliseconds between two searches for the rollover counter of a secure leg's peer, each at the price of some hundred packets:
/// a leg that is sent forged ones has five a second.
pub const ROLLOVER_SEARCH_MS: u64 = 200;
/// Packets of sources that it could learn that a latch looks at before only the signalled source can latch.
pub const LATCH_BUDGET_PACKETS: u16 = 50;
/// Packets that another port of the signalled address must send to latch.
pub const LATCH_SAME_ADDRESS_PACKETS: u8 = 2;
/// Packets that another address of the signalled network must send to latch.
pub const LATCH_SAME_NETWORK_PACKETS: u8 = 5;
/// Packets that any other address must send to latch, where that is allowed.
pub const LATCH_ANY_PACKETS: u8 = 8;
/// How long a source that is not the signalled one is only believed, and a nearer one takes its place, in milliseconds. As long as
/// rtpengine waits.
pub const LATCH_WINDOW_MS: u64 = 3_000;
/// How long the signalled address is still sent to, and asked by that, when another one of its network speaks in its place, in
/// milliseconds.
pub const LATCH_ASKING_MS: u64 = 1_000;
/// Sequence numbers ahead that still count as the same stream (RFC 3550 A.1 MAX_DROPOUT).
pub const MAX_DROPOUT: u16 = 3_000;
/// Sequence numbers behind that still count as the same stream (RFC 3550 A.1 MAX_MISORDER).
pub const MAX_MISORDER: u16 = 100;

/// A look at whether somebody is there that comes so many microseconds late says more of the engine than of them: it was stopped,
/// or its machine was.
pub const LATE_LOOK_US: u64 = 500_000;
/// Time to read what they sent meanwhile, which may lie in the socket.
pub const HEARING_US: u64 = 500_000;

/// Most legs in one engine that can be asked for.
pub const LEGS: usize = 65_536;
/// Operations that wait for a worker, a socket or a file at once.
pub const OPERATIONS: usize = 8_192;
/// Operations that wait for one leg at once.
pub const OPERATIONS_PER_LEG: usize = 64;
/// Subscribers at once.
pub const SUBSCRIBERS: usize = 64;
/// Bytes of replies kept for repeated cookies.
pub const REPLIES_KEPT_BYTES: usize = 64 << 20;
/// Ports in a row that may turn out to be taken by somebody else before a leg is refused.
pub const BIND_ATTEMPTS: u8 = 16;
/// Legs that the engine closes by itself at once; others wait.
pub const RELEASES: usize = 256;
/// Longest prompt, tone or key sequence, in seconds.
pub const PROMPT_SECONDS: usize = 3_600;
/// Packets of a parked leg of which one passes the filter, unless asked otherwise.
pub const KEEP_ONE_IN: u16 = 32;
/// Milliseconds without audio in a conversation after which a leg is told as one-way, unless asked otherwise.
pub const ONE_WAY_AFTER_MS: u32 = 5_000;
/// Milliseconds between two looks at a conversation whose audio is missing.
pub const ONE_WAY_LOOK_MS: u64 = 1_000;
/// Packets that must have been sent between two of a peer's reports, for them to say whether it hears.
pub const FEW_PACKETS: u64 = 10;
/// Events that packets of a leg's peer may cause, a second: keys, goodbyes. More are not told.
pub const PEER_EVENTS_PER_S: u64 = 25;
/// How many of these at once.
pub const PEER_EVENTS_AT_ONCE: u64 = 50;
/// Legs that listen to one at once.
pub const LISTENERS: usize = 16;
/// Keys that wait to be heard as tones, or sent as telephone-events, by one leg. More are left out.
pub const KEYS_WAITING: usize = 32;
/// Bytes of packets that a leg keeps which cannot be sent on yet; of linear samples as many as last as long.
pub const HELD_BYTES: usize = 8_192;
/// How many packets these are at most: 64 ms of a phone that sends every millisecond.
pub const HELD_PACKETS: usize = 64;
/// Longest time that a packet is kept before it is sent on after all, in milliseconds.
pub const HELD_MS: u64 = 160;
/// How long before the moment named by a splice a packet may have come to count as having come after it, in microseconds:
/// what passes between the arrival of a 200 OK and a controller's look at its clock.
pub const HELD_ALLOWANCE_US: u64 = 10_000;

/// Milliseconds between two looks at whether a direction of a splice can be forwarded in the kernel.
pub const HANDOVER_LOOK_MS: u64 = 1_000;
/// Packets that must have come since the direction was opened, or anything about it changed, with hardly one missing.
pub const HANDOVER_PACKETS: u64 = 40;
/// Doublings of the time to the next look at most, where a rule did not last.
pub const HANDOVER_DOUBLINGS: u8 = 6;
/// How long a rule must last not to count as one that did not, in milliseconds.
pub const HANDOVER_LASTS_MS: u64 = 10_000;
/// How long after a hand-over packets that had waited in the socket may come to the worker, in milliseconds. Later ones mean that
/// the kernel does not take them.
pub const HANDOVER_REMAINDER_MS: u64 = 200;
