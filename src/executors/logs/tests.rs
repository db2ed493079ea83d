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

fn texts(out: &Output) -> Vec<String> {
    out.value.get("lines").unwrap().as_list().unwrap().iter().map(|l| l.get("text").unwrap().to_string()).collect()
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
    assert_eq!(texts(&since), ["2026-01-02T03:04:07Z two"]);
    assert_eq!(
        since.value.get("lines").unwrap().at(0).unwrap().get("at"),
        Some(&Value::Time("2026-01-02T03:04:07Z".parse().unwrap()))
    );
    assert_eq!(texts(&perform(&s, "{ since: '2026-01-02T03:04:06Z' }").await.unwrap()).len(), 1);
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
    let e = action.next(&cx, &last, long).await.err().unwrap();
    assert!(matches!(&e, ActionError::Unreachable(m) if m.starts_with("log file `")), "{e}");
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
