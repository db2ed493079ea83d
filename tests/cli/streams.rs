//! Every command with every kind of stdout and stderr that cannot be written: the exit code is that of the same command
//! with good streams.
use crate::runner::Fixture;
use std::{
    io::{ErrorKind, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
    time::Duration,
};

const COMMANDS: &[&[&str]] = &[
    &["run", "small.yaml"],
    &["run", "failing.yaml"],
    &["run", "failing.yaml", "--verbose"],
    &["run", "small.yaml", "--dry-run"],
    &["run", "small.yaml", "--case", "X"],
    &["run", "small.yaml", "--defect", "help"],
    &["check", "small.yaml", "broken.yaml"],
    &["list", "small.yaml"],
    &["doctor", "small.yaml"],
    &["doctor", "small.yaml", "--env", "unreachable"],
    &["prove", "failing.yaml", "--env", "here"],
    &["report", "journal.jsonl"],
    &["sandbox", "--listen", "nowhere"],
    &["--help"],
    &["--version"],
    &["perform"],
];

fn code_of(command: &mut Command) -> Option<i32> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
}

#[test]
fn unwritable_streams_do_not_change_the_exit_code() {
    for args in COMMANDS {
        let fixture = Fixture::new();
        let expected = code_of(&mut fixture.command(args));
        for streams in [
            ">/dev/full",
            "2>/dev/full",
            ">/dev/full 2>&1",
            ">&-",
            "2>&-",
            ">&- 2>&- <&-",
            ">/dev/full 2>&-",
            ">&- 2>/dev/full",
        ] {
            let program = fixture.command(args);
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec \"$0\" \"$@\" {streams}")]).arg(program.get_program()).args(*args);
            shell.current_dir(program.get_current_dir().unwrap());
            assert_eq!(code_of(&mut shell), expected, "{args:?} {streams}");
        }
        for (stdout, stderr) in [(true, false), (false, true), (true, true)] {
            let stream = |broken: bool| if broken { Stdio::piped() } else { Stdio::null() };
            let mut child = fixture.command(args).stdout(stream(stdout)).stderr(stream(stderr)).spawn().unwrap();
            drop((child.stdout.take(), child.stderr.take()));
            assert_eq!(child.wait().unwrap().code(), expected, "{args:?} without a reader: {stdout} {stderr}");
        }
    }
}

/// The streams are non-blocking and full until the reader starts to read.
#[test]
fn busy_streams_get_all_of_the_output() {
    for args in COMMANDS {
        let fixture = Fixture::new();
        let expected = fixture.command(args).output().unwrap();
        let (mut stream, mut reader) = UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut filling = 0;
        loop {
            match stream.write(&[b'.'; 512]) {
                Ok(n) => filling += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("{e}"),
            }
        }
        let stdout = Stdio::from(OwnedFd::from(stream.try_clone().unwrap()));
        let mut child = fixture.command(args).stdout(stdout).stderr(OwnedFd::from(stream)).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(child.wait().unwrap().code(), expected.status.code(), "{args:?}");
        let count = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
        let lines = count(&expected.stdout) + count(&expected.stderr);
        assert_eq!(count(&read[filling..]), lines, "{args:?}: {}", String::from_utf8_lossy(&read[filling..]));
    }
}

#[test]
fn report_says_that_stdout_is_full() {
    let fixture = Fixture::new();
    fixture.command(&["run", "small.yaml", "--quiet"]).output().unwrap();
    let run = fixture.run_id();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = fixture.command(&["report", &run]).stdout(full).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), message.starts_with("error: cannot write `stdout`")),
        (Some(5), true),
        "{message}"
    );
    let mut child = fixture.command(&["report", &run]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0), "the reader has read enough");
}

/// A CI server executes commands that it finds in a log.
#[test]
fn texts_of_the_product_are_no_commands_in_a_log() {
    const COMMANDS: [&str; 4] = ["::error::owned", "##[command]owned", "##vso[task.complete]owned", "\u{1b}[2Jowned"];
    let fixture = Fixture::new();
    let line = COMMANDS.join("\\n").replace('\u{1b}', "\\033");
    let printf = |last: &str| format!("exec: {{ run: [printf, '{line}\\n'] }}{last}");
    let plan = format!(
        "plan: H\ncases:\n  - id: A\n    tier: must\n    expected:\n      - result: '::error::owned ##[group]'\n        do:\n          \
         - {}\n            expect: {{ stdout: x }}\n      - result: r\n        do:\n          - {}\n            expect: {{ exit: 1 }}\n",
        printf(""),
        printf("")
    );
    std::fs::write(fixture.path().join("hostile.yaml"), plan).unwrap();
    let run = fixture.command(&["run", "hostile.yaml", "--env", "here", "--verbose"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", String::from_utf8_lossy(&run.stderr));
    let report = fixture.command(&["report", &fixture.run_id()]).output().unwrap();
    let list = fixture.command(&["run", "hostile.yaml", "--env", "here", "--dry-run"]).output().unwrap();
    for printed in [&run.stdout, &run.stderr, &report.stdout, &list.stdout] {
        let text = String::from_utf8_lossy(printed);
        assert!(text.contains("owned") || text.contains("error"), "{text}");
        for line in text.lines() {
            assert!(!line.trim_start().starts_with("::"), "{text}");
        }
        assert!(!text.contains("##[") && !text.contains("##vso[") && !text.contains("\u{1b}[2J"), "{text}");
    }
    let recorded = fixture.path().join(".tp-runner/runs").join(fixture.run_id()).join("events.jsonl");
    let recorded = tp_runner::journal::lines::read(&recorded).unwrap().events;
    let outputs = recorded.iter().filter_map(|event| event.kind.attempt()?.value.as_ref()?.get("stdout")?.as_str());
    let outputs: Vec<&str> = outputs.collect();
    assert!(outputs[0].contains("::error::owned\n##[command]owned\n##vso[task.complete]owned"), "{outputs:?}");
}
