//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use offhook_engine_core::kernel::Patience;
use offhook_engine_core::limits::LEGS;
use offhook_proto::Dscp;

use crate::ctl::CtlArgs;
use crate::record::FileMode;

/// Media engine of Offhook: RTP legs, splices, prompts and tones, driven over UDP with JSON.
#[derive(Debug, Parser)]
#[command(name = "offhook-engine", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Subcommands>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subcommands {
    /// Runs the engine (the same as no subcommand).
    Run(RunArgs),
    /// Drives a running engine by hand.
    Ctl(CtlArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// Address and UDP port of the control socket. Anything but loopback needs --key-file or --open.
    #[arg(long, default_value = "127.0.0.1:2223")]
    pub(crate) control: SocketAddr,
    /// File with the shared key (16 bytes or more; white space around it is ignored) that signs every control datagram.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Accept unsigned control datagrams from other hosts.
    #[arg(long, conflicts_with = "key_file")]
    pub(crate) open: bool,
    /// Local address for RTP and RTCP, IPv4 or IPv6; may be given several times, the first is the default.
    #[arg(long = "media-address", value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) media_addresses: Vec<IpAddr>,
    /// What peers are told in place of a media address, as 10.0.0.5=203.0.113.9, where this host is behind a NAT that keeps ports;
    /// may be given several times.
    #[arg(long = "advertise", value_name = "IP=IP", value_parser = parse_advertised)]
    pub(crate) advertised: Vec<(IpAddr, IpAddr)>,
    /// First and last UDP port for RTP and RTCP.
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-59999", value_parser = parse_ports)]
    pub(crate) ports: RangeInclusive<u16>,
    /// Processors to run a worker thread on, one each, as 0,1 or 2-5; every processor that this process may use when absent.
    #[arg(long, value_name = "LIST", value_parser = parse_cpus)]
    pub(crate) cpus: Option<CpuList>,
    /// Directory of WAV files that `play` may name.
    #[arg(long, value_name = "DIR")]
    pub(crate) prompts: Option<PathBuf>,
    /// Directory that recordings are made in.
    #[arg(long, value_name = "DIR")]
    pub(crate) recordings: Option<PathBuf>,
    /// Permissions of recordings, in octal, as 0640 for a group that may hear them. Directories made for them can be entered by the
    /// same. The umask may take more away.
    #[arg(long, value_name = "MODE", default_value = "0600")]
    pub(crate) recording_mode: FileMode,
    /// Most legs open at once.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=LEGS as i64))]
    pub(crate) max_legs: u32,
    /// Name of a media address for SIP proxies that speak rtpengine's `ng` protocol, as priv=127.0.0.1; may be given several
    /// times, the first is their default. Without names they have the media addresses.
    #[arg(long = "ng-interface", value_name = "NAME=IP", value_parser = parse_interface)]
    pub(crate) ng_interfaces: Vec<(String, IpAddr)>,
    /// Address and TCP port for `ng` requests besides the control socket. Only loopback unless --open.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ng_tcp: Option<SocketAddr>,
    /// Address and TCP port of a page of figures for Prometheus, at /metrics. It changes nothing, and asks nobody who they are.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Seconds from an `ng` delete request to the end of the media, unless the request says otherwise.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub(crate) ng_delete_delay_s: u64,
    /// Code point (DSCP) in what is sent to phones and carriers, RTP and RTCP: a number from 0 to 63, or a name (ef, va, cs0 to cs7,
    /// af11 to af43).
    #[arg(long, value_name = "DSCP", default_value_t = Dscp::EF)]
    pub(crate) dscp: Dscp,
    /// Longest time that a worker waits for more packets before it forwards what it has, in microseconds; 0 never waits.
    #[arg(long, value_name = "US", default_value_t = 700, value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub(crate) min_wait_us: u32,
    /// Receive all RTP through one socket per worker, and send it through a raw one: less work per packet. Takes CAP_BPF,
    /// CAP_NET_ADMIN and CAP_NET_RAW, and one media address of IPv4.
    #[arg(long)]
    pub(crate) steer: bool,
    /// Have the kernel itself forward what needs no more than new headers: RTP between spliced legs of one encoding, IPv4. Takes
    /// CAP_BPF and CAP_NET_ADMIN, and Linux 6.6. Such packets pass by this machine's packet filter.
    #[arg(long)]
    pub(crate) kernel: bool,
    /// Milliseconds between two looks at what the kernel could forward, and packets that must have come by then.
    #[arg(long, value_name = "MS,PACKETS", value_parser = parse_patience, hide = true, requires = "kernel")]
    pub(crate) kernel_patience: Option<Patience>,
    /// Prints whether this machine can run the engine with these arguments, and exits.
    #[arg(long)]
    pub(crate) check: bool,
    /// What to log, as a level or as targets with levels.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

/// Processors by number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CpuList(pub(crate) Vec<u32>);

/// Where `ctl` finds the engine unless it is told.
pub(crate) const DEFAULT_CONTROL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2223);

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) =
        text.split_once('-').ok_or("two port numbers with a hyphen between, as 20000-59999")?;
    let port =
        |text: &str| text.trim().parse::<u16>().map_err(|error| format!("{text:?} is not a port: {error}"));
    let (first, last) = (port(first)?, port(last)?);
    if first < 1_024 {
        return Err("the first port is below 1024".into());
    }
    if u32::from(last) < u32::from(first.next_multiple_of(2)) + 1 {
        return Err("the range holds no pair of an even and the next odd port".into());
    }
    Ok(first..=last)
}

