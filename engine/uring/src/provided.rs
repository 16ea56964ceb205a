//! The ring through which receive buffers are handed to the kernel (`man 3 io_uring_register_buf_ring`).

use crate::mapping::Mapping;
use io_uring::types::BufRingEntry;
use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// A ring of buffer descriptors: this side writes entries and moves the tail, the kernel consumes them.
///
/// It never overfills, because it has an entry for every buffer there is.
#[derive(Debug)]
pub(crate) struct ProvidedRing {
    memory: Mapping,
    mask: u16,
    tail: Cell<u16>,
}

impl ProvidedRing {
    /// An empty ring of `entries`, a power of two up to 32,768.
    pub(crate) fn new(entries: u16) -> io::Result<Self> {
        assert!(entries.is_power_of_two());
        let memory = Mapping::new(usize::from(entries) * size_of::<BufRingEntry>())?;
        Ok(Self { memory, mask: entries - 1, tail: Cell::new(0) })
    }

    /// The address to register.
    pub(crate) fn address(&self) -> u64 {
        self.memory.at(0) as u64
    }

    /// The number of entries.
    pub(crate) fn entries(&self) -> u16 {
        self.mask + 1
    }

    /// Gives the kernel buffer `index`: `len` bytes at `address`, which nobody else may touch from now on.
    pub(crate) fn publish(&self, index: u16, address: *mut u8, len: usize) {
        let tail = self.tail.get();
        let offset = usize::from(tail & self.mask) * size_of::<BufRingEntry>();
        let entry = self.memory.at(offset).cast::<BufRingEntry>();
        // SAFETY: `entry` lies inside the mapping and is aligned (the base is page-aligned, entries are 16 bytes);
        // the kernel reads an entry only once the tail has passed it, and this one is not passed yet.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address as u64);
        entry.set_len(len as u32);
        entry.set_bid(index);
        self.tail.set(tail.wrapping_add(1));
        self.kernel_tail().store(self.tail.get(), Ordering::Release);
    }

    fn kernel_tail(&self) -> &AtomicU16 {
        let base = self.memory.at(0).cast::<BufRingEntry>();
        // SAFETY: `base` is the first entry of a live, zeroed buffer ring, as `BufRingEntry::tail` asks.
        let tail = unsafe { BufRingEntry::tail(base) };
        // SAFETY: `tail` is two-byte aligned inside the mapping, which outlives the borrow of `self`; it is
        // reached from here and by the kernel, in both cases atomically.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }
    }
}
