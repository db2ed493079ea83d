//! The command-line arguments.
mod init;
mod reference;
#[cfg(feature = "sandbox")]
mod sandbox;

pub use self::init::{CiSystem, Init};
pub use self::reference::{Completions, Explain, Man, Schema, SchemaOf};
#[cfg(feature = "sandbox")]
pub use self::sandbox::{Sandbox, SandboxArgs};
use super::{agent_log::AgentLogArgs, completions};
use crate::{
    access::Allowed,
    outcome::Tier,
    plan::Environment,
    relay::FaultMode,
    report::{
        console::progress::Detail,
        formats::{FORMATS, Format, MARKDOWN},
    },
};
use clap::{
    Args as ClapArgs, ColorChoice, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::ArgValueCompleter;
use std::path::PathBuf;

#[derive(Parser)]
#[command(
    name = "tp-runner",
    version,
    about = "Executes written test plans and reports the results in the plan's own shape"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Folder for recorded runs [default: .tp-runner/runs beside the plan]
    #[arg(long, global = true, env = "TP_RUNS_DIR", value_name = "DIR")]
    pub runs_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write the first plan, environment and CI job for a system, and try them
    Init(Box<Init>),
    /// Execute plans and write their reports
    Run(Box<Run>),
    /// Perform one action and print its output as YAML; nothing is undone
    Try(Box<Try>),
    /// Validate plans without network access
    Check(Check),
    /// List the cases with tier, priority, and the verbs and faults they use
    List(List),
    /// Check that every target of an environment can be reached and used as the plan needs it
    Doctor(Box<Doctor>),
    /// Turn a written plan (Markdown, Gherkin or CSV) into the skeleton of a YAML plan
    Import(Import),
    /// Show what changed in the written plan since the YAML plan was written
    Sync(Sync),
    /// Mutation testing of plans: run them against each defect of the sandbox, or re-evaluate a
    /// recorded run with mutated observations
    Prove(Box<Prove>),
    /// Write the report of a recorded run
    Report(Report),
    /// Undo what killed runs left behind
    Cleanup(Cleanup),
    /// List the recorded runs
    Runs,
    /// Forward connections to a dependency of the platform until Ctrl-C, and break them on command
    Relay(Relay),
    /// Run the sandbox in the foreground until Ctrl-C
    #[cfg(feature = "sandbox")]
    Sandbox(Sandbox),
    /// Explain a verb, key, matcher, function, diagnostic code, verdict or exit code
    Explain(Explain),
    /// Print the JSON Schema of plans or environment files, for editors
    Schema(Schema),
    /// Print the script that completes arguments in a shell
    Completions(Completions),
    /// Print the manual page, or write the pages of all commands
    Man(Man),
}

#[cfg(feature = "sandbox")]
impl Command {
    /// The values of `--defect`.
    pub fn defects(&self) -> &[String] {
        match self {
            Command::Run(a) => &a.execution.sandbox.defect,
            Command::Doctor(a) => &a.execution.sandbox.defect,
            Command::Prove(a) => &a.execution.sandbox.defect,
            Command::Sandbox(a) => &a.sandbox.defect,
            _ => &[],
        }
    }
}

/// How much is printed, and in which colours.
#[derive(ClapArgs, Clone, Copy, Default)]
pub struct OutputArgs {
    /// Print only the verdict, the failures and the path of the report
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print every action as it ends
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

impl OutputArgs {
    /// Applies `--color` to everything printed through `anstream`.
    pub fn apply_color(self) {
        match self.color {
            ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
            ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
            ColorChoice::Auto => {}
        }
    }

    /// How much progress is printed.
    pub fn detail(self) -> Detail {
        match self {
            OutputArgs { quiet: true, .. } => Detail::Quiet,
            OutputArgs { verbose: true, .. } => Detail::Actions,
            _ => Detail::Cases,
        }
    }
}

/// The highest value of `--retries`.
const MAX_RETRIES: i64 = 10;

/// Suggests a similar tier for an unknown one.
fn tiers() -> impl TypedValueParser<Value = Tier> {
    PossibleValuesParser::new(Tier::ALL.map(Tier::as_str)).try_map(|name| name.parse::<Tier>())
}

/// The formats of reports.
fn formats() -> impl TypedValueParser<Value = &'static Format> {
    let format = |name: String| FORMATS.into_iter().find(|f| f.name == name).unwrap_or(&MARKDOWN);
    PossibleValuesParser::new(FORMATS.map(|f| f.name)).map(format)
}

