//! A supervisor in the call of an agent and a customer: who hears whom, by the tone that each of them is.

mod support;

use offhook_audio::codec::{self, Decoder};
use offhook_engine_core::{DropReason, LegId, LegSetup, Verdict, WorkerCommand};
use offhook_proto::{Codec, ErrorCode, EventBody, LegUpdate, Media, SuperviseEnd, SuperviseMode};
use support::speaker::{Hum, audio_codec, media};
use support::{Rig, Sent, prompt, rtp, setup};

const AGENT: u64 = 1;
const CUSTOMER: u64 = 2;
const SUPERVISOR: u64 = 3;
/// What each of them sounds like, in Hz, none a multiple of another.
const TONES: [f64; 3] = [430.0, 1_010.0, 1_730.0];

/// A phone that hums its tone at −18 dBm0.
fn voice(leg: u64, media: Media) -> Hum {
    let mut voice = Hum::new(leg, media, TONES[leg as usize - 1], -18.0);
    (voice.phone.sequence, voice.phone.timestamp) = (65_500, u32::MAX - 700);
    voice
}

struct Call {
    rig: Rig,
    voices: Vec<Hum>,
    media: [Media; 3],
    decoders: Vec<Decoder>,
}

impl Call {
    /// A call of an agent and a customer, and a supervisor who is not in it.
    fn new(media: [Media; 3]) -> Self {
        let mut rig = Rig::new();
        for (leg, media) in (1..).zip(&media) {
            rig.create(LegSetup { media: media.clone(), ..setup(leg) });
            rig.latch(leg);
        }
        rig.splice(AGENT, CUSTOMER);
        let voices = (1..).zip(&media).map(|(leg, media)| voice(leg, media.clone())).collect();
        let decoders =
            media.each_ref().map(|media| Decoder::new(audio_codec(media.codec), 8_000).expect("it decodes"));
        Self { rig, voices, media, decoders: decoders.into() }
    }

    fn plain() -> Self {
        Self::new([media(Codec::Pcmu), media(Codec::Pcmu), media(Codec::Pcmu)])
    }

    /// Everybody hums for a while.
    fn hum(&mut self, ms: u32) {
        for _ in 0..ms / 10 {
            let end = self.rig.now.plus_ms(10);
            for voice in &mut self.voices {
                voice.hum_10_ms(&mut self.rig);
                self.rig.pass_ms(3);
            }
            self.rig.pass_ms(end.since(self.rig.now) / 1_000);
        }
    }

    fn supervise(&mut self, mode: SuperviseMode) {
        self.try_supervise(None, mode).expect("it can be supervised");
    }

    fn try_supervise(&mut self, with: Option<u64>, mode: SuperviseMode) -> Result<(), ErrorCode> {
        let (leg, of) = (LegId(SUPERVISOR), LegId(AGENT));
        let with = with.map(LegId);
        let done = self.rig.command(|op| WorkerCommand::Supervise { op, leg, of, with, mode });
        done.map(|_| ()).map_err(|error| error.code)
    }

    fn stop(&mut self) {
        self.rig.done(|op| WorkerCommand::SuperviseStop { op, leg: LegId(SUPERVISOR) });
    }

    /// What a party has been sent since the last time, decoded, and the rate of the samples. Its packets are one stream.
    fn heard(&mut self, leg: u64) -> (Vec<i16>, u32) {
        let heard = self.rig.take_heard(leg);
        let at = leg as usize - 1;
        assert_one_stream(&heard, &self.media[at]);
        let decoder = &mut self.decoders[at];
        let mut all = Vec::new();
        for sent in heard.iter().filter(|sent| sent.header().payload_type == self.media[at].payload_type) {
            let mut samples = [0; 5_760];
            let count = decoder.decode(&sent.bytes[12..], &mut samples).expect("it decodes");
            all.extend_from_slice(&samples[..count]);
        }
        (all, decoder.rate_hz())
    }

    /// Whom a party hears, by their tones.
    fn hears(&mut self, leg: u64) -> Vec<u64> {
        let (samples, rate_hz) = self.heard(leg);
        (1..=3).filter(|party| level_db(&samples, TONES[*party as usize - 1], rate_hz) > -30.0).collect()
    }
}

