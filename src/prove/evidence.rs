//! Mutated evidence: judges a recorded run without changes, and then with mutated observations. Prints nothing and
//! reads no file.
use super::{
    assertions::{PlanAssertion, PlanAssertions, assertions_of},
    baseline::{Baseline, observable_losses},
    mutation_results::MutationResults,
    mutation_run::{Progress, mutate_run},
    path::{FieldPath, format_path},
    proof::{AssertionOutcome, AssertionProof, Proof, SentenceProof},
};
use crate::{
    address::Address,
    engine::{
        schedule::{Case, Schedule},
        scopes::VariableError,
    },
    outcome::Verdict,
    replay::{Record, Replay},
    source::Span,
};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

/// Why a run cannot be used for mutation testing.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    #[error("the run did not finish: `prove` needs a passed run")]
    Unfinished,
    #[error("the run did not pass: `{case}` is {verdict}; `prove` needs a passed run")]
    NotPassed { case: String, verdict: Verdict },
    #[error("the run contains no case")]
    NoCases,
    #[error(transparent)]
    Variable(#[from] VariableError),
    #[error("interrupted")]
    Interrupted,
}

/// Judges a recorded run again with mutated observations, and compares the result with the `accepted` baseline.
/// Fails unless every case of the run passed.
pub fn prove_run(
    schedule: Arc<Schedule>,
    record: Arc<Record>,
    accepted: Option<&Baseline>,
    progress: &Progress,
) -> Result<Proof, ProveError> {
    let begun = Instant::now();
    require_passed(&record)?;
    let mut notes: Vec<String> = record.missing_part().map(String::from).into_iter().collect();
    let replay = Replay::new(schedule, record)?;
    let results = mutate_run(&replay, masked_secrets(&replay.record), progress).ok_or(ProveError::Interrupted)?;
    let assertions = assertions_of(&replay.schedule);
    let differences = differences(&replay, &assertions);
    let evaluated: HashSet<&Span> = replay
        .cases
        .iter()
        .flat_map(|c| &c.parts)
        .flat_map(|p| p.actions.values())
        .flat_map(|a| &a.results)
        .filter_map(|r| r.assertion.as_ref())
        .collect();
    let is_recorded = |case: &str| replay.record.cases.contains_key(case);
    let cases = replay.schedule.outline.clone();
    if let Some(case) = cases.iter().find(|c| !is_recorded(&c.id)) {
        notes.push(format!("the run does not contain the whole plan: `{}`, for example, is missing", case.id));
    }
    let id_of = |i: &usize| replay.schedule.cases[*i].id.clone();
    let outcome = |assertion: &PlanAssertion| {
        if let Some(why) = differences.get(&assertion.span) {
            return AssertionOutcome::NotReplayable(why.clone());
        }
        if let Some(kill) = results.kills.get(&assertion.span) {
            return AssertionOutcome::Killed { by: kill.by.clone(), times: kill.times };
        }
        let within = assertion.within.as_ref();
        if evaluated.contains(&assertion.span) || within.is_some_and(|w| evaluated.contains(w)) {
            return AssertionOutcome::Survived;
        }
        AssertionOutcome::NotExercised(match assertion.cases.iter().any(|i| is_recorded(&id_of(i))) {
            true => "its action was never run".into(),
            false => "its case is not in the run".into(),
        })
    };
    let proofs = assertions.all.values().map(|assertion| AssertionProof {
        location: assertion.span.location(),
        text: assertion.text.clone(),
        cases: assertion.cases.iter().map(id_of).collect(),
        outcome: outcome(assertion),
    });
    let texts = assertions.all.values().map(|assertion| &assertion.text).chain(&assertions.in_undo);
    let baseline = Baseline::of(&replay, &results, texts);
    let losses = accepted.map(|accepted| observable_losses(&replay, accepted.lost_in(&baseline))).unwrap_or_default();
    Ok(Proof {
        run: replay.record.started.run.clone(),
        plan: replay.schedule.plan.id.clone(),
        title: replay.schedule.plan.title.clone(),
        sentences: sentence_proofs(&replay, &results),
        assertions: proofs.collect(),
        baseline,
        losses,
        cases,
        mutants: results.mutants,
        in_undo: assertions.in_undo.len(),
        notes,
        took: begun.elapsed(),
    })
}

