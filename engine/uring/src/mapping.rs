//! Zeroed memory straight from the kernel.

use std::{io, ptr};

/// Private, zeroed, page-aligned memory, unmapped when dropped; resident only where it was touched.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: ptr::NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// `len` bytes, more than zero; ENOMEM if they are not to be had.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: without MAP_FIXED the kernel picks an address range that nothing else uses.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
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
