//! Prompt files: found, read without stalling anyone, decoded once, encoded once per form, and kept.

mod path;
mod resample;
mod wav;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use offhook_engine_core::{EncodedPrompt, PromptForm};
use offhook_proto::{Error, ErrorCode};
use tokio::sync::{OnceCell, Semaphore};

/// The prompt directory, and what has been played from it lately.
pub(crate) struct PromptStore {
    directory: Option<PathBuf>,
    cache: RefCell<Cache>,
    /// A whole file is in memory while it is loaded, so that only a few may be.
    loads: Semaphore,
}

impl PromptStore {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, cache: RefCell::default(), loads: Semaphore::new(LOADS_AT_ONCE) }
    }

    /// A prompt by its name, encoded. The disk and the arithmetic are other threads' work, or the kernel's.
    ///
    /// # Errors
    /// `bad_prompt`, with what is wrong with the file or its name.
    pub(crate) async fn load(
        &self,
        name: String,
        form: impl Into<PromptForm>,
    ) -> Result<Arc<EncodedPrompt>, Error> {
        self.try_load(name, form.into()).await.map_err(|reason| Error::new(ErrorCode::BadPrompt, reason))
    }

    async fn try_load(&self, name: String, form: PromptForm) -> Result<Arc<EncodedPrompt>, String> {
        let directory = self.directory.clone().ok_or("this engine was started without --prompts")?;
        let found = {
            let name = name.clone();
            aside(move || path::find(&directory, &name)).await??
        };
        let key = Key { path: found.path.clone(), modified: found.modified, bytes: found.bytes, form };
        let place = Rc::clone(self.cache.borrow_mut().prompts.entry(key.clone()).or_default());
        let mut loaded_here = false;
        // Whoever asks while it is being loaded waits for that: a thousand callers may want the same music at once.
        let load = || {
            loaded_here = true;
            self.read_and_encode(&name, &found, form)
        };
        let prompt = place.get_or_try_init(load).await.map(Arc::clone);
        let mut cache = self.cache.borrow_mut();
        match &prompt {
            Ok(prompt) if loaded_here => cache.keep(key, &place, prompt.payload().len()),
            Ok(_) => {}
            Err(_) => cache.forget_failed(&key),
        }
        prompt
    }

    async fn read_and_encode(
        &self,
        name: &str,
        found: &path::Found,
        form: PromptForm,
    ) -> Result<Arc<EncodedPrompt>, String> {
        let _turn = self.loads.acquire().await.map_err(|error| error.to_string())?;
        let file = read(found).await.map_err(|error| format!("{name:?}: {error}"))?;
        let prompt = aside(move || decode_and_encode(&file, form))
            .await?
            .map_err(|reason| format!("{name:?}: {reason}"))?;
        Ok(Arc::new(prompt))
    }
}

/// Runs what takes long on a thread of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

async fn read(found: &path::Found) -> std::io::Result<Vec<u8>> {
    let file = tokio_uring::fs::File::open(&found.path).await?;
    let mut whole = Vec::with_capacity(found.bytes as usize);
    loop {
        let (result, chunk) = file.read_at(Vec::with_capacity(CHUNK_BYTES), whole.len() as u64).await;
        if result? == 0 || whole.len() as u64 > found.bytes {
            break;
        }
        whole.extend_from_slice(&chunk);
    }
    file.close().await?;
    Ok(whole)
}

fn decode_and_encode(file: &[u8], form: PromptForm) -> Result<EncodedPrompt, String> {
    let sound = wav::decode(file)?;
    let samples = resample::resample(sound.samples, sound.rate, EncodedPrompt::rate_hz(form.codec));
    EncodedPrompt::encode(form, &samples).map_err(|error| error.reason)
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    modified: SystemTime,
    /// A clock that was set back may name the same moment twice.
    bytes: u64,
    form: PromptForm,
}

/// Encoded prompts; beyond a limit the ones that were loaded first go, and are loaded again when they are asked for.
#[derive(Default)]
struct Cache {
    /// Those that are being loaded are empty places.
    prompts: HashMap<Key, Place>,
    oldest_first: VecDeque<Key>,
    bytes: usize,
}

type Place = Rc<OnceCell<Arc<EncodedPrompt>>>;

