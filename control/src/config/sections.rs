//! The sections of the file, key by key.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use offhook_control_core::api::AgentBody;
use offhook_control_core::config::{
    AgentConfig, GroupModes, ModesConfig, Prompts, QueueConfig, ReportConfig, Secret, ServiceConfig,
};
use offhook_control_core::hours::OfficeHours;
use offhook_control_core::modes::ModeWish;
use offhook_control_core::options::{CallDirection, Unconfirmed};
use offhook_control_core::record::Station;
use offhook_control_core::webhooks::WebhookConfig;
use offhook_control_core::{AgentId, Config as CoreConfig};
use offhook_proto::{Dscp, Idle};

use super::detection::detection;
use super::table::Table;
use super::{Config, Engine, Http, Sip};
use crate::sip::{Algorithm, Security, TrunkConfig, TrunkCredential, TrunkTransport};

pub(super) fn read(mut root: Table<'_, '_>, folder: &Path) -> Config {
    let sip = sip(root.table("sip"), folder);
    let trunk = trunk(root.table("trunk"));
    let (engines, controller) = engines(root.table_or_tables("engine"), folder);
    let journal = journal(root.table("journal"), folder);
    let http = http(root.table("http"));
    let mut core = CoreConfig {
        controller,
        engines: u16::try_from(engines.len()).unwrap_or(1),
        trunk_watched: trunk.as_ref().is_some_and(|trunk| trunk.options_every_s.is_some()),
        ..CoreConfig::default()
    };
    core.media = super::media::media(root.table("media"), &mut core);
    core.agents = agents(root.table("agents"));
    core.modes = modes(root.table("modes"), root.tables("group"));
    core.prompts = prompts(root.table("prompts"));
    core.queues = queues(root.tables("queue"));
    core.reports = reports(root.table("reports"));
    core.compliance = super::compliance::compliance(root.table("compliance"));
    core.webhooks = webhooks(root.table("webhooks"));
    core.services = services(root.tables("service"), &core);
    let agents = root.tables("agent").into_iter().map(|table| agent(table, &core.modes)).collect();
    core.flows = super::flows::flows(root.tables("flow"), &core);
    root.finish();
    Config { sip, trunk, engines, journal, http, core, agents }
}

fn sip(mut table: Table<'_, '_>, folder: &Path) -> Sip {
    let sip = Sip {
        listen: table.parsed("listen", ADDRESS).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5060))),
        advertise: table.parsed("advertise", ADDRESS),
        realm: table.text("realm").unwrap_or_else(|| "offhook".into()),
        digests: digests(&mut table),
        session_expires_s: match table.number("session_expires_s", 0..=86_400) {
            Some(0) => None,
            Some(seconds @ 1..90) => {
                table.refuse(
                    "session_expires_s",
                    &format!("must be 0 or at least 90 (RFC 4028), not {seconds}"),
                );
                None
            }
            Some(seconds) => Some(seconds),
            None => Some(1_800),
        },
        options_every_s: probe_interval(&mut table),
        dscp: dscp(&mut table),
        bindings: table.path("bindings", folder),
        hang_up_on_exit: table.flag("hang_up_on_exit").unwrap_or(true),
        srtp: security(&mut table),
    };
    table.finish();
    sip
}

/// What phones are challenged with, in this order.
fn digests(table: &mut Table<'_, '_>) -> Vec<Algorithm> {
    let Some(names) = table.texts("digests") else { return vec![Algorithm::Md5, Algorithm::Sha256] };
    let known: Option<Vec<Algorithm>> = names.iter().map(|name| Algorithm::of(name)).collect();
    let mut known = known.unwrap_or_default();
    known.dedup();
    if known.is_empty() || known.len() != names.len() {
        table.refuse("digests", "must be \"MD5\", \"SHA-256\" or both, each once");
    }
    known
}

/// A code point by name or number; [`Dscp::CS3`] when absent.
fn dscp(table: &mut Table<'_, '_>) -> Dscp {
    let Some(text) = table.text_or_number("dscp") else { return Dscp::CS3 };
    text.parse().unwrap_or_else(|error| {
        table.refuse("dscp", &format!("must be {error}, not \"{text}\""));
        Dscp::CS3
    })
}

