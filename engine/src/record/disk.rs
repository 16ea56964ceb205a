//! The disk: a thread with an io_uring, on which every file has a task that makes it and writes it. A disk that is slow with one
//! file holds up neither the others nor what is heard.

use std::io::Error;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

use offhook_engine_core::OpId;
use offhook_proto::{Error as Refusal, ErrorCode, RecordEnd};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};
use tracing::warn;

use super::file::Folder;
use super::sink::{Piece, Shared, Sink};
use super::{Recorded, file};

/// The recorder's end of it.
pub(crate) struct Disk {
    files: Option<UnboundedSender<NewFile>>,
    all_waiting: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A file to be made.
struct NewFile {
    op: OpId,
    folder: Folder,
    name: String,
    pieces: UnboundedReceiver<Piece>,
    shared: Arc<Shared>,
}

/// The recorder's end of one file, besides its [`Sink`].
pub(crate) struct FileEnd {
    pieces: UnboundedSender<Piece>,
    pub(crate) shared: Arc<Shared>,
}

impl Disk {
    /// Starts the thread, which tells `told` what becomes of the files.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(told: UnboundedSender<Recorded>) -> std::io::Result<Self> {
        let (files, inbox) = unbounded_channel();
        let thread = thread::Builder::new().name("recordings".into()).spawn(move || run(inbox, &told))?;
        Ok(Self { files: Some(files), all_waiting: Arc::default(), thread: Some(thread) })
    }

    /// Makes a file of so many samples a second, which is told as [`Recorded::Opened`]. It can be written at once.
    pub(crate) fn create(&self, op: OpId, folder: Folder, name: String, rate_hz: u32) -> (Sink, FileEnd) {
        let (sender, pieces) = unbounded_channel();
        let shared = Arc::new(Shared::new(rate_hz, Arc::clone(&self.all_waiting)));
        let file = NewFile { op, folder, name, pieces, shared: Arc::clone(&shared) };
        // A thread that is gone drops the file's other end, and the first write fails.
        let _ = self.files.as_ref().map(|files| files.send(file));
        (Sink::new(sender.clone(), Arc::clone(&shared)), FileEnd { pieces: sender, shared })
    }
}

impl FileEnd {
    /// Has the file closed when all is written, and tells so; `Failed` if that fails.
    pub(crate) fn close(self, ended: Recorded) {
        // A task that is gone has said why.
        let _ = self.pieces.send(Piece::Last(ended));
    }
}

impl Drop for Disk {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.files = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut inbox: UnboundedReceiver<NewFile>, told: &UnboundedSender<Recorded>) {
    match tokio_uring::Runtime::new(&tokio_uring::builder()) {
        Ok(runtime) => runtime.block_on(serve(&mut inbox, told, true)),
        Err(error) => {
            warn!(%error, "recordings are written without io_uring: a slow disk may hold up all of them");
            match tokio::runtime::Builder::new_current_thread().build() {
                Ok(runtime) => LocalSet::new().block_on(&runtime, serve(&mut inbox, told, false)),
                Err(error) => warn!(%error, "nothing is recorded"),
            }
        }
    }
}

async fn serve(inbox: &mut UnboundedReceiver<NewFile>, told: &UnboundedSender<Recorded>, ring: bool) {
    let mut tasks = Vec::new();
    while let Some(file) = inbox.recv().await {
        tasks.retain(|task: &tokio::task::JoinHandle<()>| !task.is_finished());
        tasks.push(spawn_local(write_file(file, told.clone(), ring)));
    }
    for task in tasks {
        let _ = task.await;
    }
}

async fn write_file(new: NewFile, told: UnboundedSender<Recorded>, ring: bool) {
    let NewFile { op, folder, name, mut pieces, shared } = new;
    let made = file::create(&folder, &name);
    let result = made
        .as_ref()
        .map(|_| ())
        .map_err(|error| Refusal::new(ErrorCode::System, format!("{name:?}: {error}")));
    if made.is_ok() {
        shared.note_made();
    }
    // Nobody listens any more only when the engine stops.
    let _ = told.send(Recorded::Opened { op, result });
    let target = match made {
        Ok(file) if ring => Some(Target::Ring(tokio_uring::fs::File::from_std(file))),
        Ok(file) => Some(Target::Plain(file)),
        Err(error) => {
            shared.fail(&error);
            None
        }
    };
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Block { at, bytes } => {
                let len = bytes.len();
                if let Some(target) = target.as_ref().filter(|_| shared.failure().is_none())
                    && let Err(error) = target.write(at, bytes).await
                {
                    shared.fail(&error);
                }
                shared.written(len);
            }
            Piece::Last(ended) => {
                if let Some(target) = target {
                    target.close().await;
                }
                let _ = told.send(as_it_ended(ended, &shared));
                return;
            }
        }
    }
}

/// A recording whose last bytes could not be written has failed, however it ended.
fn as_it_ended(ended: Recorded, shared: &Shared) -> Recorded {
    match (ended, shared.failure()) {
        (Recorded::Ended { leg, file, duration_ms, .. }, Some(error)) => {
            let reason = Some(error.to_string());
            Recorded::Ended { leg, file, end: RecordEnd::Failed, duration_ms, reason }
        }
        (ended, _) => ended,
    }
}

enum Target {
    Ring(tokio_uring::fs::File),
    Plain(std::fs::File),
}

impl Target {
    async fn write(&self, at: u64, bytes: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Ring(file) => file.write_all_at(bytes, at).await.0,
            Self::Plain(file) => file.write_all_at(&bytes, at),
        }
    }

    async fn close(self) {
        match self {
            // What was written is in the kernel's hands: closing adds nothing to it.
            Self::Ring(file) => drop(file.close().await),
            Self::Plain(file) => drop(file),
        }
    }
}
