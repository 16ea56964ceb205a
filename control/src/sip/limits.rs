//! Limits of the SIP side. Reaching one gives a status that says so, never a stall.

/// Longest message that is read from a connection of TCP, in bytes.
pub(crate) const MESSAGE_BYTES: usize = 65_535;
/// Longest session description that is read, in bytes.
pub(crate) const SDP_BYTES: usize = 16_384;
/// Most transactions at once before new requests outside a dialog get 503, where the configuration names no other.
pub(crate) const TRANSACTIONS: usize = 20_000;
/// Most finished transactions that wait for retransmissions before new work gets 503: each is kept with its response for
/// 64·T1, about 2.5 kB.
pub(crate) const FINISHED_TRANSACTIONS: usize = 100_000;
/// Seconds in the Retry-After of that 503.
pub(crate) const RETRY_AFTER_S: u32 = 5;
/// Most requests over TCP that wait for dialogs of the run before to be taken up, before further ones get that 503.
pub(crate) const HELD_REQUESTS: usize = 1_000;
/// Most messages that wait for one call.
pub(crate) const CALL_INBOX: usize = 32;
/// In-dialog requests kept while the 2xx that opens their dialog is still on its way through.
pub(crate) const EARLY_REQUESTS: usize = 4;
/// How long a cancelled INVITE may take to end before the call is reported as ended, in milliseconds. The transaction goes
/// on without the call: a late 2xx still gets its ACK and BYE.
pub(crate) const CANCEL_WAIT_MS: u64 = 4_000;
/// Longest ring time, in milliseconds: below Timer C of RFC 3261 section 16.6.
pub(crate) const RING_MS: u32 = 170_000;
/// How long a connection of TCP may take to open, in milliseconds.
pub(crate) const CONNECT_MS: u64 = 4_000;
/// How long the network's word that nobody is there waits to be proved wrong, in T1: a datagram is sent once more meanwhile.
pub(crate) const REFUSAL_T1: u32 = 2;
/// Requests larger than this go over TCP where the peer takes it (RFC 3261 section 18.1.1), in bytes.
pub(crate) const UDP_REQUEST_BYTES: usize = 1_300;
/// Attempts of an offer that is refused for the moment (491, 500, 503), or until sessions are long enough for the peer (422).
pub(crate) const OFFER_ATTEMPTS: u32 = 10;
/// The shortest wait before it is made again, and the first where the peer asks for none, in milliseconds.
pub(crate) const OFFER_AGAIN_MS: u64 = 1_000;
/// The longest, whatever the peer asks for.
pub(crate) const OFFER_AGAIN_MOST_MS: u64 = 32_000;
/// CSeq numbers skipped when a dialog is restored, for requests sent after its last snapshot: an OPTIONS each second for a day.
pub(crate) const RESTORED_CSEQ_GAP: u32 = 1 << 20;
/// CSeq numbers left to the stack for its PRACKs of one INVITE.
pub(crate) const STACK_CSEQS: u32 = 64;
/// Smallest session interval that we accept, in seconds (RFC 4028 section 5).
pub(crate) const MIN_SE_S: u32 = 90;
/// Longest user of an address of record, in bytes: an agent's id.
pub(crate) const AOR_BYTES: usize = 128;
/// Contacts of one address of record.
pub(crate) const CONTACTS_PER_AOR: usize = 8;
/// Shortest and longest registration that is granted, in seconds.
pub(crate) const REGISTRATION_S: (u32, u32) = (60, 3_600);
/// How long a nonce is good for, in milliseconds.
pub(crate) const NONCE_MS: u64 = 300_000;
/// Nonces whose count is remembered; when there are more, the older half is taken no more.
pub(crate) const NONCES: usize = 65_536;
/// Wrong passwords from one source for one user before it is shut out.
pub(crate) const WRONG_PASSWORDS: u32 = 5;
/// How long it is shut out, in milliseconds.
pub(crate) const SHUT_OUT_MS: u64 = 60_000;
/// Sources whose wrong passwords are counted.
pub(crate) const SHUT_OUT_ENTRIES: usize = 4_096;
/// Most connections of TCP whose sender has not shown yet to be a phone or the trunk, where the configuration names no other: when
/// there are more, the oldest is closed.
pub(crate) const STRANGERS: usize = 2_048;
/// How long one of them stays, in milliseconds.
pub(crate) const STRANGER_MS: u64 = 30_000;
/// How long a peer may leave unread what it is sent over TCP before the connection is closed, in milliseconds: 64·T1.
pub(crate) const UNREAD_MS: u64 = 32_000;
/// Answers that wait for a peer of TCP which does not read; further ones are left out.
pub(crate) const ANSWERS_UNREAD: usize = 64;
/// Most datagrams that have been read and wait for the door; further ones wait in the socket, or are lost there.
pub(crate) const BACKLOG: usize = 8_192;
