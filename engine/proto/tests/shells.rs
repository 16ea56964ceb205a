//! The two shells around the client, over real sockets on loopback.
#![cfg(all(feature = "blocking", feature = "tokio"))]

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offhook_proto::auth::{Envelope, Key};
use offhook_proto::{
    AsyncClient, BlockingClient, ClientEvent, Command, Config, EngineInfo, Error, ErrorCode, Event,
    EventBody, LegCreate, LegCreated, LegQuery, Reply, Request, Subscribed, WorkerInfo, frame,
};

/// Answers until it is dropped. Ignores the first datagram of each kind of command, so that clients must send again.
struct FakeEngine {
    address: SocketAddr,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeEngine {
    fn start(key: Option<Key>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("it is a socket");
        let address = socket.local_addr().expect("it is bound");
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut envelope = Envelope::engine(key, unix_ms() - 1_000);
            let mut ignored = Vec::new();
            let mut buffer = [0; 20_000];
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { continue };
                let datagram = match envelope.open(unix_ms(), &buffer[..bytes]) {
                    Ok(datagram) => datagram,
                    Err(error) => {
                        let (cookie, _) = frame::split(&buffer[..bytes]).expect("clients send cookies");
                        socket
                            .send_to(&frame::join(cookie, &Reply::Error(error)), from)
                            .expect("loopback takes it");
                        continue;
                    }
                };
                let (cookie, body) = frame::split(&datagram).expect("clients send cookies");
                let command = Request::parse(body).expect("clients send sound requests").command;
                let kind = std::mem::discriminant(&command);
                if !ignored.contains(&kind) {
                    ignored.push(kind);
                    continue;
                }
                let mut datagrams = vec![frame::join(cookie, &answer(&command))];
                if matches!(command, Command::Subscribe(_)) {
                    datagrams.extend([2, 1].map(|seq| frame::join("event", &event(seq))));
                }
                for datagram in datagrams {
                    socket.send_to(&envelope.seal(unix_ms(), datagram), from).expect("loopback takes it");
                }
            }
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the fake engine does not panic");
        }
    }
}

fn answer(command: &Command) -> Reply {
    match command {
        Command::Ping => Reply::pong(&EngineInfo { instance: "a".to_owned(), ..EngineInfo::default() }),
        Command::Statistics => Reply::ok(&EngineInfo { workers: workers(96), ..EngineInfo::default() }),
        Command::Subscribe(_) => Reply::ok(&Subscribed { instance: "a".to_owned(), seq: 0 }),
        Command::LegCreate(body) => Reply::ok(&LegCreated {
            leg: body.leg.clone(),
            rtp: SocketAddr::from(([127, 0, 0, 1], 20_000)),
            rtcp: SocketAddr::from(([127, 0, 0, 1], 20_001)),
            worker: 0,
            ssrc: 7,
        }),
        Command::LegQuery(body) => {
            Reply::Error(Error::new(ErrorCode::LegNotFound, format!("no leg is called {}", body.leg)))
        }
        _ => Reply::done(),
    }
}

/// Of a large machine, a few days on.
fn workers(count: u16) -> Vec<WorkerInfo> {
    let worker = |worker| WorkerInfo {
        worker,
        cpu: Some(u32::from(worker)),
        packets_received: 40_000_000_000,
        packets_forwarded: 40_000_000_000,
        cpu_us: 300_000_000_000,
        wakeups: 9_000_000_000,
        ..WorkerInfo::default()
    };
    (0..count).map(worker).collect()
}

fn event(seq: u64) -> Event {
    Event { instance: "a".to_owned(), seq, at_ms: 0, body: EventBody::LegAlive { leg: format!("leg-{seq}") } }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    since.as_millis().try_into().expect("it is before the year 584 million")
}

fn key() -> Option<Key> {
    Some(Key::new(b"correct horse battery staple").expect("it is long enough"))
}

/// Long, so that no test depends on the speed of the machine.
fn patient(config: Config) -> Config {
    Config { timeout_us: 20_000_000, silent_after_us: 600_000_000, ..config }
}

fn subscribing() -> Config {
    patient(Config { controller: Some("north-1".to_owned()), lease_ms: Some(30_000), ..Config::default() })
}

fn create(leg: &str) -> Command {
    Command::LegCreate(LegCreate { leg: leg.to_owned(), ..LegCreate::default() })
}

