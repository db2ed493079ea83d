//! A test harness: a verb `fake` with scripted observations, fault switches, and the events of a run.
//!
//! `fake: { name: make, says: [1, { error: unreachable }, { after: 2s, say: 3 }] }` observes 1 in the first attempt, is
//! unreachable in the second, and observes 3 in every further one. Its output has the fields `answered` and `answer`.
use crate::{
    address::Address,
    engine::{
        context::RunContext,
        dispatch,
        live::LiveSource,
        observation::ObservationSource,
        run::run_schedule,
        schedule::{Fault, Schedule},
        scopes::{base_scope, run_scope},
    },
    event::{Attempt, Event, EventKind, EventSink, Events, EvidenceKind, SinkError},
    executor::{
        Action, ActionContext, ActionError, Body, Executor, FaultSwitch, Output, Registry, RunInfo, Started, Target,
        TargetSpec,
    },
    expr::{AssertionResult, Scope, Template, Tree},
    language::Key,
    outcome::{Blame, Status, Verdict},
    plan::{Environments, Reader, SecretSource, environment},
    replay::{Record, every::with_every_observation, source::ReplaySource},
    secrets::Secrets,
    source::Source,
    testing,
    value::Value,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Shared by the fakes: the actions that ran, in order, and the number of attempts of each address.
#[derive(Default)]
pub struct Shared {
    pub log: Mutex<Vec<String>>,
    asked: Mutex<HashMap<String, usize>>,
    pub cancel: CancellationToken,
    pub kill: CancellationToken,
}

impl Shared {
    fn note(&self, line: impl Into<String>) {
        self.log.lock().unwrap().push(line.into());
    }
}

struct Fake(Arc<Shared>);

struct FakeAction {
    shared: Arc<Shared>,
    name: Option<Template>,
    says: Vec<Turn>,
    silent: bool,
    changes: bool,
    broken: bool,
    /// Its answer must be 1 unless the plan reads it.
    implied: bool,
    /// Changes are never reported.
    stalls: bool,
}

/// One attempt of a script.
struct Turn {
    after: Option<Duration>,
    /// Works for this time without waiting.
    works: Option<Duration>,
    error: Option<String>,
    say: Tree,
    /// A field `body` of the output, which only reports read.
    body: Option<Tree>,
    /// The user presses Ctrl-C during it.
    cancel: bool,
    /// The user presses Ctrl-C for the second time during it.
    kill: bool,
    /// The request is sent before it waits.
    sent: bool,
}

impl Turn {
    fn read(body: &mut Body<'_>, node: &crate::yaml::Node) -> Turn {
        let scripted =
            ["say", "body", "error", "after", "works", "cancel", "kill", "sent"].iter().any(|k| node.get(k).is_some());
        let text = |k: &str| node.get(k).map(|n| n.key_text());
        Turn {
            after: text("after").map(|t| humantime::parse_duration(&t).unwrap()),
            works: text("works").map(|t| humantime::parse_duration(&t).unwrap()),
            error: text("error"),
            say: match (scripted, node.get("say")) {
                (false, _) => body.tree_of(node),
                (true, Some(n)) => body.tree_of(n),
                (true, None) => Tree::Value(Value::Bool(true)),
            },
            body: node.get("body").map(|n| body.tree_of(n)),
            cancel: node.get("cancel").is_some(),
            kill: node.get("kill").is_some(),
            sent: node.get("sent").is_some(),
        }
    }
}

impl Executor for Fake {
    fn verb(&self) -> &'static str {
        "fake"
    }
    fn fields(&self) -> &'static [&'static str] {
        &["answered", "answer"]
    }

    fn manual(&self) -> &'static str {
        ""
    }
    fn keys(&self) -> &'static [&'static [Key]] {
        &[]
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        if !body.keys(&["name", "says", "silence", "changes", "implied", "stalls"]) {
            return None;
        }
        let says = match body.get("says").cloned() {
            Some(list) => match list.kind {
                crate::yaml::Kind::Seq(items) => items.iter().map(|n| Turn::read(body, n)).collect(),
                _ => panic!("`says` is a list"),
            },
            None => vec![Turn {
                after: None,
                works: None,
                error: None,
                say: Tree::Value(Value::Bool(true)),
                body: None,
                cancel: false,
                kill: false,
                sent: false,
            }],
        };
        let flag = |k: &str, default| body.get(k).map_or(default, |n| n.key_text() == "true");
        let (changes, implied, stalls) = (flag("changes", false), flag("implied", false), flag("stalls", false));
        let broken = body.get("silence").is_some_and(|n| n.key_text() == "panic");
        let silent = broken || flag("silence", true);
        Some(Box::new(FakeAction {
            shared: self.0.clone(),
            name: body.template("name"),
            says,
            silent,
            changes,
            broken,
            implied,
            stalls,
        }))
    }
    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(FakeSpec { shared: self.0.clone(), name: body.node.get("fake")?.key_text() }))
    }
}

