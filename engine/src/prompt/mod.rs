//! Prompt files: found, read without stalling anyone, decoded once, encoded once per form, and kept, as far as there is room.

mod cache;
mod path;
mod resample;
mod wav;

use std::path::PathBuf;
use std::sync::Arc;

use offhook_engine_core::{EncodedPrompt, PromptForm};
use offhook_proto::{Error, ErrorCode};
use tokio::sync::Semaphore;

use self::cache::Cache;
use self::path::Found;
use self::wav::Sound;

/// The prompt directory, and what has been played from it lately.
pub(crate) struct PromptStore {
    directory: Option<PathBuf>,
    sounds: Cache<Found, Sound>,
    prompts: Cache<(Found, PromptForm), EncodedPrompt>,
    /// A whole file is in memory while it is loaded, so that only a few may be.
    loads: Semaphore,
    /// Files that were decoded.
    #[cfg(test)]
    decoded: std::cell::Cell<u32>,
}

impl PromptStore {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self {
            directory,
            sounds: Cache::new(SOUNDS_BYTES, |sound| size_of_val(&sound.samples[..])),
            prompts: Cache::new(PROMPTS_BYTES, |prompt| prompt.payload().len()),
            loads: Semaphore::new(LOADS_AT_ONCE),
            #[cfg(test)]
            decoded: std::cell::Cell::default(),
        }
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
        let named = |reason: String| format!("{name:?}: {reason}");
        self.prompts.load((found.clone(), form), || self.encode(found, form)).await.map_err(named)
    }

    async fn encode(&self, file: Found, form: PromptForm) -> Result<EncodedPrompt, String> {
        let sound = self.sounds.load(file.clone(), || self.decode(file)).await?;
        let _turn = self.loads.acquire().await.map_err(|error| error.to_string())?;
        aside(move || encode(&sound, form)).await?
    }

    async fn decode(&self, file: Found) -> Result<Sound, String> {
        let _turn = self.loads.acquire().await.map_err(|error| error.to_string())?;
        let whole = read(&file).await.map_err(|error| error.to_string())?;
        #[cfg(test)]
        self.decoded.set(self.decoded.get() + 1);
        aside(move || wav::decode(&whole)).await?
    }
}

/// Runs what takes long on a thread of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

async fn read(found: &Found) -> std::io::Result<Vec<u8>> {
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

fn encode(sound: &Sound, form: PromptForm) -> Result<EncodedPrompt, String> {
    let samples = resample::resample(&sound.samples, sound.rate, EncodedPrompt::rate_hz(form.codec));
    EncodedPrompt::encode(form, &samples).map_err(|error| error.reason)
}

const LOADS_AT_ONCE: usize = 4;
const CHUNK_BYTES: usize = 256 << 10;
/// Decoded sound that is kept for other forms: 35 minutes at 16 kHz.
const SOUNDS_BYTES: usize = 64 << 20;
const PROMPTS_BYTES: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use offhook_proto::{Codec, Media};

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
    fn a_prompt_is_decoded_once_for_all_its_encodings() {
        tokio_uring::start(async {
            let store = store();
            let opus = |ptime_ms| Media { codec: Codec::Opus, ptime_ms, ..Media::default() };
            let load = |form: PromptForm| store.load("beep.wav".into(), form);
            let (one, other) = tokio::join!(load(Codec::Pcmu.into()), load((&opus(20)).into()));
            assert_eq!(
                (one.expect("loaded").codec(), other.expect("loaded").codec()),
                (Codec::Pcmu, Codec::Opus)
            );
            for form in [Codec::Pcma.into(), Codec::G722.into(), (&opus(60)).into()] {
                load(form).await.expect("loaded");
            }
            assert_eq!((store.decoded.get(), store.prompts.size().0, store.sounds.size().0), (1, 5, 1));
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
            assert_eq!(store.prompts.size(), (1, one.payload().len()));
            assert_eq!(store.decoded.get(), 1);
        });
    }

    #[test]
    fn a_file_that_could_not_be_loaded_leaves_nothing_behind() {
        tokio_uring::start(async {
            let store = store();
            let load = || store.load("make.sh".into(), Codec::Pcmu);
            let (one, two) = tokio::join!(load(), load());
            assert!(one.is_err() && two.is_err());
            assert_eq!((store.prompts.size(), store.sounds.size()), ((0, 0), (0, 0)));
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
