//! What protection must do with every suite: come out as it went in, and let nothing else through.

use offhook_proto::{SrtpKey, SrtpSuite};
use offhook_srtp::{
    MAX_SENDERS, OVERHEAD_BYTES, Protector, REPLAY_WINDOW_PACKETS, Refusal, Unprotected, Unprotector,
};
use proptest::prelude::*;

fn key(suite: SrtpSuite, seed: u8) -> SrtpKey {
    let len = suite.key_bytes() + suite.salt_bytes();
    SrtpKey::new(suite, (0..len).map(|at| seed.wrapping_mul(31).wrapping_add(at as u8)).collect::<Vec<_>>())
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 1, 0]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x5A; 160]);
    packet
}

/// A receiver report without blocks.
fn rtcp(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

fn protected(protector: &mut Protector, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; OVERHEAD_BYTES]].concat();
    let len = protector.rtp(&mut buffer, packet.len()).expect("there is room");
    buffer.truncate(len);
    buffer
}

fn protected_rtcp(protector: &mut Protector, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; OVERHEAD_BYTES]].concat();
    let len = protector.rtcp(&mut buffer, packet.len()).expect("there is room");
    buffer.truncate(len);
    buffer
}

fn opened(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut packet = packet.to_vec();
    unprotector.rtp(&mut packet).map(|len| packet[..len].to_vec())
}

fn opened_rtcp(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut packet = packet.to_vec();
    unprotector.rtcp(&mut packet).map(|len| packet[..len].to_vec())
}

fn pair(suite: SrtpSuite) -> (Protector, Unprotector) {
    (Protector::new(&key(suite, 1)), Unprotector::new(&key(suite, 1)))
}

#[test]
fn packets_come_out_as_they_went_in_through_two_rollovers() {
    for suite in SrtpSuite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        for step in 0..140_000_u32 {
            let packet = rtp(9, (step + 30_000) as u16);
            let sent = protected(&mut protector, &packet);
            // One in 97 is lost.
            if step % 97 != 0 {
                assert_eq!(opened(&mut unprotector, &sent), Ok(packet), "{suite} {step}");
            }
        }
    }
}

#[test]
fn the_payload_cannot_be_read_and_the_tag_is_as_long_as_the_suite_says() {
    for suite in SrtpSuite::ALL {
        let tag = match suite {
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::Aes256CmHmacSha1_80 => 10,
            SrtpSuite::AesCm128HmacSha1_32 | SrtpSuite::Aes256CmHmacSha1_32 => 4,
            SrtpSuite::AeadAes128Gcm | SrtpSuite::AeadAes256Gcm => 16,
        };
        let packet = rtp(9, 1);
        let sent = protected(&mut pair(suite).0, &packet);
        assert_eq!((sent.len(), &sent[..12]), (packet.len() + tag, &packet[..12]), "{suite}");
        assert!(!sent.windows(4).any(|bytes| bytes == [0x5A; 4]), "{suite}");
    }
}

#[test]
fn a_changed_bit_or_another_key_is_refused_and_does_no_harm() {
    for suite in SrtpSuite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let packet = rtp(9, 7);
        let sent = protected(&mut protector, &packet);
        for at in 0..sent.len() {
            let mut changed = sent.clone();
            changed[at] ^= 1;
            assert_eq!(opened(&mut unprotector, &changed), Err(Refusal::Unauthentic), "{suite} {at}");
        }
        let other = protected(&mut Protector::new(&key(suite, 2)), &packet);
        assert_eq!(opened(&mut unprotector, &other), Err(Refusal::Unauthentic));
        assert_eq!(opened(&mut unprotector, &sent), Ok(packet));
    }
}

#[test]
fn what_came_before_is_refused_and_what_comes_late_is_not() {
    for suite in SrtpSuite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let sent: Vec<_> = (0..400).map(|sequence| protected(&mut protector, &rtp(9, sequence))).collect();
        for packet in sent[..200].iter().filter(|packet| packet[3] != 150) {
            assert!(opened(&mut unprotector, packet).is_ok());
        }
        for packet in &sent[190..200] {
            assert_eq!(opened(&mut unprotector, packet), Err(Refusal::Replayed), "{suite}");
        }
        assert!(opened(&mut unprotector, &sent[150]).is_ok(), "late, but new");
        assert_eq!(opened(&mut unprotector, &sent[150]), Err(Refusal::Replayed));
        let too_old = 199 - REPLAY_WINDOW_PACKETS;
        assert!(opened(&mut unprotector, &sent[too_old]).is_err(), "before the window");
    }
}

