//! The page that a person shows to a colleague: one file, nothing loaded from anywhere.

use std::fmt::Write as _;

use super::checks::grouped;
use super::markup::{capitalised, date, escape, quantile_table, section, tile};
use super::plots::{self, AMBER, INDIGO, Series, TEAL};
use super::summary::label;
use super::{Cost, Report};
use crate::media::rtp::Header;
use crate::run::state::{Outcome, Sample};

const STYLE: &str = include_str!("report.css");

/// Most misrouted packets and broken streams shown; report.json has more.
const MAX_ROWS: usize = 15;

/// The whole page.
pub(crate) fn render(report: &Report) -> String {
    let sections = [
        header(report),
        "<main class=\"wrap\">".to_owned(),
        tiles(report),
        pace_warning(report),
        proof(report),
        misrouted(report),
        answer_to_audio(report),
        delay(report),
        over_time(report),
        outcomes(report),
        cost(report),
        silence(report),
        method(report),
        "</main>".to_owned(),
    ];
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Offhook load test</title><style>{STYLE}</style></head><body>{}</body></html>\n",
        sections.concat()
    )
}

fn header(report: &Report) -> String {
    let (class, word) = if report.passed { ("passed", "PASSED") } else { ("failed", "FAILED") };
    let about = &report.about;
    format!(
        "<header class=\"{class}\"><div class=\"wrap\"><div class=\"name\">Offhook load test</div><h1>{}</h1>\
         <p><span class=\"badge\">{word}</span>{} agents off hook · {} customers' calls · {:.0} s · seed {} · {}</p></div></header>",
        escape(&capitalised(&report.headline)),
        grouped(report.agents.went_off_hook as u64),
        grouped(report.outcomes.values().flat_map(|o| o.values()).sum()),
        about.wall_s,
        about.seed,
        date(about.at_unix_s),
    )
}

fn tiles(report: &Report) -> String {
    let audio = &report.answer_to_audio.two_way_ms;
    let zero_is_good = |count: u64| if count == 0 { "good" } else { "bad" };
    let mut tiles = vec![
        tile(
            zero_is_good(report.misrouting.violations),
            &grouped(report.misrouting.violations),
            "",
            "packets misrouted",
        ),
        tile(
            zero_is_good(report.loss.missing),
            &grouped(report.loss.missing),
            "",
            "packets lost in conversations",
        ),
        tile("", &format!("{:.0}", audio.p50), "ms", "answer to two-way audio, median"),
        tile("", &format!("{:.0}", audio.p99), "ms", "answer to two-way audio, 99 %"),
        tile(
            "",
            &format!("{:.2}", report.delay.to_agent_ms.p99.max(report.delay.to_customer_ms.p99)),
            "ms",
            "packet delay, 99 %",
        ),
    ];
    if let Some(parked) = report.parked.as_ref().filter(|cost| cost.engine_cores > 0.0) {
        tiles.push(tile(
            "",
            &format!("{:.1}", parked.engine_us_per_leg_s),
            "µs",
            "CPU of a parked leg, per second",
        ));
    }
    format!("<div class=\"tiles\">{}</div>", tiles.concat())
}

fn pace_warning(report: &Report) -> String {
    if !report.generator.fell_behind {
        return String::new();
    }
    let generator = &report.generator;
    format!(
        "<section class=\"warn\"><h2>The load generator fell behind</h2><p>1 % of packets left more than {:.1} ms late, {} \
         were not read in time, {} not sent. Who heard whom is proved all the same; delays and losses of this run may say \
         more about this machine than about the engine.</p></section>",
        generator.lateness_ms.p99,
        grouped(generator.trouble.overflowed),
        grouped(generator.trouble.unsent + generator.trouble.skipped)
    )
}

fn proof(report: &Report) -> String {
    let rows = report.checks.iter().map(|check| {
        let class = match (check.passed, check.binding) {
            (true, _) => "ok",
            (false, true) => "no",
            (false, false) => "note",
        };
        let name = capitalised(check.name);
        format!(
            "<tr><td class=\"{class}\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&name),
            escape(&check.found)
        )
    });
    section(
        "Proof",
        "Every packet carries its speaker, its number, its time and a checksum. Each one that arrived was judged: by whom it \
         was spoken, who heard it, and whether the two were in a call with each other at that moment.",
        &format!("<table>{}</table>", rows.collect::<String>()),
    )
}

