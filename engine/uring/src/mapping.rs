//! Memory straight from the kernel.

use std::os::fd::{AsRawFd, OwnedFd};
use std::{io, ptr};

/// Page-aligned memory, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: ptr::NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// `len` bytes, more than zero, private and zeroed, resident only where they were touched; ENOMEM if they are not to be had.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    /// The first `len` bytes, more than zero, of what is behind a descriptor, shared with whoever else has it.
    pub(crate) fn shared(fd: &OwnedFd, len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_SHARED, fd.as_raw_fd())
    }

    fn map(len: usize, flags: i32, fd: i32) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: without MAP_FIXED the kernel picks an address range that nothing else uses.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = ptr::NonNull::new(base.cast()).expect("the kernel never maps page zero unasked");
        Ok(Self { base, len })
    }

    /// The address of byte `offset`, which must lie inside.
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.len);
        self.base.as_ptr().wrapping_add(offset)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are those of the one mmap in `new`, and every pointer from `at` is used only
        // while its owner holds this mapping.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
