//! Opus without silence (RFC 7587 section 3.1.3): sent to whoever asks for it, and heard from whoever sends so.

mod support;

use std::sync::Arc;

use offhook_audio::codec::{self, Decoder};
use offhook_audio::comfort_noise::{NoiseShape, NoiseSource};
use offhook_audio::level::dbm0;
use offhook_audio::resample::Resampler;
use offhook_engine_core::{EncodedPrompt, LegId, LegSetup, Segment, WorkerCommand};
use offhook_proto::{Codec, EventBody, Media, Opus, PlayEnd, SuperviseMode};
use support::speaker::{Speaker, media, prompt_samples, silence};
use support::{Rig, Sent, assert_one_stream, rtp, setup};

/// Timestamp units of 20 ms.
const PACKET_TS: u32 = 960;
const PAUSE_MS: usize = 3_000;

fn opus(asked: Opus) -> Media {
    Media { opus: asked, ..media(Codec::Opus) }
}

fn without_silence() -> Media {
    opus(Opus { dtx: true, ..Opus::default() })
}

/// Two sentences with a pause between, in which a line hums faintly or not at all.
fn two_sentences(line: bool) -> Vec<i16> {
    let sentence = prompt_samples("please_wait.wav");
    let mut pause = silence(PAUSE_MS);
    if line {
        let mut noise = NoiseSource::new(3);
        noise.shape(&NoiseShape::white(75));
        noise.render(&mut pause);
    }
    [sentence.clone(), pause, sentence, silence(200)].concat()
}

/// What a phone is sent of what another one says.
fn talk(hearer: Media, speaker: Media, samples: &[i16]) -> (Rig, Vec<Sent>) {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: hearer, ..setup(1) });
    rig.create(LegSetup { media: speaker.clone(), ..setup(2) });
    rig.latch(1);
    rig.latch(2);
    rig.splice(1, 2);
    Speaker::new(2, speaker).say(&mut rig, samples);
    let sent = rig.take_heard(1);
    (rig, sent)
}

/// What is heard of Opus packets at 8 kHz, the time that is not sent filled in by the decoder.
fn played(sent: &[Sent]) -> Vec<i16> {
    let mut decoder = Decoder::new(codec::Codec::Opus, 8_000).expect("it decodes");
    let mut heard = Vec::new();
    let mut next = sent[0].header().timestamp;
    for packet in sent {
        while next != packet.header().timestamp {
            let mut gap = [0; 160];
            decoder.conceal(&mut gap);
            heard.extend(gap);
            next = next.wrapping_add(PACKET_TS);
        }
        let mut frame = [0; 160];
        assert_eq!(decoder.decode(&packet.bytes[12..], &mut frame), Ok(160));
        heard.extend(frame);
        next = next.wrapping_add(PACKET_TS);
    }
    heard
}

#[test]
fn silence_is_left_out_for_a_phone_that_asks_for_it_and_for_no_other() {
    for line in [false, true] {
        let samples = two_sentences(line);
        let (_, all) = talk(media(Codec::Opus), media(Codec::Pcmu), &samples);
        let (_, sent) = talk(without_silence(), media(Codec::Pcmu), &samples);
        assert_left_out(&all, &sent, samples.len() / 160);
    }
}

