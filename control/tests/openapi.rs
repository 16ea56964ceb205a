//! The OpenAPI document, held against the real server.

mod binary;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use binary::{Control, Place, output};
use offhook_control_core::config::ServiceConfig;
use offhook_control_core::record::{CallbackReason, DialResult};
use offhook_control_core::report::{ArchiveRow, CallbackRow, EventRow, RefusedRow};
use offhook_control_core::view::{
    AgentView, CallView, ContactView, HealthView, ListView, OfferView, OperationView, QueueView,
    StatisticsView, TrunkView,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef";

fn server() -> Control {
    let access = "dnis = [\"+15550100\"]\n[[service]]\nname = \"callback\"\nqueue = \"support\"\naccess_number = \"+15550100\"\n\
                  push_url = \"http://127.0.0.1:9/\"\nmax_per_number_and_day = 1000\nmax_per_300_s = 1000000\nmax_per_3600_s = 1000000\n\
                  max_queued = 1000000\n";
    let more = format!("[[queue]]\nname = \"support\"\n{access}[[agent]]\nid = \"ann\"\n");
    let mut control = Place::new(&format!("token = \"{TOKEN}\""), &more).start();
    control.token = Some(TOKEN.to_owned());
    control
}

fn document(control: &Control) -> Value {
    control.read("/openapi.json")
}

#[test]
fn cb_01_every_route_of_the_document_is_there_with_its_methods_and_no_others() {
    let control = server();
    let document = document(&control);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, item) in document["paths"].as_object().expect("paths") {
        let at =
            path.replace("{service}", "callback").replace("{id}", "none").replace("{number}", "+15550199");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let known = !item[method.to_lowercase()].is_null();
            if known && item[method.to_lowercase()]["operationId"] == "listenEvents" {
                continue; // Its answer has no end.
            }
            let (status, answer) = control.raw(method, &at, "application/json", b"").expect("it answers");
            assert_eq!(status != 405, known, "{method} {path}: {status}");
            assert_ne!(answer["error"], "no_such_path", "{method} {path}");
            if known {
                let documented = &item[method.to_lowercase()]["responses"][status.to_string()];
                assert!(!documented.is_null(), "{method} {path} answers {status}");
            }
        }
    }
}

#[test]
fn cb_13_names_states_reasons_results_and_defaults_of_the_document_are_the_cores() {
    let control = server();
    let document = document(&control);
    let schemas = &document["components"]["schemas"];
    let words = |value: &Value| value.as_array().expect("a list").clone();
    let callback = &schemas["Callback"];
    let reasons = words(&callback["properties"]["_callback_reason"]["enum"]);
    assert_eq!(reasons.len(), 14, "thirteen, and none yet");
    for reason in reasons.into_iter().filter(|reason| *reason != "") {
        serde_json::from_value::<CallbackReason>(reason).expect("a reason of ours");
    }
    let results = words(&callback["patternProperties"]["^_CB_DIAL_[0-9]+_RESULT$"]["enum"]);
    assert_eq!(results.len(), 9);
    for result in results {
        serde_json::from_value::<DialResult>(result).expect("a result of ours");
    }
    for state in words(&callback["properties"]["_callback_state"]["enum"]) {
        let state = state.as_str().expect("text").to_owned();
        let path = format!("/genesys/1/service/callback/callback?_callback_state={state}");
        assert_eq!(control.read(&path), json!([]));
    }
    let wrong =
        control.send("GET", "/genesys/1/service/callback/callback?_callback_state=ASLEEP", &Value::Null);
    assert_eq!((wrong.0, &wrong.1["error"]), (400, &json!("bad_request")));

    let own = ServiceConfig::default();
    let request = &schemas["Request"]["properties"];
    for (name, default) in [
        ("_call_direction", json!(own.call_direction)),
        ("_wait_for_agent", json!(own.wait_for_agent)),
        ("_provide_code", json!(own.provide_code)),
        ("_wait_for_user_confirm", json!(own.wait_for_user_confirm)),
        ("_user_confirm_timeout", json!(own.user_confirm_timeout_s)),
        ("_max_notify_delivery_attempts", json!(own.max_notify_delivery_attempts)),
        ("_on_user_confirm_timeout", json!(own.on_user_confirm_timeout)),
        ("_ttl", json!(own.ttl_s)),
        ("_max_dial_attempts", json!(own.max_dial_attempts)),
        ("_dial_retry_timeout", json!(own.dial_retry_timeout_s)),
    ] {
        assert_eq!(request[name]["default"], default, "{name}");
    }
}

