//! Calls that the kernel forwards.

use offhook_engine_core::LegSetup;
use offhook_engine_core::kernel::Patience;

use super::{Rig, Talker, rtp, setup};

/// Legs 1 to `count`, latched, whose worker hands over with the usual patience.
pub fn rig(count: u64) -> Rig {
    rig_of((1..=count).map(setup), Patience::default())
}

pub fn rig_of(legs: impl IntoIterator<Item = LegSetup>, patience: Patience) -> Rig {
    let mut rig = Rig::plain(0).with_kernel(patience);
    for setup in legs {
        let leg = setup.id.0;
        rig.create(setup);
        rig.latch(leg);
    }
    rig
}

pub fn in_kernel(rig: &Rig, leg: u64) -> bool {
    rig.worker.is_in_kernel(rig.ix(leg))
}

/// Lets phones talk for so many packets of 20 ms.
pub fn talk(rig: &mut Rig, talkers: &mut [Talker], packets: u32) {
    for _ in 0..packets {
        for talker in &mut *talkers {
            let _ = talker.talk(rig, 7);
        }
        rig.pass_ms(20);
    }
}

/// Legs whose phones talk, of which the first two have just been spliced.
pub fn begin(count: u64) -> (Rig, [Talker; 2]) {
    join(rig(count))
}

pub fn join(mut rig: Rig) -> (Rig, [Talker; 2]) {
    let mut talkers = [Talker::new(1), Talker::new(2)];
    talk(&mut rig, &mut talkers, 10);
    rig.splice(1, 2);
    (rig, talkers)
}

/// Two legs whose phones have talked until the kernel forwards both.
pub fn call() -> (Rig, [Talker; 2]) {
    let (mut rig, mut talkers) = begin(4);
    talk(&mut rig, &mut talkers, 60);
    assert!(in_kernel(&rig, 1) && in_kernel(&rig, 2));
    (rig, talkers)
}

/// A telephone-event of a phone.
pub fn event(talker: &mut Talker, began: u32, end: bool) -> Vec<u8> {
    let packet = rtp(101, talker.sequence, began, talker.ssrc, &[5, u8::from(end) << 7 | 10, 0, 160]);
    talker.sequence = talker.sequence.wrapping_add(1);
    packet
}