impl Cache {
    fn keep(&mut self, key: Key, place: &Place, bytes: usize) {
        self.bytes += bytes;
        match self.prompts.insert(key.clone(), Rc::clone(place)) {
            // Loaded twice, since the first attempt failed and its place was given up while others waited for it.
            Some(same) if !Rc::ptr_eq(&same, place) && same.initialized() => self.bytes -= bytes_of(&same),
            _ => self.oldest_first.push_back(key),
        }
        while self.bytes > CACHE_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { break };
            if let Some(place) = self.prompts.remove(&oldest) {
                self.bytes -= bytes_of(&place);
            }
        }
    }

    fn forget_failed(&mut self, key: &Key) {
        if self.prompts.get(key).is_some_and(|place| !place.initialized()) {
            self.prompts.remove(key);
        }
    }
}

fn bytes_of(place: &Place) -> usize {
    place.get().map_or(0, |prompt| prompt.payload().len())
}

const LOADS_AT_ONCE: usize = 4;
const CHUNK_BYTES: usize = 256 << 10;
const CACHE_BYTES: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use offhook_proto::Codec;

    use super::*;

    fn store() -> PromptStore {
        PromptStore::new(Some(concat!(env!("CARGO_MANIFEST_DIR"), "/prompts").into()))
    }

    #[test]
    fn every_prompt_that_is_shipped_can_be_played_in_every_encoding() {
        tokio_uring::start(async {
            let store = store();
            for entry in std::fs::read_dir(store.directory.clone().expect("given")).expect("there").flatten()
            {
                let name = entry.file_name().into_string().expect("UTF-8");
                if name.ends_with(".wav") {
                    for codec in
                        [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16 { rate_hz: 16_000 }, Codec::Opus]
                    {
                        let prompt = store.load(name.clone(), codec).await.expect("a good file");
                        assert!(prompt.duration_ms() >= 200, "{name}");
                    }
                }
            }
        });
    }

    #[test]
    fn a_prompt_is_encoded_once() {
        tokio_uring::start(async {
            let store = store();
            let first = store.load("beep.wav".into(), Codec::Pcmu).await.expect("loaded");
            let second = store.load("beep.wav".into(), Codec::Pcmu).await.expect("loaded");
            assert!(Arc::ptr_eq(&first, &second));
        });
    }

    #[test]
    fn those_who_ask_for_the_same_prompt_at_once_share_one_loading_of_it() {
        tokio_uring::start(async {
            let store = store();
            let load = || store.load("beep.wav".into(), Codec::Pcmu);
            let (one, two, three) = tokio::join!(load(), load(), load());
            let [one, two, three] = [one, two, three].map(|prompt| prompt.expect("loaded"));
            assert!(Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&two, &three));
            assert_eq!(store.cache.borrow().bytes, one.payload().len());
        });
    }

    #[test]
    fn a_file_that_could_not_be_loaded_leaves_nothing_behind() {
        tokio_uring::start(async {
            let store = store();
            let load = || store.load("make.sh".into(), Codec::Pcmu);
            let (one, two) = tokio::join!(load(), load());
            assert!(one.is_err() && two.is_err() && store.cache.borrow().prompts.is_empty());
        });
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let copy = directory.path().join("a.wav");
        let shipped = store().directory.expect("given");
        std::fs::copy(shipped.join("1.wav"), &copy).expect("copied");
        tokio_uring::start(async {
            let store = PromptStore::new(Some(directory.path().into()));
            let one = store.load("a.wav".into(), Codec::Pcmu).await.expect("loaded");
            std::fs::copy(shipped.join("2.wav"), &copy).expect("copied");
            let later = SystemTime::now() + std::time::Duration::from_secs(5);
            std::fs::File::options()
                .write(true)
                .open(&copy)
                .and_then(|file| file.set_modified(later))
                .expect("touched");
            let two = store.load("a.wav".into(), Codec::Pcmu).await.expect("loaded");
            assert_ne!(one.payload(), two.payload());
        });
    }

    #[test]
    fn a_file_that_is_no_wav_and_one_that_is_not_there_are_refused_by_name() {
        tokio_uring::start(async {
            for name in ["make.sh", "none.wav", "../Cargo.toml"] {
                let error = store().load(name.into(), Codec::Pcmu).await.expect_err("refused");
                assert_eq!(error.code, ErrorCode::BadPrompt);
                assert!(error.reason.contains(name), "{error}");
            }
        });
    }
}
