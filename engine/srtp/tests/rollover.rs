//! Streams that have rolled over before they were first heard, as those of phones whose leg was made anew (BY-09).

use offhook_proto::{Mki, SrtpKey, SrtpSuite};
use offhook_srtp::{MAX_SENDERS, OVERHEAD_BYTES, Protector, ROLLOVERS, Refusal, Unprotector};

const SSRC: u32 = 0xCAFE_BABE;

fn key(suite: SrtpSuite, seed: u8) -> SrtpKey {
    let len = suite.key_bytes() + suite.salt_bytes();
    SrtpKey::new(suite, (0..len).map(|at| seed.wrapping_mul(31).wrapping_add(at as u8)).collect::<Vec<_>>())
}

/// A phone that has been sending for long.
struct Phone {
    protector: Protector,
    ssrc: u32,
    /// Number of its next packet, with the rollovers above 16 bits.
    index: u64,
    /// First bytes of its packets, up to the number.
    begins: [u8; 2],
    /// What stands between the fixed header and the payload.
    more: Vec<u8>,
}

impl Phone {
    fn new(key: &SrtpKey, index: u16) -> Self {
        let protector = Protector::new(key);
        Self { protector, ssrc: SSRC, index: u64::from(index), begins: [0x80, 0], more: Vec::new() }
    }

