//! The journal of a run: its events as JSON lines.
use super::{
    compact::{Compactor, WHOLE},
    expand::Expander,
    times,
};
use crate::event::{Event, EventKind, EventSink, SinkError};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const MAX_BUFFERED_BYTES: usize = 64 << 10;
/// A value of more parts is written as it is, without references.
const MAX_PARTS: usize = 100_000;

/// An event sink that appends to a file. Buffered lines are written when it is dropped.
pub struct JsonLines {
    file: File,
    /// Lines not yet written.
    buffer: Vec<u8>,
    compactor: Compactor,
    /// Bytes of the lines that were appended.
    written: Arc<AtomicU64>,
}

impl JsonLines {
    /// Creates the file, which only the user may read, and its folders if missing. Removes an incomplete last line left by a killed process.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        repair_last_line(&mut file)?;
        Ok(JsonLines { file, buffer: vec![], compactor: Compactor::default(), written: Arc::default() })
    }

    fn line(&mut self, event: &Event) -> serde_json::Result<String> {
        if is_large(event) {
            let mut line = serde_json::to_string(event)?;
            line.insert_str(1, &format!("\"{WHOLE}\":true,"));
            return Ok(line);
        }
        let mut json = serde_json::to_value(event)?;
        times::shorten(&mut json);
        self.compactor.line(event.seq, &json, stands_alone(event))
    }

    /// How many bytes were appended, also after this value has moved.
    pub fn written(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }
}

/// Whether the event has a value of very many parts: to take it apart would take several times its memory.
fn is_large(event: &Event) -> bool {
    let value = event.kind.attempt().and_then(|attempt| attempt.value.as_ref());
    value.is_some_and(|value| value.count() > MAX_PARTS)
}

/// Ends the last line if it is a complete event without line end; removes it if it is incomplete.
fn repair_last_line(file: &mut File) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut last_line = end;
    let mut block = [0; 4096];
    while last_line > 0 {
        let from = last_line.saturating_sub(block.len() as u64);
        let part = &mut block[..(last_line - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        match part.iter().rposition(|&b| b == b'\n') {
            Some(i) => {
                last_line = from + i as u64 + 1;
                break;
            }
            None => last_line = from,
        }
    }
    if last_line == end {
        return Ok(());
    }
    file.seek(SeekFrom::Start(last_line))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    match serde_json::from_slice::<serde_json::Value>(&rest) {
        Ok(_) => file.write_all(b"\n"),
        Err(_) => file.set_len(last_line),
    }
}

/// Whether the line refers to no other: verdicts, and what is needed to undo, must not depend on a line that is damaged.
fn stands_alone(event: &Event) -> bool {
    !matches!(event.kind, EventKind::ActionStarted { .. } | EventKind::Observed(_) | EventKind::ActionFinished { .. })
}

fn not_written(e: io::Error) -> SinkError {
    SinkError(format!("cannot write the journal: {e}"))
}

impl EventSink for JsonLines {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        let line = self.line(event).map_err(|e| SinkError(format!("cannot write the journal: {e}")))?;
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
        self.written.fetch_add(line.len() as u64 + 1, Ordering::SeqCst);
        if self.buffer.len() < MAX_BUFFERED_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(not_written)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.file.sync_data().map_err(not_written)
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read the journal: {0}")]
    Io(#[from] io::Error),
    #[error("line {line} of the journal is not a valid event: {why}")]
    InvalidEvent { line: usize, why: String },
}

/// The events of a journal.
pub struct Journal {
    pub events: Vec<Event>,
    /// The numbers of lines that are no events: a disk or another program damaged them. An incomplete last line does not count.
    pub damaged: Vec<usize>,
}

/// All events of a journal. Fails if it has lines, and no event.
pub fn read(path: &Path) -> Result<Journal, ReadError> {
    let mut events = Vec::new();
    let damaged = for_each(path, |e| events.push(e))?;
    Ok(Journal { events, damaged })
}

/// Like [`read`], with one event in memory at a time. Returns the numbers of damaged lines.
pub fn for_each(path: &Path, mut f: impl FnMut(Event)) -> Result<Vec<usize>, ReadError> {
    let mut input = BufReader::new(File::open(path)?);
    let (mut bytes, mut damaged, mut found) = (vec![], vec![], false);
    let mut expander = Expander::default();
    let mut first_error: Option<ReadError> = None;
    for line in 1.. {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match event(&bytes, &mut expander) {
            Ok(event) => {
                found = true;
                f(event);
            }
            Err(_) if bytes.last() != Some(&b'\n') => {}
            Err(e) => {
                first_error.get_or_insert(ReadError::InvalidEvent { line, why: e });
                damaged.push(line);
            }
        }
    }
    match first_error {
        Some(e) if !found => Err(e),
        _ => Ok(damaged),
    }
}

fn event(line: &[u8], expander: &mut Expander) -> Result<Event, String> {
    let mut expanded = expander.event(line).map_err(|e| e.to_string())?;
    times::restore(&mut expanded);
    serde_json::from_value(expanded).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::samples, value::Value};

    fn write(path: &Path, events: &[Event]) {
        let mut sink = JsonLines::open(path).unwrap();
        for e in events {
            sink.on_event(e).unwrap();
        }
        sink.sync().unwrap();
    }

    #[test]
    fn reads_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/k3x9q/events.jsonl");
        let events = samples::passing().events;
        write(&path, &events[..5]);
        write(&path, &events[5..]);
        assert_eq!(format!("{:?}", read(&path).unwrap().events), format!("{events:?}"));
    }

    #[test]
    fn a_large_value_is_written_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let numbers = Value::from(serde_json::json!({ "$same": "1.2", "list": vec![7; 300_000] }));
        let marker = Value::map([
            ("body".to_string(), Value::from(serde_json::json!({ "$same": "1.2" }))),
            ("n".into(), numbers),
        ]);
        let mut observed = samples::passing().events.into_iter().find(|event| event.kind.attempt().is_some()).unwrap();
        observed.kind.attempt_mut().unwrap().value = Some(marker);
        let events = [observed.clone(), observed];
        write(&path, &events);
        assert_eq!(fs::read_to_string(&path).unwrap().matches(r#"{"$whole":true,"seq""#).count(), 2);
        assert_eq!(format!("{:?}", read(&path).unwrap().events), format!("{events:?}"));
    }

    #[test]
    fn incomplete_last_line_is_ignored_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let events = samples::passing().events;
        write(&path, &events[..3]);
        let complete = fs::read(&path).unwrap();
        for cut in [1, 7, 20] {
            fs::write(&path, &complete[..complete.len() - cut]).unwrap();
            let kept = if cut == 1 { 3 } else { 2 };
            assert_eq!(read(&path).unwrap().events.len(), kept, "cut {cut}");
            write(&path, &events[3..4]);
            assert_eq!(read(&path).unwrap().events.len(), kept + 1, "cut {cut}");
        }
    }

    #[test]
    fn damaged_lines_are_left_out_and_named_unless_nothing_else_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let events = samples::passing().events;
        write(&path, &events[..3]);
        let text = fs::read_to_string(&path).unwrap();
        let damaged = |n| text.replacen("\"seq\"", "\"sec\"", n);
        fs::write(&path, damaged(2)).unwrap();
        let journal = read(&path).unwrap();
        assert_eq!((journal.events.len(), journal.damaged), (1, vec![1, 2]));
        fs::write(&path, damaged(3)).unwrap();
        assert!(matches!(read(&path), Err(ReadError::InvalidEvent { line: 1, .. })));
        assert!(matches!(read(&folder.path().join("none")), Err(ReadError::Io(_))));
    }
}
