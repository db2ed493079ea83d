use super::Logs;
use crate::{
    event::EvidenceKind,
    executor::{ActionError, Output},
    expr::Scope,
    testing::{Harness, action, body_problems, process_ends, target_problems},
    value::Value,
};
use std::{
    fs::OpenOptions,
    io::Write,
    time::{Duration, Instant},
};

/// The texts of the lines, and the reason why lines may be missing.
fn observed(out: &Output) -> (Vec<String>, Option<String>) {
    let (lines, reason) = match out.value.get("lines").unwrap() {
        Value::Partial(partial) => (&partial.value, Some(partial.reason.to_string())),
        lines => (lines, None),
    };
    (lines.as_list().unwrap().iter().map(|l| l.get("text").unwrap().to_string()).collect(), reason)
}

/// The texts of the lines, which are complete.
#[track_caller]
fn texts(out: &Output) -> Vec<String> {
    let (texts, reason) = observed(out);
    assert_eq!(reason, None);
    texts
}

/// The texts of the lines, which are partial for a reason with `word`.
#[track_caller]
fn partial(out: &Output, word: &str) -> Vec<String> {
    let (texts, reason) = observed(out);
    let reason = reason.expect("lines are complete");
    assert!(reason.contains(word), "{reason}");
    texts
}

async fn perform(harness: &Harness, body: &str) -> Result<Output, ActionError> {
    action(&Logs, body).perform(&harness.context()).await
}

#[test]
fn refuses_invalid_bodies_and_targets_with_their_location() {
    let first = |text: &str| body_problems(&Logs, text).into_iter().next().unwrap();
    assert_eq!(first("all").0, "wrong-type");
    assert_eq!(first("{ sicne: x }"), ("unknown-key", "sicne".into()));
    assert_eq!(first("{ since: yesterday }"), ("invalid-time", "yesterday".into()));
    assert_eq!(first("{ tail: 0 }"), ("wrong-type", "0".into()));
    assert_eq!(first("{ tail: many }"), ("wrong-type", "many".into()));
    let first = |text: &str| target_problems(&Logs, text).into_iter().next().unwrap();
    assert_eq!(first("logs: /var/log/x").0, "wrong-type");
    assert_eq!(first("logs: { fiel: x }"), ("unknown-key", "fiel".into()));
    assert_eq!(first("logs: { file: x, command: [y] }").0, "invalid-log-source");
    assert_eq!(first("logs: {}").0, "invalid-log-source");
    assert_eq!(first("logs: { command: tail x }"), ("wrong-type", "tail x".into()));
    assert_eq!(first("logs: { command: [] }").0, "wrong-type");
    assert_eq!(first("logs: { k8s: web }"), ("wrong-type", "web".into()));
    assert_eq!(first("logs: { k8s: deploy/web }"), ("wrong-type", "deploy/web".into()));
    assert_eq!(first("logs: { k8s: app=web, previous: maybe }"), ("wrong-type", "maybe".into()));
    assert_eq!(first("logs: { file: x, time: '%Q%' }"), ("invalid-time", "'%Q%'".into()));
    assert_eq!(first("logs: { file: x, time: '%H:%M:%S' }").0, "invalid-time");
    assert_eq!(first("logs: { command: [x], zone: Berlin }"), ("invalid-time", "Berlin".into()));
    assert_eq!(first("logs: { k8s: app=web, time: '%s' }"), ("unknown-key", "time".into()));
    assert_eq!(first("logs: { k8s: app=web, file: x }"), ("unknown-key", "file".into()));
    assert_eq!(first("{ logs: { file: x }, since: y }"), ("unknown-key", "since".into()));
}

#[tokio::test]
async fn reads_a_file_since_a_time_and_from_its_end() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.log"), "2026-01-02T03:04:05Z one\nmore\n2026-01-02T03:04:07Z two\n").unwrap();
    let mut s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log }").await.unwrap();
    s.scope = Scope::default().with("t", Value::Time("2026-01-02T03:04:06Z".parse().unwrap())).with("n", 1i64);
    assert_eq!(texts(&perform(&s, "{}").await.unwrap()).len(), 3);
    let since = perform(&s, "{ since: '${t}' }").await.unwrap();
    assert_eq!(texts(&since), ["more", "2026-01-02T03:04:07Z two"], "`more` may have been written later");
    assert_eq!(
        since.value.get("lines").unwrap().at(1).unwrap().get("at"),
        Some(&Value::Time("2026-01-02T03:04:07Z".parse().unwrap()))
    );
    assert_eq!(texts(&perform(&s, "{ since: '2026-01-02T03:04:06Z' }").await.unwrap()).len(), 2);
    assert_eq!(texts(&perform(&s, "{ tail: 2 }").await.unwrap()), ["more", "2026-01-02T03:04:07Z two"]);
    assert_eq!(texts(&perform(&s, "{ tail: '${n}' }").await.unwrap()).len(), 1);
    assert!(s.evidence(EvidenceKind::Reproduce).last().unwrap().starts_with("tail -n 1 /"));
    assert!(matches!(perform(&s, "{ since: '${n}' }").await, Err(ActionError::Invalid(_))));
    assert!(matches!(perform(&s, "{ tail: '${t}' }").await, Err(ActionError::Invalid(_))));
}

