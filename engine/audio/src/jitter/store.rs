//! The packets of a jitter buffer, by sequence number, in memory of fixed size.

use super::Content;

/// A packet's header in the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Packet {
    pub(super) seq: i64,
    pub(super) ts: i64,
    pub(super) content: Content,
}

pub(super) enum Inserted {
    New,
    Duplicate,
    /// It took the place of packets too far behind it.
    InPlaceOfOlder,
    TooOld,
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    slots: [Option<(Packet, usize)>; SLOTS],
    payloads: Box<[u8]>,
    max_payload_bytes: usize,
    /// No packet is before this.
    oldest_seq: i64,
    newest_seq: i64,
    count: usize,
}

impl Store {
    pub(super) fn new(max_payload_bytes: usize) -> Self {
        Self {
            slots: [None; SLOTS],
            payloads: vec![0; SLOTS * max_payload_bytes].into(),
            max_payload_bytes,
            oldest_seq: 0,
            newest_seq: 0,
            count: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.slots = [None; SLOTS];
        self.count = 0;
    }

    pub(super) fn insert(&mut self, packet: Packet, payload: &[u8]) -> Inserted {
        if self.count == 0 {
            self.oldest_seq = packet.seq;
            self.newest_seq = packet.seq;
        }
        if self.newest_seq - packet.seq >= SLOTS as i64 {
            return Inserted::TooOld;
        }
        let mut inserted = Inserted::New;
        self.newest_seq = self.newest_seq.max(packet.seq);
        while self.oldest_seq + (SLOTS as i64) <= self.newest_seq {
            if self.slots[slot(self.oldest_seq)].take().is_some() {
                self.count -= 1;
                inserted = Inserted::InPlaceOfOlder;
            }
            self.oldest_seq += 1;
        }
        self.oldest_seq = self.oldest_seq.min(packet.seq);
        let at = slot(packet.seq);
        if self.slots[at].is_some() {
            return Inserted::Duplicate;
        }
        self.slots[at] = Some((packet, payload.len()));
        let from = at * self.max_payload_bytes;
        self.payloads[from..from + payload.len()].copy_from_slice(payload);
        self.count += 1;
        inserted
    }

    pub(super) fn oldest(&mut self) -> Option<Packet> {
        if self.count == 0 {
            return None;
        }
        loop {
            if let Some((packet, _)) = self.slots[slot(self.oldest_seq)] {
                return Some(packet);
            }
            self.oldest_seq += 1;
        }
    }

    /// The payload of a packet that is here.
    pub(super) fn payload(&self, seq: i64) -> &[u8] {
        let at = slot(seq);
        let len = self.slots[at].map_or(0, |(_, len)| len);
        let from = at * self.max_payload_bytes;
        &self.payloads[from..from + len]
    }

    /// Removes a packet; its payload stays readable until the next call.
    pub(super) fn take(&mut self, seq: i64) -> &[u8] {
        let at = slot(seq);
        let len = self.slots[at].take().map_or(0, |(_, len)| {
            self.count -= 1;
            len
        });
        let from = at * self.max_payload_bytes;
        &self.payloads[from..from + len]
    }
}

fn slot(seq: i64) -> usize {
    seq.rem_euclid(SLOTS as i64) as usize
}

/// 640 ms of packets of 10 ms.
const SLOTS: usize = 64;
