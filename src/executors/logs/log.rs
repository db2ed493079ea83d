//! The open target: a file, a program or pods.
use super::{
    command::{self, Printed},
    file::LogFile,
    lines::{self, LastLines},
    pods::Pods,
    text::{self, Encoding},
    times::Times,
    types::{Cursor, LogLines, cut, empty},
};
use crate::{
    executor::{ActionError, limits::line_bytes},
    executors::processing::off_thread,
    shell::shell_word,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{
    future::pending,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// How often a file is checked for changes.
const FILE_POLL_INTERVAL: Duration = Duration::from_millis(25);
/// How long the rest of a line is awaited.
const LINE_GRACE: Duration = Duration::from_millis(300);
/// How long a file that was renamed is awaited under its name.
const ROTATION_GRACE: Duration = Duration::from_secs(1);

pub(super) enum Log {
    File { path: PathBuf, times: Times, limit: usize },
    Command { words: Vec<String>, dir: PathBuf, times: Times, limit: usize },
    Pods(Pods),
}

impl Log {
    /// The lines; those of a file or of pods with what has changed since `last`.
    pub async fn read(
        &self,
        since: Option<Timestamp>,
        tail: Option<usize>,
        last: Option<&Cursor>,
    ) -> Result<LogLines, ActionError> {
        match (self, last) {
            (Log::Pods(pods), Some(Cursor::Pods(restarts))) => pods.read(since, tail, Some(restarts)).await,
            (Log::Pods(pods), _) => pods.read(since, tail, None).await,
            (Log::Command { words, dir, times, limit }, _) => {
                let (printed, limit) = (command::run(words, dir, *limit).await?, *limit);
                let (times, command, size) = (times.clone(), words.join(" "), printed.stdout.len());
                let select = move || lines_of_command(printed, &command, &times, since, tail, limit);
                off_thread(size, select).await.map_err(ActionError::Invalid)
            }
            (Log::File { path, times, limit }, last) => {
                let last = last.and_then(|last| if let Cursor::File(log) = last { Some(log.clone()) } else { None });
                let log = read_file(path, tail, last, *limit).await?;
                let (times, limit) = (times.clone(), *limit);
                let size = log.lock().parts.iter().map(|part| part.bytes.len()).sum();
                off_thread(size, move || lines_of(log, &times, since, tail, limit)).await.map_err(ActionError::Invalid)
            }
        }
    }

    /// Waits until the file differs from `last`. Never returns for other sources.
    pub async fn changed(&self, last: Option<&Cursor>) {
        let Some(Cursor::File(log)) = last else { return pending().await };
        while log.lock().is_current() {
            tokio::time::sleep(FILE_POLL_INTERVAL).await;
        }
    }

    /// The command that shows the same lines.
    pub fn shell_command(&self, since: Option<Timestamp>, tail: Option<usize>) -> String {
        let command = match self {
            Log::Pods(pods) => return pods.kubectl_command(since, tail),
            Log::File { path, .. } => {
                let path = shell_word(&path.to_string_lossy()).into_owned();
                return tail.map_or_else(|| format!("cat {path}"), |n| format!("tail -n {n} {path}"));
            }
            Log::Command { words, .. } => words.iter().map(|w| shell_word(w)).collect::<Vec<_>>().join(" "),
        };
        tail.map_or_else(|| command.clone(), |n| format!("{command} | tail -n {n}"))
    }
}

/// Opens the file, or reads on. Waits a moment for the end of a line that is being written, and for a file that is being
/// rotated.
async fn read_file(
    path: &Path,
    tail: Option<usize>,
    last: Option<Arc<Mutex<LogFile>>>,
    limit: usize,
) -> Result<Arc<Mutex<LogFile>>, ActionError> {
    let (began, mut log) = (Instant::now(), last);
    loop {
        let (opened, name) = (log.clone(), path.to_path_buf());
        let read = move || match opened {
            Some(log) => log.lock().read_more().map(|()| log.clone()),
            None => LogFile::open(&name, tail, limit as u64).map(|log| Arc::new(Mutex::new(log))),
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).and_then(|r| r);
        let read = read.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                ActionError::Unreachable(format!("log file `{}` does not exist", path.display()))
            }
            _ => ActionError::Unreachable(format!("cannot read log file `{}`: {e}", path.display())),
        })?;
        let (is_gone, is_unfinished) = {
            let log = read.lock();
            (log.is_gone, log.is_unfinished())
        };
        let is_late = began.elapsed() > if is_gone { ROTATION_GRACE } else { LINE_GRACE };
        if is_late || !(is_gone || is_unfinished) {
            return Ok(read);
        }
        log = Some(read);
        tokio::time::sleep(FILE_POLL_INTERVAL).await;
    }
}

fn lines_of_command(
    printed: Printed,
    command: &str,
    times: &Times,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: usize,
) -> Result<LogLines, String> {
    let Printed { stdout, is_cut, error } = printed;
    let (text, problem) = Encoding::of(&stdout).decode(&stdout);
    let mut all = LastLines::new(line_bytes(limit));
    // the last line may be cut
    all.add(text::lines(&text).rev().skip(usize::from(is_cut)));
    let is_cut = is_cut || all.is_cut;
    let all = all.into_lines();
    let mut missing: Vec<String> = is_cut.then(|| cut(limit)).into_iter().chain(problem).collect();
    missing.extend(text::zero_bytes(all.iter().copied()));
    let lines = lines::select(&all, times, since, tail)?.lines;
    match error {
        Some(error) if all.is_empty() => {
            missing.push(format!("`{command}` wrote only to its standard error: {error}"));
        }
        _ if lines.is_empty() => missing.push(empty(since)),
        _ => {}
    }
    Ok(LogLines { lines, missing, cursor: Cursor::Command })
}

fn lines_of(
    log: Arc<Mutex<LogFile>>,
    times: &Times,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: usize,
) -> Result<LogLines, String> {
    let file = log.lock();
    let mut missing = file.missing.clone();
    if file.is_gone {
        missing.push("the log file was renamed or deleted, and no new one has its name yet".into());
    }
    let texts: Vec<_> = file.parts.iter().map(|part| (part, part.encoding.decode(&part.bytes))).collect();
    let mut all = LastLines::new(line_bytes(limit));
    for (part, (text, _)) in texts.iter().rev() {
        // In UTF-16, only half of the next character may be there.
        let is_unfinished = part.encoding.is_unfinished(&part.bytes) && !text.ends_with('\n');
        let first = text.find('\n').map_or(text.len(), |end| end + 1);
        let text = &text[if part.starts_within_line { first } else { 0 }..];
        all.add(text::lines(text).rev().skip(usize::from(is_unfinished)));
    }
    let is_cut = all.is_cut || file.parts.iter().any(|part| part.is_cut);
    let all = all.into_lines();
    for (part, (_, problem)) in &texts {
        missing.extend(problem.clone());
        if part.encoding.is_unfinished(&part.bytes) {
            missing.push("the last line has no line ending: it may not be complete yet".into());
        }
    }
    missing.extend(text::zero_bytes(all.iter().copied()));
    let selected = lines::select(&all, times, since, tail)?;
    // Lines before the first one do not matter if it is older than `since`.
    if since.is_none_or(|since| selected.first.is_none_or(|first| first.may_be_after(since))) {
        missing.extend(is_cut.then(|| cut(limit)));
        missing.extend(since.and_then(|since| file.rotated_since(since.into())));
    }
    if selected.lines.is_empty() {
        missing.push(empty(since));
    }
    drop(texts);
    drop(file);
    Ok(LogLines { lines: selected.lines, missing, cursor: Cursor::File(log) })
}
