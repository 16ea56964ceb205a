//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};

use crate::plan::Mix;
use crate::sip::Transport;
use crate::units::{Keys, Millis, Ports, Rate, Share, Span};

/// How values are written.
const VALUES: &str = "Values: TIME is 200ms, 60s or 5m; RATE 20/s or 30/min; SHARE 10% or 0.1.";

/// Plays agents' phones, a carrier and the agents' console against Offhook, and proves who heard whom.
#[derive(Debug, Parser)]
#[command(version, about, args_override_self = true, after_help = VALUES)]
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
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) control: String,
    /// File with the token of control's REST interface, where it demands one (its setting `http.token`).
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Control's SIP address.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5060")]
    pub(crate) sip: SocketAddr,
    /// Process id of the engine, whose CPU is then measured.
    #[arg(long, value_name = "PID")]
    pub(crate) engine_pid: Option<u32>,
    /// Process id of control, whose CPU is then measured.
    #[arg(long, value_name = "PID")]
    pub(crate) control_pid: Option<u32>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The offhook-engine binary.
    #[arg(long, value_name = "FILE")]
    pub(crate) engine: PathBuf,
    /// The offhook-control binary.
    #[arg(long, value_name = "FILE")]
    pub(crate) control: PathBuf,
    /// Processors for the engine, as 0 or 0,1.
    #[arg(long, value_name = "LIST", default_value = "0")]
    pub(crate) engine_cpus: String,
    /// RTP ports of the engine; they must not overlap with --rtp-ports.
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-49999")]
    pub(crate) engine_ports: Ports,
    /// More arguments of the engine, as --engine-arg=--kernel.
    #[arg(long = "engine-arg", value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) engine_args: Vec<String>,
    /// How many engines; with several, control spreads the legs over them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) engines: u16,
    /// Kill control (SIGKILL) this long after the start, and start it again 3 s later.
    #[arg(long, value_name = "TIME")]
    pub(crate) kill_control_at: Option<Millis>,
    /// Kill the first engine (SIGKILL) this long after the start, and start it again 3 s later.
    #[arg(long, value_name = "TIME")]
    pub(crate) kill_engine_at: Option<Millis>,
    /// Keep the directory with configurations, journal and logs.
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Where the trunk that is played listens; control's `[trunk]` must point here.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5080")]
    pub(crate) trunk_listen: SocketAddr,
    /// Where the agents' phones listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5070")]
    pub(crate) phones_listen: SocketAddr,
    /// What carries SIP between phones and control: datagrams, or one connection, as SIPp's -t u1 and -t t1.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) phones_transport: Transport,
    /// The same between trunk and control; control's `[trunk]` must have the same transport.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) trunk_transport: Transport,
    /// Address of the endpoints' RTP.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) media_ip: IpAddr,
    /// Ports of the endpoints' RTP and RTCP.
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-29999")]
    pub(crate) rtp_ports: Ports,
    /// How many agents go off hook.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) agents: usize,
    /// How fast they go off hook; 0: all at once.
    #[arg(long, value_name = "RATE", default_value = "20/s")]
    pub(crate) ramp: Rate,
    /// How long all stay parked before the first call; their cost is measured meanwhile.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) parked: Millis,
    /// Callback requests.
    #[arg(long, value_name = "RATE", default_value = "2/s")]
    pub(crate) callbacks: Rate,
    /// Contacts for preview dialling.
    #[arg(long, value_name = "RATE", default_value = "1/s")]
    pub(crate) previews: Rate,
    /// Inbound calls.
    #[arg(long, value_name = "RATE", default_value = "0.5/s")]
    pub(crate) inbound: Rate,
    /// Hold this many calls at once by requesting callbacks; --callbacks is then the highest rate of requests. 0: not held.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) concurrent: usize,
    /// How long new calls are made.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) duration: Millis,
    /// How long the last calls may take to end.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) drain: Millis,
    /// Seed of the random choices: what every customer and agent does.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Customers who are busy.
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    pub(crate) busy: Share,
    /// Customers who do not answer.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub(crate) no_answer: Share,
    /// Customers who decline (603).
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    pub(crate) decline: Share,
    /// Numbers that are not in use (404).
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    pub(crate) not_in_use: Share,
    /// Customers who hang up just after answering.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub(crate) early_hangup: Share,
    /// How long after answering those hang up.
    #[arg(long, value_name = "TIME..TIME", default_value = "0ms..500ms")]
    pub(crate) early_after: Span,
    /// How long customers let it ring.
    #[arg(long, value_name = "TIME..TIME", default_value = "500ms..3s")]
    pub(crate) ring: Span,
    /// How long conversations last.
    #[arg(long, value_name = "TIME..TIME", default_value = "5s..20s")]
    pub(crate) talk: Span,
    /// Conversations that the customer ends; agents end the others.
    #[arg(long, value_name = "SHARE", default_value = "50%")]
    pub(crate) customer_ends: Share,
    /// How long a customer who has answered waits for an agent.
    #[arg(long, value_name = "TIME", default_value = "20s")]
    pub(crate) patience: Millis,
    /// How long agents take to answer their phone.
    #[arg(long, value_name = "TIME..TIME", default_value = "100ms..600ms")]
    pub(crate) phone_answer: Span,
    /// How long agents take to accept or reject an offer.
    #[arg(long, value_name = "TIME..TIME", default_value = "200ms..1s")]
    pub(crate) accept_after: Span,
    /// Offers that agents reject, where they are asked.
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    pub(crate) reject: Share,
    /// Agents whose offers are accepted for them.
    #[arg(long, value_name = "SHARE", default_value = "50%")]
    pub(crate) auto_accept: Share,
    /// Wrap-up time of agents.
    #[arg(long, value_name = "TIME..TIME", default_value = "500ms..2s")]
    pub(crate) wrap_up: Span,
    /// Agents who have to type the PIN that their phone speaks; needs --prompts.
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    pub(crate) pin: Share,
    /// Directory with the engine's digit recordings, 0.wav to 9.wav.
    #[arg(long, value_name = "DIR")]
    pub(crate) prompts: Option<PathBuf>,
    /// Keys that both sides press in each conversation that is long enough for them (RFC 4733): the other side has to hear
    /// each one once.
    #[arg(long, value_name = "KEYS")]
    pub(crate) keys: Option<Keys>,
    /// Keys that inbound callers press, for a flow with a menu; `demo` gives control one that leads to an agent by these keys
    /// alone.
    #[arg(long, value_name = "KEYS")]
    pub(crate) menu_keys: Option<Keys>,
    /// How long after the answer they press them.
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) menu_after: Millis,
    /// Endpoints send no RTCP reports (RFC 3550): no round trip is measured.
    #[arg(long)]
    pub(crate) no_rtcp: bool,
    /// Callback service.
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub(crate) service: String,
    /// Queue of the contacts.
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub(crate) queue: String,
    /// Number that inbound callers dial.
    #[arg(long, value_name = "NUMBER", default_value = "+31200000000")]
    pub(crate) dnis: String,
    /// Skill that agents get.
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub(crate) skill: String,
    /// Prefix of customers' numbers.
    #[arg(long, value_name = "DIGITS", default_value = "+3197")]
    pub(crate) number_prefix: String,
    /// Packets sent after a call's end, or from where the other side was before it moved, that may still be heard.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub(crate) tail_packets: u64,
    /// Highest answer-to-audio time at the 99th percentile that passes.
    #[arg(long, value_name = "TIME", default_value = "500ms")]
    pub(crate) max_answer_to_audio: Millis,
    /// Fail also when packets left late, which says more about the machine than about the engine.
    #[arg(long)]
    pub(crate) strict_pacing: bool,
    /// Processes are killed in this run: it is judged by callbacks and agents, not by lost packets.
    #[arg(skip)]
    pub(crate) crashes: bool,
    /// Where report.json and report.html go.
    #[arg(long, value_name = "DIR", default_value = "loadtest-report")]
    pub(crate) report_dir: PathBuf,
}

