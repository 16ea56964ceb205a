//! Packet buffers: owned handles into fixed memory that find their way home when dropped.

use crate::address::{self, ADDRESS_LEN};
use crate::control;
use crate::mapping::Mapping;
use crate::provided::ProvidedRing;
use crate::raw;
use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, SocketAddrV4};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::{fmt, io, slice};

/// What the kernel writes before a received payload: `struct io_uring_recvmsg_out`, then the source address.
pub(crate) const HEADER_LEN: usize = OUT_LEN + ADDRESS_LEN;

const OUT_LEN: usize = 16;

// Headers and a raw socket's peer both fit before any payload.
const _: () = assert!(HEADER_LEN >= OUT_LEN + raw::HEADERS_LEN);

/// One packet's memory, for as long as this handle lives. Reads and writes as the payload's bytes.
///
/// Dropping it recycles the memory: a receive buffer goes back to the kernel, a send buffer to the arena.
pub struct Buffer {
    pool: Rc<Pool>,
    index: u16,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Bytes the payload can grow to.
    pub fn capacity(&self) -> usize {
        self.pool.block_len - self.start
    }

    /// Makes the payload `len` bytes long; bytes that come into view hold whatever was there before.
    pub fn resize(&mut self, len: usize) -> Result<(), TooLong> {
        if len > self.capacity() {
            return Err(TooLong);
        }
        self.len = len;
        Ok(())
    }

    /// Drops the first `count` bytes from the payload.
    pub fn advance(&mut self, count: usize) -> Result<(), TooLong> {
        if count > self.len {
            return Err(TooLong);
        }
        self.start += count;
        self.len -= count;
        Ok(())
    }

    /// Writes `address` before the payload, where the kernel reads it at the next submission.
    pub(crate) fn write_address(&mut self, address: SocketAddr) -> (*const libc::sockaddr, u32) {
        let field = &mut self.block_mut()[OUT_LEN..HEADER_LEN];
        let field: &mut [u8; ADDRESS_LEN] = field.try_into().expect("the header has room for an address");
        let len = address::write(address, field);
        (field.as_ptr().cast(), len)
    }

    /// Writes IPv4 and UDP headers before the payload, whose bytes then begin with them, and where to send them: for a
    /// raw socket.
    pub(crate) fn write_headers(
        &mut self,
        from: SocketAddrV4,
        to: SocketAddrV4,
        traffic_class: u8,
    ) -> Result<(*const libc::sockaddr, u32), TooLong> {
        let headers = raw::headers(from, to, traffic_class, self)?;
        self.start -= raw::HEADERS_LEN;
        self.len += raw::HEADERS_LEN;
        self[..raw::HEADERS_LEN].copy_from_slice(&headers);
        let field = &mut self.block_mut()[..OUT_LEN];
        let field: &mut [u8; OUT_LEN] = field.try_into().expect("a block is longer than its header");
        // The port of a raw socket's peer must be 0.
        *field = address::v4(SocketAddrV4::new(*to.ip(), 0));
        Ok((field.as_ptr().cast(), OUT_LEN as u32))
    }

    /// The whole block, its header included.
    fn block(&self) -> &[u8] {
        // SAFETY: the block lies inside the pool's mapping, initialised since mmap; `lend` made this handle its
        // only owner, and neither kernel nor program writes to it while `self` is borrowed shared.
        unsafe { slice::from_raw_parts(self.pool.address(self.index), self.pool.block_len) }
    }