#[test]
fn reports_come_out_as_they_went_in_once() {
    for suite in SrtpSuite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        for _ in 0..300 {
            let sent = protected_rtcp(&mut protector, &rtcp(9));
            assert_eq!(opened_rtcp(&mut unprotector, &sent), Ok(rtcp(9)));
            assert_eq!(opened_rtcp(&mut unprotector, &sent), Err(Refusal::Replayed));
        }
    }
}

#[test]
fn reports_that_claim_to_be_unencrypted_are_refused() {
    for suite in SrtpSuite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let known = protected_rtcp(&mut protector, &rtcp(9));
        assert!(opened_rtcp(&mut unprotector, &known).is_ok());
        // A goodbye in the clear, with an index and a tag that nobody has signed.
        let mut forged = rtcp(9);
        forged[1] = 203;
        forged.extend([0, 0, 0, 77]);
        forged.extend([0xAA; 16]);
        assert_eq!(opened_rtcp(&mut unprotector, &forged), Err(Refusal::Unauthentic), "{suite}");
        for len in 0..forged.len() {
            assert!(opened_rtcp(&mut unprotector, &forged[..len]).is_err(), "{suite} {len}");
        }
    }
}

#[test]
fn forged_senders_leave_room_for_the_real_one_and_its_own_change() {
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let (mut protector, mut unprotector) = pair(suite);
    let mut forger = Protector::new(&key(suite, 2));
    for ssrc in 0..1_000 {
        let forged = protected(&mut forger, &rtp(ssrc, 1));
        assert_eq!(opened(&mut unprotector, &forged), Err(Refusal::Unauthentic));
    }
    let first = protected(&mut protector, &rtp(1_000, 1));
    assert!(opened(&mut unprotector, &first).is_ok());
    for ssrc in 1..MAX_SENDERS as u32 {
        let sent = protected(&mut protector, &rtp(2_000 + ssrc, 1));
        assert!(opened(&mut unprotector, &sent).is_ok(), "{ssrc}");
    }
    let beyond = protected(&mut protector, &rtp(3_000, 1));
    assert_eq!(opened(&mut unprotector, &beyond), Err(Refusal::Unauthentic));
    assert_eq!(opened(&mut unprotector, &first), Err(Refusal::Replayed), "no sender was forgotten");
}

#[test]
fn no_two_packets_of_one_number_are_protected() {
    for suite in SrtpSuite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let mut sends = |ssrc, sequence: u32| -> Result<(), Unprotected> {
            let packet = rtp(ssrc, sequence as u16);
            let mut buffer = [&packet[..], &[0; OVERHEAD_BYTES]].concat();
            let len = protector.rtp(&mut buffer, packet.len())?;
            assert_eq!(opened(&mut unprotector, &buffer[..len]), Ok(packet), "{suite} {sequence}");
            Ok(())
        };
        // Every third is left out at first, over a wrap of the numbers.
        for sequence in (65_400..65_700).filter(|sequence| sequence % 3 != 0) {
            assert_eq!(sends(9, sequence), Ok(()));
        }
        for sequence in 65_600..65_700 {
            let first = if sequence % 3 == 0 { Ok(()) } else { Err(Unprotected::Repeated) };
            assert_eq!(sends(9, sequence), first, "{suite} {sequence}");
            assert_eq!(sends(9, sequence), Err(Unprotected::Repeated), "{suite} {sequence}");
        }
        assert_eq!(sends(9, 65_403), Err(Unprotected::Repeated), "too long ago to tell");
        assert_eq!(sends(10, 65_700), Ok(()), "another sender has numbers of its own");
        assert_eq!(sends(9, 66_700), Ok(()));
        assert_eq!(sends(9, 66_699), Ok(()));
    }
}

#[test]
fn without_room_nothing_is_protected() {
    let packet = rtp(9, 1);
    let mut exact = packet.clone();
    assert_eq!(pair(SrtpSuite::AeadAes128Gcm).0.rtp(&mut exact, packet.len()), Err(Unprotected::Impossible));
    assert_eq!(exact, packet);
}

proptest! {
    #[test]
    fn no_bytes_off_the_wire_pass_or_panic(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
        for suite in SrtpSuite::ALL {
            let mut unprotector = pair(suite).1;
            prop_assert!(opened(&mut unprotector, &packet).is_err());
            prop_assert!(opened_rtcp(&mut unprotector, &packet).is_err());
        }
    }

    #[test]
    fn no_bytes_after_a_header_panic_on_the_way_out(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
        for suite in SrtpSuite::ALL {
            let mut buffer = [&packet[..], &[0; OVERHEAD_BYTES]].concat();
            let _ = pair(suite).0.rtp(&mut buffer, packet.len());
            let _ = pair(suite).0.rtcp(&mut buffer, packet.len());
        }
    }
}