struct FakeSpec {
    shared: Arc<Shared>,
    name: String,
}

#[async_trait]
impl TargetSpec for FakeSpec {
    async fn connect(&self, _: &RunInfo, _: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        if self.name == "nowhere" {
            return Err(ActionError::Unreachable("connection refused".into()));
        }
        self.shared.note(format!("connect {}", self.name));
        Ok(Arc::new(FakeTarget { shared: self.shared.clone(), name: self.name.clone() }))
    }
    fn address(&self, _: &Scope) -> String {
        self.name.clone()
    }
}

struct FakeTarget {
    shared: Arc<Shared>,
    name: String,
}

#[async_trait]
impl Target for FakeTarget {
    async fn close(&self) {
        self.shared.note(format!("close {}", self.name));
    }
}

#[async_trait]
impl Action for FakeAction {
    fn fields(&self) -> &'static [&'static str] {
        if self.silent { &["answered", "answer"] } else { &["answer"] }
    }
    fn summary(&self) -> String {
        self.name.as_ref().map(Template::source).unwrap_or_default()
    }
    fn changes(&self) -> bool {
        self.changes
    }
    fn can_miss_changes(&self) -> bool {
        self.stalls
    }
    async fn next(&self, cx: &ActionContext<'_>, _: &Output, pace: Duration) -> Result<Output, ActionError> {
        if self.stalls {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(pace).await;
        self.perform(cx).await
    }
    fn implied(&self) -> Option<(&'static str, Value)> {
        self.implied.then_some(("answer", Value::Int(1)))
    }
    fn inconclusive(&self, output: &Value) -> Option<String> {
        assert!(!self.broken, "a scripted panic outside of an action");
        let unheard = output.get("answer").and_then(Value::as_str) == Some("no sender was able to connect");
        unheard.then(|| "no sender was able to connect".into())
    }
    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let turn = {
            let mut asked = self.shared.asked.lock().unwrap();
            let count = asked.entry(cx.address.to_string()).or_default();
            *count += 1;
            &self.says[(*count - 1).min(self.says.len() - 1)]
        };
        if let Some(name) = &self.name {
            let name = cx.render_text(name)?;
            cx.note(EvidenceKind::Request, &name);
            let mode = if cx.read_only { " (read only)" } else { "" };
            self.shared.note(format!("{name}{mode}"));
        }
        if turn.sent || turn.cancel || turn.kill {
            cx.mark_sent();
        }
        if turn.cancel {
            self.shared.cancel.cancel();
        }
        if turn.kill {
            self.shared.kill.cancel();
        }
        if let Some(after) = turn.after {
            tokio::time::sleep(after).await;
        }
        if let Some(time) = turn.works {
            cx.mark_sent();
            std::thread::sleep(time);
        }
        match turn.error.as_deref() {
            None => {
                let mut fields = vec![("answered", true.into()), ("answer", cx.render_tree(&turn.say)?)];
                if let Some(body) = &turn.body {
                    fields.push(("body", cx.render_tree(body)?));
                }
                Ok(Output::new(Value::map(fields.into_iter().map(|(n, v)| (n.to_string(), v))), started))
            }
            Some("unreachable") => Err(ActionError::Unreachable("connection refused".into())),
            Some("invalid") => Err(ActionError::Invalid("the value cannot be used".into())),
            Some("undefined") => Err(ActionError::Undefined("there is no such thing".into())),
            Some("panic") => panic!("a scripted panic"),
            Some(how) => {
                if how == "silent" {
                    cx.mark_sent();
                }
                std::future::pending().await
            }
        }
    }
}

