//! A registered socket, seen from outside the ring.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A registered socket, for calls outside the ring.
#[derive(Debug)]
pub enum RingSocket<'a> {
    /// The descriptor that the ring keeps.
    Kept(BorrowedFd<'a>),
    /// One made for this occasion; the socket itself stays in the ring when it is closed.
    Installed(OwnedFd),
}

impl AsFd for RingSocket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Kept(descriptor) => *descriptor,
            Self::Installed(descriptor) => descriptor.as_fd(),
        }
    }
}
