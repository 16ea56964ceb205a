//! Signature of datagrams.
