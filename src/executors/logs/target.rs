//! Parses the target's entry in an environment, connects it, and implements `Target` for the open log.
use super::{log::Log, pods::PodsSpec};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec},
    expr::{Scope, Template},
    yaml::Kind,
};
use async_trait::async_trait;
use std::sync::Arc;

pub(super) enum LogSpec {
    File(Template),
    Command(Vec<Template>),
    Pods(PodsSpec),
}

impl LogSpec {
    /// Reads `logs: { file: PATH }`, `logs: { command: [program, argument, …] }` or `logs: { k8s: SELECTOR, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<LogSpec> {
        body.keys(&["logs"]);
        let node = body.required("logs")?;
        let mut part = body.part(node);
        if part.get("k8s").is_some() {
            return PodsSpec::compile(&mut part).map(LogSpec::Pods);
        }
        if !part.keys(&["file", "command", "k8s"]) {
            return None;
        }
        match (part.get("file").cloned(), part.get("command").cloned()) {
            (Some(file), None) => part.template_of(&file).map(LogSpec::File),
            (None, Some(command)) => match &command.kind {
                Kind::Seq(words) if !words.is_empty() => {
                    Some(LogSpec::Command(words.iter().filter_map(|w| part.template_of(w)).collect()))
                }
                kind => {
                    let found = if matches!(kind, Kind::Seq(_)) { "an empty list" } else { command.what() };
                    let message = format!("expected a program and its arguments as a list, found {found}");
                    let d = Diagnostic::error("wrong-type", &command.span, message);
                    part.problem(d.help("the program runs without a shell; write `[sh, -c, …]` to use one"));
                    None
                }
            },
            (file, _) => {
                let found = if file.is_some() { "`file` and `command`" } else { "none" };
                let message = format!("expected exactly one of `file`, `command` and `k8s`, found {found}");
                part.problem(Diagnostic::error("invalid-log-source", &node.span, message));
                None
            }
        }
    }
}

#[async_trait]
impl TargetSpec for LogSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        Ok(Arc::new(match self {
            LogSpec::File(path) => Log::File(run.dir.join(path.render_text(scope)?)),
            LogSpec::Command(words) => {
                let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>()?;
                Log::Command { words, dir: run.dir.clone() }
            }
            LogSpec::Pods(spec) => Log::Pods(spec.connect(run, scope).await?),
        }))
    }

    fn address(&self) -> String {
        match self {
            LogSpec::File(path) => path.source(),
            LogSpec::Command(words) => words.iter().map(Template::source).collect::<Vec<_>>().join(" "),
            LogSpec::Pods(spec) => spec.address(),
        }
    }
}

#[async_trait]
impl Target for Log {
    async fn probe(&self, _: &[Permission], _: &Scope) -> Vec<ProbeResult> {
        match self {
            Log::Pods(pods) => pods.probe().await,
            Log::File(_) | Log::Command { .. } => vec![match self.read(None, Some(1)).await {
                Ok(_) => ProbeResult::ok("read", "readable"),
                Err(e) => ProbeResult::error("read", e.to_string(), "correct the target in the environment file"),
            }],
        }
    }
}
