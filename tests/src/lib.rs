//! Deterministic simulation of the control core.
//!
//! [`simulation::World`] runs the real core against a simulated shell, journal, engine, SIP network, phones, customers and
//! users, on one clock and from one seed; [`simulation::history`] plays one seed to its end and says what was violated.

pub mod simulation;
