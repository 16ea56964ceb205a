//! The shell around the pure control core: SIP, REST, the journal, the clock.

pub mod journal;
