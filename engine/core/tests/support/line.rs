//! What a phone's loudspeaker gives.

use offhook_audio::codec::Decoder;
use offhook_audio::resample::Resampler;
use offhook_engine_core::Time;
use offhook_proto::Codec;

use super::Sent;
use super::speaker::{audio_codec, media};

/// Samples a millisecond of what is heard.
pub const PER_MS: usize = 8;

/// What a phone hears without a jitter buffer, at 8 kHz since a moment: samples begin when the first packet comes, and go by
/// timestamps.
pub fn line(sent: &[Sent], codec: Codec, began: Time) -> Vec<i16> {
    let mut decoder = Decoder::new(audio_codec(codec), 8_000).expect("it decodes");
    let mut narrow = Resampler::new(decoder.rate_hz(), 8_000).expect("it resamples");
    let clock_hz = u64::from(audio_codec(codec).clock_rate_hz());
    let (mut line, mut first): (Vec<i16>, Option<(usize, u32)>) = (Vec::new(), None);
    for packet in sent.iter().filter(|packet| packet.header().payload_type == media(codec).payload_type) {
        let (mut decoded, mut made) = ([0; 5_760], [0; 5_760]);
        let count = decoder.decode(&packet.bytes[12..], &mut decoded).expect("it decodes");
        let count = narrow.process(&decoded[..count], &mut made);
        let timestamp = packet.header().timestamp;
        let came = packet.at.since(began) as usize * PER_MS / 1_000;
        let (from, since) = *first.get_or_insert((came, timestamp));
        let elapsed = u64::from(timestamp.wrapping_sub(since)) * 8_000 / clock_hz;
        line.resize(from + elapsed as usize, 0);
        line.extend_from_slice(&made[..count]);
    }
    line
}
