//! The arguments of `init`.
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The CI system that the job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CiSystem {
    Github,
    Gitlab,
    Jenkins,
    /// Only the script
    Shell,
    None,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  tp-runner init                                                 asks
  tp-runner init http://localhost:8080 --yes
  tp-runner init http://localhost:8080 --from openapi.yaml --ci github
  tp-runner init ./orders.db
  tp-runner init k8s
  tp-runner init sandbox")]
pub struct Init {
    /// What is tested: the URL of an HTTP service or of a database, a SQLite file, `k8s`, or `sandbox`
    pub system: Option<String>,
    /// An OpenAPI document of the service: a case for each operation that only reads, with its schema
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Ask nothing, and take the defaults
    #[arg(long, short)]
    pub yes: bool,
    /// Id of the plan [default: from the title of the document, or from the host]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Name of the environment [default: local, or service if it is on another machine]
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// A value for a parameter of the document
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// The CI job to write
    #[arg(long, value_name = "SYSTEM", default_value = "shell")]
    pub ci: CiSystem,
}
