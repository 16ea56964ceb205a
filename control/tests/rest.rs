//! The REST interface of the real binary, mostly with what it must refuse.

mod binary;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use binary::{Control, PATIENCE, Place};
use serde_json::{Value, json};

const CALLBACK: &str = "/genesys/1/service/callback/cb";

/// Every refusal has its status, a code, and a sentence with these words.
fn refused(control: &Control, method: &str, path: &str, body: &[u8], status: u16, words: &[&str]) {
    let (found, value) = control.raw(method, path, "application/json", body).expect("it answers");
    let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    assert_eq!(found, status, "{method} {path} {shown}: {value}");
    assert!(value["error"].is_string(), "{method} {path}: {value}");
    let message = value["message"].as_str().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "{method} {path} {shown}: {word} is not in {message}");
    }
}

#[test]
fn bad_input_is_refused_with_the_name_of_the_field() {
    let control = Place::new("", "[[agent]]\nid = \"ann\"\n").start();
    let ann = "/api/v1/agents/ann";
    refused(&control, "PUT", ann, b"{", 400, &["line 1"]);
    refused(&control, "PUT", ann, b"\xff\xfe", 400, &[]);
    refused(&control, "PUT", ann, b"[]", 400, &["object"]);
    refused(&control, "PUT", ann, b"{} {}", 400, &["trailing"]);
    refused(&control, "PUT", ann, br#"{"skills": "sales"}"#, 400, &["skills", "sequence"]);
    refused(&control, "PUT", ann, br#"{"skills": [1]}"#, 400, &["skills[0]"]);
    refused(&control, "PUT", ann, br#"{"persistant": true}"#, 400, &["persistant"]);
    refused(&control, "PUT", ann, br#"{"station": {"kind": "moon"}}"#, 400, &["moon"]);
    refused(&control, "PUT", ann, "[".repeat(60_000).as_bytes(), 400, &[]);
    refused(&control, "PUT", ann, &vec![b' '; 70_000], 413, &["65536"]);
    refused(&control, "PUT", "/api/v1/agents/a%20b", b"{}", 400, &[]);
    refused(&control, "PUT", "/api/v1/agents/%ff", b"{}", 400, &[]);
    refused(
        &control,
        "POST",
        "/api/v1/agents/ann/status",
        br#"{"status": "asleep"}"#,
        400,
        &["status", "asleep"],
    );
    refused(&control, "POST", "/api/v1/agents/ann/status", b"", 400, &["status"]);
    refused(&control, "POST", "/api/v1/agents/ann/pin", br#"{"pin": 1234}"#, 400, &["pin"]);
    refused(&control, "POST", "/api/v1/contacts", br#"{"number": "+1555"}"#, 400, &["queue"]);
    refused(&control, "POST", CALLBACK, b"{}", 400, &["_customer_number"]);
    refused(&control, "POST", CALLBACK, br#"{"_customer_number": {"a": 1}}"#, 400, &["_customer_number"]);
    refused(&control, "GET", "/genesys/1/service/callback/cb?_colour=red", b"", 400, &["_colour"]);
    assert_eq!(control.read(&format!("{CALLBACK}?_callback_state=QUEUED")), json!([]), "nothing was stored");
}

#[test]
fn what_does_not_exist_is_404_and_what_is_not_taken_405() {
    let control = Place::new("", "").start();
    for path in [
        "/api/v1/agents/nobody",
        "/api/v1/contacts/none",
        "/api/v1/calls/7",
        "/api/v1/calls/x",
        "/nothing",
        "/api/v2/agents",
    ] {
        refused(&control, "GET", path, b"", 404, &[]);
    }
    refused(&control, "POST", "/api/v1/agents/nobody/login", b"{}", 404, &["agent"]);
    refused(
        &control,
        "POST",
        "/genesys/1/service/callback/none",
        br#"{"_customer_number": "+15550001"}"#,
        404,
        &["service"],
    );
    refused(&control, "DELETE", "/genesys/1/service/callback/cb/none", b"", 404, &[]);
    refused(&control, "DELETE", "/api/v1/agents", b"", 405, &["DELETE"]);
}

#[test]
fn a_callback_is_taken_as_json_and_as_form_fields_and_its_number_comes_back() {
    let control = Place::new("", "").start();
    let (status, json) = control.send(
        "POST",
        CALLBACK,
        &json!({"_customer_number": "+15550001", "_call_direction": "USERTERMINATED"}),
    );
    assert_eq!(status, 200, "{json}");
    let form = b"_customer_number=%2B15550002&_wait_for_agent=true&_call_direction=USERTERMINATED";
    let (status, form) =
        control.raw("POST", CALLBACK, "application/x-www-form-urlencoded", form).expect("it answers");
    assert_eq!(status, 200, "{form}");
    for (id, number) in [(&json["_id"], "+15550001"), (&form["_id"], "+15550002")] {
        let found = control.read(&format!("{CALLBACK}?_id={}", id.as_str().expect("an id")));
        assert_eq!(found[0]["_customer_number"], number);
        assert_eq!(found.as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn cb_14_a_callback_is_found_without_its_service_and_tells_its_place_until_it_waits_no_more() {
    let control = Place::new("", "").start();
    let ask = |number: &str| {
        let body = json!({"_customer_number": number, "_call_direction": "USERTERMINATED"});
        control.send("POST", CALLBACK, &body).1["_id"].as_str().expect("an id").to_owned()
    };
    let (_first, second) = (ask("+15550001"), ask("+15550002"));
    let found = control.read(&format!("/genesys/1/service/callback?_id={second}"));
    assert_eq!(found[0]["_customer_number"], "+15550002");
    let found =
        control.read("/genesys/1/service/callback?_customer_number=%2B15550002&_callback_state=QUEUED");
    assert_eq!(found[0]["_id"], *second);
    let place = |id: &str| {
        let path = format!("/genesys/1/service/{id}/check-queue-position");
        control.send("GET", &path, &Value::Null)
    };
    assert_eq!(place(&second), (200, json!({"_position": 2, "_eta": null, "_total_waiting": 2})));
    assert_eq!(control.send("DELETE", &format!("{CALLBACK}/{second}"), &Value::Null).0, 200);
    let (status, refusal) = place(&second);
    assert_eq!((status, &refusal["error"]), (409, &json!("not_waiting")));
    let (status, refusal) = place("none");
    assert_eq!((status, &refusal["error"]), (404, &json!("not_found")));
}

#[test]
fn cb_14_callbacks_are_booked_where_there_is_room_counted_listed_cancelled_and_exported() {
    const ADMIN: &str = "/genesys/1/admin/callback";
    let control = Place::new("", "").start();
    let slots = control.read(&format!("{CALLBACK}/availability?number-of-days=1&max-time-slots=3"));
    let slots = slots.as_object().expect("times");
    assert_eq!((slots.len(), slots.values().all(|left| *left == 100)), (3, true), "{slots:?}");
    let at = slots.keys().next_back().expect("a time");
    let ask = |body: &Value| control.send("POST", CALLBACK, body).1["_id"].clone();
    let queued = ask(
        &json!({"_customer_number": "+15550001", "_call_direction": "USERTERMINATED", "colour": "red, \"dark\""}),
    );
    let booked = ask(
        &json!({"_customer_number": "+15550002", "_call_direction": "USERTERMINATED", "_desired_time": at}),
    );
    let left = control.read(&format!("{CALLBACK}/availability?start={at}&max-time-slots=1"));
    assert_eq!(left, json!({ at: 99 }));
    let marks = format!("{ADMIN}/watermarks?service_name=cb");
    assert_eq!(control.read(&marks), json!({ "services": { "cb": 1 }, "total": 1 }));
    let listed = control.read(&format!("{ADMIN}/queues?target=cb&states=SCHEDULED,ROUTING&max=10"));
    assert_eq!(listed["cb"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["cb"][0]["_id"], booked);

    let all = json!({ "reason": "CANCELLED_BY_ADMIN", "ids": [queued, booked, "none"] });
    let (status, answer) = control.send("POST", &format!("{ADMIN}/cancel"), &all);
    assert_eq!((status, &answer["cancelled"]), (200, &json!([queued, booked])), "{answer}");
    assert_eq!(answer["failed"][0]["error"], "not_found");
    assert_eq!(control.read(&marks)["total"], 0);
    let wish =
        json!({ "callback_reason": "CANCELLED_BY_ADMIN", "exported_properties": ["_service_id", "colour"] });
    let (status, report) = control.send("POST", &format!("{ADMIN}/reportcancelled"), &wish);
    let report = report.as_str().expect("CSV");
    let id = queued.as_str().expect("an id");
    assert_eq!(status, 200);
    assert!(report.starts_with("_id,_service_name,_customer_number,"), "{report}");
    assert!(report.contains(&format!("{id},cb,+15550001,COMPLETED,CANCELLED_BY_ADMIN,")), "{report}");
    assert!(report.contains(&format!(",{id},\"red, \"\"dark\"\"\"\r\n")), "{report}");
    assert_eq!(report.lines().count(), 3, "{report}");

    for (method, path, body, names) in [
        ("GET", "/genesys/1/service/callback/cb/availability?start=noon", "", "start"),
        ("GET", "/genesys/1/service/callback/cb/availability?max-time-slots=0", "", "max-time-slots"),
        ("GET", "/genesys/1/admin/callback/queues?states=ASLEEP", "", "states"),
        ("GET", "/genesys/1/admin/callback/watermarks?colour=red", "", "colour"),
        ("POST", "/genesys/1/admin/callback/cancel", "{\"ids\":[],\"reason\":\"BORED\"}", "reason"),
    ] {
        refused(&control, method, path, body.as_bytes(), 400, &[names]);
    }
}

#[test]
fn a_list_of_contacts_is_imported_from_csv_whole_or_not_at_all() {
    const IMPORT: &str = "/api/v1/contacts/import?queue=sales&list=spring";
    let control = Place::new("", "").start();
    let send = |body: &[u8]| control.raw("POST", IMPORT, "text/csv", body).expect("it answers");
    let (status, answer) = send(b"number,name\r\n+15550001,Eve\r\nnonsense,Bob\r\n");
    assert_eq!((status, &answer["error"]), (400, &json!("bad_request")), "{answer}");
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("row 2: number")), "{answer}");
    assert_eq!(control.read("/api/v1/contacts"), json!([]));

    let mut file = b"number,name\r\n".to_vec();
    for row in 0..10_000 {
        file.extend(format!("+1555{row:05},\"a name, of some length, of number {row}\"\r\n").bytes());
    }
    assert!(file.len() > 400_000, "more than other bodies may have");
    assert_eq!(send(&file), (201, json!({ "stored": 10_000 })));
    assert_eq!(control.read("/api/v1/lists"), json!([{ "list": "spring", "contacts": 10_000 }]));
    let page = control.read("/api/v1/contacts?list=spring&limit=2");
    assert_eq!((&page[0]["number"], &page[1]["number"]), (&json!("+155500000"), &json!("+155500001")));
    let last = page[1]["id"].as_str().expect("an id");
    let next = control.read(&format!("/api/v1/contacts?list=spring&limit=1&after={last}"));
    assert_eq!(next[0]["number"], "+155500002");
    let (status, removed) = control.send("DELETE", &format!("/api/v1/contacts/{last}"), &json!({}));
    assert_eq!((status, &removed["state"]), (200, &json!("disabled")));
    let disabled = control.read("/api/v1/contacts?state=disabled");
    assert_eq!(disabled.as_array().map(Vec::len), Some(1));

    refused(&control, "GET", "/api/v1/contacts?colour=red", b"", 400, &["colour"]);
    refused(&control, "GET", "/api/v1/contacts?state=lost", b"", 400, &["state"]);
    refused(&control, "GET", "/api/v1/contacts?limit=0", b"", 400, &["limit"]);
    refused(&control, "GET", "/api/v1/contacts?list=autumn", b"", 404, &["list"]);
}

#[test]
fn pv_08_reports_are_exported_page_by_page_as_json_and_csv() {
    let control = Place::new("", "").start();
    for number in ["+15550001", "+15550002", "+15550003"] {
        let body = json!({ "queue": "sales", "number": number });
        assert_eq!(control.send("POST", "/api/v1/contacts", &body).0, 201);
    }
    let first = control.read("/api/v1/queue_events?limit=2");
    assert_eq!(first["rows"].as_array().map(Vec::len), Some(2));
    let next = first["next"].as_u64().expect("a number to go on after");
    let second = control.read(&format!("/api/v1/queue_events?after={next}"));
    assert_eq!(second["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["rows"][0]["originating"], "+15550003");
    let csv = control.read("/api/v1/queue_events?format=csv");
    let lines: Vec<&str> = csv.as_str().unwrap_or_default().split("\r\n").collect();
    assert!(lines[0].starts_with("call_id,internal_iq_session_id,call_sequence,dte_start,"), "{csv}");
    assert_eq!(lines.len(), 5, "a heading, three rows and the last line's end");
    let since = |time: &str| control.read(&format!("/api/v1/queue_events?from={time}"))["rows"].clone();
    assert_eq!(since("2020-02-29T09:30:00Z").as_array().map(Vec::len), Some(3));
    assert_eq!(since("2999-01-01T00:00:00Z"), json!([]));
    for report in ["call_events", "archive", "callback_records"] {
        assert_eq!(control.read(&format!("/api/v1/{report}")), json!({ "rows": [] }));
    }
    refused(&control, "GET", "/api/v1/archive?format=xml", b"", 400, &["format"]);
    refused(&control, "GET", "/api/v1/archive?limit=10001", b"", 400, &["limit"]);
    refused(&control, "GET", "/api/v1/archive?after=x", b"", 400, &["after"]);
    refused(&control, "GET", "/api/v1/archive?from=yesterday", b"", 400, &["from"]);
}

#[test]
fn with_a_token_nothing_is_said_without_it() {
    let place = Place::new("token = \"correct-horse-battery\"", "");
    let mut control = place.start();
    for token in [None, Some("wrong"), Some("correct-horse-batter")] {
        control.token = token.map(str::to_owned);
        refused(&control, "GET", "/api/v1/agents", b"", 401, &[]);
        refused(&control, "POST", CALLBACK, br#"{"_customer_number": "+15550001"}"#, 401, &[]);
        refused(&control, "GET", "/api/v1/events", b"", 401, &[]);
        refused(&control, "GET", "/metrics", b"", 401, &[]);
    }
    assert_eq!(control.read("/healthz")["status"], "ok");
    control.token = Some("correct-horse-battery".into());
    assert_eq!(control.read("/api/v1/agents"), json!([]));
}

#[test]
fn without_a_token_pages_of_other_sites_are_refused() {
    let control = Place::new("", "").start();
    let address = control.http_address();
    let ask = |headers: &str| {
        exchange(address, &format!("GET /api/v1/agents HTTP/1.1\r\n{headers}connection: close\r\n\r\n"))
    };
    assert!(ask(&format!("host: {address}\r\n")).starts_with("HTTP/1.1 200"));
    assert!(ask(&format!("host: {address}\r\norigin: https://evil.example\r\n")).starts_with("HTTP/1.1 403"));
    assert!(ask("host: rebound.example\r\n").starts_with("HTTP/1.1 403"));
}

#[test]
fn the_page_of_figures_has_agents_queues_callbacks_engines_and_whether_the_journal_can_be_written() {
    let control = Place::new("", "").start();
    control.send("PUT", "/api/v1/agents/ann", &json!({"name": "Ann"}));
    control.send(
        "POST",
        CALLBACK,
        &json!({"_customer_number": "+15550123", "_call_direction": "USERTERMINATED"}),
    );
    let address = control.http_address();
    let answer =
        exchange(address, &format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("application/openmetrics-text"),
        "{answer}"
    );
    for sample in [
        "offhook_agents{status=\"logged_out\"} 1.0",
        "offhook_customers_waiting 1.0",
        "offhook_queue_waiting{queue=\"sales\"} 1.0",
        "offhook_engine_up{engine=\"0\"} 0.0",
        "offhook_customers_dialled_total 0.0",
        "offhook_journal_stalled 0.0",
        "offhook_one_way_audio_total{direction=\"from_agent\"} 0.0",
        "# EOF",
    ] {
        assert!(answer.lines().any(|line| line == sample), "{sample} is not in {answer}");
    }
}

#[test]
fn garbage_on_the_socket_disturbs_nobody() {
    let control = Place::new("", "").start();
    let garbage: Vec<u8> = (0..4_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(control.http_address()).expect("it accepts");
        let _ = stream.write_all(&garbage);
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1_000_000));
    let mut stream = TcpStream::connect(control.http_address()).expect("it accepts");
    let _ = stream.write_all(long.as_bytes());
    assert_eq!(control.read("/healthz")["status"], "ok");
}

#[test]
fn live_events_are_numbered_and_replayed_from_the_last_one_seen() {
    let control = Place::new("", "").start();
    let mut first = Events::open(&control, None);
    control.send("PUT", "/api/v1/agents/ann", &json!({"name": "Ann"}));
    control.send("PUT", "/api/v1/agents/bob", &json!({"name": "Bob"}));
    let ann = first.next("agent");
    let bob = first.next("agent");
    assert_eq!((&ann.1["name"], &bob.1["name"]), (&json!("Ann"), &json!("Bob")));
    drop(first);
    let mut again = Events::open(&control, Some(&ann.0));
    assert_eq!(again.next("agent"), bob);
    let mut old = Events::open(&control, Some("17"));
    assert_eq!(old.next("reset").1, json!({}));
    let (status, error) = (refused_last_id(&control), "Last-Event-ID");
    assert!(status.contains(error), "{status}");
}

#[test]
fn the_console_has_nothing_from_elsewhere_and_runs_no_script_but_its_own() {
    let control = Place::new("token = \"correct-horse-battery\"", "").start();
    let address = control.http_address();
    for (path, kind) in [("/", "text/html"), ("/console.css", "text/css"), ("/console.js", "text/javascript")]
    {
        let get = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        let part = exchange(address, &get);
        assert!(part.starts_with("HTTP/1.1 200"), "{path} is there without a token: {part}");
        assert!(part.contains(&format!("content-type: {kind}; charset=utf-8")), "{part}");
        assert!(part.contains("content-security-policy: default-src 'none'") && !part.contains("unsafe-"));
        for elsewhere in ["src=\"http", "href=\"http", "url(http", "@import", "style=", " onclick="] {
            assert!(!part.contains(elsewhere), "{path}: {elsewhere}");
        }
    }
}

fn refused_last_id(control: &Control) -> String {
    let address = control.http_address();
    exchange(
        address,
        &format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\nlast-event-id: x\r\nconnection: close\r\n\r\n"
        ),
    )
}

fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn a_body_that_nobody_looks_at_is_read_all_the_same_and_its_connection_takes_the_next_request() {
    let control = Place::new("", "[[agent]]\nid = \"ann\"\n").start();
    let address = control.http_address();
    for (line, status) in
        [("POST /api/v1/agents/ann/hangup", "409"), ("POST /banana", "404"), ("DELETE /api/v1/agents", "405")]
    {
        let mut stream = TcpStream::connect(address).expect("it accepts");
        write!(stream, "{line} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 2\r\n\r\n").expect("sent");
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).expect("a timeout");
        assert!(stream.read(&mut [0; 1]).is_err(), "{line}: answered before it was whole");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let next = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        write!(stream, "{{}}{next}").expect("sent");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("two answers");
        assert!(answers.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{line}: {answers}");
    }
}

/// A listener of live events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(control: &Control, last: Option<&str>) -> Self {
        let address = control.http_address();
        let mut stream = TcpStream::connect(address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut events = Self(BufReader::new(stream));
        while events.line() != ": live" {}
        events
    }

    /// Id and data of the next event of this name.
    fn next(&mut self, name: &str) -> (String, Value) {
        loop {
            let line = self.line();
            if line != format!("event: {name}") {
                continue;
            }
            let mut fields = [String::new(), String::new()];
            for _ in 0..2 {
                let line = self.line();
                match line.split_once(": ") {
                    Some(("id", id)) => fields[0] = id.to_owned(),
                    Some(("data", data)) => fields[1] = data.to_owned(),
                    _ => panic!("{line} is no part of an event"),
                }
            }
            let [id, data] = fields;
            return (id, serde_json::from_str(&data).expect("data is JSON"));
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).expect("the stream goes on"), 0, "the stream ended");
        line.trim_end().to_owned()
    }
}

#[test]
fn by_08_the_do_not_call_list_and_the_ledger_are_there_as_json_and_csv() {
    let control = Place::new("", "[compliance]\nenforce = [\"do_not_call\", \"calling_hours\"]\n").start();
    let list = "/api/v1/do_not_call";
    let csv = b"number,name\r\n+15550001,Eve\r\n+15550002,Bob\r\n";
    let (status, body) =
        control.raw("POST", "/api/v1/do_not_call/import", "text/csv", csv).expect("it answers");
    assert_eq!((status, body), (201, json!({ "stored": 2 })));
    assert_eq!(control.read(&format!("{list}?after=15550001")), json!({ "numbers": ["15550002"] }));
    let (status, text) = control.raw("GET", &format!("{list}?format=csv"), "", b"").expect("it answers");
    assert_eq!((status, text), (200, json!("number\r\n15550001\r\n15550002\r\n")));
    refused(&control, "POST", list, br#"{"numbers": ["+15550003", "banana"]}"#, 400, &["number 2"]);
    refused(&control, "POST", "/api/v1/do_not_call/import", b"name\r\nEve\r\n", 400, &["number"]);
    refused(&control, "GET", "/api/v1/do_not_call/%2B15550003", b"", 404, &[]);
    refused(&control, "GET", "/api/v1/do_not_call?limit=0", b"", 400, &["limit"]);
    let (status, _) = control.raw("PUT", "/api/v1/do_not_call/%2B15550003", "", b"").expect("it answers");
    assert_eq!(status, 201);
    let (status, _) = control.raw("DELETE", "/api/v1/do_not_call/15550001", "", b"").expect("it answers");
    assert_eq!(status, 200);
    let ledger = control.read("/api/v1/compliance");
    assert_eq!((&ledger["do_not_call"], &ledger["campaigns"]), (&json!(2), &json!([])));
    assert_eq!(ledger["enforced"], json!(["do_not_call", "calling_hours"]));
    assert_eq!(ledger["enforced_callbacks"], json!(["do_not_call"]));
    assert_eq!(control.read("/api/v1/refused_dials")["rows"], json!([]));
}
