//! The demonstration, as `make demo` runs it: programs and prompts by paths from where one stands.

use std::process::Command;

use offhook_tests::e2e::binary;
use serde_json::Value;

#[test]
fn the_demonstration_finds_its_programs_beside_itself_and_reports_real_calls() {
    let report = tempfile::tempdir().expect("a directory");
    let loadtest = binary("loadtest");
    let output = Command::new(&loadtest)
        .current_dir(loadtest.parent().expect("a directory"))
        .args(["demo", "--engine", "./offhook-engine", "--control", "./offhook-control", "--report-dir"])
        .arg(report.path())
        .args(["--agents", "5", "--ramp", "20/s", "--parked", "500ms", "--duration", "5s", "--drain", "60s"])
        .args(["--talk", "500ms..1s", "--max-answer-to-audio", "60s"])
        .output()
        .expect("the harness runs");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let json =
        std::fs::read(report.path().join("report.json")).unwrap_or_else(|_| panic!("no report: {said}"));
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    for kind in ["callback", "preview"] {
        assert!(json["outcomes"][kind]["talked"].as_u64() > Some(0), "{kind}: {said}");
    }
}