/// A link that counts connections.
pub struct FakeFaultSwitch {
    shared: Arc<Shared>,
    refused: AtomicU64,
    stuck: bool,
}

#[async_trait]
impl FaultSwitch for FakeFaultSwitch {
    async fn cut(&self) -> Result<(), ActionError> {
        self.shared.note("cut");
        Ok(())
    }
    async fn heal(&self) -> Result<u64, ActionError> {
        self.shared.note("heal");
        match self.stuck {
            true => Err(ActionError::Unreachable("the switch is gone".into())),
            false => Ok(self.refused.load(Ordering::SeqCst)),
        }
    }
}

/// Collects events in a list. Used with a paused clock, which a dispatcher thread would advance.
#[derive(Clone, Default)]
struct EventList(Arc<Mutex<Vec<Event>>>);

#[async_trait]
impl Events for EventList {
    async fn emit(&self, at: &Address, kind: EventKind) {
        let mut all = self.0.lock().unwrap();
        let seq = all.len() as u64 + 1;
        all.push(Event { seq, at: Timestamp::now(), address: at.clone(), kind });
    }
    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), SinkError> {
        self.emit(at, kind).await;
        Ok(())
    }
}

struct Kept {
    events: Arc<Mutex<Vec<Event>>>,
    lines: Arc<Mutex<Vec<String>>>,
    shared: Arc<Shared>,
}

impl EventSink for Kept {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        if let EventKind::UndoPlanned { summary, .. } = &event.kind {
            self.shared.note(format!("intended {summary}"));
        }
        self.events.lock().unwrap().push(event.clone());
        self.lines.lock().unwrap().push(serde_json::to_string(event).unwrap());
        Ok(())
    }
}

/// The environment of most tests: two targets of the verb, and a fault that refused three connections.
pub const HERE: &str = "
targets: { one: { fake: one }, two: { fake: two } }
faults: { down: { relay: { listen: '127.0.0.1:1', upstream: 'db:1' } } }
";

pub struct Setting {
    pub environment: String,
    pub fail_fast: bool,
    pub retries: usize,
    pub jobs: Option<usize>,
    pub tried: u64,
    pub stuck: bool,
    pub paused: bool,
    pub recorded: Option<Vec<Event>>,
    pub wall: fn() -> Timestamp,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            environment: HERE.into(),
            fail_fast: false,
            retries: 0,
            jobs: None,
            tried: 3,
            stuck: false,
            paused: false,
            recorded: None,
            wall: Timestamp::now,
        }
    }
}

/// The events of a run, and what the fakes did.
pub struct TestRun {
    pub events: Vec<Event>,
    pub lines: Vec<String>,
    pub log: Vec<String>,
}

/// Runs cases with the real clock.
pub async fn run(cases: &str) -> TestRun {
    run_with(cases, Setting::default()).await
}

/// Runs cases with a paused clock, which advances when all tasks wait.
pub async fn run_clocked(cases: &str) -> TestRun {
    run_with(cases, Setting { paused: true, ..Setting::default() }).await
}

pub fn registry(shared: &Arc<Shared>) -> Registry {
    Registry::default().with(Fake(shared.clone()))
}

/// The text of a plan for cases.
pub fn plan_text(cases: &str) -> String {
    if cases.trim_start().starts_with("plan:") { cases.into() } else { format!("plan: T\ncases:\n{cases}") }
}

