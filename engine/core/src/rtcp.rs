//! RTCP packets (RFC 3550 section 6), read and written.
