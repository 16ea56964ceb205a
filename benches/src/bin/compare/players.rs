//! How soon a thousand players that are asked for at once begin, and whether their packets come in bursts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use offhook_proto::{Command, Idle, LegCreated, Play, PlaySource, PlayStop, ToneName};
use serde::Serialize;

use crate::cli::{BenchArgs, PlayersArgs};
use crate::generator::{Arrivals, LOOK_EVERY, Phones};
use crate::machine::{Cpus, Machine, pin, raise_nofile};
use crate::report::single;
use crate::systems::{Offhook, WINDOW, offhook};
use crate::units::Spread;

#[derive(Debug, Serialize)]
struct Players {
    machine: Machine,
    players: u32,
    rounds: u32,
    /// From the first of a round's requests to the last, all sent without waiting for a reply.
    asked_within_ms: Spread,
    /// From a player's own request to the arrival of its first packet.
    request_to_first_ms: single::QuantilesMs,
    /// From the last request of all; 0 for those who began before.
    last_request_to_first_ms: single::QuantilesMs,
    without_packet: u64,
    /// From a round's first request to 100 ms after its last.
    while_they_begin: Most,
    after_that: Most,
}

/// Most packets of all players within a window that begins with any of them, of each round; every player has one in 20 ms.
#[derive(Debug, Serialize)]
struct Most {
    in_1_ms: Spread,
    in_20_ms: Spread,
}

/// Runs it and prints the figures.
///
/// # Errors
/// The engine does not start, or refuses.
pub(crate) fn run(args: &BenchArgs, asked: &PlayersArgs) -> Result<()> {
    let cpus = Cpus::choose(args)?;
    raise_nofile(u64::from(asked.players) * 2 + 500)?;
    let machine = Machine::here();
    let phones = Phones::open()?;
    let mut engine = Offhook::start_with_ports(args, &cpus, 20_000, 59_999)?;
    let create = |player: u32| {
        let mut leg = offhook::leg(player, phones.of_call(player as usize / 2)[player as usize % 2]);
        leg.idle = Idle::None;
        Command::LegCreate(leg)
    };
    let (created, _) = engine.call_all((0..asked.players).map(create), WINDOW)?;
    let mut player_of = HashMap::new();
    for (player, reply) in created.into_iter().enumerate() {
        player_of.insert(reply.parse::<LegCreated>().context("leg.create")?.ssrc, player);
    }
    pin(cpus.senders[0])?;
    let span = Duration::from_millis(args.span_ms);
    let (mut to_first, mut last_to_first) = (single::histogram()?, single::histogram()?);
    let (mut without, mut asked_within) = (0, Vec::new());
    let (mut beginnings, mut rests) = (Vec::new(), Vec::new());
    for _ in 0..asked.rounds {
        let (sent_ns, heard) = round(&mut engine, &phones, cpus.receiver, asked.players, span)?;
        let (first_ns, last_ns) = (sent_ns[0], sent_ns[sent_ns.len() - 1]);
        asked_within.push((last_ns - first_ns) as f64 / 1e6);
        let mut began = vec![None; sent_ns.len()];
        let mut times = Vec::with_capacity(heard.len());
        for (ssrc, arrived_ns) in heard.into_iter().filter(|&(_, arrived_ns)| arrived_ns >= first_ns) {
            let Some(&player) = player_of.get(&ssrc) else { continue };
            times.push(arrived_ns);
            let first = began[player].get_or_insert(arrived_ns);
            *first = arrived_ns.min(*first);
        }
        for (began, sent_ns) in began.into_iter().zip(&sent_ns) {
            let Some(began) = began else {
                without += 1;
                continue;
            };
            to_first.saturating_record(began.saturating_sub(*sent_ns).max(1));
            last_to_first.saturating_record(began.saturating_sub(last_ns).max(1));
        }
        times.sort_unstable();
        let rest = times.split_off(times.partition_point(|&at_ns| at_ns < last_ns + BEGINNING_NS));
        beginnings.push(times);
        rests.push(rest);
    }
    let spread = |values: Vec<f64>| Spread::of(values).context("no round");
    single::finish(
        args,
        "players",
        &Players {
            machine,
            players: asked.players,
            rounds: asked.rounds,
            asked_within_ms: spread(asked_within)?,
            request_to_first_ms: single::QuantilesMs::of(&to_first),
            last_request_to_first_ms: single::QuantilesMs::of(&last_to_first),
            without_packet: without,
            while_they_begin: Most::of(&beginnings)?,
            after_that: Most::of(&rests)?,
        },
    )
}

