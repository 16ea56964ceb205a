//! RTP packets (RFC 3550 section 5.1), read and rewritten in place.
