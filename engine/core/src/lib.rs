//! What a media engine decides, without a socket, a clock, a thread or a runtime.
//!
//! Two roots, driven alike: give one input with the time, then drain the outputs, then ask for the next deadline.
//!
//! - [`Worker`]: one per thread. Owns legs. A datagram is rewritten in the buffer that it came in, and the [`Verdict`] says
//!   where it goes. Nothing is allocated or locked per packet, except by the SRTP library on
//!   secure legs.
//! - [`Director`]: one per engine. Executes the control protocol's requests over any number of workers: names, ports,
//!   placement, stored replies, subscriptions, leases.
//!
//! The shell around them binds the sockets, reads the clock and carries [`WorkerCommand`]s and [`WorkerReport`]s between the
//! two in order. Neither root ever waits, and bad packets never stop them: they are counted.

mod director;
pub mod kernel;
mod leg;
pub mod limits;
mod message;
mod prompt;
mod rtcp;
mod rtp;
mod time;
mod worker;

pub use director::{BindError, Director, DirectorConfig, DirectorOutput, PortRange};
pub use leg::recording::{RecordId, Side, Tap};
pub use leg::{Leg, LegSetup};
pub use message::{
    Answer, Disarmed, DropReason, Extent, LegId, LegIx, OpId, RecordChange, Socket, Verdict, WorkerCommand,
    WorkerOutput, WorkerReport,
};
pub use prompt::{EncodedPrompt, PromptForm, PromptId, Segment};
pub use time::Time;
pub use worker::{Worker, WorkerConfig};