    /// The whole block, its header included.
    fn block_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `block`, and `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.pool.address(self.index), self.pool.block_len) }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (start, len) = (self.start, self.len);
        &self.block()[start..start + len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (start, len) = (self.start, self.len);
        &mut self.block_mut()[start..start + len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.take_back(self.index);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("index", &self.index).field("len", &self.len).finish_non_exhaustive()
    }
}

/// A payload does not have that many bytes, or room for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer is shorter than that")]
pub struct TooLong;

/// Blocks of equal length in one mapping, each either lent out as a [`Buffer`] or at home.
#[derive(Debug)]
pub(crate) struct Pool {
    memory: Mapping,
    block_len: usize,
    lent: Box<[Cell<bool>]>,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Kernel(ProvidedRing),
    Arena(RefCell<Vec<u16>>),
}

impl Pool {
    /// Receive buffers for payloads up to `payload_len` bytes, all offered to the kernel.
    pub(crate) fn provided(count: u16, payload_len: usize) -> io::Result<Rc<Self>> {
        let pool = Self::new(count, payload_len, Home::Kernel(ProvidedRing::new(count)?))?;
        (0..count).for_each(|index| pool.go_home(index));
        Ok(pool)
    }

    /// Send buffers for payloads up to `payload_len` bytes.
    pub(crate) fn arena(count: u16, payload_len: usize) -> io::Result<Rc<Self>> {
        Self::new(count, payload_len, Home::Arena(RefCell::new((0..count).rev().collect())))
    }

    fn new(count: u16, payload_len: usize, home: Home) -> io::Result<Rc<Self>> {
        let block_len = spread_out(HEADER_LEN + payload_len);
        let memory = Mapping::new(usize::from(count) * block_len)?;
        let lent = (0..count).map(|_| Cell::new(false)).collect();
        Ok(Rc::new(Self { memory, block_len, lent, home }))
    }

    /// Address and entries of the ring to register; `None` for an arena.
    pub(crate) fn provided_ring(&self) -> Option<(u64, u16)> {
        match &self.home {
            Home::Kernel(ring) => Some((ring.address(), ring.entries())),
            Home::Arena(_) => None,
        }
    }

    /// A free block of an arena, its payload empty; `None` if all are lent.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Buffer> {
        match &self.home {
            Home::Kernel(_) => None,
            Home::Arena(free) => {
                let index = free.borrow_mut().pop()?;
                self.lend(index, 0)
            }
        }
    }

    /// The datagram of `written` bytes, header included, that the kernel put into block `index`, where `control_len` bytes
    /// were set aside for control data.
    ///
    /// `None` if the kernel names a block that it does not have.
    pub(crate) fn received(
        self: &Rc<Self>,
        index: u16,
        written: usize,
        control_len: usize,
    ) -> Option<Received> {
        let payload_at = HEADER_LEN + control_len;
        let payload_len = written.min(self.block_len).saturating_sub(payload_at);
        let mut buffer = self.lend(index, payload_len)?;
        buffer.start = payload_at;
        let block = buffer.block();
        let word = |at: usize| u32::from_ne_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        let name_len = (word(0) as usize).min(ADDRESS_LEN);
        let source = address::parse(&block[OUT_LEN..OUT_LEN + name_len]);
        let truncated = word(12) & libc::MSG_TRUNC as u32 != 0;
        let control = &block[HEADER_LEN..HEADER_LEN + (word(4) as usize).min(control_len)];
        let port = control::original_port(control);
        Some(Received { source, truncated, port, buffer })
    }

    fn lend(self: &Rc<Self>, index: u16, len: usize) -> Option<Buffer> {
        if self.lent.get(usize::from(index))?.replace(true) {
            return None;
        }
        Some(Buffer { pool: Rc::clone(self), index, start: HEADER_LEN, len })
    }

    fn take_back(&self, index: u16) {
        self.lent[usize::from(index)].set(false);
        self.go_home(index);
    }

    fn go_home(&self, index: u16) {
        match &self.home {
            Home::Kernel(ring) => ring.publish(index, self.address(index), self.block_len),
            Home::Arena(free) => free.borrow_mut().push(index),
        }
    }

    fn address(&self, index: u16) -> *mut u8 {
        self.memory.at(usize::from(index) * self.block_len)
    }
}

/// A block's length for so many bytes: an odd number of cache lines, so that the beginnings of blocks, which every packet
/// touches, lie in all sets of a cache rather than in a few.
fn spread_out(bytes: usize) -> usize {
    (bytes.div_ceil(CACHE_LINE) | 1) * CACHE_LINE
}

/// A received payload and what the kernel wrote before it.
pub(crate) struct Received {
    pub(crate) source: Option<SocketAddr>,
    pub(crate) truncated: bool,
    /// The port that it was sent to, where control data say so.
    pub(crate) port: Option<u16>,
    pub(crate) buffer: Buffer,
}

const CACHE_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_returns_to_the_arena() {
        let pool = Pool::arena(2, 64).unwrap();
        let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
        assert!(pool.take().is_none());
        drop(first);
        assert!(pool.take().is_some());
        drop(second);
    }

    #[test]
    fn a_payload_is_cut_and_grown_within_its_block_only() {
        let pool = Pool::arena(1, 64).unwrap();
        let mut buffer = pool.take().unwrap();
        buffer.resize(4).unwrap();
        buffer.copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(buffer.advance(5), Err(TooLong));
        buffer.advance(1).unwrap();
        assert_eq!(*buffer, [2, 3, 4]);
        assert_eq!(buffer.resize(buffer.capacity() + 1), Err(TooLong));
        buffer.resize(buffer.capacity()).unwrap();
        assert_eq!(buffer.len(), buffer.capacity());
    }

    #[test]
    fn the_beginnings_of_blocks_lie_in_all_sets_of_a_cache() {
        for bytes in [HEADER_LEN + 64, 2_000, 2_048, 2_049] {
            let sets = 64;
            let set_of = |block: usize| block * spread_out(bytes) / CACHE_LINE % sets;
            let used: std::collections::BTreeSet<_> = (0..sets).map(set_of).collect();
            assert!(used.len() == sets && spread_out(bytes) >= bytes, "{bytes}");
        }
    }

    #[test]
    fn the_same_block_is_never_lent_twice() {
        let pool = Pool::provided(8, 64).unwrap();
        let first = pool.received(3, HEADER_LEN, 0).unwrap();
        assert!(pool.received(3, HEADER_LEN, 0).is_none());
        assert!(pool.received(8, HEADER_LEN, 0).is_none());
        drop(first.buffer);
        assert!(pool.received(3, HEADER_LEN, 0).is_some());
    }

    #[test]
    fn a_length_that_the_block_cannot_hold_is_cut_to_the_block() {
        let pool = Pool::provided(8, 64).unwrap();
        let received = pool.received(0, usize::MAX, 0).unwrap();
        assert_eq!(received.buffer.len(), received.buffer.capacity());
        assert!(pool.received(1, 3, 0).unwrap().buffer.is_empty());
    }
}
