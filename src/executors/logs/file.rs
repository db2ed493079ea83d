//! Reads a log file, or its end.
use super::types::FileState;
use std::{
    fs::File,
    io::{self, Read as _, Seek, SeekFrom},
    path::Path,
};

/// The first guess for the length of the last lines.
const INITIAL_TAIL_BYTES: u64 = 64 << 10;

pub(super) struct FileContent {
    pub bytes: Vec<u8>,
    /// Whether lines are missing at the start because of the size limit.
    pub truncated: bool,
    /// The state before reading, so that a later write is noticed.
    pub state: FileState,
}

/// Reads a file: with `tail`, at least that many lines of its end and the one before; never more than `max_bytes`.
pub(super) fn read(path: &Path, tail: Option<usize>, max_bytes: u64) -> io::Result<FileContent> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let state = FileState::of(&metadata);
    let mut wanted = if tail.is_some() { INITIAL_TAIL_BYTES } else { max_bytes };
    loop {
        let start = state.len.saturating_sub(wanted.min(max_bytes));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        // Limited, because the file can grow meanwhile.
        io::Read::by_ref(&mut file).take(wanted.min(max_bytes) + INITIAL_TAIL_BYTES).read_to_end(&mut bytes)?;
        let lines = bytes.iter().filter(|b| **b == b'\n').count();
        let enough = tail.is_some_and(|n| lines > n + 1);
        if start == 0 || enough || wanted >= max_bytes {
            if start > 0 {
                // The first line is incomplete.
                let complete = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1);
                bytes.drain(..complete);
            }
            return Ok(FileContent { bytes, truncated: start > 0 && !enough, state });
        }
        wanted *= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_the_end_of_a_large_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..30_000).map(|i| format!("{i:05} {:30}\n", "x")).collect();
        std::fs::write(file.path(), &text).unwrap();
        let first = |tail, max_bytes| {
            let read = read(file.path(), tail, max_bytes).unwrap();
            assert!(
                read.bytes.ends_with(b"29999 x                             \n") && read.bytes.len() as u64 <= max_bytes
            );
            (String::from_utf8_lossy(&read.bytes[..5]).parse::<usize>().unwrap(), read.bytes.len() / 37, read.truncated)
        };
        assert_eq!(first(None, 1 << 30), (0, 30_000, false));
        let (begin, lines, truncated) = first(None, 370_000);
        assert_eq!((begin, lines, truncated), (20_001, 9_999, true), "an incomplete line is left out");
        for tail in [1, 3_000, 10_000, 29_000] {
            let (begin, lines, truncated) = first(Some(tail), 1 << 30);
            assert!(begin + lines == 30_000 && lines > tail && !truncated, "{tail}: {lines} lines from {begin}");
        }
        assert_eq!(first(Some(20_000), 370_000), (20_001, 9_999, true));
        assert!(first(Some(1), 1 << 30).1 < 2_000, "reads no more than needed");
        assert_eq!(read(file.path(), Some(40_000), 1 << 30).unwrap().bytes.len(), text.len());
    }
}