/// Level of a tone in dB below full scale.
fn level_db(samples: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let turn = std::f64::consts::TAU * hz / f64::from(rate_hz);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        // A window keeps what the others hum out of this one's bin.
        let window = 1.0 - (std::f64::consts::TAU * n as f64 / samples.len() as f64).cos();
        re += f64::from(sample) * window * (turn * n as f64).cos();
        im += f64::from(sample) * window * (turn * n as f64).sin();
    }
    let amplitude = 2.0 * (re * re + im * im).sqrt() / samples.len().max(1) as f64;
    20.0 * (amplitude / 32_767.0).max(1e-9).log10()
}

/// Largest second difference.
fn click(samples: &[i16]) -> i32 {
    samples
        .windows(3)
        .map(|w| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs())
        .max()
        .unwrap_or(0)
}

fn assert_one_stream(heard: &[Sent], media: &Media) {
    let clock = if media.codec == Codec::Opus { 48 } else { 8 };
    for pair in heard.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert!(step <= 2 * clock * u32::from(media.ptime_ms), "timestamps went on by {step}");
    }
}

const EVERYBODY: [[Codec; 3]; 5] = [
    [Codec::Pcmu, Codec::Pcmu, Codec::Pcmu],
    [Codec::Pcma, Codec::Pcmu, Codec::G722],
    [Codec::Opus, Codec::Pcma, Codec::Pcmu],
    [Codec::G722, Codec::Opus, Codec::L16 { rate_hz: 16_000 }],
    [Codec::Opus, Codec::Opus, Codec::Opus],
];

#[test]
fn each_mode_is_heard_by_whom_it_says_and_by_nobody_else() {
    use SuperviseMode::{Barge, Listen, Whisper};
    for codecs in EVERYBODY {
        let mut call = Call::new(codecs.map(media));
        call.hum(200);
        let mut expect =
            |mode: Option<SuperviseMode>, agent: &[u64], customer: &[u64], supervisor: &[u64]| {
                match mode {
                    Some(mode) => call.supervise(mode),
                    None => call.stop(),
                }
                call.hum(400);
                for leg in 1..=3 {
                    call.heard(leg);
                }
                call.hum(600);
                assert_eq!(call.hears(AGENT), agent, "agent, {mode:?}, {codecs:?}");
                assert_eq!(call.hears(CUSTOMER), customer, "customer, {mode:?}, {codecs:?}");
                assert_eq!(call.hears(SUPERVISOR), supervisor, "supervisor, {mode:?}, {codecs:?}");
            };
        expect(Some(Listen), &[2], &[1], &[1, 2]);
        expect(Some(Whisper), &[2, 3], &[1], &[1, 2]);
        expect(Some(Barge), &[2, 3], &[1, 3], &[1, 2]);
        expect(Some(Whisper), &[2, 3], &[1], &[1, 2]);
        expect(Some(Listen), &[2], &[1], &[1, 2]);
        expect(Some(Barge), &[2, 3], &[1, 3], &[1, 2]);
        expect(None, &[2], &[1], &[]);
    }
}

#[test]
fn the_customer_never_hears_a_trace_of_a_whisper() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Whisper);
    call.hum(3_000);
    let (samples, rate_hz) = call.heard(CUSTOMER);
    // What is left is the noise of µ-law: the same as without a supervisor.
    let whisper = level_db(&samples, TONES[2], rate_hz);
    assert!(whisper < -65.0, "{whisper} dB");
    let (samples, rate_hz) = call.heard(AGENT);
    assert!(level_db(&samples, TONES[2], rate_hz) > -23.0);
}

#[test]
fn while_a_supervisor_listens_the_two_hear_each_others_own_packets() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Listen);
    call.hum(500);
    for leg in [AGENT, CUSTOMER] {
        let packet = rtp(0, 9, 160, 5, &[0xA5; 160]);
        let sent = call.rig.receive(leg, &packet).expect("it is sent on at once");
        assert_eq!(sent.bytes[12..], [0xA5; 160]);
    }
    let refused = call.rig.receive(SUPERVISOR, &rtp(0, 9, 160, 5, &[1; 160]));
    assert_eq!(refused, Err(Verdict::Drop(DropReason::GateClosed)));
}

