//! Connections of TCP, whoever opened them. Each is read by a task of its own, which handles a message before it looks at the next:
//! a peer that sends more than that makes itself wait, and nobody else. The stack sends over them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use rsipstack::sip::{SipMessage, Transport};
use rsipstack::transport::tcp::TcpConnection;
use rsipstack::transport::{SipAddr, SipConnection};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::{MutexGuard, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::dialog::listener;
use super::door;
use super::flow::Flow;
use super::legible::{self, Legible};
use super::limits::{CONNECT_MS, UNREAD_MS};
use super::pieces::{Piece, Pieces};
use super::shared::{Shared, lock};

/// Which are open, by the other side's address.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<Flow, usize>>,
}

impl Connections {
    pub(crate) fn is_open(&self, flow: Flow) -> bool {
        lock(&self.open).contains_key(&flow)
    }

    fn add(&self, flow: Flow) {
        *lock(&self.open).entry(flow).or_default() += 1;
    }

    fn remove(&self, flow: Flow) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&flow) {
            *count -= 1;
            if *count == 0 {
                open.remove(&flow);
            }
        }
    }
}

/// Opens a connection where a flow wants one and there is none.
pub(crate) async fn open(shared: &Arc<Shared>, flow: Flow) -> anyhow::Result<()> {
    if !flow.tcp || shared.connections.is_open(flow) {
        return Ok(());
    }
    let opening = timeout(Duration::from_millis(CONNECT_MS), TcpStream::connect(flow.address));
    let to = || format!("no connection to {}", flow.address);
    let stream = opening.await.with_context(|| format!("{} in time", to()))?.with_context(to)?;
    let ours = listener(&shared.endpoint, Transport::Tcp).with_context(to)?;
    take_up(shared, stream, ours).await?;
    Ok(())
}

/// Takes a connection up. It can be sent to when this returns; `ours` is our address as peers are told.
pub(crate) async fn take_up(shared: &Arc<Shared>, stream: TcpStream, ours: SipAddr) -> anyhow::Result<Flow> {
    // Who does not read what it is sent loses the connection, and whoever waits to write there goes on.
    SockRef::from(&stream).set_tcp_user_timeout(Some(Duration::from_millis(UNREAD_MS)))?;
    stream.set_nodelay(true)?;
    let flow = Flow { tcp: true, address: stream.peer_addr()? };
    let connection = TcpConnection::from_stream(stream, ours, Some(shared.stopped.child_token()))?;
    let (known, is_known) = oneshot::channel();
    let (shared, stopped) = (Arc::clone(shared), shared.stopped.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = serve(shared, connection, flow, known) => {}
            () = stopped.cancelled() => {}
        }
    });
    is_known.await.context("it ended at once")?;
    Ok(flow)
}

async fn serve(shared: Arc<Shared>, connection: TcpConnection, flow: Flow, known: oneshot::Sender<()>) {
    // The stack has a loop of its own for each connection, with a queue without limit behind it. It waits for what is held here, and when
    // it gets that there is nothing to read any more: so it forgets the connection.
    let mut half = Half(connection.inner.read_half.lock().await);
    let _listed = Listed::new(&shared, flow);
    let sender = SipConnection::Tcp(connection.clone());
    shared.endpoint.transport_layer.add_connection(sender.clone());
    let _ = known.send(());
    if let Some(reader) = half.0.as_mut()
        && let Err(error) = read(&shared, reader, &connection, &sender, flow).await
    {
        tracing::debug!(peer = %flow.address, error = format!("{error:#}"), "a connection for SIP ends");
    }
}

/// Reads until the peer leaves, or says nothing for a long time.
async fn read(
    shared: &Arc<Shared>,
    reader: &mut ReadHalf<TcpStream>,
    connection: &TcpConnection,
    sender: &SipConnection,
    flow: Flow,
) -> anyhow::Result<()> {
    let idle = shared.endpoint.transport_layer.stream_idle_timeout();
    let mut pieces = Pieces::default();
    loop {
        while let Some(piece) = pieces.poll()? {
            // A peer that always has something to say leaves the processor to others in between.
            yield_now().await;
            match piece {
                Piece::Ping => connection.inner.send_raw(PONG).await?,
                Piece::Message(mut bytes) => match legible::message(&mut bytes) {
                    Legible::Message(_) => match message(&bytes, flow) {
                        Ok(message) => door::receive(shared, message, sender.clone(), flow.sip_addr()).await,
                        Err(error) => {
                            tracing::debug!(peer = %flow.address, %error, "what is no message is left out");
                        }
                    },
                    Legible::Refused(refused) => {
                        if let Some(response) = refused.response(shared, flow) {
                            shared.unread.send(sender, response).await;
                        }
                    }
                    Legible::Nothing => {}
                },
            }
        }
        if pieces.received.is_empty() {
            // Ten thousand phones say something once a minute.
            pieces.received = Vec::new();
        }
        pieces.received.reserve(READ_BYTES);
        let read = timeout(idle, reader.read_buf(&mut pieces.received)).await.context("nothing came")??;
        if read == 0 {
            return Ok(());
        }
    }
}

fn message(bytes: &[u8], flow: Flow) -> anyhow::Result<SipMessage> {
    let message = SipMessage::try_from(bytes)?;
    Ok(SipConnection::update_msg_received(message, flow.address, Transport::Tcp)?)
}

/// What a connection is read by: gone with this, however that ends.
struct Half<'a>(MutexGuard<'a, Option<ReadHalf<TcpStream>>>);

impl Drop for Half<'_> {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// A connection among those that are open.
struct Listed<'a> {
    connections: &'a Connections,
    flow: Flow,
}

impl<'a> Listed<'a> {
    fn new(shared: &'a Shared, flow: Flow) -> Self {
        shared.connections.add(flow);
        Self { connections: &shared.connections, flow }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.connections.remove(self.flow);
    }
}

/// Read at once.
const READ_BYTES: usize = 4_096;
/// Answer to a keep-alive (RFC 5626 section 4.4.1).
const PONG: &[u8] = b"\r\n";
