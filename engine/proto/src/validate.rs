//! Whether a request's values are in their ranges. One function per request that has values to check.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::limits::{
    COMFORT_NOISE_MS, DETECT_LEVEL_DBM0, DETECT_MS, DETECT_THRESHOLD, DETECT_WORDS, DTMF_KEYS, FILE_BYTES,
    KEEP_ONE_IN, KEEPALIVE_MS, KEY_LEVEL_DBM0, KEY_MS, KEYS_MS, LEASE_MS, LIST_PAGE, NAME_BYTES,
    ONE_WAY_AFTER_MS, PLAY_MS, PLAY_SOURCES, PTIME_MS, PTIME_STEP_MS, RECORD_RATES_HZ, SILENCE_MS,
    SILENT_AFTER_MS, SINCE_US, SPOKEN_NUMBER, TELEPHONE_EVENT_RATE_HZ,
};
use crate::parse::shown;
use crate::{
    Codec, Command, DetectStart, Error, ErrorCode, Idle, Keys, LegCreate, LegListRequest, LegPark, LegUpdate,
    Listen, Media, Opus, Play, PlaySource, PlayStop, RecordStart, Remote, Request, Splice, Srtp, Subscribe,
    Supervise, ToneParameters, Unsplice,
};

/// Checks a whole request.
///
/// # Errors
/// `bad_value` with a sentence that names the field, what it must be and what it was; `same_leg` for a splice of a leg to
/// itself.
pub fn request(request: &Request) -> Result<(), Error> {
    if let Some(controller) = &request.controller {
        name("controller", controller)?;
    }
    match &request.command {
        Command::Ping | Command::Statistics | Command::Unsubscribe | Command::EventAck(_) => Ok(()),
        Command::LegCreate(body) => leg_create(body),
        Command::LegUpdate(body) => leg_update(body),
        Command::LegDelete(body) => name("leg", &body.leg),
        Command::LegList(body) => leg_list(body),
        Command::LegQuery(body) => name("leg", &body.leg),
        Command::LegPark(body) => leg_park(body),
        Command::LegUnpark(body) => name("leg", &body.leg),
        Command::Splice(body) => splice(body),
        Command::Unsplice(body) => unsplice(body),
        Command::Supervise(body) => supervise(body),
        Command::SuperviseStop(body) => name("leg", &body.leg),
        Command::Listen(body) => listen(body),
        Command::ListenStop(body) => name("leg", &body.leg),
        Command::Play(body) => play(body),
        Command::PlayStop(body) => play_stop(body),
        Command::RecordStart(body) => record_start(body),
        Command::RecordPause(body) | Command::RecordResume(body) | Command::RecordStop(body) => {
            name("leg", &body.leg)
        }
        Command::DetectStart(body) => detect_start(body),
        Command::DetectStop(body) => name("leg", &body.leg),
        Command::Subscribe(body) => subscribe(body),
    }
}

/// Checks the opening of a leg.
///
/// # Errors
/// As [`request`].
pub fn leg_create(body: &LegCreate) -> Result<(), Error> {
    name("leg", &body.leg)?;
    if let Some(address) = body.address {
        local_address("address", address)?;
    }
    if let Some(it) = &body.remote {
        remote(it)?;
        if body.address.is_some_and(|address| address.is_ipv4() != it.rtp.is_ipv4()) {
            return Err(bad("remote.rtp", "an address of the same IP version as address", it.rtp));
        }
    }
    media(&body.media)?;
    if body.rtcp_mux {
        beside_rtcp(&body.media)?;
    }
    srtp(&body.srtp)?;
    idle(&body.idle)?;
    if let Some(beside) = &body.beside {
        name("beside", beside)?;
    }
    one_way_after(body.one_way_after_ms)?;
    silent_after(body.silent_after_ms)
}

