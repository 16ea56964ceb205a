//! Replies and events as text for people.

use std::fmt::{self, Write as _};

use offhook_proto::{
    AudioDirection, Command, Detected, Drops, EngineInfo, Error, Event, EventBody, LegCreated, LegInfo,
    LegList, PlaySource, PlayStarted, PlayStopped, QualityScale, Reply, SrtpSuite, WorkerInfo,
};
use serde::Serialize;

/// A successful reply to `command`, in lines; without the last line break.
///
/// # Errors
/// The engine's refusal, or `bad_reply`.
pub(crate) fn reply(command: &Command, reply: Reply) -> Result<String, Error> {
    Ok(match command {
        Command::Ping => {
            let info: EngineInfo = reply.parse()?;
            format!(
                "pong from {} (offhook-engine {}, up {})",
                info.instance,
                info.version,
                Span(info.uptime_ms)
            )
        }
        Command::LegCreate(_) => created(&reply.parse()?),
        Command::LegUpdate(_) | Command::LegDelete(_) | Command::LegQuery(_) => leg(&reply.parse()?),
        Command::LegList(_) => list(&reply.parse()?),
        Command::Play(play) => {
            let started: PlayStarted = reply.parse()?;
            let length = started
                .duration_ms
                .map_or("until stopped".to_owned(), |ms| format!("{ms} ms for the list once"));
            format!("playing {}, {length}", named(&started.play).unwrap_or_else(|| sources(&play.sources)))
        }
        Command::PlayStop(_) => match reply.parse::<PlayStopped>()?.position_ms {
            Some(ms) => format!("stopped {ms} ms into the list"),
            None => "nothing was playing".to_owned(),
        },
        Command::Statistics => engine(&reply.parse()?),
        Command::LegPark(_)
        | Command::LegUnpark(_)
        | Command::Splice(_)
        | Command::Unsplice(_)
        | Command::Supervise(_)
        | Command::SuperviseStop(_)
        | Command::Listen(_)
        | Command::ListenStop(_)
        | Command::RecordStart(_)
        | Command::RecordPause(_)
        | Command::RecordResume(_)
        | Command::RecordStop(_)
        | Command::DetectStart(_)
        | Command::DetectStop(_)
        | Command::Subscribe(_)
        | Command::Unsubscribe
        | Command::EventAck(_) => {
            reply.parse::<serde_json::Value>()?;
            "ok".to_owned()
        }
    })
}

/// One event, in a line.
pub(crate) fn event(event: &Event) -> String {
    let body = match &event.body {
        EventBody::LegLatched { leg, source } => format!("{leg} latched to {source}"),
        EventBody::LegSilent { leg, silent_ms } => format!("{leg} silent for {}", Span(*silent_ms)),
        EventBody::LegAlive { leg } => format!("{leg} alive again"),
        EventBody::LegOneWay { leg, direction, unheard_ms } => {
            format!("{leg} has no audio {} for {}", way(*direction), Span(*unheard_ms))
        }
        EventBody::LegTwoWay { leg, direction } => format!("{leg} has audio {} again", way(*direction)),
        EventBody::LegQuality { leg, quality } => {
            let now =
                quality.recent_mos.map_or("nothing heard".to_owned(), |mos| format!("MOS {mos:.2} now"));
            format!("{leg}: {now}, {:.2} in the call", quality.mos)
        }
        EventBody::LegBye { leg } => format!("{leg} said BYE"),
        EventBody::LegReleased { leg, reason } => format!("{leg} released: {reason}"),
        EventBody::Dtmf { leg, digit, duration_ms } => format!("{leg} pressed {digit} for {duration_ms} ms"),
        EventBody::Detected(found) => detected(found),
        EventBody::SpliceAudio(audio) => format!(
            "{} is heard by {} after {} µs, {} dropped before",
            audio.from,
            audio.to,
            audio.after_us,
            counted(audio.dropped_packets, "packet")
        ),
        EventBody::PlayEnded { leg, play, end } => {
            let play = named(play).map(|play| format!(" {play}")).unwrap_or_default();
            format!("{leg} play{play} ended: {}", word(end))
        }
        EventBody::SuperviseEnded { leg, of, end } => {
            format!("{leg} no longer supervises {of}: {}", word(end))
        }
        EventBody::RecordEnded { leg, file, end, duration_ms, reason } => {
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{leg} recording {file:?} ended after {}: {}{reason}", Span(*duration_ms), word(end))
        }
        EventBody::LeaseExpired { controller, legs } => {
            format!("controller {controller} is silent; it owns {}", counted(*legs, "leg"))
        }
        EventBody::EventsLost { count } => format!("{} lost", counted(*count, "event")),
    };
    format!("{:>6} {:>12}  {body}", event.seq, Span(event.at_ms))
}

fn way(direction: AudioDirection) -> &'static str {
    match direction {
        AudioDirection::FromPeer => "from its peer",
        AudioDirection::ToPeer => "to its peer",
    }
}

