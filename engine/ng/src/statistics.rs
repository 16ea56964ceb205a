//! `statistics`: the figures of the engine under rtpengine's names, as far as it counts the same.

use offhook_proto::{EngineInfo, Error, Reply, WorkerInfo};

use crate::failure::Failure;
use crate::root::{Body, Ng};
use crate::value::{Dict, Value};

impl Ng {
    pub(crate) fn finish_statistics(&self, results: &[Result<Body, Error>]) -> Result<Dict, Failure> {
        let body = match results.first() {
            Some(Ok(body)) => body.clone(),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Failure::error("The engine said nothing")),
        };
        let info = Reply::Ok(body).parse::<EngineInfo>().map_err(|error| Failure::from(&error))?;
        let sum = |of: fn(&WorkerInfo) -> u64| info.workers.iter().map(of).sum::<u64>();
        let sessions = self.calls.len() as u64;
        let current = Dict::default()
            .with("sessionsown", sessions)
            .with("sessionsforeign", 0_u64)
            .with("sessionstotal", sessions)
            .with("media_userspace", sum(|worker| worker.splices));
        let errors = |worker: &WorkerInfo| worker.drops.malformed + worker.drops.send_failed;
        let totals = Dict::default()
            .with("uptime", (info.uptime_ms / 1_000).to_string())
            .with("managedsessions", sessions + self.totals.terminated)
            .with("rejectedsessions", self.totals.rejected)
            .with("timeoutsessions", self.totals.timed_out)
            .with("regularterminatedsessions", self.totals.terminated - self.totals.timed_out)
            .with("relayedpackets", sum(|worker| worker.packets_forwarded))
            .with("relayedpacketerrors", sum(errors));
        let interfaces = self.config.interfaces.iter().map(|(name, address)| {
            Value::from(Dict::default().with("name", name.as_str()).with("address", address.to_string()))
        });
        let statistics = Dict::default()
            .with("currentstatistics", current)
            .with("totalstatistics", totals)
            .with("interfaces", interfaces.collect::<Vec<_>>());
        Ok(Dict::default().with("statistics", statistics).with("result", "ok"))
    }
}
