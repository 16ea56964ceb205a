//! One TCP stream of `ng` requests.

use offhook_ng::frame::Splitter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
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
    loop {
        tokio::select! {
            read = reader.read(&mut buffer) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                splitter.push(&buffer[..read]);
                while let Some(frame) = splitter.next_frame().map_err(|_| std::io::ErrorKind::InvalidData)? {
                    if requests.send(FromStream::Frame(number, frame)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            reply = replies.recv() => match reply {
                Some(reply) => writer.write_all(&reply).await?,
                None => return Ok(()),
            },
        }
    }
}

const READ_BYTES: usize = 16_384;
