//! Limits of the core. Reaching one gives a clear error, never a stall.

/// Most agents.
pub const AGENTS: usize = 100_000;
/// Most callbacks that are not completed.
pub const CALLBACKS: usize = 1_000_000;
/// Most of them with an access code: one code in a hundred that is guessed is right.
pub const ACCESS_CODES: usize = 10_000;
/// Wrong access codes after which a caller is asked for no other.
pub const WRONG_CODES: u32 = 3;
/// Most contacts that are not done.
pub const CONTACTS: usize = 1_000_000;
/// Most calls at once, of all kinds.
pub const CALLS: usize = 200_000;
/// Ended calls, completed callbacks and finished contacts that are kept for queries, each.
pub const HISTORY: usize = 10_000;
/// Most contacts that are taken at once.
pub const IMPORT: usize = 10_000;
/// Most numbers on the do-not-call list.
pub const DO_NOT_CALL: usize = 1_000_000;
/// Rows of each report that are kept.
pub const REPORT_ROWS: usize = 200_000;
/// Most rows of one page of a report.
pub const REPORT_PAGE: usize = 10_000;
/// Longest dialog snapshot, in bytes.
pub const SNAPSHOT_BYTES: usize = 16_384;
/// Longest number, in characters.
pub const NUMBER_CHARS: usize = 32;
/// Longest agent id, in bytes, so that leg names stay within the engine's limit.
pub const AGENT_ID_BYTES: usize = 40;
/// Longest name, URL or other text field, in bytes.
pub const TEXT_BYTES: usize = 1_024;
/// Most skills of one agent.
pub const SKILLS: usize = 64;
/// Most requests that wait for one agent's connection to come up.
pub const OPERATIONS: usize = 64;
/// Largest data of a callback or contact, in bytes of JSON.
pub const DATA_BYTES: usize = 16_384;
/// Most objects in one listing.
pub const LISTING: usize = 10_000;
/// Most spans of time in one answer about when a callback can be booked.
pub const SLOTS: usize = 2_000;
/// How old an agent's last packet may be when a customer is dialled, in milliseconds (BY-02).
pub const PROOF_AGE_MS: u64 = 1_000;
/// How often an engine request without an answer is repeated before its leg is given up.
pub const ENGINE_RETRIES: u32 = 8;
/// Ended incoming calls that are remembered, against doubled reports.
pub const PAST_INCOMING: usize = 1_024;
