//! The target: a file, or a program that prints a log. Knows no line.
use crate::{
    diagnostic::Diagnostic,
    executor::{Body, RunContext, StepError, Target, TargetSpec, shell_word},
    expr::{Scope, Template},
    yaml::Kind,
};
use async_trait::async_trait;
use std::{
    fs::File,
    future::pending,
    io::{self, Read as _, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{io::AsyncReadExt, process::Command};

/// More is not read.
const LARGEST: u64 = 64 << 20;
/// How often a file is asked whether it grew.
const GLANCE: Duration = Duration::from_millis(25);
/// The first guess at how much the last lines take.
const BLOCK: u64 = 64 << 10;

pub(super) enum Spec {
    File(Template),
    Command(Vec<Template>),
}

impl Spec {
    /// `logs: { file: PATH }` or `logs: { command: [program, argument, …] }`.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        let errors = body.problems.errors();
        body.keys(&["logs"]);
        let Some(node) = body.get("logs").cloned() else {
            body.missing("logs");
            return None;
        };
        let mut part = body.part(&node);
        if !part.keys(&["file", "command"]) {
            return None;
        }
        let spec = match (part.get("file").cloned(), part.get("command").cloned()) {
            (Some(file), None) => Spec::File(part.template_of(&file)?),
            (None, Some(command)) => match &command.kind {
                Kind::Seq(words) if !words.is_empty() => {
                    Spec::Command(words.iter().filter_map(|w| part.template_of(w)).collect())
                }
                _ => {
                    let d = Diagnostic::error(
                        "wrong-type",
                        &command.span,
                        "`command` must be a list: a program and its arguments",
                    );
                    part.problem(d.help("there is no shell; write `[sh, -c, …]` where you want one"));
                    return None;
                }
            },
            _ => {
                let d =
                    Diagnostic::error("wrong-place", &node.span, "a log is either a `file` or what a `command` prints");
                part.problem(d);
                return None;
            }
        };
        (body.problems.errors() == errors).then_some(spec)
    }
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunContext, scope: &Scope) -> Result<Arc<dyn Target>, StepError> {
        Ok(Arc::new(match self {
            Spec::File(path) => Log::File(run.dir.join(path.render_text(scope)?)),
            Spec::Command(words) => {
                let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>()?;
                Log::Command { words, dir: run.dir.clone() }
            }
        }))
    }

    fn address(&self) -> String {
        match self {
            Spec::File(path) => path.source(),
            Spec::Command(words) => words.iter().map(Template::source).collect::<Vec<_>>().join(" "),
        }
    }
}

pub(super) enum Log {
    File(PathBuf),
    Command { words: Vec<String>, dir: PathBuf },
}

impl Target for Log {}

/// What tells whether a file has changed.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct State {
    len: u64,
    modified: Option<SystemTime>,
}

pub(super) struct Taken {
    pub bytes: Vec<u8>,
    /// Whether there was more than 64 MiB.
    pub cut: bool,
    /// As it was before it was read, so that nothing written meanwhile is missed. `None` for a command.
    pub state: Option<State>,
}

impl Log {
    pub async fn read(&self, tail: Option<usize>) -> Result<Taken, StepError> {
        match self {
            Log::File(path) => {
                let (path, name) = (path.clone(), path.display().to_string());
                let read = tokio::task::spawn_blocking(move || read_file(&path, tail, LARGEST))
                    .await
                    .map_err(io::Error::other);
                read.and_then(|r| r).map_err(|e| match e.kind() {
                    io::ErrorKind::NotFound => StepError::Unreachable(format!("there is no log file `{name}`")),
                    _ => StepError::Unreachable(format!("the log file `{name}` cannot be read: {e}")),
                })
            }
            Log::Command { words, dir } => run(words, dir).await,
        }
    }

    /// Returns when the file is no longer as it was; never for a command.
    pub async fn changed(&self, seen: Option<&Option<State>>) {
        let (Log::File(path), Some(Some(seen))) = (self, seen) else { return pending().await };
        loop {
            let now = tokio::fs::metadata(path).await.ok().map(|m| state(&m));
            if now != Some(*seen) {
                return;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// The line that shows the same by hand.
    pub fn line(&self, tail: Option<usize>) -> String {
        let what = match self {
            Log::File(path) => {
                let path = shell_word(&path.to_string_lossy()).into_owned();
                return tail.map_or_else(|| format!("cat {path}"), |n| format!("tail -n {n} {path}"));
            }
            Log::Command { words, .. } => words.iter().map(|w| shell_word(w)).collect::<Vec<_>>().join(" "),
        };
        tail.map_or_else(|| what.clone(), |n| format!("{what} | tail -n {n}"))
    }
}

fn state(m: &std::fs::Metadata) -> State {
    State { len: m.len(), modified: m.modified().ok() }
}

/// All of a file, or as much of its end as holds `tail` lines and the one before them; of neither more than `most` bytes.
fn read_file(path: &Path, tail: Option<usize>, most: u64) -> io::Result<Taken> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let state = state(&metadata);
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
            return Ok(Taken { bytes, cut: start > 0 && !enough, state: Some(state) });
        }
        want *= 8;
    }
}

async fn run(words: &[String], dir: &Path) -> Result<Taken, StepError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(StepError::Invalid("the command of the log is empty".into()));
    };
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => {
            StepError::Unreachable(format!("there is no program `{program}`: is it installed, and in PATH?"))
        }
        _ => StepError::Unreachable(format!("`{program}` cannot be run: {e}")),
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, said) = tokio::join!(all(out, LARGEST + 1), all(err, BLOCK));
    let (mut bytes, said) = (out.map_err(failed)?, said.map_err(failed)?);
    if bytes.len() as u64 > LARGEST {
        bytes.truncate(usize::try_from(LARGEST).unwrap_or(usize::MAX));
        return Ok(Taken { bytes, cut: true, state: None });
    }
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
        return Err(StepError::Unreachable(format!("`{}` ended with {status}: {last}", words.join(" "))));
    }
    Ok(Taken { bytes, cut: false, state: None })
}

async fn all(from: Option<impl tokio::io::AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
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
            let read = read_file(file.path(), tail, most).unwrap();
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
        assert_eq!(read_file(file.path(), Some(40_000), 1 << 30).unwrap().bytes.len(), text.len());
    }
}
