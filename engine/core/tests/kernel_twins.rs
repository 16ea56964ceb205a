//! Two workers that are given the same, packet by packet and command by command: one has a path in the kernel. What they send,
//! tell and count is the same.

mod support;

use offhook_engine_core::kernel::Patience;
use offhook_engine_core::{Extent, LegId, LegSetup, OpId, RecordChange, RecordId, Socket, WorkerCommand};
use offhook_proto::{Codec, DtmfMode, EventBody, Idle, LegInfo, LegUpdate, Media, SuperviseMode};
use support::kernel::EAGER;
use support::secure::update;
use support::speaker::media;
use support::world::Dice;
use support::{Rig, Sent, Talker, prompt, rtp, setup};

const LEGS: u64 = 4;

/// A phone that talks, now and then badly.
struct Phone {
    talker: Talker,
    /// A packet that comes late, after so many others.
    late: Option<(Vec<u8>, usize)>,
    /// Timestamp of the key that is down, and packets that it still lasts.
    key: Option<(u32, u32)>,
    /// Packets that it still leaves out.
    silent: u32,
}

struct Twins {
    rigs: [Rig; 2],
    phones: Vec<Phone>,
    dice: Dice,
}

impl Twins {
    fn new(seed: u64) -> Self {
        let patience = if seed.is_multiple_of(2) { EAGER } else { Patience::default() };
        let mut twins = Self {
            rigs: [Rig::plain(0), Rig::plain(0).with_kernel(patience)],
            phones: Vec::new(),
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        };
        for leg in 1..=LEGS {
            let media = twins.media();
            let idle = [Idle::None, Idle::ComfortNoise { interval_ms: 300 }][twins.dice.below(2)];
            let talker = Talker { payload_type: media.payload_type, ..Talker::new(leg) };
            let dtmf = [DtmfMode::Pass, DtmfMode::Pass, DtmfMode::Convert][twins.dice.below(3)];
            for rig in &mut twins.rigs {
                let (media, idle) = (media.clone(), idle);
                rig.create(LegSetup {
                    media,
                    idle,
                    dtmf,
                    silent_after_ms: 300,
                    one_way_after_ms: 500,
                    ..setup(leg)
                });
                rig.latch(leg);
            }
            twins.phones.push(Phone { talker, late: None, key: None, silent: 0 });
        }
        twins
    }

    fn media(&mut self) -> Media {
        let codec = [Codec::Pcmu, Codec::Pcmu, Codec::Pcmu, Codec::Pcmu, Codec::Pcma][self.dice.below(5)];
        let of = media(codec);
        Media { telephone_event: of.telephone_event.filter(|_| self.dice.below(3) > 0), ..of }
    }

    /// Twenty milliseconds: everybody talks, at moments of their own, and rarely a command comes.
    fn step(&mut self) {
        let mut moments: Vec<u64> = (0..LEGS).map(|_| self.dice.below(20) as u64).collect();
        moments.sort_unstable();
        let mut now_ms = 0;
        for (at, moment_ms) in moments.into_iter().enumerate() {
            self.pass_ms(moment_ms - now_ms);
            now_ms = moment_ms;
            self.talk(at);
        }
        if self.dice.below(120) == 0 {
            self.command();
        }
        self.pass_ms(20 - now_ms);
        self.compare();
    }

    fn pass_ms(&mut self, ms: u64) {
        for rig in &mut self.rigs {
            rig.pass_ms(ms);
        }
    }

    fn receive(&mut self, leg: u64, packet: &[u8]) {
        let [one, other] = &mut self.rigs;
        let (one, other) = (one.receive(leg, packet), other.receive(leg, packet));
        assert_eq!(one, other, "leg {leg}: {:?}", &packet[..packet.len().min(12)]);
    }

