//! The sizes of a ring.

use crate::error::SetupError;

/// The sizes of a [`Ring`](crate::Ring), all fixed at its creation.
#[derive(Debug, Clone)]
pub struct RingConfig {
    /// Operations queued between two system calls; a power of two, 8 to 32,768. A full queue submits itself.
    pub submissions: u32,
    /// Completions held before the kernel falls back to its slow overflow list; a power of two, at least
    /// `submissions`, at most 65,536.
    pub completions: u32,
    /// Sockets registered at one time; 1 to 1,048,576, and within RLIMIT_NOFILE.
    pub files: u32,
    /// Whether the process keeps a descriptor of each registered socket. Without, `files` sockets take no descriptor, and
    /// each call outside of the ring takes one for as long as it lasts; see [`holds_sockets_alone`](crate::holds_sockets_alone).
    pub keep_descriptors: bool,
    /// Datagrams received and not yet sent on or dropped; a power of two, 8 to 32,768.
    pub receive_buffers: u16,
    /// Longest payload received, in bytes; 64 to 65,535. A longer datagram arrives truncated, and says so.
    pub receive_len: usize,
    /// Packets of our own making queued at one time; 1 to 32,768.
    pub send_buffers: u16,
    /// Longest payload of our own making, in bytes; 64 to 65,535.
    pub send_len: usize,
}

impl Default for RingConfig {
    /// A worker with some four thousand legs: about 10 MB of buffers, resident as they are used.
    fn default() -> Self {
        Self {
            submissions: 1024,
            completions: 16_384,
            files: 16_384,
            keep_descriptors: true,
            receive_buffers: 4096,
            receive_len: 2000,
            send_buffers: 1024,
            send_len: 1456,
        }
    }
}

impl RingConfig {
    pub(crate) fn validate(&self) -> Result<(), SetupError> {
        let lens = 64..=65_535;
        let rules = [
            (self.submissions.is_power_of_two(), "submissions must be a power of two"),
            ((8..=32_768).contains(&self.submissions), "submissions must lie between 8 and 32,768"),
            (self.completions.is_power_of_two(), "completions must be a power of two"),
            (
                (self.submissions..=65_536).contains(&self.completions),
                "completions must lie between submissions and 65,536",
            ),
            ((1..=1 << 20).contains(&self.files), "files must lie between 1 and 1,048,576"),
            (self.receive_buffers.is_power_of_two(), "receive_buffers must be a power of two"),
            ((8..=32_768).contains(&self.receive_buffers), "receive_buffers must lie between 8 and 32,768"),
            (lens.contains(&self.receive_len), "receive_len must lie between 64 and 65,535"),
            ((1..=32_768).contains(&self.send_buffers), "send_buffers must lie between 1 and 32,768"),
            (lens.contains(&self.send_len), "send_len must lie between 64 and 65,535"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(SetupError::Config(rule)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert!(RingConfig::default().validate().is_ok());
    }

    #[test]
    fn a_size_that_is_no_power_of_two_is_refused_by_name() {
        let error = RingConfig { receive_buffers: 1000, ..RingConfig::default() }.validate().unwrap_err();
        assert!(error.to_string().contains("receive_buffers must be a power of two"), "{error}");
    }

    #[test]
    fn a_completion_queue_shorter_than_the_submission_queue_is_refused() {
        let error = RingConfig { completions: 512, ..RingConfig::default() }.validate().unwrap_err();
        assert!(error.to_string().contains("completions must lie between"), "{error}");
    }
}
