//! The parts of the report. Every key is always present; what is unknown is `null`. Times are milliseconds.
use crate::{
    address::Address,
    event::{AssertionResult, EvidenceKind, Part},
    outcome::{Blame, Status, Tier, Verdict},
    report::{
        gate::gate,
        run_index::{ActionEntry, CaseEntry, PassedAssertion, RunIndex, SentenceEntry, TimelineEntry, UndoEntry},
        sentences,
    },
    source::Location,
};
use indexmap::IndexSet;
use serde::Serialize;
use std::{borrow::Cow, time::Duration};

/// Changes when a reader of the previous version would misread the report.
const VERSION: u32 = 1;

#[derive(Serialize)]
pub struct Report<'r> {
    version: u32,
    run: Run<'r>,
    plan: Plan<'r>,
    environment: Environment<'r>,
    versions: Vec<Named<'r>>,
    ci: Vec<Named<'r>>,
    gate: Gate,
    cases: Vec<Case<'r>>,
    outside_cases: Vec<Action<'r>>,
    notes: &'r [String],
}

#[derive(Serialize)]
struct Run<'r> {
    id: &'r str,
    started: Option<String>,
    took_ms: u64,
    selection: &'r str,
    complete: bool,
    cancelled: bool,
    verdict: &'static str,
}

#[derive(Serialize)]
struct Plan<'r> {
    id: &'r str,
    title: &'r str,
    file: &'r str,
    digest: Option<&'r str>,
    markdown: Option<&'r str>,
    objective: Option<&'r str>,
    in_scope: &'r [String],
    out_of_scope: &'r [String],
    variables: Vec<Named<'r>>,
}

#[derive(Serialize)]
struct Environment<'r> {
    name: &'r str,
    about: &'r str,
    notice: Option<&'r str>,
    targets: Vec<Named<'r>>,
    replaced: &'r [String],
}

#[derive(Serialize)]
struct Named<'r> {
    name: &'r str,
    value: &'r str,
}

#[derive(Serialize)]
struct Gate {
    decided_by: Vec<Tier>,
    verdict: &'static str,
    passed: usize,
    deciding: usize,
    tiers: Vec<TierCount>,
}

#[derive(Serialize)]
struct TierCount {
    tier: Tier,
    decides: bool,
    passed: usize,
    selected: usize,
    in_plan: usize,
}

#[derive(Serialize)]
struct Case<'r> {
    id: &'r str,
    /// The command that runs it again.
    again: &'r str,
    title: &'r str,
    tier: Tier,
    priority: Option<&'r str>,
    fields: Vec<Named<'r>>,
    selected: bool,
    verdict: Verdict,
    blame: Option<Blame>,
    reason: Option<&'r str>,
    took_ms: u64,
    time_limit_ms: Option<u64>,
    deciding_sentence: Option<&'r Address>,
    sentences: Vec<Sentence<'r>>,
    undone: usize,
    not_undone: Vec<Undo<'r>>,
    on_failure: Vec<Action<'r>>,
    inputs: Vec<Action<'r>>,
    earlier_attempts: Vec<EarlierAttempt<'r>>,
}

#[derive(Serialize)]
struct EarlierAttempt<'r> {
    verdict: Verdict,
    blame: Option<Blame>,
    reason: Option<&'r str>,
    took_ms: u64,
    time_limit_ms: Option<u64>,
    deciding_sentence: Option<&'r Address>,
    sentences: Vec<Sentence<'r>>,
    on_failure: Vec<Action<'r>>,
    inputs: Vec<Action<'r>>,
}

#[derive(Serialize)]
struct Sentence<'r> {
    address: &'r Address,
    part: Part,
    text: &'r str,
    location: Place<'r>,
    status: Status,
    reason: Option<&'r str>,
    unproven: Option<&'r str>,
    took_ms: u64,
    product_says: Option<&'r str>,
    passed: Vec<Passed<'r>>,
    actions: Vec<Action<'r>>,
    omitted_actions: usize,
    judged: Vec<&'r Address>,
}