#[tokio::test]
async fn next_observation_comes_when_the_file_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    std::fs::write(&path, "one\n").unwrap();
    let s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log }").await.unwrap();
    let (action, cx, long) = (action(&Logs, "{}"), s.context(), Duration::from_secs(30));
    let first = action.perform(&cx).await.unwrap();
    let append = |text: &str| OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    append("two\n");
    let began = Instant::now();
    let second = action.next(&cx, &first, long).await.unwrap();
    assert_eq!(texts(&second), ["one", "two"]);
    let (third, ()) = tokio::join!(action.next(&cx, &second, long), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        append("three\n");
    });
    assert_eq!(texts(&third.unwrap()).len(), 3);
    assert!(began.elapsed() < Duration::from_secs(5));
    let last = action.perform(&cx).await.unwrap();
    let began = Instant::now();
    action.next(&cx, &last, Duration::from_millis(120)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(120));
    std::fs::remove_file(&path).unwrap();
    let gone = action.next(&cx, &last, long).await.unwrap();
    assert_eq!(partial(&gone, "renamed or deleted"), ["one", "two", "three"]);
    let e = action.perform(&cx).await.err().unwrap();
    assert!(matches!(&e, ActionError::Unreachable(m) if m.starts_with("log file `")), "{e}");
}

/// How a file can be rotated or damaged between two attempts, from `one`, and what is observed then.
#[tokio::test]
async fn no_line_is_missed_by_a_rotation_or_lines_are_partial() {
    const EMPTIED: Option<&str> = Some("emptied");
    let script: &[(&str, &str, &[&str], Option<&str>)] = &[
        ("create", "echo two >> a; mv a a.1; echo three > a", &["one", "two", "three"], None),
        ("create, written late", "mv a b; echo three > a; echo two >> b", &["one", "two", "three"], None),
        ("create, still empty", "echo two >> a; mv a a.1; : > a", &["one", "two"], None),
        ("create after a moment", "mv a a.1; (sleep 0.2; echo two > a) &", &["one", "two"], None),
        ("create by name of a day", "mv a a-20260102; echo two > a", &["one", "two"], None),
        ("link", "mv a a.1; echo two > c; ln -s c a", &["one", "two"], None),
        ("create twice", "mv a a.2; echo two > a; mv a a.1; echo three > a", &["one", "three"], Some("`a.1`")),
        ("create, half a line", "printf tw >> a; mv a a.1; echo three > a", &["one", "three"], Some("no line ending")),
        ("copytruncate", "echo two >> a; cp a a.1; : > a", &["one"], EMPTIED),
        ("copytruncate, shorter", ": > a; echo x >> a", &["one", "x"], EMPTIED),
        ("copytruncate, as long", ": > a; echo two >> a", &["one", "two"], EMPTIED),
        ("copytruncate, longer", ": > a; echo three >> a", &["one", "three"], EMPTIED),
        ("copytruncate, equal", "sleep 0.02; : > a; echo one >> a", &["one"], EMPTIED),
        ("a writer that keeps its place", "truncate -s 0 a; truncate -s 4 a; echo two >> a", &["one", "two"], EMPTIED),
        ("removed", "rm a", &["one"], Some("renamed or deleted")),
    ];
    for (name, commands, expected, reason) in script {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "one\n").unwrap();
        let s = Harness::new(&Logs, dir.path()).open("logs: { file: a }").await.unwrap();
        let (action, cx, pace) = (action(&Logs, "{}"), s.context(), Duration::from_millis(200));
        let first = action.perform(&cx).await.unwrap();
        assert_eq!(texts(&first), ["one"]);
        let status = std::process::Command::new("sh").args(["-c", commands]).current_dir(dir.path()).status();
        assert!(status.unwrap().success(), "{name}");
        let second = action.next(&cx, &first, pace).await.unwrap();
        let third = action.next(&cx, &second, pace).await.unwrap();
        for out in [&second, &third] {
            let (lines, found) = observed(out);
            assert_eq!(lines, *expected, "{name}: {found:?}");
            assert_eq!(found.is_some(), reason.is_some(), "{name}: {found:?}");
            assert!(found.is_none_or(|f| f.contains(reason.unwrap())), "{name}");
        }
    }
}

