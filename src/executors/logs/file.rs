//! Lines of a file. Knows no line.
use std::{
    fs::File,
    io::{self, Read as _, Seek, SeekFrom},
    path::Path,
    time::SystemTime,
};

/// The first guess at how much the last lines take.
const BLOCK: u64 = 64 << 10;

/// What tells whether a file has changed.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct State {
    len: u64,
    modified: Option<SystemTime>,
}

impl State {
    pub fn of(m: &std::fs::Metadata) -> State {
        State { len: m.len(), modified: m.modified().ok() }
    }
}

/// What was read, and whether there was more.
pub(super) struct Taken {
    pub bytes: Vec<u8>,
    pub cut: bool,
    /// As it was before it was read, so that nothing written meanwhile is missed.
    pub state: State,
}

/// All of a file, or as much of its end as holds `tail` lines and the one before them; of neither more than `most` bytes.
pub(super) fn read(path: &Path, tail: Option<usize>, most: u64) -> io::Result<Taken> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let state = State::of(&metadata);
    let mut want = if tail.is_some() { BLOCK } else { most };
    loop {
        let start = state.len.saturating_sub(want.min(most));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        // a file that grows meanwhile is read no further than this
        io::Read::by_ref(&mut file).take(want.min(most) + BLOCK).read_to_end(&mut bytes)?;
        let lines = bytes.iter().filter(|b| **b == b'\n').count();
        let enough = tail.is_some_and(|n| lines > n + 1);
        if start == 0 || enough || want >= most {
            if start > 0 {
                // the first line is a part of one
                let whole = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1);
                bytes.drain(..whole);
            }
            return Ok(Taken { bytes, cut: start > 0 && !enough, state });
        }
        want *= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_file_the_end_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..30_000).map(|i| format!("{i:05} {:30}\n", "x")).collect();
        std::fs::write(file.path(), &text).unwrap();
        let first = |tail, most| {
            let read = read(file.path(), tail, most).unwrap();
            assert!(read.bytes.ends_with(b"29999 x                             \n") && read.bytes.len() as u64 <= most);
            (String::from_utf8_lossy(&read.bytes[..5]).parse::<usize>().unwrap(), read.bytes.len() / 37, read.cut)
        };
        assert_eq!(first(None, 1 << 30), (0, 30_000, false));
        let (begin, lines, cut) = first(None, 370_000);
        assert_eq!((begin, lines, cut), (20_001, 9_999, true), "the line that is cut is left out");
        for tail in [1, 3_000, 10_000, 29_000] {
            let (begin, lines, cut) = first(Some(tail), 1 << 30);
            assert!(begin + lines == 30_000 && lines > tail && !cut, "{tail}: {lines} lines from {begin}");
        }
        assert_eq!(first(Some(20_000), 370_000), (20_001, 9_999, true));
        assert!(first(Some(1), 1 << 30).1 < 2_000, "no more than is needed");
        assert_eq!(read(file.path(), Some(40_000), 1 << 30).unwrap().bytes.len(), text.len());
    }
}
