//! Compiles whole plans, and prepares their run.
use super::action::render;
use crate::{
    engine::{compile::compile, schedule::Schedule},
    event::{EnvironmentOutline, RunStarted},
    executor::{Registry, RunInfo},
    outcome::Tier,
    plan::{FileLoader, Reader, environment},
    source::Source,
};
use std::{path::Path, sync::Arc};

/// A file loader for plans that include no files.
pub struct NoFiles;

impl FileLoader for NoFiles {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Compiles a plan for the first environment of a file.
///
/// # Errors
/// All diagnostics as text, if one of them is an error.
pub fn compile_plan(registry: &Registry, plan: &str, environments: &str) -> Result<Schedule, String> {
    let source = |name: &str, text: &str| Arc::new(Source::new(name, text));
    let mut reader = Reader::new(registry.verbs().collect(), &NoFiles);
    let plan = reader.plan(&source("t.yaml", plan));
    let environments = environment::read(&mut reader, &source("env.yaml", environments));
    let environment = environments.and_then(|e| e.all.into_iter().next());
    let mut problems = reader.problems;
    let mut schedule = None;
    if let (Some(plan), Some(environment)) = (plan, environment) {
        let (compiled, more) = compile(plan, registry, Some(environment), vec![], &|_| true);
        schedule = compiled;
        problems.extend(more);
    }
    schedule.filter(|_| problems.errors() == 0).ok_or_else(|| render(&problems))
}

/// The first event of a run of all cases.
pub fn run_started(run: &RunInfo, schedule: &Schedule) -> RunStarted {
    RunStarted {
        run: run.id.clone(),
        started: run.started,
        plan: schedule.plan.clone(),
        environment: EnvironmentOutline::default(),
        selection: "all".into(),
        gate: Tier::ALL.to_vec(),
        versions: vec![],
        ci: vec![],
        trace: None,
        arguments: vec![],
        cases: schedule.outline.clone(),
    }
}
