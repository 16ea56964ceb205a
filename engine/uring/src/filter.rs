//! The kernel filter of a parked leg (classic BPF, SO_ATTACH_FILTER of `man 7 socket`).
//!
//! On a UDP socket a filter sees the datagram from its UDP header on: RTP begins at byte 8. What it drops never
//! wakes anyone.

use socket2::{SockFilter, SockRef};
use std::io;
use std::os::fd::AsFd;

/// One instruction of a classic BPF program.
pub type Instruction = SockFilter;

/// Most payload types that a park filter passes.
pub const MAX_PASSED_TYPES: usize = 32;

/// The filter of a parked leg: passes RTP of the payload types `passed`, passes of the rest the packets whose
/// sequence number is a multiple of `keep_one_in`, and drops everything else.
///
/// `keep_one_in` is a power of two up to 32,768; another number is rounded up to the next, and 1 passes all RTP.
/// Only the first [`MAX_PASSED_TYPES`] types count. Datagrams shorter than four bytes are dropped. On a port that
/// carries RTCP too, pass types 72 to 76, which RTCP's packet types look like (RFC 5761, section 4).
pub fn park_filter(passed: &[u8], keep_one_in: u32) -> Vec<Instruction> {
    let passed = &passed[..passed.len().min(MAX_PASSED_TYPES)];
    let keep_one_in = keep_one_in.clamp(1, 1 << 15).next_power_of_two();
    let mut program = vec![
        Instruction::new(LOAD_BYTE, 0, 0, UDP_HEADER_LEN + RTP_PAYLOAD_TYPE_AT),
        Instruction::new(AND, 0, 0, 0x7f),
    ];
    // A jump counts the instructions skipped: those after this one, then the three of the sequence test, then DROP.
    for (position, payload_type) in passed.iter().enumerate() {
        let to_accept = (passed.len() - position - 1 + 4) as u8;
        program.push(Instruction::new(JUMP_IF_EQUAL, to_accept, 0, u32::from(payload_type & 0x7f)));
    }
    program.extend([
        Instruction::new(LOAD_HALF, 0, 0, UDP_HEADER_LEN + RTP_SEQUENCE_AT),
        Instruction::new(AND, 0, 0, keep_one_in - 1),
        Instruction::new(JUMP_IF_EQUAL, 1, 0, 0),
        Instruction::new(RETURN, 0, 0, DROP),
        Instruction::new(RETURN, 0, 0, ACCEPT),
    ]);
    program
}

/// Attaches `program` to a socket, in place of any before. Datagrams that wait in the socket already stay.
pub fn attach_filter(socket: impl AsFd, program: &[Instruction]) -> io::Result<()> {
    SockRef::from(&socket).attach_filter(program)
}

/// Detaches the filter, if there is one.
pub fn detach_filter(socket: impl AsFd) -> io::Result<()> {
    match SockRef::from(&socket).detach_filter() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        outcome => outcome,
    }
}

const UDP_HEADER_LEN: u32 = 8;
const RTP_PAYLOAD_TYPE_AT: u32 = 1;
const RTP_SEQUENCE_AT: u32 = 2;

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const DROP: u32 = 0;
const ACCEPT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// A socket that is parked with `program`, and one that talks to it.
    fn parked(program: &[Instruction], local: &str) -> (UdpSocket, UdpSocket) {
        let (leg, phone) = (UdpSocket::bind(local).unwrap(), UdpSocket::bind(local).unwrap());
        leg.set_nonblocking(true).unwrap();
        phone.connect(leg.local_addr().unwrap()).unwrap();
        attach_filter(&leg, program).unwrap();
        (leg, phone)
    }

    fn rtp(payload_type: u8, sequence: u16) -> [u8; 172] {
        let mut packet = [0; 172];
        packet[0] = 0x80;
        packet[1] = payload_type;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet
    }

    /// Payload type and sequence number of each packet that came through whole.
    fn heard(leg: &UdpSocket) -> Vec<(u8, u16)> {
        let mut packet = [0; 200];
        std::iter::from_fn(|| leg.recv(&mut packet).ok().map(|len| (len, packet)))
            .map(|(len, packet)| {
                assert_eq!(len, 172, "a filter must not shorten what it passes");
                (packet[1], u16::from_be_bytes([packet[2], packet[3]]))
            })
            .collect()
    }

    #[test]
    fn a_parked_leg_passes_telephone_events_and_one_packet_in_n() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let (leg, phone) = parked(&park_filter(&[101, 96], 64), local);
            for sequence in 65_500..=65_535 {
                phone.send(&rtp(0, sequence)).unwrap();
            }
            for sequence in 0..=128 {
                phone.send(&rtp(8, sequence)).unwrap();
            }
            phone.send(&rtp(101 | 0x80, 129)).unwrap();
            phone.send(&rtp(96, 130)).unwrap();
            phone.send(&rtp(97, 131)).unwrap();
            assert_eq!(heard(&leg), [(8, 0), (8, 64), (8, 128), (101 | 0x80, 129), (96, 130)], "{local}");
        }
    }

    #[test]
    fn runts_do_not_pass_a_park_filter() {
        let (leg, phone) = parked(&park_filter(&[101], 1), "127.0.0.1:0");
        for len in 0..4 {
            phone.send(&rtp(0, 0)[..len]).unwrap();
        }
        assert!(heard(&leg).is_empty());
    }

    #[test]
    fn a_detached_filter_lets_everything_through_and_detaching_twice_is_harmless() {
        let (leg, phone) = parked(&park_filter(&[], 32_768), "127.0.0.1:0");
        phone.send(&rtp(0, 7)).unwrap();
        detach_filter(&leg).unwrap();
        detach_filter(&leg).unwrap();
        phone.send(&rtp(0, 8)).unwrap();
        assert_eq!(heard(&leg), [(0, 8)]);
    }

    #[test]
    fn odd_arguments_still_make_a_program_that_the_kernel_takes() {
        for (types, keep_one_in) in [(&[255_u8; 200][..], 0), (&[], u32::MAX), (&[0], 3)] {
            parked(&park_filter(types, keep_one_in), "127.0.0.1:0");
        }
    }
}
