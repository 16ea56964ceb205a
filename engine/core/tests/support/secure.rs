//! A phone with SRTP.

use offhook_engine_core::{LegId, LegSetup, Time, Verdict, WorkerCommand};
use offhook_proto::{LegUpdate, Srtp, SrtpKey, SrtpKeys, SrtpSuite};
use offhook_srtp::{OVERHEAD_BYTES, Protector, Unprotector};

use super::{Rig, Sent, Talker, setup};

pub const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;

pub fn key(suite: SrtpSuite, seed: u8) -> SrtpKey {
    SrtpKey::new(suite, vec![seed; suite.key_bytes() + suite.salt_bytes()])
}

/// Keys of a leg: its peer encrypts with `seed`, the engine with the one above.
pub fn keys(suite: SrtpSuite, seed: u8) -> Srtp {
    Srtp::from(SrtpKeys { receive: Some(key(suite, seed)), send: Some(key(suite, seed + 1)) })
}

pub fn update(rig: &mut Rig, leg: u64, change: LegUpdate) {
    let change = Box::new(LegUpdate { leg: format!("leg-{leg}"), ..change });
    rig.done(|op| WorkerCommand::Update { op, leg: LegId(leg), change });
}

/// How a leg may have been opened whose peer's key is still to come: as secure, and not known to be.
pub fn before_the_key() -> [Srtp; 2] {
    [Srtp::from(SrtpKeys { receive: None, send: Some(key(SUITE, 2)) }), Srtp::Off]
}

/// Such a leg 1, which leg 2 may hear once it is spliced.
pub fn waits_for_the_key(before: &Srtp) -> Rig {
    let mut rig = Rig::new();
    rig.create(LegSetup { srtp: before.clone(), remote: None, ..setup(1) });
    rig.create(setup(2));
    rig.gates(1, 2, true, false);
    rig
}

/// The answer brings remote and key of leg 1. Returns the first byte of everything that leg 2 hears of what was said since then.
pub fn key_comes(rig: &mut Rig, since: Time) -> Vec<u8> {
    let remote = setup(1).remote;
    update(rig, 1, LegUpdate { srtp: Some(keys(SUITE, 1)), remote, ..LegUpdate::default() });
    rig.splice_since(2, 1, since);
    rig.take_heard(2).iter().map(|sent| sent.bytes[12]).collect()
}

/// A phone with keys of its own.
pub struct SecurePhone {
    pub talker: Talker,
    pub protector: Protector,
    pub unprotector: Unprotector,
}

impl SecurePhone {
    pub fn new(leg: u64, suite: SrtpSuite, seed: u8) -> Self {
        Self {
            talker: Talker::new(leg),
            protector: Protector::new(&key(suite, seed)),
            unprotector: Unprotector::new(&key(suite, seed + 1)),
        }
    }

    pub fn packet(&mut self, byte: u8) -> Vec<u8> {
        let plain = self.talker.packet(byte);
        let len = plain.len();
        let mut buffer = [plain, vec![0; OVERHEAD_BYTES]].concat();
        let len = self.protector.rtp(&mut buffer, len).expect("there is room");
        buffer.truncate(len);
        buffer
    }

    pub fn talk(&mut self, rig: &mut Rig, byte: u8) -> Result<Sent, Verdict> {
        let packet = self.packet(byte);
        rig.receive(self.talker.leg, &packet)
    }

    /// What a packet sent to it says.
    pub fn hears(&mut self, sent: &Sent) -> Vec<u8> {
        let mut bytes = sent.bytes.clone();
        let len = self.unprotector.rtp(&mut bytes).expect("it is for this phone");
        bytes[12..len].to_vec()
    }

    /// Talks to nobody until its sequence numbers have rolled over so many times.
    pub fn roll_over(&mut self, times: u32) {
        for _ in 0..times * 4 {
            self.packet(0);
            self.talker.sequence = self.talker.sequence.wrapping_add(0x3FFF);
        }
    }
}
