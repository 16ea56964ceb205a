//! End to end: the real engine and the real control, SIPp as phone, customer and carrier, and RTP that says who speaks.
//!
//! Each test has a house of its own on a loopback address of its own, so that all of them run side by side. Waiting is
//! always for a condition, with a patience that only a hang exhausts. The programs must have been built: `make test`.

mod bad_input;
mod baresip;
mod beyond;
mod callbacks;
mod console;
mod customers;
mod demo;
mod detection;
mod engines;
mod flows;
mod inbound;
mod persistent;
mod preview;
mod restart;
mod transfer;
mod validation;
