use super::*;

const FRAME_US: u64 = 20_000;

/// A sender and a reader on one virtual clock; each packet's payload is its index.
struct Bench {
    buffer: JitterBuffer,
    played: Vec<Option<u32>>,
}

impl Bench {
    fn new() -> Self {
        Self { buffer: JitterBuffer::new(JitterConfig::new(8000)), played: Vec::new() }
    }

    fn insert(&mut self, at_us: u64, index: u32) {
        let seq = (index as u16).wrapping_add(65_500);
        let ts = (index * 160).wrapping_add(u32::MAX - 5000);
        let content = Content::Audio { duration_ts: 160 };
        self.buffer.insert(at_us, seq, ts, content, &index.to_be_bytes());
    }

    fn pull(&mut self, at_us: u64, quiet: bool) {
        let mut pulled = self.buffer.pull(at_us, quiet);
        while let Pulled::Skip(_) = pulled {
            pulled = self.buffer.pull(at_us, false);
        }
        let played = match pulled {
            Pulled::Audio(payload) => Some(u32::from_be_bytes(payload.try_into().expect("an index"))),
            Pulled::Skip(_) | Pulled::ComfortNoise(_) | Pulled::Conceal { .. } | Pulled::Nothing => None,
        };
        self.played.push(played);
    }

    /// Sends `count` packets, each delayed by `delay_us` (`None` is lost), and pulls every 20 ms.
    fn run(&mut self, count: u32, quiet: bool, delay_us: impl Fn(u32) -> Option<u64>) {
        let mut arrivals: Vec<(u64, u32)> =
            (0..count).filter_map(|i| Some((u64::from(i) * FRAME_US + delay_us(i)?, i))).collect();
        arrivals.sort_unstable();
        let mut arrivals = arrivals.into_iter().peekable();
        for tick in 0..u64::from(count) + 20 {
            let now_us = tick * FRAME_US + 7000;
            while let Some((at_us, index)) = arrivals.next_if(|(at_us, _)| *at_us <= now_us) {
                self.insert(at_us, index);
            }
            self.pull(now_us, quiet);
        }
    }

    fn indices(&self) -> Vec<u32> {
        self.played.iter().flatten().copied().collect()
    }

    /// Ticks without audio between the first and the last played packet.
    fn holes(&self) -> usize {
        let first = self.played.iter().position(Option::is_some).unwrap_or(0);
        let last = self.played.iter().rposition(Option::is_some).unwrap_or(0);
        self.played[first..last].iter().filter(|p| p.is_none()).count()
    }
}

/// A number below `below` that looks random.
fn random(seed: u32, below: u64) -> u64 {
    u64::from(seed.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519) >> 8) % below
}

#[test]
fn a_steady_stream_plays_whole_and_in_order_across_wraps() {
    let mut b = Bench::new();
    b.run(500, false, |_| Some(5000));
    assert_eq!(b.indices(), (0..500).collect::<Vec<_>>());
    assert_eq!(b.holes(), 0);
    // The stream's end looks like a loss for five frames.
    assert_eq!(b.buffer.stats(), JitterStats { received: 500, concealed: 5, ..JitterStats::default() });
}

#[test]
fn disorder_and_duplicates_are_put_right() {
    let mut b = Bench::new();
    b.run(300, false, |i| Some(if i % 10 == 3 { 25_000 } else { 0 }));
    b.insert(0, 299);
    assert_eq!(b.indices(), (0..300).collect::<Vec<_>>());
    let mut c = Bench::new();
    c.insert(0, 0);
    c.insert(100, 0);
    assert_eq!(c.buffer.stats().duplicate, 1);
}

#[test]
fn jitter_of_60_ms_is_learnt_and_then_hardly_anything_is_late() {
    let mut b = Bench::new();
    b.run(1000, true, |i| Some(random(i, 60_000)));
    assert!((50..=75).contains(&b.buffer.target_delay_ms()), "{}", b.buffer.target_delay_ms());
    assert!(b.buffer.stats().late <= 10, "{:?}", b.buffer.stats());
    let second_half: Vec<_> = b.played[500..1000].iter().collect();
    assert!(second_half.iter().filter(|p| p.is_none()).count() <= 20);
}

#[test]
fn the_delay_shrinks_again_in_quiet_audio_when_the_jitter_has_gone() {
    let mut b = Bench::new();
    b.run(1500, true, |i| Some(if i < 300 { random(i, 80_000) } else { 0 }));
    assert_eq!(b.buffer.target_delay_ms(), 20);
    assert!(b.buffer.stats().skipped >= 2, "{:?}", b.buffer.stats());
    // Packet 1400 was sent at tick 1400 and plays at most 40 ms later.
    let tick = b.played.iter().position(|p| *p == Some(1400)).expect("played");
    assert!(tick <= 1402, "{tick}");
}

