//! What was loaded lately, each thing once however many ask for it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::OnceCell;

/// Things by key. Beyond a limit the ones that were loaded first go, and are loaded again when they are asked for; one that is
/// larger than the limit is only given to those who wait for it.
pub(super) struct Cache<K, V> {
    limit_bytes: usize,
    bytes_of: fn(&V) -> usize,
    kept: RefCell<Kept<K, V>>,
}

struct Kept<K, V> {
    /// Those that are being loaded are empty places.
    places: HashMap<K, Place<V>>,
    oldest_first: VecDeque<K>,
    bytes: usize,
}

type Place<V> = Rc<OnceCell<Arc<V>>>;

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    pub(super) fn new(limit_bytes: usize, bytes_of: fn(&V) -> usize) -> Self {
        let kept = Kept { places: HashMap::new(), oldest_first: VecDeque::new(), bytes: 0 };
        Self { limit_bytes, bytes_of, kept: RefCell::new(kept) }
    }

    /// What a key stands for, loaded if it is not kept. Whoever asks while it is being loaded waits for that: a thousand callers
    /// may want the same music at once.
    ///
    /// # Errors
    /// What the loading says; nothing is left of it.
    pub(super) async fn load<F: Future<Output = Result<V, String>>>(
        &self,
        key: K,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<V>, String> {
        let place = Rc::clone(self.kept.borrow_mut().places.entry(key.clone()).or_default());
        let mut loaded_here = false;
        let load = || {
            loaded_here = true;
            let loading = load();
            async { loading.await.map(Arc::new) }
        };
        let value = place.get_or_try_init(load).await.map(Arc::clone);
        match &value {
            Ok(_) if loaded_here => self.keep(key, &place),
            Ok(_) => {}
            Err(_) => self.forget_failed(&key),
        }
        value
    }

    fn keep(&self, key: K, place: &Place<V>) {
        let mut kept = self.kept.borrow_mut();
        let bytes = self.bytes_in(place);
        if bytes > self.limit_bytes {
            kept.places.remove(&key);
            return;
        }
        kept.bytes += bytes;
        match kept.places.insert(key.clone(), Rc::clone(place)) {
            // Loaded twice, since the first attempt failed and its place was given up while others waited for it.
            Some(same) if !Rc::ptr_eq(&same, place) && same.initialized() => {
                kept.bytes -= self.bytes_in(&same);
            }
            _ => kept.oldest_first.push_back(key),
        }
        while kept.bytes > self.limit_bytes {
            let Some(oldest) = kept.oldest_first.pop_front() else { break };
            if let Some(place) = kept.places.remove(&oldest) {
                kept.bytes -= self.bytes_in(&place);
            }
        }
    }

    fn forget_failed(&self, key: &K) {
        let mut kept = self.kept.borrow_mut();
        if kept.places.get(key).is_some_and(|place| !place.initialized()) {
            kept.places.remove(key);
        }
    }

    fn bytes_in(&self, place: &Place<V>) -> usize {
        place.get().map_or(0, |value| (self.bytes_of)(value))
    }

    /// Things that are kept or being loaded, and bytes of those that are kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let kept = self.kept.borrow();
        (kept.places.len(), kept.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_beyond_the_limit_and_what_is_larger_is_not_kept() {
        tokio_uring::start(async {
            let cache = Cache::new(10, |value: &usize| *value);
            let load = async |key: usize, bytes| {
                *cache.load(key, || async move { Ok(bytes) }).await.expect("loaded")
            };
            for (key, bytes, size) in
                [(1, 4, (1, 4)), (2, 5, (2, 9)), (3, 5, (2, 10)), (4, 11, (2, 10)), (5, 10, (1, 10))]
            {
                assert_eq!(load(key, bytes).await, bytes);
                assert_eq!(cache.size(), size, "after {key}");
            }
            assert_eq!(load(5, 1).await, 10, "it is kept");
            assert_eq!(load(1, 2).await, 2, "it was not");
        });
    }
}
