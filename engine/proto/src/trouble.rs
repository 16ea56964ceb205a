//! Why nothing arrives, for whoever waits in vain.

use std::io;

use crate::{Error, ErrorCode, Reply, frame};

/// The last thing that kept a datagram from arriving.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<String>);

impl Trouble {
    pub(crate) fn on_error(&mut self, error: &io::Error) {
        self.0 = Some(error.to_string());
    }

    /// An engine answers without a signature to whom it does not trust.
    pub(crate) fn on_unopened(&mut self, datagram: &[u8], error: &Error) {
        let refusal =
            frame::split(datagram).ok().and_then(|(_, body)| serde_json::from_slice::<Reply>(body).ok());
        self.0 = Some(match refusal {
            Some(Reply::Error(refusal)) => format!("an answer without signature says: {refusal}"),
            Some(Reply::Ok(_)) | None => format!("an answer was refused: {error}"),
        });
    }

    /// A timeout with its probable cause; other errors as they are.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match &self.0 {
            Some(trouble) if error.code == ErrorCode::Timeout => {
                Error::new(error.code, format!("{} ({trouble})", error.reason))
            }
            Some(_) | None => error,
        }
    }
}