#[tokio::test]
async fn a_line_that_is_being_written_is_not_a_line_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    std::fs::write(&path, "one\nstate=ready").unwrap();
    let s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log }").await.unwrap();
    let append = |text: &str| OpenOptions::new().append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    let first = perform(&s, "{}").await.unwrap();
    assert_eq!(partial(&first, "no line ending"), ["one"]);
    let (second, ()) = tokio::join!(perform(&s, "{}"), async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        append("-not\n");
    });
    assert_eq!(texts(&second.unwrap()), ["one", "state=ready-not"], "the end of a line is awaited for a moment");
    let s = Harness::new(&Logs, dir.path()).open("logs: { command: [printf, 'one\\ntwo'] }").await.unwrap();
    assert_eq!(texts(&perform(&s, "{}").await.unwrap()), ["one", "two"], "a program that ended writes no more");
}

#[tokio::test]
async fn an_incomplete_log_is_partial() {
    let utf16 = |big: bool, text: &str| -> Vec<u8> {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let log = "2026-01-02T03:04:05Z café\n";
    let files: &[(&str, Vec<u8>, &str, Option<&str>)] = &[
        ("utf-8", log.into(), "{}", None),
        ("utf-8 with a mark", [b"\xef\xbb\xbf", log.as_bytes()].concat(), "{}", None),
        ("utf-16", utf16(false, log), "{}", None),
        ("utf-16, tail", utf16(false, log), "{ tail: 1 }", None),
        ("utf-16, big endian", utf16(true, log), "{}", None),
        ("utf-16, half a unit", [utf16(true, log), vec![0]].concat(), "{}", Some("no line ending")),
        ("utf-16, half a pair", [utf16(false, log), b"\x00\xd8\x0a\x00".to_vec()].concat(), "{}", Some("UTF-16")),
        ("utf-16 without a mark", utf16(false, log)[2..].to_vec(), "{}", Some("zero bytes")),
        ("latin-1", [log.as_bytes(), b"caf\xe9\n"].concat(), "{}", Some("line 2 is not valid UTF-8")),
        ("empty", vec![], "{}", Some("the log is empty")),
        ("only a mark", b"\xef\xbb\xbf".to_vec(), "{}", Some("the log is empty")),
        ("empty in the window", log.into(), "{ since: '2999-01-01T00:00:00Z' }", Some("no line since 2999-")),
        ("empty and since", vec![], "{ since: '2999-01-01T00:00:00Z' }", Some("no line since 2999-")),
    ];
    for (name, bytes, body, reason) in files {
        std::fs::write(dir.path().join("a.log"), bytes).unwrap();
        let s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log }").await.unwrap();
        let (lines, found) = observed(&perform(&s, body).await.unwrap());
        assert_eq!(found.is_some(), reason.is_some(), "{name}: {found:?}");
        assert!(found.clone().is_none_or(|f| f.contains(reason.unwrap())), "{name}: {found:?}");
        let is_read = !name.contains("empty") && !name.contains("only") && !name.contains("without a mark");
        assert!(!is_read || lines[0] == log.trim(), "{name}: {lines:?}");
    }
    for (command, reason) in [
        ("echo no panic here >&2", "wrote only to its standard error: no panic here"),
        ("true", "the log is empty"),
        ("printf 'a\\377\\n'", "line 1 is not valid UTF-8"),
    ] {
        let target = format!("logs: {{ command: [sh, -c, \"{}\"] }}", command.replace('\\', "\\\\"));
        let s = Harness::new(&Logs, dir.path()).open(&target).await.unwrap();
        partial(&perform(&s, "{}").await.unwrap(), reason);
    }
    let s = Harness::new(&Logs, dir.path()).open("logs: { command: [sh, -c, 'echo a; echo b >&2'] }").await.unwrap();
    assert_eq!(texts(&perform(&s, "{}").await.unwrap()), ["a"]);
}

#[tokio::test]
async fn since_is_partial_if_the_log_was_rotated_after_that_time() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log }").await.unwrap();
    write("a.log", "2026-01-02T03:04:05Z new\n");
    write("a.log.pid", "not a log");
    let since = "{ since: '2026-01-02T03:00:00Z' }";
    assert_eq!(texts(&perform(&s, since).await.unwrap()), ["2026-01-02T03:04:05Z new"]);
    write("a.log.1", "2026-01-02T03:03:00Z panicked\n");
    assert_eq!(partial(&perform(&s, since).await.unwrap(), "`a.log.1`"), ["2026-01-02T03:04:05Z new"]);
    texts(&perform(&s, "{}").await.unwrap());
    write("a.log", "2026-01-02T02:00:00Z old\n2026-01-02T03:04:05Z new\n");
    assert_eq!(texts(&perform(&s, since).await.unwrap()), ["2026-01-02T03:04:05Z new"], "the log reaches back");
}