/// Which cases.
#[derive(ClapArgs)]
pub struct Selection {
    /// Select cases of these tiers
    #[arg(long, value_delimiter = ',', value_name = "TIER", value_parser = tiers())]
    pub tier: Vec<Tier>,
    /// Select cases whose id matches a glob, for example TC-INT-00*
    #[arg(long, value_name = "PATTERN", add = ArgValueCompleter::new(completions::cases))]
    pub case: Vec<String>,
}

/// In which environment.
#[derive(ClapArgs, Clone, Default)]
pub struct EnvArgs {
    /// The environment to use [default: the default of the environment file, then of the plan]
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completions::environments))]
    pub env: Option<String>,
    /// The environment file [default: tp-runner.yaml in this folder or a parent]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Allow actions without undo in the protected environment NAME
    #[arg(long, value_name = "NAME")]
    pub allow_destructive: Option<String>,
    /// Allow plans to use a file or folder outside of the project folder
    #[arg(long, value_name = "PATH")]
    pub allow_path: Vec<PathBuf>,
    /// Allow plans to run programs
    #[arg(long)]
    pub allow_exec: bool,
    /// Allow plans to send requests to a host that belongs to no target
    #[arg(long, value_name = "HOST[:PORT]")]
    pub allow_host: Vec<String>,
}

impl EnvArgs {
    /// Applies `--allow-…` to the environment.
    pub fn apply_to(&self, environment: &mut Environment) {
        environment.protected &= self.allow_destructive.as_ref() != Some(&environment.name);
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        environment.allow.extend(Allowed {
            paths: self.allow_path.iter().map(absolute).collect(),
            exec: self.allow_exec,
            hosts: self.allow_host.clone(),
            ..Allowed::default()
        });
    }
}

/// The environment, the plan's variables and the sandbox.
#[derive(ClapArgs, Clone, Default)]
pub struct ExecutionArgs {
    #[command(flatten)]
    pub environment: EnvArgs,
    /// Set a variable of the plan
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    #[cfg(feature = "sandbox")]
    #[command(flatten)]
    pub sandbox: SandboxArgs,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner run TP-004                                  one plan, against the sandbox
  tp-runner run TP-004 --env staging --gate must        the tier must decides
  tp-runner run --case 'ORD-*' --format junit,html
  tp-runner run TP-004 --failed                         what did not pass last time
  tp-runner run TP-004 --from latest                    judge it again, send nothing")]
pub struct Run {
    /// Plans, each by id (TP-004), file or folder [default: all plans in plans/]
    #[arg(add = ArgValueCompleter::new(completions::plans))]
    pub plans: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub execution: ExecutionArgs,
    /// The tiers that decide the exit code [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TIER", value_parser = tiers())]
    pub gate: Vec<Tier>,
    /// Number of cases to run in parallel
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Start the cases in random order, reproducible with SEED; the report keeps the plan's order
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true)]
    pub shuffle: Option<Option<u64>>,
    /// Select cases that did not pass in the last run of the plan in this environment
    #[arg(long)]
    pub failed: bool,
    /// Try a case again that does not pass, up to N times, after its undo; passed then is flaky: failed in tier must
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=MAX_RETRIES))]
    pub retries: u8,
    /// Start no further case after the first that does not pass
    #[arg(long)]
    pub fail_fast: bool,
    /// Print the actions without executing them
    #[arg(long)]
    pub dry_run: bool,
    /// Judge a recorded run by the plan as it is now, without sending anything
    #[arg(long, value_name = "RUN", add = ArgValueCompleter::new(completions::recorded_runs),
        conflicts_with_all = ["failed", "retries", "jobs", "shuffle", "dry_run", "keep", "cleanup_first", "otlp", "agent_log"])]
    pub from: Option<String>,
    /// Folder for reports [default: the plan's `report`]
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    /// Formats to write beside the Markdown report
    #[arg(long, value_delimiter = ',', value_name = "FORMAT", value_parser = formats())]
    pub format: Vec<&'static Format>,
    #[command(flatten)]
    pub agent_log: AgentLogArgs,
    /// Send the run as a trace to an OpenTelemetry collector, and `traceparent` with each HTTP request
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Stop after this time, as Ctrl-C does: undo what was done, and report
    #[arg(long, value_name = "DURATION")]
    pub time_limit: Option<humantime::Duration>,
    /// Undo first what killed runs left in the environment
    #[arg(long)]
    pub cleanup_first: bool,
    /// Undo nothing but faults, to look at what the cases made; `cleanup` undoes the rest
    #[arg(long, conflicts_with = "retries")]
    pub keep: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner try 'http: { request: GET /health }' --env staging
  tp-runner try 'db: { sql: \"select * from orders limit 1\" }' --env staging
  tp-runner try 'k8s: { list: pods }'")]