/// Checks a change of a leg. One that changes nothing is sound.
///
/// # Errors
/// As [`request`].
pub fn leg_update(body: &LegUpdate) -> Result<(), Error> {
    name("leg", &body.leg)?;
    body.remote.as_ref().map_or(Ok(()), remote)?;
    body.media.as_ref().map_or(Ok(()), media)?;
    if let (Some(media), Some(true)) = (&body.media, body.rtcp_mux) {
        beside_rtcp(media)?;
    }
    body.srtp.as_ref().map_or(Ok(()), srtp)?;
    body.idle.as_ref().map_or(Ok(()), idle)?;
    one_way_after(body.one_way_after_ms)?;
    body.silent_after_ms.map_or(Ok(()), silent_after)
}

/// Checks a page of names.
///
/// # Errors
/// As [`request`].
pub fn leg_list(body: &LegListRequest) -> Result<(), Error> {
    if let Some(after) = &body.after {
        name("after", after)?;
    }
    if let Some(owner) = &body.owner {
        name("owner", owner)?;
    }
    body.limit.map_or(Ok(()), |limit| range("limit", limit, &(1..=LIST_PAGE)))
}

/// Checks a parking.
///
/// # Errors
/// As [`request`].
pub fn leg_park(body: &LegPark) -> Result<(), Error> {
    name("leg", &body.leg)?;
    match body.keep_one_in {
        Some(n) if !n.is_power_of_two() || n > KEEP_ONE_IN => {
            Err(bad("keep_one_in", &format!("a power of two from 1 to {KEEP_ONE_IN}"), n))
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks a recording.
///
/// # Errors
/// As [`request`].
pub fn record_start(body: &RecordStart) -> Result<(), Error> {
    name("leg", &body.leg)?;
    file("file", &body.file)?;
    match body.rate_hz.filter(|rate_hz| !RECORD_RATES_HZ.contains(rate_hz)) {
        Some(rate_hz) => Err(bad("rate_hz", "8000, 16000 or 48000", rate_hz)),
        None => Ok(()),
    }
}

/// Checks the start of a detection.
///
/// # Errors
/// As [`request`].
pub fn detect_start(body: &DetectStart) -> Result<(), Error> {
    name("leg", &body.leg)?;
    let twice = |(n, what)| body.what[..n].contains(what);
    if body.what.is_empty() || body.what.iter().enumerate().any(twice) {
        let count = body.what.len();
        return Err(bad("what", "amd, tones, dtmf or some of them, none twice", format!("{count} words")));
    }
    for (field, ms) in body.amd.spans_ms() {
        range(field, ms, &DETECT_MS)?;
    }
    range("amd.maximum_number_of_words", body.amd.maximum_number_of_words, &DETECT_WORDS)?;
    range("amd.silence_threshold", body.amd.silence_threshold, &DETECT_THRESHOLD)?;
    tone_parameters(body.tones)
}

fn tone_parameters(mut tones: ToneParameters) -> Result<(), Error> {
    range("tones.min_level_dbm0", tones.min_level_dbm0, &DETECT_LEVEL_DBM0)?;
    for (field, number, allowed) in tones.numbers() {
        range(&format!("tones.{field}"), *number, &allowed)?;
    }
    tones
        .contradiction()
        .map_or(Ok(()), |(field, why)| Err(Error::new(ErrorCode::BadValue, format!("tones.{field}: {why}"))))
}

/// Checks a splice.
///
/// # Errors
/// As [`request`].
pub fn splice(body: &Splice) -> Result<(), Error> {
    name("a", &body.a)?;
    name("b", &body.b)?;
    if body.a == body.b {
        return Err(Error::new(ErrorCode::SameLeg, "a and b: a leg cannot be joined to itself"));
    }
    body.since_us.map_or(Ok(()), |since| range("since_us", since, &(0..=SINCE_US)))
}

/// Checks a supervision.
///
/// # Errors
/// As [`request`].
pub fn supervise(body: &Supervise) -> Result<(), Error> {
    name("leg", &body.leg)?;
    name("of", &body.of)?;
    body.with.as_deref().map_or(Ok(()), |with| name("with", with))?;
    if body.leg == body.of || body.with.as_ref().is_some_and(|with| *with == body.leg || *with == body.of) {
        let reason = "leg, of and with: a supervision is of two legs by a third";
        return Err(Error::new(ErrorCode::SameLeg, reason));
    }
    Ok(())
}

/// Checks a listening.
///
/// # Errors
/// As [`request`].
pub fn listen(body: &Listen) -> Result<(), Error> {
    name("leg", &body.leg)?;
    name("of", &body.of)?;
    if body.leg == body.of {
        return Err(Error::new(ErrorCode::SameLeg, "leg and of: no leg listens to itself"));
    }
    Ok(())
}

/// Checks a parting.
///
/// # Errors
/// As [`request`].
pub fn unsplice(body: &Unsplice) -> Result<(), Error> {
    name("leg", &body.leg)?;
    if body.park.len() > 2 {
        return Err(bad("park", "at most 2 names", format_args!("{} names", body.park.len())));
    }
    body.park.iter().try_for_each(|leg| name("park", leg))
}

/// Checks a play.
///
/// # Errors
/// As [`request`].
pub fn play(body: &Play) -> Result<(), Error> {
    name("leg", &body.leg)?;
    if body.sources.is_empty() || body.sources.len() > PLAY_SOURCES {
        let found = format_args!("{} sources", body.sources.len());
        return Err(bad("sources", &format!("1 to {PLAY_SOURCES} sources"), found));
    }
    body.sources.iter().enumerate().try_for_each(|(at, it)| source(&format!("sources[{at}]"), it))?;
    for (field, value_ms) in [("start_ms", body.start_ms), ("limit_ms", body.limit_ms)] {
        zero_or(field, value_ms, &(1..=PLAY_MS))?;
    }
    if body.play.is_empty() { Ok(()) } else { name("play", &body.play) }
}

/// Checks the end of a play.
///
/// # Errors
/// As [`request`].
pub fn play_stop(body: &PlayStop) -> Result<(), Error> {
    name("leg", &body.leg)?;
    body.play.as_deref().map_or(Ok(()), |play| name("play", play))
}

/// Checks a subscription.
///
/// # Errors
/// As [`request`].
pub fn subscribe(body: &Subscribe) -> Result<(), Error> {
    zero_or("lease_ms", body.lease_ms, &LEASE_MS)?;
    body.address.map_or(Ok(()), |address| destination("address", address))
}

/// Checks a name: 1 to 64 of `A-Z a-z 0-9 . _ -`.
///
/// # Errors
/// `bad_value`.
pub fn name(field: &str, value: &str) -> Result<(), Error> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=NAME_BYTES).contains(&value.len()) && value.bytes().all(sound) {
        return Ok(());
    }
    Err(bad(field, &format!("1 to {NAME_BYTES} of A-Z a-z 0-9 . _ -"), shown(value)))
}

fn media(media: &Media) -> Result<(), Error> {
    if let Codec::L16 { rate_hz } = media.codec
        && !Codec::L16_RATES_HZ.contains(&rate_hz)
    {
        return Err(bad("media.codec", "L16 at 8, 16, 24, 32, 44.1 or 48 kHz", rate_hz));
    }
    payload_type("media.payload_type", media.payload_type)?;
    assigned("media.payload_type", media.payload_type, media.codec.static_payload_type())?;
    if let Some(events) = media.telephone_event {
        payload_type("media.telephone_event", events)?;
        assigned("media.telephone_event", events, None)?;
    }
    if let Some(rate_hz) = media.telephone_event_rate_hz {
        range("media.telephone_event_rate_hz", rate_hz, &TELEPHONE_EVENT_RATE_HZ)?;
    }
    if let Some(noise) = media.comfort_noise {
        payload_type("media.comfort_noise", noise)?;
        assigned("media.comfort_noise", noise, Some(13))?;
    }
    if media.telephone_event == Some(media.payload_type) {
        return Err(bad(
            "media.telephone_event",
            "another payload type than the audio's",
            media.payload_type,
        ));
    }
    if media.comfort_noise == Some(media.payload_type) {
        return Err(bad("media.comfort_noise", "another payload type than the audio's", media.payload_type));
    }
    if let Some(noise) = media.comfort_noise.filter(|_| media.comfort_noise == media.telephone_event) {
        return Err(bad("media.comfort_noise", "another payload type than telephone_event's", noise));
    }
    if !PTIME_MS.contains(&media.ptime_ms) || !media.ptime_ms.is_multiple_of(PTIME_STEP_MS) {
        return Err(bad("media.ptime_ms", "10, 20, 30, 40, 50 or 60", media.ptime_ms));
    }
    if let Some(most) = media.max_ptime_ms.filter(|most| *most < media.ptime_ms) {
        return Err(bad("media.max_ptime_ms", "media.ptime_ms or more", most));
    }
    range("media.opus.max_rate_hz", media.opus.max_rate_hz, &Opus::RATE_HZ)?;
    range("media.opus.max_bitrate", media.opus.max_bitrate, &Opus::BITRATE)
}

/// 72 to 76 with the marker bit look like RTCP packet types 200 to 204 (RFC 3551 section 6).
fn payload_type(field: &str, value: u8) -> Result<(), Error> {
    if value <= 127 && !(72..=76).contains(&value) {
        return Ok(());
    }
    Err(bad(field, "0 to 127 but not 72 to 76, which look like RTCP", value))
}

/// On a port that carries RTCP too, 64 to 95 with the marker bit are RTCP (RFC 5761 section 4).
fn beside_rtcp(media: &Media) -> Result<(), Error> {
    let types = [
        ("media.payload_type", Some(media.payload_type)),
        ("media.telephone_event", media.telephone_event),
        ("media.comfort_noise", media.comfort_noise),
    ];
    for (field, value) in types {
        if let Some(value) = value.filter(|value| (64..=95).contains(value)) {
            return Err(bad(field, "no type from 64 to 95 with rtcp_mux", value));
        }
    }
    Ok(())
}

/// The lengths of keys; the sentence does not show them.
fn srtp(srtp: &Srtp) -> Result<(), Error> {
    let Srtp::On(keys) = srtp else { return Ok(()) };
    for (field, key) in [("srtp.receive.key", &keys.receive), ("srtp.send.key", &keys.send)] {
        if let Some(key) = key.as_ref().filter(|key| !key.has_its_length()) {
            let (key_bytes, salt_bytes) = (key.suite.key_bytes(), key.suite.salt_bytes());
            let must = format!("{key_bytes} bytes of key and {salt_bytes} of salt for {}", key.suite);
            return Err(bad(field, &must, format_args!("{} bytes", key.key.len())));
        }
    }
    Ok(())
}

/// Payload types below 35 mean one encoding each (RFC 3551 table 4), so `own` is the only one of them that may be used.
fn assigned(field: &str, value: u8, own: Option<u8>) -> Result<(), Error> {
    if value >= 35 || own == Some(value) {
        return Ok(());
    }
    let must = match own {
        Some(own) => format!("{own} or 35 and above, because RFC 3551 gives the others another meaning"),
        None => "35 and above, because RFC 3551 gives those below another meaning".to_owned(),
    };
    Err(bad(field, &must, value))
}

fn remote(remote: &Remote) -> Result<(), Error> {
    destination("remote.rtp", remote.rtp)?;
    let Some(rtcp) = remote.rtcp else { return Ok(()) };
    destination("remote.rtcp", rtcp)?;
    if rtcp.is_ipv4() != remote.rtp.is_ipv4() {
        return Err(bad("remote.rtcp", "an address of the same IP version as rtp", rtcp));
    }
    Ok(())
}

fn destination(field: &str, address: SocketAddr) -> Result<(), Error> {
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(bad(field, "the address and port of one host", address));
    }
    Ok(())
}

