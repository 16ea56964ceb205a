//! Payload types of a section, by name, and which of them the engine carries.

use offhook_proto::limits::TELEPHONE_EVENT_RATE_HZ;
use offhook_proto::{Codec, Media, Opus, Ptime};

use super::Section;

/// One payload type of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name, as written.
    pub name: String,
    /// Clock rate in hertz.
    pub clock_rate: u32,
    /// Channels; 1 when not written.
    pub channels: u8,
    /// `a=fmtp`, after the payload type; empty when not written.
    pub parameters: String,
    /// Whether the engine has put it into a description: nothing that the description says under this number is about it.
    pub ours: bool,
}

/// What a leg is told of its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice(pub Media);

impl Format {
    /// The payload types of a section, in its order; static ones (RFC 3551 section 6) need no `a=rtpmap`.
    pub fn of(section: &Section) -> Vec<Self> {
        section.formats.iter().filter_map(|format| Self::find(section, format)).collect()
    }

    fn find(section: &Section, format: &str) -> Option<Self> {
        let payload_type = format.parse().ok().filter(|&number: &u8| number < 128)?;
        let map = section.attributes("rtpmap").find_map(|map| {
            let (number, encoding) = map.split_once(' ')?;
            (number.trim() == format).then_some(encoding)
        });
        let encoding = match map {
            Some(encoding) => encoding,
            None => STATIC.iter().find(|(number, _)| *number == payload_type)?.1,
        };
        let parameters = section.attributes("fmtp").filter_map(|line| {
            let (number, parameters) = line.split_once(' ')?;
            (number.trim() == format).then_some(parameters)
        });
        let mut parts = encoding.trim().split('/');
        Some(Self {
            parameters: parameters.last().unwrap_or_default().to_owned(),
            payload_type,
            name: parts.next()?.to_owned(),
            clock_rate: parts.next()?.parse().ok()?,
            channels: parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1),
            ours: false,
        })
    }

    /// How the engine offers a codec, by a payload type of the caller's choice.
    pub(crate) fn own(codec: Codec, payload_type: u8) -> Self {
        let known = OWN.iter().map(Self::of_own).find(|format| format.codec() == Some(codec));
        Self { payload_type, ..known.expect("every codec has a name") }
    }

    /// What the engine offers under a name (`PCMU`, `opus/48000`, `telephone-event`), with its usual payload type. None when it
    /// carries no such thing.
    pub(crate) fn own_named(name: &str) -> Option<Self> {
        OWN.iter().map(Self::of_own).find(|format| format.is_named(name))
    }

    fn of_own(&(payload_type, name, clock_rate, channels): &(u8, &str, u32, u8)) -> Self {
        Self {
            payload_type,
            name: name.to_owned(),
            clock_rate,
            channels,
            parameters: String::new(),
            ours: true,
        }
    }

    /// The same where the engine stands for it: with what it can of that.
    pub(crate) fn as_ours(&self) -> Self {
        let parameters = match self.codec() {
            Some(Codec::Opus) => "useinbandfec=1",
            None if self.is_telephone_event() => "0-15",
            Some(_) | None => "",
        };
        Self { parameters: parameters.to_owned(), ours: true, ..self.clone() }
    }

    /// The engine's codec, where it has one.
    pub fn codec(&self) -> Option<Codec> {
        let is = |name: &str| self.name.eq_ignore_ascii_case(name);
        match (self.clock_rate, self.channels) {
            (8_000, 1) if is("PCMU") => Some(Codec::Pcmu),
            (8_000, 1) if is("PCMA") => Some(Codec::Pcma),
            (8_000, 1) if is("G722") => Some(Codec::G722),
            (48_000, 2) if is("opus") => Some(Codec::Opus),
            (rate_hz, 1) if is("L16") => Codec::l16(rate_hz),
            _ => None,
        }
    }

    /// Whether its packets can pass a leg.
    pub fn is_carried(&self) -> bool {
        self.codec().is_some() || self.is_telephone_event() || self.is_comfort_noise()
    }

    pub(crate) fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    pub(crate) fn is_comfort_noise(&self) -> bool {
        self.name.eq_ignore_ascii_case("CN") && self.clock_rate == 8_000
    }

    /// Whether a name from a flag (`PCMU`, `opus/48000`, `opus/48000/2`) means this format.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let mut parts = name.split('/');
        let matches = |part: Option<&str>, number: u32| part.is_none_or(|part| part.parse() == Ok(number));
        parts.next().is_some_and(|part| part.eq_ignore_ascii_case(&self.name))
            && matches(parts.next(), self.clock_rate)
            && matches(parts.next(), self.channels.into())
    }

    /// As in `a=rtpmap`, after the payload type.
    pub(crate) fn encoding(&self) -> String {
        match self.channels {
            1 => format!("{}/{}", self.name, self.clock_rate),
            channels => format!("{}/{}/{channels}", self.name, self.clock_rate),
        }
    }
}

