//! The page of figures for Prometheus: a thread that asks the engine over its control socket, as any controller would, so that a
//! scraper is nothing that the control thread has to know of.

mod page;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use offhook_proto::auth::Key;
use offhook_proto::{AsyncClient, Command, Config, EngineInfo, Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::warn;

/// Where figures are shown, not yet open.
pub(crate) struct MetricsPage {
    listener: StdTcpListener,
}

impl MetricsPage {
    /// Takes the address.
    ///
    /// # Errors
    /// It cannot be bound.
    pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener =
            StdTcpListener::bind(address).with_context(|| format!("cannot bind --metrics {address}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it is.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves, from a thread of its own and until the process ends, what the engine with this control socket and key tells.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn open(self, control: SocketAddr, key: Option<Key>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("metrics".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(self.listener, reachable(control), key)) {
                warn!(error = format!("{error:#}"), "metrics are no longer served");
            }
        })?;
        Ok(())
    }
}

/// The control socket as this host reaches it.
fn reachable(mut control: SocketAddr) -> SocketAddr {
    if control.ip().is_unspecified() {
        control.set_ip(match control.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    control
}

async fn serve(listener: StdTcpListener, control: SocketAddr, key: Option<Key>) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let (engine, _) = AsyncClient::connect(control, key, Config::default()).await?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        let Ok((stream, _)) = listener.accept().await else {
            // Most often there are no file descriptors left; those who leave make room.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let engine = engine.clone();
        tokio::spawn(async move {
            converse(stream, &engine).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, engine: &AsyncClient) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
    let service = service_fn(|request| answer(request, engine));
    // Errors are the peer's: it left, or spoke no HTTP.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    engine: &AsyncClient,
) -> hyper::http::Result<Response<Full<Bytes>>> {
    let response = Response::builder();
    if request.uri().path() != "/metrics" {
        return response.status(StatusCode::NOT_FOUND).body("figures are at /metrics\n".into());
    }
    if request.method() != Method::GET {
        let response = response.status(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "GET");
        return response.body("figures are read by GET\n".into());
    }
    match figures(engine).await {
        Ok(figures) => {
            let page = page::page(&figures).text();
            response.header(CONTENT_TYPE, offhook_metrics::CONTENT_TYPE).body(page.into())
        }
        Err(error) => {
            response.status(StatusCode::SERVICE_UNAVAILABLE).body(format!("the engine: {error}\n").into())
        }
    }
}

async fn figures(engine: &AsyncClient) -> Result<EngineInfo, Error> {
    engine.call(Command::Statistics).await?.parse()
}

/// Most connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 16;
/// How long a request's headers may take, and how long a connection may be idle.
const HEADER_TIME: Duration = Duration::from_secs(90);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
