//! Runs a program that prints a log.
use crate::{executor::ActionError, executors::process_group::ProcessGroup};
use std::{io, path::Path, process::Stdio};
use tokio::io::AsyncReadExt;

const MAX_STDERR_BYTES: u64 = 64 << 10;

/// What a program printed.
pub(super) struct Printed {
    pub stdout: Vec<u8>,
    /// Whether `stdout` was cut at the limit.
    pub is_cut: bool,
    /// The last line of its standard error.
    pub error: Option<String>,
}

/// Runs a program, and keeps up to `max_bytes` of its standard output.
pub(super) async fn run(words: &[String], dir: &Path, max_bytes: usize) -> Result<Printed, ActionError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(ActionError::Invalid("expected a program in `command`, found an empty list".into()));
    };
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => {
            ActionError::Unreachable(format!("program `{program}` not found; install it, or add its folder to PATH"))
        }
        _ => ActionError::Unreachable(format!("cannot run `{program}`: {e}")),
    };
    let mut command = ProcessGroup::command(program, arguments, dir).map_err(failed)?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = ProcessGroup::spawn(&mut command).map_err(failed)?;
    let (stdout, stderr) = (group.leader.stdout.take(), group.leader.stderr.take());
    let (stdout, stderr) = tokio::join!(read_up_to(stdout, max_bytes as u64 + 1), read_up_to(stderr, MAX_STDERR_BYTES));
    let (mut stdout, stderr) = (stdout.map_err(failed)?, stderr.map_err(failed)?);
    let stderr = String::from_utf8_lossy(&stderr);
    let error = stderr.lines().rev().find(|l| !l.trim().is_empty()).map(str::to_string);
    if stdout.len() > max_bytes {
        stdout.truncate(max_bytes);
        return Ok(Printed { stdout, is_cut: true, error });
    }
    let status = group.leader.wait().await.map_err(failed)?;
    if !status.success() {
        let last = error.as_deref().unwrap_or("no error output");
        return Err(ActionError::Unreachable(format!("`{}` failed with {status}: {last}", words.join(" "))));
    }
    Ok(Printed { stdout, is_cut: false, error })
}

async fn read_up_to(from: Option<impl tokio::io::AsyncRead + Unpin>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    if let Some(from) = from {
        from.take(max_bytes).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
