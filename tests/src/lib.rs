//! What the tests across packages stand on: a simulation of the control core, and a house with the real binaries in it.
//!
//! [`simulation::World`] runs the real core of control against a simulated shell, journal, SIP network, phones, customers and
//! users, and against engines that are a model or the real core of the engine, on one clock and from one seed;
//! [`simulation::history`] plays one seed to its end and says what was violated.
//! [`e2e::House`] starts the real engine and the real control on an address of their own, beside SIPp as phone, customer and
//! carrier and RTP endpoints that know whom they heard.

pub mod e2e;
pub mod simulation;