fn detected(found: &Detected) -> String {
    let mut text = format!("{}: {}", found.leg, word(&found.kind));
    if let Some(cause) = found.cause {
        let _ = write!(text, " ({})", word(&cause));
    }
    if let (Some(hz), Some(ms)) = (found.frequency_hz, found.duration_ms) {
        let _ = write!(text, " of {hz} Hz, {ms} ms long");
    }
    let _ = write!(text, " after {} ms", found.after_ms);
    text
}

fn created(leg: &LegCreated) -> String {
    format!(
        "{} receives RTP on {}, RTCP on {} (worker {}, SSRC {:08x})",
        leg.leg, leg.rtp, leg.rtcp, leg.worker, leg.ssrc
    )
}

fn leg(leg: &LegInfo) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: fmt::Arguments| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line("leg", format_args!("{} on worker {}, age {}", leg.leg, leg.worker, Span(leg.age_ms)));
    let state = word(&leg.state);
    match &leg.spliced_to {
        Some(partner) if leg.hears => line("state", format_args!("{state} to {partner}")),
        Some(partner) => line("state", format_args!("{state} to {partner}, which it does not hear")),
        None => line("state", format_args!("{state}")),
    }
    if let Some(supervising) = &leg.supervises {
        let (of, with) = (&supervising.of, &supervising.with);
        let mode = word(&supervising.mode);
        line("supervises", format_args!("{of} in its call with {with}: {mode}"));
    }
    if let Some(supervisor) = &leg.supervised_by {
        line("supervised", format_args!("by {supervisor}"));
    }
    if let Some(heard) = &leg.listens_to {
        line("listens", format_args!("to {heard}"));
    }
    if let Some(play) = &leg.playing {
        line("playing", format_args!("{}", named(play).unwrap_or_else(|| "(no name)".to_owned())));
    }
    line("codec", format_args!("{}", leg.codec));
    line("local", format_args!("RTP {} RTCP {}", leg.rtp, leg.rtcp));
    let remote = leg.remote.map_or("none".to_owned(), |remote| remote.rtp.to_string());
    let latched = leg.latched.map_or("not yet".to_owned(), |source| source.to_string());
    line("remote", format_args!("signalled {remote}, latched {latched} ({})", word(&leg.latch)));
    if let Some(srtp) = leg.srtp {
        let name = |suite: Option<SrtpSuite>| suite.map_or("no key yet", SrtpSuite::name);
        line("SRTP", format_args!("receives {}, sends {}", name(srtp.receive), name(srtp.send)));
    }
    let last = leg.last_packet_ms.map_or("never".to_owned(), |ms| format!("{} ago", Span(ms)));
    let counters = &leg.counters;
    line(
        "received",
        format_args!(
            "{}, {} bytes, {} lost, {} filtered, jitter {:.1} ms, last {last}",
            counted(counters.packets_received, "packet"),
            counters.bytes_received,
            counters.packets_lost,
            counters.packets_filtered,
            counters.jitter_ms
        ),
    );
    line(
        "sent",
        format_args!(
            "{}, {} bytes, SSRC {:08x}",
            counted(counters.packets_sent, "packet"),
            counters.bytes_sent,
            leg.ssrc
        ),
    );
    line("forwarded", format_args!("{}", counted(counters.packets_forwarded, "packet")));
    line("dropped", format_args!("{}", Dropped(&counters.drops)));
    if let Some(quality) = &leg.quality {
        let recent = quality.recent_mos.map_or(String::new(), |mos| format!(", recently {mos:.2}"));
        let of = match quality.scale {
            QualityScale::Narrowband => 100,
            QualityScale::Wideband => 129,
        };
        line("quality", format_args!("MOS {:.2} (R {:.0} of {of}){recent}", quality.mos, quality.r_factor));
    }
    if let Some(report) = &leg.rtcp_report {
        let trip = report.round_trip_ms.map_or("unknown".to_owned(), |ms| format!("{ms:.1} ms"));
        line(
            "peer",
            format_args!(
                "lost {} ({:.1} % recently), jitter {:.1} ms, round trip {trip}",
                report.packets_lost,
                report.fraction_lost * 100.0,
                report.jitter_ms
            ),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

fn list(list: &LegList) -> String {
    let mut text = list.legs.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    let more = if list.more { "; for more: --after and the last of these" } else { "" };
    let _ = write!(text, "{} of {}{more}", list.legs.len(), counted(list.total, "leg"));
    text
}

fn engine(info: &EngineInfo) -> String {
    let mut text = format!(
        "{} (offhook-engine {}), up {}\n{}, {} free\nrequests: {} executed, {} repeated, {} refused",
        info.instance,
        info.version,
        Span(info.uptime_ms),
        counted(info.legs, "leg"),
        counted(info.ports_free, "port pair"),
        info.requests,
        info.requests_repeated,
        info.requests_refused
    );
    for worker in &info.workers {
        let _ = write!(text, "\n{}", worker_line(worker));
    }
    text
}

fn worker_line(worker: &WorkerInfo) -> String {
    let cpu = worker.cpu.map_or("not pinned".to_owned(), |cpu| format!("processor {cpu}"));
    let kernel = match (worker.kernel_rules, worker.kernel_packets) {
        (0, 0) => String::new(),
        (rules, packets) => format!(" ({packets} by the kernel, which has {})", counted(rules, "rule")),
    };
    let exhausted = match worker.buffers_exhausted {
        0 => String::new(),
        times => format!("; out of buffers {}", counted(times, "time")),
    };
    format!(
        "worker {} ({cpu}): {}, {}, {}; CPU {:.3} s, {}\n  packets: {} received, {} forwarded{kernel}, {} generated{exhausted}; \
         dropped: {}",
        worker.worker,
        counted(worker.legs, "leg"),
        counted(worker.splices, "splice"),
        counted(worker.plays, "play"),
        worker.cpu_us as f64 / 1e6,
        counted(worker.wakeups, "wake-up"),
        worker.packets_received,
        worker.packets_forwarded,
        worker.packets_generated,
        Dropped(&worker.drops)
    )
}

/// `1 leg`, `2 legs`.
fn counted(count: impl Into<u64>, one: &str) -> String {
    let count = count.into();
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A value by the protocol's own word for it.
fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned()
}

/// Milliseconds as hours, minutes and seconds.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1_000, self.0 % 1_000);
        match seconds / 3_600 {
            0 => f.pad(&format!("{}:{:02}.{ms:03}", seconds / 60, seconds % 60)),
            hours => f.pad(&format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)),
        }
    }
}

