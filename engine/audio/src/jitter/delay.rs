//! How much delay a stream's jitter needs.

/// Watches packets' transit times: the fastest of late is the base, the rest is jitter.
#[derive(Clone, Debug)]
pub(super) struct DelayEstimator {
    /// Smallest transit of this period and of the one before; two, so that a drifting clock is followed.
    minima_ms: [Option<i64>; 2],
    period_start_ms: u64,
    /// Share of the packets in each bucket of delay above the base; they sum up to 1.
    shares: [f32; BUCKETS],
    packets: u32,
}

impl DelayEstimator {
    pub(super) fn new(initial_ms: u32) -> Self {
        let mut shares = [0.0; BUCKETS];
        shares[bucket(i64::from(initial_ms) - 1)] = 1.0;
        Self { minima_ms: [None; 2], period_start_ms: 0, shares, packets: 0 }
    }

    pub(super) fn on_packet(&mut self, now_ms: u64, transit_ms: i64) {
        if self.minima_ms[0].is_none() || now_ms.saturating_sub(self.period_start_ms) > PERIOD_MS {
            self.minima_ms = [None, self.minima_ms[0]];
            self.period_start_ms = now_ms;
        }
        self.minima_ms[0] = Some(self.minima_ms[0].map_or(transit_ms, |m| m.min(transit_ms)));
        self.packets = (self.packets + 1).min(MEMORY_PACKETS);
        let keep = 1.0 - 1.0 / (self.packets + 1) as f32;
        for share in &mut self.shares {
            *share *= keep;
        }
        self.shares[bucket(transit_ms - self.base_ms())] += 1.0 - keep;
    }

    /// How much longer than the smallest transit of late one is; `None` if there is none yet.
    pub(super) fn excess_ms(&self, transit_ms: i64) -> Option<i64> {
        (self.packets > 0).then(|| transit_ms - self.base_ms())
    }

    /// The smallest transit of late.
    pub(super) fn base_ms(&self) -> i64 {
        self.minima_ms.into_iter().flatten().min().unwrap_or(0)
    }

    /// The delay that nearly all packets arrive within.
    pub(super) fn target_ms(&self) -> u32 {
        let mut beyond = 0.0;
        for (i, share) in self.shares.iter().enumerate().rev() {
            beyond += share;
            if beyond > LATE_SHARE {
                return (i as u32 + 1) * BUCKET_MS;
            }
        }
        BUCKET_MS
    }
}

fn bucket(delay_ms: i64) -> usize {
    (delay_ms.max(0) as usize / BUCKET_MS as usize).min(BUCKETS - 1)
}

const BUCKETS: usize = 80;
const BUCKET_MS: u32 = 5;
const PERIOD_MS: u64 = 10_000;
/// About 5 s of packets of 20 ms.
const MEMORY_PACKETS: u32 = 250;
const LATE_SHARE: f32 = 0.03;
