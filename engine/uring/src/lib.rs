//! io_uring for a thread-per-core RTP datapath, wrapped so that its user writes no `unsafe`.
//!
//! A [`Ring`] belongs to one thread. It owns a table of registered sockets, a ring of receive buffers that the
//! kernel fills, and an arena of send buffers. A received datagram is an owned [`Buffer`]: rewrite it in place,
//! then hand it to [`Ring::send`], or drop it; either way it goes back where it came from.
//!
//! This crate never looks inside a packet, never decides anything, and never allocates per packet.
//!
//! How it is driven:
//!
//! 1. [`Ring::new`] on the thread that will use it; [`Ring::waker`] for the other threads.
//! 2. [`Ring::register`] a socket, [`Ring::receive`] to arm it.
//! 3. [`Ring::submit_and_wait`], then [`Ring::next_completion`] until `None`; sends may be queued in between.
//! 4. On [`Completion::ReceiveEnded`] arm again, unless it was cancelled on purpose.
//! 5. To move a socket to another thread: [`Ring::cancel_receive`], await `ReceiveEnded`, [`Ring::unregister`], and
//!    register the descriptor there. Datagrams that arrive in between wait in the socket.
//!
//! Beside the ring there are what lets the kernel do more of the work itself ([`Steering`], [`kernel`]) and the few system calls that
//! the engine needs and std lacks: the kernel filter of a parked leg ([`filter`]), [`socket`], [`clock`] and [`limits`].
//!
//! Linux 6.1 or newer is needed; 6.12 or newer adds the batching wait.

mod address;
#[allow(unsafe_code)]
mod bpf;
pub mod clock;
mod completion;
mod config;
mod control;
mod error;
pub mod filter;
pub mod kernel;
pub mod limits;
#[allow(unsafe_code)]
mod mapping;
#[allow(unsafe_code)]
mod pool;
#[allow(unsafe_code)]
mod provided;
pub mod raw;
#[allow(unsafe_code)]
mod ring;
mod ring_socket;
mod setup;
mod slots;
pub mod socket;
mod steer;
#[allow(unsafe_code)]
mod sys;
#[allow(unsafe_code)]
mod wait;
mod waker;

pub use completion::{Completion, Datagram, ReceiveEnd};
pub use config::RingConfig;
pub use error::{SendError, SetupError, SlotError};
pub use pool::{Buffer, TooLong};
pub use ring::Ring;
pub use ring_socket::RingSocket;
pub use setup::holds_sockets_alone;
pub use slots::FileSlot;
pub use steer::Steering;
pub use waker::Waker;
