//! The arguments, as people write them.
use crate::outcome::Tier;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Parser)]
#[command(
    name = "tp-runner",
    version,
    about = "Runs written test plans for real and reports them in the plan's own shape"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Subcommand)]
pub enum Command {
    /// Perform plans and write their reports
    Run(Box<Run>),
    /// Say everything that is wrong with plans, without any network
    Check(Check),
    /// Show the cases with tier, priority, and the targets and faults that they need
    List(List),
    /// Try every target of an environment, the way the plan will use it
    Doctor(Box<Doctor>),
    /// Say whether plans could fail: run them against every defect of the sandbox, or judge a recorded run again, changed
    Prove(Box<Prove>),
    /// Write the report of a recorded run again
    Report(Report),
    /// Run the reference platform in the foreground, until Ctrl-C
    #[cfg(feature = "sandbox")]
    Sandbox(Sandbox),
}

#[cfg(feature = "sandbox")]
impl Command {
    /// What the sandbox is to get wrong.
    pub fn defects(&self) -> &[String] {
        match self {
            Command::Run(a) => &a.stage.parts.defect,
            Command::Doctor(a) => &a.stage.parts.defect,
            Command::Prove(a) => &a.stage.parts.defect,
            Command::Sandbox(a) => &a.parts.defect,
            _ => &[],
        }
    }
}

#[derive(ClapArgs, Clone, Copy)]
pub struct Verbosity {
    /// Only the summary
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Every action as it ends
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl Verbosity {
    /// `RUST_LOG` turns on the runner's own trace, on stderr; it is for whoever works on the runner.
    pub fn start_logging(self) {
        match self.color {
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
            Color::Auto => {}
        }
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "off".into());
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    }

    pub fn colour(self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never,
        }
    }
}

/// Which cases.
#[derive(ClapArgs)]
pub struct Selection {
    /// Only cases of these tiers: must, should, nice
    #[arg(long, value_delimiter = ',', value_name = "TIER")]
    pub tier: Vec<Tier>,
    /// Only cases whose id is like this: TC-INT-00*
    #[arg(long, value_name = "PATTERN")]
    pub case: Vec<String>,
}

/// Where.
#[derive(ClapArgs)]
pub struct Where {
    /// The environment to run in
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// The environment file; else `tp-runner.yaml` here or in a folder above
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Let a protected environment be changed in ways that cannot be taken back: its name once more
    #[arg(long, value_name = "NAME")]
    pub i_mean: Option<String>,
}

/// Where, and what the plan is given there.
#[derive(ClapArgs)]
pub struct Stage {
    #[command(flatten)]
    pub place: Where,
    /// Set a variable of the plan
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    #[cfg(feature = "sandbox")]
    #[command(flatten)]
    pub parts: SandboxParts,
}

#[derive(ClapArgs)]
pub struct Run {
    /// Plans: an id (`TP-004`), a file or a folder; else every plan in `plans/`
    pub plans: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub stage: Stage,
    /// The tiers that decide the exit code; else all that were selected
    #[arg(long, value_delimiter = ',', value_name = "TIER")]
    pub gate: Vec<Tier>,
    /// How many cases run side by side
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Begin the cases in a random order, the same for the same SEED; the report keeps the plan's
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true)]
    pub shuffle: Option<Option<u64>>,
    /// Begin no further case after the first that is red
    #[arg(long)]
    pub fail_fast: bool,
    /// Say what would be performed, and perform nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where reports are written; else where the plan's `report` says
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub struct Doctor {
    /// Plans: an id, a file or a folder; else every plan in `plans/`
    pub plans: Vec<String>,
    #[command(flatten)]
    pub stage: Stage,
}

#[derive(ClapArgs)]
pub struct Prove {
    /// Plans: an id, a file or a folder; else every plan in `plans/`
    pub plans: Vec<String>,
    #[command(flatten)]
    pub stage: Stage,
    /// A recorded green run, by its id or its `events.jsonl`: what it saw is changed, piece by piece, and judged again
    #[arg(long, value_name = "RUN")]
    pub run: Vec<String>,
    /// With `--run`: write down what guards what, where the plan's `prove: guards` says; of several runs what they all show
    #[arg(long, requires = "run")]
    pub accept: bool,
    /// How many sandboxes stand side by side
    #[arg(long, short, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// Where the page is written; else `tests/reports`
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub struct Check {
    /// Plans: an id, a file or a folder; else every plan in `plans/`
    pub plans: Vec<String>,
    #[command(flatten)]
    pub place: Where,
}

#[derive(ClapArgs)]
pub struct List {
    /// Plans: an id, a file or a folder; else every plan in `plans/`
    pub plans: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
}

#[derive(ClapArgs)]
pub struct Report {
    /// A run: its id, or its `events.jsonl`
    #[arg(required = true)]
    pub run: String,
    /// Where to write it; else to stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Real parts in place of the sandbox's own.
#[cfg(feature = "sandbox")]
#[derive(ClapArgs, Clone, Default)]
pub struct SandboxParts {
    /// With the sandbox: keep its tables in this PostgreSQL database
    #[arg(long, value_name = "URL", help_heading = "Sandbox")]
    pub database: Option<String>,
    /// With the sandbox: use this cluster in place of the embedded Kubernetes API
    #[arg(long, value_name = "FILE", help_heading = "Sandbox")]
    pub kubeconfig: Option<PathBuf>,
    /// With the sandbox: let it get something wrong; `help` lists how
    #[arg(long, value_name = "NAME", help_heading = "Sandbox")]
    pub defect: Vec<String>,
    /// With the sandbox: let it be StreamSpace as it is built today, with its routes and all that it gets wrong
    #[arg(long, help_heading = "Sandbox")]
    pub as_built: bool,
    /// With the sandbox: let it be slow at random, up to so long each time; `150ms:7` for what seed 7 gives
    #[arg(long, value_name = "LONGEST", help_heading = "Sandbox")]
    pub delays: Option<tp_runner_sandbox::delays::Delays>,
}

#[cfg(feature = "sandbox")]
#[derive(ClapArgs)]
pub struct Sandbox {
    #[command(flatten)]
    pub parts: SandboxParts,
    /// Write an environment file for `run --config FILE --env standing`
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Where its API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}
