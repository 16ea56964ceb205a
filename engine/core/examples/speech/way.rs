//! From one phone to another: through the engine, or through the two codecs alone.

use offhook_engine_core::LegSetup;

use crate::phone::{Loss, Packet, Phone, Sound, hear, say};
use crate::support::speaker::media;
use crate::support::{Rig, Sent, rtp, setup};

/// What `to` hears of what comes to the engine from `from`.
pub(crate) fn engine(from: &Phone, to: &Phone, come: &[Packet]) -> Sound {
    let mut rig = Rig::new();
    rig.create(LegSetup { media: media(to.codec), ..setup(HEARER) });
    rig.create(LegSetup { media: media(from.codec), ..setup(SPEAKER) });
    rig.latch(HEARER);
    rig.latch(SPEAKER);
    rig.splice(HEARER, SPEAKER);
    rig.take_heard(HEARER);
    let began_ms = rig.now.as_ms();
    for packet in come {
        rig.pass_ms(began_ms + packet.at_ms - rig.now.as_ms());
        let payload_type = media(from.codec).payload_type;
        let _ = rig
            .receive(SPEAKER, &rtp(payload_type, packet.sequence, packet.timestamp, SSRC, &packet.payload));
    }
    rig.pass_ms(AFTERWARDS_MS);
    let heard = rig.take_heard(HEARER);
    let of_audio = |sent: &&Sent| sent.header().payload_type == media(to.codec).payload_type;
    let heard: Vec<_> = heard.iter().filter(of_audio).map(|sent| received(sent, began_ms)).collect();
    hear(to.codec, to.rate_hz, &heard, Loss::Concealed)
}

fn received(sent: &Sent, began_ms: u64) -> Packet {
    let header = sent.header();
    Packet {
        at_ms: sent.at.as_ms() - began_ms,
        sequence: header.sequence,
        timestamp: header.timestamp,
        payload: sent.bytes[12..].to_vec(),
    }
}

/// What is left of it after the encoding of `from` and then that of `to`, where it is another.
pub(crate) fn codecs(from: &Phone, to: &Phone, come: &[Packet], loss: Loss) -> Sound {
    let once = hear(from.codec, to.rate_hz, come, loss);
    if from.codec == to.codec {
        return once;
    }
    hear(to.codec, to.rate_hz, &say(to.codec, &once), Loss::Concealed)
}

const HEARER: u64 = 1;
const SPEAKER: u64 = 2;
const SSRC: u32 = 77;
/// Longer than any jitter buffer keeps.
const AFTERWARDS_MS: u64 = 500;
