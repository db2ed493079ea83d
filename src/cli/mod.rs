//! The command line: arguments, files, environment variables, signals, exit codes. The only place that reads those or exits, and the
//! only one that knows the engine, the executors, the reports and the sandbox together.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod args;
mod check;
#[cfg(feature = "sandbox")]
mod defects;
mod doctor;
mod dry;
mod evidence;
pub mod exit;
mod failure;
mod files;
mod links;
mod list;
#[cfg(feature = "sandbox")]
mod matrix;
mod perform;
mod place;
mod plans;
mod prove;
mod report;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod secrets;
mod signals;

use clap::Parser;
use std::process::ExitCode;

pub fn main() -> ExitCode {
    // both TLS stacks in the tree must agree on one provider before anything connects
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { exit::SUCCESS });
        }
    };
    args.verbosity.start_logging();
    // expressions are evaluated by recursion: the stack is large, the memory is taken only as it is used
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(64 << 20).build();
    let runtime = match runtime {
        Ok(r) => r,
        Err(e) => {
            eprintln!("error: the runtime cannot start: {e}");
            return ExitCode::from(exit::UNREACHABLE);
        }
    };
    let work = runtime.spawn(async move {
        #[cfg(feature = "sandbox")]
        if defects::asked_for_help(args.command.defects())? {
            anstream::print!("{}", defects::help()?);
            return Ok(exit::SUCCESS);
        }
        match args.command {
            args::Command::Run(a) => run::command(a, args.verbosity).await,
            args::Command::Check(a) => check::command(a),
            args::Command::List(a) => list::command(a),
            args::Command::Doctor(a) => doctor::command(a, args.verbosity).await,
            args::Command::Prove(a) => prove::command(a, args.verbosity).await,
            args::Command::Report(a) => report::command(a),
            #[cfg(feature = "sandbox")]
            args::Command::Sandbox(a) => sandbox::command(a).await,
        }
    });
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(f)) => {
            anstream::eprintln!("{}", f.message.trim_end());
            ExitCode::from(f.code)
        }
        Err(e) => {
            eprintln!("error: a defect of the runner ended it: {e}");
            ExitCode::from(exit::UNREACHABLE)
        }
    }
}
