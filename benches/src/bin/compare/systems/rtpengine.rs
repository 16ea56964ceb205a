//! rtpengine in user space, over its `ng` protocol in bencode.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::bencode::{Value, parse, write_strings};
use super::{FIRST_PORT, LAST_PORT, MEDIA_ADDRESS, SetUp, System, WINDOW, free_address, start_answering};
use crate::cli::BenchArgs;
use crate::control::ControlSocket;
use crate::machine::Cpus;
use crate::process::Process;

/// A running rtpengine.
pub(super) struct Rtpengine {
    process: Process,
    control: ControlSocket,
}

impl Rtpengine {
    pub(super) fn start(args: &BenchArgs, cpus: &Cpus, threads: Option<u32>) -> Result<Self> {
        let address = free_address()?;
        let mut arguments = vec![
            "--config-file=none".to_owned(),
            "--table=-1".to_owned(),
            "--foreground".to_owned(),
            "--log-stderr".to_owned(),
            "--log-level=3".to_owned(),
            format!("--interface={MEDIA_ADDRESS}"),
            format!("--listen-ng={address}"),
            format!("--port-min={FIRST_PORT}"),
            format!("--port-max={LAST_PORT}"),
        ];
        arguments.extend(threads.map(|threads| format!("--num-threads={threads}")));
        let ping = write_strings(&[("command", "ping")]);
        let (process, control) = start_answering(cpus, &args.rtpengine, &arguments, address, &ping)
            .context("rtpengine (tests/setup.sh compare installs it)")?;
        Ok(Self { process, control })
    }
}

/// Its version, as it names it itself.
///
/// # Errors
/// It cannot be started, or says nothing like it.
pub(crate) fn version(program: &Path) -> Result<String> {
    let said = Command::new(program).arg("--version").output().context("rtpengine --version")?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.lines().find_map(|line| line.strip_prefix("Version:"));
    Ok(version.with_context(|| format!("no version of rtpengine in: {said}"))?.trim().into())
}

impl System for Rtpengine {
    fn set_up(&mut self, calls: &[[SocketAddr; 2]]) -> Result<SetUp> {
        let offers: Vec<_> = (0..).zip(calls).map(|(call, phones)| offer(call, phones[0])).collect();
        let offered = self.control.call_all(&offers, WINDOW)?;
        let answers: Vec<_> = (0..).zip(calls).map(|(call, phones)| answer(call, phones[1])).collect();
        let answered = self.control.call_all(&answers, WINDOW)?;
        // The answer's SDP goes to the caller, the offer's to the callee: each says where that phone sends.
        let ports = answered.replies.iter().zip(&offered.replies);
        let ports = ports.map(|(near, far)| Ok([media_address(near)?, media_address(far)?]));
        Ok(SetUp {
            ports: ports.collect::<Result<_>>()?,
            requests: 2 * calls.len() as u64,
            elapsed: offered.elapsed + answered.elapsed,
        })
    }

    fn process(&self) -> &Process {
        &self.process
    }
}

fn offer(call: u32, phone: SocketAddr) -> Vec<u8> {
    write_strings(&[
        ("ICE", "remove"),
        ("call-id", &format!("call-{call}")),
        ("command", "offer"),
        ("from-tag", &format!("near-{call}")),
        ("sdp", &sdp(phone)),
    ])
}

fn answer(call: u32, phone: SocketAddr) -> Vec<u8> {
    write_strings(&[
        ("ICE", "remove"),
        ("call-id", &format!("call-{call}")),
        ("command", "answer"),
        ("from-tag", &format!("near-{call}")),
        ("sdp", &sdp(phone)),
        ("to-tag", &format!("far-{call}")),
    ])
}

fn sdp(phone: SocketAddr) -> String {
    let (host, port) = (phone.ip(), phone.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Where a reply's SDP asks for audio (RFC 8866 sections 5.7 and 5.14).
fn media_address(reply: &[u8]) -> Result<SocketAddr> {
    let value = parse(reply).context("not bencode")?;
    let Some(Value::Bytes(sdp)) = value.field("sdp") else {
        bail!("rtpengine refuses: {}", String::from_utf8_lossy(reply));
    };
    let sdp = String::from_utf8_lossy(sdp);
    let after =
        |prefix: &str| sdp.lines().find_map(|line| line.trim().strip_prefix(prefix).map(str::to_owned));
    let host = after("c=IN IP4 ").context("no address in the SDP")?.parse()?;
    let media = after("m=audio ").context("no audio in the SDP")?;
    let port = media.split(' ').next().unwrap_or_default().parse()?;
    Ok(SocketAddr::new(host, port))
}