fn misrouted(report: &Report) -> String {
    let (listed, broken) = (&report.misrouting.listed, &report.continuity.broken);
    let mut text = String::new();
    if !listed.is_empty() {
        let rows = listed.iter().take(MAX_ROWS).map(|m| {
            let what = serde_json::to_value(m.what).ok().and_then(|v| v.as_str().map(|s| s.replace('_', " ")));
            format!(
                "<tr><td class=\"no\">{}</td><td class=\"n\">{:.3} s</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
                what.unwrap_or_default(),
                m.at_s,
                escape(&m.listener),
                escape(&m.speaker),
                m.packet
            )
        });
        let head = "<tr><th>what</th><th class=\"n\">at</th><th>listener</th><th>speaker</th><th class=\"n\">packet</th></tr>";
        let table = format!("<table>{head}{}</table>", rows.collect::<String>());
        text += &section("Misrouted packets", "The first of them; report.json has more.", &table);
    }
    if !broken.is_empty() {
        let rows = broken.iter().take(MAX_ROWS).map(|stream| {
            let b = stream.breaks;
            let counts = [b.lost, b.late, b.ssrc_changes, b.sequence_jumps, b.timestamp_jumps, b.packets];
            let cells = counts.map(|count| format!("<td class=\"n\">{}</td>", grouped(count))).concat();
            let first = stream.first.map(|(before, at)| format!("{} → {}", short(&before), short(&at)));
            format!(
                "<tr><td>{}</td>{cells}<td class=\"n\">{}</td></tr>",
                escape(&stream.leg),
                first.unwrap_or_default()
            )
        });
        let names = ["lost", "late", "SSRC changes", "sequence jumps", "timestamp jumps", "packets"];
        let head = names.map(|name| format!("<th class=\"n\">{name}</th>")).concat();
        let table = format!(
            "<table><tr><th>leg</th>{head}<th class=\"n\">first: type, sequence, timestamp</th></tr>{}</table>",
            rows.collect::<String>()
        );
        text +=
            &section("Broken streams", "Legs that did not hear one unbroken stream, worst first.", &table);
    }
    text
}

/// `0 #17 @1600`, with `M` for the marker bit.
fn short(header: &Header) -> String {
    let marker = if header.marker { "M" } else { "" };
    format!("{}{marker} #{} @{}", header.payload_type, header.sequence, header.timestamp)
}

fn answer_to_audio(report: &Report) -> String {
    let audio = &report.answer_to_audio;
    let plot = plots::histogram("ms from 200 OK to two-way audio", "calls", &audio.two_way_each_ms, TEAL);
    let table = quantile_table(&[
        ("customer heard by agent", &audio.to_agent_ms),
        ("agent heard by customer", &audio.to_customer_ms),
        (
            "agent heard by customer, without the wait for the agent's next packet",
            &audio.inside_to_customer_ms,
        ),
        ("two-way", &audio.two_way_ms),
        ("two-way, as the engine says", &report.record.engine_answer_to_audio_ms),
        ("of it inside our system, as heard outside", &audio.inside_ms),
        ("of it inside our system, on the call records", &report.record.answer_to_open_ms),
        ("inbound, queue included", &audio.inbound_to_agent_ms),
    ]);
    let calls: u64 = audio.lost_after_answer.values().sum();
    let whole = audio.lost_after_answer.get(&0).copied().unwrap_or(0);
    let worst = audio.lost_after_answer.keys().next_back().copied().unwrap_or(0);
    let lost = format!(
        "<p>In {} of {} calls the agent heard the customer from the very first packet after the 200 OK; the worst call lost its \
         first {} ms.</p>",
        grouped(whole),
        grouped(calls),
        worst * 20
    );
    section(
        "From answer to audio",
        "Measured from the moment the customer's 200 OK leaves the carrier. The agent's side sends a packet every 20 ms, so \
         that up to 20 ms of the way to the customer are spent waiting for the next one.",
        &format!("<div class=\"two\"><figure>{plot}</figure><div>{table}{lost}</div></div>"),
    )
}