/// The compiled schedule, or all diagnostics as text.
pub fn compiled(cases: &str, shared: &Arc<Shared>, environment: &str) -> Result<Schedule, String> {
    let indented = environment.lines().map(|l| format!("    {l}\n")).collect::<String>();
    testing::compile_plan(&registry(shared), &plan_text(cases), &format!("environments:\n  here:\n{indented}"))
}

/// The environments of a file, and their diagnostics as text.
pub fn environments(text: &str) -> (Environments, String) {
    let registry = registry(&Arc::new(Shared::default()));
    let mut reader = Reader::new(registry.verbs().collect(), &testing::NoFiles);
    let source = Arc::new(Source::new("env.yaml", text));
    let all = environment::read(&mut reader, &source).unwrap_or_default();
    (all, reader.problems.0.iter().map(|d| d.render(false) + "\n").collect())
}

pub async fn run_with(cases: &str, setting: Setting) -> TestRun {
    let shared = Arc::new(Shared::default());
    let mut schedule = compiled(cases, &shared, &setting.environment).unwrap_or_else(|drawn| panic!("{drawn}"));
    schedule.jobs = setting.jobs.unwrap_or(schedule.jobs);
    let run = RunInfo { id: "r1".into(), started: Timestamp::now(), dir: "/nowhere".into(), trace: None };
    let secrets = Arc::new(Secrets::default());
    let base = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets)).unwrap();
    let mut scope = run_scope(&run, &secrets);
    for (name, tree) in &schedule.secrets {
        let SecretSource::Text(tree) = tree else { panic!("the harness reads no files") };
        let value = tree.render(&scope).unwrap();
        secrets.add(name, &value.to_string());
        scope = scope.with(name, value);
    }
    let live = Arc::new(LiveSource::new(run.clone(), secrets.clone(), scope, &schedule.targets));
    let begin = testing::run_started(&run, &schedule);
    let paused = EventList::default();
    let (kept, lines) = (paused.0.clone(), Arc::<Mutex<Vec<String>>>::default());
    let (events, thread): (Arc<dyn Events>, _) = if setting.paused {
        (Arc::new(paused), None)
    } else {
        let sink = Kept { events: kept.clone(), lines: lines.clone(), shared: shared.clone() };
        let (channel, thread) = dispatch::start(secrets.clone(), vec![Box::new(sink)], shared.cancel.clone());
        (channel, Some(thread))
    };
    let link = FakeFaultSwitch { shared: shared.clone(), refused: setting.tried.into(), stuck: setting.stuck };
    let fault_switches = schedule
        .faults
        .iter()
        .filter(|(_, f)| matches!(f, Fault::Relay { .. }))
        .map(|(n, _)| n.clone())
        .zip([Arc::new(link) as Arc<dyn FaultSwitch>])
        .collect();
    let source: Arc<dyn ObservationSource> = match &setting.recorded {
        Some(events) => {
            let record = with_every_observation(&Record::of(events).unwrap(), &schedule);
            Arc::new(ReplaySource::new(Arc::new(record), Arc::default()))
        }
        None => live.clone(),
    };
    let context = Arc::new(RunContext {
        cancel: shared.cancel.clone(),
        kill: shared.kill.clone(),
        fault_switches,
        live: setting.recorded.is_none().then(|| live.clone()),
        fail_fast: setting.fail_fast,
        retries: setting.retries,
        wall: setting.wall,
        ..RunContext::new(run, secrets, events.clone()).with_schedule(&mut schedule)
    });
    run_schedule(Arc::new(schedule), context.clone(), source, base, begin).await;
    live.close().await;
    drop((context, events));
    if let Some(thread) = thread {
        thread.join().unwrap().unwrap();
    }
    let result = TestRun {
        events: kept.lock().unwrap().clone(),
        lines: lines.lock().unwrap().clone(),
        log: shared.log.lock().unwrap().clone(),
    };
    result.check_invariants();
    result
}

