//! The two-way link between the control thread and each worker: bounded, in order, and sockets travel along.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TrySendError};
use offhook_engine_core::{WorkerCommand, WorkerReport};
use offhook_uring::Waker;
use tokio::sync::Notify;

use crate::sockets::LegSockets;

/// A command on its way to a worker, with the sockets of the leg that it brings.
#[derive(Debug)]
pub(crate) struct ToWorker {
    pub(crate) command: WorkerCommand,
    pub(crate) sockets: Option<LegSockets>,
}

/// A report on its way to the director, with the sockets of the leg that it takes away.
#[derive(Debug)]
pub(crate) struct FromWorker {
    pub(crate) report: WorkerReport,
    pub(crate) sockets: Option<LegSockets>,
}

/// The control thread's end of the link to one worker. Dropping it stops the worker.
pub(crate) struct WorkerLink {
    commands: Sender<ToWorker>,
    waker: Waker,
    /// Commands that found the channel full, in order.
    backlog: VecDeque<ToWorker>,
    unannounced: bool,
}

impl WorkerLink {
    pub(crate) fn new(commands: Sender<ToWorker>, waker: Waker) -> Self {
        Self { commands, waker, backlog: VecDeque::new(), unannounced: false }
    }

    /// Queues a command. The worker is woken by the next [`WorkerLink::flush`].
    pub(crate) fn send(&mut self, message: ToWorker) {
        self.backlog.push_back(message);
    }

    /// Hands over what the channel takes and wakes the worker, once. True when nothing is left behind.
    ///
    /// # Errors
    /// [`WorkerGone`].
    pub(crate) fn flush(&mut self) -> Result<bool, WorkerGone> {
        while let Some(message) = self.backlog.pop_front() {
            match self.commands.try_send(message) {
                Ok(()) => self.unannounced = true,
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => return Err(WorkerGone),
            }
        }
        if std::mem::take(&mut self.unannounced) {
            self.waker.wake();
        }
        Ok(self.backlog.is_empty())
    }

    /// Hangs up: the worker stops when it has executed what it was sent.
    pub(crate) fn close(self) {
        drop(self.commands);
        self.waker.wake();
    }
}

/// The worker's thread has ended.
#[derive(Debug)]
pub(crate) struct WorkerGone;

/// A worker's end.
pub(crate) struct ControlLink {
    pub(crate) worker: u16,
    pub(crate) commands: Receiver<ToWorker>,
    reports: Sender<FromWorker>,
    bell: Arc<Notify>,
    backlog: VecDeque<FromWorker>,
    unannounced: bool,
}

impl ControlLink {
    pub(crate) fn new(
        worker: u16,
        commands: Receiver<ToWorker>,
        reports: Sender<FromWorker>,
        bell: Arc<Notify>,
    ) -> Self {
        Self { worker, commands, reports, bell, backlog: VecDeque::new(), unannounced: false }
    }

    /// Queues a report. An event finds no room when control has not listened for very long: then it is dropped, as a
    /// subscriber's would be.
    pub(crate) fn send(&mut self, report: WorkerReport, sockets: Option<LegSockets>) {
        if self.backlog.len() >= EVENT_BACKLOG && matches!(report, WorkerReport::Event(_)) {
            return;
        }
        self.backlog.push_back(FromWorker { report, sockets });
    }

    /// Hands over what the channel takes and rings control's bell, once. True when nothing is left behind.
    pub(crate) fn flush(&mut self) -> bool {
        while let Some(message) = self.backlog.pop_front() {
            match self.reports.try_send(message) {
                Ok(()) => self.unannounced = true,
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    break;
                }
                // Control has gone: so shall we, once our own channel says so.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        if std::mem::take(&mut self.unannounced) {
            self.bell.notify_one();
        }
        self.backlog.is_empty()
    }
}

/// Messages in a channel, in either direction.
pub(crate) const CHANNEL: usize = 8_192;

const EVENT_BACKLOG: usize = 65_536;