/// That of so many packet times, of which one hearer is sent `all`, those who ask for no silence are `sent` just that: nothing is
/// missed, and what is played is as loud.
fn assert_left_out(all: &[Sent], sent: &[Sent], packets: usize) {
    let even = |all: &[Sent]| all.windows(2).all(|two| gap_ts(two) == PACKET_TS);
    assert!(all.len() > packets - 5 && even(all), "{}", all.len());
    let pause = PAUSE_MS / 20;
    assert!(sent.len() < packets - pause * 8 / 10, "{} of {packets}, {pause} of them silence", sent.len());
    assert_one_stream(sent);
    let (mut unsent, mut longest) = (0, 0);
    for two in sent.windows(2) {
        let elapsed_ts = ((two[1].at.0 - two[0].at.0) * 48 / 1_000) as u32;
        assert!(gap_ts(two).abs_diff(elapsed_ts) <= 48, "{elapsed_ts}: timestamps go on with the time");
        let missing = gap_ts(two) / PACKET_TS - 1;
        assert_eq!(two[1].header().marker, missing > 0, "after silence, and only there, a talkspurt begins");
        unsent += missing;
        longest = longest.max(missing);
    }
    // The last silence of 200 ms is not followed by anything.
    let told = sent.len() + unsent as usize;
    assert!((all.len() - 12..=all.len()).contains(&told), "{told} of {}", all.len());
    assert!(longest <= 20, "what the line sounds like is told every 400 ms at least: {longest}");
    let off_db = dbm0(&played(sent)) - dbm0(&played(all));
    assert!(off_db.abs() < 0.5, "{off_db} dB");
}

#[test]
fn the_silence_of_a_prompt_is_left_out_for_whom_asks_for_it() {
    let samples = two_sentences(true);
    let twice_the_rate = |samples: &[i16]| {
        let mut resampler = Resampler::new(8_000, EncodedPrompt::rate_hz(Codec::Opus)).expect("it resamples");
        let mut out = vec![0; resampler.max_output(samples.len())];
        let wrote = resampler.process(samples, &mut out);
        out[..wrote].to_vec()
    };
    let fast = twice_the_rate(&samples);
    let heard = |hearer: Media| {
        let mut rig = Rig::new();
        let prompt = EncodedPrompt::encode(&hearer, &fast).expect("it is encoded");
        rig.create(LegSetup { media: hearer, ..setup(1) });
        rig.latch(1);
        rig.take_heard(1);
        rig.play(1, "p", vec![Segment::Audio(Arc::new(prompt))], 1);
        rig.pass_ms(samples.len() as u64 / 8);
        rig.take_heard(1)
    };
    assert_left_out(&heard(media(Codec::Opus)), &heard(without_silence()), samples.len() / 160);
}

#[test]
fn silence_that_is_played_is_told_once_in_400_ms_to_whom_asks_for_it() {
    let sent = |hearer| {
        let mut rig = Rig::new();
        rig.create(LegSetup { media: hearer, ..setup(1) });
        rig.latch(1);
        rig.take_heard(1);
        rig.play(1, "p", vec![Segment::SilenceMs(2_000)], 1);
        rig.pass_ms(2_020);
        let ended = |event: &EventBody| matches!(event, EventBody::PlayEnded { end: PlayEnd::Finished, .. });
        assert!(rig.events.iter().any(ended), "it lasts as long as without");
        rig.take_heard(1)
    };
    assert_eq!(sent(media(Codec::Opus)).len(), 100);
    let told = sent(without_silence());
    assert_eq!(told.len(), 5);
    assert!(told.windows(2).all(|two| gap_ts(two) == 20 * PACKET_TS && two[1].header().marker));
}

#[test]
fn a_supervisor_who_asks_for_it_is_sent_no_silence_of_the_call() {
    let samples = two_sentences(true);
    let heard = |hearer: Media| {
        let mut rig = Rig::new();
        for (leg, media) in [(1, hearer), (2, media(Codec::Pcmu)), (3, media(Codec::Pcma))] {
            rig.create(LegSetup { media, ..setup(leg) });
            rig.latch(leg);
        }
        rig.splice(2, 3);
        let (leg, of) = (LegId(1), LegId(2));
        rig.done(|op| WorkerCommand::Supervise { op, leg, of, with: None, mode: SuperviseMode::Listen });
        rig.take_heard(1);
        Speaker::new(3, media(Codec::Pcma)).say(&mut rig, &samples);
        rig.take_heard(1)
    };
    assert_left_out(&heard(media(Codec::Opus)), &heard(without_silence()), samples.len() / 160);
}

fn gap_ts(two: &[Sent]) -> u32 {
    two[1].header().timestamp.wrapping_sub(two[0].header().timestamp)
}

