//! The encodings of the file, and how they are offered.

use offhook_control_core::Config as CoreConfig;
use offhook_proto::{Codec, Media};

use super::table::Table;

pub(super) fn media(mut table: Table<'_, '_>, core: &mut CoreConfig) -> Vec<Media> {
    let ptime_ms = table.number("ptime_ms", 10_u8..=60).unwrap_or(20);
    if !ptime_ms.is_multiple_of(10) {
        table.refuse("ptime_ms", "must be 10, 20, 30, 40, 50 or 60");
    }
    let names = table.texts("codecs").unwrap_or_else(|| vec!["PCMU".into(), "PCMA".into()]);
    let mut media = Vec::new();
    for name in &names {
        let Some(one) = offered(name, ptime_ms) else {
            let known = "may list only \"PCMU\", \"PCMA\", \"G722\", \"opus\", \"L16\" and \"L16/16000\" to \"L16/48000\"";
            table.refuse("codecs", &format!("{known}, not \"{name}\""));
            continue;
        };
        if media.iter().any(|known: &Media| known.codec == one.codec) {
            table.refuse("codecs", &format!("names \"{name}\" twice"));
            continue;
        }
        media.push(one);
    }
    if names.is_empty() {
        table.refuse("codecs", "must name at least one");
    }
    let countries = [("us", "us"), ("uk", "uk"), ("de", "de"), ("nl", "nl"), ("fr", "fr")];
    if let Some(country) = table.choice("country", &countries) {
        core.country = country.into();
    }
    core.caller_id = table.text("caller_id");
    table.finish();
    media
}

/// An encoding by its name, with the payload types that it is offered under. Its keys and its silence run on its own clock (RFC
/// 4733 section 2.1, RFC 3389 section 4; RFC 7587 section 4.1 for Opus); comfort noise has a static type on that of 8 kHz only.
fn offered(name: &str, ptime_ms: u8) -> Option<Media> {
    let codec = Codec::from_name(name)?;
    let (payload_type, events, longest_ms) = match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => (codec.static_payload_type()?, 101, 60),
        Codec::Opus => (107, 102, 60),
        // Packets that fit a datagram.
        Codec::L16 { rate_hz } => match rate_hz {
            8_000 => (96, 101, 60),
            16_000 => (97, 103, 40),
            24_000 => (98, 104, 20),
            32_000 => (99, 105, 20),
            44_100 => (11, 106, 10),
            48_000 => (100, 102, 10),
            _ => return None,
        },
    };
    let plain = Media::default();
    Some(Media {
        codec,
        payload_type,
        telephone_event: Some(events),
        comfort_noise: plain.comfort_noise.filter(|_| Some(events) == plain.telephone_event),
        ptime_ms: ptime_ms.min(longest_ms),
        ..plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_offered_under_types_of_its_own() {
        let linear = Codec::L16_RATES_HZ.map(|rate_hz| Codec::L16 { rate_hz });
        let all: Vec<Media> = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]
            .into_iter()
            .chain(linear)
            .map(|codec| offered(&codec.to_string(), 20).expect("it is offered"))
            .collect();
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(one.payload_type, other.payload_type, "{} and {}", one.codec, other.codec);
                assert_ne!(Some(one.payload_type), other.telephone_event, "{}", one.codec);
                assert_ne!(Some(other.payload_type), one.telephone_event, "{}", one.codec);
            }
            let leg = offhook_proto::LegCreate { media: one.clone(), leg: "x".into(), ..Default::default() };
            assert_eq!(offhook_proto::validate::leg_create(&leg), Ok(()), "{}", one.codec);
        }
        assert_eq!(offered("L16/48000", 20).map(|media| media.ptime_ms), Some(10));
        assert_eq!(offered("L16/22050", 20), None);
    }
}
