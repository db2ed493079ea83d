//! The open target: a file, a program or pods.
use super::{
    command, file, lines,
    pods::Pods,
    types::{FileState, LogLines, MAX_LOG_BYTES},
};
use crate::executor::{ActionError, shell_word};
use jiff::Timestamp;
use std::{future::pending, io, path::PathBuf, time::Duration};

/// How often a file is checked for changes.
const FILE_POLL_INTERVAL: Duration = Duration::from_millis(25);

pub(super) enum Log {
    File(PathBuf),
    Command { words: Vec<String>, dir: PathBuf },
    Pods(Pods),
}

impl Log {
    pub async fn read(&self, since: Option<Timestamp>, tail: Option<usize>) -> Result<LogLines, ActionError> {
        let (bytes, truncated, file_state) = match self {
            Log::Pods(pods) => return pods.read(since, tail).await,
            Log::File(path) => {
                let (path, name) = (path.clone(), path.display().to_string());
                let read = tokio::task::spawn_blocking(move || file::read(&path, tail, MAX_LOG_BYTES)).await;
                let read = read.map_err(io::Error::other).and_then(|r| r).map_err(|e| match e.kind() {
                    io::ErrorKind::NotFound => ActionError::Unreachable(format!("log file `{name}` does not exist")),
                    _ => ActionError::Unreachable(format!("cannot read log file `{name}`: {e}")),
                })?;
                (read.bytes, read.truncated, Some(read.state))
            }
            Log::Command { words, dir } => {
                let (bytes, truncated) = command::run(words, dir, MAX_LOG_BYTES).await?;
                (bytes, truncated, None)
            }
        };
        let lines = lines::select(&String::from_utf8_lossy(&bytes), since, tail);
        let note = truncated.then(|| "the log is longer than 64 MiB: the rest was not read".to_string());
        Ok(LogLines { lines, notes: note.into_iter().collect(), file_state })
    }

    /// Waits until the file differs from `last`. Never returns for other sources.
    pub async fn changed(&self, last: Option<&Option<FileState>>) {
        let (Log::File(path), Some(Some(last))) = (self, last) else { return pending().await };
        loop {
            let now = tokio::fs::metadata(path).await.ok().map(|m| FileState::of(&m));
            if now != Some(*last) {
                return;
            }
            tokio::time::sleep(FILE_POLL_INTERVAL).await;
        }
    }

    /// The command that shows the same lines.
    pub fn shell_command(&self, since: Option<Timestamp>, tail: Option<usize>) -> String {
        let command = match self {
            Log::Pods(pods) => return pods.kubectl_command(since, tail),
            Log::File(path) => {
                let path = shell_word(&path.to_string_lossy()).into_owned();
                return tail.map_or_else(|| format!("cat {path}"), |n| format!("tail -n {n} {path}"));
            }
            Log::Command { words, .. } => words.iter().map(|w| shell_word(w)).collect::<Vec<_>>().join(" "),
        };
        tail.map_or_else(|| command.clone(), |n| format!("{command} | tail -n {n}"))
    }
}
