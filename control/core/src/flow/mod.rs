//! What follows from what: the reactions that involve more than one entity.

pub(crate) mod agents;
pub(crate) mod api;
pub(crate) mod call_delay;
pub(crate) mod callback_api;
pub(crate) mod callbacks;
pub(crate) mod calls;
pub(crate) mod contacts;
pub(crate) mod customers;
pub(crate) mod dialling;
pub(crate) mod dispositions;
pub(crate) mod endings;
pub(crate) mod engine;
pub(crate) mod estimates;
pub(crate) mod failover;
pub(crate) mod in_flow;
pub(crate) mod inbound;
pub(crate) mod joining;
pub(crate) mod matching;
pub(crate) mod modes;
pub(crate) mod proof;
pub(crate) mod queue_callback;
pub(crate) mod replay;
pub(crate) mod restart;
pub(crate) mod transfer;
pub(crate) mod validation;
pub(crate) mod views;
