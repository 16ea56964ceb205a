//! What does it cost to find the longest idle agent for a caller among ten thousand ready ones, and to let go again?

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offhook_control_core::api::{AgentBody, ApiRequest, LoginBody, StatusBody, WantedStatus};
use offhook_control_core::config::{Config, QueueConfig};
use offhook_control_core::record::Station;
use offhook_control_core::sip::{Direction, RemoteMedia, SipCommand, SipEvent};
use offhook_control_core::{CallId, Core, EngineId, Input, Now, OpId, Output};
use offhook_proto::{Command, LegCreated, LegList, Media, PlayStarted, Remote, Reply};

fn router(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choose an agent for a caller");
    group.throughput(Throughput::Elements(1));
    group.sample_size(10);
    for agents in [100, 10_000] {
        let mut centre = Centre::new(agents);
        let before = centre.dials;
        let mut callers = 0;
        group.bench_function(BenchmarkId::from_parameter(format!("{agents} agents")), |bench| {
            bench.iter(|| {
                callers += 1;
                centre.caller_comes_and_goes();
            });
        });
        assert!(centre.dials - before >= callers, "somebody's phone rang for every caller");
    }
    group.finish();
}

/// A control core with agents who are called on demand, an engine and phones that obey, and callers.
struct Centre {
    core: Core,
    now_us: u64,
    next: u64,
    /// Agents' phones that rang.
    dials: u64,
}

impl Centre {
    fn new(agents: u32) -> Self {
        let queue = QueueConfig {
            name: "sales".into(),
            skill: Some("sales".into()),
            dnis: vec!["100".into()],
            ..QueueConfig::default()
        };
        let core = Core::new(Config { queues: vec![queue], ..Config::default() }, [5; 32]);
        let mut centre = Self { core, now_us: 1_000_000, next: 0, dials: 0 };
        centre.core.start(centre.now());
        centre.pump();
        centre.take(Input::EngineUp { engine: EngineId(0), instance: "1".into(), restarted: false });
        for agent in 0..agents {
            let id = format!("agent-{agent}");
            let body = AgentBody {
                name: None,
                skills: vec!["sales".into()],
                station: Some(Station::Sip { uri: "sip:phone@127.0.0.1:5070".into() }),
                group: None,
                persistent: Some(false),
                auto_accept: Some(false),
                pin: false,
                password: None,
            };
            centre.ask(ApiRequest::PutAgent(id.as_str().into(), body));
            centre.ask(ApiRequest::Login(id.as_str().into(), LoginBody::default()));
            centre.ask(ApiRequest::SetStatus(
                id.as_str().into(),
                StatusBody { status: WantedStatus::Available },
            ));
        }
        centre
    }

    fn caller_comes_and_goes(&mut self) {
        self.next += 1;
        let call = CallId(1_000_000 + self.next);
        let incoming = SipEvent::Incoming {
            from: "+15550199".into(),
            to: "100".into(),
            remote: Some(remote()),
            trunk: true,
            headers: Vec::new(),
        };
        self.take(Input::Sip { call, event: incoming });
        self.take(Input::Sip {
            call,
            event: SipEvent::Answered { remote: remote(), at_mono_us: self.now_us },
        });
        self.take(Input::Sip { call, event: SipEvent::Ended { by_peer: true, reason: "BYE".into() } });
    }

    fn ask(&mut self, request: ApiRequest) {
        self.next += 1;
        self.take(Input::Api { op: OpId(self.next), request });
    }

    fn take(&mut self, input: Input) {
        self.now_us += 1_000;
        self.core.handle(self.now(), input);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Engine { request, command, .. } => {
                    let result = Ok(obey(&command));
                    self.core.handle(self.now(), Input::EngineReply { request, result });
                }
                Output::Sip { command: SipCommand::Dial { .. }, .. } => self.dials += 1,
                Output::Sip { call, command: SipCommand::HangUp { reason } } => {
                    let event = SipEvent::Ended { by_peer: false, reason };
                    self.core.handle(self.now(), Input::Sip { call, event });
                }
                Output::Notify(_)
                | Output::Record(_)
                | Output::Sip { .. }
                | Output::Reply { .. }
                | Output::Webhook { .. }
                | Output::Push { .. } => {}
            }
        }
    }

    fn now(&self) -> Now {
        Now { mono_us: self.now_us, unix_ms: 1_790_000_000_000 + self.now_us / 1_000 }
    }
}

fn obey(command: &Command) -> Reply {
    match command {
        Command::LegCreate(create) => {
            let (rtp, rtcp) = (([127, 0, 0, 1], 20_000).into(), ([127, 0, 0, 1], 20_001).into());
            Reply::ok(&LegCreated { leg: create.leg.clone(), rtp, rtcp, worker: 0, ssrc: 1 })
        }
        Command::LegList(_) => Reply::ok(&LegList { legs: Vec::new(), more: false, total: 0 }),
        Command::Play(play) => Reply::ok(&PlayStarted { play: play.play.clone(), duration_ms: None }),
        _ => Reply::done(),
    }
}

fn remote() -> RemoteMedia {
    RemoteMedia {
        remote: Remote { rtp: ([127, 0, 0, 2], 4_000).into(), rtcp: None },
        media: Media::default(),
        direction: Direction::SendRecv,
        srtp: offhook_proto::Srtp::Off,
        rtcp_mux: false,
    }
}

criterion_group!(benches, router);
criterion_main!(benches);