    fn talk(&mut self, at: usize) {
        let fate = self.dice.below(600);
        let phone = &mut self.phones[at];
        let (leg, talker) = (phone.talker.leg, &mut phone.talker);
        match fate {
            0 => phone.silent = 40,
            1 => talker.ssrc = talker.ssrc.wrapping_add(1),
            2 => talker.sequence = talker.sequence.wrapping_sub(700),
            3 => talker.sequence = talker.sequence.wrapping_add(5_000),
            4 => talker.timestamp = talker.timestamp.wrapping_add(99_999_999),
            5 => phone.key = Some((talker.timestamp, 6)),
            _ => {}
        }
        if phone.silent > 0 {
            phone.silent -= 1;
            talker.timestamp = talker.timestamp.wrapping_add(160);
            return;
        }
        if let Some((began, left)) = phone.key.take() {
            phone.key = (left > 0).then(|| (began, left - 1));
            let [high, low] = (160 * (7 - left as u16)).to_be_bytes();
            let payload = [5, u8::from(left < 3) << 7 | 10, high, low];
            let packet = rtp(101, talker.sequence, began, talker.ssrc, &payload);
            talker.sequence = talker.sequence.wrapping_add(1);
            talker.timestamp = talker.timestamp.wrapping_add(160);
            return self.receive(leg, &packet);
        }
        let (sequence, timestamp, ssrc) = (talker.sequence, talker.timestamp, talker.ssrc);
        let mut packet = talker.packet(fate as u8);
        match fate {
            10..=14 => return,
            15..=19 => packet[1] |= 0x80,
            20..=24 => {
                phone.late = Some((packet, self.dice.below(9)));
                return;
            }
            25 | 26 => {
                let payload_type = if fate == 25 { 13 } else { 77 };
                packet = rtp(payload_type, sequence, timestamp, ssrc, &[60; 9]);
            }
            27 => packet.truncate(12 + 80),
            _ => {}
        }
        let late = phone.late.take_if(|(_, after)| *after == 0);
        if let Some((_, after)) = &mut phone.late {
            *after -= 1;
        }
        self.receive(leg, &packet);
        if (30..=33).contains(&fate) {
            self.receive(leg, &packet);
        }
        if let Some((late, _)) = late {
            self.receive(leg, &late);
        }
    }

    fn command(&mut self) {
        let (a, b) = (self.dice.below(4) as u64 + 1, self.dice.below(4) as u64 + 1);
        let (kind, coin, media) = (self.dice.below(20), self.dice.below(3) == 0, self.media());
        let since = self.rigs[0].now - self.dice.below(100_000) as u64;
        let change = LegUpdate {
            dtmf: coin.then_some(DtmfMode::Pass),
            media: (!coin).then(|| media.clone()),
            ..LegUpdate::default()
        };
        if kind == 13 && !coin {
            self.phones[a as usize - 1].talker.payload_type = media.payload_type;
        }
        for rig in &mut self.rigs {
            let (op, leg, other) = (OpId(0), LegId(a), LegId(b));
            let command = match kind {
                0..=6 | 18.. => WorkerCommand::Splice {
                    op,
                    a: leg,
                    b: other,
                    a_hears_b: kind > 0,
                    b_hears_a: kind > 1,
                    replace: true,
                    since,
                    replay: coin,
                },
                7 => WorkerCommand::Unsplice { op, leg, park: if coin { vec![leg] } else { Vec::new() } },
                8 => WorkerCommand::Play {
                    op,
                    leg,
                    play: "p".into(),
                    segments: vec![prompt(Codec::Pcmu, vec![5; 2_400])],
                    extent: Extent::times(1),
                },
                9 => WorkerCommand::PlayStop { op, leg, play: None },
                10 if a != b => WorkerCommand::Listen { op, leg, of: other },
                11 if a != b => {
                    WorkerCommand::Supervise { op, leg, of: other, with: None, mode: SuperviseMode::Whisper }
                }
                12 | 17 => WorkerCommand::SuperviseStop { op, leg },
                13 => WorkerCommand::Update { op, leg, change: Box::new(change.clone()) },
                14 => {
                    let change = if coin { RecordChange::Start(RecordId(a)) } else { RecordChange::Stop };
                    WorkerCommand::Record { op, leg, change }
                }
                _ => WorkerCommand::ListenStop { op, leg },
            };
            rig.tell(command);
        }
    }

