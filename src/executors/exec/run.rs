//! Runs one program and collects its output. When it ends, or when the action is dropped, its whole process group is
//! killed.
use crate::{
    event::EvidenceKind,
    executor::{
        ActionContext, ActionError, Output, Started,
        limits::{cut_escaped, size},
    },
    executors::{child_environment, process_group::ProcessGroup, processing::process, received_secrets},
    shell::shell_word,
    value::Value,
};
use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// How long to read on after the program has ended, if a process that left its group keeps a stream open.
const STREAM_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A command with all placeholders evaluated.
pub(super) struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    pub stdin: Option<String>,
    pub env: Vec<(String, String)>,
    /// How many bytes of each output stream are kept; the rest is discarded.
    pub limit: usize,
    /// A program of a plan inherits only the variables that most programs need.
    pub of_plan: bool,
}

impl Command {
    /// The command line that does the same in a shell.
    fn shell_line(&self) -> String {
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

pub(super) async fn run(cx: &ActionContext<'_>, command: &Command) -> Result<Output, ActionError> {
    let started = Started::now();
    let Some((program, arguments)) = command.words.split_first().filter(|(p, _)| !p.is_empty()) else {
        return Err(ActionError::Invalid("expected a program in `run`, found an empty string".into()));
    };
    let line = command.shell_line();
    cx.note(EvidenceKind::Request, line.as_str());
    cx.note(EvidenceKind::Reproduce, line);
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound if !cx.run.dir.is_dir() => {
            ActionError::Unreachable(format!("cannot run `{program}`: no such folder `{}`", cx.run.dir.display()))
        }
        io::ErrorKind::NotFound => {
            ActionError::Unreachable(format!("no such program `{program}`: is it installed, and in PATH?"))
        }
        _ => ActionError::Unreachable(format!("cannot run `{program}`: {e}")),
    };
    let mut program_command = ProcessGroup::command(program, arguments, &cx.run.dir).map_err(failed)?;
    if command.of_plan {
        child_environment::keep_common(&mut program_command);
    }
    program_command.envs(command.env.iter().map(|(k, v)| (k, v)));
    program_command.stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    program_command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = ProcessGroup::spawn(&mut program_command).map_err(failed)?;
    cx.mark_sent();
    let (stdin, stdout, stderr) = (group.leader.stdin.take(), group.leader.stdout.take(), group.leader.stderr.take());
    let write_stdin = async {
        if let (Some(mut pipe), Some(text)) = (stdin, &command.stdin) {
            // An error is ignored: the program need not read all of its input.
            let _ = pipe.write_all(text.as_bytes()).await;
        }
    };
    let (mut out, mut err) = (Stream::new(command.limit), Stream::new(command.limit));
    let status = {
        let streams = async { tokio::join!(write_stdin, out.read(stdout), err.read(stderr)) };
        tokio::pin!(streams);
        tokio::select! {
            status = group.leader.wait() => {
                // Its child processes could keep the streams open.
                group.kill();
                let _ = tokio::time::timeout(STREAM_CLOSE_TIMEOUT, &mut streams).await;
                status
            }
            _ = &mut streams => group.leader.wait().await,
        }
    };
    let status = status.map_err(failed)?;
    group.kill();
    if out.truncated || err.truncated {
        cx.note(EvidenceKind::Note, cut(command.limit));
    }
    let exit = exit_code(status);
    let convert = |stream: Stream| {
        process(cx, stream.bytes.len(), move || {
            let (missing, limit, mut text) = (stream.missing(), stream.limit, stream.into_text());
            let escaped = cut_escaped(&mut text, limit);
            let missing = missing.or(escaped);
            let secrets = received_secrets::find_in_body(&Value::Null, &text);
            (text, missing, secrets)
        })
    };
    let (out, out_missing, out_secrets) = convert(out).await;
    let (err, err_missing, err_secrets) = convert(err).await;
    [out_secrets, err_secrets].into_iter().for_each(|secrets| secrets.add_to(cx));
    cx.note(EvidenceKind::Response, format!("{status}\n{out}{err}"));
    let readable = |mut text: String, missing: Option<String>| match missing {
        None => Value::from(text),
        Some(reason) => {
            cx.secrets.trim_cut(&mut text);
            Value::partial(text.into(), reason)
        }
    };
    let out = match out.is_empty() && !err.is_empty() {
        true => Value::partial("".into(), "the program wrote only to stderr"),
        false => readable(out, out_missing),
    };
    let value = [("exit".into(), exit.into()), ("stdout".into(), out), ("stderr".into(), readable(err, err_missing))];
    Ok(Output::new(Value::map(value), started))
}

/// The exit status as in a shell: 128 plus the signal number for a program that a signal ended.
fn exit_code(status: ExitStatus) -> i64 {
    status.code().or(status.signal().map(|signal| 128 + signal)).map_or(-1, i64::from)
}

/// The output read so far, kept if reading is abandoned.
struct Stream {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

fn cut(limit: usize) -> String {
    format!("the output was cut at {} (`limit`)", size(limit))
}

impl Stream {
    fn new(limit: usize) -> Stream {
        Stream { bytes: vec![], limit, truncated: false }
    }

    async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut block = vec![0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut block).await {
            let room = (self.limit - self.bytes.len()).min(n);
            self.bytes.extend_from_slice(&block[..room]);
            self.truncated |= room < n;
        }
    }

    /// Why the text is not what was printed.
    fn missing(&self) -> Option<String> {
        match self.truncated {
            true => Some(cut(self.limit)),
            false => std::str::from_utf8(&self.bytes).err().map(|_| "the output has bytes that are not UTF-8".into()),
        }
    }

    fn into_text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}
