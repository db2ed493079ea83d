//! Runs one case: preconditions, steps, expected results, then the undo. Decides how a failure affects the rest of the case.
use super::{
    context::RunContext,
    inconclusive::ClockWatch,
    known_failures,
    observation::ObservationSource,
    panic::caught,
    results::{ActionOutcome, ActionsOutcome, CaseOutcome, SentenceOutcome, first_failure, observed_values, status_of},
    retry::{self, Next},
    runner::{ActionRunner, CaseEffects},
    schedule::{Case, ScheduledAction, Sentence},
    scopes::case_scope,
    time_limit::default_limit,
    times::render_duration,
    undo::Undo,
    unwind::unwind,
};
use crate::{
    address::Address,
    event::{ActionOutline, EventKind, Part},
    expr::Scope,
    outcome::{Blame, Status, Tier, Verdict},
};
use jiff::tz::TimeZone;
use std::time::{Duration, Instant};

/// Time limit of the environment's `on_failure` actions.
const ON_FAILURE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a case in `base`, the scope of the run, until it passes or there are no more retries. An attempt begins after the undo of the one
/// before it.
pub async fn run_case(case: &Case, context: &RunContext, source: &dyn ObservationSource, base: &Scope) -> CaseOutcome {
    let begun = Instant::now();
    let mut earlier = vec![];
    let last = loop {
        let attempt_begun = Instant::now();
        context.events.emit(&case.address, EventKind::CaseStarted).await;
        let outcome = outcome_of(case, context, source, base).await;
        match retry::next(case, context, &outcome, earlier.len()) {
            Next::Retry => {
                let CaseOutcome { verdict, blame, out_of_time, .. } = outcome;
                let (reason, took) = (outcome.reason.clone(), attempt_begun.elapsed());
                let retried = EventKind::CaseRetried { verdict, blame, reason, took, out_of_time };
                context.events.emit(&case.address, retried).await;
                earlier.push(outcome);
            }
            Next::End(None) => break outcome,
            Next::End(Some(why)) => {
                let reason = outcome.reason.as_ref().map_or(why.to_string(), |reason| format!("{reason}; {why}"));
                break CaseOutcome { reason: Some(reason), ..outcome };
            }
        }
    };
    let outcome = retry::together(last, &earlier);
    finish_case(case, context, &outcome, begun.elapsed()).await;
    outcome
}

pub(super) async fn finish_case(case: &Case, context: &RunContext, outcome: &CaseOutcome, took: Duration) {
    let CaseOutcome { verdict, blame, out_of_time, .. } = *outcome;
    let reason = outcome.reason.clone();
    context.events.emit(&case.address, EventKind::CaseFinished { verdict, blame, reason, took, out_of_time }).await;
}

