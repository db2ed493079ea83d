//! Compiles and performs single actions without the engine.
use crate::{
    access::AccessRules,
    address::Address,
    diagnostic::Diagnostics,
    event::{Evidence, EvidenceKind},
    executor::{Action, ActionContext, ActionError, Body, Executor, Output, RunInfo, Target},
    expr::Scope,
    report::by_hand::with_commands,
    secrets::Secrets,
    source::Source,
    value::Value,
    yaml::{self, Node},
};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Compiles and performs actions of one executor.
pub struct Harness {
    executor: &'static dyn Executor,
    pub address: Address,
    pub run: RunInfo,
    pub scope: Scope,
    /// The names of the environment, for the templates of a target.
    pub environment: Scope,
    pub target: Option<Arc<dyn Target>>,
    pub read_only: bool,
    pub cancel: CancellationToken,
    pub secrets: Arc<Secrets>,
    evidence: Mutex<Vec<Evidence>>,
    sent: AtomicBool,
    processing: AtomicBool,
}

impl Harness {
    /// `dir` is the base of relative paths.
    pub fn new(executor: &'static dyn Executor, dir: impl AsRef<Path>) -> Harness {
        let secrets = Arc::<Secrets>::default();
        Harness {
            executor,
            address: Address::new("TC-1/steps/0/do/0"),
            run: RunInfo { id: "r1".into(), started: Timestamp::now(), dir: dir.as_ref().to_path_buf(), trace: None },
            scope: Scope::new(secrets.clone()),
            environment: Scope::new(secrets.clone()),
            target: None,
            read_only: false,
            cancel: CancellationToken::new(),
            secrets,
            evidence: Mutex::default(),
            sent: AtomicBool::new(false),
            processing: AtomicBool::new(false),
        }
    }

    /// Binds a name, also in the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Harness {
        let value = value.into();
        self.scope = self.scope.with(name, value.clone());
        self.environment = self.environment.with(name, value);
        self
    }

    /// Connects the target that this YAML describes.
    pub async fn connect(&self, target: &str) -> Result<Arc<dyn Target>, ActionError> {
        let node = parse(target);
        let (spec, problems) = with_body(&node, |body| self.executor.target(body));
        let spec = spec.unwrap_or_else(|| panic!("{}", render(&problems)));
        spec.connect(&self.run, &self.environment).await
    }

    /// Connects the target and uses it for all actions.
    pub async fn open(mut self, target: &str) -> Result<Harness, ActionError> {
        self.target = Some(self.connect(target).await?);
        Ok(self)
    }

    pub fn context(&self) -> ActionContext<'_> {
        ActionContext {
            address: &self.address,
            run: &self.run,
            scope: &self.scope,
            environment: &self.environment,
            cancel: self.cancel.clone(),
            secrets: &self.secrets,
            target: self.target.clone(),
            read_only: self.read_only,
            evidence: &self.evidence,
            sent: &self.sent,
            processing: &self.processing,
            targets: &Vec::new,
        }
    }

    /// Compiles an action; panics if the body has errors.
    pub fn action(&self, body: &str) -> Box<dyn Action> {
        compile(self.executor, body).unwrap_or_else(|problems| panic!("{body}: {problems:?}"))
    }

    pub async fn perform(&self, body: &str) -> Result<Output, ActionError> {
        self.action(body).perform(&self.context()).await
    }

    /// Performs an action that must succeed.
    pub async fn output(&self, body: &str) -> Value {
        self.perform(body).await.unwrap_or_else(|e| panic!("{body}: {e}")).value
    }

    /// Performs an action that must fail.
    pub async fn error(&self, body: &str) -> ActionError {
        match self.perform(body).await {
            Ok(output) => panic!("{body} succeeded: {}", output.value),
            Err(e) => e,
        }
    }

    pub async fn next(&self, action: &dyn Action, last: &Output, pace: Duration) -> Result<Output, ActionError> {
        action.next(&self.context(), last, pace).await
    }

    /// Whether an action has sent its request.
    pub fn sent(&self) -> bool {
        self.sent.load(Ordering::SeqCst)
    }

    /// All evidence of one kind so far.
    pub fn evidence(&self, kind: EvidenceKind) -> Vec<String> {
        let evidence = with_commands(&self.evidence.lock());
        evidence.iter().filter(|e| e.kind == kind).map(|e| e.text.clone()).collect()
    }

    /// The evidence of one kind as one text. Removes the evidence of all kinds.
    pub fn take_evidence(&self, kind: EvidenceKind) -> String {
        let text = self.evidence(kind).join("\n");
        self.evidence.lock().clear();
        text
    }
}