/// The reasons that dropped anything.
struct Dropped<'a>(&'a Drops);

impl fmt::Display for Dropped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = serde_json::to_value(self.0).map_err(|_| fmt::Error)?;
        let mut separator = "";
        for (reason, count) in
            reasons.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0))
        {
            write!(f, "{separator}{count} {reason}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

/// A play's name, if it was given one.
fn named(play: &str) -> Option<String> {
    (!play.is_empty()).then(|| format!("{play:?}"))
}

/// What is played, as it is asked for on the command line.
fn sources(list: &[PlaySource]) -> String {
    let word = |source: &PlaySource| match source {
        PlaySource::File(name) => name.clone(),
        PlaySource::Tone { name, country } => {
            ["tone".to_owned(), word(name)].into_iter().chain(country.clone()).collect::<Vec<_>>().join(":")
        }
        PlaySource::Dtmf(digits) => format!("dtmf:{digits}"),
        PlaySource::Keys(keys) => format!("dtmf:{}", keys.keys),
        PlaySource::SilenceMs(ms) => format!("silence:{ms}"),
        PlaySource::Number { value, .. } => format!("number:{value}"),
    };
    list.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reasons_that_dropped_something_are_named() {
        assert_eq!(Dropped(&Drops::default()).to_string(), "nothing");
        assert_eq!(
            Dropped(&Drops { stranger: 2, late: 1, ..Drops::default() }).to_string(),
            "1 late, 2 stranger"
        );
    }

    #[test]
    fn spans_are_written_as_people_read_them() {
        assert_eq!(Span(61_005).to_string(), "1:01.005");
        assert_eq!(Span(3_600_000).to_string(), "1:00:00");
    }

    #[test]
    fn the_end_of_a_play_is_told_with_its_name_if_it_has_one() {
        let ended = |play: &str| {
            let body = EventBody::PlayEnded {
                leg: "ann".into(),
                play: play.into(),
                end: offhook_proto::PlayEnd::Finished,
            };
            event(&Event { instance: String::new(), seq: 1, at_ms: 0, body })
        };
        assert!(ended("").ends_with("ann play ended: finished"), "{}", ended(""));
        assert!(ended("music").ends_with("ann play \"music\" ended: finished"), "{}", ended("music"));
    }

    #[test]
    fn a_play_without_a_name_is_told_by_what_is_played() {
        let play = |name: &str| {
            let list = vec![
                PlaySource::Tone { name: offhook_proto::ToneName::Ringback, country: Some("nl".into()) },
                PlaySource::File("beep.wav".into()),
            ];
            let play =
                offhook_proto::Play { times: 0, play: name.into(), ..offhook_proto::Play::new("a", list) };
            let started = Reply::ok(&PlayStarted { play: name.into(), duration_ms: None });
            reply(&Command::Play(play), started)
        };
        assert_eq!(play(""), Ok("playing tone:ringback:nl beep.wav, until stopped".to_owned()));
        assert_eq!(play("loop"), Ok("playing \"loop\", until stopped".to_owned()));
    }

    #[test]
    fn a_refusal_stays_a_refusal() {
        let refusal = Error::new(offhook_proto::ErrorCode::LegNotFound, "no leg x");
        assert_eq!(reply(&Command::Ping, Reply::Error(refusal.clone())), Err(refusal));
    }
}
