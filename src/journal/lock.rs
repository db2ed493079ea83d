//! Says whether the process that writes to a run's folder lives: it holds a lock of the operating system, which ends with it.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// Who held it before.
    pub before: Option<Owner>,
}

/// A process that locked a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: u32,
    pub host: String,
    /// The boot of the host; empty where that is unknown.
    pub boot: String,
    pub since: Timestamp,
    /// The folder that it locked.
    pub folder: PathBuf,
}

impl Owner {
    /// This process.
    fn this(folder: &Path) -> Owner {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Owner {
            pid: std::process::id(),
            host: this_host(),
            boot: boot.trim().into(),
            since: Timestamp::now(),
            folder: canonical(folder),
        }
    }

    /// The owner that a lock file names.
    pub fn read(path: &Path) -> Option<Owner> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Whether the lock in this folder says whether the owner lives. A lock does not travel with a copied folder, nor to another host.
    pub fn is_of(&self, folder: &Path) -> bool {
        self.host == this_host() && self.folder == canonical(folder)
    }
}

fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn canonical(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}

impl Lock {
    /// Takes the lock and names this process in the file; `None` while another process holds it.
    pub fn take(path: &Path) -> io::Result<Option<Lock>> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        let mut text = vec![];
        file.read_to_end(&mut text)?;
        let before = serde_json::from_slice(&text).ok();
        file.rewind()?;
        file.set_len(0)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        file.write_all(serde_json::to_string(&Owner::this(folder))?.as_bytes())?;
        Ok(Some(Lock { _file: file, before }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_again_when_its_owner_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::take(&path).unwrap().expect("it is free");
        assert_eq!(first.before, None);
        assert!(Lock::take(&path).unwrap().is_none());
        let owner = Owner::read(&path).unwrap();
        assert!(owner.pid == std::process::id() && owner.is_of(folder.path()), "{owner:?}");
        let elsewhere = Owner { host: "another".into(), ..owner.clone() };
        assert!(!elsewhere.is_of(folder.path()) && !owner.is_of(&folder.path().join("copied")));
        drop(first);
        let second = Lock::take(&path).unwrap().expect("it is free again");
        assert_eq!(second.before, Some(owner));
    }

    #[test]
    fn an_empty_or_torn_lock_file_names_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for text in ["", "{\"pid\":1"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Owner::read(&path), None);
            assert_eq!(Lock::take(&path).unwrap().expect("it is free").before, None);
        }
    }
}
