//! What an administrator sets. The shell reads and checks the file; these are the values.

use offhook_proto::{AmdParameters, Idle, Media, ToneParameters};
use serde::{Deserialize, Serialize};

use crate::compliance::ComplianceConfig;
use crate::hours::OfficeHours;
use crate::inbound_flow::FlowConfig;
use crate::modes::ModeWish;
use crate::options::{CallDirection, Confirm, Unconfirmed};
use crate::webhooks::WebhookConfig;

/// Everything that the core is configured with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name under which the engines know this controller.
    pub controller: String,
    /// How many engines there are, from 1; taken at start.
    pub engines: u16,
    /// Whether the shell asks the trunk if it is there ([`crate::Input::Trunk`]): nobody is dialled before it has answered;
    /// taken at start.
    pub trunk_watched: bool,
    /// Encodings offered to phones and trunk, best first.
    pub media: Vec<Media>,
    /// Agents and their legs.
    pub agents: AgentConfig,
    /// How agents' phones are used.
    pub modes: ModesConfig,
    /// WAV files under the engine's prompt directory.
    pub prompts: Prompts,
    /// Country of tones that are made locally, ISO 3166 in lower case.
    pub country: String,
    /// Number shown to customers where the queue sets none.
    pub caller_id: Option<String>,
    /// Queues.
    pub queues: Vec<QueueConfig>,
    /// Callback services.
    pub services: Vec<ServiceConfig>,
    /// What callers go through before an agent is found.
    pub flows: Vec<FlowConfig>,
    /// Milliseconds without a packet after which a customer's call is ended; 0 never.
    pub customer_silent_after_ms: u32,
    /// Reports.
    pub reports: ReportConfig,
    /// Rules for calling people.
    pub compliance: ComplianceConfig,
    /// Who may be posted to.
    pub webhooks: WebhookConfig,
}

/// Reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportConfig {
    /// Days that rows are kept.
    pub retention_days: u32,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { retention_days: 90 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            controller: "control".into(),
            engines: 1,
            trunk_watched: false,
            media: vec![Media::default()],
            agents: AgentConfig::default(),
            modes: ModesConfig::default(),
            prompts: Prompts::default(),
            country: "us".into(),
            caller_id: None,
            queues: Vec::new(),
            services: Vec::new(),
            flows: Vec::new(),
            customer_silent_after_ms: 60_000,
            reports: ReportConfig::default(),
            compliance: ComplianceConfig::default(),
            webhooks: WebhookConfig::default(),
        }
    }
}

/// Agents and their off-hook legs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// Milliseconds that an agent's phone may ring.
    pub ring_timeout_ms: u32,
    /// PIN tries per validation call (PM-05).
    pub pin_attempts: u32,
    /// Times that the PIN is spoken.
    pub pin_times: u32,
    /// Milliseconds within which the PIN has to be typed.
    pub pin_timeout_ms: u32,
    /// Whether `available` calls the phone of an agent whose leg is down; else they establish it first (PC-06).
    pub establish_after_break: bool,
    /// Minutes of idleness after which the connection is closed; 0 never (PC-09).
    pub idle_timeout_min: u32,
    /// What an idle leg is sent.
    pub idle: Idle,
    /// Milliseconds without a packet after which the engine reports an agent's leg as silent, and its phone is asked by SIP
    /// whether it is there; 0 never.
    pub silent_after_ms: u32,
    /// Milliseconds without audio in one direction of a conversation, of an agent or a customer, that are told; 0 never.
    pub one_way_after_ms: u32,
    /// Pass one packet in so many of a parked leg, a power of two.
    pub park_keep_one_in: u16,
    /// Milliseconds to wait before a lost leg is dialled again.
    pub redial_delay_ms: u32,
    /// Times that a lost leg is dialled again without success before the agent is put on break.
    pub redial_attempts: u32,
    /// Milliseconds that an agent's leg may be silent during a conversation, from the engine's report on, before the
    /// customer is held and the agent is called again.
    pub silent_in_call_ms: u32,
    /// Seconds without a packet after which an agent's leg is given up although its phone answers by SIP; 0 never.
    pub media_timeout_s: u32,
    /// Seconds within which an agent whose leg was lost gets their customer back, and is not asked for a PIN (BY-03).
    pub resume_grace_s: u32,
    /// Seconds that a customer whose agent was lost is held.
    pub hold_timeout_s: u32,
    /// Seconds that an agent may speak with another about a customer; then the customer is back (PV-07).
    pub consult_timeout_s: u32,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            ring_timeout_ms: 30_000,
            pin_attempts: 3,
            pin_times: 3,
            pin_timeout_ms: 60_000,
            establish_after_break: true,
            idle_timeout_min: 0,
            idle: Idle::ComfortNoise { interval_ms: 10_000 },
            silent_after_ms: 3_000,
            one_way_after_ms: 5_000,
            park_keep_one_in: 32,
            redial_delay_ms: 1_000,
            redial_attempts: 3,
            silent_in_call_ms: 7_000,
            media_timeout_s: 0,
            resume_grace_s: 20,
            hold_timeout_s: 60,
            consult_timeout_s: 300,
        }
    }
}

