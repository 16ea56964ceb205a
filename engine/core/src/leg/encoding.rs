//! What the engine must know of an encoding: its clock, its silence, and G.711 conversion in place.

use offhook_audio::codec::{OpusConfig, g722};
use offhook_audio::packetise::possible_ptime;
use offhook_audio::{codec, g711};
use offhook_proto::{Codec, Media};

/// The encoding as the codecs know it.
pub(crate) const fn audio_codec(codec: Codec) -> codec::Codec {
    match codec {
        Codec::Pcmu => codec::Codec::Pcmu,
        Codec::Pcma => codec::Codec::Pcma,
        Codec::G722 => codec::Codec::G722,
        Codec::L16 { rate_hz } => codec::Codec::L16 { rate_hz },
        Codec::Opus => codec::Codec::Opus,
    }
}

/// How Opus is made for whom it is sent to: as its peer asks, at a bitrate of ours if it takes that.
pub(crate) fn opus_config(media: &Media) -> OpusConfig {
    let usual = OpusConfig::default();
    let asked = &media.opus;
    OpusConfig {
        bitrate: usual.bitrate.min(asked.max_bitrate),
        fec: asked.fec,
        dtx: asked.dtx,
        max_rate_hz: asked.max_rate_hz,
        cbr: asked.cbr,
        ..usual
    }
}

/// The share of its packets that a hearer reports as lost (0 to 1), in percent: Opus sends copies of them along for a loss of a
/// quarter at most.
pub(crate) fn loss_percent(share: f32) -> u8 {
    (share * 100.0).ceil().clamp(0.0, 25.0) as u8
}

/// Milliseconds of each packet that is made: fewer than negotiated where these do not fit a datagram, or no Opus frame.
pub(crate) fn packet_ms(media: &Media) -> u8 {
    let possible = possible_ptime(audio_codec(media.codec), u32::from(media.ptime_ms));
    possible.map_or(media.ptime_ms, |ms| ms as u8)
}

/// Timestamp units a second of an encoding (RFC 3551 section 6, RFC 7587 section 4.1).
pub(crate) const fn clock_rate(codec: Codec) -> u32 {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
        Codec::L16 { rate_hz } => rate_hz,
        Codec::Opus => 48_000,
    }
}

/// Units a second in which telephone-events of a leg count how long a key is held.
pub(crate) fn event_rate(media: &Media) -> u32 {
    media.telephone_event_rate_hz.unwrap_or(clock_rate(media.codec))
}

/// Timestamp units that a payload lasts. For Opus, whose packets say it themselves, the packet time.
pub(crate) fn duration_ts(codec: Codec, payload_bytes: usize, ptime_ms: u8) -> u32 {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => payload_bytes as u32,
        Codec::L16 { .. } => payload_bytes as u32 / 2,
        Codec::Opus => u32::from(ptime_ms) * 48,
    }
}

/// Payload bytes of so many milliseconds, in whole samples; none for an encoding whose packets are not slices of one run of bytes.
pub(crate) const fn bytes_in(codec: Codec, ms: usize) -> Option<usize> {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(8 * ms),
        Codec::L16 { rate_hz } => Some(rate_hz as usize * ms / 1_000 * 2),
        Codec::Opus => None,
    }
}

/// Whether packet `number` of a silence is sent: all of them, but for one in 400 ms, are left to a hearer who asks for no silence
/// (RFC 7587 section 3.1.3).
pub(crate) fn tells_silence(media: &Media, number: usize) -> bool {
    const TOLD_EVERY_MS: usize = 400;
    !leaves_silence_out(media) || number.is_multiple_of(TOLD_EVERY_MS / usize::from(packet_ms(media)))
}

/// Whether silence is not sent.
pub(crate) fn leaves_silence_out(media: &Media) -> bool {
    media.codec == Codec::Opus && media.opus.dtx
}

/// Fills `out` with silence.
pub(crate) fn fill(codec: Codec, out: &mut [u8]) {
    match codec {
        Codec::Pcmu => out.fill(g711::ULAW_SILENCE),
        Codec::Pcma => out.fill(g711::ALAW_SILENCE),
        Codec::G722 => g722::silence(out),
        Codec::L16 { .. } | Codec::Opus => out.fill(0),
    }
}

