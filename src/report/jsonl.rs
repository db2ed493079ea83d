//! The journal: a run's events, one line of JSON each. Knows nothing of what events mean.
use crate::event::{Event, EventSink};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// Bytes that are kept at most before they are written.
const MOST: usize = 64 << 10;

/// Appends each event to a file.
pub struct JsonLines {
    file: File,
    /// Told and not yet written.
    lines: Vec<u8>,
}

impl JsonLines {
    /// Makes the file and its folders if need be. A torn last line of an earlier writer is cut off, so that what follows can
    /// be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        mend(&mut file)?;
        Ok(JsonLines { file, lines: Vec::new() })
    }
}

fn mend(file: &mut File) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut whole = end;
    let mut block = [0; 4096];
    while whole > 0 {
        let from = whole.saturating_sub(block.len() as u64);
        let part = &mut block[..(whole - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        match part.iter().rposition(|&b| b == b'\n') {
            Some(i) => {
                whole = from + i as u64 + 1;
                break;
            }
            None => whole = from,
        }
    }
    if whole == end {
        return Ok(());
    }
    file.seek(SeekFrom::Start(whole))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    match serde_json::from_slice::<Event>(&rest) {
        Ok(_) => file.write_all(b"\n"),
        Err(_) => file.set_len(whole),
    }
}

impl EventSink for JsonLines {
    fn on_event(&mut self, _: &Event, line: &str) -> Result<(), String> {
        self.lines.extend_from_slice(line.trim_end_matches('\n').as_bytes());
        self.lines.push(b'\n');
        if self.lines.len() < MOST { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), String> {
        let written = self.file.write_all(&self.lines);
        self.lines.clear();
        written.map_err(|e| format!("cannot write the journal: {e}"))
    }

    fn sync(&mut self) -> Result<(), String> {
        self.flush()?;
        self.file.sync_data().map_err(|e| format!("cannot write the journal: {e}"))
    }
}

/// A journal that nobody flushed loses nothing that it was told.
impl Drop for JsonLines {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read the journal: {0}")]
    Io(#[from] io::Error),
    #[error("line {line} of the journal is no event: {why}")]
    NoEvent { line: usize, why: String },
}

/// All events of a journal. A last line that is torn is left out: whoever wrote it was killed.
pub fn read(path: &Path) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    each(path, |e| events.push(e))?;
    Ok(events)
}

/// Like [`read`], without holding more than one event.
pub fn each(path: &Path, mut f: impl FnMut(Event)) -> Result<(), ReadError> {
    let mut input = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    let mut bad: Option<ReadError> = None;
    for line in 1.. {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        // Only when something follows is it known that a bad line was not the last.
        if let Some(bad) = bad {
            return Err(bad);
        }
        match serde_json::from_slice(&bytes) {
            Ok(event) => f(event),
            Err(e) => bad = Some(ReadError::NoEvent { line, why: e.to_string() }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn told(path: &Path, events: &[Event]) {
        let mut sink = JsonLines::open(path).unwrap();
        for e in events {
            sink.on_event(e, &serde_json::to_string(e).unwrap()).unwrap();
        }
        sink.sync().unwrap();
    }

    #[test]
    fn what_was_told_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/k3x9q/events.jsonl");
        let events = samples::green().events;
        told(&path, &events[..5]);
        told(&path, &events[5..]);
        assert_eq!(format!("{:?}", read(&path).unwrap()), format!("{events:?}"));
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let events = samples::green().events;
        told(&path, &events[..3]);
        let whole = fs::read(&path).unwrap();
        for cut in [1, 7, 20] {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let kept = if cut == 1 { 3 } else { 2 };
            assert_eq!(read(&path).unwrap().len(), kept, "cut {cut}");
            told(&path, &events[3..4]);
            assert_eq!(read(&path).unwrap().len(), kept + 1, "cut {cut}");
        }
    }

    #[test]
    fn a_bad_line_in_the_middle_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let events = samples::green().events;
        told(&path, &events[..2]);
        let text = fs::read_to_string(&path).unwrap().replacen("\"seq\"", "\"sec\"", 1);
        fs::write(&path, text).unwrap();
        assert!(matches!(read(&path), Err(ReadError::NoEvent { line: 1, .. })));
        assert!(matches!(read(&folder.path().join("none")), Err(ReadError::Io(_))));
    }
}
