//! A path in the kernel that does what the seam says, packet by packet, written from its words alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use offhook_engine_core::kernel::{
    KernelPath, MAX_PAYLOAD_BYTES, MAX_TRANSIT_CHANGE_S, Patience, Progress, Rule,
};
use offhook_engine_core::limits::{MAX_DROPOUT, MAX_MISORDER};
use offhook_engine_core::{LegIx, Time};

use super::Rtp;

/// Hands over as soon as it may be: at the first tick after a packet.
pub const EAGER: Patience = Patience { look_ms: 1, packets: 1 };

/// The same path for its worker and for those who send packets.
#[derive(Clone, Debug, Default)]
pub struct KernelModel(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rules: BTreeMap<LegIx, (Rule, Progress)>,
    /// Of each rule, progress before its last packet.
    before: BTreeMap<LegIx, Progress>,
    refuses: bool,
    lags: bool,
    installed: u64,
    taken: u64,
}

/// What it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

impl KernelModel {
    /// Rules that were ever installed, and packets that were forwarded by them.
    pub fn figures(&self) -> (u64, u64) {
        let state = self.state();
        (state.installed, state.taken)
    }

    /// Rules that there are.
    pub fn rules(&self) -> usize {
        self.state().rules.len()
    }

    /// Takes no more rules.
    pub fn refuse(&self) {
        self.state().refuses = true;
    }

    /// Shows progress with the last packet half in it: it is counted, and where it leads is known in part or not at all.
    pub fn lag(&self) {
        self.state().lags = true;
    }

    /// Forwards a packet that comes to a leg's port; none when it is to be left to the socket.
    pub fn take(&self, now: Time, leg: LegIx, source: SocketAddr, packet: &[u8]) -> Option<Forwarded> {
        let mut state = self.state();
        let (rule, progress) = state.rules.get_mut(&leg)?;
        let before = *progress;
        let sent = forward(now, rule, progress, source, packet)?;
        state.before.insert(leg, before);
        state.taken += 1;
        Some(sent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }
}

impl KernelPath for KernelModel {
    fn install(&mut self, leg: LegIx, rule: &Rule) -> bool {
        let mut state = self.state();
        assert!(rule.payload_type < 128 && rule.out_payload_type < 128);
        assert!(!(64..96).contains(&rule.payload_type), "with a marker it would be RTCP");
        assert!(rule.first.wrapping_sub(rule.highest) as i32 <= 0, "{rule:?}");
        if state.refuses {
            return false;
        }
        let Rule { highest, timestamp, transit_ts, jitter_16ths, .. } = *rule;
        let start = Progress { highest, timestamp, transit_ts, jitter_16ths, ..Progress::default() };
        state.before.remove(&leg);
        assert!(state.rules.insert(leg, (*rule, start)).is_none(), "there was a rule for leg {}", leg.0);
        state.installed += 1;
        true
    }

    fn progress(&self, leg: LegIx) -> Progress {
        let state = self.state();
        let now = state.rules[&leg].1;
        match state.before.get(&leg).filter(|_| state.lags) {
            Some(before) => {
                let highest = if state.taken.is_multiple_of(2) { now.highest } else { before.highest };
                Progress { packets: now.packets, payload_bytes: now.payload_bytes, highest, ..*before }
            }
            None => now,
        }
    }

    fn withdraw(&mut self, leg: LegIx) -> Progress {
        self.state().rules.remove(&leg).expect("there was a rule").1
    }
}

fn forward(
    now: Time,
    rule: &Rule,
    progress: &mut Progress,
    source: SocketAddr,
    packet: &[u8],
) -> Option<Forwarded> {
    if source != rule.source
        || packet.len() <= 12
        || packet.len() - 12 > MAX_PAYLOAD_BYTES
        || packet[0] != 0x80
    {
        return None;
    }
    let header = Rtp::parse(packet);
    if header.ssrc != rule.ssrc || header.payload_type != rule.payload_type {
        return None;
    }
    let ahead = i32::from(header.sequence.wrapping_sub(progress.highest as u16) as i16);
    let number = progress.highest.wrapping_add_signed(ahead);
    if ahead > 0 {
        let back = header.timestamp.wrapping_sub(progress.timestamp) >= 1 << 31;
        if ahead >= i32::from(MAX_DROPOUT) || back {
            return None;
        }
    } else if ahead <= -i32::from(MAX_MISORDER) || (number.wrapping_sub(rule.first) as i32) < 0 {
        return None;
    }
    let arrival_ts = (u128::from(now.0) * u128::from(rule.clock_rate_hz) / 1_000_000) as u32;
    let transit_ts = arrival_ts.wrapping_sub(header.timestamp);
    let change = (transit_ts.wrapping_sub(progress.transit_ts) as i32).unsigned_abs();
    if change >= MAX_TRANSIT_CHANGE_S * rule.clock_rate_hz {
        return None;
    }
    progress.packets += 1;
    progress.payload_bytes += packet.len() as u64 - 12;
    progress.last_at = now;
    progress.transit_ts = transit_ts;
    progress.jitter_16ths = progress.jitter_16ths + change - ((progress.jitter_16ths + 8) >> 4);
    if ahead > 0 {
        progress.highest = number;
        progress.timestamp = header.timestamp;
        progress.at = now;
        progress.last_payload_bytes = packet.len() as u16 - 12;
    }
    let mut bytes = packet.to_vec();
    bytes[1] = packet[1] & 0x80 | rule.out_payload_type;
    bytes[2..4].copy_from_slice(&header.sequence.wrapping_add(rule.sequence_shift).to_be_bytes());
    bytes[4..8].copy_from_slice(&header.timestamp.wrapping_add(rule.timestamp_shift).to_be_bytes());
    bytes[8..12].copy_from_slice(&rule.out_ssrc.to_be_bytes());
    Some(Forwarded { from: rule.from, to: rule.to, bytes })
}
