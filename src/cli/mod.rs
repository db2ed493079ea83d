//! The command line: arguments, files, environment variables, signals and exit codes, with one file
//! per command. Only this module exits the process, and only this module combines the engine, the
//! executors, the reports and the sandbox.
#![allow(clippy::exit)]

mod agent_log;
mod args;
mod check;
mod ci;
mod cleanup;
mod compare;
mod completions;
#[cfg(feature = "sandbox")]
mod defects;
mod doctor;
mod doctor_faults;
mod dry_run;
mod environment;
mod execute;
pub mod exit;
mod explain;
mod failed;
mod failure;
mod files;
mod fix;
mod from_run;
mod history;
mod import;
mod init;
#[cfg(feature = "sandbox")]
mod kill_matrix;
mod list;
mod man;
mod otlp;
mod output;
mod plan_access;
mod plans;
mod print;
mod prove;
mod prover;
mod recording;
mod relay;
mod relays;
mod repeat;
mod replay;
mod report;
mod reports;
mod run;
mod runs;
#[cfg(feature = "sandbox")]
mod sandbox;
mod schema;
mod secrets;
mod signals;
#[cfg(target_os = "linux")]
mod supervise;
mod terminal;
mod try_action;
mod yaml_text;

use self::failure::Failure;
use crate::{executors, expr::STACK_BYTES};
use clap::{CommandFactory, Parser};
use std::{process::ExitCode, time::Duration};

/// How many times tasks are polled before timers are. It is low, since one poll of a connection may read megabytes of a flood, and an
/// action must end at its time limit meanwhile.
const EVENT_INTERVAL: u32 = 4;
/// Time for background tasks to end after a command.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// The description of all commands and flags, for completions and documentation.
pub fn command() -> clap::Command {
    args::Args::command()
}

pub fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        if let Some(code) = supervise::main() {
            return code;
        }
        std::env::current_exe().into_iter().for_each(executors::process_group::start_through);
    }
    if let Some(code) = completions::answer(command) {
        return ExitCode::from(code);
    }
    // Two TLS stacks are linked: both need the same provider before the first connection.
    executors::net::install_tls_provider();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let print = if e.use_stderr() { print::err } else { print::out };
            print(format_args!("{}", e.render().ansi()));
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { exit::SUCCESS });
        }
    };
    args.output.apply_color();
    if let Some(folder) = args.runs_dir.clone() {
        runs::use_folder(folder);
    }
    #[cfg(feature = "sandbox")]
    log_sandbox_errors();
    ExitCode::from(run_command(args).unwrap_or_else(|failure| {
        print::err(format_args!("{}\n", failure.message.trim_end()));
        failure.code
    }))
}

fn run_command(args: args::Args) -> Result<u8, Failure> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_stack_size(STACK_BYTES).event_interval(EVENT_INTERVAL).build();
    let runtime = runtime.map_err(|e| Failure::unreachable(format!("error: cannot start the runtime: {e}")))?;
    let work = runtime.spawn(async move {
        #[cfg(feature = "sandbox")]
        if defects::is_help_requested(args.command.defects())? {
            print::out(format_args!("{}", defects::help()?));
            return Ok(exit::SUCCESS);
        }
        match args.command {
            args::Command::Run(a) => run::command(a, args.output).await,
            args::Command::Try(a) => try_action::command(*a, args.output).await,
            args::Command::Init(a) => init::command(*a, args.output).await,
            args::Command::Check(a) => check::command(a),
            args::Command::List(a) => list::command(a),
            args::Command::Import(a) => import::command(a),
            args::Command::Sync(a) => import::sync_command(a),
            args::Command::Doctor(a) => doctor::command(a).await,
            args::Command::Prove(a) => prove::command(a, args.output).await,
            args::Command::Report(a) => report::command(a),
            args::Command::Cleanup(a) => cleanup::command(a, args.output).await,
            args::Command::Runs => runs::command(),
            args::Command::Relay(a) => relay::command(a).await,
            #[cfg(feature = "sandbox")]
            args::Command::Sandbox(a) => sandbox::command(a).await,
            args::Command::Explain(a) => explain::command(a),
            args::Command::Schema(a) => schema::command(a),
            args::Command::Completions(a) => completions::print_script(a.shell),
            args::Command::Man(a) => man::print_or_write(a, command()),
        }
    });
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result.unwrap_or_else(|e| Err(Failure::unreachable(format!("error: internal error: {e}"))))
}

/// Prints errors of the embedded sandbox to stderr.
#[cfg(feature = "sandbox")]
fn log_sandbox_errors() {
    use tracing_subscriber::{Layer, filter, fmt, layer::SubscriberExt, util::SubscriberInitExt};
    let errors = filter::Targets::new().with_target("tp_runner_sandbox", filter::LevelFilter::ERROR);
    let stderr =
        fmt::layer().with_ansi(false).with_writer(std::io::stderr).log_internal_errors(false).with_filter(errors);
    let _ = tracing_subscriber::registry().with(stderr).try_init();
}
