//! One case: preconditions, steps, expected results, then everything taken back. What follows a red is decided here.
use super::{
    doubt::{Doubts, Watch},
    known,
    looks::Looks,
    run::RunContext,
    schedule::{Case, Sentence},
    step::{Done, Listed, Runner, sentence as sentence_of, span},
    undo::Stack,
};
use crate::{
    address::Address,
    event::{EventKind, Part},
    expr::Scope,
    outcome::{Blame, Status, Verdict},
};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// How long a case may take where it says nothing itself.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How long collecting evidence may take.
const COLLECTING: Duration = Duration::from_secs(30);

/// What a case came to.
pub struct Outcome {
    pub verdict: Verdict,
    pub blame: Option<Blame>,
    pub reason: Option<String>,
    /// What its undo could not take back.
    pub left: Vec<String>,
}

/// Performs a case in `base`, the scope of the run.
pub async fn perform(case: &Case, context: &RunContext, looks: &dyn Looks, base: &Scope) -> Outcome {
    let begun = Instant::now();
    let at = &case.address;
    context.events.emit(at, EventKind::CaseStarted).await;
    if !case.lacks.is_empty() {
        let outcome = Outcome {
            verdict: Verdict::Blocked,
            blame: Some(Blame::Environment),
            reason: Some(case.lacks.join("; ")),
            left: vec![],
        };
        return finish(case, context, outcome, begun.elapsed()).await;
    }
    let scope = base.with("case", crate::value::Value::map([("id".to_string(), case.id.as_str().into())]));
    let limit = match case.timeout.as_ref().map(|t| span(t, &scope)).unwrap_or(Ok(TIMEOUT)) {
        Ok(limit) => limit,
        Err(e) => {
            let (verdict, blame) = (Verdict::Errored, Some(Blame::Environment));
            let outcome = Outcome { verdict, blame, reason: Some(format!("its `timeout`: {e}")), left: vec![] };
            return finish(case, context, outcome, begun.elapsed()).await;
        }
    };
    let cancel = context.cancel.child_token();
    let (stack, faults, doubts) = (Stack::default(), Mutex::new(vec![]), Doubts::default());
    let watch = Watch::start(context);
    let runner = Runner {
        context,
        looks,
        cancel: &cancel,
        stack: &stack,
        faults: &faults,
        doubts: &doubts,
        base: &scope,
        timeout: None,
        start: None,
    };
    let timer = async {
        // a replay has no clock
        if looks.live() {
            tokio::time::sleep(limit).await;
            cancel.cancel();
        }
        std::future::pending::<()>().await
    };
    let (mut outcome, statuses) = tokio::select! {
        judged = sentences(case, &runner, &scope) => judged,
        () = timer => unreachable!("the timer never ends"),
    };
    if cancel.is_cancelled()
        && !context.cancel.is_cancelled()
        && matches!(outcome.verdict, Verdict::Errored | Verdict::Interrupted)
    {
        // our limit, and not a wish of the user's; a wrong answer from before stays one
        outcome.verdict = Verdict::Errored;
        outcome.blame = Some(Blame::Environment);
        outcome.reason =
            Some(format!("the case ran longer than its `timeout` of {}", humantime::format_duration(limit)));
    }
    let today = context.run.started.to_zoned(jiff::tz::TimeZone::UTC).date();
    outcome = known::accept(&case.known, &statuses, outcome, today);
    if looks.live() && matches!(outcome.verdict, Verdict::Failed | Verdict::Blocked | Verdict::Errored) {
        collect(&runner, case).await;
    }
    if looks.live() {
        // what was made is taken back even after a cancel; only a second one ends that
        let undoing = Runner { cancel: &context.kill, ..runner };
        let unwound = stack.unwind(&undoing).await;
        let wrong = match &unwound.left[..] {
            [] => None,
            left => Some(format!("not everything could be undone: {}", left.join("; "))),
        };
        if let (Some(reason), true) = (wrong, outcome.verdict.is_accepted()) {
            outcome.verdict = Verdict::Errored;
            outcome.blame = Some(Blame::Environment);
            outcome.reason = Some(reason);
        }
        unwound.untried.iter().for_each(|name| doubts.cast(super::undo::untried(name)));
        watch.jumped(context).into_iter().for_each(|why| doubts.cast(why));
        outcome.left = unwound.left;
    }
    if let Some(why) = doubts.first() {
        outcome = inconclusive(case, context, &statuses, outcome, why).await;
    }
    finish(case, context, outcome, begun.elapsed()).await
}