/// What a leg carries that hears or sends these formats: the first audio one that the engine knows, with the
/// telephone-events and the comfort noise of its clock. None when there is no such audio.
pub fn choose(formats: &[Format], ptime: Ptime) -> Option<Choice> {
    let (audio, codec) = formats.iter().find_map(|format| Some((format, format.codec()?)))?;
    let events: Vec<&Format> = formats.iter().filter(|format| format.is_telephone_event()).collect();
    let of_clock = events.iter().find(|format| format.clock_rate == audio.clock_rate).or(events.first());
    let noise = formats.iter().find(|format| format.is_comfort_noise() && audio.clock_rate == 8_000);
    let mut media = Media {
        codec,
        payload_type: audio.payload_type,
        telephone_event: of_clock.map(|format| format.payload_type),
        telephone_event_rate_hz: of_clock
            .map(|format| format.clock_rate)
            .filter(|rate_hz| *rate_hz != audio.clock_rate && TELEPHONE_EVENT_RATE_HZ.contains(rate_hz)),
        comfort_noise: noise.map(|format| format.payload_type),
        opus: opus_of(formats),
        ..Media::default()
    };
    ptime.apply(&mut media);
    Some(Choice(media))
}

/// What a side whose formats these are asks for of Opus.
pub(crate) fn opus_of(formats: &[Format]) -> Opus {
    let opus = formats.iter().find(|format| format.codec() == Some(Codec::Opus));
    opus.map_or_else(Opus::default, |format| Opus::from_fmtp(&format.parameters))
}

/// What the engine carries: payload type, name, clock rate and channels.
const OWN: [(u8, &str, u32, u8); 13] = [
    (0, "PCMU", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (96, "opus", 48_000, 2),
    (97, "L16", 8_000, 1),
    (98, "L16", 16_000, 1),
    (99, "L16", 24_000, 1),
    (100, "L16", 32_000, 1),
    (11, "L16", 44_100, 1),
    (102, "L16", 48_000, 1),
    (101, "telephone-event", 8_000, 1),
    (110, "telephone-event", 48_000, 1),
    (13, "CN", 8_000, 1),
];

/// RFC 3551 section 6, tables 4 and 5.
const STATIC: [(u8, &str); 24] = [
    (0, "PCMU/8000"),
    (3, "GSM/8000"),
    (4, "G723/8000"),
    (5, "DVI4/8000"),
    (6, "DVI4/16000"),
    (7, "LPC/8000"),
    (8, "PCMA/8000"),
    (9, "G722/8000"),
    (10, "L16/44100/2"),
    (11, "L16/44100"),
    (12, "QCELP/8000"),
    (13, "CN/8000"),
    (14, "MPA/90000"),
    (15, "G728/8000"),
    (16, "DVI4/11025"),
    (17, "DVI4/22050"),
    (18, "G729/8000"),
    (25, "CelB/90000"),
    (26, "JPEG/90000"),
    (28, "nv/90000"),
    (31, "H261/90000"),
    (32, "MPV/90000"),
    (33, "MP2T/90000"),
    (34, "H263/90000"),
];
