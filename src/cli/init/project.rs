//! The files of the project that `init` writes.
use crate::{
    cli::{args, failure::Failure},
    init::{ci, environment, plan::Written},
};
use std::path::{Path, PathBuf};

/// A file to write, relative to the working folder.
pub struct NewFile {
    pub path: PathBuf,
    pub text: String,
}

pub fn refuse_existing(path: &Path, help: &str) -> Result<(), Failure> {
    match path.exists() {
        true => Err(Failure::usage(format!("error: `{}` exists already\nhelp: {help}", path.display()))),
        false => Ok(()),
    }
}

/// The files of the CI job; those that exist are left as they are.
pub fn job_files(
    args: &args::Init,
    written: &Written,
    plan: &Path,
    environment: Option<&environment::Environment>,
) -> Vec<NewFile> {
    let system = match args.ci {
        args::CiSystem::Github => ci::System::Github,
        args::CiSystem::Gitlab => ci::System::Gitlab,
        args::CiSystem::Jenkins => ci::System::Jenkins,
        args::CiSystem::Shell => ci::System::Shell,
        args::CiSystem::None => return vec![],
    };
    let job = ci::Job {
        plan: plan.display().to_string(),
        package: "tp-runner".into(),
        has_must: written.yaml.contains("tier: must"),
        variables: environment.and_then(environment::Environment::address_variable).into_iter().collect(),
        secrets: environment.iter().flat_map(|e| e.secret_variables()).map(str::to_string).collect(),
    };
    let files = ci::files(system, &job).into_iter().map(|f| NewFile { path: f.path.into(), text: f.text });
    files.filter(|f| !f.path.exists()).collect()
}
