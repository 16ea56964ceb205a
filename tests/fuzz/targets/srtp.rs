//! Packets that claim to be encrypted, for each suite: none may pass that was not protected with the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_proto::{Mki, SrtpKey, SrtpSuite};
use offhook_srtp::Unprotector;

fuzz_target!(|data: &[u8]| {
    let suites = SrtpSuite::ALL;
    let [choice, packet @ ..] = data else { return };
    let suite = suites[*choice as usize % suites.len()];
    let plain = SrtpKey::new(suite, vec![7; suite.key_bytes() + suite.salt_bytes()]);
    let marked = SrtpKey { mki: Mki::new(1, 2), ..plain.clone() };
    for key in [plain, marked] {
        let mut unprotector = Unprotector::new(&key);
        assert!(unprotector.rtp(&mut packet.to_vec()).is_err());
        assert!(unprotector.rtp_rolled_over(&mut packet.to_vec()).is_err());
        assert!(unprotector.rtcp(&mut packet.to_vec()).is_err());
    }
});
