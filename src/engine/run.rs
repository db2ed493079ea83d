//! A whole run: setup, the cases side by side, those that must be alone alone, and the end.
use super::{
    case::{self, Outcome},
    doubt::Doubts,
    looks::{Live, Looks},
    schedule::{Fault, Schedule},
    step::Runner,
    undo::Stack,
};
use crate::{
    address::Address,
    event::{EventKind, Events, RunStarted},
    executor::{Link, RunInfo},
    expr::{EvalError, Scope},
    outcome::{Blame, Verdict},
    secrets::Secrets,
    value::Value,
};
use futures::FutureExt;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::sync::{RwLock, Semaphore};
use tokio_util::sync::CancellationToken;

/// What all cases of a run share.
pub struct RunContext {
    pub run: RunInfo,
    pub secrets: Arc<Secrets>,
    pub events: Arc<dyn Events>,
    /// The first Ctrl-C: nothing new is begun, what was made is taken back.
    pub cancel: CancellationToken,
    /// The second: nothing at all.
    pub kill: CancellationToken,
    /// The environment's own relays.
    pub links: HashMap<String, Arc<dyn Link>>,
    pub live: Option<Arc<Live>>,
    pub faults: Vec<(String, Fault)>,
    /// What the environment wants to be looked at when a case goes red.
    pub on_failure: Vec<super::schedule::ScheduledAction>,
    pub fail_fast: bool,
    /// The wall clock.
    pub wall: fn() -> Timestamp,
}

impl RunContext {
    pub async fn cut(&self, runner: &Runner<'_>, at: &Address, name: &str) -> Result<(), String> {
        if let Some(link) = self.links.get(name) {
            return link.cut().await.map_err(|e| e.to_string());
        }
        let Some(Fault::Actions { cut, .. }) = self.faults.iter().find(|(n, _)| n == name).map(|(_, f)| f) else {
            return Err(format!("there is no fault `{name}`"));
        };
        self.act(runner, at, cut).await.map(drop)
    }

    /// How often the cut link was tried, where that is known.
    pub async fn heal(&self, runner: &Runner<'_>, at: &Address, name: &str) -> Result<Option<u64>, String> {
        if let Some(link) = self.links.get(name) {
            let refused = link.refused();
            link.heal().await.map_err(|e| e.to_string())?;
            return Ok(Some(refused));
        }
        let Some(Fault::Actions { heal, refused, .. }) = self.faults.iter().find(|(n, _)| n == name).map(|(_, f)| f)
        else {
            return Err(format!("there is no fault `{name}`"));
        };
        let scope = self.act(runner, at, heal).await?;
        Ok(refused
            .as_ref()
            .and_then(|e| e.eval(&scope).ok())
            .and_then(|v| v.as_i64())
            .and_then(|i| u64::try_from(i).ok()))
    }

    async fn act(
        &self,
        runner: &Runner<'_>,
        at: &Address,
        steps: &[super::schedule::ScheduledAction],
    ) -> Result<Scope, String> {
        let scope = self.live.as_ref().map(|l| l.environment()).unwrap_or_default();
        let within = Runner { base: &scope, ..*runner };
        let listed = within.list(steps, &at.child("fault"), scope.clone(), None).await;
        if listed.status.is_red() {
            Err(listed.reason.unwrap_or_else(|| listed.status.word().into()))
        } else {
            Ok(listed.scope)
        }
    }
}

/// The run's own names, and the plan's variables. Those that the environment set may read its names; the plan may not.
pub fn base_scope(
    run: &RunInfo,
    secrets: &Arc<Secrets>,
    vars: &[(String, crate::expr::Tree)],
    environment: &Scope,
) -> Result<Scope, (String, EvalError)> {
    let (mut scope, mut within) = (run_scope(run, secrets), environment.clone());
    for (name, tree) in vars {
        let value = tree.render(&within).map_err(|e| (name.clone(), e))?;
        scope = scope.with(name, value.clone());
        within = within.with(name, value);
    }
    Ok(scope)
}