fn delay(report: &Report) -> String {
    let delay = &report.delay;
    let curve = |name, colour, points: &Vec<(f64, f64)>| Series {
        name,
        colour,
        points: points.clone(),
        filled: false,
    };
    let series = [
        curve("customer to agent", TEAL, &delay.to_agent_curve),
        curve("agent to customer", INDIGO, &delay.to_customer_curve),
    ];
    let table = quantile_table(&[
        ("customer to agent", &delay.to_agent_ms),
        ("agent to customer", &delay.to_customer_ms),
        ("RTCP round trip", &report.rtcp.round_trip_ms),
    ]);
    let loss = &report.loss;
    let facts = format!(
        "<p>{} packets heard in conversations: {} missing, {} overtaken, {} repeated. {} were in flight when their call ended. \
         Longest silence inside a conversation: {:.0} ms.</p>",
        grouped(loss.heard),
        loss.missing,
        loss.reordered,
        loss.repeated,
        loss.tail,
        loss.longest_gap_ms
    );
    let rtcp = &report.rtcp;
    let told = format!(
        "<p>By RTCP the engine told {} endpoints how it hears them: {} packets lost, at most {:.1} ms of jitter. {} reports went \
         there, {} came back.</p>",
        grouped(rtcp.endpoints_told),
        grouped(rtcp.lost_says_engine),
        rtcp.most_jitter_ms,
        grouped(rtcp.sent),
        grouped(rtcp.received)
    );
    let facts = if rtcp.received > 0 { facts + &told } else { facts };
    section(
        "Delay through the engine",
        "From one endpoint's send call to the kernel's time stamp at the other's socket, for every packet. The round trip is the \
         endpoints' own, between them and the engine.",
        &format!(
            "<div class=\"two\"><figure>{}</figure><div>{table}{facts}</div></div>",
            plots::nines(&series)
        ),
    )
}

fn over_time(report: &Report) -> String {
    let points =
        |value: fn(&Sample) -> f64| report.samples.iter().map(|s| (s.at_s, value(s))).collect::<Vec<_>>();
    let line = |name, colour, value, filled| Series { name, colour, points: points(value), filled };
    let calls = [
        line("customers rung or answered", AMBER, |s| s.customers as f64, false),
        line("conversations", TEAL, |s| s.conversations as f64, true),
    ];
    let agents = [line("agents off hook", INDIGO, |s| s.off_hook as f64, true)];
    let packets = [
        line("sent by endpoints", INDIGO, |s| s.sent_per_s, false),
        line("heard by partners", TEAL, |s| s.heard_per_s, true),
    ];
    let cpu = [
        line("engine", TEAL, |s| s.engine_cores, true),
        line("control", AMBER, |s| s.control_cores, false),
        line("load generator", INDIGO, |s| s.harness_cores, false),
    ];
    let figure = |caption, svg: String| format!("<figure><figcaption>{caption}</figcaption>{svg}</figure>");
    let figures = [
        figure("Agents off hook", plots::lines("seconds", "", &agents)),
        figure("Calls", plots::lines("seconds", "", &calls)),
        figure("Packets per second", plots::lines("seconds", "", &packets)),
        figure("Cores used", plots::lines("seconds", "", &cpu)),
    ];
    section("Over time", "", &format!("<div class=\"two\">{}</div>", figures.concat()))
}

fn outcomes(report: &Report) -> String {
    let mut text = String::new();
    for (kind, outcomes) in &report.outcomes {
        let total: u64 = outcomes.values().sum();
        let (mut bar, mut key) = (String::new(), String::new());
        for (outcome, &count) in outcomes {
            let colour = colour(*outcome);
            let share = count as f64 * 100.0 / total.max(1) as f64;
            let _ = write!(bar, "<i style=\"width:{share:.3}%;background:{colour}\"></i>");
            let _ = write!(
                key,
                "<span><i style=\"background:{colour}\"></i>{} {}</span>",
                grouped(count),
                label(outcome)
            );
        }
        let _ = write!(
            text,
            "<figcaption>{} {kind} call{}</figcaption><div class=\"bar\">{bar}</div><div class=\"key\">{key}</div>",
            grouped(total),
            if total == 1 { "" } else { "s" }
        );
    }
    section(
        "What became of the calls",
        "Busy, unanswered, declined and early hang-ups are planned, drawn from the seed.",
        &text,
    )
}

fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Talked => "#0d9488",
        Outcome::EarlyHangup => "#5eead4",
        Outcome::Busy => "#818cf8",
        Outcome::NoAnswer => "#94a3b8",
        Outcome::Declined => "#c4b5fd",
        Outcome::NotInUse => "#cbd5e1",
        Outcome::CancelledByControl | Outcome::NeverDialled | Outcome::Unfinished => "#f59e0b",
        Outcome::NeverJoined | Outcome::RequestRefused | Outcome::CallRefused | Outcome::SipTimeout => {
            "#dc2626"
        }
    }
}

