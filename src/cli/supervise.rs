//! The hidden subcommand through which the runner starts programs: runs one, and kills its process group when the runner dies.
use super::print;
use crate::executors::process_group::SUPERVISE;
use rustix::process::{Signal, getpgrp, getppid, kill_process_group, set_parent_process_death_signal};
use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// As the exit status of a shell whose program cannot be started.
const CANNOT_START: u8 = 126;
/// As the exit status of a shell whose program a signal ended.
const BY_SIGNAL: i32 = 128;

/// Supervises a program if the arguments say so, until it ends.
pub fn main() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != SUPERVISE {
        return None;
    }
    let program = arguments.next()?;
    let parent = getppid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let status = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let mut death_of_runner = signal(SignalKind::terminate())?;
            set_parent_process_death_signal(Some(Signal::TERM))?;
            if getppid() != parent {
                // the runner died before it could be watched
                kill_group();
            }
            let mut child = Command::new(&program).args(arguments.collect::<Vec<OsString>>()).spawn()?;
            tokio::select! {
                status = child.wait() => status,
                _ = death_of_runner.recv() => {
                    kill_group();
                    child.wait().await
                }
            }
        })
    });
    Some(exit_code(&program, status))
}

/// Kills the process group, to which this process belongs.
fn kill_group() {
    let _ = kill_process_group(getpgrp(), Signal::KILL);
}

fn exit_code(program: &OsString, status: io::Result<ExitStatus>) -> ExitCode {
    match status {
        Ok(status) => {
            let code = status.code().or(status.signal().map(|signal| BY_SIGNAL + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
        }
        Err(e) => {
            print::err(format_args!("cannot start `{}`: {e}\n", program.display()));
            ExitCode::from(CANNOT_START)
        }
    }
}
