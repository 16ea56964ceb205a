//! The memory that holds the rules, shared with the program.
//!
//! A rule's first word says who may use it. The program takes it for a packet (BUSY) by a compare-and-swap, which fails if the rule is
//! off or taken already; the packet then goes the long way. It gives the rule back by an addition, which counts. So a packet
//! has a rule for itself, and whoever reads sees by the count whether something happened meanwhile. The process switches a rule off
//! by setting a bit, which no new packet gets past, and waits for the one that may have the rule. The program's two atomic
//! operations return values, and are therefore full barriers on all machines (Linux memory model, RFC 9669 section 5.3).

use super::netlink::Route;
use super::rule::{INTERFACE_WORD, MTU_WORD, Progress, WORDS, Words, with_interface, with_mtu};
use crate::mapping::Mapping;
use crate::sys;
use std::hint::spin_loop;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The rules, by number.
#[derive(Debug)]
pub(super) struct Shared {
    memory: Mapping,
    places: u32,
}

// SAFETY: the mapping belongs to this value, stays where it is when the value moves, and is not bound to a thread.
unsafe impl Send for Shared {}
// SAFETY: all that is done with the mapping through a shared reference are atomic operations.
unsafe impl Sync for Shared {}

/// Bytes of a rule: two cache lines.
pub(super) const RULE_BYTES: usize = (1 + WORDS) * size_of::<u64>();

impl Shared {
    /// The memory of a map whose values have [`RULE_BYTES`]: leases, which have ended, and behind them rules, which are off.
    pub(super) fn new(map: &OwnedFd, leases: u32, places: u32) -> io::Result<Self> {
        let shared = Self { memory: Mapping::shared(map, places as usize * RULE_BYTES)?, places };
        for rule in leases..places {
            shared.word(rule, 0).store(OFF, Ordering::Relaxed);
        }
        Ok(shared)
    }

    /// Lets a lease end at a moment of the monotonic clock.
    pub(super) fn renew(&self, lease: u32, until_ns: u64) {
        self.word(lease, 0).store(until_ns, Ordering::Relaxed);
    }

    /// Writes a rule that is off, which it stays.
    pub(super) fn write(&self, rule: u32, words: &Words) {
        for (at, &word) in words.iter().enumerate() {
            self.word(rule, 1 + at).store(word, Ordering::Relaxed);
        }
    }

    /// Lets the program use a rule.
    pub(super) fn switch_on(&self, rule: u32) {
        // What was written before is seen by whoever takes the rule.
        let word = self.word(rule, 0).fetch_add(USED - OFF, Ordering::Release);
        assert!(word & (OFF | BUSY) == OFF, "only a rule that is off is switched on");
    }

    /// Keeps the program from using a rule. Whether no packet has it any more.
    pub(super) fn switch_off(&self, rule: u32) -> bool {
        self.word(rule, 0).fetch_or(OFF, Ordering::SeqCst);
        if (0..SPINS).any(|_| self.is_free_or_spin(rule)) {
            return true;
        }
        // The processor that runs the program has been taken away from this machine, or runs it in a thread. A grace period ends
        // when it has gone on.
        sys::wait_for_all_processors();
        (0..SPINS).any(|_| self.is_free_or_spin(rule))
    }

    fn is_free_or_spin(&self, rule: u32) -> bool {
        // What the program wrote before it gave the rule back is seen.
        let free = self.word(rule, 0).load(Ordering::Acquire) & BUSY == 0;
        if !free {
            spin_loop();
        }
        free
    }

    /// What a rule has done, all of one moment unless packets come so fast that none is to be had.
    pub(super) fn progress(&self, rule: u32) -> Progress {
        let mut words = Words::default();
        for _ in 0..SPINS {
            let before = self.word(rule, 0).load(Ordering::Acquire);
            for (at, word) in words.iter_mut().enumerate() {
                *word = self.word(rule, 1 + at).load(Ordering::Relaxed);
            }
            fence(Ordering::Acquire);
            if before & BUSY == 0 && self.word(rule, 0).load(Ordering::Relaxed) == before {
                break;
            }
            spin_loop();
        }
        Progress::of(&words)
    }

    /// Sends on another route what a rule forwards; interface 0 leaves it to the stack.
    pub(super) fn set_route(&self, rule: u32, route: Route) {
        // What else the words hold changes only while the rule is off, by who holds the rule.
        let change = |at: usize, to: &dyn Fn(u64) -> u64| {
            let word = self.word(rule, 1 + at);
            let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| Some(to(word)));
        };
        change(MTU_WORD, &|word| with_mtu(word, route.mtu_bytes));
        change(INTERFACE_WORD, &|word| with_interface(word, route.interface));
    }

    fn word(&self, rule: u32, at: usize) -> &AtomicU64 {
        assert!(rule < self.places && at <= WORDS);
        let address = self.memory.at(rule as usize * RULE_BYTES + at * size_of::<u64>());
        // SAFETY: `at` has checked that the address lies in the mapping, which outlives the borrow of `self`; it is aligned (the
        // mapping to a page, rules to 128 bytes), and reached only by atomic operations of this module and by the program.
        unsafe { AtomicU64::from_ptr(address.cast()) }
    }
}

/// Bits of the first word, as forward.c has them.
const BUSY: u64 = 1;
const OFF: u64 = 2;
const USED: u64 = 4;

/// Looks at a rule that is taken: a packet has it for less than a microsecond.
const SPINS: u32 = 4_096;