fn parse_interface(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once('=').ok_or("a name, = and an address, as priv=127.0.0.1")?;
    let address = address.parse().map_err(|error| format!("{address:?}: {error}"))?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    Ok((name.to_owned(), address))
}

fn parse_advertised(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let (own, told) = text.split_once('=').ok_or("two addresses, as 10.0.0.5=203.0.113.9")?;
    let address = |text: &str| text.parse().map_err(|error| format!("{text:?}: {error}"));
    Ok((address(own)?, address(told)?))
}

fn parse_patience(text: &str) -> Result<Patience, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let (look, packets) = text.split_once(',').ok_or("two numbers with a comma between, as 1000,40")?;
    Ok(Patience { look_ms: number(look)?.clamp(1, 60_000), packets: number(packets)? })
}

fn parse_cpus(text: &str) -> Result<CpuList, String> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let number = |text: &str| {
            text.trim().parse::<u32>().map_err(|_| format!("{text:?} is not a processor number"))
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first || last >= MAX_CPU {
            return Err(format!("{part:?} is not a range of processors below {MAX_CPU}"));
        }
        cpus.extend(first..=last);
    }
    let mut sorted = cpus.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a processor is named twice".into());
    }
    Ok(CpuList(cpus))
}

const MAX_CPU: u32 = 1_024;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_unit_starts_the_engine_with_options_that_it_has() {
        let unit = include_str!("../../deploy/offhook-engine.service");
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command line");
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("they are known");
        assert!(cli.run.prompts.is_some() && cli.run.recordings.is_some());
    }

    #[test]
    fn run_is_the_default() {
        let bare = Cli::try_parse_from(["offhook-engine", "--ports", "30000-30011"]).expect("bare");
        assert_eq!(bare.run.ports, 30_000..=30_011);
        let named = Cli::try_parse_from(["offhook-engine", "run", "--cpus", "0,2-3"]).expect("run");
        let Some(Subcommands::Run(run)) = named.command else { panic!("not run") };
        assert_eq!(run.cpus, Some(CpuList(vec![0, 2, 3])));
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        for ports in ["5", "80-90", "20001-20002", "20000-20000", "40000-30000", "1-99999"] {
            assert!(parse_ports(ports).is_err(), "{ports}");
        }
        for cpus in ["", "a", "3-1", "0,0", "0-1,1", "9999"] {
            assert!(parse_cpus(cpus).is_err(), "{cpus}");
        }
    }
}
