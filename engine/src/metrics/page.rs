//! The figures of `statistics`, by the names that a dashboard asks for.

use offhook_metrics::{Labels, Page};
use offhook_proto::{Drops, EngineInfo, WorkerInfo};
use serde_json::Value;

/// What the engine tells, as a page.
pub(crate) fn page(engine: &EngineInfo) -> Page {
    let mut page = Page::default();
    let version = vec![("version", engine.version.clone()), ("instance", engine.instance.clone())];
    page.gauges("offhook_engine_info", "This run of the engine", [(version, 1_u64)]);
    page.gauge("offhook_engine_uptime_seconds", "Time since the start", engine.uptime_ms as f64 / 1_000.0);
    page.gauge("offhook_legs", "Legs that are open", engine.legs);
    page.gauge("offhook_ports_free", "Pairs of RTP and RTCP port that are free", engine.ports_free);
    page.counter("offhook_control_requests", "Requests executed", engine.requests);
    page.counter(
        "offhook_control_requests_repeated",
        "Requests that came again and got the same answer",
        engine.requests_repeated,
    );
    page.counter(
        "offhook_control_requests_refused",
        "Datagrams on the control socket that were refused: no request, or a wrong signature",
        engine.requests_refused,
    );
    page.gauge("offhook_recordings", "Recordings being made", engine.recordings);
    page.counter(
        "offhook_recordings_failed",
        "Recordings that could not be written to their end",
        engine.recordings_failed,
    );
    page.counter(
        "offhook_record_frames_lost",
        "Frames left out of recordings because their writer did not keep up",
        engine.record_frames_lost,
    );
    workers(&mut page, &engine.workers);
    page
}

fn workers(page: &mut Page, workers: &[WorkerInfo]) {
    let of = |value: fn(&WorkerInfo) -> u64| {
        workers.iter().map(move |worker| (label(worker), value(worker))).collect::<Vec<_>>()
    };
    page.gauges("offhook_worker_legs", "Legs on the worker", of(|worker| worker.legs));
    page.gauges("offhook_worker_splices", "Pairs spliced on the worker", of(|worker| worker.splices));
    page.gauges("offhook_worker_plays", "Players running on the worker", of(|worker| worker.plays));
    page.gauges(
        "offhook_worker_kernel_rules",
        "Directions of splices that the kernel forwards by itself",
        of(|worker| worker.kernel_rules),
    );
    let seconds = workers.iter().map(|worker| (label(worker), worker.cpu_us as f64 / 1e6));
    page.counters("offhook_worker_cpu_seconds", "CPU time of the worker's thread", seconds);
    page.counters(
        "offhook_rtp_packets_received",
        "RTP packets received",
        of(|worker| worker.packets_received),
    );
    page.counters(
        "offhook_rtp_packets_forwarded",
        "RTP packets sent on",
        of(|worker| worker.packets_forwarded),
    );
    page.counters(
        "offhook_rtp_packets_generated",
        "RTP packets made here and sent",
        of(|worker| worker.packets_generated),
    );
    page.counters(
        "offhook_rtp_packets_kernel",
        "RTP packets that the kernel has forwarded, of those sent on",
        of(|worker| worker.kernel_packets),
    );
    page.counters(
        "offhook_rtp_packets_dropped",
        "RTP packets dropped, by reason",
        workers.iter().flat_map(|worker| drops(&label(worker), worker.drops)),
    );
    page.counters("offhook_worker_wakeups", "Times that the worker woke", of(|worker| worker.wakeups));
    page.counters(
        "offhook_worker_buffers_exhausted",
        "Times that the receive buffers ran out",
        of(|worker| worker.buffers_exhausted),
    );
}

fn label(worker: &WorkerInfo) -> Labels {
    vec![("worker", worker.worker.to_string())]
}

/// Each reason under the name that it has in the protocol.
fn drops(worker: &Labels, drops: Drops) -> Vec<(Labels, u64)> {
    let Ok(Value::Object(reasons)) = serde_json::to_value(drops) else { return Vec::new() };
    let sample = |(reason, count): (String, Value)| {
        let labels = worker.iter().cloned().chain([("reason", reason)]).collect();
        (labels, count.as_u64().unwrap_or_default())
    };
    reasons.into_iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_stands_in_the_protocols_document() {
        let reply = include_str!("../../proto/golden/statistics.reply.txt");
        let (_, dictionary) = reply.split_once(' ').expect("a cookie and a dictionary");
        let text = page(&serde_json::from_str(dictionary).expect("a reply to statistics")).text();
        let document = include_str!("../../proto/PROTOCOL.md");
        let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(told.len() > 20, "{text}");
        for (name, kind) in told.iter().filter_map(|line| line.split_once(' ')) {
            let name = if kind == "counter" { format!("`{name}_total`") } else { format!("`{name}`") };
            assert!(document.contains(&name), "{name} is not in PROTOCOL.md");
        }
    }
}