pub struct Try {
    /// The action, in YAML, as it would be written in a plan
    #[arg(allow_hyphen_values = true)]
    pub action: String,
    #[command(flatten)]
    pub environment: EnvArgs,
    /// Set a variable of the environment
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

impl Try {
    /// As a run has them.
    pub fn execution(&self) -> ExecutionArgs {
        ExecutionArgs {
            environment: self.environment.clone(),
            set: self.set.clone(),
            #[cfg(feature = "sandbox")]
            sandbox: SandboxArgs::default(),
        }
    }
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner doctor TP-004 --env staging
  tp-runner doctor TP-004 --env staging --faults")]
pub struct Doctor {
    /// Plans, each by id (TP-004), file or folder [default: all plans in plans/]
    #[arg(add = ArgValueCompleter::new(completions::plans))]
    pub plans: Vec<String>,
    /// Also break and heal the connection of each fault; refused in a protected environment
    #[arg(long)]
    pub faults: bool,
    #[command(flatten)]
    pub execution: ExecutionArgs,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner prove TP-004                        with a new run, and with each defect of the sandbox
  tp-runner prove TP-004 --run latest           with a recorded run that passed")]
pub struct Prove {
    /// Plans, each by id (TP-004), file or folder [default: all plans in plans/]
    #[arg(add = ArgValueCompleter::new(completions::plans))]
    pub plans: Vec<String>,
    #[command(flatten)]
    pub execution: ExecutionArgs,
    /// Re-evaluate a recorded run that passed, by id or events.jsonl, with one observation mutated at a time
    #[arg(long, value_name = "RUN", add = ArgValueCompleter::new(completions::recorded_runs))]
    pub run: Vec<String>,
    /// With --run: write the assertion baseline to the file named by the plan's `prove.guards`;
    /// with several runs, their intersection
    #[arg(long, requires = "run")]
    pub accept: bool,
    /// Number of sandboxes to run in parallel
    #[arg(long, short, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// Folder for the report [default: tests/reports]
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner check                       all plans
  tp-runner check TP-004 --env staging  also what staging lacks for it
  tp-runner check --fix                 correct misspelled words")]
pub struct Check {
    /// Plans, each by id (TP-004), file or folder [default: all plans in plans/]
    #[arg(add = ArgValueCompleter::new(completions::plans))]
    pub plans: Vec<String>,
    #[command(flatten)]
    pub environment: EnvArgs,
    /// Make the repairs that are obvious: misspelled keys, names and words
    #[arg(long)]
    pub fix: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner import docs/ORDERS.md
  tp-runner import export.csv --output -")]
pub struct Import {
    /// The written plan: Markdown, Gherkin (.feature), or a CSV export of TestRail, Xray or Zephyr
    pub plan: PathBuf,
    /// Where to write the skeleton, or `-` for stdout [default: plans/<id of the plan>.yaml]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner sync                                all plans that name their written plan
  tp-runner sync TP-004")]
pub struct Sync {
    /// Plans, each by id (TP-004), file or folder [default: all plans in plans/]
    #[arg(add = ArgValueCompleter::new(completions::plans))]
    pub plans: Vec<String>,
    /// Allow plans to use a file or folder outside of the project folder
    #[arg(long, value_name = "PATH")]
    pub allow_path: Vec<PathBuf>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner list --tier must")]
pub struct List {
    /// Plans, each by id (TP-004), file or folder [default: all plans in plans/]
    #[arg(add = ArgValueCompleter::new(completions::plans))]
    pub plans: Vec<String>,
    #[command(flatten)]
    pub selection: Selection,
    /// Allow plans to use a file or folder outside of the project folder
    #[arg(long, value_name = "PATH")]
    pub allow_path: Vec<PathBuf>,
}

#[derive(ClapArgs, Default)]
#[command(after_help = "\
Examples:
  tp-runner cleanup --dry-run                   what killed runs left
  tp-runner cleanup
  tp-runner cleanup r60234a7 --forget")]
pub struct Cleanup {
    /// Runs to clean up, by id [default: all that are unfinished and no longer running]
    #[arg(add = ArgValueCompleter::new(completions::recorded_runs))]
    pub runs: Vec<String>,
    /// The environment file of the runs, if it has changed [default: as it was recorded]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Take this environment of the file [default: that of the run]
    #[arg(long, value_name = "NAME", requires = "config")]
    pub env: Option<String>,
    /// List what is left without undoing it
    #[arg(long)]
    pub dry_run: bool,
    /// Undo nothing, and take the runs for finished
    #[arg(long, conflicts_with = "dry_run", requires = "runs")]
    pub forget: bool,
    /// Clean up runs that were recorded on another host, or whose folder was copied
    #[arg(long)]
    pub force: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner report latest
  tp-runner report latest --format html --output report.html
  tp-runner report latest --against r60234a7
  tp-runner report --history TP-004")]
pub struct Report {
    /// Recorded runs, each by id, folder, events.jsonl or `latest`; several are parts of one plan, and are reported as one run
    #[arg(value_name = "RUN", required_unless_present_any = ["against", "history"], add = ArgValueCompleter::new(completions::recorded_runs))]
    pub runs: Vec<String>,
    /// Compare with an earlier run [default of RUN: the newest other run of its plan]
    #[arg(long, value_name = "RUN", conflicts_with_all = ["known_failures", "agent_log"])]
    pub against: Option<String>,
    /// Show how often each case passed in the recorded runs of PLAN, or of all plans, and how near its waits came to their limits
    #[arg(long, value_name = "PLAN", num_args = 0..=1, conflicts_with_all = ["runs", "against", "known_failures", "agent_log"])]
    pub history: Option<Option<String>>,
    /// File to write [default: stdout]; with several formats that of the Markdown report, and the others are written beside it
    #[arg(long, short, conflicts_with = "agent_log", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Formats to write [default: markdown]; several need `--output`
    #[arg(long, conflicts_with = "agent_log", value_delimiter = ',', value_name = "FORMAT", value_parser = formats())]
    pub format: Vec<&'static Format>,
    /// In place of the report, write entries for the environment's `known_failures`: what failed in the run
    #[arg(long, conflicts_with_all = ["format", "agent_log"])]
    pub known_failures: bool,
    // in place of the report
    #[command(flatten)]
    pub agent_log: AgentLogArgs,
    /// With --agent-log: print the entry without writing it
    #[arg(long, requires = "agent_log")]
    pub dry_run: bool,
}

/// What to do with a relay that is running.
#[derive(Clone, Copy, ValueEnum)]
pub enum RelayAction {
    /// Print its addresses, connections and faults
    State,
    /// Break its connections
    Break,
    /// Restore its connections
    Heal,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  tp-runner relay --listen 127.0.0.1:15432 --upstream db.example:5432
  tp-runner relay break
  tp-runner relay break 'delay 2s'
  tp-runner relay heal")]
pub struct Relay {
    /// Control a relay that is running, instead of starting one
    #[arg(value_name = "ACTION", conflicts_with_all = ["listen", "upstream"])]
    pub action: Option<RelayAction>,
    /// For break and heal: cut, reset, swallow, 'delay 2s' or 'throttle 2000' [default: break: cut; heal: all]
    #[arg(value_name = "FAULT")]
    pub fault: Option<FaultMode>,
    /// Where the platform connects
    #[arg(long, value_name = "ADDRESS", required_unless_present = "action")]
    pub listen: Option<std::net::SocketAddr>,
    /// Where the relay connects: host and port of the dependency
    #[arg(long, value_name = "ADDRESS", required_unless_present = "action")]
    pub upstream: Option<String>,
    /// Unix socket that controls the relay; an environment names it in `relay: { control: SOCKET }`
    #[arg(long, value_name = "SOCKET", default_value = "relay.sock")]
    pub control: PathBuf,
}