/// The run's own names alone.
pub fn run_scope(run: &RunInfo, secrets: &Arc<Secrets>) -> Scope {
    let own = Value::map([("id".to_string(), Value::text(&run.id)), ("started".to_string(), Value::Time(run.started))]);
    Scope::new(secrets.clone()).with("run", own)
}

/// Performs everything that is scheduled, and tells it all. Returns when everything is taken back.
pub async fn perform(
    schedule: Arc<Schedule>,
    context: Arc<RunContext>,
    looks: Arc<dyn Looks>,
    base: Scope,
    started: RunStarted,
) {
    let begun = Instant::now();
    let root = Address::new("");
    context.events.emit(&root, EventKind::RunStarted(Box::new(started))).await;
    let mut notes = vec![];
    let made = Stack::default();
    match set_up(&schedule, &context, &*looks, &made).await {
        Ok(()) => {
            if let Some(live) = &context.live {
                context.events.emit(&root, names_bound(&schedule, &base, &live.environment())).await;
            }
            notes.extend(cases(&schedule, &context, &looks, &base).await);
        }
        Err(reason) => {
            let verdict = if context.cancel.is_cancelled() { Verdict::Interrupted } else { Verdict::Errored };
            for case in &schedule.cases {
                let reason = Some(format!("the environment's setup failed: {reason}"));
                let kind = EventKind::CaseFinished {
                    verdict,
                    blame: Some(Blame::Environment),
                    reason,
                    took: Default::default(),
                };
                context.events.emit(&case.address, kind).await;
            }
        }
    }
    notes.extend(tear_down(&schedule, &context, &*looks, &made).await);
    if context.cancel.is_cancelled() {
        context.events.emit(&root, EventKind::CancelRequested).await;
    }
    context.events.emit(&root, EventKind::RunFinished { took: begun.elapsed(), notes }).await;
}

/// For whoever judges the record again. Of the machine's own variables only those that an action of the environment reads.
fn names_bound(schedule: &Schedule, base: &Scope, environment: &Scope) -> EventKind {
    let vars = schedule.vars.iter().filter_map(|(n, _)| Some((n.clone(), base.get(n)?.clone())));
    let mut own = environment.names();
    own.retain(|n, _| n != "run");
    if let Some(Value::Map(all)) = own.get("env") {
        let read = all.iter().filter(|(n, _)| schedule.env_read.contains(*n));
        let read = Value::map(read.map(|(n, v)| (n.clone(), v.clone())));
        own.insert("env".into(), read);
    }
    EventKind::NamesBound { vars: Value::map(vars), environment: Value::from(own) }
}

/// What the environment does before the first case. What it binds is known to targets from then on; what it makes is on `made`.
pub async fn set_up(schedule: &Schedule, context: &RunContext, looks: &dyn Looks, made: &Stack) -> Result<(), String> {
    let Some(live) = &context.live else { return Ok(()) };
    let scope = live.environment();
    let (faults, doubts) = (Mutex::new(vec![]), Doubts::default());
    let runner = Runner {
        context,
        looks,
        cancel: &context.cancel,
        stack: made,
        faults: &faults,
        doubts: &doubts,
        base: &scope,
        timeout: None,
        start: None,
    };
    let listed = runner.list(&schedule.setup, &Address::new("setup"), scope.clone(), None).await;
    if listed.status.is_red() {
        return Err(listed.reason.unwrap_or_else(|| listed.status.word().into()));
    }
    live.set_environment(listed.scope);
    Ok(())
}

