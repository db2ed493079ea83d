//! Reads files up to a limit, and writes them atomically.
use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// How large a file may be that a user writes: a plan, an environment, a schema, a manifest, a kubeconfig, a certificate.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a file, or what a device or a pipe gives.
///
/// # Errors
/// As `fs::read`, and if there are more than `max_bytes`; then no more are read.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    fs::File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(io::Error::other(format!("expected at most {} MiB, found more", max_bytes >> 20))),
        false => Ok(bytes),
    }
}

/// Reads a text in UTF-8 of at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, MAX_FILE_BYTES)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("invalid UTF-8 at byte {at}"))
    })
}

/// Replaces `path` atomically: until the content is complete, and after a failure, the old file
/// stays. Creates missing folders.
pub fn write_atomically(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write(path, 0o666, None, content)
}

/// Replaces the content of a file atomically, and keeps its permissions. Creates a missing file.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let permissions = fs::metadata(path).ok().map(|m| m.permissions());
    write(path, 0o666, permissions, |out| out.write_all(content))
}

/// Like [`write_atomically`], for a file that only the user may read.
pub fn write_private(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write(path, 0o600, None, content)
}

fn write(
    path: &Path,
    mode: u32,
    exactly: Option<fs::Permissions>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-");
    // The umask still applies.
    builder.permissions(fs::Permissions::from_mode(mode));
    let mut out = BufWriter::new(builder.tempfile_in(folder)?);
    content(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    if let Some(permissions) = exactly {
        file.as_file().set_permissions(permissions)?;
    }
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/report.md");
        write_atomically(&path, |out| out.write_all(b"first")).unwrap();
        let failed = write_atomically(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("torn"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        write_atomically(&path, |out| out.write_all(b"second")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn replaced_file_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o664);
        replace(&folder.path().join("a/missing"), b"new").unwrap();
    }

    #[test]
    fn reads_no_more_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(read(&path, 4).is_err());
        let e = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(e.to_string(), "expected at most 16 MiB, found more");
        fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_text(&path).unwrap_err().to_string(), "invalid UTF-8 at byte 2");
    }

    #[test]
    fn refuses_path_below_a_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(write_atomically(&folder.path().join("file/report.md"), |_| Ok(())).is_err());
    }

    #[test]
    fn written_file_has_default_permissions_unless_it_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, private, plain) =
            (folder.path().join("ours"), folder.path().join("private"), folder.path().join("plain"));
        write_atomically(&ours, |_| Ok(())).unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |p| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
        write_private(&private, |_| Ok(())).unwrap();
        assert_eq!(mode(&private) & 0o777, 0o600);
    }
}