    fn plain(&self, index: u64) -> Vec<u8> {
        let mut packet = self.begins.to_vec();
        packet.extend((index as u16).to_be_bytes());
        packet.extend((index as u32).wrapping_mul(160).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(&self.more);
        packet.extend([index as u8; 160]);
        packet
    }

    /// Its next packet, plain and protected.
    fn packet(&mut self) -> [Vec<u8>; 2] {
        let plain = self.plain(self.index);
        let mut buffer = [&plain[..], &[0; OVERHEAD_BYTES]].concat();
        let len = self.protector.rtp(&mut buffer, plain.len()).expect("there is room");
        buffer.truncate(len);
        self.index += 1;
        [plain, buffer]
    }

    /// Goes on so that its next packet is this one.
    fn go_on_to(&mut self, index: u64) {
        while self.index < index {
            self.packet();
            self.index = index.min(self.index + 0x3FFF);
        }
    }
}

fn opened(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut packet = packet.to_vec();
    unprotector.rtp(&mut packet).map(|len| packet[..len].to_vec())
}

fn taken_up(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut taken = packet.to_vec();
    let result = unprotector.rtp_rolled_over(&mut taken);
    if result.is_err() {
        assert_eq!(taken, packet, "left as it was");
    }
    result.map(|len| taken[..len].to_vec())
}

/// Numbers at the edges of what is compared with what.
const NUMBERS: [u64; 6] = [0, 1, 0x7FFF, 0x8000, 0xABCD, 0xFFFF];

#[test]
fn by_09_a_stream_is_taken_up_wherever_it_is() {
    for suite in SrtpSuite::ALL {
        for counter in [1, 2, 3, 22, u64::from(ROLLOVERS)] {
            for number in NUMBERS {
                let mut phone = Phone::new(&key(suite, 1), 30_000);
                phone.go_on_to(counter << 16 | number);
                let mut unprotector = Unprotector::new(&key(suite, 1));
                let [plain, packet] = phone.packet();
                let at = format!("{suite} {counter} {number}");
                assert_eq!(opened(&mut unprotector, &packet), Err(Refusal::Unauthentic), "{at}");
                assert_eq!(taken_up(&mut unprotector, &packet), Ok(plain), "{at}");
                assert_eq!(opened(&mut unprotector, &packet), Err(Refusal::Replayed), "{at}");
                for _ in 0..300 {
                    let [plain, packet] = phone.packet();
                    assert_eq!(opened(&mut unprotector, &packet), Ok(plain), "{at}");
                }
            }
        }
    }
}

#[test]
fn by_09_what_was_taken_up_goes_on_through_rollovers_and_takes_what_comes_late() {
    for suite in SrtpSuite::ALL {
        let mut phone = Phone::new(&key(suite, 1), 5);
        phone.go_on_to(3 << 16 | 65_000);
        let mut unprotector = Unprotector::new(&key(suite, 1));
        let early: Vec<_> = (0..50).map(|_| phone.packet()).collect();
        let [plain, packet] = phone.packet();
        assert_eq!(taken_up(&mut unprotector, &packet), Ok(plain), "{suite}");
        for [plain, packet] in early.into_iter().rev() {
            assert_eq!(opened(&mut unprotector, &packet), Ok(plain), "{suite}");
            assert_eq!(opened(&mut unprotector, &packet), Err(Refusal::Replayed), "{suite}");
        }
        for step in 0..140_000 {
            let [plain, packet] = phone.packet();
            if step % 97 != 0 {
                assert_eq!(opened(&mut unprotector, &packet), Ok(plain), "{suite} {step}");
            }
        }
    }
}

#[test]
fn a_counter_beyond_those_that_are_looked_through_is_refused() {
    for suite in SrtpSuite::ALL {
        let mut phone = Phone::new(&key(suite, 1), 30_000);
        phone.go_on_to(u64::from(ROLLOVERS) << 16 | 65_500);
        let mut unprotector = Unprotector::new(&key(suite, 1));
        let [plain, packet] = phone.packet();
        phone.go_on_to((u64::from(ROLLOVERS) + 1) << 16);
        let [_, beyond] = phone.packet();
        assert_eq!(taken_up(&mut unprotector, &beyond), Err(Refusal::Unauthentic), "{suite}");
        assert_eq!(taken_up(&mut unprotector, &packet), Ok(plain), "{suite}");
    }
}

#[test]
fn forged_packets_are_refused_and_take_no_room() {
    for suite in SrtpSuite::ALL {
        let mut forger = Phone::new(&key(suite, 2), 7);
        let mut unprotector = Unprotector::new(&key(suite, 1));
        for ssrc in 0..2 * MAX_SENDERS as u32 {
            forger.ssrc = ssrc;
            let [_, packet] = forger.packet();
            assert_eq!(taken_up(&mut unprotector, &packet), Err(Refusal::Unauthentic), "{suite}");
        }
        for ssrc in 0..MAX_SENDERS as u32 {
            let mut phone = Phone::new(&key(suite, 1), 7);
            phone.ssrc = ssrc;
            phone.go_on_to(1 << 16 | 9);
            let [plain, packet] = phone.packet();
            assert_eq!(taken_up(&mut unprotector, &packet), Ok(plain), "{suite} {ssrc}");
        }
        let mut phone = Phone::new(&key(suite, 1), 7);
        phone.go_on_to(1 << 16 | 9);
        let [_, packet] = phone.packet();
        assert_eq!(taken_up(&mut unprotector, &packet), Err(Refusal::Unauthentic), "{suite}: one too many");
    }
}

#[test]
fn a_sender_of_whom_half_the_numbers_were_not_heard_is_taken_up_again_and_nothing_from_before() {
    for suite in SrtpSuite::ALL {
        for (from, to) in
            [(3 << 16 | 100, 3 << 16 | 40_000), (3 << 16 | 60_000, 5 << 16 | 10), (700, 200_000)]
        {
            let mut phone = Phone::new(&key(suite, 1), 7);
            let mut unprotector = Unprotector::new(&key(suite, 1));
            phone.go_on_to(from);
            let [plain, first] = phone.packet();
            let opened_at_once = opened(&mut unprotector, &first);
            assert!(opened_at_once == Ok(plain.clone()) || taken_up(&mut unprotector, &first) == Ok(plain));
            let missed: Vec<_> = (0..20).map(|_| phone.packet()[1].clone()).collect();
            phone.go_on_to(to);
            let [plain, packet] = phone.packet();
            assert!(opened(&mut unprotector, &packet).is_err(), "{suite} {from} {to}");
            assert!(unprotector.may_have_rolled_over(&packet), "{suite} {from} {to}");
            assert_eq!(taken_up(&mut unprotector, &packet), Ok(plain), "{suite} {from} {to}");
            assert!(!unprotector.may_have_rolled_over(&packet), "it has just come");
            for old in missed.iter().chain([&first]) {
                assert!(opened(&mut unprotector, old).is_err(), "{suite} {from} {to}");
                assert!(taken_up(&mut unprotector, old).is_err(), "{suite} {from} {to}");
            }
            for _ in 0..300 {
                let [plain, packet] = phone.packet();
                assert_eq!(opened(&mut unprotector, &packet), Ok(plain), "{suite} {from} {to}");
            }
        }
    }
}

#[test]
fn sources_extensions_and_a_named_key_do_not_hide_the_counter() {
    for suite in SrtpSuite::ALL {
        for mki in [None, Mki::new(1, 4)] {
            let key = SrtpKey { mki, ..key(suite, 1) };
            for (begins, more) in [
                ([0x82, 0x80 | 8], vec![1; 8]),
                ([0x90, 0], vec![0xBE, 0xDE, 0, 1, 0x10, 0x7F, 0, 0]),
                ([0x91, 0], vec![9, 9, 9, 9, 0xBE, 0xDE, 0, 1, 0x10, 0x7F, 0, 0]),
            ] {
                let mut phone = Phone { begins, more, ..Phone::new(&key, 7) };
                phone.go_on_to(2 << 16 | 5);
                let [plain, packet] = phone.packet();
                let mut unprotector = Unprotector::new(&key);
                assert_eq!(taken_up(&mut unprotector, &packet), Ok(plain), "{suite} {mki:?} {begins:?}");
            }
        }
    }
}

#[test]
fn a_stream_that_has_not_rolled_over_needs_nothing_else() {
    for suite in SrtpSuite::ALL {
        let mut phone = Phone::new(&key(suite, 1), 65_000);
        let mut unprotector = Unprotector::new(&key(suite, 1));
        let [_, packet] = phone.packet();
        assert_eq!(
            taken_up(&mut unprotector, &packet),
            Err(Refusal::Unauthentic),
            "counter 0 is not looked for"
        );
        for _ in 0..1_000 {
            let [plain, packet] = phone.packet();
            assert_eq!(opened(&mut unprotector, &packet), Ok(plain), "{suite}");
        }
    }
}