#[test]
fn nobody_hears_a_click_when_the_mode_changes() {
    use SuperviseMode::{Barge, Listen, Whisper};
    for codecs in
        [[Codec::Pcmu; 3], [Codec::L16 { rate_hz: 16_000 }; 3], [Codec::Pcma, Codec::Pcmu, Codec::Pcmu]]
    {
        let mut call = Call::new(codecs.map(media));
        // The supervisor keeps silent, so that the others' one tone shows every break.
        let _ = call.voices.pop();
        call.hum(1_000);
        call.supervise(Listen);
        call.hum(500);
        let steady = [AGENT, CUSTOMER].map(|leg| click(&call.heard(leg).0));
        for mode in [Whisper, Barge, Whisper, Listen, Barge, Listen, Whisper] {
            call.supervise(mode);
            call.hum(333);
        }
        call.stop();
        call.hum(500);
        for (leg, steady) in [AGENT, CUSTOMER].into_iter().zip(steady) {
            let worst = click(&call.heard(leg).0);
            assert!(f64::from(worst) < 1.6 * f64::from(steady), "leg {leg}, {codecs:?}: {worst}, {steady}");
        }
        let (supervisor, _) = call.heard(SUPERVISOR);
        assert!(click(&supervisor[4_000..]) < 2 * (steady[0] + steady[1]));
    }
}

#[test]
fn each_hears_at_its_own_packet_time() {
    let mut all = [media(Codec::Pcmu), media(Codec::G722), media(Codec::Pcma)];
    all[1].ptime_ms = 30;
    all[2].ptime_ms = 60;
    let mut call = Call::new(all);
    call.supervise(SuperviseMode::Barge);
    call.hum(1_200);
    for (leg, bytes) in [(AGENT, 160), (CUSTOMER, 240), (SUPERVISOR, 480)] {
        let heard = call.rig.take_heard(leg);
        assert!(heard.iter().rev().take(10).all(|sent| sent.bytes.len() == 12 + bytes), "leg {leg}");
    }
}

#[test]
fn what_a_closed_gate_keeps_back_the_supervisor_does_not_hear() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Barge);
    call.rig.gates(AGENT, CUSTOMER, true, false);
    call.hum(400);
    call.heard(SUPERVISOR);
    call.hum(400);
    assert_eq!(call.hears(SUPERVISOR), [CUSTOMER]);
    assert_eq!(call.hears(CUSTOMER), [SUPERVISOR]);
}

#[test]
fn by_06_a_supervision_ends_with_the_call_and_leaves_the_idle_microphone_alone() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Whisper);
    call.hum(400);
    call.rig.unsplice(CUSTOMER);
    for leg in 1..=3 {
        call.heard(leg);
    }
    call.hum(400);
    for leg in 1..=3 {
        assert!(call.rig.take_heard(leg).is_empty(), "leg {leg} is sent something");
    }
    let ended = call.rig.events.iter().filter(|event| {
        let (leg, of) = ("leg-3".to_owned(), "leg-1".to_owned());
        **event == EventBody::SuperviseEnded { leg, of, end: SuperviseEnd::Parted }
    });
    assert_eq!(ended.count(), 1);
    assert_eq!(call.rig.info(SUPERVISOR).supervises, None);
    assert_eq!(call.try_supervise(None, SuperviseMode::Listen), Err(ErrorCode::NotSpliced));
}

#[test]
fn a_supervisor_hears_only_the_call_that_was_meant() {
    let mut call = Call::plain();
    call.rig.create(setup(4));
    call.rig.create(setup(5));
    call.rig.latch(4);
    assert_eq!(call.try_supervise(Some(4), SuperviseMode::Listen), Err(ErrorCode::NotSpliced));
    assert_eq!(call.try_supervise(Some(CUSTOMER), SuperviseMode::Listen), Ok(()));
    let info = call.rig.info(SUPERVISOR).supervises.expect("it supervises");
    assert_eq!((info.of.as_str(), info.with.as_str()), ("leg-1", "leg-2"));
    assert_eq!(call.rig.info(CUSTOMER).supervised_by.as_deref(), Some("leg-3"));
    let (leg, of, mode) = (LegId(4), LegId(AGENT), SuperviseMode::Listen);
    let second = call.rig.command(|op| WorkerCommand::Supervise { op, leg, of, with: None, mode });
    assert_eq!(second.map_err(|error| error.code).err(), Some(ErrorCode::AlreadySupervised));
    call.rig.splice(AGENT, 4);
    assert_eq!(call.rig.info(SUPERVISOR).supervises, None, "the agent has another call");
    call.rig.splice(SUPERVISOR, 5);
    assert_eq!(call.try_supervise(None, SuperviseMode::Listen), Err(ErrorCode::AlreadySpliced));
}