#[test]
fn silence_that_a_phone_does_not_send_is_quiet_and_no_loss() {
    let samples = two_sentences(true);
    let (_, whole) = talk(media(Codec::Pcmu), media(Codec::Opus), &samples);
    let (mut rig, sent) = talk(media(Codec::Pcmu), without_silence(), &samples);
    assert!(rig.info(2).counters.packets_received < (samples.len() / 160 - 100) as u64, "it left out much");
    let counters = rig.info(2).counters;
    assert_eq!((counters.packets_lost, counters.drops.late), (0, 0));
    assert_one_stream(&sent);
    assert!(
        sent.windows(2).all(|two| gap_ts(two) == 160),
        "the hearer, who has not asked for it, is sent all"
    );
    assert!(sent.len().abs_diff(whole.len()) <= 2, "{} and {}", sent.len(), whole.len());
    let pcm = |sent: &[Sent]| -> Vec<i16> {
        sent.iter()
            .flat_map(|packet| packet.bytes[12..].iter().map(|b| offhook_audio::g711::ulaw_to_linear(*b)))
            .collect()
    };
    let (sent, whole) = (pcm(&sent), pcm(&whole));
    assert!((dbm0(&sent) - dbm0(&whole)).abs() < 0.5, "{} and {}", dbm0(&sent), dbm0(&whole));
    let middle = prompt_samples("please_wait.wav").len() + silence(PAUSE_MS).len() / 2;
    let pause = |pcm: &[i16]| dbm0(&pcm[middle - 4_000..middle + 4_000]);
    assert!(
        pause(&sent) < -55.0,
        "the pause is quiet: {}, {} when all of it is sent",
        pause(&sent),
        pause(&whole)
    );
}

#[test]
fn frames_of_one_byte_in_silence_are_played_as_such() {
    let mut rig = Rig::new();
    rig.create(setup(1));
    rig.create(LegSetup { media: without_silence(), ..setup(2) });
    rig.latch(1);
    rig.latch(2);
    rig.splice(1, 2);
    let mut phone = Speaker::new(2, without_silence());
    phone.say(&mut rig, &prompt_samples("please_wait.wav"));
    phone.say(&mut rig, &silence(100));
    rig.take_heard(1);
    for _ in 0..100 {
        // One frame of 20 ms, narrow band, mono, without a byte (RFC 6716 section 3.1).
        let packet = rtp(111, phone.sequence, phone.timestamp, phone.ssrc, &[0x08]);
        let _ = rig.receive(2, &packet);
        (phone.sequence, phone.timestamp) =
            (phone.sequence.wrapping_add(1), phone.timestamp.wrapping_add(PACKET_TS));
        rig.pass_ms(20);
    }
    let heard = rig.take_heard(1);
    assert!((99..=101).contains(&heard.len()), "{}", heard.len());
    let last: Vec<i16> = heard[50..]
        .iter()
        .flat_map(|sent| sent.bytes[12..].iter().map(|b| offhook_audio::g711::ulaw_to_linear(*b)))
        .collect();
    assert!(dbm0(&last) < -55.0, "{}", dbm0(&last));
    assert_eq!(rig.info(2).counters.packets_lost, 0);
}

#[test]
fn what_else_a_phone_asks_of_opus_is_heeded() {
    let samples = prompt_samples("please_wait.wav");
    let packets = |asked| {
        let (_, sent) = talk(opus(asked), media(Codec::L16 { rate_hz: 16_000 }), &samples);
        sent.into_iter().map(|sent| sent.bytes[12..].to_vec()).collect::<Vec<_>>()
    };
    let bitrate = |packets: &[Vec<u8>]| packets.iter().map(Vec::len).sum::<usize>() * 400 / packets.len();
    let usual = bitrate(&packets(Opus::default()));
    let small = bitrate(&packets(Opus { max_bitrate: 12_000, ..Opus::default() }));
    assert!(usual > 20_000 && small < 14_000, "{usual} and {small} bit/s");
    let constant = packets(Opus { cbr: true, ..Opus::default() });
    assert!(constant.iter().all(|packet| packet.len() == constant[0].len()), "one length");
}