#[tokio::test]
async fn target_names_format_and_zone_of_times() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.log"), "am 02.01.2026 um 03:04:05 Uhr: eins\n").unwrap();
    let s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log }").await.unwrap();
    let e = perform(&s, "{ since: '2026-01-02T02:00:00Z' }").await.err().unwrap().to_string();
    assert!(e.starts_with("`since` needs times") && e.ends_with("with `time` in its target"), "{e}");
    let target = "logs: { file: a.log, time: 'am %d.%m.%Y um %H:%M:%S', zone: Europe/Berlin }";
    let s = Harness::new(&Logs, dir.path()).open(target).await.unwrap();
    let out = perform(&s, "{ since: '2026-01-02T02:04:05Z' }").await.unwrap();
    let at = out.value.get("lines").unwrap().at(0).unwrap().get("at").unwrap().to_string();
    assert_eq!(at, "2026-01-02T02:04:05Z");
    partial(&perform(&s, "{ since: '2026-01-02T02:04:06Z' }").await.unwrap(), "no line since");
}

#[tokio::test]
async fn reads_the_output_of_a_program() {
    let s = Harness::new(&Logs, std::env::temp_dir()).open("logs: { command: [printf, 'a\\nb c\\n'] }").await.unwrap();
    let out = perform(&s, "{}").await.unwrap();
    assert_eq!(texts(&out), ["a", "b c"]);
    assert_eq!(s.evidence(EvidenceKind::Reproduce)[0], "printf 'a\\nb c\\n'");
    let began = Instant::now();
    action(&Logs, "{}").next(&s.context(), &out, Duration::from_millis(60)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(60));
    let fails = async |target: &str| {
        let s = Harness::new(&Logs, std::env::temp_dir()).open(target).await.unwrap();
        match perform(&s, "{}").await {
            Err(ActionError::Unreachable(m)) => m,
            _ => panic!("expected an error for {target}"),
        }
    };
    assert!(
        fails("logs: { command: [no-such-program-anywhere] }")
            .await
            .starts_with("program `no-such-program-anywhere` not found")
    );
    assert!(
        fails("logs: { command: [sh, -c, 'echo no access >&2; exit 3'] }").await.ends_with("exit status: 3: no access")
    );
    assert!(fails("logs: { file: no/such.log }").await.contains("no/such.log"));
    assert!(fails("logs: { file: . }").await.starts_with("cannot read log file"));
}

#[tokio::test]
async fn child_processes_of_a_program_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let target = "logs: { command: [sh, -c, 'sleep 60 & echo $! > child; wait'] }";
    let s = Harness::new(&Logs, dir.path()).open(target).await.unwrap();
    let read = perform(&s, "{}");
    assert!(tokio::time::timeout(Duration::from_millis(300), read).await.is_err());
    assert!(process_ends(&dir.path().join("child")).await);
}

#[tokio::test]
async fn a_program_that_never_stops_is_cut_at_the_limit() {
    let s =
        Harness::new(&Logs, std::env::temp_dir()).open("logs: { command: [yes, line], limit: 1 MiB }").await.unwrap();
    let lines =
        partial(&perform(&s, "{}").await.unwrap(), "the log is longer than 1 MiB (`limit`): the rest was not read");
    assert!(lines.len() > 40_000 && lines.iter().all(|l| l == "line"), "{}", lines.len());
    let s = Harness::new(&Logs, std::env::temp_dir()).open("logs: { command: [yes] }").await.unwrap();
    let lines = partial(&perform(&s, "{}").await.unwrap(), "the log is longer than 8 MiB");
    assert!((40_000..50_000).contains(&lines.len()), "what fits into 16 MiB of memory: {}", lines.len());
}

#[tokio::test]
async fn of_a_file_that_grows_faster_than_it_is_read_the_end_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let write = |from: usize, to: usize| {
        let text: String = (from..to).map(|i| format!("line {i:07}\n")).collect();
        OpenOptions::new().create(true).append(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    write(0, 10);
    let s = Harness::new(&Logs, dir.path()).open("logs: { file: a.log, limit: 130 KiB }").await.unwrap();
    let (action, cx, long) = (action(&Logs, "{}"), s.context(), Duration::from_secs(30));
    let first = action.perform(&cx).await.unwrap();
    write(10, 100_000);
    let second = action.next(&cx, &first, long).await.unwrap();
    let lines = partial(&second, "the log is longer than 130 KiB");
    assert_eq!(lines.last().unwrap(), "line 0099999");
    assert!((9_000..10_300).contains(&lines.len()), "{}", lines.len());
}
