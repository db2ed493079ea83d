//! Tries a plan in a folder of its own: checks it, runs it, and makes its assertions fail by mutation. What does not hold
//! becomes a draft, until all that is left does.
use super::project::NewFile;
use crate::{
    cli::{
        args::{self, EnvArgs, ExecutionArgs, OutputArgs},
        environment::ChosenEnvironment,
        execute::{self, Executed, RunOptions},
        exit,
        failure::Failure,
        files, plans,
        prover::Prover,
        recording::Recording,
        replay,
        signals::Interrupts,
        try_action::Outputs,
    },
    diagnostic::Diagnostics,
    engine::schedule::Schedule,
    event::Part as SentencePart,
    executor::Registry,
    init::{
        openapi::Api,
        plan::{self, Findings, Options, Part, Written, WrittenCase},
    },
    outcome::{Status, Verdict},
    prove::proof::Proof,
    report::run_index::RunIndex,
    source::Source,
    value::Value,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Each round drops what did not hold.
const MAX_ROUNDS: usize = 6;

/// What the plan is written from.
pub enum Subject<'s> {
    Document {
        api: &'s Api,
        options: &'s Options,
    },
    /// A plan for what was observed.
    Observed(Written),
}

/// A plan that passes, and whose assertions can all fail.
pub struct Settled {
    pub plan: Written,
    pub assertions: usize,
    /// Where the system differs from its document.
    pub findings: Findings,
}

pub struct Trial<'t> {
    folder: tempfile::TempDir,
    plan: PathBuf,
    execution: ExecutionArgs,
    registry: &'t Registry,
    interrupts: &'t Interrupts,
}

impl<'t> Trial<'t> {
    /// In a temporary folder with the files that the plan needs.
    pub fn new(
        files: &[NewFile],
        plan: &Path,
        environment: &str,
        registry: &'t Registry,
        interrupts: &'t Interrupts,
    ) -> Result<Trial<'t>, Failure> {
        let folder = tempfile::Builder::new().prefix("tp-runner-init-").tempdir();
        let folder = folder.map_err(|e| Failure::not_written(&std::env::temp_dir(), &e))?;
        let write = |path: &Path, text: &str| {
            let path = folder.path().join(path);
            let parent = path.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text))
        };
        for file in files {
            write(&file.path, &file.text).map_err(|e| Failure::not_written(&file.path, &e))?;
        }
        let config = folder.path().join("tp-runner.yaml");
        let environment =
            EnvArgs { env: Some(environment.into()), config: config.is_file().then_some(config), ..EnvArgs::default() };
        let execution = ExecutionArgs { environment, ..ExecutionArgs::default() };
        Ok(Trial { plan: folder.path().join(plan), folder, execution, registry, interrupts })
    }

    /// The output of one action; `None` if the system did not answer it. Fails if it could not be asked.
    pub async fn observe(&self, action: &str) -> Result<Option<Value>, Failure> {
        let source = Arc::new(Source::new("the action", action));
        let draft = plans::of_action(&source, self.registry);
        let chosen = ChosenEnvironment::choose(&self.execution, &draft).await?;
        chosen.sandbox.iter().for_each(|sandbox| self.interrupts.remove_on_exit(sandbox.folder()));
        let outputs = Outputs::default();
        let options = RunOptions { listener: Some(Box::new(outputs.clone())), ..self.options("one action") };
        let work = |schedule: Schedule| execute::execute(options, schedule);
        chosen.run(&draft, &[], &|_| true, work).await?;
        let ended = outputs.last();
        match ended {
            Some((Status::Errored, _, reason)) => {
                Err(Failure::unreachable(format!("error: {}", reason.unwrap_or_default())))
            }
            Some((_, value, _)) => Ok(value),
            None => Ok(None),
        }
    }

    fn options(&self, selection: &str) -> RunOptions {
        RunOptions::new(execute::new_run(self.folder.path()), selection, self.interrupts)
    }

    /// Writes, checks, runs and proves the plan until everything in it holds.
    pub async fn settle(&self, subject: &Subject<'_>) -> Result<Settled, Failure> {
        let mut findings = Findings::default();
        for _ in 0..MAX_ROUNDS {
            let plan = match subject {
                Subject::Document { api, options } => plan::plan(api, options, &findings),
                Subject::Observed(plan) => plan.clone(),
            };
            if plan.counts().0 == 0 {
                let found: String = findings.iter().map(|(key, _, why)| format!("  {key}: {why}\n")).collect();
                return Err(Failure::unreachable(format!("error: no case could be written that passes\n{found}")));
            }
            let folder = self.plan.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(&self.plan, &plan.yaml))
                .map_err(|e| Failure::not_written(&self.plan, &e))?;
            let before = findings.len();
            let settled = self.round(&plan, &mut findings).await?;
            if let Some(assertions) = settled {
                return Ok(Settled { plan, assertions, findings });
            }
            if matches!(subject, Subject::Observed(_)) || findings.len() == before {
                let why = findings.iter().map(|(key, _, why)| format!("{key}: {why}")).collect::<Vec<_>>().join("; ");
                return Err(Failure {
                    message: format!("error: the first plan does not hold: {why}"),
                    code: exit::FAILED,
                });
            }
        }
        Err(Failure { message: "error: the service answers differently each time".into(), code: exit::FAILED })
    }

    /// One round: `None` if something did not hold, else the number of assertions.
    async fn round(&self, plan: &Written, findings: &mut Findings) -> Result<Option<usize>, Failure> {
        let file = files::plans(&[self.plan.display().to_string()])?;
        let file = file.into_iter().next().ok_or_else(|| Failure::usage("error: no plan was written"))?;
        let draft = plans::read(&file, &self.execution.environment, self.registry);
        let problems = draft.check(None);
        if problems.errors() > 0 {
            return match note_problems(&problems, plan, findings) {
                true => Ok(None),
                false => Err(plans::invalid(&problems)),
            };
        }
        let chosen = ChosenEnvironment::choose(&self.execution, &draft).await?;
        chosen.sandbox.iter().for_each(|sandbox| self.interrupts.remove_on_exit(sandbox.folder()));
        let quiet = OutputArgs { quiet: true, ..OutputArgs::default() };
        let recording = Recording::new(quiet, &file, &draft, &chosen, &self.execution);
        let options = RunOptions { recording: Some(recording.silent()), ..self.options("all cases") };
        let id = options.run.id.clone();
        let work = |schedule: Schedule| execute::execute(options, schedule);
        let Executed { index, not_recorded } = chosen.run(&draft, &[], &|_| true, work).await?;
        if let Some(failure) = not_recorded {
            return Err(failure);
        }
        if index.cancelled {
            return Err(Failure::interrupted());
        }
        if !note_verdicts(&index, plan, findings) {
            return Ok(None);
        }
        let proof = self.proof(&id)?;
        Ok(note_survivors(&proof, plan, findings).then_some(proof.killed()))
    }

    fn proof(&self, run: &str) -> Result<Proof, Failure> {
        let journal = self.folder.path().join(".tp-runner/runs").join(run).join("events.jsonl");
        let args = args::Prove {
            plans: vec![self.plan.display().to_string()],
            execution: self.execution.clone(),
            run: vec![],
            accept: false,
            jobs: 1,
            report_dir: None,
        };
        let output = OutputArgs { quiet: true, ..OutputArgs::default() };
        let prover = Prover { args: &args, output, registry: self.registry, interrupts: self.interrupts };
        Ok(replay::evaluate(&prover, &[journal.display().to_string()])?.1)
    }
}