#[derive(Serialize)]
struct Place<'r> {
    file: &'r str,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Passed<'r> {
    subject: &'r str,
    expected: &'r str,
    actual: &'r str,
    count: usize,
}

#[derive(Serialize)]
struct Action<'r> {
    address: &'r Address,
    summary: Cow<'r, str>,
    location: Option<Place<'r>>,
    items: Vec<Cow<'r, str>>,
    status: Status,
    reason: Option<&'r str>,
    attempts: u32,
    took_ms: u64,
    wait: Option<Wait>,
    product_says: Option<&'r str>,
    assertions: Vec<Assertion<'r>>,
    omitted_assertions: usize,
    timeline: Vec<Moment<'r>>,
    evidence: Vec<EvidenceText<'r>>,
}

#[derive(Serialize)]
struct Wait {
    limit_ms: u64,
    held_after_ms: Option<u64>,
}

#[derive(Serialize)]
struct Assertion<'r> {
    subject: &'r str,
    holds: bool,
    inconclusive: bool,
    expected: &'r str,
    actual: &'r str,
    operands: Vec<Named<'r>>,
    location: Option<Place<'r>>,
}

#[derive(Serialize)]
struct Moment<'r> {
    since_ms: u64,
    attempts: u32,
    message: &'r str,
}

#[derive(Serialize)]
struct EvidenceText<'r> {
    kind: EvidenceKind,
    text: &'r str,
}

#[derive(Serialize)]
struct Undo<'r> {
    address: &'r Address,
    summary: &'r str,
    location: Option<Place<'r>>,
    status: Option<Status>,
    reason: Option<&'r str>,
    actions: Vec<Action<'r>>,
}

pub fn report(run: &RunIndex) -> Report<'_> {
    let (start, gate) = (&run.start, gate(run));
    let tiers = gate.tiers.iter().map(|t| TierCount {
        tier: t.tier,
        decides: t.decides,
        passed: t.passed,
        selected: t.selected,
        in_plan: t.in_plan,
    });
    Report {
        version: VERSION,
        run: Run {
            id: &start.run,
            started: run.has_started.then(|| start.started.to_string()),
            took_ms: millis(run.took),
            selection: &start.selection,
            complete: run.complete,
            cancelled: run.cancelled,
            verdict: gate.verdict.as_str(),
        },
        plan: Plan {
            id: &start.plan.id,
            title: &start.plan.title,
            file: &start.plan.file,
            digest: start.plan.digest.as_deref(),
            markdown: start.plan.source.as_deref(),
            objective: start.plan.objective.as_deref(),
            in_scope: &start.plan.scope_in,
            out_of_scope: &start.plan.scope_out,
            variables: named(&start.plan.vars),
        },
        environment: Environment {
            name: &start.environment.name,
            about: &start.environment.about,
            notice: start.environment.notice.as_deref(),
            targets: named(&start.environment.targets),
            replaced: &start.environment.replaced,
        },
        versions: named(&start.versions),
        ci: named(&start.ci),
        gate: Gate {
            decided_by: start.gate.clone(),
            verdict: gate.verdict.as_str(),
            passed: gate.passed,
            deciding: gate.deciding,
            tiers: tiers.collect(),
        },
        cases: run.cases.iter().map(case).collect(),
        outside_cases: run.outside_cases.iter().map(action).collect(),
        notes: &run.notes,
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn named(pairs: &[(String, String)]) -> Vec<Named<'_>> {
    pairs.iter().map(|(name, value)| Named { name, value }).collect()
}

fn place(location: &Location) -> Place<'_> {
    Place { file: &location.file, line: location.line, column: location.column }
}

