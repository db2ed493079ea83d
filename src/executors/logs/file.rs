//! Reads a log file and follows it across its rotations, so that no line between two attempts is missed.
use super::text::Encoding;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The first guess for the length of the last lines.
const INITIAL_TAIL_BYTES: u64 = 64 << 10;
/// How much of what was read last is compared, to notice that the file was emptied and written again.
const COMPARED_BYTES: usize = 4 << 10;
/// Times of files lag behind the clock.
const FILE_TIME_LAG: Duration = Duration::from_millis(10);
const MAX_STAT_RETRIES: usize = 5;

const EMPTIED: &str = "the log file was emptied or changed in place while it was followed: lines may be missing";

/// A log file, and what was read of it and of the files that had its name before.
pub(super) struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    /// In the order of their time; the last one has the name now.
    pub parts: Vec<Part>,
    /// Why lines may be missing.
    pub missing: Vec<String>,
    /// Whether no file has the name now.
    pub is_gone: bool,
    read_at: SystemTime,
}

/// A file that has or had the name, or what was in it before it was emptied.
pub(super) struct Part {
    file: Option<File>,
    id: (u64, u64),
    state: FileState,
    /// Where reading continues.
    offset: u64,
    pub bytes: Vec<u8>,
    pub encoding: Encoding,
    /// Whether the lines at the start were not read because of the size limit.
    pub is_cut: bool,
    /// Whether the first line is incomplete.
    pub starts_within_line: bool,
}

/// Length and modification time of a file; a difference means that it has changed.
#[derive(Clone, Copy, PartialEq)]
struct FileState {
    len: u64,
    modified: Option<SystemTime>,
}

