//! Numbers that look random, and are the same in every run.

/// Xorshift.
pub(crate) struct Random(u32);

impl Random {
    /// The same numbers for the same seed, which is not zero.
    pub(crate) const fn new(seed: u32) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 4) as usize % below.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// From -1 to 1.
    pub(crate) fn sample(&mut self) -> f32 {
        self.below(65_536) as f32 / 32_768.0 - 1.0
    }
}
