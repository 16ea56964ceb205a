//! Control data that come with a datagram (`man 3 cmsg`), as far as steering needs them.

/// Room for the one message that is asked for: a header and an address, each a multiple of the alignment.
pub(crate) const CONTROL_LEN: usize = HEADER_LEN + ADDRESS_LEN;

const HEADER_LEN: usize = size_of::<libc::cmsghdr>();
const ADDRESS_LEN: usize = 16;
/// Length, level and type (struct cmsghdr): the first as wide as a pointer.
const LEVEL_AT: usize = size_of::<usize>();
const TYPE_AT: usize = LEVEL_AT + 4;

/// The port that a datagram was sent to, from the answer to IP_RECVORIGDSTADDR; `None` if that does not come first.
pub(crate) fn original_port(control: &[u8]) -> Option<u16> {
    let number = |at: usize| Some(i32::from_ne_bytes(control.get(at..at + 4)?.try_into().ok()?));
    if (number(LEVEL_AT)?, number(TYPE_AT)?) != (libc::SOL_IP, libc::IP_ORIGDSTADDR) {
        return None;
    }
    let port = control.get(HEADER_LEN + 2..HEADER_LEN + 4)?;
    Some(u16::from_be_bytes(port.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_port_is_found_and_nothing_else_is_taken_for_it() {
        let mut control = vec![0; CONTROL_LEN];
        control[..size_of::<usize>()].copy_from_slice(&CONTROL_LEN.to_ne_bytes());
        control[LEVEL_AT..LEVEL_AT + 4].copy_from_slice(&libc::SOL_IP.to_ne_bytes());
        control[TYPE_AT..TYPE_AT + 4].copy_from_slice(&libc::IP_ORIGDSTADDR.to_ne_bytes());
        control[HEADER_LEN + 2..HEADER_LEN + 4].copy_from_slice(&40_000_u16.to_be_bytes());
        assert_eq!(original_port(&control), Some(40_000));
        for len in 0..HEADER_LEN + 4 {
            assert_eq!(original_port(&control[..len]), None, "cut to {len}");
        }
        control[TYPE_AT] ^= 1;
        assert_eq!(original_port(&control), None);
    }
}
