//! Where recordings lie: new files under one directory, for those who may hear them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// The directory of all recordings.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) mode: FileMode,
}

/// Who may read and write a recording: permission bits, of which the umask may take more away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMode(u32);

impl FileMode {
    /// A directory can be entered by whoever may read the files in it.
    fn of_directory(self) -> u32 {
        self.0 | (self.0 & 0o444) >> 2
    }
}

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mode = u32::from_str_radix(text, 8).ok();
        mode.filter(|mode| mode & 0o600 == 0o600 && mode & !0o666 == 0).map(Self).ok_or_else(|| {
            "permissions in octal, read and write for the owner at least, as 0600 or 0640".to_owned()
        })
    }
}

/// Makes a new file, and the directories that lead to it.
///
/// # Errors
/// The name leads out of the directory, the file exists, or the system refuses.
pub(crate) fn create(folder: &Folder, name: &str) -> Result<File> {
    let Folder { path: directory, mode } = folder;
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
    DirBuilder::new().recursive(true).mode(mode.of_directory()).create(parent)?;
    // A link inside could lead out.
    if !parent.canonicalize()?.starts_with(&root) {
        return Err(Error::new(ErrorKind::InvalidInput, "it leads out of the recording directory"));
    }
    OpenOptions::new().write(true).create_new(true).mode(mode.0).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder(path: &Path, mode: &str) -> Folder {
        Folder { path: path.to_owned(), mode: mode.parse().expect("a mode") }
    }

    #[test]
    fn recordings_and_their_directories_are_for_those_who_may_hear_them() {
        let permissions = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        for (mode, file, directory) in [("0600", 0o600, 0o700), ("640", 0o640, 0o750)] {
            let root = tempfile::tempdir().expect("a directory");
            create(&folder(root.path(), mode), "2026/11/a.wav").expect("made");
            assert_eq!(permissions(&root.path().join("2026/11/a.wav")), file);
            for made in ["2026", "2026/11"] {
                assert_eq!(permissions(&root.path().join(made)), directory);
            }
        }
        for wrong in ["", "0400", "0755", "0666x", "1600", "rw", "-1"] {
            assert!(wrong.parse::<FileMode>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn new_files_are_made_inside_and_nowhere_else() {
        let outside = tempfile::tempdir().expect("a directory");
        let root = outside.path().join("calls");
        fs::create_dir(&root).expect("made");
        std::os::unix::fs::symlink(outside.path(), root.join("out")).expect("linked");
        let root = folder(&root, "0600");
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
