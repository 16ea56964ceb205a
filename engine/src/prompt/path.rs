//! From the name in a request to a file inside the prompt directory, and nowhere else.

use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) modified: SystemTime,
    /// Length in bytes. A clock that was set back may name the same moment twice.
    pub(crate) bytes: u64,
}

/// Finds a prompt. Symbolic links are followed as long as they stay inside the directory. Blocks on the disk.
///
/// # Errors
/// A sentence: the name leads out of the directory, or names no regular file of a size that is read.
pub(crate) fn find(directory: &Path, name: &str) -> Result<Found, String> {
    let relative = Path::new(name);
    if name.contains('\0')
        || !relative.components().all(|part| matches!(part, Component::Normal(_)))
        || name.is_empty()
    {
        return Err(format!("{name:?} is not a relative name inside the prompt directory"));
    }
    let root = directory.canonicalize().map_err(|error| format!("the prompt directory: {error}"))?;
    let path = root.join(relative).canonicalize().map_err(|error| format!("{name:?}: {error}"))?;
    if !path.starts_with(&root) {
        return Err(format!("{name:?} leads out of the prompt directory"));
    }
    let metadata = path.metadata().map_err(|error| format!("{name:?}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("{name:?} is not a file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!("{name:?} is larger than {} MB", MAX_FILE_BYTES >> 20));
    }
    let modified = metadata.modified().map_err(|error| format!("{name:?}: {error}"))?;
    Ok(Found { path, modified, bytes: metadata.len() })
}

const MAX_FILE_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_that_lead_out_of_the_directory_are_refused() {
        let outside = tempfile::tempdir().expect("a directory");
        let inside = outside.path().join("prompts");
        fs::create_dir(&inside).expect("created");
        fs::write(outside.path().join("secret.wav"), "x").expect("written");
        symlink("../secret.wav", inside.join("link.wav")).expect("linked");
        for name in
            ["", "../secret.wav", "/etc/passwd", "a/../../secret.wav", "./../secret.wav", "link.wav", "a\0b"]
        {
            assert!(find(&inside, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn files_and_links_inside_are_found_and_directories_are_not() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("nl")).expect("created");
        fs::write(directory.path().join("nl/one.wav"), "xyz").expect("written");
        symlink("nl/one.wav", directory.path().join("uno.wav")).expect("linked");
        assert_eq!(find(directory.path(), "nl/one.wav").expect("found").bytes, 3);
        assert_eq!(find(directory.path(), "uno.wav").expect("found").bytes, 3);
        assert!(find(directory.path(), "nl").unwrap_err().contains("not a file"));
        assert!(find(directory.path(), "none.wav").unwrap_err().contains("No such file"));
    }
}
