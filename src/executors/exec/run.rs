//! Runs a program and gathers what it says. What is left running when it ends, or when nobody waits any longer, is ended.
use super::group::Group;
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started, shell_word},
    value::Value,
};
use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// More of each stream is thrown away.
const LARGEST: usize = 32 << 20;
/// How long a stream may stay open after the program has ended, because something that left its group holds it.
const LINGER: Duration = Duration::from_secs(2);

pub(super) struct Command {
    pub words: Vec<String>,
    pub stdin: Option<String>,
    pub env: Vec<(String, String)>,
}

impl Command {
    /// The line that does the same in a shell.
    fn line(&self) -> String {
        let mut words: Vec<String> = vec![];
        if let Some(stdin) = &self.stdin {
            words.push(format!("printf %s {} |", shell_word(stdin)));
        }
        if !self.env.is_empty() {
            words.push("env".into());
            words.extend(self.env.iter().map(|(k, v)| shell_word(&format!("{k}={v}")).into_owned()));
        }
        words.extend(self.words.iter().map(|w| shell_word(w).into_owned()));
        words.join(" ")
    }
}

pub(super) async fn run(cx: &ActionContext<'_>, what: &Command) -> Result<Output, ActionError> {
    let started = Started::now();
    let Some((program, arguments)) = what.words.split_first().filter(|(p, _)| !p.is_empty()) else {
        return Err(ActionError::Invalid("`run` gave no program".into()));
    };
    let line = what.line();
    cx.note(EvidenceKind::Request, line.as_str());
    cx.note(EvidenceKind::Reproduce, line);
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).envs(what.env.iter().map(|(k, v)| (k, v))).current_dir(&cx.run.dir);
    command.stdin(if what.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound if !cx.run.dir.is_dir() => {
            ActionError::Unreachable(format!("there is no folder `{}` to run `{program}` in", cx.run.dir.display()))
        }
        io::ErrorKind::NotFound => {
            ActionError::Unreachable(format!("there is no program `{program}`: is it installed, and in PATH?"))
        }
        _ => ActionError::Unreachable(format!("`{program}` cannot be run: {e}")),
    };
    let mut group = Group::spawn(&mut command).map_err(failed)?;
    cx.mark_sent();
    let (stdin, stdout, stderr) = (group.child.stdin.take(), group.child.stdout.take(), group.child.stderr.take());
    let feed = async {
        if let (Some(mut pipe), Some(text)) = (stdin, &what.stdin) {
            // who does not read all of it may have had enough
            let _ = pipe.write_all(text.as_bytes()).await;
        }
    };
    let (mut out, mut err) = (Stream::default(), Stream::default());
    let status = {
        let streams = async { tokio::join!(feed, out.read(stdout), err.read(stderr)) };
        tokio::pin!(streams);
        tokio::select! {
            status = group.child.wait() => {
                // else what it started could hold the streams open for ever
                group.end();
                let _ = tokio::time::timeout(LINGER, &mut streams).await;
                status
            }
            _ = &mut streams => group.child.wait().await,
        }
    };
    let status = status.map_err(failed)?;
    group.end();
    if out.cut || err.cut {
        cx.note(EvidenceKind::Note, "the program said more than 32 MiB: the rest was thrown away");
    }
    let (exit, out, err) = (code(status), out.text(), err.text());
    cx.note(EvidenceKind::Response, format!("{status}\n{out}{err}"));
    let value = [("exit".into(), exit.into()), ("stdout".into(), out.into()), ("stderr".into(), err.into())];
    Ok(Output::new(Value::map(value), started))
}

/// As a shell says it: 128 and the number of the signal for who was ended by one.
fn code(status: ExitStatus) -> i64 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + i64::from(signal);
    }
    status.code().map_or(-1, i64::from)
}

/// What came so far; kept even if the reading is given up.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    cut: bool,
}

impl Stream {
    async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut block = vec![0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut block).await {
            let room = (LARGEST - self.bytes.len()).min(n);
            self.bytes.extend_from_slice(&block[..room]);
            self.cut |= room < n;
        }
    }

    fn text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}
