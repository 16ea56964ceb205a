//! `--check`: can this machine run the engine with these arguments, and if not, what to change.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;

use offhook_uring::limits::LimitError;
use offhook_uring::{Ring, RingConfig};

use crate::args::RunArgs;
use crate::clock::Clock;
use crate::files::{self, Files};
use crate::kernel;
use crate::run;
use crate::sockets::CONTROL_QUEUE_BYTES;
use crate::speed;
use crate::steering;
use crate::workers::ring_config;

/// One line of the answer.
struct Finding {
    grade: Grade,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Good,
    Advice,
    Bad,
    NoRing,
}

/// What the machine can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fitness {
    Fit,
    /// Something else stands in the way.
    Unfit,
    /// There is no io_uring to use.
    NoRing,
}

/// Prints a line for each thing that matters, and says what it comes to.
pub(crate) fn print(args: &RunArgs, workers: usize) -> Fitness {
    let (files, error) = Files::allow(args.max_legs, workers);
    let mut findings = vec![open_files(args, &files, error.as_ref())];
    findings.extend(ring(&ring_config(&files)));
    findings.extend([
        ports(args),
        port_clash(args),
        queue_bytes(),
        media_addresses(args),
        control_address(args),
        prompts(args),
        options(args),
        steer(args),
        kernel(args, files.legs),
    ]);
    for Finding { grade, text } in &findings {
        println!("{grade}  {text}");
    }
    match findings.iter().map(|finding| finding.grade).max() {
        Some(Grade::NoRing) => Fitness::NoRing,
        Some(Grade::Bad) => Fitness::Unfit,
        Some(Grade::Advice | Grade::Good) | None => Fitness::Fit,
    }
}

fn ring(config: &RingConfig) -> Vec<Finding> {
    let ring = match Ring::new(config) {
        Ok(ring) => ring,
        Err(error) => return vec![Finding { grade: Grade::NoRing, text: error.to_string() }],
    };
    let parts = speed::parts(&ring).into_iter();
    let parts = parts.map(|part| if part.is_there { good(part.text) } else { advice(part.text) });
    [good("io_uring works, with all that the datapath needs")].into_iter().chain(parts).collect()
}

fn open_files(args: &RunArgs, files: &Files, error: Option<&LimitError>) -> Finding {
    let (asked, legs, wanted) = (args.max_legs, files.legs, files::wanted(args.max_legs));
    let Some(error) = error else {
        return good(format!("open files: {wanted} allowed, for {asked} legs"));
    };
    if legs < asked {
        return bad(format!("open files: {error}; or give --max-legs {legs}, or more --cpus"));
    }
    let each = files.legs_per_worker;
    good(format!(
        "open files: the limit is below {wanted}, so the rings alone hold the sockets of {asked} legs: at most {each} on a worker"
    ))
}

fn ports(args: &RunArgs) -> Finding {
    let (first, last) = (u32::from(*args.ports.start()), u32::from(*args.ports.end()));
    let pairs = (last + 1 - first.next_multiple_of(2)) / 2 * args.media_addresses.len() as u32;
    let text = format!("ports: {pairs} pairs in {first}-{last} on {}", addresses(args.media_addresses.len()));
    if pairs < args.max_legs {
        return advice(format!("{text}, fewer than --max-legs {}: ports will run out first", args.max_legs));
    }
    good(text)
}

fn port_clash(args: &RunArgs) -> Finding {
    let Some((low, high)) = ip_local_port_range() else {
        return advice("net.ipv4.ip_local_port_range cannot be read: keep it away from --ports");
    };
    let (first, last) = (*args.ports.start(), *args.ports.end());
    let reserved = fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    if last < low || high < first || reserved.trim() == format!("{first}-{last}") {
        return good(format!("ports {first}-{last} are not given to other programs"));
    }
    advice(format!(
        "ports {first}-{last} overlap net.ipv4.ip_local_port_range {low}-{high}: other programs may be given some of them, which the \
         engine then skips; to reserve them: sysctl -w net.ipv4.ip_local_reserved_ports={first}-{last}"
    ))
}

fn queue_bytes() -> Finding {
    let read = fs::read_to_string("/proc/sys/net/core/rmem_max")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok());
    match read {
        Some(bytes) if bytes >= CONTROL_QUEUE_BYTES => good(format!("net.core.rmem_max is {bytes}")),
        Some(bytes) => advice(format!(
            "net.core.rmem_max is {bytes}: a burst of control requests may overflow; to raise it: sysctl -w net.core.rmem_max={CONTROL_QUEUE_BYTES}"
        )),
        None => advice("net.core.rmem_max cannot be read"),
    }
}

fn media_addresses(args: &RunArgs) -> Finding {
    for address in &args.media_addresses {
        if let Err(error) = UdpSocket::bind((*address, 0)) {
            return bad(format!("media address {address}: {error}; it must be an address of this machine"));
        }
    }
    good(format!("media: {} can be bound", addresses(args.media_addresses.len())))
}

fn control_address(args: &RunArgs) -> Finding {
    match UdpSocket::bind(args.control) {
        Ok(_) => good(format!("control socket {} is free", args.control)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => advice(format!(
            "control socket {} is in use: an engine is running there already, or another --control is needed",
            args.control
        )),
        Err(error) => bad(format!("control socket {}: {error}", args.control)),
    }
}

fn prompts(args: &RunArgs) -> Finding {
    let Some(directory) = &args.prompts else {
        return good("prompts: no directory, only tones can be played");
    };
    match fs::read_dir(directory) {
        Ok(entries) => {
            let is_wav =
                |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "wav");
            good(format!(
                "prompts: {} WAV files in {}",
                entries.flatten().filter(is_wav).count(),
                directory.display()
            ))
        }
        Err(error) => bad(format!("prompts: {}: {error}", directory.display())),
    }
}

fn options(args: &RunArgs) -> Finding {
    match run::check(args) {
        Ok(()) => good("the options are consistent"),
        Err(error) => bad(format!("{error:#}")),
    }
}

fn steer(args: &RunArgs) -> Finding {
    match steering::start(args, 1).and_then(|started| {
        started.map(|started| steering::open(&started, 0, args.dscp.traffic_class())).transpose()
    }) {
        Ok(Some(_)) => good("--steer: ports can be steered"),
        Ok(None) => good("--steer: not used"),
        Err(error) => bad(format!("{error:#}")),
    }
}

fn kernel(args: &RunArgs, legs: u32) -> Finding {
    match kernel::start(args, 1, legs, Clock::start()) {
        Ok(Some(started)) => good(format!(
            "--kernel: the kernel can forward what comes in on {}",
            started.interfaces.join(", ")
        )),
        Ok(None) => good("--kernel: not used"),
        Err(error) => bad(format!("{error:#}")),
    }
}

fn addresses(count: usize) -> String {
    if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") }
}

fn ip_local_port_range() -> Option<(u16, u16)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut fields = text.split_whitespace().map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

fn good(text: impl Into<String>) -> Finding {
    Finding { grade: Grade::Good, text: text.into() }
}

fn advice(text: impl Into<String>) -> Finding {
    Finding { grade: Grade::Advice, text: text.into() }
}

fn bad(text: impl Into<String>) -> Finding {
    Finding { grade: Grade::Bad, text: text.into() }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "ok    ",
            Self::Advice => "advice",
            Self::Bad | Self::NoRing => "FAIL  ",
        })
    }
}
