//! Lines that a program prints. Knows no line.
use crate::executor::ActionError;
use std::{io, path::Path, process::Stdio};
use tokio::{io::AsyncReadExt, process::Command};

/// As much of what it complains about is read.
const COMPLAINT: u64 = 64 << 10;

/// What it printed, and whether there was more than `most`.
pub(super) async fn run(words: &[String], dir: &Path, most: u64) -> Result<(Vec<u8>, bool), ActionError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(ActionError::Invalid("the command of the log is empty".into()));
    };
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => {
            ActionError::Unreachable(format!("there is no program `{program}`: is it installed, and in PATH?"))
        }
        _ => ActionError::Unreachable(format!("`{program}` cannot be run: {e}")),
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, said) = tokio::join!(all(out, most + 1), all(err, COMPLAINT));
    let (mut bytes, said) = (out.map_err(failed)?, said.map_err(failed)?);
    if bytes.len() as u64 > most {
        bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        return Ok((bytes, true));
    }
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
        return Err(ActionError::Unreachable(format!("`{}` ended with {status}: {last}", words.join(" "))));
    }
    Ok((bytes, false))
}

async fn all(from: Option<impl tokio::io::AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
