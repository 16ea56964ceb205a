//! Control's configuration, as far as the tests vary it.

use std::net::SocketAddr;

/// What differs from test to test; the defaults are quick.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the setting of this name in control/example.toml")]
pub struct Settings {
    /// How many engines there are.
    pub engines: usize,
    /// How many legs each engine takes.
    pub legs: usize,
    pub srtp: &'static str,
    pub trunk_srtp: &'static str,
    /// Without the brackets.
    pub digests: &'static str,
    pub hang_up_on_exit: bool,
    /// Without the brackets.
    pub codecs: &'static str,
    pub agent_ring_timeout_s: u32,
    pub pin_attempts: u32,
    pub pin_times: u32,
    pub silent_after_ms: u32,
    pub redial_delay_ms: u32,
    pub redial_attempts: u32,
    pub connected: &'static str,
    pub hold: &'static str,
    pub music: &'static str,
    pub setup_timeout_s: u32,
    pub offer_timeout_s: u32,
    pub wrap_up_s: u32,
    pub dial_retry_timeout_s: u32,
    pub max_dial_attempts: u32,
    pub on_machine: &'static str,
    pub trunk_options_every_s: u32,
    /// More lines of the callback service.
    pub service: String,
    /// `[[flow]]`s, whole.
    pub flows: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engines: 1,
            legs: 200,
            srtp: "off",
            trunk_srtp: "off",
            digests: r#""MD5", "SHA-256""#,
            hang_up_on_exit: true,
            codecs: r#""PCMU""#,
            agent_ring_timeout_s: 20,
            pin_attempts: 3,
            pin_times: 3,
            silent_after_ms: 10_000,
            redial_delay_ms: 200,
            redial_attempts: 3,
            connected: "",
            hold: "",
            music: "music.wav",
            setup_timeout_s: 10,
            offer_timeout_s: 60,
            wrap_up_s: 0,
            dial_retry_timeout_s: 2,
            max_dial_attempts: 3,
            on_machine: "connect",
            trunk_options_every_s: 0,
            service: String::new(),
            flows: String::new(),
        }
    }
}

impl Settings {
    /// The file.
    pub(crate) fn file(
        &self,
        sip: SocketAddr,
        trunk: SocketAddr,
        engines: &[SocketAddr],
        http: SocketAddr,
    ) -> String {
        let (host, port) = (trunk.ip(), trunk.port());
        let heading = if engines.len() == 1 { "[engine]" } else { "[[engine]]" };
        let engine = |address: &SocketAddr| format!("{heading}\naddress = \"{address}\"\n");
        let engines: String = engines.iter().map(engine).collect();
        let Self {
            engines: _,
            legs: _,
            srtp,
            trunk_srtp,
            digests,
            hang_up_on_exit,
            codecs,
            agent_ring_timeout_s,
            pin_attempts,
            pin_times,
            silent_after_ms,
            redial_delay_ms,
            redial_attempts,
            connected,
            hold,
            music,
            setup_timeout_s,
            offer_timeout_s,
            wrap_up_s,
            dial_retry_timeout_s,
            max_dial_attempts,
            on_machine,
            trunk_options_every_s,
            service,
            flows,
        } = self;
        format!(
            r#"[sip]
listen = "{sip}"
bindings = "bindings"
srtp = "{srtp}"
digests = [{digests}]
hang_up_on_exit = {hang_up_on_exit}
[trunk]
host = "{host}"
port = {port}
transport = "udp"
srtp = "{trunk_srtp}"
options_every_s = {trunk_options_every_s}
{engines}[journal]
path = "journal"
[http]
listen = "{http}"
[media]
codecs = [{codecs}]
[agents]
ring_timeout_s = {agent_ring_timeout_s}
pin_attempts = {pin_attempts}
pin_times = {pin_times}
silent_after_ms = {silent_after_ms}
redial_delay_ms = {redial_delay_ms}
redial_attempts = {redial_attempts}
idle_interval_ms = 200
[prompts]
connected = "{connected}"
hold = "{hold}"
[[queue]]
name = "sales"
skill = "sales"
dnis = ["+15550100"]
music = "{music}"
ring_timeout_s = 15
setup_timeout_s = {setup_timeout_s}
offer_timeout_s = {offer_timeout_s}
wrap_up_s = {wrap_up_s}
[[service]]
name = "callback"
queue = "sales"
max_dial_attempts = {max_dial_attempts}
dial_retry_timeout_s = {dial_retry_timeout_s}
on_machine = "{on_machine}"
machine_message = "connected.wav"
{service}
[compliance]
enforce = ["do_not_call"]
{flows}
"#
        )
    }
}
