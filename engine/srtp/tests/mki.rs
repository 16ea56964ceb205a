//! Packets that say which key they are under (RFC 3711 sections 3.1 and 3.4, RFC 7714 sections 8.2 and 9.2).

use offhook_proto::{Mki, SrtpKey, SrtpSuite};
use offhook_srtp::{OVERHEAD_BYTES, Protector, Refusal, Unprotected, Unprotector};

const RTP: &[u8] = &[
    0x80, 0, 0x12, 0x34, 0, 0, 0, 1, 0xCA, 0xFE, 0xBA, 0xBE, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16,
];
/// A receiver report without blocks.
const RTCP: &[u8] = &[0x80, 201, 0, 1, 0xCA, 0xFE, 0xBA, 0xBE];

fn key(suite: SrtpSuite, mki: Option<Mki>) -> SrtpKey {
    SrtpKey { mki, ..SrtpKey::new(suite, vec![7; suite.key_bytes() + suite.salt_bytes()]) }
}

fn protected(protector: &mut Protector, reports: bool, plain: &[u8]) -> Vec<u8> {
    let mut buffer = [plain, &[0; OVERHEAD_BYTES]].concat();
    let protected = if reports { Protector::rtcp } else { Protector::rtp };
    let len = protected(protector, &mut buffer, plain.len()).expect("there is room");
    buffer.truncate(len);
    buffer
}

fn opened(unprotector: &mut Unprotector, reports: bool, packet: &mut [u8]) -> Result<usize, Refusal> {
    if reports { unprotector.rtcp(packet) } else { unprotector.rtp(packet) }
}

#[test]
fn the_identifier_stands_where_the_rfcs_put_it_and_nothing_else_changes() {
    for suite in SrtpSuite::ALL {
        let after = match suite {
            SrtpSuite::AesCm128HmacSha1_80 | SrtpSuite::Aes256CmHmacSha1_80 => [10, 10],
            SrtpSuite::AesCm128HmacSha1_32 | SrtpSuite::Aes256CmHmacSha1_32 => [4, 10],
            SrtpSuite::AeadAes128Gcm | SrtpSuite::AeadAes256Gcm => [0, 0],
        };
        for (reports, plain, after) in [(false, RTP, after[0]), (true, RTCP, after[1])] {
            let without = protected(&mut Protector::new(&key(suite, None)), reports, plain);
            let marked = protected(&mut Protector::new(&key(suite, Mki::new(0x0102, 3))), reports, plain);
            let at = without.len() - after;
            assert_eq!(marked, [&without[..at], &[0, 1, 2], &without[at..]].concat(), "{suite} {reports}");
        }
    }
}

#[test]
fn packets_with_their_identifier_come_out_as_they_went_in_once() {
    for suite in SrtpSuite::ALL {
        for mki in [Mki::new(1, 1), Mki::new(1, 4), Mki::new(u64::MAX, 128)] {
            let key = key(suite, mki);
            let (mut protector, mut unprotector) = (Protector::new(&key), Unprotector::new(&key));
            for (reports, plain) in [(false, RTP), (true, RTCP)] {
                let sent = protected(&mut protector, reports, plain);
                let mut packet = sent.clone();
                let len = opened(&mut unprotector, reports, &mut packet).expect("it is authentic");
                assert_eq!(&packet[..len], plain, "{suite} {mki:?}");
                packet.clone_from(&sent);
                let again = opened(&mut unprotector, reports, &mut packet);
                assert_eq!((again, &packet), (Err(Refusal::Replayed), &sent), "left as it was");
            }
        }
    }
}

#[test]
fn another_identifier_none_and_changed_bits_are_refused_and_left_as_they_were() {
    for suite in SrtpSuite::ALL {
        let ours = key(suite, Mki::new(1, 4));
        for (reports, plain) in [(false, RTP), (true, RTCP)] {
            let mut unprotector = Unprotector::new(&ours);
            let mut wrong: Vec<_> = [None, Mki::new(2, 4), Mki::new(1, 3)]
                .into_iter()
                .map(|mki| protected(&mut Protector::new(&key(suite, mki)), reports, plain))
                .collect();
            let right = protected(&mut Protector::new(&ours), reports, plain);
            wrong.extend((0..right.len()).map(|at| {
                let mut changed = right.clone();
                changed[at] ^= 1;
                changed
            }));
            wrong.extend((0..right.len()).map(|len| right[..len].to_vec()));
            for packet in wrong {
                let mut tried = packet.clone();
                assert_eq!(
                    opened(&mut unprotector, reports, &mut tried),
                    Err(Refusal::Unauthentic),
                    "{suite}"
                );
                assert_eq!(tried, packet);
            }
            assert!(opened(&mut unprotector, reports, &mut right.clone()).is_ok());
        }
    }
}

#[test]
fn without_room_for_the_identifier_nothing_is_protected() {
    let mut protector = Protector::new(&key(SrtpSuite::AeadAes128Gcm, Mki::new(1, 4)));
    let mut short = [RTP, &[0; 19]].concat();
    assert_eq!(protector.rtp(&mut short, RTP.len()), Err(Unprotected::Impossible));
    assert_eq!(&short[..RTP.len()], RTP);
    let mut enough = [RTP, &[0; 20]].concat();
    assert_eq!(protector.rtp(&mut enough, RTP.len()), Ok(RTP.len() + 20));
}
