//! A browser that a test looks through: Chromium without a window, told what to do over a pipe (DevTools protocol).

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, POLL, until};

/// One page in a browser of its own. Killed when dropped.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    requests: ChildStdin,
    answers: Receiver<Value>,
    /// Answers and events that nobody has asked for yet.
    unread: VecDeque<Value>,
    last_id: u64,
    page: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium and opens `http://ADDRESS/PATH`.
    ///
    /// # Panics
    /// When there is none, or it does not answer.
    pub fn open(address: SocketAddr, path: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut process = start(&profile);
        let requests = process.stdin.take().expect("a pipe");
        let answers = listen(process.stdout.take().expect("a pipe"));
        let unread = VecDeque::new();
        let mut browser =
            Self { process, requests, answers, unread, last_id: 0, page: String::new(), _profile: profile };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.ask("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        browser.page = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, &json!({}));
        }
        browser.ask("Page.navigate", &json!({ "url": format!("http://{address}/{path}") }));
        until("the page is there", || browser.value_of("document.readyState") == "complete");
        browser
    }

    /// Makes the window so many pixels wide.
    pub fn is_wide(&mut self, pixels: u32) {
        let size = json!({ "width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
    }

    /// The value of an expression in the page.
    ///
    /// # Panics
    /// When it throws.
    pub fn value_of(&mut self, expression: &str) -> Value {
        let request = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", &request);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// The text that can be seen of an element; none when there is none or it is hidden.
    pub fn text(&mut self, selector: &str) -> Option<String> {
        let seen = format!("(e => e?.checkVisibility() ? e.innerText : null)({})", find(selector));
        self.value_of(&seen).as_str().map(str::to_owned)
    }

    /// Waits until an element shows a text.
    pub fn awaits(&mut self, selector: &str, text: &str) {
        let mut last = None;
        until(&format!("{selector} shows {text:?}"), || {
            let seen = self.text(selector);
            if seen != last {
                eprintln!("{selector}: {seen:?}");
                last.clone_from(&seen);
            }
            seen.is_some_and(|seen| seen.contains(text))
        });
    }

    /// Waits until an element can be seen, or cannot.
    pub fn awaits_sight(&mut self, selector: &str, seen: bool) {
        until(&format!("{selector} is seen: {seen}"), || self.text(selector).is_some() == seen);
    }

    /// Clicks where an element is, as soon as it is there, enabled and covered by nothing; again if the page moved it away
    /// in between.
    pub fn clicks(&mut self, selector: &str) {
        let place = format!(
            "(e => {{ if (!e?.checkVisibility() || e.disabled) return null; e.scrollIntoView({{ block: 'center' }}); \
             const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2; \
             const top = document.elementFromPoint(x, y); if (!top || (e !== top && !e.contains(top))) return null; \
             window.hit = false; e.addEventListener('click', () => window.hit = true, {{ once: true, capture: true }}); \
             return [x, y]; }})({})",
            find(selector)
        );
        until(&format!("{selector} can be clicked"), || {
            let at = self.value_of(&place);
            if at.is_null() {
                return false;
            }
            for kind in ["mousePressed", "mouseReleased"] {
                let event =
                    json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
                self.ask("Input.dispatchMouseEvent", &event);
            }
            self.value_of("window.hit") == true
        });
    }

    /// Types into whatever has the focus.
    pub fn types(&mut self, text: &str) {
        self.ask("Input.insertText", &json!({ "text": text }));
    }

    /// Presses Enter.
    pub fn enters(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Enter", "text": "\r", "windowsVirtualKeyCode": 13 });
            self.ask("Input.dispatchKeyEvent", &key);
        }
    }

    /// What went wrong in the page so far: exceptions, and what its policy forbids.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever was said before this answer has come with it.
        self.value_of("0");
        let complaint = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(event["params"]["exceptionDetails"].to_string()),
            Some("Log.entryAdded") => {
                let entry = &event["params"]["entry"];
                let is_bad = entry["level"] == "error" && entry["source"] != "network";
                is_bad.then(|| entry.to_string())
            }
            _ => None,
        };
        self.unread.iter().filter_map(complaint).collect()
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.page.is_empty() && !method.starts_with("Target.") {
            request["sessionId"] = json!(self.page);
        }
        let bytes = [request.to_string().as_bytes(), b"\0"].concat();
        self.requests.write_all(&bytes).unwrap_or_else(|error| panic!("Chromium is gone: {error}"));
        loop {
            let mut message = self
                .answers
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("{method}: Chromium says nothing: {error}"));
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.unread.push_back(message);
        }
    }
}

impl Drop for Browser {
    /// Asked to end, it tidies up its processes and files; killed when it does not.
    fn drop(&mut self) {
        let _ = self.requests.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let started = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && started.elapsed() < TIDIES_UP {
            std::thread::sleep(POLL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(profile: &TempDir) -> Process {
    let known = |name: &&&str| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
    };
    let name = *NAMES.iter().find(known).expect("Chromium is missing: run tests/setup.sh peers");
    // It reads requests from descriptor 3 and writes answers to 4.
    Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", name])
        .args(["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--no-proxy-server", "--no-first-run", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .env("HOME", profile.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"))
}

/// Messages end with a zero byte.
fn listen(stdout: ChildStdout) -> Receiver<Value> {
    let (sender, answers) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(stdout).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("Chromium writes JSON");
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    answers
}

fn find(selector: &str) -> String {
    format!("document.querySelector({})", json!(selector))
}

const TIDIES_UP: Duration = Duration::from_secs(5);
/// What it is called; first the one that is never a snap, which could not write where we want its profile.
const NAMES: [&str; 3] = ["google-chrome", "chromium", "chromium-browser"];