fn trunk(mut table: Table<'_, '_>) -> Option<TrunkConfig> {
    if !table.is_present() {
        return None;
    }
    let host = table.needed_text("host");
    let mut trunk = TrunkConfig::new(&host, table.number("port", 1..=65_535).unwrap_or(5060));
    let transports =
        [("udp", TrunkTransport::Udp), ("tcp", TrunkTransport::Tcp), ("auto", TrunkTransport::Auto)];
    trunk.transport = table.choice("transport", &transports).unwrap_or_default();
    trunk.srtp = security(&mut table);
    trunk.options_every_s = probe_interval(&mut table);
    trunk.register = table.flag("register").unwrap_or(false);
    trunk.register_expires_s = table.number("register_expires_s", 60..=86_400).unwrap_or(300);
    trunk.caller_id = table.text("caller_id");
    trunk.credential = match (table.text("username"), table.text("password")) {
        (Some(username), Some(password)) => Some(TrunkCredential { username, password }),
        (None, None) => None,
        (Some(_), None) => {
            table.refuse("username", "needs a password beside it");
            None
        }
        (None, Some(_)) => {
            table.refuse("password", "needs a username beside it");
            None
        }
    };
    if trunk.register && trunk.credential.is_none() {
        table.refuse("register", "needs username and password");
    }
    let sources = table.texts("sources").unwrap_or_default();
    trunk.sources = sources.iter().filter_map(|source| source.parse::<IpAddr>().ok()).collect();
    if trunk.sources.len() != sources.len() {
        table.refuse("sources", "must be a list of IP addresses");
    }
    table.finish();
    Some(trunk)
}

/// Seconds between two OPTIONS; 0 is none.
fn probe_interval(table: &mut Table<'_, '_>) -> Option<u32> {
    table.number("options_every_s", 0..=3_600).filter(|seconds| *seconds > 0)
}

fn security(table: &mut Table<'_, '_>) -> Security {
    let words = [("off", Security::Off), ("optional", Security::Optional), ("required", Security::Required)];
    table.choice("srtp", &words).unwrap_or_default()
}

/// The engines, and our name at all of them.
fn engines(tables: Vec<Table<'_, '_>>, folder: &Path) -> (Vec<Engine>, String) {
    let several = tables.len() > 1;
    let mut engines: Vec<Engine> = Vec::with_capacity(tables.len());
    let mut controller = None;
    for (index, mut table) in tables.into_iter().enumerate() {
        if index >= MAX_ENGINES {
            table.refuse("address", &format!("is one too many: {MAX_ENGINES} engines are possible"));
        }
        let engine = engine(&mut table, several, folder);
        if engines.iter().any(|other| other.address == engine.address) {
            table.refuse("address", "is that of another engine too");
        }
        let name = table.text("controller").unwrap_or_else(|| "control".into());
        if offhook_proto::validate::name("controller", &name).is_err() {
            table.refuse("controller", "must be 1 to 64 of A-Z a-z 0-9 . _ -");
        }
        if *controller.get_or_insert_with(|| name.clone()) != name {
            table.refuse("controller", "has to be the same at all engines");
        }
        table.finish();
        engines.push(engine);
    }
    (engines, controller.unwrap_or_else(|| "control".into()))
}

fn engine(table: &mut Table<'_, '_>, several: bool, folder: &Path) -> Engine {
    Engine {
        address: table.parsed("address", ADDRESS).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 2223))),
        key_file: table.path("key_file", folder),
        lease_ms: table.number("lease_ms", 1_000..=3_600_000).unwrap_or(60_000),
        // Alone, it is waited for; beside another one, its legs are moved.
        silent_after_ms: table.number("silent_after_ms", 200..=60_000).unwrap_or(if several {
            1_000
        } else {
            3_000
        }),
    }
}

fn journal(mut table: Table<'_, '_>, folder: &Path) -> PathBuf {
    let path = table.path("path", folder).unwrap_or_else(|| folder.join("offhook.journal"));
    table.finish();
    path
}

fn http(mut table: Table<'_, '_>) -> Http {
    let http = Http {
        listen: table.parsed("listen", ADDRESS).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
        token: table.text("token"),
    };
    if !http.listen.ip().is_loopback() && http.token.as_ref().is_none_or(|token| token.len() < 16) {
        table.refuse("listen", "is not on loopback: that needs http.token of at least 16 characters");
    }
    table.finish();
    http
}

