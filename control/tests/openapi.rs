//! The OpenAPI document of the callback services, held against the real server.

mod binary;

use std::path::PathBuf;
use std::process::Command;

use binary::{Control, Place, output};
use offhook_control_core::config::ServiceConfig;
use offhook_control_core::record::{CallbackReason, DialResult};
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef";

fn server() -> Control {
    let access = "dnis = [\"+15550100\"]\n[[service]]\nname = \"callback\"\nqueue = \"support\"\naccess_number = \"+15550100\"\n\
                  push_url = \"http://127.0.0.1:9/\"\nmax_per_number_and_day = 1000\nmax_per_300_s = 1000000\nmax_per_3600_s = 1000000\n\
                  max_queued = 1000000\n";
    let more = format!("[[queue]]\nname = \"support\"\n{access}");
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
        let at = path.replace("{service}", "callback").replace("{id}", "none");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let known = !item[method.to_lowercase()].is_null();
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

#[test]
fn cb_14_schemathesis_finds_nothing_that_the_document_does_not_say() {
    let control = server();
    let folder = tempfile::tempdir().expect("a folder");
    let names = "[parameters]\n\"path.service\" = \"callback\"\n\"query.name\" = \"support\"\n";
    std::fs::write(folder.path().join("schemathesis.toml"), names).expect("the names are written");
    let (status, text) = output(
        Command::new(schemathesis())
            .current_dir(folder.path())
            .args(["run", &format!("{}/openapi.json", control.base)])
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            // Data that the schema cannot refuse may be refused for what it says: a day that is in no month.
            .args(["--exclude-checks", "positive_data_acceptance"])
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
