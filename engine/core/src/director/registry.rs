//! Who is open, where, and whose: the director's view of the legs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;

use offhook_proto::{LegCreate, LegList, LegListRequest, Media, limits};

use crate::LegId;

/// One open leg.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: LegId,
    pub(crate) name: Arc<str>,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) worker: u16,
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: SocketAddr,
    pub(crate) ssrc: u32,
    /// As it is now.
    pub(crate) media: Media,
    /// As it was created: the same again is no error.
    pub(crate) created_as: Box<LegCreate>,
    /// Whether the engine is about to close it by itself.
    pub(crate) releasing: bool,
}

/// All open legs, by name, by identity and by owner. Nothing here takes longer than the logarithm of their number.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_name: BTreeMap<Arc<str>, Entry>,
    by_id: HashMap<LegId, Arc<str>>,
    by_owner: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.by_name.get_mut(name)
    }

    pub(crate) fn name(&self, id: LegId) -> Option<&Arc<str>> {
        self.by_id.get(&id)
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.by_id.insert(entry.id, Arc::clone(&entry.name));
        if let Some(owner) = &entry.owner {
            self.by_owner.entry(Arc::clone(owner)).or_default().insert(Arc::clone(&entry.name));
        }
        self.by_name.insert(Arc::clone(&entry.name), entry);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Entry> {
        let entry = self.by_name.remove(name)?;
        self.by_id.remove(&entry.id);
        if let Some(owner) = &entry.owner
            && let Some(legs) = self.by_owner.get_mut(owner)
        {
            legs.remove(name);
            if legs.is_empty() {
                self.by_owner.remove(owner);
            }
        }
        Some(entry)
    }

    /// How many legs a controller owns.
    pub(crate) fn count_of(&self, owner: &str) -> usize {
        self.by_owner.get(owner).map_or(0, BTreeSet::len)
    }

    /// Names of a controller's legs.
    pub(crate) fn of(&self, owner: &str) -> impl Iterator<Item = &Arc<str>> {
        self.by_owner.get(owner).into_iter().flatten()
    }

    /// Names of all legs.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// One page of names.
    pub(crate) fn list(&self, request: &LegListRequest) -> LegList {
        let limit = usize::from(request.limit.unwrap_or(limits::LIST_PAGE).min(limits::LIST_PAGE));
        let from = request.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (from, Bound::Unbounded);
        let mut legs: Vec<String> = match &request.owner {
            None => {
                let names = self.by_name.range::<str, _>(range).map(|(name, _)| name);
                names.take(limit + 1).map(ToString::to_string).collect()
            }
            Some(owner) => {
                let names = self.by_owner.get(owner.as_str()).into_iter();
                let names = names.flat_map(|legs| legs.range::<str, _>(range));
                names.take(limit + 1).map(ToString::to_string).collect()
            }
        };
        let more = legs.len() > limit;
        legs.truncate(limit);
        LegList { legs, more, total: self.len() as u64 }
    }
}