/// Fails unless every case passed: otherwise some assertions are false without any mutation.
fn require_passed(record: &Record) -> Result<(), ProveError> {
    if !record.finished {
        return Err(ProveError::Unfinished);
    }
    match record.cases.iter().filter(|(_, verdict)| **verdict != Verdict::Passed).min() {
        Some((case, verdict)) => Err(ProveError::NotPassed { case: case.clone(), verdict: *verdict }),
        None if record.cases.is_empty() => Err(ProveError::NoCases),
        None => Ok(()),
    }
}

/// Assertions that the replay without mutations judges differently from the run, each with the reason.
fn differences(replay: &Replay, assertions: &PlanAssertions) -> HashMap<Span, String> {
    let mut out = HashMap::new();
    for (case, baseline) in replay.schedule.cases.iter().zip(&replay.cases) {
        for (at, action) in replay.record.actions.iter().filter(|(at, _)| is_in_case(case, at)) {
            let Some(then) = &action.outcome else { continue };
            let own = assertions.all.values().filter(|assertion| assertion.of == action.location);
            let spans = own.map(|assertion| assertion.span.clone());
            let Some(now) = baseline.parts.iter().find_map(|s| s.actions.get(at)) else {
                let why = format!("in the replay, `{at}` is not run");
                out.extend(spans.map(|span| (span, why.clone())));
                continue;
            };
            if now.results.is_empty() && !then.results.is_empty() {
                let why = format!("`{at}` was {} in the run and is {} in the replay", then.status, now.status);
                out.extend(spans.map(|span| (span, why.clone())));
            }
            let mut before: Vec<_> = then.results.iter().collect();
            for now in &now.results {
                // the plan may have changed since the run: results are matched by their text
                let then = before.iter().position(|r| r.subject == now.subject).map(|i| before.remove(i));
                if !now.holds || then.is_some_and(|then| !then.holds) {
                    let then = then.map_or("was not evaluated".into(), |then| format!("found {}", then.actual));
                    let why = format!("`{at}` {then} in the run, and finds {} in the replay", now.actual);
                    out.extend(now.assertion.clone().map(|span| (span, why)));
                }
            }
        }
    }
    out
}

/// Whether an action belongs to a sentence of the case, and neither to an undo nor to a fault.
fn is_in_case(case: &Case, at: &Address) -> bool {
    !at.is_in("undo") && !at.is_in("fault") && case.sentences.iter().any(|s| at.is_within(&s.address))
}

/// The masks in the record, such as `‹password›`, in place of the secrets themselves.
fn masked_secrets(record: &Record) -> String {
    let out = RefCell::new(BTreeSet::from(["‹secret›".to_string()]));
    let collect = |_: &str, text: &str| {
        out.borrow_mut().extend(text.match_indices('‹').filter_map(|(i, _)| {
            let end = text[i..].find('›')?;
            Some(text[i..i + end + '›'.len_utf8()].to_string())
        }));
        None
    };
    for observation in record.observations.values().flatten() {
        if let Ok(output) = &observation.result {
            output.value.map_text("", &collect);
        }
    }
    out.into_inner().into_iter().collect::<Vec<_>>().join(" ")
}

fn sentence_proofs(replay: &Replay, results: &MutationResults) -> Vec<SentenceProof> {
    let mut out = vec![];
    for case in &replay.schedule.outline {
        for sentence in &case.sentences {
            let mut proof = SentenceProof {
                case: case.id.clone(),
                text: sentence.text.clone(),
                unproven: sentence.unproven.clone(),
                read: 0,
                unread: vec![],
            };
            for ((_, summary), fields) in results.fields.iter().filter(|((at, _), _)| *at == sentence.address) {
                let has_inner =
                    |path: &FieldPath| fields.read.iter().any(|p| p.len() > path.len() && p.starts_with(path));
                proof.read += fields.read.iter().filter(|path| !has_inner(path)).count();
                let unread = fields.unread.iter().filter(|(path, _)| !fields.read.contains(*path));
                proof.unread.extend(unread.map(|(path, n)| (summary.clone(), format_path(path), *n)));
            }
            out.push(proof);
        }
    }
    out
}