fn local_address(field: &str, address: IpAddr) -> Result<(), Error> {
    if address.is_unspecified() || address.is_multicast() {
        return Err(bad(field, "one of the engine's own addresses", address));
    }
    Ok(())
}

fn idle(idle: &Idle) -> Result<(), Error> {
    match *idle {
        Idle::None | Idle::Silence => Ok(()),
        Idle::ComfortNoise { interval_ms } => range("idle.interval_ms", interval_ms, &COMFORT_NOISE_MS),
        Idle::Keepalive { interval_ms } => range("idle.interval_ms", interval_ms, &KEEPALIVE_MS),
    }
}

fn silent_after(value_ms: u32) -> Result<(), Error> {
    zero_or("silent_after_ms", value_ms, &SILENT_AFTER_MS)
}

fn one_way_after(value_ms: Option<u32>) -> Result<(), Error> {
    value_ms.map_or(Ok(()), |value_ms| zero_or("one_way_after_ms", value_ms, &ONE_WAY_AFTER_MS))
}

fn source(field: &str, source: &PlaySource) -> Result<(), Error> {
    match source {
        PlaySource::File(path) => file(&format!("{field}.file"), path),
        PlaySource::Tone { name: _, country: None } => Ok(()),
        PlaySource::Tone { name: _, country: Some(code) } => {
            if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase()) {
                return Ok(());
            }
            Err(bad(&format!("{field}.tone.country"), "a country's two letters in lower case", shown(code)))
        }
        PlaySource::Dtmf(keys) => key_names(&format!("{field}.dtmf"), keys),
        PlaySource::Keys(keys) => key_sequence(&format!("{field}.keys"), keys),
        PlaySource::SilenceMs(ms) => range(&format!("{field}.silence_ms"), *ms, &(1..=SILENCE_MS)),
        PlaySource::Number { value, folder } => {
            range(&format!("{field}.number.value"), *value, &(0..=SPOKEN_NUMBER))?;
            // With a recording's name it is as long as any file's name may be.
            file(&format!("{field}.number.folder"), &format!("{folder}thousand.wav"))
        }
    }
}