fn agents(mut table: Table<'_, '_>) -> AgentConfig {
    let mut agents = AgentConfig::default();
    set(&mut agents.ring_timeout_ms, seconds(&mut table, "ring_timeout_s", 5, 300));
    set(&mut agents.pin_attempts, table.number("pin_attempts", 1..=10));
    set(&mut agents.pin_times, table.number("pin_times", 1..=10));
    set(&mut agents.pin_timeout_ms, seconds(&mut table, "pin_timeout_s", 10, 600));
    set(&mut agents.establish_after_break, table.flag("establish_after_break"));
    set(&mut agents.idle_timeout_min, table.number("idle_timeout_min", 0..=1_440));
    set(&mut agents.silent_after_ms, table.number("silent_after_ms", 0..=600_000));
    set(&mut agents.one_way_after_ms, table.number("one_way_after_ms", 0..=600_000));
    if (1..1_000).contains(&agents.one_way_after_ms) {
        table.refuse("one_way_after_ms", "must be 0, or 1000 to 600000");
    }
    set(&mut agents.media_timeout_s, table.number("media_timeout_s", 0..=86_400));
    set(&mut agents.park_keep_one_in, table.number("park_keep_one_in", 1..=1_024));
    if !agents.park_keep_one_in.is_power_of_two() {
        table.refuse("park_keep_one_in", "must be a power of two");
    }
    set(&mut agents.resume_grace_s, table.number("resume_grace_s", 0..=600));
    set(&mut agents.hold_timeout_s, table.number("hold_timeout_s", 5..=3_600));
    set(&mut agents.silent_in_call_ms, table.number("silent_in_call_ms", 1_000..=600_000));
    set(&mut agents.consult_timeout_s, table.number("consult_timeout_s", 10..=3_600));
    set(&mut agents.redial_delay_ms, table.number("redial_delay_ms", 0..=600_000));
    set(&mut agents.redial_attempts, table.number("redial_attempts", 0..=100));
    let interval_ms = table.number("idle_interval_ms", 20..=60_000).unwrap_or(10_000);
    let kinds = [
        ("none", Idle::None),
        ("silence", Idle::Silence),
        ("comfort_noise", Idle::ComfortNoise { interval_ms }),
        ("keepalive", Idle::Keepalive { interval_ms: interval_ms.max(1_000) }),
    ];
    agents.idle = table.choice("idle", &kinds).unwrap_or(Idle::ComfortNoise { interval_ms });
    table.finish();
    agents
}

fn modes(mut table: Table<'_, '_>, groups: Vec<Table<'_, '_>>) -> ModesConfig {
    let mut modes = ModesConfig::default();
    set(&mut modes.persistent_enabled, table.flag("persistent_enabled"));
    set(&mut modes.persistent, table.flag("persistent"));
    set(&mut modes.auto_accept, table.flag("auto_accept"));
    set(&mut modes.groups_may_set, table.flag("groups_may_set"));
    set(&mut modes.agents_may_set, table.flag("agents_may_set"));
    set(&mut modes.agents_may_change_persistent, table.flag("agents_may_change_persistent"));
    set(&mut modes.agents_may_change_auto_accept, table.flag("agents_may_change_auto_accept"));
    table.finish();
    for mut table in groups {
        let group = GroupModes {
            name: table.needed_text("name"),
            wish: ModeWish { persistent: table.flag("persistent"), auto_accept: table.flag("auto_accept") },
            agents_may_change_persistent: table.flag("agents_may_change_persistent"),
            agents_may_change_auto_accept: table.flag("agents_may_change_auto_accept"),
        };
        if modes.group(Some(&group.name)).is_some() && !group.name.is_empty() {
            table.refuse("name", "is the name of another group");
        }
        table.finish();
        modes.groups.push(group);
    }
    modes
}

fn prompts(mut table: Table<'_, '_>) -> Prompts {
    let mut prompts = Prompts::default();
    set(&mut prompts.digits, table.text("digits"));
    set(&mut prompts.pin_intro, table.text("pin_intro"));
    set(&mut prompts.pin_ok, table.text("pin_ok"));
    set(&mut prompts.wrong_pin, table.text("wrong_pin"));
    set(&mut prompts.connected, table.text("connected"));
    set(&mut prompts.connect_tone, table.text("connect_tone"));
    set(&mut prompts.hold, table.text("hold"));
    set(&mut prompts.access_code, table.text("access_code"));
    set(&mut prompts.wrong_code, table.text("wrong_code"));
    table.finish();
    prompts
}

fn reports(mut table: Table<'_, '_>) -> ReportConfig {
    let mut reports = ReportConfig::default();
    set(&mut reports.retention_days, table.number("retention_days", 1..=3_660));
    table.finish();
    reports
}

fn queues(tables: Vec<Table<'_, '_>>) -> Vec<QueueConfig> {
    let mut names = BTreeSet::new();
    let mut dnis = BTreeSet::new();
    tables.into_iter().map(|table| queue(table, &mut names, &mut dnis)).collect()
}

