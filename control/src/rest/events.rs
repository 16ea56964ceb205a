//! `/events`: live events as server-sent events (HTML Living Standard, section 9.2).
//!
//! Each has an `id:`. Who comes back with `Last-Event-ID` gets what was missed, as far as it is kept; else an event named
//! `reset` says that everything has to be fetched afresh.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::stream::{self, Stream};
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Api;
use super::problem::Problem;
use crate::feed::{Feed, Next};

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/events", get(listen))
}

async fn listen(State(api): State<Api>, headers: HeaderMap) -> Response {
    let Ok(place) = Arc::clone(&api.listeners).try_acquire_owned() else {
        return Problem::busy("too many listeners of live events").into_response();
    };
    let feed = Arc::clone(&api.doors.feed);
    let from = match last_id(&headers) {
        Ok(Some(last)) => last.saturating_add(1),
        Ok(None) => feed.next_id(),
        Err(problem) => return problem.into_response(),
    };
    let news = feed.watch();
    let reader = Reader { feed, from, news, greeted: false, _place: place };
    let events = Sse::new(reader.into_stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // A proxy that collects the stream would make it anything but live.
    ([("x-accel-buffering", "no")], events).into_response()
}

fn last_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().map(str::trim).and_then(|id| id.parse().ok());
    id.map(Some).ok_or_else(|| Problem::bad("Last-Event-ID must be the id of an event: a whole number"))
}

struct Reader {
    feed: Arc<Feed>,
    from: u64,
    news: watch::Receiver<u64>,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        let batches = stream::unfold(self, async |mut reader| Some((reader.next().await, reader)));
        futures::StreamExt::flat_map(batches, |events| stream::iter(events.into_iter().map(Ok)))
    }

    async fn next(&mut self) -> Vec<Event> {
        // The first comment makes the headers leave at once, so that the listener knows that it listens.
        if !std::mem::replace(&mut self.greeted, true) {
            return vec![Event::default().comment("live")];
        }
        loop {
            self.news.mark_unchanged();
            match self.feed.read(self.from) {
                Next::Items(items) => {
                    self.from = items.last().map_or(self.from, |item| item.id + 1);
                    let event = |item: crate::feed::Item| {
                        Event::default().event(item.topic).id(item.id.to_string()).data(item.data)
                    };
                    return items.into_iter().map(event).collect();
                }
                Next::Reset(next_id) => {
                    self.from = next_id;
                    let id = next_id.saturating_sub(1).to_string();
                    return vec![Event::default().event("reset").id(id).data("{}")];
                }
                Next::Wait => {
                    // Never closed: this task holds the feed.
                    let _ = self.news.changed().await;
                }
            }
        }
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(15);
