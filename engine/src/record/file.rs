//! Where recordings lie: new files under one directory.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path};

/// Makes a new file, and the directories that lead to it.
///
/// # Errors
/// The name leads out of the directory, the file exists, or the system refuses.
pub(crate) fn create(directory: &Path, name: &str) -> Result<File> {
    let relative = Path::new(name);
    if name.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "not a relative name inside the recording directory",
        ));
    }
    let root = directory.canonicalize()?;
    let path = root.join(relative);
    let parent = path.parent().unwrap_or(&root);
    fs::create_dir_all(parent)?;
    // A link inside could lead out.
    if !parent.canonicalize()?.starts_with(&root) {
        return Err(Error::new(ErrorKind::InvalidInput, "it leads out of the recording directory"));
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_are_made_inside_and_nowhere_else() {
        let outside = tempfile::tempdir().expect("a directory");
        let root = outside.path().join("calls");
        fs::create_dir(&root).expect("made");
        std::os::unix::fs::symlink(outside.path(), root.join("out")).expect("linked");
        assert!(create(&root, "2026/11/a.wav").is_ok());
        assert_eq!(
            create(&root, "2026/11/a.wav").map_err(|e| e.kind()).err(),
            Some(ErrorKind::AlreadyExists)
        );
        for name in ["", "../a.wav", "/tmp/a.wav", "out/a.wav", "x/../../a.wav"] {
            assert!(create(&root, name).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(outside.path()).expect("there").count(), 1);
    }
}