impl Most {
    fn of(rounds: &[Vec<u64>]) -> Result<Self> {
        let most = |window_ns| {
            let of_rounds = rounds.iter().map(|times_ns| most_within(times_ns, window_ns) as f64);
            Spread::of(of_rounds).context("no round")
        };
        Ok(Self { in_1_ms: most(1_000_000)?, in_20_ms: most(20_000_000)? })
    }
}

/// Who was heard when: SSRC, and nanoseconds since 1970.
type Heard = Vec<(u32, u64)>;

/// Has everybody play for a while. When each was asked, in nanoseconds since 1970, and what was heard.
fn round(
    engine: &mut Offhook,
    phones: &Phones,
    receiver: usize,
    players: u32,
    span: Duration,
) -> Result<(Vec<u64>, Heard)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let listening = scope.spawn(|| pin(receiver).and_then(|()| listen(phones, &stop)));
        let played = play(engine, players, span);
        stop.store(true, Ordering::Release);
        let heard = listening.join().map_err(|_| anyhow!("the receiver failed"))??;
        Ok((played?, heard))
    })
}

fn play(engine: &mut Offhook, players: u32, span: Duration) -> Result<Vec<u64>> {
    let tone = || vec![PlaySource::Tone { name: ToneName::Dial, country: None }];
    let play = |player| Command::Play(Play { times: 0, ..Play::new(offhook::name(player), tone()) });
    let (_, exchanged) = engine.call_all((0..players).map(play), players as usize)?;
    sleep(span);
    let stop = |player| Command::PlayStop(PlayStop { leg: offhook::name(player), play: None });
    engine.call_all((0..players).map(stop), WINDOW)?;
    sleep(PAUSE);
    Ok(exchanged.sent_ns)
}

fn listen(phones: &Phones, stop: &AtomicBool) -> Result<Heard> {
    let (mut arrivals, mut heard) = (Arrivals::new(), Vec::new());
    let ssrc = |data: &[u8]| Some(u32::from_be_bytes(data.get(8..12)?.try_into().ok()?));
    loop {
        let is_over = stop.load(Ordering::Acquire);
        for socket in phones.sockets() {
            arrivals.take(socket, |data, at_ns| heard.extend(ssrc(data).map(|ssrc| (ssrc, at_ns))))?;
        }
        if is_over {
            return Ok(heard);
        }
        sleep(LOOK_EVERY);
    }
}

/// The most of these moments, in order, that lie within so many nanoseconds.
fn most_within(times_ns: &[u64], window_ns: u64) -> usize {
    let (mut begin, mut most) = (0, 0);
    for (end, &at) in times_ns.iter().enumerate() {
        while at - times_ns[begin] >= window_ns {
            begin += 1;
        }
        most = most.max(end + 1 - begin);
    }
    most
}

/// By then all are to have begun.
const BEGINNING_NS: u64 = 100_000_000;
/// For the last packets to come.
const PAUSE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_found_wherever_it_lies() {
        assert_eq!(most_within(&[], 10), 0);
        assert_eq!(most_within(&[0, 10, 20, 30], 10), 1);
        assert_eq!(most_within(&[0, 9, 18, 19, 20, 27, 60], 10), 4);
    }
}
