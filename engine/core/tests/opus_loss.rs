//! Whoever reports losses is sent Opus packets with a copy of the one before (RFC 7587 section 3.3).

mod support;

use offhook_audio::codec::{self, Decoder};
use offhook_audio::level::dbm0;
use offhook_engine_core::LegSetup;
use offhook_proto::Codec;
use support::speaker::{Speaker, media, prompt_samples, silence};
use support::{Rig, address, setup};

/// Samples of a packet of 20 ms.
const FRAME: usize = 160;

/// When a phone tells of the share that it loses, in 256ths.
#[derive(Clone, Copy, Debug)]
enum Reports {
    Never,
    BeforeTheSplice(u8),
    InTheCall(u8),
    InTheCallAndThenNone(u8),
}

/// A receiver report of the first leg's phone (RFC 3550 section 6.4.2).
fn report(rig: &mut Rig, fraction_lost: u8) {
    let mut packet = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
    packet.extend(rig.info(1).ssrc.to_be_bytes());
    packet.push(fraction_lost);
    packet.extend([0; 19]);
    rig.receive_rtcp(1, address("10.0.0.2:4001"), &packet);
}

/// Opus packets of speech that a phone is sent.
fn sent(reports: Reports) -> Vec<Vec<u8>> {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: media(Codec::Opus), ..setup(1) });
    rig.create(setup(2));
    rig.latch(1);
    rig.latch(2);
    if let Reports::BeforeTheSplice(lost) = reports {
        report(&mut rig, lost);
    }
    rig.splice(1, 2);
    let mut phone = Speaker::new(2, media(Codec::Pcmu));
    phone.say(&mut rig, &silence(400));
    if let Reports::InTheCall(lost) | Reports::InTheCallAndThenNone(lost) = reports {
        report(&mut rig, lost);
    }
    if let Reports::InTheCallAndThenNone(_) = reports {
        report(&mut rig, 0);
    }
    rig.take_heard(1);
    phone.say(&mut rig, &prompt_samples("please_wait.wav"));
    rig.take_heard(1).into_iter().map(|sent| sent.bytes[12..].to_vec()).collect()
}

/// What the loss of every fifth packet does to what is heard, in dB: the level of the difference.
fn damage_db(packets: &[Vec<u8>]) -> f32 {
    let mut heard = [Vec::new(), Vec::new()];
    for (loses, heard) in [false, true].into_iter().zip(&mut heard) {
        let mut decoder = Decoder::new(codec::Codec::Opus, 8_000).expect("it decodes");
        for (nth, packet) in packets.iter().enumerate() {
            let mut frame = [0; FRAME];
            match packets.get(nth + 1) {
                Some(next) if loses && nth % 5 == 4 => decoder.recover(next, &mut frame),
                _ => assert_eq!(decoder.decode(packet, &mut frame), Ok(FRAME)),
            }
            heard.extend(frame);
        }
    }
    let [whole, damaged] = heard;
    let difference: Vec<i16> = whole.iter().zip(damaged).map(|(a, b)| a.saturating_sub(b)).collect();
    dbm0(&difference)
}

#[test]
fn a_phone_that_reports_losses_is_sent_copies_and_others_are_not() {
    let damage = |reports| damage_db(&sent(reports));
    let bytes = |reports| sent(reports).iter().map(Vec::len).sum::<usize>();
    let without = damage(Reports::Never);
    for reports in [Reports::BeforeTheSplice(51), Reports::InTheCall(51), Reports::InTheCall(255)] {
        let with = damage(reports);
        println!("{reports:?}: {with} dB, without a report {without} dB");
        assert!(with < without - 2.0, "{reports:?}: {with} dB, without a report {without} dB");
    }
    assert_eq!(
        bytes(Reports::InTheCallAndThenNone(51)),
        bytes(Reports::Never),
        "and no longer once it loses none"
    );
}
