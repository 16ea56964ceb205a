//! SIPp as all phones: those of the agents, the customers of a carrier, and callers.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use offhook_tests::e2e::{House, Scenario, Sipp};

/// A SIPp that counts.
pub(crate) struct Phones {
    pub(crate) name: &'static str,
    pub(crate) sipp: Sipp,
    statistics: PathBuf,
}

impl Phones {
    /// Registers `agents` with their passwords, then waits for their calls at the address that they registered.
    pub(crate) fn agents(house: &House, agents: &[String]) -> Self {
        let at = house.free();
        let users = house.folder().join("users.csv");
        let line = |agent: &String| {
            format!("{agent};[authentication username={agent} password={}]", password(agent))
        };
        let lines: Vec<String> = agents.iter().map(line).collect();
        fs::write(&users, format!("SEQUENTIAL\n{}\n", lines.join("\n")))
            .expect("a list of users can be written");
        let (users, count) = (users.display().to_string(), agents.len().to_string());
        let arguments = ["-inf", &users, "-m", &count, "-r", "100"];
        Sipp::start(at, Some(house.sip), Scenario::Own("soak_register.xml"), &[], &arguments).succeeds();
        Self::start(house, "agents", at, None, "soak_agent.xml", &[])
    }

    /// The customers of the carrier.
    pub(crate) fn customers(house: &House) -> Self {
        Self::start(house, "customers", house.trunk, None, "soak_customer.xml", &[])
    }

    /// People who call the queue, one every `every_ms`, so many.
    pub(crate) fn callers(house: &House, every_ms: u64, count: u64) -> Self {
        let (every_ms, count) = (every_ms.to_string(), count.to_string());
        let more = ["-s", "+15550100", "-r", "1", "-rp", &every_ms, "-m", &count, "-l", "1000"];
        Self::start(house, "callers", house.free(), Some(house.sip), "soak_caller.xml", &more)
    }

    fn start(
        house: &House,
        name: &'static str,
        at: SocketAddr,
        peer: Option<SocketAddr>,
        scenario: &'static str,
        more: &[&str],
    ) -> Self {
        let statistics = house.folder().join(format!("{name}.csv"));
        let (file, media) = (statistics.display().to_string(), media_address(house.host, name).to_string());
        let mut arguments = vec!["-mi", &media, "-trace_stat", "-stf", &file, "-fd", "1"];
        arguments.extend(more);
        Self { name, sipp: Sipp::start(at, peer, Scenario::Own(scenario), &[], &arguments), statistics }
    }

    /// Why calls did not go by the scenario: counts by cause, and the first complaints.
    pub(crate) fn failures(&self) -> String {
        let text = fs::read_to_string(&self.statistics).unwrap_or_default();
        let names = text.lines().next().unwrap_or_default().split(';');
        let causes = names.filter(|name| name.starts_with("Failed") && name.ends_with("(C)"));
        let counts = causes.map(|name| (name, self.count(name))).filter(|(_, count)| *count > 0);
        let mut lines: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
        // That a time is over is no complaint: scenarios go on elsewhere then.
        let errors = self.sipp.errors().replace('\r', "").replace("Aborting", "\nAborting");
        lines.extend(
            errors.lines().filter(|line| !line.contains("receive timeout")).take(60).map(str::to_owned),
        );
        lines.join("\n")
    }

    /// Its own count of this name, since its start.
    pub(crate) fn count(&self, name: &str) -> u64 {
        last(&self.statistics, name).unwrap_or(0)
    }
}

/// Every agent's password, by id.
pub(crate) fn password(agent: &str) -> String {
    format!("secret-{agent}")
}

/// Audio has an address of its own, so that no port is the engine's too.
fn media_address(host: IpAddr, name: &str) -> IpAddr {
    let IpAddr::V4(host) = host else { return host };
    let [a, b, c, _] = host.octets();
    let last = match name {
        "agents" => 201,
        "customers" => 202,
        _ => 203,
    };
    IpAddr::from([a, b, c, last])
}

/// A column of the last line that is whole.
fn last(statistics: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(statistics).ok()?;
    let mut lines = text[..text.rfind('\n')?].lines();
    let at = lines.next()?.split(';').position(|column| column == name)?;
    lines.filter_map(|line| line.split(';').nth(at)).next_back()?.parse().ok()
}
