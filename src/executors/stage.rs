//! Where tests of executors perform an action: a context with nothing around it. Tests only.
use crate::{
    address::Address,
    diagnostic::Diagnostics,
    event::{Evidence, EvidenceKind},
    executor::{Action, ActionContext, ActionError, Body, Executor, RunInfo, Target},
    expr::Scope,
    secrets::Secrets,
    source::Source,
    yaml,
};
use jiff::Timestamp;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

pub struct Stage {
    pub address: Address,
    pub run: RunInfo,
    pub scope: Scope,
    pub environment: Scope,
    pub target: Option<Arc<dyn Target>>,
    pub cancel: CancellationToken,
    pub secrets: Arc<Secrets>,
    evidence: parking_lot::Mutex<Vec<Evidence>>,
    sent: AtomicBool,
}

impl Stage {
    pub fn new(dir: impl AsRef<Path>) -> Stage {
        let run = RunInfo { id: "r1".into(), started: Timestamp::now(), dir: dir.as_ref().to_path_buf() };
        Stage {
            address: Address::new("TC-1/steps/0/do/0"),
            run,
            scope: Scope::default(),
            environment: Scope::default(),
            target: None,
            cancel: CancellationToken::new(),
            secrets: Arc::default(),
            evidence: parking_lot::Mutex::default(),
            sent: AtomicBool::new(false),
        }
    }

    /// With the target that this YAML of an environment describes.
    pub async fn with_target(mut self, executor: &dyn Executor, text: &str) -> Stage {
        self.target = Some(self.connect(executor, text).await.unwrap());
        self
    }

    pub async fn connect(&self, executor: &dyn Executor, text: &str) -> Result<Arc<dyn Target>, ActionError> {
        let (spec, problems) = read(text, |b| executor.target(b));
        let spec = spec.unwrap_or_else(|| panic!("{}", drawn(&problems)));
        spec.connect(&self.run, &self.environment).await
    }

    pub fn cx(&self) -> ActionContext<'_> {
        ActionContext {
            address: &self.address,
            run: &self.run,
            scope: &self.scope,
            environment: &self.environment,
            cancel: self.cancel.clone(),
            secrets: &self.secrets,
            target: self.target.clone(),
            evidence: &self.evidence,
            sent: &self.sent,
        }
    }

    pub fn sent(&self) -> bool {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn noted(&self, kind: EvidenceKind) -> Vec<String> {
        self.evidence.lock().iter().filter(|e| e.kind == kind).map(|e| e.text.clone()).collect()
    }
}

/// An action that must compile.
pub fn action(executor: &dyn Executor, text: &str) -> Box<dyn Action> {
    let (action, problems) = read(text, |b| executor.compile(b));
    assert_eq!(problems.0.len(), 0, "{}", drawn(&problems));
    action.unwrap()
}

/// Code and underlined text of everything that is wrong with a body; nothing may compile then.
pub fn wrong(executor: &dyn Executor, text: &str) -> Vec<(&'static str, String)> {
    let (action, problems) = read(text, |b| executor.compile(b));
    assert!(action.is_none(), "it compiles: {text}");
    named(&problems)
}

/// The same for a target.
pub fn wrong_target(executor: &dyn Executor, text: &str) -> Vec<(&'static str, String)> {
    let (spec, problems) = read(text, |b| executor.target(b));
    assert!(spec.is_none(), "it is taken: {text}");
    named(&problems)
}

fn named(problems: &Diagnostics) -> Vec<(&'static str, String)> {
    problems.0.iter().map(|d| (d.code, d.span.text().trim().to_string())).collect()
}

fn drawn(problems: &Diagnostics) -> String {
    problems.0.iter().map(|d| d.render(false)).collect()
}

fn read<T>(text: &str, f: impl FnOnce(&mut Body<'_>) -> Option<T>) -> (Option<T>, Diagnostics) {
    let node = yaml::parse(&Arc::new(Source { name: "t.yaml".into(), text: text.into() })).unwrap();
    let (mut reads, mut problems) = (vec![], Diagnostics::default());
    let got = f(&mut Body { node: &node, references: &mut reads, problems: &mut problems });
    (got, problems)
}

/// Every example of a manual is taken by the verb that it shows: actions in a list, targets in a map.
#[test]
fn the_examples_in_the_manuals_are_right() {
    let registry = super::registry();
    for verb in registry.verbs() {
        let manual = registry.get(verb).unwrap().manual();
        let blocks: Vec<&str> = manual.split("```yaml\n").skip(1).filter_map(|b| b.split("```").next()).collect();
        let mut shown = 0;
        for block in blocks {
            let node = yaml::parse(&Arc::new(Source { name: format!("{verb}.md"), text: block.into() })).unwrap();
            let (mut reads, mut problems) = (vec![], Diagnostics::default());
            if let yaml::Kind::Seq(actions) = &node.kind {
                for (key, body) in actions.iter().flat_map(|a| a.entries()) {
                    let Some(executor) = registry.get(&key.key_text()) else { continue };
                    executor.compile(&mut Body { node: body, references: &mut reads, problems: &mut problems });
                    shown += 1;
                }
            }
            for (_, target) in node.entries() {
                let Some(executor) = target.entries().iter().find_map(|(k, _)| registry.get(&k.key_text())) else {
                    continue;
                };
                executor.target(&mut Body { node: target, references: &mut reads, problems: &mut problems });
                shown += 1;
            }
            assert_eq!(problems.0.len(), 0, "{}", drawn(&problems));
        }
        assert!(shown > 0, "the manual of `{verb}` shows no example");
    }
}