fn case(c: &CaseEntry) -> Case<'_> {
    Case {
        id: &c.outline.id,
        title: &c.outline.title,
        tier: c.outline.tier,
        priority: c.outline.priority.as_deref(),
        fields: named(&c.outline.fields),
        selected: c.outline.selected,
        verdict: c.verdict,
        blame: c.blame,
        reason: c.reason.as_deref(),
        took_ms: millis(c.took),
        time_limit_ms: c.out_of_time.map(millis),
        again: &c.again,
        deciding_sentence: c.deciding_sentence().map(|s| &s.outline.address),
        sentences: c.sentences.iter().map(|s| sentence(c, s)).collect(),
        undone: c.undone_count,
        not_undone: c.not_undone.iter().map(undo).collect(),
        on_failure: c.on_failure.iter().map(action).collect(),
        inputs: c.inputs.iter().map(action).collect(),
        earlier_attempts: c.earlier.iter().map(earlier_attempt).collect(),
    }
}

fn earlier_attempt(c: &CaseEntry) -> EarlierAttempt<'_> {
    EarlierAttempt {
        verdict: c.verdict,
        blame: c.blame,
        reason: c.reason.as_deref(),
        took_ms: millis(c.took),
        time_limit_ms: c.out_of_time.map(millis),
        deciding_sentence: c.deciding_sentence().map(|s| &s.outline.address),
        sentences: c.sentences.iter().map(|s| sentence(c, s)).collect(),
        on_failure: c.on_failure.iter().map(action).collect(),
        inputs: c.inputs.iter().map(action).collect(),
    }
}

fn sentence<'r>(case: &'r CaseEntry, s: &'r SentenceEntry) -> Sentence<'r> {
    let judged = s.causes().into_iter().flat_map(|cause| case.judged_by(s, cause)).map(|input| &input.address);
    Sentence {
        address: &s.outline.address,
        part: s.outline.part,
        text: &s.outline.text,
        location: place(&s.outline.location),
        status: s.status,
        reason: s.reason.as_deref(),
        unproven: s.outline.unproven.as_deref(),
        took_ms: millis(sentences::took(s)),
        product_says: case.product_words(s),
        passed: s.passed.iter().map(passed).collect(),
        actions: s.actions.iter().map(action).collect(),
        omitted_actions: s.omitted,
        judged: judged.collect::<IndexSet<_>>().into_iter().collect(),
    }
}

fn passed(p: &PassedAssertion) -> Passed<'_> {
    let AssertionResult { subject, expected, actual, .. } = &p.result;
    Passed { subject, expected, actual, count: p.count }
}

fn action(a: &ActionEntry) -> Action<'_> {
    Action {
        address: &a.address,
        summary: a.performed(),
        location: a.location.as_ref().map(place),
        items: a.items(),
        status: a.status,
        reason: a.reason.as_deref(),
        attempts: a.attempts,
        took_ms: millis(a.took),
        wait: a.wait.map(|w| Wait { limit_ms: millis(w.limit), held_after_ms: w.held_after.map(millis) }),
        product_says: a.said.as_deref(),
        assertions: a.results.iter().map(assertion).collect(),
        omitted_assertions: a.omitted,
        timeline: a.timeline.iter().map(moment).collect(),
        evidence: a.evidence.iter().map(|e| EvidenceText { kind: e.kind, text: &e.text }).collect(),
    }
}

fn assertion(f: &AssertionResult) -> Assertion<'_> {
    Assertion {
        subject: &f.subject,
        holds: f.holds,
        inconclusive: f.inconclusive,
        expected: &f.expected,
        actual: &f.actual,
        operands: named(&f.operands),
        location: f.location.as_ref().map(place),
    }
}

fn moment(t: &TimelineEntry) -> Moment<'_> {
    Moment { since_ms: millis(t.since), attempts: t.attempts, message: &t.message }
}

fn undo(u: &UndoEntry) -> Undo<'_> {
    Undo {
        address: &u.address,
        summary: &u.summary,
        location: u.location.as_ref().map(place),
        status: u.status,
        reason: u.reason.as_deref(),
        actions: u.actions.iter().map(action).collect(),
    }
}
