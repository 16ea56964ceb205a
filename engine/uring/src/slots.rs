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
    file: File,
}

/// Who holds a slot's socket.
#[derive(Debug)]
enum File {
    /// Nobody: the slot is free.
    None,
    /// The kernel's table and this process.
    Kept(OwnedFd),
    /// The kernel's table alone.
    GivenUp,
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
        let entry = |_| Entry { generation: 0, receive: None, file: File::None };
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

    /// Takes a socket in: with its descriptor, or none when only the kernel's table holds it.
    pub(crate) fn insert(&mut self, descriptor: Option<OwnedFd>) -> Result<FileSlot, SlotError> {
        let index = self.free.pop().ok_or(SlotError::Full)?;
        let entry = &mut self.entries[index as usize];
        entry.file = descriptor.map_or(File::GivenUp, File::Kept);
        Ok(FileSlot { index, generation: entry.generation })
    }

    /// Frees the slot, and gives the descriptor back if there is one.
    pub(crate) fn remove(&mut self, slot: FileSlot) -> Result<Option<OwnedFd>, SlotError> {
        let entry = self.entry(slot)?;
        let file = std::mem::replace(&mut entry.file, File::None);
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot.index);
        match file {
            File::Kept(descriptor) => Ok(Some(descriptor)),
            File::GivenUp | File::None => Ok(None),
        }
    }

    /// Whether there is a socket: the slot was not given back.
    pub(crate) fn is_taken(&self, slot: FileSlot) -> bool {
        let entry = self.entries.get(slot.index as usize);
        entry.is_some_and(|entry| entry.is_of(slot))
    }

    /// The descriptor, for calls that do not go through the ring; none when only the kernel's table holds the socket.
    pub(crate) fn descriptor(&self, slot: FileSlot) -> Result<Option<&OwnedFd>, SlotError> {
        let entry = self.entries.get(slot.index as usize).filter(|entry| entry.is_of(slot));
        match &entry.ok_or(SlotError::Stale)?.file {
            File::Kept(descriptor) => Ok(Some(descriptor)),
            File::GivenUp | File::None => Ok(None),
        }
    }

    /// Whether the slot's receive has ended; an error if the slot is stale.
    pub(crate) fn is_idle(&self, slot: FileSlot) -> Result<bool, SlotError> {
        self.descriptor(slot)?;
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
        self.descriptor(slot)?;
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
        entry.filter(|entry| entry.is_of(slot)).ok_or(SlotError::Stale)
    }
}

impl Entry {
    fn is_of(&self, slot: FileSlot) -> bool {
        self.generation == slot.generation && !matches!(self.file, File::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn file() -> Option<OwnedFd> {
        Some(UdpSocket::bind("127.0.0.1:0").unwrap().into())
    }

    #[test]
    fn a_slot_given_back_is_refused_though_its_place_is_taken_again() {
        let mut slots = Slots::new(1);
        let old = slots.insert(file()).unwrap();
        slots.remove(old).unwrap();
        let new = slots.insert(file()).unwrap();
        assert_eq!(old.index, new.index);
        assert!(!slots.is_taken(old) && slots.is_taken(new));
        assert!(matches!(slots.descriptor(old), Err(SlotError::Stale)));
        assert!(matches!(slots.descriptor(new), Ok(Some(_))));
        assert!(matches!(slots.arm(old, Kind::Receive, 0), Err(SlotError::Stale)));
        assert!(matches!(slots.insert(file()), Err(SlotError::Full)));
    }

    #[test]
    fn a_slot_whose_descriptor_was_given_up_is_a_slot_like_others() {
        let mut slots = Slots::new(1);
        let slot = slots.insert(None).unwrap();
        assert!(slots.is_taken(slot) && matches!(slots.descriptor(slot), Ok(None)));
        slots.arm(slot, Kind::Receive, 0).unwrap();
        slots.ended(slot.index);
        assert!(slots.remove(slot).unwrap().is_none());
        assert!(!slots.is_taken(slot) && matches!(slots.remove(slot), Err(SlotError::Stale)));
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