#[test]
fn a_supervisor_that_is_deleted_leaves_the_two_as_they_were() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Barge);
    call.hum(500);
    call.rig.tell(WorkerCommand::Delete { op: offhook_engine_core::OpId(900), leg: LegId(SUPERVISOR) });
    call.voices.truncate(2);
    call.hum(300);
    call.heard(AGENT);
    call.heard(CUSTOMER);
    call.rig.create(setup(9));
    call.hum(500);
    assert_eq!((call.hears(AGENT), call.hears(CUSTOMER)), (vec![CUSTOMER], vec![AGENT]));
    assert_eq!(call.rig.info(AGENT).supervised_by, None);
}

#[test]
fn a_key_of_the_customer_reaches_the_agent_beside_the_mix_and_a_prompt_covers_it() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Whisper);
    call.hum(500);
    let _ = call.heard(AGENT);
    let phone = &mut call.voices[CUSTOMER as usize - 1].phone;
    for step in 1..=4_u16 {
        let [high, low] = (step * 160).to_be_bytes();
        let end = u8::from(step == 4) << 7;
        let packet = rtp(101, phone.sequence, phone.timestamp, 77, &[5, end | 10, high, low]);
        phone.sequence = phone.sequence.wrapping_add(1);
        let sent = call.rig.receive(CUSTOMER, &packet).expect("it is sent on at once");
        assert_eq!(sent.bytes[12..], [5, end | 10, high, low]);
        call.rig.pass_ms(20);
    }
    let heard = call.rig.take_heard(AGENT);
    let keys: Vec<_> = heard.iter().filter(|sent| sent.header().payload_type == 101).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|sent| sent.header().timestamp == keys[0].header().timestamp));
    call.rig.play(AGENT, "p", vec![prompt(Codec::Pcmu, vec![5; 800])], 1);
    call.hum(90);
    let heard = call.rig.take_heard(AGENT);
    assert!(heard.iter().all(|sent| sent.bytes[12] == 5), "nothing but the prompt");
    call.hum(400);
    assert_eq!(call.hears(AGENT), [CUSTOMER, SUPERVISOR]);
}

#[test]
fn padding_goes_through_beside_a_supervisor_and_is_gone_where_a_packet_is_blended() {
    let mut call = Call::plain();
    let mut padded = rtp(0, 1, 160, 9, &[0xD5; 164]);
    padded[0] |= 0x20;
    padded[175] = 4;
    call.supervise(SuperviseMode::Listen);
    let sent = call.rig.receive(CUSTOMER, &padded).expect("it is sent on");
    assert_eq!((sent.bytes[0], &sent.bytes[12..]), (0xA0, &padded[12..]));
    call.supervise(SuperviseMode::Barge);
    call.hum(400);
    call.stop();
    padded[3] = 2;
    let sent = call.rig.receive(CUSTOMER, &padded).expect("it is sent on");
    assert_ne!(sent.bytes[12..172], padded[12..172], "the mix ends in it");
    assert_eq!((sent.bytes[0], sent.bytes.len()), (0x80, 172));
}

#[test]
fn a_change_of_encoding_goes_on_with_the_supervision() {
    let mut call = Call::plain();
    call.supervise(SuperviseMode::Barge);
    call.hum(400);
    for leg in 1..=3 {
        call.heard(leg);
        let change =
            LegUpdate { leg: format!("leg-{leg}"), media: Some(media(Codec::G722)), ..LegUpdate::default() };
        call.rig.done(|op| WorkerCommand::Update { op, leg: LegId(leg), change: Box::new(change) });
        let at = leg as usize - 1;
        call.media[at] = media(Codec::G722);
        call.voices[at] = voice(leg, media(Codec::G722));
        call.voices[at].phone.sequence = 7;
        call.decoders[at] = Decoder::new(codec::Codec::G722, 16_000).expect("it decodes");
    }
    call.hum(500);
    for leg in 1..=3 {
        call.rig.take_heard(leg);
    }
    call.hum(500);
    let all = [AGENT, CUSTOMER, SUPERVISOR].map(|leg| call.hears(leg));
    assert_eq!(all, [vec![2, 3], vec![1, 3], vec![1, 2]]);
}
