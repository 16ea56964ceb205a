//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::plan::Mix;
use crate::sip::Transport;
use crate::units::{Keys, Millis, Ports, Rate, Share, Span};

/// Plays agents' phones, a carrier and the agents' console against Offhook, and proves who heard whom.
#[derive(Debug, Parser)]
#[command(version, about, args_override_self = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs against a control and an engine that are already up.
    Run(RunArgs),
    /// Starts engine and control, runs against them, and stops them.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Control's REST address.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) control: String,
    /// File with the token of control's REST interface, where it demands one (its setting `http.token`).
    #[arg(long)]
    pub(crate) token_file: Option<PathBuf>,
    /// Control's SIP address.
    #[arg(long, default_value = "127.0.0.1:5060")]
    pub(crate) sip: SocketAddr,
    /// Process id of the engine, whose CPU is then measured.
    #[arg(long)]
    pub(crate) engine_pid: Option<u32>,
    /// Process id of control, whose CPU is then measured.
    #[arg(long)]
    pub(crate) control_pid: Option<u32>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The offhook-engine binary.
    #[arg(long)]
    pub(crate) engine: PathBuf,
    /// The offhook-control binary.
    #[arg(long)]
    pub(crate) control: PathBuf,
    /// Processors that the engine gets, as 0 or 0,1.
    #[arg(long, default_value = "0")]
    pub(crate) engine_cpus: String,
    /// RTP ports of the engine; they must not overlap with --rtp-ports.
    #[arg(long, default_value = "30000-49999")]
    pub(crate) engine_ports: Ports,
    /// More arguments of the engine, as --engine-arg=--kernel.
    #[arg(long = "engine-arg", allow_hyphen_values = true)]
    pub(crate) engine_args: Vec<String>,
    /// How many engines; with several, control spreads the legs over them.
    #[arg(long, default_value_t = 1)]
    pub(crate) engines: u16,
    /// Kill control (SIGKILL) so long after the start, and start it again 3 s later.
    #[arg(long)]
    pub(crate) kill_control_at: Option<Millis>,
    /// Kill the first engine (SIGKILL) so long after the start, and start it again 3 s later.
    #[arg(long)]
    pub(crate) kill_engine_at: Option<Millis>,
    /// Keep the directory with configurations, journal and logs.
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Where the harness's trunk listens; control's trunk must point here.
    #[arg(long, default_value = "127.0.0.1:5080")]
    pub(crate) trunk_listen: SocketAddr,
    /// Where the agents' phones listen.
    #[arg(long, default_value = "127.0.0.1:5070")]
    pub(crate) phones_listen: SocketAddr,
    /// What carries SIP between phones and control: datagrams, or one connection, as SIPp's -t u1 and -t t1.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) phones_transport: Transport,
    /// The same between the trunk and control, whose trunk must be set so.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) trunk_transport: Transport,
    /// Address of the endpoints' RTP.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) media_ip: IpAddr,
    /// Ports of the endpoints' RTP and RTCP.
    #[arg(long, default_value = "20000-29999")]
    pub(crate) rtp_ports: Ports,
    /// How many agents go off hook.
    #[arg(long, default_value_t = 200)]
    pub(crate) agents: usize,
    /// How fast they do.
    #[arg(long, default_value = "20/s")]
    pub(crate) ramp: Rate,
    /// How long all stay parked before the first call; their cost is measured meanwhile.
    #[arg(long, default_value = "10s")]
    pub(crate) parked: Millis,
    /// Callback requests.
    #[arg(long, default_value = "2/s")]
    pub(crate) callbacks: Rate,
    /// Contacts for preview dialling.
    #[arg(long, default_value = "1/s")]
    pub(crate) previews: Rate,
    /// Inbound calls.
    #[arg(long, default_value = "0.5/s")]
    pub(crate) inbound: Rate,
    /// Hold so many calls at once by callbacks, in place of --callbacks; --callbacks is then the fastest rate of requests.
    #[arg(long, default_value_t = 0)]
    pub(crate) concurrent: usize,
    /// How long calls are made; none are begun after it.
    #[arg(long, default_value = "60s")]
    pub(crate) duration: Millis,
    /// How long the last calls may take to end.
    #[arg(long, default_value = "60s")]
    pub(crate) drain: Millis,
    /// Chooses what every customer and agent does.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Customers who are busy.
    #[arg(long, default_value = "10%")]
    pub(crate) busy: Share,
    /// Customers who do not answer.
    #[arg(long, default_value = "5%")]
    pub(crate) no_answer: Share,
    /// Customers who decline (603).
    #[arg(long, default_value = "2%")]
    pub(crate) decline: Share,
    /// Numbers that are not in use (404).
    #[arg(long, default_value = "2%")]
    pub(crate) not_in_use: Share,
    /// Customers who hang up just after answering.
    #[arg(long, default_value = "5%")]
    pub(crate) early_hangup: Share,
    /// How long those stay.
    #[arg(long, default_value = "0ms..500ms")]
    pub(crate) early_after: Span,
    /// How long customers let it ring.
    #[arg(long, default_value = "500ms..3s")]
    pub(crate) ring: Span,
    /// How long conversations last.
    #[arg(long, default_value = "5s..20s")]
    pub(crate) talk: Span,
    /// Conversations that the customer ends; agents end the others.
    #[arg(long, default_value = "50%")]
    pub(crate) customer_ends: Share,
    /// How long a customer who has answered waits for an agent.
    #[arg(long, default_value = "20s")]
    pub(crate) patience: Millis,
    /// How long agents take to answer their phone.
    #[arg(long, default_value = "100ms..600ms")]
    pub(crate) phone_answer: Span,
    /// How long agents take to accept or reject an offer.
    #[arg(long, default_value = "200ms..1s")]
    pub(crate) accept_after: Span,
    /// Offers that agents reject, where they are asked.
    #[arg(long, default_value = "2%")]
    pub(crate) reject: Share,
    /// Agents whose offers are accepted for them.
    #[arg(long, default_value = "50%")]
    pub(crate) auto_accept: Share,
    /// Wrap-up time of agents.
    #[arg(long, default_value = "500ms..2s")]
    pub(crate) wrap_up: Span,
    /// Agents who have to type the PIN that their phone speaks; needs --prompts.
    #[arg(long, default_value = "0%")]
    pub(crate) pin: Share,
    /// Directory with the engine's digit recordings, 0.wav to 9.wav.
    #[arg(long)]
    pub(crate) prompts: Option<PathBuf>,
    /// Keys that both sides press in each conversation that is long enough for them (RFC 4733): the other side has to hear
    /// each one once.
    #[arg(long)]
    pub(crate) keys: Option<Keys>,
    /// Keys that inbound callers press, for a flow with a menu; `demo` gives control one that leads to an agent by these keys
    /// alone.
    #[arg(long)]
    pub(crate) menu_keys: Option<Keys>,
    /// How long after the answer they do.
    #[arg(long, default_value = "1s")]
    pub(crate) menu_after: Millis,
    /// Endpoints send no RTCP reports (RFC 3550): no round trip is measured.
    #[arg(long)]
    pub(crate) no_rtcp: bool,
    /// Callback service.
    #[arg(long, default_value = "demo")]
    pub(crate) service: String,
    /// Queue of the contacts.
    #[arg(long, default_value = "demo")]
    pub(crate) queue: String,
    /// Number that inbound callers dial.
    #[arg(long, default_value = "+31200000000")]
    pub(crate) dnis: String,
    /// Skill that agents get.
    #[arg(long, default_value = "demo")]
    pub(crate) skill: String,
    /// Customers' numbers begin with this.
    #[arg(long, default_value = "+3197")]
    pub(crate) number_prefix: String,
    /// Packets sent after a call's end, or from where the other side was before it moved, that may still be heard.
    #[arg(long, default_value_t = 25)]
    pub(crate) tail_packets: u64,
    /// Slowest answer-to-audio time, at the 99th percentile, that passes.
    #[arg(long, default_value = "500ms")]
    pub(crate) max_answer_to_audio: Millis,
    /// Fail also when packets left late, which says more about this machine than about the engine.
    #[arg(long)]
    pub(crate) strict_pacing: bool,
    /// Processes are killed in this run: it is judged by callbacks and agents, not by lost packets.
    #[arg(skip)]
    pub(crate) crashes: bool,
    /// Where report.json and report.html go.
    #[arg(long, default_value = "loadtest-report")]
    pub(crate) report_dir: PathBuf,
}

impl LoadArgs {
    /// The customers' part.
    pub(crate) fn mix(&self) -> Mix {
        Mix {
            busy: self.busy,
            no_answer: self.no_answer,
            decline: self.decline,
            not_in_use: self.not_in_use,
            early_hangup: self.early_hangup,
            customer_ends: self.customer_ends,
            ring: self.ring,
            talk: self.talk,
            early_after: self.early_after,
        }
    }
}