impl FileState {
    fn of(m: &Metadata) -> FileState {
        FileState { len: m.len(), modified: m.modified().ok() }
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl LogFile {
    /// Reads a file: with `tail`, at least that many lines of its end and the one before; never more than `max_bytes`.
    pub fn open(path: &Path, tail: Option<usize>, max_bytes: u64) -> io::Result<LogFile> {
        let read_at = SystemTime::now();
        let part = Part::open(path, tail, max_bytes)?;
        let path = path.to_path_buf();
        Ok(LogFile { path, max_bytes, parts: vec![part], missing: vec![], is_gone: false, read_at })
    }

    /// Reads what was written since the last time, to the file and to the one that had its name before.
    pub fn read_more(&mut self) -> io::Result<()> {
        let last_read = std::mem::replace(&mut self.read_at, SystemTime::now());
        let named = match fs::metadata(&self.path) {
            Ok(metadata) => Some(id(&metadata)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        self.is_gone = named.is_none();
        let mut emptied = None;
        for part in &mut self.parts {
            match part.read_more(self.max_bytes)? {
                Change::None => {}
                Change::InPlace => self.missing.push(EMPTIED.into()),
                Change::Emptied => {
                    self.missing.push(EMPTIED.into());
                    emptied = part.file.take();
                }
            }
        }
        if let Some(file) = emptied {
            self.parts.push(Part::of(file, None, self.max_bytes)?);
        }
        if named.is_some() && named != self.parts.last().map(|p| p.id) {
            match Part::open(&self.path, None, self.max_bytes) {
                Ok(part) => self.parts.push(part),
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.is_gone = true,
                Err(e) => return Err(e),
            }
            self.missing.extend(self.rotated_since(last_read));
            // A program may write to the previous file for a while, but not to those before.
            let older = self.parts.len().saturating_sub(2);
            self.parts[..older].iter_mut().for_each(|p| p.file = None);
        }
        self.missing.dedup();
        self.drop_oldest();
        Ok(())
    }

    /// Keeps no more than the limit of all parts together.
    fn drop_oldest(&mut self) {
        let total = |parts: &[Part]| parts.iter().map(|part| part.bytes.len() as u64).sum::<u64>();
        while self.parts.len() > 1 && total(&self.parts) > self.max_bytes {
            self.parts.remove(0);
            self.parts[0].is_cut = true;
        }
    }

    /// Whether the file is as it was read.
    pub fn is_current(&self) -> bool {
        let now = fs::metadata(&self.path).ok();
        let last = self.parts.last();
        now.map(|m| (id(&m), FileState::of(&m))) == last.map(|p| (p.id, p.state))
    }

    /// Whether the last line has no end yet.
    pub fn is_unfinished(&self) -> bool {
        self.parts.last().is_some_and(|p| p.encoding.is_unfinished(&p.bytes))
    }

    /// Names a file beside this one that has its name and a suffix, such as `app.log.1`, was not read, and was written
    /// after `time`.
    pub fn rotated_since(&self, time: SystemTime) -> Option<String> {
        let name = self.path.file_name()?.to_str()?;
        let is_rotated = |other: &str| {
            let suffix = other.strip_prefix(name).and_then(|rest| rest.strip_prefix(['.', '-', '_']));
            suffix.is_some_and(|s| s.starts_with(|c: char| c.is_ascii_digit()) || s.starts_with("old"))
        };
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let files = fs::read_dir(folder).ok()?.flatten();
        let rotated = files.filter(|f| f.file_name().to_str().is_some_and(is_rotated)).find(|file| {
            let written = |m: &Metadata| m.modified().is_ok_and(|t| t + FILE_TIME_LAG >= time);
            file.metadata().is_ok_and(|m| written(&m) && self.parts.iter().all(|p| p.id != id(&m)))
        })?;
        Some(format!("the log was rotated: lines may be in `{}`", rotated.file_name().to_string_lossy()))
    }
}

enum Change {
    None,
    /// Changed without becoming longer.
    InPlace,
    Emptied,
}

impl Part {
    fn open(path: &Path, tail: Option<usize>, max_bytes: u64) -> io::Result<Part> {
        // Opening a named pipe would wait for its writer.
        let kind = fs::metadata(path)?;
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !kind.is_file() {
            return Err(io::Error::other("it is not a regular file; read it with `command`"));
        }
        Part::of(File::open(path)?, tail, max_bytes)
    }

    fn of(mut file: File, tail: Option<usize>, max_bytes: u64) -> io::Result<Part> {
        let metadata = file.metadata()?;
        let (id, state) = (id(&metadata), FileState::of(&metadata));
        let mut start = [0; 3];
        let length = file.read_at(&mut start, 0)?;
        let encoding = Encoding::of(&start[..length]);
        let guesses = tail.is_some() && encoding == Encoding::Utf8;
        let mut wanted = if guesses { INITIAL_TAIL_BYTES } else { max_bytes };
        let (bytes, start, is_enough) = loop {
            let start = state.len.saturating_sub(wanted.min(max_bytes)).next_multiple_of(2);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            // Limited, because the file can grow meanwhile.
            io::Read::by_ref(&mut file).take(wanted.min(max_bytes) + INITIAL_TAIL_BYTES).read_to_end(&mut bytes)?;
            let lines = bytes.iter().filter(|b| **b == b'\n').count();
            let is_enough = tail.is_some_and(|n| lines > n + 1);
            if start == 0 || is_enough || wanted >= max_bytes {
                break (bytes, start, is_enough);
            }
            wanted *= 8;
        };
        let offset = start + bytes.len() as u64;
        let (is_cut, starts_within_line) = (start > 0 && !is_enough, start > 0);
        let mut part = Part { file: Some(file), id, state, offset, bytes, encoding, is_cut, starts_within_line };
        part.read_more(max_bytes)?;
        Ok(part)
    }

    fn read_more(&mut self, max_bytes: u64) -> io::Result<Change> {
        let Some(file) = &self.file else { return Ok(Change::None) };
        for _ in 0..MAX_STAT_RETRIES {
            let state = FileState::of(&file.metadata()?);
            let length = self.bytes.len().min(COMPARED_BYTES);
            let mut end = vec![0; length];
            let is_same = state.len >= self.offset
                && file.read_exact_at(&mut end, self.offset - length as u64).is_ok()
                && self.bytes.ends_with(&end);
            if !is_same {
                return Ok(Change::Emptied);
            }
            let last = std::mem::replace(&mut self.state, state);
            if state.len == self.offset {
                // Had it been written to after the last look, it would be longer.
                let is_changed = last.len == state.len && last.modified != state.modified;
                return Ok(if is_changed { Change::InPlace } else { Change::None });
            }
            if state.len - self.offset > max_bytes {
                // it grows faster than it is read
                self.bytes.clear();
                self.offset = (state.len - max_bytes).next_multiple_of(2);
                (self.is_cut, self.starts_within_line) = (true, true);
            }
            let new_bytes = state.len - self.offset;
            // before more is read, so that there are never more than `max_bytes`
            let excess = usize::try_from((self.bytes.len() as u64 + new_bytes).saturating_sub(max_bytes)).unwrap_or(0);
            if excess > 0 {
                self.bytes.drain(..excess.next_multiple_of(2).min(self.bytes.len()));
                (self.is_cut, self.starts_within_line) = (true, true);
            }
            self.bytes.reserve_exact(usize::try_from(new_bytes).unwrap_or(0));
            let mut file = file;
            file.seek(SeekFrom::Start(self.offset))?;
            let read = file.take(new_bytes).read_to_end(&mut self.bytes)?;
            self.offset += read as u64;
        }
        Ok(Change::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_the_end_of_a_large_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..30_000).map(|i| format!("{i:05} {:30}\n", "x")).collect();
        fs::write(file.path(), &text).unwrap();
        let first = |tail, max_bytes| {
            let log = LogFile::open(file.path(), tail, max_bytes).unwrap();
            let Part { bytes, is_cut, starts_within_line, .. } = &log.parts[0];
            let start = if *starts_within_line { bytes.iter().position(|b| *b == b'\n').unwrap() + 1 } else { 0 };
            let bytes = &bytes[start..];
            assert!(bytes.ends_with(b"29999 x                             \n") && bytes.len() as u64 <= max_bytes);
            (String::from_utf8_lossy(&bytes[..5]).parse::<usize>().unwrap(), bytes.len() / 37, *is_cut)
        };
        assert_eq!(first(None, 1 << 30), (0, 30_000, false));
        let (begin, lines, is_cut) = first(None, 370_000);
        assert_eq!((begin, lines, is_cut), (20_001, 9_999, true), "an incomplete line is left out");
        for tail in [1, 3_000, 10_000, 29_000] {
            let (begin, lines, is_cut) = first(Some(tail), 1 << 30);
            assert!(begin + lines == 30_000 && lines > tail && !is_cut, "{tail}: {lines} lines from {begin}");
        }
        assert_eq!(first(Some(20_000), 370_000), (20_001, 9_999, true));
        assert!(first(Some(1), 1 << 30).1 < 2_000, "reads no more than needed");
        assert_eq!(LogFile::open(file.path(), Some(40_000), 1 << 30).unwrap().parts[0].bytes.len(), text.len());
    }
}