/// Writes one packet time of silence and returns its bytes.
pub(crate) fn packet(codec: Codec, ptime_ms: u8, out: &mut [u8]) -> usize {
    if let Some(len) = bytes_in(codec, usize::from(ptime_ms)) {
        let len = len.min(out.len());
        fill(codec, &mut out[..len]);
        return len;
    }
    let packet = opus_silence(ptime_ms);
    let len = packet.len().min(out.len());
    out[..len].copy_from_slice(&packet[..len]);
    len
}

/// Frames of 10 or 20 ms, full band, mono, that decode to nothing: one, two of one length, or a counted number of them (RFC 6716
/// sections 3.1 and 3.2).
const fn opus_silence(ptime_ms: u8) -> &'static [u8] {
    match ptime_ms {
        10 => &[0xF0, 0xFF, 0xFE],
        40 => &[0xF9, 0xFF, 0xFE, 0xFF, 0xFE],
        60 => &[0xFB, 0x03, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFE],
        _ => &[0xF8, 0xFF, 0xFE],
    }
}

/// Whether payloads of one encoding are turned into another where they lie, or left as they are. Others are transcoded.
pub(crate) fn in_place(from: Codec, to: Codec) -> bool {
    from == to || matches!((from, to), (Codec::Pcmu, Codec::Pcma) | (Codec::Pcma, Codec::Pcmu))
}

/// Whether a payload that could be sent on where it lies lasts as a hearer's packets are to: as long as those that are made for it,
/// between the two laws and where all are to be so; else no longer than it takes.
pub(crate) fn suits(from: Codec, payload: &[u8], hearer: &Media) -> bool {
    let alike = hearer.repacketise || from != hearer.codec;
    if !alike && hearer.max_ptime_ms.is_none() {
        return true;
    }
    let codec = audio_codec(from);
    let lasts_ts = codec.payload_ts(payload);
    let made_ts = codec.ptime_ts(u32::from(packet_ms(hearer)));
    let within = |most_ms: u8| lasts_ts <= codec.ptime_ts(u32::from(most_ms));
    // What lasts no time at all is a sign of life.
    lasts_ts == 0 || lasts_ts == made_ts || !alike && hearer.max_ptime_ms.is_none_or(within)
}

/// Whether a decoder remembers what it heard, so that its encoder must not change for a moment.
pub(crate) fn remembers(codec: Codec) -> bool {
    match codec {
        Codec::G722 | Codec::Opus => true,
        Codec::Pcmu | Codec::Pcma | Codec::L16 { .. } => false,
    }
}

/// Converts a payload in place, where [`in_place`].
pub(crate) fn convert(from: Codec, to: Codec, payload: &mut [u8]) {
    if from == to {
        return;
    }
    match from {
        Codec::Pcmu => g711::ulaw_to_alaw_in_place(payload),
        Codec::Pcma => g711::alaw_to_ulaw_in_place(payload),
        Codec::G722 | Codec::Opus | Codec::L16 { .. } => {
            debug_assert!(in_place(from, to), "others are transcoded");
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_audio::codec::Decoder;

    use super::*;

    #[test]
    fn silence_lasts_its_packet_time_in_every_encoding_and_is_nothing() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::L16 { rate_hz: 8_000 }, Codec::Opus] {
            for ptime_ms in [10, 20, 30, 40, 50, 60] {
                let made_ms = packet_ms(&Media { codec, ptime_ms, ..Media::default() });
                let (mut payload, mut samples) = ([1; 1_400], [1; 5_760]);
                let len = packet(codec, made_ms, &mut payload);
                let mut decoder = Decoder::new(audio_codec(codec), 8_000).expect("it decodes");
                let count = decoder.decode(&payload[..len], &mut samples).expect("it decodes");
                assert_eq!(count, 8 * usize::from(made_ms), "{codec:?} {ptime_ms} ms");
                assert!(samples[..count].iter().all(|sample| sample.abs() <= 8), "{codec:?} {ptime_ms} ms");
            }
        }
    }
}
