//! The table of registered sockets: who is where, and whether it receives.

use crate::completion::{Kind, Tag};
use crate::error::SlotError;
use std::os::fd::OwnedFd;

/// A socket registered with the ring that made this; it means nothing to another. A slot that was given back is recognised, even when its place is taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSlot {
    pub(crate) index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    /// The receive that has not ended, if there is one.
    receive: Option<Tag>,
    file: Option<OwnedFd>,
}

/// The state of every slot; the kernel's table is kept in step by the ring.
#[derive(Debug)]
pub(crate) struct Slots {
    entries: Vec<Entry>,
    free: Vec<u32>,
    receiving: u32,
}

impl Slots {
    pub(crate) fn new(count: u32) -> Self {
        let entry = |_| Entry { generation: 0, receive: None, file: None };
        Self { entries: (0..count).map(entry).collect(), free: (0..count).rev().collect(), receiving: 0 }
    }

    /// Slots whose receive has not ended.
    pub(crate) fn receiving(&self) -> u32 {
        self.receiving
    }

    /// The slot that [`insert`](Self::insert) will fill next.
    pub(crate) fn vacant(&self) -> Result<u32, SlotError> {
        self.free.last().copied().ok_or(SlotError::Full)
    }

    pub(crate) fn insert(&mut self, file: OwnedFd) -> Result<FileSlot, SlotError> {
        let index = self.free.pop().ok_or(SlotError::Full)?;
        let entry = &mut self.entries[index as usize];
        entry.file = Some(file);
        Ok(FileSlot { index, generation: entry.generation })
    }

    pub(crate) fn remove(&mut self, slot: FileSlot) -> Result<OwnedFd, SlotError> {
        let entry = self.entry(slot)?;
        let file = entry.file.take().ok_or(SlotError::Stale)?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot.index);
        Ok(file)
    }

    /// The socket, for calls that do not go through the ring.
    pub(crate) fn file(&self, slot: FileSlot) -> Option<&OwnedFd> {
        self.entries
            .get(slot.index as usize)
            .filter(|entry| entry.generation == slot.generation)?
            .file
            .as_ref()
    }

    /// Whether the slot's receive has ended; an error if the slot is stale.
    pub(crate) fn is_idle(&self, slot: FileSlot) -> Result<bool, SlotError> {
        self.file(slot).ok_or(SlotError::Stale)?;
        Ok(self.entries[slot.index as usize].receive.is_none())
    }

    /// Notes that a receive begins, and returns its tag.
    pub(crate) fn arm(&mut self, slot: FileSlot, kind: Kind, token: u32) -> Result<Tag, SlotError> {
        let tag = Tag { kind, slot: slot.index, token };
        let entry = self.entry(slot)?;
        if entry.receive.is_some() {
            return Err(SlotError::Armed);
        }
        entry.receive = Some(tag);
        self.receiving += 1;
        Ok(tag)
    }

    /// The tag of the slot's receive.
    pub(crate) fn receive(&self, slot: FileSlot) -> Result<Tag, SlotError> {
        self.file(slot).ok_or(SlotError::Stale)?;
        self.entries[slot.index as usize].receive.ok_or(SlotError::Idle)
    }

    /// The first receive from slot `from` on that has not ended.
    pub(crate) fn next_receiving(&self, from: u32) -> Option<Tag> {
        self.entries.get(from as usize..)?.iter().find_map(|entry| entry.receive)
    }

    /// Notes that the receive on slot `index` has ended.
    pub(crate) fn ended(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize)
            && entry.receive.take().is_some()
        {
            self.receiving -= 1;
        }
    }

    fn entry(&mut self, slot: FileSlot) -> Result<&mut Entry, SlotError> {
        let entry = self.entries.get_mut(slot.index as usize);
        entry
            .filter(|entry| entry.generation == slot.generation && entry.file.is_some())
            .ok_or(SlotError::Stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn file() -> OwnedFd {
        UdpSocket::bind("127.0.0.1:0").unwrap().into()
    }

    #[test]
    fn a_slot_given_back_is_refused_though_its_place_is_taken_again() {
        let mut slots = Slots::new(1);
        let old = slots.insert(file()).unwrap();
        slots.remove(old).unwrap();
        let new = slots.insert(file()).unwrap();
        assert_eq!(old.index, new.index);
        assert!(slots.file(old).is_none() && slots.file(new).is_some());
        assert!(matches!(slots.arm(old, Kind::Receive, 0), Err(SlotError::Stale)));
        assert!(matches!(slots.insert(file()), Err(SlotError::Full)));
    }

    #[test]
    fn one_receive_at_a_time_is_armed_on_a_slot() {
        let mut slots = Slots::new(2);
        let slot = slots.insert(file()).unwrap();
        assert!(matches!(slots.receive(slot), Err(SlotError::Idle)));
        let tag = slots.arm(slot, Kind::ReceiveSteered, 7).unwrap();
        assert_eq!(tag, Tag { kind: Kind::ReceiveSteered, slot: slot.index, token: 7 });
        assert!(matches!(slots.arm(slot, Kind::Receive, 8), Err(SlotError::Armed)));
        assert_eq!((slots.receive(slot).unwrap(), slots.receiving()), (tag, 1));
        assert_eq!(slots.next_receiving(0), Some(tag));
        slots.ended(slot.index);
        slots.ended(slot.index);
        assert!(slots.is_idle(slot).unwrap() && slots.receiving() == 0);
    }
}