/// A problem of a body: the code, the underlined text, and message and help together.
#[derive(Debug, PartialEq)]
pub struct Problem {
    pub code: &'static str,
    pub text: String,
    pub message: String,
}

/// Compiles an action; returns the problems of the body if there are any.
pub fn compile(executor: &dyn Executor, body: &str) -> Result<Box<dyn Action>, Vec<Problem>> {
    let node = parse(body);
    match with_body(&node, |body| executor.compile(body)) {
        (Some(action), problems) if problems.errors() == 0 => Ok(action),
        (_, problems) => Err(list(&problems)),
    }
}

/// Compiles an action; panics if the body has problems or warnings.
pub fn action(executor: &dyn Executor, body: &str) -> Box<dyn Action> {
    let node = parse(body);
    let (action, problems) = with_body(&node, |body| executor.compile(body));
    assert!(problems.0.is_empty(), "{body}\n{}", render(&problems));
    action.unwrap_or_else(|| panic!("{body} does not compile"))
}

/// Code and underlined text of every problem of an action's body, which must not compile.
pub fn body_problems(executor: &dyn Executor, body: &str) -> Vec<(&'static str, String)> {
    let node = parse(body);
    let (action, problems) = with_body(&node, |body| executor.compile(body));
    assert!(action.is_none(), "{body} compiles");
    list(&problems).into_iter().map(|p| (p.code, p.text)).collect()
}

/// Code and underlined text of every problem of a target, which must not compile.
pub fn target_problems(executor: &dyn Executor, target: &str) -> Vec<(&'static str, String)> {
    let node = parse(target);
    let (spec, problems) = with_body(&node, |body| executor.target(body));
    assert!(spec.is_none(), "{target} compiles");
    list(&problems).into_iter().map(|p| (p.code, p.text)).collect()
}

pub fn parse(text: &str) -> Node {
    yaml::parse(&Arc::new(Source::new("t.yaml", text))).unwrap_or_else(|d| panic!("{d:?}"))
}

/// Calls `f` with the body; returns its result, if there are no errors, and the problems it has found.
pub fn with_body<T>(node: &Node, f: impl FnOnce(&mut Body<'_>) -> Option<T>) -> (Option<T>, Diagnostics) {
    let (mut references, mut problems) = (vec![], Diagnostics::default());
    let result =
        f(&mut Body { node, references: &mut references, problems: &mut problems, access: &AccessRules::unlimited() });
    (result.filter(|_| problems.errors() == 0), problems)
}

fn list(problems: &Diagnostics) -> Vec<Problem> {
    let problem = |d: &crate::diagnostic::Diagnostic| Problem {
        code: d.code,
        text: d.span.text().trim().to_string(),
        message: format!("{} {}", d.message, d.help.as_deref().unwrap_or_default()),
    };
    problems.0.iter().map(problem).collect()
}

/// All problems as they are shown to the user.
pub fn render(problems: &Diagnostics) -> String {
    problems.0.iter().map(|d| d.render(false) + "\n").collect()
}

/// The value at a path such as `object.items.0.name`; null if it does not exist.
pub fn at(value: &Value, path: &str) -> Value {
    let step = |v: Value, key: &str| match key.parse::<usize>() {
        Ok(i) => v.at(i).cloned().unwrap_or_default(),
        Err(_) => v.get(key).cloned().unwrap_or_default(),
    };
    path.split('.').fold(value.clone(), step)
}

/// Whether the process whose id this file contains ends within two seconds.
pub async fn process_ends(id_file: &Path) -> bool {
    let id = std::fs::read_to_string(id_file).expect("an id");
    for _ in 0..100 {
        let state = std::fs::read_to_string(Path::new("/proc").join(id.trim()).join("stat")).unwrap_or_default();
        // A zombie is dead.
        if state.is_empty() || state.contains(") Z ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
