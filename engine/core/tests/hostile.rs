//! Whatever comes, in whatever order, on legs of every kind: nothing panics, all that leaves is well formed, and no two
//! payloads leave under one number.

mod support;

use std::collections::HashMap;

use offhook_engine_core::{
    Disarmed, Extent, LegId, LegSetup, OpId, RecordChange, RecordId, Segment, WorkerCommand, WorkerReport,
};
use offhook_proto::{
    AmdParameters, Codec, DetectStart, DetectWhat, DtmfMode, Idle, LegUpdate, Media, SuperviseMode,
    ToneParameters,
};
use support::speaker::{CODECS, media};
use support::world::Dice;
use support::{Rig, Rtp, phone, prompt, rtp, setup};

const MODES: [DtmfMode; 3] = [DtmfMode::Pass, DtmfMode::Convert, DtmfMode::Block];

/// Legs with their phones, and what they have been sent.
struct Chaos {
    rig: Rig,
    dice: Dice,
    /// Each with what it carries and its phone's next number.
    legs: Vec<(u64, Media, u16)>,
    next_leg: u64,
    /// Whether supervisors take part: where one leaves, a packet is blended, and goes on as it is when it comes again.
    supervised: bool,
    /// Whether calls last longer, and all legs are of one kind.
    calm: bool,
    sent: HashMap<(u32, u16), Vec<u8>>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut chaos = Self {
            rig: Rig::new(),
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            legs: Vec::new(),
            next_leg: 1,
            supervised: seed.is_multiple_of(2),
            calm: seed.is_multiple_of(3),
            sent: HashMap::new(),
        };
        for _ in 0..5 {
            chaos.create();
        }
        chaos
    }

    fn create(&mut self) {
        let (leg, media) = (self.next_leg, self.media());
        let latch = support::LATCH_MODES[self.dice.below(support::LATCH_MODES.len())];
        let idle = [Idle::None, Idle::Silence, Idle::ComfortNoise { interval_ms: 100 }][self.dice.below(3)];
        let remote = setup(leg).remote.filter(|_| self.dice.below(4) > 0);
        let (dtmf, media_too) = (MODES[self.dice.below(3)], media.clone());
        self.rig.create(LegSetup { media: media_too, latch, idle, remote, dtmf, ..setup(leg) });
        self.legs.push((leg, media, 65_500));
        self.next_leg += 1;
    }

    fn media(&mut self) -> Media {
        if self.calm {
            return media(Codec::Pcmu);
        }
        let all = media(CODECS[self.dice.below(CODECS.len())]);
        let telephone_event = all.telephone_event.filter(|_| self.dice.below(3) > 0);
        let ptime_ms = [10, 20, 30][self.dice.below(3)];
        Media { telephone_event, ptime_ms, ..all }
    }

    fn leg(&mut self) -> u64 {
        let at = self.dice.below(self.legs.len());
        self.legs[at].0
    }

    fn step(&mut self) {
        let one_in = if self.calm { 80 } else { 8 };
        if self.dice.below(one_in) == 0 {
            self.command();
        } else {
            self.packet();
        }
        let ms = self.dice.below(12);
        self.rig.pass_ms(ms as u64);
        self.look();
    }

    /// A packet of a phone, or what pretends to be one.
    fn packet(&mut self) {
        let at = self.dice.below(self.legs.len());
        let (leg, media, next) = self.legs[at].clone();
        let regular = self.calm && self.dice.below(6) > 0;
        let steps = [1, 1, 1, 1, 1, 1, 0, 2, 4, u16::MAX, u16::MAX - 2, 5_000, 40_000];
        let step = if regular { 1 } else { steps[self.dice.below(13)] };
        let sequence = next.wrapping_add(step);
        // What comes late does not turn the phone's numbers back.
        if step < 0x8000 {
            self.legs[at].2 = sequence;
        }
        let mut packet = numbered(leg, &media, sequence);
        let mut source = phone(leg);
        match self.dice.below(24) {
            0 => source.set_port(4_002),
            1 => source = phone(200),
            // Neither has a number that another payload has: those would be two packets of one number.
            2 => packet.truncate(self.dice.below(12)),
            3 => packet[4 + self.dice.below(8)] ^= 1 << self.dice.below(8),
            5 => {
                packet = (0..self.dice.below(99)).map(|_| self.dice.below(256) as u8).collect();
                packet.iter_mut().take(1).for_each(|first| *first = 0x80 | *first & 0x3F);
            }
            4 => {
                let at = self.dice.below(packet.len());
                self.rig.receive_rtcp(leg, source, &packet[at..]);
            }
            _ => {}
        }
        let _ = self.rig.receive_from(leg, source, &packet);
    }

    fn command(&mut self) {
        let (a, b) = (LegId(self.leg()), LegId(self.leg()));
        let since = self.rig.now - self.dice.below(200_000) as u64;
        let mut coin = || self.dice.below(2) == 0;
        let (yes, no) = (coin(), coin());
        let command = match self.dice.below(18) {
            0..=4 => {
                let op = OpId(0);
                let (a_hears_b, b_hears_a, replay) = (!yes || !no, yes || !no, yes == no);
                WorkerCommand::Splice { op, a, b, a_hears_b, b_hears_a, replace: true, since, replay }
            }
            5 => {
                WorkerCommand::Unsplice { op: OpId(0), leg: a, park: if yes { vec![a] } else { Vec::new() } }
            }
            6 => WorkerCommand::Park { op: OpId(0), leg: a, keep_one_in: 32 },
            7 => WorkerCommand::Unpark { op: OpId(0), leg: a },
            8 => {
                let segment =
                    if yes { prompt(Codec::Pcmu, vec![5; 700]) } else { Segment::Keys("12#".into()) };
                let (play, segments) = ("p".to_owned(), vec![segment, Segment::SilenceMs(35)]);
                WorkerCommand::Play { op: OpId(0), leg: a, play, segments, extent: Extent::times(1) }
            }
            9 => WorkerCommand::PlayStop { op: OpId(0), leg: a, play: None },
            10 if a != b => WorkerCommand::Listen { op: OpId(0), leg: a, of: b },
            11 => WorkerCommand::ListenStop { op: OpId(0), leg: a },
            12 if self.supervised && a != b => {
                let mode =
                    [SuperviseMode::Listen, SuperviseMode::Whisper, SuperviseMode::Barge][self.dice.below(3)];
                WorkerCommand::Supervise { op: OpId(0), leg: a, of: b, with: None, mode }
            }
            13 => WorkerCommand::SuperviseStop { op: OpId(0), leg: a },
            14 => {
                let change = if yes { RecordChange::Start(RecordId(a.0)) } else { RecordChange::Stop };
                WorkerCommand::Record { op: OpId(0), leg: a, change }
            }
            15 => {
                let what = vec![DetectWhat::Amd, DetectWhat::Tones, DetectWhat::Dtmf];
                let start = yes.then(|| {
                    Box::new(DetectStart {
                        leg: String::new(),
                        what,
                        amd: AmdParameters::default(),
                        tones: ToneParameters::default(),
                    })
                });
                WorkerCommand::Detect { op: OpId(0), leg: a, start }
            }
            16 => return self.update(a),
            _ => return if yes { self.replace(a) } else { self.move_away_and_back(a) },
        };
        self.rig.tell(command);
    }

    fn update(&mut self, leg: LegId) {
        let media = if self.dice.below(2) == 0 { Some(self.media()) } else { None };
        let dtmf = (self.dice.below(2) == 0).then(|| MODES[self.dice.below(3)]);
        let remote = setup(leg.0).remote.filter(|_| self.dice.below(2) == 0);
        let relatch = self.dice.below(4) == 0;
        if let (Some(media), Some(known)) = (&media, self.legs.iter_mut().find(|known| known.0 == leg.0)) {
            known.1 = media.clone();
        }
        let change = Box::new(LegUpdate { media, dtmf, remote, relatch, ..LegUpdate::default() });
        self.rig.tell(WorkerCommand::Update { op: OpId(0), leg, change });
    }

    fn replace(&mut self, leg: LegId) {
        self.look();
        self.rig.tell(WorkerCommand::Delete { op: OpId(0), leg });
        assert!(matches!(self.rig.disarmed.pop(), Some(Disarmed::Closed(_))));
        self.legs.retain(|known| known.0 != leg.0);
        self.create();
    }

    fn move_away_and_back(&mut self, leg: LegId) {
        self.look();
        self.rig.tell(WorkerCommand::Detach { op: OpId(0), leg, replace: true });
        let Some(Disarmed::Moved(WorkerReport::Detached { leg, .. })) = self.rig.disarmed.pop() else {
            panic!("it leaves")
        };
        self.rig.tell(WorkerCommand::Adopt { leg });
    }

    /// Looks at all that was sent since the last time.
    fn look(&mut self) {
        self.rig.reports.clear();
        self.rig.events.clear();
        self.rig.actions.clear();
        self.rig.tapped.clear();
        for sent in self.rig.sent.drain(..) {
            let bytes = sent.bytes;
            let is_rtp = bytes.len() >= 12 && !(192..=223).contains(&bytes[1]);
            if !is_rtp {
                continue;
            }
            assert_eq!(bytes[0] >> 6, 2);
            let padding = if bytes[0] & 0x20 != 0 { usize::from(bytes[bytes.len() - 1]) } else { 0 };
            assert!(
                12 + padding <= bytes.len() && (bytes[0] & 0x20 == 0 || padding > 0),
                "{:?}",
                &bytes[..12]
            );
            let Rtp { ssrc, sequence, .. } = Rtp::parse(&bytes);
            let before = self.sent.insert((ssrc, sequence), bytes[12..].to_vec());
            let same = before.is_none_or(|before| before == bytes[12..]);
            assert!(same || self.supervised, "two packets of number {sequence} to {ssrc:x}");
        }
    }
}

