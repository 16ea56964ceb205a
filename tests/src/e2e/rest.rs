//! The REST interface, from outside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::eventually;

/// A client of control's REST interface.
#[derive(Clone, Debug)]
pub struct Rest {
    address: SocketAddr,
    client: ureq::Agent,
}

impl Rest {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        Self { address, client: config.into() }
    }

    /// Status and body of a request with a JSON body.
    ///
    /// # Errors
    /// When no answer came.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value), ureq::Error> {
        let url = format!("http://{}{path}", self.address);
        let mut response = match method {
            "GET" => self.client.get(url).call(),
            "DELETE" => self.client.delete(url).call(),
            "PUT" => self.client.put(url).send_json(body),
            "POST" => self.client.post(url).send_json(body),
            other => panic!("no test uses {other}"),
        }?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// The body of a POST that has to succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.succeed("POST", path, body)
    }

    /// The body of a GET that has to succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn get(&self, path: &str) -> Value {
        self.succeed("GET", path, &Value::Null)
    }

    fn succeed(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) =
            self.ask(method, path, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Creates or changes an agent with the skill `sales`; `more` overrides.
    ///
    /// # Panics
    /// When control refuses.
    pub fn put_agent(&self, id: &str, station: &Value, more: &Value) {
        let mut body = json!({ "name": id, "skills": ["sales"], "station": station, "persistent": true, "auto_accept": true });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        self.succeed("PUT", &format!("/api/v1/agents/{id}"), &body);
    }

    /// An agent as it is now.
    pub fn agent(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/agents/{id}"))
    }

    /// `POST /agents/{id}/{action}` with no more to say.
    pub fn act(&self, id: &str, action: &str) -> Value {
        self.post(&format!("/api/v1/agents/{id}/{action}"), &json!({}))
    }

    /// Asks for a status.
    pub fn status(&self, id: &str, status: &str) -> Value {
        self.post(&format!("/api/v1/agents/{id}/status"), &json!({ "status": status }))
    }

    /// Waits until an agent's field has a value.
    pub fn await_agent(&self, id: &str, field: &str, value: &str) -> Value {
        let mut last = Value::Null;
        let mut look = || {
            last = self.agent(id);
            (last[field] == value).then(|| last.clone())
        };
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&format!("{id}'s {field} is {value}"), &mut look)
        }));
        found.unwrap_or_else(|panic| {
            eprintln!("last seen: {last}");
            std::panic::resume_unwind(panic)
        })
    }

    /// Asks for a callback; its id.
    pub fn callback(&self, number: &str) -> String {
        let reply =
            self.callback_with(&json!({ "_customer_number": number, "_call_direction": "USERTERMINATED" }));
        reply["_id"].as_str().unwrap_or_default().to_owned()
    }

    /// Asks for a callback by parameters of its own; the reply.
    ///
    /// # Panics
    /// When control refuses.
    pub fn callback_with(&self, params: &Value) -> Value {
        self.post(CALLBACKS, params)
    }

    /// A callback as it is now.
    pub fn callback_of(&self, id: &str) -> Value {
        self.get(&format!("{CALLBACKS}?_id={id}"))[0].clone()
    }

    /// Waits until a callback has a state.
    pub fn await_callback(&self, id: &str, state: &str) -> Value {
        eventually(&format!("callback {id} is {state}"), || {
            Some(self.callback_of(id)).filter(|callback| callback["_callback_state"] == state)
        })
    }

    /// Stores a contact for preview dialling; its id.
    pub fn contact(&self, number: &str, data: &Value) -> String {
        let body = json!({ "queue": "sales", "number": number, "data": data });
        self.post("/api/v1/contacts", &body)["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a contact has a state.
    pub fn await_contact(&self, id: &str, state: &str) -> Value {
        eventually(&format!("contact {id} is {state}"), || {
            Some(self.get(&format!("/api/v1/contacts/{id}"))).filter(|contact| contact["state"] == state)
        })
    }

    /// Waits for a call of a kind in a state.
    pub fn await_call(&self, kind: &str, state: &str) -> Value {
        eventually(&format!("a call of kind {kind} is {state}"), || {
            let calls = self.get("/api/v1/calls");
            calls.as_array()?.iter().find(|call| call["kind"] == kind && call["state"] == state).cloned()
        })
    }

    /// Ends all calls of a kind.
    pub fn end_calls(&self, kind: &str) {
        let calls = self.get("/api/v1/calls");
        for call in calls.as_array().into_iter().flatten() {
            if let (true, Some(id)) = (call["kind"] == kind && call["state"] != "ended", call["id"].as_str())
            {
                // Over by itself in the meantime: that is as good.
                let _ = self.ask("DELETE", &format!("/api/v1/calls/{id}"), &Value::Null);
            }
        }
    }

    /// Follows the live events from now on.
    ///
    /// # Panics
    /// When they cannot be had.
    pub fn live(&self) -> Live {
        let mut stream = TcpStream::connect(self.address).expect("control takes connections");
        let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("a request can be sent");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let status = lines.next().unwrap_or_default();
        assert!(status.contains("200"), "live events: {status}");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let events = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut topic = String::new();
            for line in lines {
                if let Some(name) = line.strip_prefix("event:") {
                    name.trim().clone_into(&mut topic);
                } else if let Some(data) = line.strip_prefix("data:") {
                    let data = serde_json::from_str(data.trim()).unwrap_or(Value::Null);
                    events.lock().unwrap_or_else(PoisonError::into_inner).push((topic.clone(), data));
                }
            }
        });
        Live { seen }
    }
}

/// Live events, as they come.
#[derive(Debug)]
pub struct Live {
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Live {
    /// All events of a topic so far.
    pub fn of(&self, topic: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(of, _)| of == topic).map(|(_, data)| data.clone()).collect()
    }

    /// Waits for an event of a topic that fits.
    pub fn wait(&self, topic: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("a live event of topic {topic}"), || self.of(topic).into_iter().find(&fits))
    }
}

const CALLBACKS: &str = "/genesys/1/service/callback/callback";