/// Problems of `check` become findings. Returns whether each belongs to a case.
fn note_problems(problems: &Diagnostics, plan: &Written, findings: &mut Findings) -> bool {
    problems.0.iter().all(|problem| {
        let case = plan.case_at(problem.span.location().line);
        case.iter().for_each(|case| findings.add(&case.key, Part::Schema, &problem.message));
        case.is_some()
    })
}

/// What did not pass becomes a finding. Returns whether everything passed.
fn note_verdicts(index: &RunIndex, plan: &Written, findings: &mut Findings) -> bool {
    let mut all_passed = true;
    for entry in index.cases.iter().filter(|c| c.verdict != Verdict::Passed) {
        all_passed = false;
        let Some(case) = plan.cases.iter().find(|c| c.id == entry.outline.id) else { continue };
        let (mut steps, mut results) = (case.steps.iter(), case.expected.iter());
        let mut noted = false;
        for sentence in &entry.sentences {
            let part = match sentence.outline.part {
                SentencePart::Step => steps.next(),
                SentencePart::Expected => results.next(),
                SentencePart::Precondition => None,
            };
            if let (Some(part), Status::Failed | Status::Errored) = (part, sentence.status) {
                findings.add(&case.key, *part, sentence.reason.as_deref().unwrap_or("it did not pass"));
                noted = true;
            }
        }
        if !noted {
            findings.add(&case.key, Part::Response, entry.reason.as_deref().unwrap_or("it did not pass"));
        }
    }
    all_passed
}

/// An assertion that no mutation makes fail becomes a finding. Returns whether there was none.
fn note_survivors(proof: &Proof, plan: &Written, findings: &mut Findings) -> bool {
    let mut all_killed = true;
    for survivor in proof.survivors() {
        all_killed = false;
        if let Some(case) = plan.case_at(survivor.location.line) {
            let part = part_at(plan, case, survivor.location.line);
            let why = survivor.outcome.reason().unwrap_or("no change of the response would make it fail");
            findings.add(&case.key, part, why);
        }
    }
    all_killed
}

/// The part that the sentence at a line belongs to.
fn part_at(plan: &Written, case: &WrittenCase, line: usize) -> Part {
    let before = |word: &str| {
        let lines = plan.yaml.lines().skip(case.lines.0 - 1).take(line + 1 - case.lines.0);
        lines.filter(|l| l.trim_start().starts_with(word)).count()
    };
    let (steps, results) = (before("- step:"), before("- result:"));
    let found = if results > 0 { case.expected.get(results - 1) } else { case.steps.get(steps.max(1) - 1) };
    found.copied().unwrap_or(Part::Response)
}