/// Connection modes and automatic acceptance: the tenant's level, and what the levels below may do (PM-02, PM-13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct ModesConfig {
    /// Whether there is a persistent mode at all.
    pub persistent_enabled: bool,
    /// The tenant's mode.
    pub persistent: bool,
    /// The tenant's automatic acceptance.
    pub auto_accept: bool,
    /// Whether what is set for a group counts.
    pub groups_may_set: bool,
    /// Whether what is set for an agent counts.
    pub agents_may_set: bool,
    /// Whether agents may change their own connection mode.
    pub agents_may_change_persistent: bool,
    /// Whether agents may change their own automatic acceptance.
    pub agents_may_change_auto_accept: bool,
    /// Groups.
    pub groups: Vec<GroupModes>,
}

impl Default for ModesConfig {
    fn default() -> Self {
        Self {
            persistent_enabled: true,
            persistent: true,
            auto_accept: false,
            groups_may_set: true,
            agents_may_set: true,
            agents_may_change_persistent: false,
            agents_may_change_auto_accept: false,
            groups: Vec::new(),
        }
    }
}

/// One group of agents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupModes {
    /// Name.
    pub name: String,
    /// What it says.
    #[serde(flatten)]
    pub wish: ModeWish,
    /// Whether its agents may change their connection mode; as the tenant has it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents_may_change_persistent: Option<bool>,
    /// Whether its agents may change their automatic acceptance; as the tenant has it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents_may_change_auto_accept: Option<bool>,
}

/// WAV files, by name relative to the engine's prompt directory; an empty name plays nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// Where `0.wav` to `9.wav` are: a prefix such as `digits/`.
    pub digits: String,
    /// Before the PIN.
    pub pin_intro: String,
    /// After the right PIN.
    pub pin_ok: String,
    /// After a wrong PIN.
    pub wrong_pin: String,
    /// When the persistent connection is up, where the queue sets none (PC-04).
    pub connected: String,
    /// To an agent when a customer is joined; covers the customer while it plays (PM-14).
    pub connect_tone: String,
    /// To a customer whose agent is lost.
    pub hold: String,
    /// To a caller without a number, before the code of a callback (CB-09).
    pub access_code: String,
    /// After a wrong code.
    pub wrong_code: String,
}

