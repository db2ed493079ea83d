//! One action: its condition, its items, its looks, what is asked of them, and what it binds.
use super::{
    doubt::Doubts,
    looks::Looks,
    parallel::Start,
    run::RunContext,
    schedule::{ActionKind, ScheduledAction},
    undo::{Stack, Undo, UndoKind},
};
use crate::{
    address::Address,
    event::{EventKind, Evidence},
    executor::{ActionError, Output},
    expr::{AssertionResult, Scope, Template, matching},
    outcome::Status,
    plan::{Assertions, Foreach},
    value::{Map, Value},
};
use futures::future::BoxFuture;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long one look may take where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Performs actions for one case. Everything that it says goes to `context.events`.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    pub context: &'a RunContext,
    pub looks: &'a dyn Looks,
    pub cancel: &'a CancellationToken,
    pub stack: &'a Stack,
    /// Faults in force: while there is one, not reaching the product is its answer.
    pub faults: &'a Mutex<Vec<String>>,
    /// Why nothing in this case can be trusted.
    pub doubts: &'a Doubts,
    /// What an action of the plan sees beside its inputs.
    pub base: &'a Scope,
    pub timeout: Option<Duration>,
    /// In a branch of a `parallel`, what its first act waits for.
    pub start: Option<&'a Start<'a>>,
}

/// What came of a list of actions.
pub struct Listed {
    pub scope: Scope,
    pub status: Status,
    pub reason: Option<String>,
    /// The output of the last one that had one.
    pub last: Option<Value>,
    pub names: Vec<(String, Value)>,
    /// We could not ask: the steps of the case end here.
    pub ends: bool,
    /// An `eventually` ran out: a `foreach` around it stops.
    pub expired: bool,
    /// How many things were asked and answered.
    pub judged: usize,
    /// Something was performed; not so where every `if` said no.
    pub acted: bool,
}

/// When something was looked at, and which look of its action it was.
#[derive(Clone, Copy)]
pub struct Seen {
    pub attempt: u32,
    pub at: jiff::Timestamp,
    pub took: Duration,
}

/// What came of one action.
#[derive(Clone)]
pub struct Done {
    pub status: Status,
    pub reason: Option<String>,
    pub value: Option<Value>,
    pub names: Vec<(String, Value)>,
    pub ends: bool,
    pub expired: bool,
    pub judged: usize,
}

impl Done {
    pub fn red(status: Status, reason: impl Into<String>) -> Self {
        let ends = matches!(status, Status::Errored | Status::Interrupted);
        Done { status, reason: Some(reason.into()), value: None, names: vec![], ends, expired: false, judged: 0 }
    }
    pub fn green() -> Self {
        Done {
            status: Status::Passed,
            reason: None,
            value: None,
            names: vec![],
            ends: false,
            expired: false,
            judged: 0,
        }
    }
}

impl<'a> Runner<'a> {
    pub async fn emit(&self, at: &Address, kind: EventKind) {
        self.context.events.emit(at, kind).await;
    }

    pub fn within<'b>(&'b self, base: &'b Scope) -> Runner<'b> {
        Runner { base, ..*self }
    }