fn queue(mut table: Table<'_, '_>, names: &mut BTreeSet<String>, dnis: &mut BTreeSet<String>) -> QueueConfig {
    let mut queue = QueueConfig { name: table.needed_text("name"), ..QueueConfig::default() };
    if !names.insert(queue.name.clone()) && !queue.name.is_empty() {
        table.refuse("name", "is the name of another queue");
    }
    queue.skill = table.text("skill");
    set(&mut queue.priority, table.number("priority", -1_000..=1_000));
    queue.dnis = table.texts("dnis").unwrap_or_default();
    for number in &queue.dnis {
        if !dnis.insert(number.clone()) {
            table.refuse("dnis", &format!("names {number}, which leads to a queue already"));
        }
    }
    set(&mut queue.music, table.text("music"));
    queue.caller_id = table.text("caller_id");
    set(&mut queue.connected, table.text("connected"));
    set(&mut queue.ring_timeout_ms, seconds(&mut table, "ring_timeout_s", 15, 300));
    set(&mut queue.setup_timeout_ms, seconds(&mut table, "setup_timeout_s", 1, 60));
    set(&mut queue.offer_timeout_ms, seconds(&mut table, "offer_timeout_s", 1, 3_600));
    set(&mut queue.wrap_up_ms, seconds(&mut table, "wrap_up_s", 0, 86_400));
    set(&mut queue.max_wait_s, table.number("max_wait_s", 0..=86_400));
    set(&mut queue.max_attempts, table.number("max_attempts", 1..=100));
    set(&mut queue.retry_s, table.number("retry_s", 1..=604_800));
    for (code, key) in
        [("b", "retry_busy_s"), ("t", "retry_no_answer_s"), ("c", "retry_setup_s"), ("e", "retry_error_s")]
    {
        if let Some(seconds) = table.number(key, 0..=604_800) {
            queue.retry_by_result.insert(code.into(), seconds);
        }
    }
    queue.detection = detection(&mut table);
    table.finish();
    queue
}

fn webhooks(mut table: Table<'_, '_>) -> WebhookConfig {
    let allowed_hosts = table.texts("allowed_hosts").unwrap_or_default();
    if let Some(wrong) = allowed_hosts.iter().find(|text| !WebhookConfig::is_entry(text)) {
        let what = format!(
            "must be hosts such as \"crm.example\", \"*.example.com\" or \"10.0.0.5:8443\", not \"{wrong}\""
        );
        table.refuse("allowed_hosts", &what);
    }
    table.finish();
    WebhookConfig { allowed_hosts }
}

fn services(tables: Vec<Table<'_, '_>>, core: &CoreConfig) -> Vec<ServiceConfig> {
    let mut names = BTreeSet::new();
    tables.into_iter().map(|table| service(table, &mut names, core)).collect()
}

fn service(mut table: Table<'_, '_>, names: &mut BTreeSet<String>, core: &CoreConfig) -> ServiceConfig {
    let mut service = ServiceConfig { name: table.needed_text("name"), ..ServiceConfig::default() };
    if !names.insert(service.name.clone()) && !service.name.is_empty() {
        table.refuse("name", "is the name of another service");
    }
    service.queue = table.needed_text("queue");
    if !service.queue.is_empty() && !core.queues.iter().any(|queue| queue.name == service.queue) {
        table.refuse("queue", &format!("names a queue that is not in this file: \"{}\"", service.queue));
    }
    set(&mut service.max_dial_attempts, table.number("max_dial_attempts", 1..=100));
    set(&mut service.dial_retry_timeout_s, table.number("dial_retry_timeout_s", 1..=604_800));
    set(&mut service.ttl_s, table.number("ttl_s", 1..=31_536_000));
    set(&mut service.wait_for_agent, table.flag("wait_for_agent"));
    set(&mut service.request_time_bucket_min, table.number("request_time_bucket_min", 5..=120));
    if ![5, 10, 15, 20, 30, 60, 120].contains(&service.request_time_bucket_min) {
        table.refuse("request_time_bucket_min", "must be 5, 10, 15, 20, 30, 60 or 120");
    }
    let most = table.number("max_request_by_time_bucket", 1..=1_000_000);
    set(&mut service.max_request_by_time_bucket, most);
    set(&mut service.max_queued, table.number("max_queued", 1..=1_000_000));
    set(&mut service.max_per_number_and_day, table.number("max_per_number_and_day", 1..=1_000));
    set(&mut service.max_per_300_s, table.number("max_per_300_s", 1..=1_000_000));
    set(&mut service.max_per_3600_s, table.number("max_per_3600_s", 1..=1_000_000));
    service.detection = detection(&mut table);
    set(&mut service.call_direction, table.choice("call_direction", &CallDirection::NAMES));
    set(&mut service.access_number, table.text("access_number"));
    let leads = |queue: &QueueConfig| queue.dnis.contains(&service.access_number);
    if !service.access_number.is_empty() && !core.queues.iter().any(leads) {
        table.refuse("access_number", "leads to no queue: it has to be among the dnis of one");
    }
    set(&mut service.provide_code, table.flag("provide_code"));
    if service.provide_code && service.access_number.is_empty() {
        table.refuse("provide_code", "needs an access_number beside it");
    }
    confirmation(&mut table, &mut service, &core.webhooks);
    office_hours(&mut table, &mut service);
    table.finish();
    service
}