impl LoadArgs {
    /// Finds what no run could do.
    ///
    /// # Errors
    /// Nobody to go off hook, shares that add up to more than all customers, or a PIN that nobody could understand.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.agents == 0 {
            bail!("--agents must be above 0: there would be nobody to talk to");
        }
        let shares = [self.busy, self.no_answer, self.decline, self.not_in_use, self.early_hangup];
        let percent = shares.iter().map(|share| share.0).sum::<f64>() * 100.0;
        if percent > 100.001 {
            bail!(
                "--busy, --no-answer, --decline, --not-in-use and --early-hangup add up to {percent:.0} % of the customers"
            );
        }
        if self.pin.0 > 0.0 && self.prompts.is_none() {
            bail!("--pin needs --prompts, the directory with the engine's digit recordings");
        }
        Ok(())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &str) -> String {
        let words = ["loadtest", "run"].into_iter().chain(options.split_whitespace());
        let Command::Run(run) = Cli::try_parse_from(words).expect("options").command else {
            panic!("not run")
        };
        run.load.check().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_run_that_could_prove_nothing_is_refused_before_it_starts() {
        assert_eq!(refused(""), "");
        assert_eq!(refused("--busy 60% --no-answer 20% --decline 10% --not-in-use 5% --early-hangup 5%"), "");
        assert!(refused("--busy 60% --no-answer 60%").ends_with("add up to 129 % of the customers"));
        assert!(refused("--agents 0").contains("--agents"));
        assert!(refused("--pin 20%").contains("--prompts"));
        assert_eq!(refused("--pin 20% --prompts engine/prompts"), "");
    }
}