    pub fn list<'b>(
        &'b self,
        steps: &'b [ScheduledAction],
        at: &'b Address,
        scope: Scope,
        timeout: Option<Duration>,
    ) -> BoxFuture<'b, Listed> {
        Box::pin(async move {
            let mut out = Listed {
                scope,
                status: Status::Passed,
                reason: None,
                last: None,
                names: vec![],
                ends: false,
                expired: false,
                judged: 0,
                acted: false,
            };
            for (i, step) in steps.iter().enumerate() {
                let done = self.step(step, &at.child(i), &out.scope, timeout).await;
                for (name, value) in done.names {
                    out.scope = out.scope.with(&name, value.clone());
                    out.names.push((name, value));
                }
                out.last = done.value.or(out.last);
                out.judged += done.judged;
                out.acted |= done.status != Status::Skipped;
                let worse = out.status.worse(done.status);
                if worse != out.status || (out.reason.is_none() && done.status.is_red()) {
                    out.reason = done.reason;
                    out.status = worse;
                }
                out.ends |= done.ends;
                out.expired |= done.expired;
                if done.ends {
                    break;
                }
            }
            out
        })
    }

    async fn step(&self, step: &ScheduledAction, at: &Address, scope: &Scope, timeout: Option<Duration>) -> Done {
        let scope = &self.then(at, scope);
        if self.cancel.is_cancelled() {
            return Done::red(Status::Interrupted, "cancelled");
        }
        if let Some(condition) = &step.condition
            && condition.holds(scope) != Ok(true)
        {
            let reason = format!("`if: {}` says no", condition.text());
            self.announce(step, at).await;
            self.finish(at, Status::Skipped, vec![], Some(reason), 0, Duration::ZERO).await;
            return Done { status: Status::Skipped, ..Done::green() };
        }
        if let Some(missing) = step.needs.iter().find(|n| !scope.has(n)) {
            return self.unreached(step, at, format!("`{missing}` was never bound")).await;
        }
        let timeout = match self.span(&step.timeout, scope) {
            Ok(own) => own.or(timeout),
            Err(e) => return self.unreached(step, at, e).await,
        };
        let Some(foreach) = &step.foreach else {
            return match &step.act {
                ActionKind::Parallel { branches, overlap } => {
                    self.parallel(step, at, branches, *overlap, vec![scope.clone()], scope, timeout).await
                }
                _ => self.once(step, at, scope, timeout).await,
            };
        };
        let items = match items(foreach, scope) {
            Ok(items) => items,
            Err(Problem::Unreached(e)) => return self.unreached(step, at, e).await,
            Err(Problem::Wrong(e)) => return self.broken(step, at, e).await,
        };
        if items.is_empty() && !step.undoing {
            return self.broken(step, at, "a `foreach` over nothing proves nothing: the list is empty".into()).await;
        }
        if let ActionKind::Parallel { branches, overlap } = &step.act {
            let scopes = items.iter().map(|(_, v)| scope.with("item", v.clone())).collect();
            return self.parallel(step, at, branches, *overlap, scopes, scope, timeout).await;
        }
        self.each(step, at, scope, items, matches!(foreach, Foreach::Map(_)), timeout).await
    }

    /// One after the other; ends at the first whose `eventually` ran out. What was bound is bound as a list, or as a map.
    async fn each(
        &self,
        step: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        items: Vec<(String, Value)>,
        keyed: bool,
        timeout: Option<Duration>,
    ) -> Done {
        let mut total = Done::green();
        let (wanted, mut values) = (items.len(), vec![]);
        let mut bound: Vec<(String, Vec<(String, Value)>)> =
            step.save.iter().map(|(n, _)| n).chain(&step.bind).map(|n| (n.clone(), vec![])).collect();
        for (key, item) in items {
            let done = self.once(step, &at.item(&key), &scope.with("item", item), timeout).await;
            for (name, value) in done.names {
                if let Some((_, list)) = bound.iter_mut().find(|(n, _)| *n == name) {
                    list.push((key.clone(), value));
                }
            }
            total.judged += done.judged;
            if total.status.worse(done.status) != total.status {
                total.reason = done.reason.map(|r| format!("{r} (item `{key}`)"));
                total.status = total.status.worse(done.status);
            }
            values.extend(done.value.map(|v| (key, v)));
            total.ends |= done.ends;
            total.expired |= done.expired;
            if done.ends || done.expired {
                break;
            }
        }
        // where an item is missing, what follows would be judged of a part as if it were the whole
        let whole = |list: Vec<(String, Value)>| match keyed {
            _ if list.len() < wanted => None,
            true => Some(Value::map(list)),
            false => Some(Value::list(list.into_iter().map(|(_, v)| v).collect())),
        };
        total.names = bound.into_iter().filter_map(|(n, list)| Some((n, whole(list)?))).collect();
        total.value = whole(values);
        total
    }

    async fn once(&self, step: &ScheduledAction, at: &Address, scope: &Scope, timeout: Option<Duration>) -> Done {
        let faults = || self.faults.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let before = faults();
        if let Some(done) = self.looks.known(at, scope, &before) {
            return done;
        }
        let watched = self.looks.watch(scope);
        let scope = watched.as_ref().unwrap_or(scope);
        let done = self.act(step, at, scope, timeout).await;
        if faults() == before {
            self.looks.learn(at, scope, &before, &done);
        }
        done
    }

    /// The scope as it was when the action was performed, where that is recorded.
    pub(super) fn then(&self, at: &Address, scope: &Scope) -> Scope {
        self.looks.moment(at).map_or_else(|| scope.clone(), |moment| scope.at(moment))
    }

    async fn act(&self, step: &ScheduledAction, at: &Address, scope: &Scope, timeout: Option<Duration>) -> Done {
        let scope = &self.then(at, scope);
        self.announce(step, at).await;
        let bound = Arc::new(Mutex::new(vec![]));
        if !step.undo.is_empty() && self.looks.live() {
            let what = step.undo.iter().map(|s| s.what.as_str()).collect::<Vec<_>>().join(", ");
            let undo_at = at.child("undo");
            let intended = EventKind::UndoIntended { what: what.clone(), location: step.undo[0].location.clone() };
            if let Err(e) = self.context.events.commit(&undo_at, intended).await {
                return self.broken_after(at, format!("the undo could not be noted: {e}")).await;
            }
            let kind = UndoKind::Steps {
                steps: step.undo.clone(),
                scope: scope.clone(),
                bound: bound.clone(),
                base: self.base.clone(),
            };
            self.stack.push(Undo { at: undo_at, what, kind });
        }
        // a `use` begins with its own first act
        if !matches!(step.act, ActionKind::Use { .. }) {
            self.begin().await;
        }
        let done = match &step.act {
            ActionKind::Nothing => self.judge_only(step, at, scope).await,
            ActionKind::Perform { action, target, .. } => {
                self.perform(step, at, scope, &**action, target.as_deref(), timeout.unwrap_or(TIMEOUT)).await
            }
            ActionKind::Use { definition, inputs } => self.call(step, at, scope, definition, inputs, timeout).await,
            ActionKind::Fault { breaks, name } => self.fault(step, at, scope, *breaks, name).await,
            // handled with its items, above
            ActionKind::Parallel { .. } => Done::green(),
        };
        *bound.lock().unwrap_or_else(|e| e.into_inner()) = done.names.clone();
        done
    }

    async fn judge_only(&self, step: &ScheduledAction, at: &Address, scope: &Scope) -> Done {
        let results = self.asked(&step.assertions, None, scope);
        self.conclude(step, at, scope, None, results, None, 0, Duration::ZERO, Status::Passed).await
    }

    /// Judges a picture and checks. With an output the picture is of that; without, of the names in scope.
    pub(super) fn asked(&self, assertions: &Assertions, output: Option<&Value>, scope: &Scope) -> Vec<AssertionResult> {
        self.looks.asking(assertions, scope);
        let mut out = vec![];
        if let Some(p) = &assertions.pattern {
            match output {
                Some(v) => matching::match_pattern(p, "", Some(v), scope, &mut out),
                None => {
                    let names = match &p.matcher {
                        crate::expr::pattern::Matcher::Map(entries) => entries
                            .iter()
                            .filter_map(|(k, ..)| k.as_literal())
                            .filter_map(|k| Some((k.to_string(), scope.get(k)?.clone())))
                            .collect::<Map>(),
                        _ => Map::new(),
                    };
                    matching::match_pattern(p, "", Some(&Value::from(names)), scope, &mut out);
                }
            }
        }
        matching::evaluate_checks(&assertions.checks, scope, &mut out);
        out
    }

    pub(super) fn why_cancelled(&self) -> String {
        if self.context.cancel.is_cancelled() {
            "cancelled".into()
        } else {
            "the case ran longer than its `timeout`".into()
        }
    }

    /// Judges, saves and says so. `status` is what the act itself came to.
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn conclude(
        &self,
        step: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        value: Option<Value>,
        mut results: Vec<AssertionResult>,
        mut reason: Option<String>,
        attempts: u32,
        took: Duration,
        mut status: Status,
    ) -> Done {
        let judged = results.len();
        if results.iter().any(|f| !f.holds) {
            status = status.worse(Status::Failed);
        } else if reason.is_some() && status == Status::Passed {
            // an `eventually` that ended without a result of its own
            status = Status::Failed;
        }
        let inner = value.as_ref().map_or_else(|| scope.clone(), |v| scope.with_all(v));
        let mut names = vec![];
        for (name, e) in &step.save {
            match e.eval(&inner) {
                Ok(v) => names.push((name.clone(), v)),
                // what is red already says why; else it is this that is wrong
                Err(_) if status.is_red() => {}
                Err(error) => {
                    results.push(AssertionResult {
                        subject: format!("save {name}: {}", e.text()),
                        holds: false,
                        expected: "a value".into(),
                        actual: error.to_string(),
                        operands: vec![],
                        location: Some(step.location.clone()),
                        asked: None,
                    });
                    status = status.worse(Status::Failed);
                }
            }
        }
        if let (Some(name), Some(v)) = (&step.bind, &value) {
            names.push((name.clone(), v.clone()));
        }
        if reason.is_none() {
            reason = results.iter().find(|f| !f.holds).map(sentence);
        }
        self.finish(at, status, results, reason.clone(), attempts, took).await;
        let ends = matches!(status, Status::Errored | Status::Interrupted);
        Done { status, reason, value, names, ends, expired: false, judged }
    }

    fn span(&self, template: &Option<Template>, scope: &Scope) -> Result<Option<Duration>, String> {
        template.as_ref().map(|t| span(t, scope)).transpose()
    }

    /// Tells of a look that saw something.
    pub(super) async fn looked(
        &self,
        at: &Address,
        seen: Seen,
        value: &Value,
        results: &[AssertionResult],
        evidence: Vec<Evidence>,
    ) {
        let kind = EventKind::Observed {
            attempt: seen.attempt,
            at: seen.at,
            took: seen.took,
            value: Some(value.clone()),
            error: None,
            error_kind: None,
            unmet: results.iter().filter(|f| !f.holds).cloned().collect(),
            evidence,
        };
        self.emit(at, kind).await;
    }

    /// Tells of a look that could not be made.
    pub(super) async fn could_not_look(&self, at: &Address, seen: Seen, error: &ActionError, evidence: Vec<Evidence>) {
        let kind = EventKind::Observed {
            attempt: seen.attempt,
            at: seen.at,
            took: seen.took,
            value: None,
            error: Some(error.to_string()),
            error_kind: Some(error.kind()),
            unmet: vec![],
            evidence,
        };
        self.emit(at, kind).await;
    }

    pub(super) async fn announce(&self, step: &ScheduledAction, at: &Address) {
        self.emit(at, EventKind::ActionStarted { what: step.what.clone(), location: step.location.clone() }).await;
    }

    pub(super) async fn finish(
        &self,
        at: &Address,
        status: Status,
        results: Vec<AssertionResult>,
        reason: Option<String>,
        attempts: u32,
        took: Duration,
    ) {
        self.emit(at, EventKind::ActionFinished { status, results, reason, attempts, took }).await;
    }

    async fn unreached(&self, step: &ScheduledAction, at: &Address, reason: String) -> Done {
        self.announce(step, at).await;
        self.fail_to_reach(at, reason).await
    }

    pub(super) async fn fail_to_reach(&self, at: &Address, reason: String) -> Done {
        self.finish(at, Status::NotReached, vec![], Some(reason.clone()), 0, Duration::ZERO).await;
        Done::red(Status::NotReached, reason)
    }

    async fn broken(&self, step: &ScheduledAction, at: &Address, reason: String) -> Done {
        self.announce(step, at).await;
        self.broken_after(at, reason).await
    }

    pub(super) async fn broken_after(&self, at: &Address, reason: String) -> Done {
        self.finish(at, Status::Errored, vec![], Some(reason.clone()), 0, Duration::ZERO).await;
        Done::red(Status::Errored, reason)
    }
}

