//! Parked legs whose phones leave their silence out: the filter must not keep away what shows that they live.

mod support;

use offhook_engine_core::{LegSetup, Verdict};
use offhook_proto::{Codec, EventBody};
use support::speaker::media;
use support::{Rig, rtp, setup};

const SILENT_AFTER_MS: u32 = 3_000;

/// A parked leg, and its phone with what the kernel's filter lets through of it.
struct Parked {
    rig: Rig,
    sequence: u16,
    timestamp: u32,
}

impl Parked {
    fn new() -> Self {
        let mut rig = Rig::new();
        let media = media(Codec::Opus);
        rig.create(LegSetup { park: true, silent_after_ms: SILENT_AFTER_MS, media, ..setup(1) });
        Self { rig, sequence: 7, timestamp: 0 }
    }

    /// What the filter has been told to pass, each time: one packet in so many.
    fn filters(&self) -> Vec<u16> {
        let told = self.rig.actions.iter().filter_map(|action| action.strip_prefix("park "));
        told.map(|told| told.split(' ').nth(1).and_then(|one_in| one_in.parse().ok()).expect("a number"))
            .collect()
    }

    /// The phone sends a packet every so often for a while.
    fn sends(&mut self, every_ms: u64, for_ms: u64) {
        for _ in 0..for_ms / every_ms {
            let keep_one_in = self.filters().pop().expect("it has a filter");
            if self.sequence.is_multiple_of(keep_one_in) {
                let packet = rtp(111, self.sequence, self.timestamp, 5, &[0x78; 3]);
                assert!(!matches!(self.rig.receive(1, &packet), Ok(_) | Err(Verdict::Forward { .. })));
            }
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(every_ms as u32 * 48);
            self.rig.pass_ms(every_ms);
        }
    }

    fn silences(&self) -> usize {
        self.rig.events.iter().filter(|event| matches!(event, EventBody::LegSilent { .. })).count()
    }
}

#[test]
fn by_02_a_parked_phone_that_leaves_its_silence_out_does_not_count_as_silent() {
    let mut parked = Parked::new();
    parked.sends(20, 5_000);
    assert_eq!(parked.filters(), [32], "as long as it sends all the time the filter does");
    for _ in 0..20 {
        parked.sends(400, 60_000);
        assert_eq!(parked.filters().last(), Some(&1), "it is looked at without a filter");
        let last_packet_ms = parked.rig.info(1).last_packet_ms;
        assert!(last_packet_ms.is_some_and(|ms| ms <= 400), "{last_packet_ms:?}");
        parked.sends(20, 5_000);
        assert_eq!(parked.filters().last(), Some(&32), "it speaks: the filter does again");
    }
    assert_eq!(parked.silences(), 0);
    let counters = parked.rig.info(1).counters;
    assert_eq!(counters.packets_lost, 0, "what the filter kept is no loss");
    // Nothing of it is heard by anybody, filter or not (BY-06).
    assert_eq!(counters.packets_forwarded, 0);
}

#[test]
fn by_02_a_parked_phone_that_sends_nothing_is_silent_as_soon_as_ever() {
    let mut parked = Parked::new();
    parked.sends(20, 1_000);
    let before = parked.rig.now;
    parked.rig.pass_ms(2_300);
    assert_eq!(parked.silences(), 0);
    parked.rig.pass_ms(1_000);
    assert_eq!(parked.silences(), 1, "since {before:?}");
    parked.sends(400, 800);
    let alive = |event: &EventBody| matches!(event, EventBody::LegAlive { .. });
    assert!(parked.rig.events.iter().any(alive), "its first packet is heard");
}

#[test]
fn a_parked_leg_that_never_counts_as_silent_keeps_its_filter() {
    let mut rig = Rig::new();
    rig.create(LegSetup { park: true, silent_after_ms: 0, ..setup(1) });
    rig.pass_ms(60_000);
    assert_eq!(rig.actions.iter().filter(|action| action.starts_with("park")).count(), 1);
}