impl Default for Prompts {
    fn default() -> Self {
        Self {
            digits: String::new(),
            pin_intro: "pin_intro.wav".into(),
            pin_ok: "pin_ok.wav".into(),
            wrong_pin: "wrong_pin.wav".into(),
            connected: "connected.wav".into(),
            connect_tone: String::new(),
            hold: "hold.wav".into(),
            access_code: "access_code.wav".into(),
            wrong_code: "wrong_code.wav".into(),
        }
    }
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Name.
    pub name: String,
    /// Skill that an agent needs; none = any agent.
    pub skill: Option<String>,
    /// Higher goes first.
    pub priority: i32,
    /// Numbers whose callers enter here.
    pub dnis: Vec<String>,
    /// WAV that waiting callers hear, looped; empty = ringback.
    pub music: String,
    /// Number shown to customers.
    pub caller_id: Option<String>,
    /// WAV that an agent of this skill hears when the persistent connection is up; empty = the general one (PC-04).
    pub connected: String,
    /// Milliseconds that a customer's phone may ring.
    pub ring_timeout_ms: u32,
    /// Milliseconds from the INVITE to the first ringing.
    pub setup_timeout_ms: u32,
    /// Milliseconds that an agent has for an offer.
    pub offer_timeout_ms: u32,
    /// Milliseconds of wrap-up after a conversation; 0 none.
    pub wrap_up_ms: u32,
    /// Seconds that a caller may wait; 0 = for ever.
    pub max_wait_s: u32,
    /// Attempts at a preview contact that could not be reached.
    pub max_attempts: u32,
    /// Seconds between them.
    pub retry_s: u32,
    /// Seconds until the next attempt by result code (`b`, `t`, `c`, `e`), in place of `retry_s`; 0 = never again.
    pub retry_by_result: std::collections::BTreeMap<String, u32>,
    /// What is done when a previewed contact is answered by something else than a person (CB-17).
    pub detection: DetectionConfig,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            skill: None,
            priority: 0,
            dnis: Vec::new(),
            music: "music.wav".into(),
            caller_id: None,
            connected: String::new(),
            ring_timeout_ms: 30_000,
            setup_timeout_ms: 10_000,
            offer_timeout_ms: 15_000,
            wrap_up_ms: 5_000,
            max_wait_s: 0,
            max_attempts: 1,
            retry_s: 300,
            retry_by_result: std::collections::BTreeMap::new(),
            detection: DetectionConfig::default(),
        }
    }
}

/// One callback service; its values are the defaults of a request's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Name in the path.
    pub name: String,
    /// Queue whose agents call back.
    pub queue: String,
    /// `_max_dial_attempts`.
    pub max_dial_attempts: u32,
    /// `_dial_retry_timeout`, in seconds.
    pub dial_retry_timeout_s: u32,
    /// `_ttl`, in seconds after the desired time.
    pub ttl_s: u64,
    /// `_wait_for_agent`.
    pub wait_for_agent: bool,
    /// `_request_time_bucket`: the spans, in minutes, in which scheduled callbacks are counted.
    pub request_time_bucket_min: u32,
    /// `_max_request_by_time_bucket`: most callbacks that are booked for times within one span.
    pub max_request_by_time_bucket: u32,
    /// Most callbacks of this service that wait (CB-16).
    pub max_queued: u32,
    /// Most callbacks of one number in 24 hours (CB-16).
    pub max_per_number_and_day: u32,
    /// Most requests within 300 seconds (CB-16).
    pub max_per_300_s: u32,
    /// Most requests within 3,600 seconds (CB-16).
    pub max_per_3600_s: u32,
    /// What is done when something else than a person answers (CB-17).
    pub detection: DetectionConfig,
    /// `_call_direction` (CB-03).
    pub call_direction: CallDirection,
    /// Number that customers of user-originated callbacks call; it leads to a queue (CB-09). Empty = none.
    pub access_number: String,
    /// `_provide_code`: the access number comes with a code, for customers who withhold their own number.
    pub provide_code: bool,
    /// `_wait_for_user_confirm` (CB-05).
    pub wait_for_user_confirm: bool,
    /// `_user_confirm_timeout`, in seconds.
    pub user_confirm_timeout_s: u32,
    /// `_max_notify_delivery_attempts`.
    pub max_notify_delivery_attempts: u32,
    /// `_on_user_confirm_timeout`.
    pub on_user_confirm_timeout: Unconfirmed,
    /// Where customers are asked and told: an http or https URL. Empty = nowhere.
    pub push_url: String,
    /// Key of the signature that such a request carries.
    pub push_secret: Secret,
    /// When it is open (CB-18).
    pub office_hours: OfficeHours,
    /// `_enable_reject_out_of_office_hours`: else a request waits for the next opening.
    pub reject_out_of_office_hours: bool,
}