#[test]
fn a_blocking_client_calls_over_a_network_that_loses() {
    for key in [None, key()] {
        let engine = FakeEngine::start(key.clone());
        let mut client =
            BlockingClient::connect_with(engine.address, key, patient(Config::one_shot())).expect("loopback");
        let created: LegCreated = client.call(create("a")).and_then(Reply::parse).expect("it is created");
        assert_eq!((created.leg.as_str(), created.ssrc), ("a", 7));
        let error =
            client.call(Command::LegQuery(LegQuery { leg: "b".to_owned() })).expect_err("it is refused");
        assert_eq!((error.code, error.reason.as_str()), (ErrorCode::LegNotFound, "no leg is called b"));
    }
}

#[test]
fn a_blocking_client_gets_events_in_order() {
    let engine = FakeEngine::start(None);
    let mut client = BlockingClient::connect_with(engine.address, None, subscribing()).expect("loopback");
    client.call(create("a")).expect("it is created");
    let mut news = Vec::new();
    while news.len() < 3 {
        news.extend(client.next_event(Duration::from_secs(60)).expect("the socket works"));
    }
    let up = ClientEvent::EngineUp { instance: "a".to_owned() };
    assert_eq!(news, [up, ClientEvent::Event(event(1)), ClientEvent::Event(event(2))]);
}

#[test]
fn a_call_in_vain_says_what_came_in_its_way() {
    let engine = FakeEngine::start(key());
    let other = Key::new(b"another secret of mine").expect("it is long enough");
    assert_told_in_vain(engine.address, &Some(other), "the signature is wrong");
    let nobody =
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback has ports");
    assert_told_in_vain(nobody, &None, "refused");
}

/// A ping that is not answered ends with a word of what came; on a slow machine nothing comes in so short a time, and there is more.
fn assert_told_in_vain(address: SocketAddr, key: &Option<Key>, word: &str) {
    let told = [1, 4, 16].map(|seconds| seconds * 1_000_000).into_iter().any(|timeout_us| {
        let config = Config { timeout_us, ..Config::one_shot() };
        let mut client = BlockingClient::connect_with(address, key.clone(), config).expect("loopback");
        let error = client.call(Command::Ping).expect_err("it is in vain");
        assert_eq!(error.code, ErrorCode::Timeout);
        error.reason.contains(word)
    });
    assert!(told, "nothing is said of {word}");
}

#[test]
fn an_async_client_serves_many_tasks_and_its_news_come_by_channel() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
    runtime.block_on(async {
        for key in [None, key()] {
            let engine = FakeEngine::start(key.clone());
            let (client, mut news) =
                AsyncClient::connect(engine.address, key, subscribing()).await.expect("loopback");
            let tasks: Vec<_> = (0..300)
                .map(|n| {
                    let client = client.clone();
                    tokio::spawn(async move { client.call(create(&format!("leg-{n}"))).await })
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate() {
                let reply = task.await.expect("it does not panic").and_then(Reply::parse::<LegCreated>);
                assert_eq!(reply.expect("it is created").leg, format!("leg-{n}"));
            }
            let error = client.call(create("a b")).await.expect_err("it has a space");
            assert_eq!(error.code, ErrorCode::BadValue);
            let up = ClientEvent::EngineUp { instance: "a".to_owned() };
            for wanted in [up, ClientEvent::Event(event(1)), ClientEvent::Event(event(2))] {
                assert_eq!(news.recv().await, Some(wanted));
            }
            drop(client);
            assert_eq!(news.recv().await, None, "the task ends with the last handle");
        }
    });
}

#[test]
fn the_figures_of_a_machine_with_96_processors_arrive_whole() {
    let arrived =
        |reply: Result<Reply, Error>| reply.and_then(Reply::parse::<EngineInfo>).map(|info| info.workers);
    for key in [None, key()] {
        let engine = FakeEngine::start(key.clone());
        let mut client =
            BlockingClient::connect_with(engine.address, key.clone(), patient(Config::one_shot()))
                .expect("loopback");
        assert_eq!(arrived(client.call(Command::Statistics)), Ok(workers(96)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
        let reply = runtime.block_on(async {
            let (client, _) = AsyncClient::connect(engine.address, key, patient(Config::one_shot()))
                .await
                .expect("loopback");
            client.call(Command::Statistics).await
        });
        assert_eq!(arrived(reply), Ok(workers(96)));
    }
}