/// A duration as a plan gives it: a text like `30s`, or a duration that an expression computed.
pub fn span(t: &Template, scope: &Scope) -> Result<Duration, String> {
    match t.render(scope).map_err(|e| e.to_string())? {
        Value::Duration(d) => Duration::try_from(d).map_err(|_| format!("`{d}` is less than nothing")),
        other => humantime::parse_duration(&other.to_string()).map_err(|e| format!("`{other}` is no duration: {e}")),
    }
}

enum Problem {
    Unreached(String),
    Wrong(String),
}

fn items(foreach: &Foreach, scope: &Scope) -> Result<Vec<(String, Value)>, Problem> {
    match foreach {
        Foreach::Map(entries) => entries
            .iter()
            .map(|(k, t)| Ok((k.clone(), t.render(scope).map_err(|e| Problem::Unreached(e.to_string()))?)))
            .collect(),
        Foreach::List(tree) => match tree.render(scope).map_err(|e| Problem::Unreached(e.to_string()))? {
            Value::List(l) => Ok(l.iter().enumerate().map(|(i, v)| (i.to_string(), v.clone())).collect()),
            other => Err(Problem::Wrong(format!("`foreach` goes over a list, and this is {}", other.kind()))),
        },
    }
}

/// The output with `at` and `took`: of one that was repeated, from the first look until this one held.
pub(super) fn timed(output: &Output, first: jiff::Timestamp) -> Value {
    let mut map = output.value.as_map().cloned().unwrap_or_default();
    map.insert("at".into(), Value::Time(first));
    map.insert("took".into(), span_since(first, output));
    Value::from(map)
}

pub(super) fn span_since(first: jiff::Timestamp, output: &Output) -> Value {
    let before = output.at.duration_since(first);
    let took = jiff::SignedDuration::try_from(output.took).unwrap_or(jiff::SignedDuration::MAX);
    Value::Duration(before.checked_add(took).unwrap_or(took))
}

/// What did not hold, in a sentence.
pub fn sentence(f: &AssertionResult) -> String {
    if f.expected == "true" && f.actual == "false" {
        format!("`{}` does not hold", f.subject)
    } else {
        format!("`{}`: expected {}, and it is {}", f.subject, f.expected, f.actual)
    }
}