/// A packet of a phone's stream: the same whenever it is sent.
fn numbered(leg: u64, media: &Media, sequence: u16) -> Vec<u8> {
    let mut dice = Dice(u64::from(sequence) << 16 | leg << 1 | 1);
    dice.below(1);
    let len = [1, 33, 80, 160, 160, 160, 240, 1_020, 1_700][dice.below(9)];
    let payload: Vec<u8> = (0..len).map(|_| dice.below(256) as u8).collect();
    let (timestamp, ssrc) = (u32::from(sequence).wrapping_mul(160), 7_000 + leg as u32);
    let packet = |payload_type: u8, payload: &[u8]| rtp(payload_type, sequence, timestamp, ssrc, payload);
    match dice.below(12) {
        0 => packet(media.telephone_event.unwrap_or(101), &[payload[0] % 17, payload[0], 0, 200]),
        1 => packet(media.comfort_noise.unwrap_or(13), &payload[..1]),
        2 => packet(77, &payload),
        3 => {
            let mut padded = packet(media.payload_type, &[&payload[..], &[0, 0, 0, 4]].concat());
            padded[0] |= 0x20;
            padded
        }
        4 => {
            let mut extended =
                packet(media.payload_type, &[&[0xBE, 0xDE, 0, 1, 1, 2, 3, 4], &payload[..]].concat());
            extended[0] |= 0x10;
            extended
        }
        _ => packet(media.payload_type, &payload),
    }
}

#[test]
fn whatever_comes_in_whatever_order_nothing_breaks_and_no_number_is_used_twice() {
    let (mut sent, mut by_kernel) = (0, 0);
    for seed in 1..=200 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..500 {
            chaos.step();
        }
        sent += chaos.sent.len();
        by_kernel += chaos.rig.kernel.as_ref().map_or(0, |kernel| kernel.figures().1);
    }
    assert!(Rig::new().kernel.is_none() || by_kernel > 500, "only {by_kernel} packets went by the kernel");
    assert!(sent > 40_000, "only {sent} packets were sent");
}
