//! A client of the `ng` family, in bencode.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use offhook_ng::{Dict, Value, parse_bencode, write_bencode};
use offhook_proto::{frame, uninterrupted};

use crate::support::PATIENCE;

pub(crate) struct NgClient(pub(crate) UdpSocket);

static COOKIE: AtomicU64 = AtomicU64::new(1);

impl NgClient {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(address).expect("connected");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self(socket)
    }

    pub(crate) fn ask(&self, request: &Dict) -> Dict {
        let cookie = format!("t{}", COOKIE.fetch_add(1, Ordering::Relaxed));
        let mut datagram = format!("{cookie} ").into_bytes();
        write_bencode(request, &mut datagram);
        self.0.send(&datagram).expect("sent");
        let mut buffer = vec![0; 65_536];
        loop {
            let length = uninterrupted(|| self.0.recv(&mut buffer)).expect("a reply");
            let (answered, body) = frame::split(&buffer[..length]).expect("a cookie");
            if answered == cookie {
                return parse_bencode(body)
                    .unwrap_or_else(|| panic!("no dictionary: {}", String::from_utf8_lossy(body)));
            }
        }
    }

    /// The description in the reply.
    pub(crate) fn sdp(&self, request: &Dict) -> String {
        let reply = self.ask(request);
        assert_eq!(reply.text("result"), Some("ok"), "{request:?}: {reply:?}");
        reply.text("sdp").expect("a description").to_owned()
    }

    pub(crate) fn refused(&self, request: &Dict) -> String {
        let reply = self.ask(request);
        assert_eq!(reply.text("result"), Some("error"), "{request:?}: {reply:?}");
        reply.text("error-reason").expect("a reason").to_owned()
    }
}

pub(crate) fn command(name: &str, call_id: &str) -> Dict {
    Dict::default().with("command", name).with("call-id", call_id)
}

pub(crate) fn offer(call_id: &str, from: &str, sdp: &str) -> Dict {
    command("offer", call_id).with("from-tag", from).with("sdp", sdp)
}

pub(crate) fn answer(call_id: &str, from: &str, to: &str, sdp: &str) -> Dict {
    command("answer", call_id).with("from-tag", from).with("to-tag", to).with("sdp", sdp)
}

/// A description of PCMU and telephone-events at an address, with more lines.
pub(crate) fn sdp_at(audio: SocketAddr, more: &str) -> String {
    let (ip, port) = (audio.ip(), audio.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n{more}"
    )
}

/// Where a description's first audio goes.
pub(crate) fn audio_of(sdp: &str) -> SocketAddr {
    let line = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start)).expect("such a line");
    let ip = line("c=IN IP4 ").parse().expect("an address");
    let port = line("m=audio ").split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::new(ip, port)
}

/// Where the engine receives from a tag, as `query` says it.
pub(crate) fn local_of(query: &Dict, tag: &str) -> SocketAddr {
    fn dict(value: Option<&Value>) -> &Dict {
        match value {
            Some(Value::Dict(dict)) => dict,
            Some(Value::List(list)) => dict(list.first()),
            other => panic!("no dictionary: {other:?}"),
        }
    }
    let media = dict(dict(dict(query.find("tags")).find(tag)).find("medias"));
    let stream = dict(media.find("streams"));
    let ip = stream.text("local address").expect("an address").parse().expect("an IP address");
    let port = stream.find("local port").and_then(Value::int).expect("a port");
    SocketAddr::new(ip, u16::try_from(port).expect("a port"))
}