async fn outcome_of(case: &Case, context: &RunContext, source: &dyn ObservationSource, base: &Scope) -> CaseOutcome {
    if !case.lacks.is_empty() {
        return CaseOutcome::new(Verdict::Blocked, Some(Blame::Environment), Some(case.lacks.join("; ")));
    }
    let scope = case_scope(base, &case.id);
    let default = || Ok(default_limit(&case.sentences, &scope));
    let limit = match case.timeout.as_ref().map_or_else(default, |t| render_duration(t, &scope)) {
        Ok(limit) => limit,
        Err(e) => return CaseOutcome::errored(format!("its `timeout`: {e}")),
    };
    let cancel = context.cancel.child_token();
    let effects = CaseEffects::default();
    let clock = ClockWatch::start(context);
    let runner = ActionRunner::new(context, source, &effects, &scope).until(&cancel, Some(limit));
    let runner = ActionRunner { protected: context.protected, ..runner };
    let timer = async {
        // a replay has no deadlines
        if source.is_live() {
            tokio::time::sleep(limit).await;
            cancel.cancel();
        }
        std::future::pending::<()>().await
    };
    let mut execution = CaseExecution::new(scope.clone());
    let sentences = async {
        for sentence in &case.sentences {
            if let Err(reason) = caught(execution.run_sentence(sentence, &runner)).await {
                execution.note_panic(sentence, reason, &runner).await;
            }
        }
        if let Err(reason) = caught(execution.run_end(&case.sentences, &runner)).await {
            execution.note_status(Status::Errored, Some(&reason));
        }
    };
    tokio::select! {
        () = sentences => {}
        () = timer => unreachable!("the timer never ends"),
    }
    // by the user; a case that ran out of its own time keeps its outcome
    let mut outcome = execution.outcome(context.cancel.is_cancelled());
    let sentences = execution.sentences;
    let out_of_time = (cancel.is_cancelled() && !context.cancel.is_cancelled()).then_some(limit);
    if out_of_time.is_some() && matches!(outcome.verdict, Verdict::Errored | Verdict::Interrupted) {
        // an earlier failure stays one
        outcome = CaseOutcome::errored("the case ran out of time");
    }
    let today = context.run.started.to_zoned(TimeZone::UTC).date();
    let unperformed = execution.unperformed.filter(|_| case.tier == Tier::Must);
    outcome = known_failures::accept(&case.known, &sentences, unperformed.as_ref(), outcome, today);
    if source.is_live() {
        if matches!(outcome.verdict, Verdict::Failed | Verdict::Blocked | Verdict::Errored) {
            collect_evidence(&runner, case).await;
        }
        // the undo runs even after a cancel; only a second Ctrl-C stops it
        let undoing = ActionRunner { protected: false, ..runner }.until(&context.kill, None);
        if context.keep {
            effects.undo.lock().retain(Undo::heals);
        }
        outcome = outcome.with_leftovers(unwind(&undoing).await);
        clock.jump(context).into_iter().for_each(|why| effects.mark_inconclusive(why));
    }
    let outcome = match effects.inconclusive.into_inner() {
        Some(why) => mark_inconclusive(case, context, &sentences, outcome, why).await,
        None => outcome,
    };
    CaseOutcome { out_of_time, ..outcome }
}

/// Marks the expected results that passed as not reached: the case proves none of them.
async fn mark_inconclusive(
    case: &Case,
    context: &RunContext,
    sentences: &[SentenceOutcome],
    outcome: CaseOutcome,
    why: String,
) -> CaseOutcome {
    for sentence in case.sentences.iter().filter(|s| s.part == Part::Expected) {
        if sentences.iter().any(|s| s.address == sentence.address && s.status == Status::Passed) {
            let reason = Some(format!("inconclusive: {why}"));
            let kind = EventKind::SentenceFinished { status: Status::NotReached, reason };
            context.events.emit(&sentence.address, kind).await;
        }
    }
    match outcome.verdict.is_accepted(case.tier) {
        true => CaseOutcome { left: outcome.left, ..CaseOutcome::errored(why) },
        false => outcome,
    }
}

/// Runs the environment's `on_failure` actions before the undo. They change no verdict.
async fn collect_evidence(runner: &ActionRunner<'_>, case: &Case) {
    let scope = case_scope(&runner.source.environment(), &case.id);
    let at = case.address.child("on_failure");
    let collecting = runner.clone().until(&runner.context.cancel, Some(ON_FAILURE_TIMEOUT));
    let collecting = ActionRunner { base: &scope, ..collecting };
    let all = collecting.run_actions(&runner.context.on_failure, &at, scope.clone(), None);
    let _ = tokio::time::timeout(ON_FAILURE_TIMEOUT, all).await;
}

/// The state of a case between two sentences.
#[derive(Clone)]
pub struct CaseExecution {
    pub scope: Scope,
    pub sentences: Vec<SentenceOutcome>,
    pub(super) worst: Status,
    pub(super) reason: Option<String>,
    /// Status and reason of the first precondition that does not hold.
    blocked: Option<(Status, String)>,
    /// The product could not be asked in a step: no further step runs.
    ended: bool,
    /// The first step of which a change was not performed.
    unperformed: Option<Address>,
}