    /// Compares all that was sent and told since the last time, and at times all that is known of each leg.
    fn compare(&mut self) {
        let infos = self.dice.below(5) == 0;
        let [one, other] = self.rigs.each_mut().map(|rig| {
            let infos: Vec<LegInfo> =
                if infos { (1..=LEGS).map(|leg| seen(rig.info(leg))).collect() } else { vec![] };
            (heard(rig), told(rig), std::mem::take(&mut rig.actions), infos, rig.worker.info())
        });
        assert_eq!(one.0, other.0, "what was sent");
        assert_eq!(one.1, other.1, "what was told");
        assert_eq!(one.2, other.2, "what the shell was to do");
        assert_eq!(one.3, other.3, "what is known");
        assert_eq!(one.4, other.4, "the worker's figures");
    }
}

/// RTP by leg, in order.
fn heard(rig: &mut Rig) -> Vec<Sent> {
    let mut sent: Vec<Sent> = rig.sent.drain(..).filter(|sent| sent.socket == Socket::Rtp).collect();
    sent.sort_by_key(|sent| sent.leg);
    sent
}

/// Events, those of one moment in any order. The moments of reports, and so of looks at the quality, are drawn by lot.
fn told(rig: &mut Rig) -> Vec<String> {
    rig.reports.clear();
    let events = rig.events.drain(..).filter(|event| !matches!(event, EventBody::LegQuality { .. }));
    let mut told: Vec<String> = events.map(|event| format!("{event:?}")).collect();
    told.sort();
    told
}

/// What is known of a leg, without what depends on the moments of reports. Jitter knows nothing of packets that the worker had to
/// handle while a rule stood.
fn seen(mut info: LegInfo) -> LegInfo {
    info.quality = None;
    info.counters.jitter_ms = 0.0;
    info
}

#[test]
fn with_and_without_the_kernel_the_same_is_sent_told_and_counted() {
    let mut by_kernel = 0;
    for seed in 1..=100 {
        let mut twins = Twins::new(seed);
        for _ in 0..1_500 {
            twins.step();
        }
        by_kernel += twins.rigs[1].kernel.as_ref().map_or(0, |kernel| kernel.figures().1);
    }
    assert!(by_kernel > 30_000, "only {by_kernel} packets went by the kernel");
}

#[test]
fn reports_jitter_and_quality_are_the_same_bit_by_bit() {
    let mut rigs = [Rig::plain(0), Rig::plain(0).with_kernel(Patience::default())];
    let mut dice = Dice(77);
    let mut talkers = [Talker::new(1), Talker::new(2)];
    for rig in &mut rigs {
        for leg in [1, 2] {
            rig.create(setup(leg));
            rig.latch(leg);
        }
        rig.splice(1, 2);
    }
    for packet in 0..6_000 {
        let late_ms = dice.below(8) as u64;
        // A stretch of bad line in the middle.
        let lost = dice.below(if (2_000..3_000).contains(&packet) { 4 } else { 200 }) == 0;
        let packets = talkers.each_mut().map(|talker| talker.packet(3));
        if dice.below(200) == 0 {
            for rig in &mut rigs {
                update(rig, 1, LegUpdate::default());
            }
        }
        for rig in &mut rigs {
            rig.pass_ms(late_ms);
            for (leg, packet) in (1..).zip(&packets) {
                if !lost {
                    let _ = rig.receive(leg, packet);
                }
            }
            rig.pass_ms(20 - late_ms);
        }
    }
    let [one, other] = rigs
        .each_mut()
        .map(|rig| (std::mem::take(&mut rig.sent), rig.info(1), rig.info(2), rig.events.clone()));
    let reports = one.0.iter().filter(|sent| sent.socket == Socket::Rtcp).count();
    let poor = one.3.iter().filter(|event| matches!(event, EventBody::LegQuality { .. })).count();
    assert!(reports > 40 && poor >= 2, "{reports} reports, quality told {poor} times");
    assert_eq!(one, other);
    let (installed, taken) = rigs[1].kernel.as_ref().expect("it has one").figures();
    assert!(installed >= 2 && taken > 5_000, "{installed} rules, {taken} packets");
}
