//! Parses the target's entry in an environment, connects it, and implements `Target` for the open log.
use super::{
    log::Log,
    pods::{self, PodsSpec},
    times::Times,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec, limits},
    executors::apiserver::AccessSpec,
    expr::{Scope, Template},
    language::{Key, Shape, TEXTS},
    yaml::Kind,
};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Of a file or a program. `k8s` begins the settings of pods.
const SOURCE_KEYS: &[Key] = &[
    Key::new("file", Shape::Path).means("the file"),
    Key::new("command", TEXTS).means("the program and its arguments; the log is its standard output"),
    Key::new("k8s", Shape::Text).means("pods: a label selector, or `pods/NAME`"),
    Key::new("time", Shape::Text).means("format of the times of lines, as for strptime"),
    Key::new("zone", Shape::Name).means("time zone of times without one"),
    Key::new("limit", Shape::Size).means("how much of the log is read"),
];
pub(super) const KEYS: &[Key] = &[Key::new("logs", Shape::Keys(&[SOURCE_KEYS, pods::KEYS, &AccessSpec::KEYS]))
    .required()
    .means("where the log is: a file, a program or pods")];

pub(super) enum LogSpec {
    File(Template, Times, usize),
    Command(Vec<Template>, Times, usize),
    Pods(PodsSpec),
}

impl LogSpec {
    /// Reads `logs: { file: PATH }`, `logs: { command: [program, argument, …] }`, both with `time` and `zone`, or
    /// `logs: { k8s: SELECTOR, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<LogSpec> {
        body.only(&[KEYS]);
        let node = body.required("logs")?;
        let mut part = body.part(node);
        if part.get("k8s").is_some() {
            return PodsSpec::compile(&mut part).map(LogSpec::Pods);
        }
        if !part.only(&[SOURCE_KEYS]) {
            return None;
        }
        let (times, limit) = (times(&mut part), part.limit(limits::LOG_BYTES));
        match (part.get("file").cloned(), part.get("command").cloned()) {
            (Some(file), None) => part.template_of(&file).map(|path| LogSpec::File(path, times, limit)),
            (None, Some(command)) => match &command.kind {
                Kind::Seq(words) if !words.is_empty() => {
                    Some(LogSpec::Command(words.iter().filter_map(|w| part.template_of(w)).collect(), times, limit))
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

/// Reads `time: FORMAT` and `zone: NAME`.
fn times(body: &mut Body<'_>) -> Times {
    let mut times = Times::default();
    if let Some(node) = body.get("time") {
        let format = node.key_text();
        if let Err(e) = Times::check_format(&format) {
            let message = format!("expected a time format like `%Y-%m-%d %H:%M:%S`, found `{format}`: {e}");
            body.problem(Diagnostic::error("invalid-time", &node.span, message));
        }
        times.format = Some(format);
    }
    if let Some(node) = body.get("zone") {
        let name = node.key_text();
        match TimeZone::get(&name) {
            Ok(zone) => times.zone = zone,
            Err(_) => {
                let message = format!("expected a time zone like `UTC` or `Europe/Berlin`, found `{name}`");
                body.problem(Diagnostic::error("invalid-time", &node.span, message));
            }
        }
    }
    times
}

#[async_trait]
impl TargetSpec for LogSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        Ok(Arc::new(match self {
            LogSpec::File(path, times, limit) => {
                Log::File { path: run.dir.join(path.render_text(scope)?), times: times.clone(), limit: *limit }
            }
            LogSpec::Command(words, times, limit) => {
                let words = words.iter().map(|w| w.render_text(scope)).collect::<Result<Vec<_>, _>>()?;
                Log::Command { words, dir: run.dir.clone(), times: times.clone(), limit: *limit }
            }
            LogSpec::Pods(spec) => Log::Pods(spec.connect(run, scope).await?),
        }))
    }

    fn address(&self, scope: &Scope) -> String {
        match self {
            LogSpec::File(path, ..) => path.render_known(scope),
            LogSpec::Command(words, ..) => words.iter().map(|w| w.render_known(scope)).collect::<Vec<_>>().join(" "),
            LogSpec::Pods(spec) => spec.address(scope),
        }
    }
}

#[async_trait]
impl Target for Log {
    async fn probe(&self, _: &[Permission], _: &Scope) -> Vec<ProbeResult> {
        match self {
            Log::Pods(pods) => pods.probe().await,
            Log::File { .. } | Log::Command { .. } => vec![match self.read(None, Some(1), None).await {
                Ok(read) if !read.missing.is_empty() => {
                    ProbeResult::warning("read", read.missing.join("; "), "check that the product writes this log")
                }
                Ok(_) => ProbeResult::ok("read", "readable"),
                Err(e) => ProbeResult::error("read", e.to_string(), "correct the target in the environment file"),
            }],
        }
    }
}
