//! The target: where the lines are. Each kind of place has its own file; what they have in common is here.
use super::{command, file, lines, pods};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Need, ProbeResult, RunInfo, Target, TargetSpec, shell_word},
    expr::{Scope, Template},
    value::Value,
    yaml::Kind,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{future::pending, io, path::PathBuf, sync::Arc, time::Duration};

/// More is not read.
pub(super) const LARGEST: u64 = 64 << 20;
/// How often a file is asked whether it grew.
const GLANCE: Duration = Duration::from_millis(25);

pub(super) enum Spec {
    File(Template),
    Command(Vec<Template>),
    Pods(pods::Spec),
}

impl Spec {
    /// `logs: { file: PATH }`, `logs: { command: [program, argument, …] }` or `logs: { k8s: SELECTOR, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        let errors = body.problems.errors();
        body.keys(&["logs"]);
        let Some(node) = body.get("logs").cloned() else {
            body.missing("logs");
            return None;
        };
        let mut part = body.part(&node);
        if part.get("k8s").is_some() {
            let spec = pods::Spec::compile(&mut part)?;
            return (body.problems.errors() == errors).then_some(Spec::Pods(spec));
        }
        if !part.keys(&["file", "command", "k8s"]) {
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
                let message = "a log is a `file`, what a `command` prints, or of pods of a cluster (`k8s`)";
                part.problem(Diagnostic::error("invalid-log-source", &node.span, message));
                return None;
            }
        };
        (body.problems.errors() == errors).then_some(spec)
    }
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        Ok(Arc::new(match self {
            Spec::File(path) => Log::File(run.dir.join(path.render_text(scope)?)),
            Spec::Command(words) => {
                let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>()?;
                Log::Command { words, dir: run.dir.clone() }
            }
            Spec::Pods(spec) => Log::Pods(spec.open(run, scope).await?),
        }))
    }

    fn address(&self) -> String {
        match self {
            Spec::File(path) => path.source(),
            Spec::Command(words) => words.iter().map(Template::source).collect::<Vec<_>>().join(" "),
            Spec::Pods(spec) => spec.address(),
        }
    }
}

pub(super) enum Log {
    File(PathBuf),
    Command { words: Vec<String>, dir: PathBuf },
    Pods(pods::Pods),
}

#[async_trait]
impl Target for Log {
    async fn probe(&self, _: &[Need], _: &Scope) -> Vec<ProbeResult> {
        match self {
            Log::Pods(pods) => pods.probe().await,
            Log::File(_) | Log::Command { .. } => vec![match self.read(None, Some(1)).await {
                Ok(_) => ProbeResult::ok("read", "it can be read"),
                Err(e) => {
                    ProbeResult::error("read", e.to_string(), "see whether it stands where the environment file says")
                }
            }],
        }
    }
}

/// Lines as a plan sees them, and what is to be said about them.
pub(super) struct Taken {
    pub lines: Vec<Value>,
    pub notes: Vec<String>,
    /// As the file was. `None` for all else.
    pub state: Option<file::State>,
}

impl Log {
    pub async fn read(&self, since: Option<Timestamp>, tail: Option<usize>) -> Result<Taken, ActionError> {
        let (bytes, cut, state) = match self {
            Log::Pods(pods) => return pods.read(since, tail).await,
            Log::File(path) => {
                let (path, name) = (path.clone(), path.display().to_string());
                let read = tokio::task::spawn_blocking(move || file::read(&path, tail, LARGEST)).await;
                let taken = read.map_err(io::Error::other).and_then(|r| r).map_err(|e| match e.kind() {
                    io::ErrorKind::NotFound => ActionError::Unreachable(format!("there is no log file `{name}`")),
                    _ => ActionError::Unreachable(format!("the log file `{name}` cannot be read: {e}")),
                })?;
                (taken.bytes, taken.cut, Some(taken.state))
            }
            Log::Command { words, dir } => {
                let (bytes, cut) = command::run(words, dir, LARGEST).await?;
                (bytes, cut, None)
            }
        };
        let lines = lines::select(&String::from_utf8_lossy(&bytes), since, tail);
        let cut = cut.then(|| "the log is longer than 64 MiB: only that much of it was read".to_string());
        Ok(Taken { lines, notes: cut.into_iter().collect(), state })
    }

    /// Returns when the file is no longer as it was; never for all else.
    pub async fn changed(&self, seen: Option<&Option<file::State>>) {
        let (Log::File(path), Some(Some(seen))) = (self, seen) else { return pending().await };
        loop {
            let now = tokio::fs::metadata(path).await.ok().map(|m| file::State::of(&m));
            if now != Some(*seen) {
                return;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// The line that shows the same by hand.
    pub fn line(&self, since: Option<Timestamp>, tail: Option<usize>) -> String {
        let what = match self {
            Log::Pods(pods) => return pods.line(since, tail),
            Log::File(path) => {
                let path = shell_word(&path.to_string_lossy()).into_owned();
                return tail.map_or_else(|| format!("cat {path}"), |n| format!("tail -n {n} {path}"));
            }
            Log::Command { words, .. } => words.iter().map(|w| shell_word(w)).collect::<Vec<_>>().join(" "),
        };
        tail.map_or_else(|| what.clone(), |n| format!("{what} | tail -n {n}"))
    }
}