/// What the environment does after the last case, whatever came of it; then what setup made is taken back. A sentence for each
/// thing that did not work.
pub async fn tear_down(schedule: &Schedule, context: &RunContext, looks: &dyn Looks, made: &Stack) -> Vec<String> {
    let Some(live) = &context.live else { return vec![] };
    let (scope, faults, doubts) = (live.environment(), Mutex::new(vec![]), Doubts::default());
    let runner = Runner {
        context,
        looks,
        cancel: &context.kill,
        stack: made,
        faults: &faults,
        doubts: &doubts,
        base: &scope,
        timeout: None,
        start: None,
    };
    let mut notes = vec![];
    let listed = runner.list(&schedule.teardown, &Address::new("teardown"), scope.clone(), None).await;
    if listed.status.is_red() {
        let reason = listed.reason.unwrap_or_else(|| listed.status.word().into());
        notes.push(format!("the environment's teardown did not come to its end: {reason}"));
    }
    notes.extend(made.unwind(&runner).await.left.into_iter().map(|l| format!("left behind by setup: {l}")));
    notes
}

/// Those that may be side by side are, up to `jobs`; the others then have the platform to themselves, in the plan's order.
async fn cases(
    schedule: &Arc<Schedule>,
    context: &Arc<RunContext>,
    looks: &Arc<dyn Looks>,
    base: &Scope,
) -> Vec<String> {
    let jobs = Arc::new(Semaphore::new(schedule.jobs.max(1)));
    let platform = Arc::new(RwLock::new(()));
    let stop = CancellationToken::new();
    let mut running = tokio::task::JoinSet::new();
    let order = (0..schedule.cases.len()).filter(|&i| !schedule.cases[i].exclusive);
    let alone = (0..schedule.cases.len()).filter(|&i| schedule.cases[i].exclusive);
    for i in order.chain(alone) {
        // in this order, so that `--jobs 1` keeps the plan's
        let permit = jobs.clone().acquire_owned().await;
        let (schedule, context, looks, base) = (schedule.clone(), context.clone(), looks.clone(), base.clone());
        let (platform, stop) = (platform.clone(), stop.clone());
        let shared = if schedule.cases[i].exclusive { None } else { Some(platform.clone().read_owned().await) };
        running.spawn(async move {
            let case = &schedule.cases[i];
            let _guard = match shared {
                Some(guard) => (Some(guard), None),
                None => (None, Some(platform.write_owned().await)),
            };
            if context.cancel.is_cancelled() || stop.is_cancelled() {
                let reason = if context.cancel.is_cancelled() {
                    "cancelled before it began"
                } else {
                    "not begun after the first red (`--fail-fast`)"
                };
                let kind = EventKind::CaseFinished {
                    verdict: Verdict::Skipped,
                    blame: None,
                    reason: Some(reason.into()),
                    took: Default::default(),
                };
                context.events.emit(&case.address, kind).await;
                drop(permit);
                return vec![];
            }
            let performed = AssertUnwindSafe(case::perform(case, &context, &*looks, &base)).catch_unwind().await;
            let Outcome { verdict, left, .. } = match performed {
                Ok(outcome) => outcome,
                Err(_) => panicked(case, &context).await,
            };
            if context.fail_fast && !verdict.is_accepted() {
                stop.cancel();
            }
            drop(permit);
            left.into_iter().map(|l| format!("left behind by {}: {l}", case.id)).collect::<Vec<_>>()
        });
    }
    let mut notes = vec![];
    while let Some(done) = running.join_next().await {
        match done {
            Ok(left) => notes.extend(left),
            Err(e) => notes.push(format!("a case ended in a defect of the runner: {e}")),
        }
    }
    notes.sort();
    notes
}

/// A defect of the runner's own ends one case and no other.
async fn panicked(case: &super::schedule::Case, context: &RunContext) -> Outcome {
    let reason = Some("the runner panicked: this is a defect of the runner".to_string());
    let (verdict, blame) = (Verdict::Errored, Some(Blame::Environment));
    let kind = EventKind::CaseFinished { verdict, blame, reason: reason.clone(), took: Default::default() };
    context.events.emit(&case.address, kind).await;
    Outcome { verdict, blame, reason, left: vec!["it is not known what it had made".into()] }
}
