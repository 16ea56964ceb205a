//! Just enough HTTP/1.1 for REST and server-sent events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};

use serde_json::Value;

/// What opens a switchboard that demands a token.
pub(crate) const TOKEN: &str = "open-sesame-0123";

/// A request, and where its answer goes.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) answer: Sender<(u16, Value)>,
    /// For the event stream: lines to be written.
    pub(crate) events: Option<Sender<String>>,
}

/// Takes requests; those without the token are refused where `guarded`.
pub(crate) fn serve(listener: TcpListener, guarded: bool, asked: Sender<Asked>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = asked.clone();
            std::thread::spawn(move || converse(stream, guarded, &asked));
        }
    });
}

fn converse(stream: TcpStream, guarded: bool, asked: &Sender<Asked>) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut allowed) = (0, !guarded);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            allowed |= header == format!("authorization: bearer {TOKEN}");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (answer, answered) = mpsc::channel();
        if !allowed {
            write!(writer, "HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        if path == "/api/v1/events" {
            let (events, lines) = mpsc::channel();
            asked.send(Asked { method, path, body, answer, events: Some(events) }).ok()?;
            return stream_events(&mut writer, &lines);
        }
        asked.send(Asked { method, path, body, answer, events: None }).ok()?;
        let (status, value) = answered.recv().ok()?;
        let text = value.to_string();
        write!(
            writer,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
        .ok()?;
    }
}

fn stream_events(writer: &mut TcpStream, lines: &Receiver<String>) -> Option<()> {
    write!(writer, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n").ok()?;
    for line in lines {
        write!(writer, "{line}").ok()?;
    }
    None
}
