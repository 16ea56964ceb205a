//! Runs, put together.

pub(crate) mod plot;
pub(crate) mod readme;
pub(crate) mod single;
pub(crate) mod table;

use serde::{Deserialize, Serialize};

use crate::machine::{Cpus, Machine};
use crate::measure::{Probe, Run};
use crate::systems::Kind;
use crate::units::Spread;

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) cpus: Cpus,
    pub(crate) span_ms: u64,
    pub(crate) engine_args: Vec<String>,
    /// As it names itself; nothing where it does not take part.
    pub(crate) rtpengine: Option<String>,
    pub(crate) runs: Vec<Run>,
}

impl Report {
    /// A figure of a system over the rounds that have it.
    pub(crate) fn spread(&self, system: Kind, calls: u32, figure: Figure) -> Option<Spread> {
        Spread::of(self.of(system, calls).filter_map(|run| figure.of(run)))
    }

    /// Ours over theirs, by the rounds in which both have the figure; none of what may well be 0 on both sides.
    pub(crate) fn ratio(&self, ours: Kind, theirs: Kind, calls: u32, figure: Figure) -> Option<Spread> {
        if figure == Figure::LossPercent {
            return None;
        }
        let pairs = self.of(ours, calls).filter_map(|run| {
            let other = self.of(theirs, calls).find(|other| other.round == run.round)?;
            Some(figure.of(run)? / figure.of(other)?)
        });
        Spread::of(pairs)
    }

    /// Systems in the order of their first appearance.
    pub(crate) fn systems(&self) -> Vec<Kind> {
        let mut systems = Vec::new();
        for run in &self.runs {
            if !systems.contains(&run.system) {
                systems.push(run.system);
            }
        }
        systems
    }

    /// Numbers of calls in the order of their first appearance.
    pub(crate) fn calls(&self) -> Vec<u32> {
        let mut calls: Vec<u32> = self.runs.iter().map(|run| run.calls).collect();
        calls.dedup();
        calls
    }

    pub(crate) fn of(&self, system: Kind, calls: u32) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.system == system && run.calls == calls)
    }
}

/// One column of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    CpuUs,
    ProcessorUs,
    LossPercent,
    LosslessPerS,
    DelayP50Us,
    DelayP99Us,
    DelayP999Us,
    HalfLoadP99Us,
    KibPerCall,
    RequestsPerS,
    CallsPerS,
}

impl Figure {
    pub(crate) const ALL: [Self; 11] = [
        Self::CpuUs,
        Self::ProcessorUs,
        Self::LossPercent,
        Self::LosslessPerS,
        Self::DelayP50Us,
        Self::DelayP99Us,
        Self::DelayP999Us,
        Self::HalfLoadP99Us,
        Self::KibPerCall,
        Self::RequestsPerS,
        Self::CallsPerS,
    ];

    /// What it is, with its unit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CpuUs => "CPU µs per packet, the process",
            Self::ProcessorUs => "CPU µs per packet, the whole processor",
            Self::LossPercent => "loss %",
            Self::LosslessPerS => "lossless packets/s",
            Self::DelayP50Us => "delay p50 µs",
            Self::DelayP99Us => "delay p99 µs",
            Self::DelayP999Us => "delay p99.9 µs",
            Self::HalfLoadP99Us => "delay p99 µs at half load",
            Self::KibPerCall => "KiB per call",
            Self::RequestsPerS => "control requests/s",
            Self::CallsPerS => "calls set up/s",
        }
    }

    /// Its value in one run; nothing if what was measured is no figure of the system's.
    pub(crate) fn of(self, run: &Run) -> Option<f64> {
        let sound = |probe: &Probe| probe.fault().is_none();
        let probe = Some(run.at_fifty()).filter(|probe| sound(probe));
        let delay = probe.and_then(|probe| probe.delay_us);
        match self {
            Self::CpuUs => {
                Some(&run.nominal).filter(|probe| sound(probe)).map(|probe| probe.cpu_us_per_packet)
            }
            Self::ProcessorUs => probe.and_then(|probe| probe.processor_us_per_packet),
            Self::LossPercent => probe.map(|probe| {
                let lost = probe.sent.saturating_sub(probe.received);
                lost as f64 * 100.0 / probe.sent.max(1) as f64
            }),
            Self::LosslessPerS => run
                .capacity
                .map(|capacity| capacity.packets_per_s)
                .filter(|&packets_per_s| packets_per_s > 0.0),
            Self::DelayP50Us => delay.map(|delay| delay.p50),
            Self::DelayP99Us => delay.map(|delay| delay.p99),
            Self::DelayP999Us => delay.map(|delay| delay.p999),
            Self::HalfLoadP99Us => {
                let half_load = run.half_load.filter(sound);
                half_load.and_then(|probe| probe.delay_us).map(|delay| delay.p99)
            }
            Self::KibPerCall => Some(run.bytes_per_call / 1_024.0),
            Self::RequestsPerS => run.requests_per_s,
            Self::CallsPerS => run.calls_set_up_per_s,
        }
    }
}