/// Nothing that was expected has been proved, whatever was seen.
async fn inconclusive(
    case: &Case,
    context: &RunContext,
    statuses: &[(Address, Status)],
    mut outcome: Outcome,
    why: String,
) -> Outcome {
    for sentence in case.sentences.iter().filter(|s| s.part == Part::Expected) {
        if statuses.iter().any(|(at, status)| *at == sentence.address && *status == Status::Passed) {
            let kind = EventKind::SentenceFinished {
                status: Status::NotReached,
                reason: Some(format!("inconclusive: {why}")),
            };
            context.events.emit(&sentence.address, kind).await;
        }
    }
    if outcome.verdict.is_accepted() {
        let (verdict, blame) = (Verdict::Errored, Some(Blame::Environment));
        outcome = Outcome { verdict, blame, reason: Some(why), ..outcome };
    }
    outcome
}

/// What the environment wants to be looked at when a case goes red, before anything is taken back. It changes no verdict.
async fn collect(runner: &Runner<'_>, case: &Case) {
    let id = crate::value::Value::map([("id".to_string(), case.id.as_str().into())]);
    let scope = runner.looks.environment().with("case", id);
    let at = case.address.child("on_failure");
    let collecting = Runner { cancel: &runner.context.cancel, base: &scope, ..*runner };
    let all = collecting.list(&runner.context.on_failure, &at, scope.clone(), None);
    let _ = tokio::time::timeout(COLLECTING, all).await;
}

async fn finish(case: &Case, context: &RunContext, outcome: Outcome, took: Duration) -> Outcome {
    let kind = EventKind::CaseFinished {
        verdict: outcome.verdict,
        blame: outcome.blame,
        reason: outcome.reason.clone(),
        took,
    };
    context.events.emit(&case.address, kind).await;
    outcome
}

/// All its sentences, one after the other.
async fn sentences(case: &Case, runner: &Runner<'_>, base: &Scope) -> (Outcome, Vec<(Address, Status)>) {
    let mut course = Course::new(base.clone());
    for sentence in &case.sentences {
        course.take(sentence, runner).await;
    }
    // by the user; a case that ran out of its own time keeps what it had come to
    let interrupted = runner.context.cancel.is_cancelled();
    (course.outcome(interrupted), course.statuses)
}

/// How far a case has come: what is bound, and what follows from what was red.
#[derive(Clone)]
pub(super) struct Course {
    pub scope: Scope,
    pub statuses: Vec<(Address, Status)>,
    worst: Status,
    why: Option<String>,
    blocked: Option<(Status, String)>,
    ended: bool,
}

impl Course {
    pub fn new(scope: Scope) -> Self {
        Course { scope, statuses: vec![], worst: Status::Passed, why: None, blocked: None, ended: false }
    }

    /// Performs the next sentence.
    pub async fn take(&mut self, sentence: &Sentence, runner: &Runner<'_>) {
        let cancelled = runner.cancel.is_cancelled();
        if cancelled {
            self.worst = self.worst.worse(Status::Interrupted);
        }
        let skip = match (&self.blocked, sentence.part) {
            _ if cancelled => Some("cancelled before it was reached".to_string()),
            (Some(_), Part::Step | Part::Expected) => Some("a precondition does not hold".to_string()),
            (None, Part::Step) if self.ended => Some("the steps ended before it".to_string()),
            _ => None,
        };
        let at = &sentence.address;
        runner.emit(at, EventKind::SentenceStarted).await;
        let (status, reason) = match skip {
            Some(reason) if sentence.unproven => (Status::Unproven, Some(reason)),
            Some(reason) => (Status::NotReached, Some(reason)),
            None => {
                let (status, reason, listed) = perform_sentence(sentence, runner, &self.scope).await;
                if let Some(listed) = listed {
                    self.scope = listed.scope;
                    self.ended |= listed.ends && sentence.part != Part::Expected;
                }
                (status, reason)
            }
        };
        if sentence.part == Part::Precondition && status.is_red() && self.blocked.is_none() {
            self.blocked = Some((status, reason.clone().unwrap_or_default()));
        }
        if self.blocked.is_none() && self.worst.worse(status) != self.worst {
            self.worst = status;
            self.why = reason.clone();
        }
        self.statuses.push((at.clone(), status));
        runner.emit(at, EventKind::SentenceFinished { status, reason }).await;
    }