/// A key that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl ServiceConfig {
    /// The spans in which scheduled callbacks are counted, in milliseconds.
    pub(crate) fn bucket_ms(&self) -> u64 {
        u64::from(self.request_time_bucket_min.max(1)) * 60_000
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            queue: String::new(),
            max_dial_attempts: 3,
            dial_retry_timeout_s: 300,
            ttl_s: 86_400,
            wait_for_agent: true,
            request_time_bucket_min: 5,
            max_request_by_time_bucket: 100,
            max_queued: 1_000,
            max_per_number_and_day: 6,
            max_per_300_s: 500,
            max_per_3600_s: 1_000,
            detection: DetectionConfig::default(),
            call_direction: CallDirection::UserOriginated,
            access_number: String::new(),
            provide_code: false,
            wait_for_user_confirm: false,
            user_confirm_timeout_s: 30,
            max_notify_delivery_attempts: 3,
            on_user_confirm_timeout: Unconfirmed::Fail,
            push_url: String::new(),
            push_secret: Secret::default(),
            office_hours: OfficeHours::default(),
            reject_out_of_office_hours: false,
        }
    }
}

impl ServiceConfig {
    /// What customers of user-originated callbacks call.
    pub(crate) fn access_number(&self) -> Option<String> {
        Some(self.access_number.clone()).filter(|number| !number.is_empty())
    }

    /// How its customers are asked.
    pub(crate) fn confirm(&self) -> Confirm {
        Confirm {
            timeout_s: self.user_confirm_timeout_s,
            attempts: self.max_notify_delivery_attempts,
            otherwise: self.on_user_confirm_timeout,
        }
    }
}

/// What is done when something else than a person answers a call of ours (CB-17). Where nothing makes a difference, nothing is
/// listened for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionConfig {
    /// An answering machine.
    pub machine: OnMachine,
    /// A fax.
    pub fax: OnTone,
    /// Busy, reorder, dial tone, or a special information tone.
    pub tones: OnTone,
    /// WAV left on a machine after its beep, where `machine` says so.
    pub message: String,
    /// How persons and machines are told apart.
    pub amd: AmdParameters,
    /// What counts as which tone.
    pub tone_parameters: ToneParameters,
}

/// What is done with an answering machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// As with a person.
    #[default]
    Connect,
    /// Hang up; the callback is over.
    Drop,
    /// Free the agent, leave a message after the beep; the callback is over.
    Message,
    /// Hang up; another attempt is made later.
    Retry,
}

/// What is done with a fax or a tone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTone {
    /// As with a person.
    #[default]
    Connect,
    /// Hang up; the callback is over.
    Drop,
    /// Hang up; another attempt is made later.
    Retry,
}

impl DetectionConfig {
    /// Whether anything but a person makes a difference.
    pub fn matters(&self) -> bool {
        self.machine != OnMachine::Connect || self.fax != OnTone::Connect || self.tones != OnTone::Connect
    }
}

impl Config {
    /// The queue of this name.
    pub fn queue(&self, name: &str) -> Option<&QueueConfig> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&ServiceConfig> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The flow of this name.
    pub fn flow(&self, name: &str) -> Option<&FlowConfig> {
        self.flows.iter().find(|flow| flow.name == name)
    }
}
