//! What a run was made from: plan, included files, environment and arguments, as they were when it began.
use crate::access::Allowed;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of `tp-runner`.
    pub version: String,
    /// The working folder.
    pub directory: PathBuf,
    /// The words of the command line, with secrets masked.
    pub arguments: Vec<String>,
    pub plan: FileText,
    /// The folder that paths in the plan are relative to.
    pub root: PathBuf,
    /// The files that the plan includes, by path.
    pub files: BTreeMap<PathBuf, String>,
    pub environment: SnapshotEnvironment,
    /// `--set`, with secrets masked.
    pub set: Vec<String>,
}

impl Snapshot {
    /// Whether all that the run made was in a sandbox that was part of its process.
    pub fn ended_with_its_process(&self) -> bool {
        self.environment.sandbox.as_ref().is_some_and(|s| s.database.is_none() && s.kubeconfig.is_none())
    }
}

/// A file as the user named it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileText {
    pub name: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotEnvironment {
    pub name: String,
    /// Whether the run kept to what a protected environment allows.
    pub protected: bool,
    /// What the plan was allowed to use beside its folder and the targets.
    #[serde(default)]
    pub allow: Allowed,
    /// Its file; `None` for the sandbox that was part of the run.
    pub file: Option<SnapshotFile>,
    /// What the sandbox of the run kept outside of its process: `--database` and `--kubeconfig`.
    pub sandbox: Option<SnapshotSandbox>,
}

/// An environment file. Its secrets are masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// The absolute path.
    pub path: PathBuf,
    #[serde(flatten)]
    pub content: FileText,
    /// Whether a secret was masked in the text: it cannot be used without the file.
    pub masked: bool,
    /// The files that it includes, by path.
    pub files: BTreeMap<PathBuf, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotSandbox {
    pub database: Option<String>,
    pub kubeconfig: Option<PathBuf>,
}
