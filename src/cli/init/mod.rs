//! `init`: writes the first plan, environment and CI job for a system, and keeps them only if the plan passes against
//! that system and mutation testing can make every assertion fail.
mod answers;
mod document;
mod observe;
mod project;
mod trial;

use self::{
    answers::{Answers, System},
    project::{NewFile, job_files, refuse_existing},
    trial::{Subject, Trial},
};
use super::{
    args::{self, OutputArgs},
    exit,
    failure::Failure,
    print, signals,
};
use crate::{
    executors, file,
    init::{
        environment,
        openapi::Api,
        plan::{Drafts, Options},
    },
    report::wording::count,
};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

pub async fn command(args: args::Init, output: OutputArgs) -> Result<u8, Failure> {
    let interrupts = signals::listen()?;
    let registry = executors::registry();
    let answers = Answers::of(&args)?;
    let plan_path = PathBuf::from(format!("plans/{}.yaml", answers.id));
    let environment = answers.environment();
    let environment_path = PathBuf::from("tp-runner.yaml");
    refuse_existing(&plan_path, "choose another `--id`")?;
    if let Some(environment) = &environment
        && environment_path.exists()
    {
        return Err(Failure::usage(format!(
            "error: `tp-runner.yaml` exists already\nhelp: add this under `environments`, and run `init` in another folder:\n{}",
            environment::entry(environment)
        )));
    }
    let mut files = vec![];
    if let Some(environment) = &environment {
        let text = environment::file(environment, &plan_path.display().to_string());
        files.push(NewFile { path: environment_path, text });
    }
    let document = answers.document.as_ref();
    if let Some(document) = document {
        files.push(NewFile { path: Path::new("plans").join(&document.name), text: document.text.clone() });
        refuse_existing(&Path::new("plans").join(&document.name), "move it, or name it under `--from`")?;
    }
    let trial = Trial::new(
        &trial_files(&files, &answers, environment.as_ref()),
        &plan_path,
        answers.environment_name(),
        &registry,
        &interrupts,
    )?;
    let written = match document {
        Some(document) => {
            let options = Options {
                id: answers.id.clone(),
                document: Some(document.name.clone()),
                credentials: answers.credentials(),
                values: answers.values.clone(),
                // a draft that is a case would count as passed
                drafts: Drafts::Comments,
            };
            trial.settle(&Subject::Document { api: &document.api, options: &options }).await?
        }
        None => {
            say(output, "looking at the system");
            let observed = observe::plan(&trial, &answers).await?;
            trial.settle(&Subject::Observed(observed)).await?
        }
    };
    let mut text = written.plan.yaml.clone();
    if answers.system == System::Sandbox {
        text = text.replacen("\n\ncases:", "\nenvironment: sandbox\n\ncases:", 1);
    }
    files.insert(0, NewFile { path: plan_path.clone(), text });
    files.extend(job_files(&args, &written.plan, &plan_path, environment.as_ref()));
    for new in &files {
        let folder = new.path.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(folder).map_err(|e| Failure::not_written(folder, &e))?;
        file::replace(&new.path, new.text.as_bytes()).map_err(|e| Failure::not_written(&new.path, &e))?;
    }
    print::out(format_args!("{}", summary(&written, &files, &answers, document.map(|d| &d.api))));
    Ok(exit::SUCCESS)
}

/// The files as the trial needs them: in its folder a relative path leads elsewhere, and the variable with the address of a database
/// may not be set yet.
fn trial_files(files: &[NewFile], answers: &Answers, environment: Option<&environment::Environment>) -> Vec<NewFile> {
    let (written, meant) = match &answers.system {
        System::Database(url) if url.contains("://") => {
            let variable = environment.and_then(environment::Environment::address_variable).unwrap_or_default();
            (format!("${{env.{variable}}}"), url.clone())
        }
        System::Database(path) => {
            let absolute = std::path::absolute(path).unwrap_or(path.into());
            (format!("'{path}'"), format!("'{}'", absolute.display()))
        }
        System::Http(_) | System::Kubernetes | System::Sandbox => (String::new(), String::new()),
    };
    let text = |f: &NewFile| match written.as_str() {
        "" => f.text.clone(),
        written => f.text.replace(written, &meant),
    };
    files.iter().map(|f| NewFile { path: f.path.clone(), text: text(f) }).collect()
}

fn say(output: OutputArgs, text: &str) {
    if !output.quiet {
        print::err(format_args!("{text}\n"));
    }
}

/// What was written, what was found on the way, and what to do next.
fn summary(trial: &trial::Settled, files: &[NewFile], answers: &Answers, api: Option<&Api>) -> String {
    let is_url = matches!(&answers.system, System::Database(url) if url.contains("://"));
    let variable = answers.environment().filter(|_| is_url).and_then(|e| e.address_variable());
    let unset = variable.filter(|name| std::env::var_os(name).is_none());
    let mut out = String::new();
    let (running, _) = trial.plan.counts();
    let operations = api.map_or(0, |api| api.operations.len());
    for new in files {
        let about = match new.path.to_str() {
            Some("tp-runner.yaml") => format!("  environment `{}`", answers.environment_name()),
            Some(path) if path.ends_with(&format!("{}.yaml", answers.id)) && operations > 0 => {
                format!("  {}, {}", count(running, "case"), count(operations - running.min(operations), "draft"))
            }
            Some(path) if path.ends_with(&format!("{}.yaml", answers.id)) => format!("  {}", count(running, "case")),
            _ => String::new(),
        };
        let _ = writeln!(out, "{}{about}", new.path.display());
    }
    let _ = writeln!(
        out,
        "\npassed against {}; mutation testing can make each of its {} fail",
        answers.shown(),
        count(trial.assertions, "assertion")
    );
    if !trial.findings.is_empty() {
        let _ = writeln!(out, "\nwhere the service differs from its document:");
        for (key, _, reason) in trial.findings.iter() {
            let _ = writeln!(out, "  {key}: {reason}");
        }
    }
    for note in api.iter().flat_map(|api| &api.notes) {
        let _ = writeln!(out, "note: {note}");
    }
    if let Some(variable) = unset {
        let _ = writeln!(out, "\nset {variable} to the address of the database: the files do not contain it");
    }
    let _ = writeln!(out, "\nnext: tp-runner run {}", answers.id);
    out
}
