//! The kill matrix: a platform for each defect of the sandbox, several side by side, and the plan run against each.
use super::{
    args,
    failure::Failure,
    files,
    perform::{self, Manner},
    plans::Draft,
    sandbox::Platform,
    signals::Interrupts,
};
use crate::{
    executor::Registry,
    outcome::Tier,
    prove::matrix::{Matrix, Outcome, Row},
};
use futures::{StreamExt, stream};
use std::time::Instant;
use tp_runner_sandbox::defect::Defect;

/// What the plan is run against.
pub struct Ask<'a> {
    pub draft: &'a Draft,
    pub found: &'a files::Found,
    pub registry: &'a Registry,
    pub parts: &'a args::SandboxParts,
    pub set: &'a [String],
    /// Platforms side by side.
    pub jobs: usize,
    pub interrupts: &'a Interrupts,
}

/// The rows in the order of the catalogue, between two runs without a defect. `told` hears of each as it ends.
pub async fn run(ask: &Ask<'_>, told: &(dyn Fn(usize, usize, &Row) + Sync)) -> Result<Matrix, Failure> {
    let schedule = ask.draft.compile_for_proof(ask.registry, None, ask.set)?;
    let breaks = |name: &str| schedule.breaks.iter().find(|b| b.defect == name);
    let chosen = |d: &Defect| match ask.parts.defect.as_slice() {
        [] => schedule.breaks.is_empty() || breaks(d.name()).is_some(),
        names => names.iter().any(|n| n == d.name()),
    };
    if let Some(b) = schedule.breaks.iter().find(|b| b.defect.parse::<Defect>().is_err()) {
        return Err(Failure::usage(format!(
            "error: `prove.defects` names `{}`, and the sandbox has no such defect\nhelp: `--defect help` lists them",
            b.defect
        )));
    }
    let defects = Defect::ALL.iter().filter(|d| chosen(d));
    let tries: Vec<Option<Defect>> = [None].into_iter().chain(defects.map(|d| Some(*d))).chain([None]).collect();
    let total = tries.len();
    let runs = tries.into_iter().enumerate().map(|(n, defect)| async move {
        let began = Instant::now();
        let outcome = one(ask, defect).await;
        let row = Row {
            defect: defect.map(|d| d.name().to_owned()),
            about: defect.map_or("nothing: it is as it should be", Defect::description).to_owned(),
            breaks: vec![],
            outcome,
            took: began.elapsed(),
        };
        (n, row)
    });
    let mut rows = vec![];
    let mut running = stream::iter(runs).buffer_unordered(ask.jobs);
    while let Some((n, mut row)) = running.next().await {
        row.breaks = row.defect.as_deref().and_then(breaks).map(|b| b.sentences.clone()).unwrap_or_default();
        told(rows.len() + 1, total, &row);
        rows.push((n, row));
    }
    rows.sort_by_key(|(n, _)| *n);
    let sentences = schedule.outline.iter().flat_map(|c| &c.sentences);
    let sentences = sentences.map(|s| (s.address.clone(), s.text.clone())).collect();
    Ok(Matrix { rows: rows.into_iter().map(|(_, row)| row).collect(), sentences })
}

async fn one(ask: &Ask<'_>, defect: Option<Defect>) -> Outcome {
    if ask.interrupts.cancel.is_cancelled() {
        return Outcome::CouldNot("interrupted".into());
    }
    let parts =
        args::SandboxParts { defect: defect.iter().map(|d| d.name().to_owned()).collect(), ..ask.parts.clone() };
    let platform = match Platform::start(&parts, ([127, 0, 0, 1], 0).into()).await {
        Ok(platform) => platform,
        Err(e) => return Outcome::CouldNot(format!("the sandbox cannot start: {e}")),
    };
    ask.interrupts.keep(platform.folder());
    let outcome = match against(ask, &platform).await {
        Ok(outcome) => outcome,
        Err(failure) => Outcome::CouldNot(failure.message),
    };
    platform.shutdown().await;
    outcome
}

async fn against(ask: &Ask<'_>, platform: &Platform) -> Result<Outcome, Failure> {
    let environment = platform.environment(ask.registry)?;
    let schedule = ask.draft.compile_for_proof(ask.registry, Some(&environment), ask.set)?;
    let manner = Manner {
        run: perform::begin(&ask.found.root),
        selection: "all cases".into(),
        gate: Tier::ALL.to_vec(),
        fail_fast: false,
        cancel: ask.interrupts.cancel.clone(),
        kill: ask.interrupts.kill.clone(),
    };
    let pending = ask.interrupts.pending.clone();
    let index = perform::perform(manner, schedule, || Ok(vec![Box::new(pending)])).await?;
    if index.cancelled {
        return Ok(Outcome::CouldNot("interrupted".into()));
    }
    let sentences = index.cases.iter().flat_map(|c| &c.sentences);
    Ok(Outcome::Ran {
        statuses: sentences.map(|s| (s.outline.address.clone(), s.status)).collect(),
        cases: index.cases.iter().map(|c| (c.outline.id.clone(), c.verdict)).collect(),
    })
}