/// How customers are asked whether they are ready, or told that they may call (CB-05).
fn confirmation(table: &mut Table<'_, '_>, service: &mut ServiceConfig, webhooks: &WebhookConfig) {
    set(&mut service.wait_for_user_confirm, table.flag("wait_for_user_confirm"));
    set(&mut service.user_confirm_timeout_s, table.number("user_confirm_timeout_s", 1..=3_600));
    set(&mut service.max_notify_delivery_attempts, table.number("max_notify_delivery_attempts", 1..=100));
    set(&mut service.on_user_confirm_timeout, table.choice("on_user_confirm_timeout", &Unconfirmed::NAMES));
    set(&mut service.push_url, table.text("push_url"));
    if !service.push_url.is_empty()
        && !["http://", "https://"].iter().any(|scheme| service.push_url.starts_with(scheme))
    {
        table.refuse("push_url", "must be an http or https URL");
    }
    if !service.push_url.is_empty() && !webhooks.allows(&service.push_url) {
        table.refuse("push_url", "names a host that is not among webhooks.allowed_hosts");
    }
    set(&mut service.push_secret, table.text("push_secret").map(Secret));
    if service.wait_for_user_confirm && service.push_url.is_empty() {
        table.refuse("wait_for_user_confirm", "needs a push_url beside it");
    }
    if service.wait_for_user_confirm && !service.wait_for_agent {
        table.refuse("wait_for_user_confirm", "needs wait_for_agent = true beside it");
    }
}

/// When a service is open (CB-18).
fn office_hours(table: &mut Table<'_, '_>, service: &mut ServiceConfig) {
    let zone = table.text("time_zone").unwrap_or_default();
    let spans = table.texts("office_hours").unwrap_or_default();
    let closed = table.texts("closed").unwrap_or_default();
    match OfficeHours::parse(&zone, &spans, &closed) {
        Ok(hours) => service.office_hours = hours,
        Err(why) => table.refuse("office_hours", &format!("cannot be read: {why}")),
    }
    set(&mut service.reject_out_of_office_hours, table.flag("enable_reject_out_of_office_hours"));
}

fn agent(mut table: Table<'_, '_>, modes: &ModesConfig) -> (AgentId, AgentBody) {
    let id = table.needed_text("id");
    let long = id.len() > offhook_control_core::limits::AGENT_ID_BYTES;
    if !id.is_empty() && (long || offhook_proto::validate::name("id", &id).is_err()) {
        table.refuse("id", "must be 1 to 40 of A-Z a-z 0-9 . _ -");
    }
    let station = match (table.text("uri"), table.text("number")) {
        (Some(uri), None) => Station::Sip { uri },
        (None, Some(number)) => Station::Number { number },
        (None, None) => Station::Registered,
        (Some(_), Some(_)) => {
            table.refuse("number", "stands beside uri: an agent has one workplace");
            Station::Registered
        }
    };
    let body = AgentBody {
        name: table.text("name"),
        skills: table.texts("skills").unwrap_or_default(),
        station: Some(station),
        group: table.text("group"),
        persistent: table.flag("persistent"),
        auto_accept: table.flag("auto_accept"),
        pin: table.flag("pin").unwrap_or(false),
        password: table.text("password"),
    };
    if let Some(group) = body.group.as_deref().filter(|group| modes.group(Some(group)).is_none()) {
        table.refuse("group", &format!("names a group that is not in this file: \"{group}\""));
    }
    table.finish();
    (AgentId(id), body)
}

pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn seconds(table: &mut Table<'_, '_>, key: &'static str, least: u32, most: u32) -> Option<u32> {
    table.number(key, least..=most).map(|seconds| seconds * 1_000)
}

/// Most engines.
const MAX_ENGINES: usize = 64;
const ADDRESS: &str = "an address and port such as \"127.0.0.1:5060\"";