impl CaseExecution {
    pub fn new(scope: Scope) -> Self {
        CaseExecution {
            scope,
            sentences: vec![],
            worst: Status::Passed,
            reason: None,
            blocked: None,
            ended: false,
            unperformed: None,
        }
    }

    /// Runs the next sentence.
    pub async fn run_sentence(&mut self, sentence: &Sentence, runner: &ActionRunner<'_>) {
        let cancelled = runner.cancel.is_cancelled();
        if cancelled {
            self.worst = self.worst.worst(Status::Interrupted);
        }
        let skip = match (&self.blocked, sentence.part) {
            _ if cancelled => Some("cancelled before it was reached".to_string()),
            (Some(_), Part::Step | Part::Expected) => Some("a precondition does not hold".to_string()),
            (None, Part::Step) if self.ended => Some("the steps ended before it".to_string()),
            (None, Part::Expected) if sentence.actions.iter().any(ScheduledAction::observes) => self
                .unperformed
                .as_ref()
                .map(Address::last)
                .map(|n| format!("it rests on step {n}, which was not performed")),
            _ => None,
        };
        let at = &sentence.address;
        runner.emit(at, EventKind::SentenceStarted).await;
        let (status, reason, observed) = match skip {
            Some(reason) if sentence.unproven => (Status::Unproven, Some(reason), vec![]),
            Some(reason) => {
                self.note_unperformed(sentence, sentence.actions.iter().any(ScheduledAction::changes));
                (Status::NotReached, Some(reason), vec![])
            }
            None => {
                let (scope, outcome) = evaluate_sentence(sentence, runner, self.scope.clone()).await;
                self.scope = scope;
                self.note_unperformed(sentence, outcome.unperformed);
                self.ended |= outcome.ends_steps && sentence.part != Part::Expected;
                (outcome.status, outcome.reason, outcome.observed)
            }
        };
        if sentence.part == Part::Precondition && status.is_unsuccessful() && self.blocked.is_none() {
            self.blocked = Some((status, reason.clone().unwrap_or_default()));
        }
        if self.blocked.is_none() {
            self.note_status(status, reason.as_deref());
        }
        self.sentences.push(SentenceOutcome { address: at.clone(), status, observed });
        runner.emit(at, EventKind::SentenceFinished { status, reason }).await;
    }

    /// Finishes a sentence that panicked. The steps end with it.
    async fn note_panic(&mut self, sentence: &Sentence, reason: String, runner: &ActionRunner<'_>) {
        let (at, status) = (&sentence.address, Status::Errored);
        if sentence.part == Part::Precondition && self.blocked.is_none() {
            self.blocked = Some((status, reason.clone()));
        }
        self.ended |= sentence.part != Part::Expected;
        self.note_unperformed(sentence, sentence.actions.iter().any(ScheduledAction::changes));
        self.note_status(status, Some(&reason));
        self.sentences.push(SentenceOutcome { address: at.clone(), status, observed: vec![] });
        runner.emit(at, EventKind::SentenceFinished { status, reason: Some(reason) }).await;
    }

    /// The worst status of a sentence decides the case; the first sentence with it gives the reason.
    pub(super) fn note_status(&mut self, status: Status, reason: Option<&str>) {
        if self.worst.worst(status) != self.worst {
            self.worst = status;
            self.reason = reason.map(str::to_string);
        }
    }

    fn note_unperformed(&mut self, sentence: &Sentence, unperformed: bool) {
        if unperformed && sentence.part == Part::Step {
            self.unperformed.get_or_insert_with(|| sentence.address.clone());
        }
    }