fn cost(report: &Report) -> String {
    let stages = [("all parked", &report.parked), ("under load", &report.under_load)];
    let rows = stages.iter().filter_map(|(name, cost)| cost.as_ref().map(|cost| cost_row(name, cost)));
    let names = [
        "legs",
        "seconds",
        "packets sent",
        "engine cores",
        "µs per leg and s",
        "µs per packet",
        "control cores",
    ];
    let head = names.map(|name| format!("<th class=\"n\">{name}</th>")).concat();
    let threads = report.parked.iter().chain(&report.under_load).last().map(|cost| {
        let busiest = cost.engine_threads.iter().filter(|(_, cores)| *cores > 0.0005);
        busiest
            .map(|(name, cores)| format!("<code>{}</code> {cores:.3}", escape(name)))
            .collect::<Vec<_>>()
            .join(" · ")
    });
    section(
        "What it costs",
        "CPU time of the engine's threads, from /proc, while nobody talks and while calls come and go. An off-hook leg sends 50 \
         packets a second all day; a filter in the kernel drops most of them before they wake anyone, in the time of whoever sent them.",
        &format!(
            "<table><tr><th></th>{head}</tr>{}</table><p>Engine threads under load, in cores: {}</p>",
            rows.collect::<String>(),
            threads.filter(|t| !t.is_empty()).unwrap_or_else(|| "not measured".to_owned())
        ),
    )
}

fn cost_row(name: &str, cost: &Cost) -> String {
    let cells = [
        grouped(cost.off_hook as u64),
        format!("{:.1}", cost.seconds),
        grouped(cost.packets_sent),
        format!("{:.3}", cost.engine_cores),
        format!("{:.2}", cost.engine_us_per_leg_s),
        format!("{:.3}", cost.engine_us_per_packet),
        format!("{:.3}", cost.control_cores),
    ];
    format!("<tr><td>{name}</td>{}</tr>", cells.map(|cell| format!("<td class=\"n\">{cell}</td>")).concat())
}

fn silence(report: &Report) -> String {
    let rows = report.unstamped.iter().map(|cell| {
        let p = cell.packets;
        let counts = [p.silence, p.comfort_noise, p.sound, p.telephone_events, p.other];
        let cells = counts.map(|count| format!("<td class=\"n\">{}</td>", grouped(count))).concat();
        format!("<tr><td>{:?}</td><td>{:?}s</td>{cells}</tr>", cell.phase, cell.listener)
    });
    let names = ["silence", "comfort noise", "prompts, tones, music", "telephone events", "other"];
    let head = names.map(|name| format!("<th class=\"n\">{name}</th>")).concat();
    section(
        "Heard from the engine itself",
        "Packets that nobody spoke: what legs hear before, between and after conversations.",
        &format!(
            "<table><tr><th>phase</th><th>listeners</th>{head}</tr>{}</table>",
            rows.collect::<String>()
        ),
    )
}

fn method(report: &Report) -> String {
    let about = &report.about;
    let machine = &about.machine;
    let generator = &report.generator;
    let mut rows = vec![
        ("machine", format!("{}, {} cores, {:.0} GiB", machine.cpu, machine.cores, machine.memory_gib)),
        ("system", format!("{}, Linux {}", machine.system, machine.kernel)),
    ];
    rows.extend(about.versions.iter().map(|(name, version)| (*name, version.clone())));
    rows.push(("load generator", format!(
        "{} packets sent by one thread at {:.2} cores; 99 % left within {:.2} ms of their time, the last after {:.1} ms",
        grouped(generator.sent), generator.media_thread_cores, generator.lateness_ms.p99, generator.lateness_ms.max
    )));
    rows.push((
        "after hang-up",
        format!(
            "at most {} packets sent after a call's end may be heard; the most were {}",
            report.misrouting.tail_bound_packets, report.misrouting.longest_tail_packets
        ),
    ));
    rows.push(("run", about.run.clone()));
    let table: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><td>{name}</td><td>{}</td></tr>", escape(value)))
        .collect();
    let command = escape(&about.command);
    section(
        "How it was done",
        "The endpoints speak SIP and RTP with code of their own, so that a fault of the product cannot hide in a library that \
         both share. The same seed plays the same customers again.",
        &format!("<table>{table}</table><p><br><code>{command}</code></p>"),
    )
}