#[test]
fn lost_packets_are_concealed_in_their_place() {
    let mut b = Bench::new();
    b.run(200, false, |i| (i % 10 != 5).then_some(0));
    assert_eq!(b.buffer.stats().concealed, 20 + 5);
    assert_eq!(b.holes(), 20);
    assert_eq!(b.buffer.stats().late, 0);
}

#[test]
fn a_loss_shows_the_packet_after_it() {
    let mut b = Bench::new();
    for i in [0, 1, 3] {
        b.insert(u64::from(i) * FRAME_US, i);
    }
    b.pull(60_000, false);
    b.pull(60_000, false);
    let next = 3u32.to_be_bytes();
    assert_eq!(b.buffer.pull(60_000, false), Pulled::Conceal { duration_ts: 160, next: Some(&next) });
    b.pull(60_000, false);
    assert_eq!(b.indices(), [0, 1, 3]);
}

#[test]
fn a_pause_of_the_sender_is_not_a_loss() {
    let mut b = Bench::new();
    let content = Content::Audio { duration_ts: 160 };
    let mut heard = Vec::new();
    for tick in 0..100u32 {
        let now_us = u64::from(tick) * FRAME_US;
        // Sequence numbers go on, timestamps jump: silence suppression.
        if !(20..70).contains(&tick) {
            let seq = if tick < 20 { tick } else { tick - 50 };
            b.buffer.insert(now_us, seq as u16, tick * 160, content, &[0; 160]);
        }
        heard.push(matches!(b.buffer.pull(now_us, false), Pulled::Audio(_)));
    }
    assert_eq!(b.buffer.stats().late, 0);
    assert_eq!(heard.iter().filter(|h| **h).count(), 20 + 28, "{heard:?}");
    assert!(heard[75..].iter().all(|h| *h));
}

#[test]
fn comfort_noise_is_handed_over_and_audio_follows() {
    let mut b = Bench::new();
    b.insert(0, 0);
    b.pull(60_000, false);
    b.buffer.insert(20_000, 65_501, u32::MAX - 5000 + 160, Content::ComfortNoise, &[60]);
    assert_eq!(b.buffer.pull(80_000, false), Pulled::ComfortNoise(&[60]));
    assert_eq!(b.buffer.pull(100_000, false), Pulled::Nothing);
    b.insert(40_000, 2);
    b.pull(100_000, false);
    assert_eq!(b.indices(), [0, 2]);
}

#[test]
fn a_stream_that_jumps_begins_anew() {
    let mut b = Bench::new();
    let content = Content::Audio { duration_ts: 160 };
    b.buffer.insert(0, 10, 1000, content, &[1]);
    b.buffer.insert(20_000, 30_000, 900_000_000, content, &[2]);
    assert_eq!(b.buffer.stats().resets, 1);
    assert_eq!(b.buffer.pull(100_000, false), Pulled::Audio(&[2]));
}

#[test]
fn nothing_is_kept_without_bound() {
    let mut b = Bench::new();
    for i in 0..10_000 {
        b.insert(0, i % 30_000);
    }
    assert!(b.buffer.stats().overflow >= 9900);
    b.buffer.insert(0, 0, 0, Content::Audio { duration_ts: 160 }, &[0; 2000]);
    assert!(b.buffer.stats().overflow >= 9901);
}

#[test]
fn any_sequence_of_packets_and_pulls_is_survived() {
    let mut buffer = JitterBuffer::new(JitterConfig::new(0));
    for i in 0..200_000u32 {
        let r = |n| random(i.wrapping_mul(7).wrapping_add(n), 1 << 20) as u32;
        let (seq, ts) = match r(0) % 50 {
            0 => (r(1) as u16, r(2).wrapping_mul(5003)),
            _ => ((i + r(1) % 40) as u16, (i + r(1) % 40) * 160),
        };
        let content = match r(3) % 9 {
            0 => Content::ComfortNoise,
            1 => Content::Audio { duration_ts: r(4) },
            _ => Content::Audio { duration_ts: 160 },
        };
        buffer.insert(u64::from(i) * 20_000, seq, ts, content, &[0; 160][..(r(5) % 160) as usize]);
        for _ in 0..r(6) % 3 {
            buffer.pull(u64::from(i) * 20_000, r(7) % 2 == 0);
        }
    }
    assert!(buffer.stats().received == 200_000);
}

#[test]
fn a_phone_whose_clock_stood_still_is_heard_again_at_once() {
    let mut bench = Bench::new();
    bench.run(100, false, |_| Some(0));
    let heard = bench.indices().len();
    for tick in 0..20 {
        let now_us = 60_000_000 + tick * FRAME_US;
        bench.insert(now_us, 100 + tick as u32);
        bench.pull(now_us + 7_000, false);
    }
    let again = bench.indices()[heard..].to_vec();
    assert!(again.len() >= 15, "{again:?}");
    assert!(again.windows(2).all(|pair| pair[1] == pair[0] + 1), "{again:?}");
}