    /// Whether the rest of the case gives the same results in both executions.
    pub fn converged(&self, other: &CaseExecution) -> bool {
        self.ended == other.ended
            && self.unperformed == other.unperformed
            && self.blocked.is_some() == other.blocked.is_some()
            && self.scope.same(&other.scope)
    }

    pub fn outcome(&self, interrupted: bool) -> CaseOutcome {
        let mut why = self.reason.clone();
        let (verdict, blame) = match (&self.blocked, self.worst) {
            _ if interrupted => (Verdict::Interrupted, None),
            (Some((status, reason)), _) => {
                why = Some(reason.clone());
                let product = *status == Status::Failed;
                (Verdict::Blocked, Some(if product { Blame::Product } else { Blame::Environment }))
            }
            (None, Status::Failed) => (Verdict::Failed, Some(Blame::Product)),
            // nothing failed, but something was not evaluated: the case proves nothing
            (None, Status::Errored | Status::NotReached | Status::Interrupted) => {
                (Verdict::Errored, Some(Blame::Environment))
            }
            (None, _) => (Verdict::Passed, None),
        };
        CaseOutcome::new(verdict, blame, why.filter(|_| verdict != Verdict::Passed))
    }
}

/// Runs the actions of a sentence, then evaluates the assertions written beside it. Returns the scope after it.
async fn evaluate_sentence(sentence: &Sentence, runner: &ActionRunner<'_>, scope: Scope) -> (Scope, ActionOutcome) {
    let with_status = |status, reason: Option<&str>, outcome: ActionOutcome| ActionOutcome {
        status,
        reason: reason.map(String::from),
        ..outcome
    };
    if sentence.unproven {
        return (scope, with_status(Status::Unproven, None, ActionOutcome::default()));
    }
    if sentence.part == Part::Precondition && sentence.actions.is_empty() {
        let reason = Some("the plan has no action for it");
        return (scope, with_status(Status::NotVerified, reason, ActionOutcome::default()));
    }
    let at = &sentence.address;
    let ActionsOutcome { scope, acted, mut total } =
        runner.run_actions(&sentence.actions, &at.child("do"), scope, None).await;
    if !sentence.assertions.is_empty() {
        total.add(evaluate_own_assertions(sentence, runner, &at.child("check"), &scope).await);
    }
    let total = if sentence.part != Part::Expected && !sentence.actions.is_empty() && !acted {
        with_status(Status::NotVerified, Some("no action ran: all were skipped by their `if`"), total)
    } else if sentence.part == Part::Expected && total.judged == 0 && !total.status.is_unsuccessful() {
        // skipped actions prove nothing
        with_status(Status::NotReached, Some("no assertion was evaluated for this result"), total)
    } else {
        total
    };
    (scope, total)
}

/// Evaluates the assertions of the sentence itself, against the names that its steps have bound.
async fn evaluate_own_assertions(
    sentence: &Sentence,
    runner: &ActionRunner<'_>,
    at: &Address,
    scope: &Scope,
) -> ActionOutcome {
    let run = async |scope: Scope| {
        let (summary, location) = ("expected".to_string(), sentence.location.clone());
        runner.emit(at, EventKind::ActionStarted { action: ActionOutline::new(summary, location) }).await;
        if let Some(name) = sentence.needs.iter().find(|n| !scope.has(n)) {
            return runner.fail_early(at, Status::NotReached, format!("`{name}` was never bound")).await;
        }
        let results = runner.evaluate(&sentence.assertions, None, &scope);
        let (judged, reason, observed) = (results.len(), first_failure(&results), observed_values(&results));
        let status = status_of(&results).unwrap_or(Status::Passed);
        let (attempts, took, wait, last) = (0, Duration::ZERO, None, None);
        let finished =
            EventKind::ActionFinished { status, results, reason: reason.clone(), attempts, took, wait, last };
        runner.emit(at, finished).await;
        ActionOutcome { status, reason, judged, observed, ..ActionOutcome::default() }
    };
    runner.run_with_source(at, scope, run).await
}
