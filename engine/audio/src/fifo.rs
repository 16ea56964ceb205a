//! A bounded queue of samples or bytes between frames of different lengths.

/// Keeps items in order; what exceeds its capacity is refused, not grown.
#[derive(Clone, Debug)]
pub struct Fifo<T> {
    items: Box<[T]>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Fifo<T> {
    /// An empty queue for at most `capacity` items.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { items: vec![T::default(); capacity].into(), start: 0, len: 0 }
    }

    /// Items waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.len = 0;
    }

    /// Appends what fits and returns how many items that were.
    pub fn push(&mut self, items: &[T]) -> usize {
        let n = items.len().min(self.items.len() - self.len);
        self.space(n).copy_from_slice(&items[..n]);
        n
    }

    /// Appends `n` default items (silence), or what fits, as a slice to write to.
    pub fn space(&mut self, n: usize) -> &mut [T] {
        let n = n.min(self.items.len() - self.len);
        if self.start + self.len + n > self.items.len() {
            self.items.copy_within(self.start..self.start + self.len, 0);
            self.start = 0;
        }
        let from = self.start + self.len;
        self.len += n;
        let space = &mut self.items[from..from + n];
        space.fill(T::default());
        space
    }

    /// Takes back the newest `n` items.
    pub fn unpush(&mut self, n: usize) {
        self.len -= n.min(self.len);
    }

    /// Moves the oldest items into all of `out`; does nothing and returns false if there are not enough.
    pub fn pop(&mut self, out: &mut [T]) -> bool {
        let Some(items) = self.peek(out.len()) else { return false };
        out.copy_from_slice(items);
        self.drop_front(out.len());
        true
    }

    /// The oldest `n` items; `None` if there are fewer.
    #[must_use]
    pub fn peek(&self, n: usize) -> Option<&[T]> {
        (n <= self.len).then(|| &self.items[self.start..self.start + n])
    }

    /// Removes the oldest `n` items, or all.
    pub fn drop_front(&mut self, n: usize) {
        let n = n.min(self.len);
        self.start += n;
        self.len -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_order_whatever_the_frames() {
        let mut fifo = Fifo::new(500);
        let (mut next_in, mut next_out) = (0u32, 0u32);
        for round in 0..1000 {
            let frame: Vec<u32> = (0..round % 240).map(|i| next_in + i).collect();
            next_in += fifo.push(&frame) as u32;
            let mut out = [0; 120];
            while fifo.pop(&mut out) {
                for item in out {
                    assert_eq!(item, next_out);
                    next_out += 1;
                }
            }
        }
        assert!(next_out > 50_000);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut fifo = Fifo::new(3);
        assert_eq!(fifo.push(&[1, 2]), 2);
        assert_eq!(fifo.push(&[3, 4]), 1);
        assert!(!fifo.pop(&mut [0; 4]));
        fifo.unpush(1);
        let mut out = [0; 2];
        assert!(fifo.pop(&mut out));
        assert_eq!(out, [1, 2]);
        assert!(fifo.is_empty());
    }
}
