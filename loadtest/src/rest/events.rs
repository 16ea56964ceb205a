//! Server-sent events, read line by line (WHATWG HTML, section 9.2).

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use super::Server;

/// Pause before connecting again.
const RETRY: Duration = Duration::from_millis(300);
/// Longest line read; a longer one ends the connection.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// What the stream brings.
#[derive(Debug)]
pub(crate) enum Feed {
    /// The stream is open; events before it may have been missed.
    Open,
    Event {
        name: String,
        data: Value,
    },
    /// It broke, and why.
    Lost(String),
}

/// Reads control's events on a thread of its own until `stop` is set, and connects again whenever it breaks.
pub(crate) fn follow(server: Server, stop: Arc<AtomicBool>, on_feed: impl Fn(Feed) + Send + 'static) {
    std::thread::spawn(move || {
        let config = ureq::Agent::config_builder().timeout_connect(Some(Duration::from_secs(5))).build();
        let agent = ureq::Agent::new_with_config(config);
        while !stop.load(Relaxed) {
            let lost = read_stream(&agent, &server, &stop, &on_feed)
                .err()
                .unwrap_or_else(|| "the stream ended".to_owned());
            if !stop.load(Relaxed) {
                on_feed(Feed::Lost(lost));
                std::thread::sleep(RETRY);
            }
        }
    });
}

fn read_stream(
    agent: &ureq::Agent,
    server: &Server,
    stop: &AtomicBool,
    on_feed: &impl Fn(Feed),
) -> Result<(), String> {
    let request = agent.get(server.url("/api/v1/events")).header("Accept", "text/event-stream");
    let response = server.authorized(request).call().map_err(|e| e.to_string())?;
    on_feed(Feed::Open);
    let body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut reader = BufReader::new(body);
    let mut parser = Parser::default();
    let mut line = Vec::new();
    while !stop.load(Relaxed) {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
        if bytes == 0 || bytes > MAX_LINE_BYTES {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        if let Some((name, data)) = parser.line(text.trim_end_matches(['\r', '\n'])) {
            on_feed(Feed::Event { name, data });
        }
    }
    Ok(())
}

/// Gathers lines into events.
#[derive(Debug, Default)]
struct Parser {
    name: String,
    data: String,
}

impl Parser {
    /// Takes a line without its end; an event when it was the empty line that completes one.
    fn line(&mut self, line: &str) -> Option<(String, Value)> {
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return serde_json::from_str(&data).ok().map(|data| (name, data));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push_str(value),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_gathered_and_comments_ids_and_nonsense_are_skipped() {
        let mut parser = Parser::default();
        let stream = ": hello\nid: 7\nevent: agent\ndata: {\"id\":\ndata: \"a\"}\n\nevent: x\ndata: {nonsense\n\ndata:1\n\n";
        let events: Vec<_> = stream.split('\n').filter_map(|line| parser.line(line)).collect();
        assert_eq!(events[0], ("agent".to_owned(), serde_json::json!({"id": "a"})));
        assert_eq!(events[1], (String::new(), serde_json::json!(1)));
    }
}
