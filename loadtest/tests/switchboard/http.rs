//! Just enough HTTP/1.1 for REST and server-sent events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};

use serde_json::Value;

/// A request, and where its answer goes.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) answer: Sender<(u16, Value)>,
    /// For the event stream: lines to be written.
    pub(crate) events: Option<Sender<String>>,
}

pub(crate) fn serve(listener: TcpListener, asked: Sender<Asked>) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = asked.clone();
            std::thread::spawn(move || converse(stream, &asked));
        }
    });
}

fn converse(stream: TcpStream, asked: &Sender<Asked>) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (answer, answered) = mpsc::channel();
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
