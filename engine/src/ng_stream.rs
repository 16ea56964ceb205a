//! One TCP stream of `ng` requests.

use std::time::Duration;

use offhook_ng::frame::Splitter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::ng::REPLIES;

/// What a stream says.
pub(crate) enum FromStream {
    /// One request of a stream: `cookie SP dictionary`.
    Frame(u64, Vec<u8>),
    /// It has ended.
    Closed(u64),
}

/// Reads requests until the stream ends, breaks or is dropped by its owner; the sender returned takes the replies.
pub(crate) fn serve(
    number: u64,
    stream: TcpStream,
    requests: mpsc::Sender<FromStream>,
) -> mpsc::Sender<Vec<u8>> {
    let (replies_in, replies) = mpsc::channel(REPLIES);
    tokio_uring::spawn(async move {
        if let Err(error) = run(number, stream, &requests, replies).await {
            debug!(stream = number, %error, "ng stream");
        }
        // Nobody listens any more only when the engine stops.
        let _ = requests.send(FromStream::Closed(number)).await;
    });
    replies_in
}

async fn run(
    number: u64,
    mut stream: TcpStream,
    requests: &mpsc::Sender<FromStream>,
    mut replies: mpsc::Receiver<Vec<u8>>,
) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let (mut splitter, mut buffer) = (Splitter::default(), vec![0; READ_BYTES]);
    let (mut asks, mut unanswered) = (true, 0_usize);
    // One that has said all that it has to say still hears the answers.
    while asks || unanswered > 0 {
        tokio::select! {
            read = reader.read(&mut buffer), if asks => {
                let read = read?;
                asks = read > 0;
                splitter.push(&buffer[..read]);
                while let Some(frame) = splitter.next_frame().map_err(|_| std::io::ErrorKind::InvalidData)? {
                    unanswered += 1;
                    if requests.send(FromStream::Frame(number, frame)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            reply = replies.recv() => match reply {
                Some(reply) => {
                    unanswered = unanswered.saturating_sub(1);
                    // One that never reads must not hold its socket for ever.
                    let written = timeout(PATIENCE, writer.write_all(&reply)).await;
                    written.map_err(|_| std::io::ErrorKind::TimedOut)??;
                }
                None => return Ok(()),
            },
            // A frame that is an answer itself, or a request that came twice, has none.
            () = sleep(PATIENCE), if !asks => return Ok(()),
        }
    }
    Ok(())
}

/// For a peer to read a reply, and for the last replies to one that asks no more.
const PATIENCE: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16_384;