    /// Whether what follows will be the same in both.
    pub fn joins(&self, other: &Course) -> bool {
        self.ended == other.ended && self.blocked.is_some() == other.blocked.is_some() && self.scope.same(&other.scope)
    }

    pub fn outcome(&self, interrupted: bool) -> Outcome {
        let mut why = self.why.clone();
        let (verdict, blame) = match (&self.blocked, self.worst) {
            _ if interrupted => (Verdict::Interrupted, None),
            (Some((Status::Failed, reason)), _) => {
                why = Some(reason.clone());
                (Verdict::Blocked, Some(Blame::Product))
            }
            (Some((_, reason)), _) => {
                why = Some(reason.clone());
                (Verdict::Blocked, Some(Blame::Environment))
            }
            (None, Status::Failed) => (Verdict::Failed, Some(Blame::Product)),
            // nothing was wrong and yet something was never asked: we cannot say that it holds
            (None, Status::Errored | Status::NotReached | Status::Interrupted) => {
                (Verdict::Errored, Some(Blame::Environment))
            }
            (None, _) => (Verdict::Passed, None),
        };
        let reason = if verdict == Verdict::Passed { None } else { why };
        Outcome { verdict, blame, reason, left: vec![] }
    }
}

async fn perform_sentence(
    sentence: &Sentence,
    runner: &Runner<'_>,
    scope: &Scope,
) -> (Status, Option<String>, Option<Listed>) {
    if sentence.unproven {
        return (Status::Unproven, None, None);
    }
    if sentence.part == Part::Precondition && sentence.steps.is_empty() {
        return (Status::NotVerified, Some("no action stands under it".into()), None);
    }
    let at = &sentence.address;
    let mut listed = runner.list(&sentence.steps, &at.child("do"), scope.clone(), None).await;
    if !sentence.assertions.is_empty() {
        let own = at.child("check");
        let done = match runner.looks.known(&own, &listed.scope, &[]) {
            Some(done) => done,
            None => {
                let watched = runner.looks.watch(&listed.scope);
                let scope = watched.as_ref().unwrap_or(&listed.scope);
                let done = own_asks(sentence, runner, &own, scope).await;
                runner.looks.learn(&own, scope, &[], &done);
                done
            }
        };
        let (status, reason) = (done.status, done.reason);
        listed.judged += done.judged;
        if listed.status.worse(status) != listed.status {
            listed.status = status;
            listed.reason = reason;
        }
    }
    if sentence.part != Part::Expected && !sentence.steps.is_empty() && !listed.acted {
        let reason = "nothing was performed: what stands under it was skipped by its `if`".to_string();
        return (Status::NotVerified, Some(reason), Some(listed));
    }
    // skipped actions prove nothing
    if sentence.part == Part::Expected && listed.judged == 0 && !listed.status.is_red() {
        let reason = "nothing was asked of what was seen: it proves nothing".to_string();
        return (Status::NotReached, Some(reason), Some(listed));
    }
    let (status, reason) = (listed.status, listed.reason.clone());
    (if status == Status::Skipped { Status::Passed } else { status }, reason, Some(listed))
}

/// What stands beside a sentence itself is asked of the names that its steps have bound.
async fn own_asks(sentence: &Sentence, runner: &Runner<'_>, at: &Address, scope: &Scope) -> Done {
    let what = "expected".to_string();
    runner.emit(at, EventKind::ActionStarted { what, location: sentence.location.clone() }).await;
    let missing = sentence.needs.iter().find(|n| !scope.has(n));
    let (status, results, reason) = match missing {
        Some(name) => (Status::NotReached, vec![], Some(format!("`{name}` was never bound"))),
        None => {
            let results = runner.asked(&sentence.assertions, None, &runner.then(at, scope));
            let red = results.iter().find(|f| !f.holds).map(sentence_of);
            (if red.is_some() { Status::Failed } else { Status::Passed }, results, red)
        }
    };
    let judged = results.len();
    let finished =
        EventKind::ActionFinished { status, results, reason: reason.clone(), attempts: 0, took: Duration::ZERO };
    runner.emit(at, finished).await;
    Done { status, reason, judged, ..Done::green() }
}
