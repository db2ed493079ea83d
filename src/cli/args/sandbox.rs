//! How the sandbox is assembled.
use clap::{
    Args as ClapArgs,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use std::path::PathBuf;
use tp_runner_sandbox::variation::Variation;

/// The running pods that StreamSpace allows a user, whatever the user's own quota says.
const AS_BUILT_QUOTA: u32 = 5;

/// How the sandbox is assembled.
#[derive(ClapArgs, Clone, Default)]
pub struct SandboxArgs {
    /// Store the sandbox's tables in this PostgreSQL database instead of SQLite
    #[arg(long, value_name = "URL", help_heading = "Sandbox")]
    pub database: Option<String>,
    /// Use this cluster instead of the embedded Kubernetes API
    #[arg(long, value_name = "FILE", help_heading = "Sandbox")]
    pub kubeconfig: Option<PathBuf>,
    /// Inject a known bug into the sandbox; `help` lists the names
    #[arg(long, value_name = "NAME", help_heading = "Sandbox")]
    pub defect: Vec<String>,
    /// Make the sandbox different from the reference in a way that is right too
    #[arg(long, value_name = "NAME", help_heading = "Sandbox", value_parser = variation_parser())]
    pub variation: Vec<Variation>,
    /// Make the sandbox behave like StreamSpace as built today, including its routes and bugs
    #[arg(long, help_heading = "Sandbox")]
    pub as_built: bool,
    /// How many sessions of one user may run [default: any number; 5 with `--as-built`]
    #[arg(long, value_name = "COUNT", help_heading = "Sandbox")]
    pub quota: Option<u32>,
    /// Delay the sandbox's work at random, each time up to this long; `150ms:7` uses seed 7
    #[arg(long, value_name = "LONGEST", help_heading = "Sandbox")]
    pub delays: Option<tp_runner_sandbox::delays::Delays>,
}

/// Accepts the names of variations.
fn variation_parser() -> impl TypedValueParser<Value = Variation> {
    let names = Variation::ALL.iter().map(|v| PossibleValue::new(v.name()).help(v.description()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Variation>())
}

impl SandboxArgs {
    /// How many sessions of one user may run. `None`: any number.
    pub fn quota(&self) -> Option<u32> {
        self.quota.or(self.as_built.then_some(AS_BUILT_QUOTA))
    }
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner sandbox
  tp-runner sandbox --env-file standing.yaml      then: tp-runner run TP-004 --config standing.yaml --env standing")]
pub struct Sandbox {
    #[command(flatten)]
    pub sandbox: SandboxArgs,
    /// Write an environment file for `run --config FILE --env standing`
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Address of its API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}