/// The example of a schema has all of its properties, and the core reads and writes it as it stands.
fn assert_written_as_shown<T: Serialize + DeserializeOwned>(schemas: &Value, name: &str) {
    let (example, schema) = (&schemas[name]["example"], &schemas[name]["properties"]);
    assert_eq!(keys(example), keys(schema), "{name}");
    let view: T = serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(serde_json::to_value(view).expect("it is JSON"), *example, "{name}");
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn objects_of_the_document_have_the_fields_that_the_core_writes() {
    let control = server();
    let document = document(&control);
    let schemas = &document["components"]["schemas"];
    assert_written_as_shown::<AgentView>(schemas, "Agent");
    assert_written_as_shown::<OfferView>(schemas, "Offer");
    assert_written_as_shown::<OperationView>(schemas, "Operation");
    assert_written_as_shown::<CallView>(schemas, "Call");
    assert_written_as_shown::<ContactView>(schemas, "Contact");
    assert_written_as_shown::<ListView>(schemas, "List");
    assert_written_as_shown::<QueueView>(schemas, "Queue");
    assert_written_as_shown::<StatisticsView>(schemas, "Statistics");
    assert_written_as_shown::<HealthView>(schemas, "Health");
    assert_written_as_shown::<TrunkView>(schemas, "Trunk");
    assert_written_as_shown::<EventRow>(schemas, "EventRow");
    assert_written_as_shown::<ArchiveRow>(schemas, "ArchiveRow");
    assert_written_as_shown::<CallbackRow>(schemas, "CallbackRow");
    assert_written_as_shown::<RefusedRow>(schemas, "RefusedRow");
}

#[test]
fn every_figure_for_prometheus_is_named_in_the_document() {
    let control = server();
    let document = document(&control);
    let described =
        document["paths"]["/metrics"]["get"]["responses"]["200"]["description"].as_str().expect("text");
    let page = control.read("/metrics");
    let told: Vec<_> = page
        .as_str()
        .expect("text")
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    assert!(told.len() > 15, "{page}");
    for (name, kind) in told {
        let name = if kind == "counter" { format!("`{name}_total") } else { format!("`{name}") };
        let ends = |at: usize| described[at + name.len()..].starts_with(['`', '{']);
        assert!(described.match_indices(&name).any(|(at, _)| ends(at)), "{name}");
    }
}

/// What schemathesis is kept from, as its random data would be dialled or posted to, is no CSV, or has no end.
const BY_HAND: [&str; 5] =
    ["putAgent", "establishConnection", "importContacts", "importDoNotCall", "listenEvents"];

#[test]
fn pc_07_what_is_not_tried_at_random_answers_as_the_document_says() {
    let control = server();
    let document = document(&control);
    let agents = "/api/v1/agents/{id}";
    for station in [
        json!({ "kind": "registered" }),
        json!({ "kind": "sip", "uri": "sip:bob@127.0.0.1:9" }),
        json!({ "kind": "number", "number": "+15550123" }),
    ] {
        let body =
            json!({ "skills": ["sales"], "station": station, "persistent": true, "password": "secret" });
        let (status, answer) = control.send("PUT", &agents.replace("{id}", "bob"), &body);
        assert_documented(&document, "put", agents, status, &answer);
    }
    let (status, answer) = control.send("PUT", &agents.replace("{id}", "no/one"), &json!({ "skill": 1 }));
    assert!(matches!(status, 400 | 404), "{status}: {answer}");
    let connection = format!("{agents}/connection");
    let (status, answer) = control.send("POST", &connection.replace("{id}", "bob"), &Value::Null);
    assert_documented(&document, "post", &connection, status, &answer);
    assert_eq!(answer["outcome"], "ignored", "bob is not logged in");
    for (path, query) in [("/api/v1/contacts/import", "?queue=sales"), ("/api/v1/do_not_call/import", "")] {
        let at = format!("{path}{query}");
        for (file, wanted) in [("number,name\n+15550199,Eve\n", 201), ("name\nEve\n", 400)] {
            let (status, answer) = control.raw("POST", &at, "text/csv", file.as_bytes()).expect("it answers");
            assert_eq!(status, wanted, "{path}: {answer}");
            assert_documented(&document, "post", path, status, &answer);
        }
    }
}

/// The answer has all fields that its schema requires, and no others than it names.
fn assert_documented(document: &Value, method: &str, path: &str, status: u16, answer: &Value) {
    let response = resolved(document, &document["paths"][path][method]["responses"][status.to_string()]);
    let schema = resolved(document, &response["content"]["application/json"]["schema"]);
    let required: BTreeSet<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let answered = keys(answer);
    assert!(!required.is_empty(), "{method} {path} {status} has no schema");
    assert!(answered.is_superset(&required), "{method} {path} {status}: {answer}");
    assert!(answered.is_subset(&keys(&schema["properties"])), "{method} {path} {status}: {answer}");
}

fn resolved<'d>(document: &'d Value, place: &'d Value) -> &'d Value {
    match place["$ref"].as_str() {
        Some(to) => document.pointer(to.trim_start_matches('#')).expect("the reference leads somewhere"),
        None => place,
    }
}

#[test]
fn cb_14_schemathesis_finds_nothing_that_the_document_does_not_say() {
    let control = server();
    let folder = tempfile::tempdir().expect("a folder");
    let names = "[parameters]\n\"path.service\" = \"callback\"\n\"query.name\" = \"support\"\n\"query.list\" = \"spring\"\n\
                 [[operations]]\ninclude-path-regex = \"^/api/v1/agents/\"\nparameters = { id = \"ann\" }\n";
    let contact = json!({ "queue": "sales", "number": "+15550199", "list": "spring" });
    assert_eq!(control.send("POST", "/api/v1/contacts", &contact).0, 201);
    assert_eq!(control.send("PUT", "/api/v1/do_not_call/+15550198", &Value::Null).0, 201);
    let by_hand = BY_HAND.iter().flat_map(|operation| ["--exclude-operation-id", operation]);
    std::fs::write(folder.path().join("schemathesis.toml"), names).expect("the names are written");
    let (status, text) = output(
        Command::new(schemathesis())
            .current_dir(folder.path())
            .args(["run", &format!("{}/openapi.json", control.base)])
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            // Data that the schema cannot refuse may be refused for what it says: a day that is in no month. A contact that was deleted is
            // still shown, as one that is disabled.
            .args(["--exclude-checks", "positive_data_acceptance,use_after_free"])
            .args(by_hand)
            // With several workers CPython 3.11 fails in `ast.parse` (SystemError), which does not know threads; all cases pass.
            .args(["--max-examples", "60", "--seed", "1", "--workers", "1", "--no-color"]),
    );
    assert!(status.success(), "{text}");
    let generated =
        text.lines().find_map(|line| line.trim().strip_suffix("skipped")?.split_once(" generated, "));
    let (cases, _) = generated.unwrap_or_default();
    assert!(cases.parse().is_ok_and(|cases: u32| cases > 100), "it tried next to nothing: {text}");
}

/// Installed by `tests/setup.sh peers`.
fn schemathesis() -> PathBuf {
    let own = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = || own("XDG_CACHE_HOME").or_else(|| Some(own("HOME")?.join(".cache")));
    let venv = own("OFFHOOK_SCHEMATHESIS").or_else(|| Some(cache()?.join("offhook/schemathesis")));
    let program = venv.map(|venv| venv.join("bin/schemathesis")).unwrap_or_default();
    assert!(program.exists(), "schemathesis is not at {}: run tests/setup.sh peers", program.display());
    program
}
