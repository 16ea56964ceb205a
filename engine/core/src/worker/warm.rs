//! Loading ahead what a batch of packets will need.
//!
//! With a thousand calls each packet finds its two legs outside the near caches, one miss after another. Touching the legs of
//! the whole batch first lets the processor wait for all of them at once.

use std::hint::black_box;

use super::Worker;
use crate::LegIx;

impl Worker {
    /// Begins to load where a leg lies. Call it for every packet of a batch, before [`Worker::warm_pair`].
    pub fn warm_leg(&self, leg: LegIx) {
        if let Some(leg) = self.legs.get(leg.index()) {
            black_box(leg.packets_received);
        }
    }

    /// Begins to load what [`Worker::handle_rtp`] reads of a leg and its partner.
    pub fn warm_pair(&self, leg: LegIx) {
        let Some(from) = self.legs.get(leg.index()) else { return };
        from.warm();
        if let Some(to) = from.splice.as_ref().and_then(|half| self.legs.get(half.partner.index())) {
            to.warm();
        }
    }
}
