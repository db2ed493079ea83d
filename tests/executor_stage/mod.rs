//! What an engine gives to an action, in a few lines: for tests of single executors.
#![allow(dead_code)]
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tp_runner::{
    address::Address,
    diagnostic::Diagnostics,
    event::{Evidence, EvidenceKind},
    executor::{Action, ActionContext, ActionError, Body, Output, RunInfo, Target},
    expr::Scope,
    secrets::Secrets,
    source::Source,
    value::Value,
    yaml,
};

pub struct Stage {
    pub verb: &'static str,
    pub target: Option<Arc<dyn Target>>,
    pub scope: Scope,
    pub run: RunInfo,
    pub secrets: Secrets,
    pub evidence: parking_lot::Mutex<Vec<Evidence>>,
    pub sent: AtomicBool,
    pub cancel: CancellationToken,
}

impl Stage {
    pub fn new(verb: &'static str, dir: impl Into<std::path::PathBuf>) -> Stage {
        Stage {
            verb,
            target: None,
            scope: Scope::default(),
            run: RunInfo { id: "test".into(), started: "2026-01-02T03:04:05Z".parse().unwrap(), dir: dir.into() },
            secrets: Secrets::default(),
            evidence: parking_lot::Mutex::default(),
            sent: AtomicBool::default(),
            cancel: CancellationToken::new(),
        }
    }

    /// Opens the target that this YAML describes.
    pub async fn open(mut self, target: &str) -> Result<Stage, ActionError> {
        let registry = tp_runner::executors::registry();
        let (node, mut reads, mut problems) = (parse(target), vec![], Diagnostics::default());
        let mut body = Body { node: &node, references: &mut reads, problems: &mut problems };
        let spec = registry.get(self.verb).unwrap().target(&mut body).unwrap_or_else(|| panic!("{problems:?}"));
        self.target = Some(spec.connect(&self.run, &self.scope).await?);
        Ok(self)
    }

    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Stage {
        Stage { scope: self.scope.with(name, value), ..self }
    }

    pub fn action(&self, body: &str) -> Box<dyn Action> {
        compile(self.verb, body).unwrap_or_else(|p| panic!("{body}: {p:?}"))
    }

    pub async fn perform(&self, body: &str) -> Result<Output, ActionError> {
        self.action(body).perform(&self.context()).await
    }

    /// The value, where there must be one.
    pub async fn see(&self, body: &str) -> Value {
        self.perform(body).await.unwrap_or_else(|e| panic!("{body}: {e}")).value
    }

    pub async fn fail(&self, body: &str) -> ActionError {
        match self.perform(body).await {
            Ok(o) => panic!("{body} gave {}", o.value),
            Err(e) => e,
        }
    }

    pub async fn next(&self, action: &dyn Action, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        action.next(&self.context(), last, pace).await
    }

    pub fn context(&self) -> ActionContext<'_> {
        static HERE: std::sync::LazyLock<Address> = std::sync::LazyLock::new(|| Address::new("TC-1/steps/0/do/0"));
        ActionContext {
            address: &HERE,
            run: &self.run,
            scope: &self.scope,
            environment: &self.scope,
            cancel: self.cancel.clone(),
            secrets: &self.secrets,
            target: self.target.clone(),
            evidence: &self.evidence,
            sent: &self.sent,
        }
    }

    /// The texts of one kind of evidence so far; they are taken away.
    pub fn noted(&self, kind: EvidenceKind) -> String {
        let all = std::mem::take(&mut *self.evidence.lock());
        all.into_iter().filter(|e| e.kind == kind).map(|e| e.text).collect::<Vec<_>>().join("\n")
    }
}

pub fn compile(verb: &str, body: &str) -> Result<Box<dyn Action>, Vec<(&'static str, String)>> {
    let registry = tp_runner::executors::registry();
    let (node, mut reads, mut problems) = (parse(body), vec![], Diagnostics::default());
    let mut body = Body { node: &node, references: &mut reads, problems: &mut problems };
    let action = registry.get(verb).expect("the verb is registered").compile(&mut body);
    match action {
        Some(action) if problems.errors() == 0 => Ok(action),
        _ => Err(problems
            .0
            .into_iter()
            .map(|d| (d.code, format!("{} {}", d.message, d.help.unwrap_or_default())))
            .collect()),
    }
}

fn parse(text: &str) -> yaml::Node {
    yaml::parse(&Arc::new(Source { name: "t.yaml".into(), text: text.into() })).expect("it is YAML")
}

/// `at(&v, "object.status.phase")`; numbers are indices. Null where it is not there.
pub fn at(value: &Value, path: &str) -> Value {
    let step = |v: Value, s: &str| match s.parse::<usize>() {
        Ok(i) => v.at(i).cloned().unwrap_or_default(),
        Err(_) => v.get(s).cloned().unwrap_or_default(),
    };
    path.split('.').fold(value.clone(), step)
}