impl TestRun {
    /// Invariants of every run: no gaps in the numbers, and no event of a case after its end.
    fn check_invariants(&self) {
        assert!(self.events.iter().enumerate().all(|(i, e)| e.seq == i as u64 + 1));
        assert!(matches!(self.events.last().unwrap().kind, EventKind::RunFinished { .. }));
        let mut over: Vec<&Address> = vec![];
        for e in &self.events {
            assert!(!over.iter().any(|o| e.address.is_within(o)), "after its case was over: {e:?}");
            if let EventKind::CaseFinished { .. } = e.kind {
                over.push(&e.address);
            }
        }
    }

    fn find<'t, T>(&'t self, at: &str, f: impl Fn(&'t EventKind) -> Option<T>) -> Option<T> {
        self.events.iter().filter(|e| e.address.as_str() == at).filter_map(|e| f(&e.kind)).last()
    }

    pub fn case(&self, id: &str) -> (Verdict, Option<Blame>, String) {
        let found = self.find(id, |k| match k {
            EventKind::CaseFinished { verdict, blame, reason, .. } => {
                Some((*verdict, *blame, reason.clone().unwrap_or_default()))
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("the case {id} did not finish: {:#?}", self.events))
    }

    pub fn verdict(&self, id: &str) -> Verdict {
        self.case(id).0
    }

    /// Status and reason of a sentence, such as `A/steps/1`.
    pub fn sentence(&self, at: &str) -> (Status, String) {
        self.find(at, |k| match k {
            EventKind::SentenceFinished { status, reason } => Some((*status, reason.clone().unwrap_or_default())),
            _ => None,
        })
        .unwrap_or_else(|| panic!("the sentence {at} did not finish: {:#?}", self.events))
    }

    pub fn status(&self, at: &str) -> Status {
        self.sentence(at).0
    }

    /// Status and reason of an action, such as `A/steps/1/do/0`.
    pub fn action(&self, at: &str) -> (Status, String) {
        self.find(at, |k| match k {
            EventKind::ActionFinished { status, reason, .. } => Some((*status, reason.clone().unwrap_or_default())),
            _ => None,
        })
        .unwrap_or_else(|| panic!("the action {at} did not finish: {:#?}", self.events))
    }

    pub fn results(&self, at: &str) -> Vec<AssertionResult> {
        self.find(at, |k| match k {
            EventKind::ActionFinished { results, .. } => Some(results.clone()),
            _ => None,
        })
        .unwrap_or_default()
    }

    pub fn observations(&self, at: &str) -> Vec<&Attempt> {
        self.events.iter().filter(|e| e.address.as_str() == at).filter_map(|e| e.kind.attempt()).collect()
    }

    /// Address, status and reason of each undo, in order.
    pub fn undone(&self) -> Vec<(String, Status, String)> {
        self.events
            .iter()
            .filter_map(|e| match &e.kind {
                EventKind::UndoFinished { status, reason, .. } => {
                    Some((e.address.to_string(), *status, reason.clone().unwrap_or_default()))
                }
                _ => None,
            })
            .collect()
    }

    pub fn notes(&self) -> Vec<String> {
        match &self.events.last().unwrap().kind {
            EventKind::RunFinished { notes, .. } => notes.clone(),
            _ => vec![],
        }
    }

    /// All verdicts and statuses, to compare two runs.
    pub fn outcomes(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|e| {
                let said = match &e.kind {
                    EventKind::ActionFinished { status, results, .. } => {
                        format!("{status} {:?}", results.iter().map(|f| (&f.subject, f.holds)).collect::<Vec<_>>())
                    }
                    EventKind::SentenceFinished { status, .. } => status.to_string(),
                    EventKind::CaseFinished { verdict, blame, .. } => format!("{verdict} {blame:?}"),
                    _ => return None,
                };
                Some(format!("{}: {said}", e.address))
            })
            .collect()
    }
}
