//! `/metrics`: figures for Prometheus, the same as those of the console.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use offhook_control_core::api::{ApiReply, ApiRequest};
use offhook_control_core::view::{HealthView, QueueView, StatisticsView};
use offhook_metrics::{Labels, Page};

use super::{Api, Problem, respond};

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(api): State<Api>) -> Response {
    let mut page = Page::default();
    page.gauge(
        "offhook_journal_stalled",
        "Whether the journal cannot be written",
        api.doors.progress.borrow().stalled.is_some(),
    );
    for request in [ApiRequest::Statistics, ApiRequest::Queues, ApiRequest::Health] {
        match api.reply(request).await {
            Ok(reply) => {
                if let Err(other) = enter(&mut page, reply) {
                    return respond(&other);
                }
            }
            Err(problem) => return Problem::into_response(problem),
        }
    }
    ([(CONTENT_TYPE, offhook_metrics::CONTENT_TYPE)], page.text()).into_response()
}

/// Enters what was told. Errors: a reply that is a refusal.
fn enter(page: &mut Page, reply: ApiReply) -> Result<(), ApiReply> {
    match reply {
        ApiReply::Statistics(figures) => statistics(page, *figures),
        ApiReply::Queues(all) => queues(page, &all),
        ApiReply::Health(state) => health(page, &state),
        other => return Err(other),
    }
    Ok(())
}

fn statistics(page: &mut Page, figures: StatisticsView) {
    page.gauges("offhook_agents", "Agents, by status", by("status", figures.agents));
    page.gauge("offhook_agent_legs", "Agents' legs that are open", figures.legs_up);
    page.gauge("offhook_customers_waiting", "Customers waiting in all queues", figures.waiting);
    page.gauge("offhook_conversations", "Customers with an agent", figures.spliced);
    page.gauge(
        "offhook_customers_held_back",
        "Customers who are not called because the trunk does not answer",
        figures.held_back,
    );
    page.counter("offhook_customers_dialled", "Customers dialled", figures.dialled);
    page.counter("offhook_customers_answered", "Customers answered or taken", figures.answered);
    page.counter("offhook_customers_connected", "Customers spliced with an agent", figures.connected);
    page.counter("offhook_customers_abandoned", "Callers who left before an agent", figures.abandoned);
    page.counters(
        "offhook_callbacks_completed",
        "Callbacks completed, by reason",
        by("reason", figures.callbacks),
    );
    page.counters("offhook_contacts_completed", "Contacts, by result code", by("result", figures.contacts));
    let quantiles = |median: Option<f64>, highest: Option<f64>| {
        let sample = |(quantile, ms): (&str, Option<f64>)| {
            ms.map(|ms| (vec![("quantile", quantile.to_owned())], ms / 1_000.0))
        };
        [("0.5", median), ("0.99", highest)].into_iter().filter_map(sample).collect::<Vec<_>>()
    };
    page.gauges(
        "offhook_answer_to_audio_seconds",
        "From a customer's answer to audio in both directions",
        quantiles(figures.answer_to_audio_p50_ms, figures.answer_to_audio_p99_ms),
    );
    page.gauges(
        "offhook_answer_to_open_seconds",
        "Our part of it: until both could be heard",
        quantiles(figures.answer_to_open_p50_ms, figures.answer_to_open_p99_ms),
    );
    page.counters(
        "offhook_one_way_audio",
        "Times that a direction of a conversation had no audio, by direction",
        by("direction", figures.one_way),
    );
    page.counter("offhook_signals_ignored", "Signals that fitted no state", figures.ignored);
    page.counter("offhook_trunk_outages", "Times that the trunk stopped answering", figures.trunk_outages);
}

fn queues(page: &mut Page, queues: &[QueueView]) {
    let of = |value: fn(&QueueView) -> f64| {
        queues
            .iter()
            .map(move |queue| (vec![("queue", queue.name.clone())], value(queue)))
            .collect::<Vec<_>>()
    };
    page.gauges("offhook_queue_waiting", "Waiting in the queue", of(|queue| queue.waiting as f64));
    page.gauges(
        "offhook_queue_oldest_seconds",
        "How long the oldest has been waiting",
        of(|queue| queue.oldest_ms as f64 / 1_000.0),
    );
    page.gauges(
        "offhook_queue_agents_ready",
        "Agents with the skill who are ready",
        of(|queue| queue.agents_ready as f64),
    );
}

fn health(page: &mut Page, health: &HealthView) {
    let engines = || health.engines.iter().enumerate().map(|(number, engine)| (label(number), engine));
    page.gauges(
        "offhook_engine_up",
        "Whether the engine answers",
        engines().map(|(label, engine)| (label, engine.state == "up")),
    );
    page.gauges(
        "offhook_engine_legs",
        "Calls whose leg is on the engine",
        engines().map(|(label, engine)| (label, engine.legs)),
    );
    page.gauge("offhook_trunk_away", "Whether the trunk does not answer", health.trunk.state == "away");
}

fn label(engine: usize) -> Labels {
    vec![("engine", engine.to_string())]
}

fn by(label: &'static str, counts: impl IntoIterator<Item = (String, u64)>) -> Vec<(Labels, u64)> {
    counts.into_iter().map(|(name, count)| (vec![(label, name)], count)).collect()
}