fn key_names(field: &str, keys: &str) -> Result<(), Error> {
    let sound = |key: u8| matches!(key, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D');
    if (1..=DTMF_KEYS).contains(&keys.len()) && keys.bytes().all(sound) {
        return Ok(());
    }
    Err(bad(field, &format!("1 to {DTMF_KEYS} of 0-9 * # A-D"), shown(keys)))
}

fn key_sequence(field: &str, keys: &Keys) -> Result<(), Error> {
    key_names(&format!("{field}.keys"), &keys.keys)?;
    range(&format!("{field}.on_ms"), keys.on_ms, &KEY_MS)?;
    range(&format!("{field}.off_ms"), keys.off_ms, &KEY_MS)?;
    if let Some(level_dbm0) = keys.level_dbm0 {
        range(&format!("{field}.level_dbm0"), level_dbm0, &KEY_LEVEL_DBM0)?;
    }
    let all_ms = keys.keys.len() as u64 * u64::from(keys.on_ms + keys.off_ms);
    if all_ms > KEYS_MS {
        return Err(bad(field, &format!("keys of {KEYS_MS} ms at most"), format!("{all_ms} ms")));
    }
    Ok(())
}

/// A relative name that cannot leave the prompt directory.
fn file(field: &str, path: &str) -> Result<(), Error> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let sound = |byte: u8| !byte.is_ascii_control() && byte != b'\\';
    if path.len() <= FILE_BYTES && path.split('/').all(plain) && path.bytes().all(sound) {
        return Ok(());
    }
    let must = format!("a name under its directory, 1 to {FILE_BYTES} bytes, relative and without ..");
    Err(bad(field, &must, shown(path)))
}

fn range<T: Copy + PartialOrd + Display>(
    field: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(bad(field, &format!("{} to {}", range.start(), range.end()), value))
}

fn zero_or(field: &str, value: u32, range: &RangeInclusive<u32>) -> Result<(), Error> {
    if value == 0 || range.contains(&value) {
        return Ok(());
    }
    let must = match (range.start(), range.end()) {
        (0 | 1, last) => format!("0 to {last}"),
        (first, last) => format!("0, or {first} to {last}"),
    };
    Err(bad(field, &must, value))
}

fn bad(field: &str, must: &str, found: impl Display) -> Error {
    Error::new(ErrorCode::BadValue, format!("{field}: must be {must}, not {found}"))
}
