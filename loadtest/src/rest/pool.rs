//! A few threads that carry out REST requests.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::Server;
use crate::clock;

/// A request takes at most this long before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// One request; `tag` comes back with the reply.
#[derive(Debug)]
pub(crate) struct Job<T> {
    pub(crate) tag: T,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    pub(crate) tag: T,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Status and JSON body (null when there is none), or why there was no answer.
    pub(crate) outcome: Result<(u16, Value), String>,
    pub(crate) took_ns: u64,
}

impl<T> Reply<T> {
    /// The body of a 2xx.
    pub(crate) fn success(&self) -> Option<&Value> {
        self.outcome.as_ref().ok().filter(|(status, _)| (200..300).contains(status)).map(|(_, body)| body)
    }

    /// What went wrong, without ids, for counting: `POST /api/v1/agents/…/accept: 409 no_offer`.
    pub(crate) fn problem(&self) -> Option<String> {
        let what = match &self.outcome {
            Ok((200..300, _)) => return None,
            Ok((status, body)) => format!("{status} {}", body["error"].as_str().unwrap_or("")),
            Err(error) => error.clone(),
        };
        let path = self.path.split('?').next().unwrap_or("");
        let is_id = |part: &&str| part.len() > 3 && part.contains(char::is_numeric);
        let shape: Vec<&str> = path.split('/').map(|part| if is_id(&part) { "…" } else { part }).collect();
        Some(format!("{} {}: {}", self.method.name(), shape.join("/"), what.trim()))
    }
}

/// Threads that take jobs in order.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    jobs: Sender<Job<T>>,
}

impl<T: Send + 'static> Pool<T> {
    /// Starts `threads` threads against `server`; `on_reply` is called on them.
    pub(crate) fn start(
        server: &Server,
        threads: usize,
        on_reply: impl Fn(Reply<T>) + Clone + Send + 'static,
    ) -> Self {
        let (sender, receiver) = channel();
        let shared = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let (server, shared, on_reply) = (server.clone(), shared.clone(), on_reply.clone());
            std::thread::spawn(move || serve(&server, &shared, &on_reply));
        }
        Self { jobs: sender }
    }

    /// Queues a request.
    pub(crate) fn submit(&self, job: Job<T>) {
        let _ = self.jobs.send(job);
    }
}

fn serve<T>(server: &Server, jobs: &Mutex<Receiver<Job<T>>>, on_reply: &impl Fn(Reply<T>)) {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
    let agent = ureq::Agent::new_with_config(config);
    loop {
        let Ok(job) = jobs.lock().map_err(|_| ()).and_then(|jobs| jobs.recv().map_err(|_| ())) else {
            return;
        };
        let started_ns = clock::now_ns();
        let outcome = exchange(&agent, server, &job.path, job.method, job.body.as_ref());
        let took_ns = clock::now_ns() - started_ns;
        on_reply(Reply { tag: job.tag, method: job.method, path: job.path, outcome, took_ns });
    }
}

fn exchange(
    agent: &ureq::Agent,
    server: &Server,
    path: &str,
    method: Method,
    body: Option<&Value>,
) -> Result<(u16, Value), String> {
    let empty = Value::Object(serde_json::Map::new());
    let body = body.unwrap_or(&empty);
    let url = server.url(path);
    let response = match method {
        Method::Get => server.authorized(agent.get(url)).call(),
        Method::Delete => server.authorized(agent.delete(url)).call(),
        Method::Put => server.authorized(agent.put(url)).send_json(body),
        Method::Post => server.authorized(agent.post(url)).send_json(body),
    };
    let mut response = response.map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    let text = response
        .body_mut()
        .with_config()
        .limit(256 * 1024 * 1024)
        .read_to_string()
        .map_err(|e| e.to_string())?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// How REST went, for the report.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct HttpCounters {
    pub(crate) requests: u64,
    /// By what went wrong.
    pub(crate) problems: BTreeMap<String, u64>,
    pub(crate) slowest_ms: f64,
}

impl HttpCounters {
    /// Enters a reply.
    pub(crate) fn count<T>(&mut self, reply: &Reply<T>) {
        self.requests += 1;
        self.slowest_ms = self.slowest_ms.max(reply.took_ns as f64 / 1e6);
        if let Some(problem) = reply.problem() {
            *self.problems.entry(problem).or_default() += 1;
        }
    }
}
