use super::Exec;
use crate::{
    event::EvidenceKind,
    executor::{ActionError, Executor, Output},
    expr::Scope,
    testing::{Harness, SPELLINGS, action, body_problems, process_ends, target_problems},
    value::Value,
};
use std::time::{Duration, Instant};

fn harness() -> Harness {
    let mut s = Harness::new(&Exec, std::env::temp_dir());
    s.scope = Scope::default()
        .with("tricky", "it's $HOME; `x`\n")
        .with("list", Value::list(vec!["b c".into(), 2i64.into()]))
        .with("nothing", Value::Null);
    s
}

/// Exit status, stdout and stderr.
fn parts(out: &Output) -> (i64, String, String) {
    let field = |f: &str| out.value.get(f).unwrap().clone();
    (field("exit").as_i64().unwrap(), field("stdout").to_string(), field("stderr").to_string())
}

#[test]
fn refuses_invalid_bodies_at_their_location() {
    let problem = |text: &str| {
        let all = body_problems(&Exec, text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(problem("ls -l").0, "wrong-type");
    assert_eq!(problem("{ stdin: x }").0, "missing-key");
    assert_eq!(problem("{ run: ls -l }"), ("wrong-type", "ls -l".into()));
    assert_eq!(problem("{ run: [] }").0, "wrong-type");
    assert_eq!(problem("{ run: [ls, [a]] }").0, "wrong-type");
    assert_eq!(problem("{ run: [ls], stdni: x }"), ("unknown-key", "stdni".into()));
    assert_eq!(problem("{ run: [ls], stdin: [x] }").0, "wrong-type");
    assert_eq!(problem("{ run: [ls], env: x }").0, "wrong-type");
    assert_eq!(problem("{ run: [ls], env: { a=b: c } }"), ("invalid-variable", "a=b".into()));
    assert_eq!(target_problems(&Exec, "exec: x")[0].0, "unsupported-target");
    assert!(!Exec.needs_target() && action(&Exec, "{ run: [ls] }").changes());
    assert_eq!(action(&Exec, "{ run: [ls, '${x}'] }").summary(), "ls ${x}");
}

#[tokio::test]
async fn arguments_and_variables_are_spelled_as_written() {
    let s = harness();
    for v in SPELLINGS {
        let out = s
            .perform(&format!("{{ run: [sh, -c, 'printf \"%s %s\" \"$0\" \"$V\"', {v}], env: {{ V: {v} }} }}"))
            .await
            .unwrap();
        assert_eq!(parts(&out).1, format!("{v} {v}"));
    }
}

#[tokio::test]
async fn runs_a_program_without_a_shell() {
    let s = harness();
    let out = s.perform("{ run: [printf, '%s|', '${tricky}', '*', '${list}', 3] }").await.unwrap();
    assert_eq!(parts(&out), (0, "it's $HOME; `x`\n|*|b c|2|3|".into(), String::new()));
    assert!(s.sent());
    let out = s
        .perform(
            "{ run: [sh, -c, 'cat; printf %s \"$A\" >&2; exit 7'], stdin: 'in ${tricky}', env: { A: '${tricky}' } }",
        )
        .await
        .unwrap();
    assert_eq!(parts(&out), (7, "in it's $HOME; `x`\n".into(), "it's $HOME; `x`\n".into()));
    let out = s.perform("{ run: [sh, -c, 'kill -9 $$'] }").await.unwrap();
    assert_eq!(parts(&out).0, 137);
    assert!(matches!(s.perform("{ run: [echo, '${nothing}'] }").await, Err(ActionError::Invalid(_))));
    assert!(matches!(s.perform("{ run: [echo, \"a\\0b\"] }").await, Err(ActionError::Invalid(_))));
    assert!(matches!(s.perform("{ run: ['${\"\"}'] }").await, Err(ActionError::Invalid(_))));
    let fields = action(&Exec, "{ run: [ls] }").fields();
    assert_eq!(out.value.as_map().unwrap().keys().collect::<Vec<_>>(), fields);
}

#[tokio::test]
async fn shell_line_in_the_evidence_does_the_same() {
    let s = harness();
    let body = "{ run: [sh, -c, 'cat; printf %s \"$A\"; exit 3'], stdin: '${tricky}', env: { A: '${tricky}' } }";
    let ours = parts(&s.perform(body).await.unwrap());
    let line = s.evidence(EvidenceKind::Reproduce).pop().unwrap();
    let theirs = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
    assert_eq!((ours.0, ours.1), (3, String::from_utf8(theirs.stdout).unwrap()), "{line}");
    assert!(s.evidence(EvidenceKind::Response)[0].starts_with("exit status: 3\nit's"));
}

#[tokio::test]
async fn missing_program_or_folder_is_unreachable() {
    let s = harness();
    let e = s.perform("{ run: [no-such-program-anywhere] }").await.err().unwrap();
    assert!(
        matches!(&e, ActionError::Unreachable(m) if m.starts_with("no such program `no-such-program-anywhere`")),
        "{e}"
    );
    assert!(!s.sent());
    let nowhere = Harness::new(&Exec, "/no/such/folder");
    let e = nowhere.perform("{ run: [true] }").await.err().unwrap().to_string();
    assert!(e.contains("/no/such/folder"), "{e}");
    assert!(!action(&Exec, "{ run: [ls] }").fields().contains(&"answered"), "no response is an error");
}

#[tokio::test]
async fn large_input_and_output_does_not_block() {
    let s = harness();
    let text = "x".repeat(1 << 20);
    let mut large = harness();
    large.scope = Scope::default().with("text", text.as_str());
    let out = large.perform("{ run: [cat], stdin: '${text}' }").await.unwrap();
    assert!(parts(&out).1 == text);
    // Unread input is not an error.
    assert_eq!(parts(&large.perform("{ run: [true], stdin: '${text}' }").await.unwrap()).0, 0);
    let out = s.perform("{ run: [sh, -c, 'yes | head -c 40000000'] }").await.unwrap();
    assert_eq!(parts(&out).1.len(), 8 << 20);
    assert!(s.evidence(EvidenceKind::Note)[0].contains("8 MiB"));
    let out = s.perform("{ run: [yes], limit: 1 KiB }");
    let out = tokio::time::timeout(std::time::Duration::from_secs(1), out).await;
    assert!(out.is_err(), "the rest is discarded, and the program goes on");
    let out = s.perform("{ run: [head, -c, 5000, /dev/zero], limit: 1 KiB }").await.unwrap();
    assert_eq!(
        out.value.get("stdout").unwrap().incomplete().unwrap().as_ref(),
        "the output was cut at 1 KiB (`limit`)"
    );
}

#[tokio::test]
async fn control_characters_of_an_output_count_as_the_journal_writes_them() {
    let out = harness().perform("{ run: [head, -c, 524288, /dev/zero], limit: 1 MiB }").await.unwrap();
    let Some(Value::Partial(stdout)) = out.value.get("stdout") else { panic!("complete") };
    assert_eq!(stdout.value.as_str().map(str::len), Some((2 << 20) / 6));
    assert!(stdout.reason.starts_with("the text is longer than 2 MiB with its control characters escaped"));
}

#[tokio::test]
async fn child_processes_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let s = Harness::new(&Exec, dir.path());
    let gone = async |file: &str| process_ends(&dir.path().join(file)).await;
    // The action is dropped.
    let slow = action(&Exec, "{ run: [sh, -c, 'sleep 60 & echo $! > child; echo early; wait'] }");
    let cx = s.context();
    assert!(tokio::time::timeout(Duration::from_millis(300), slow.perform(&cx)).await.is_err());
    assert!(gone("child").await);
    assert!(s.evidence(EvidenceKind::Request)[0].contains("sleep 60"));
    // The program ends while a child process keeps its output open.
    let began = Instant::now();
    let out = s.perform("{ run: [sh, -c, 'sleep 60 & echo $! > left; echo done'] }").await.unwrap();
    assert_eq!(parts(&out), (0, "done\n".into(), String::new()));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(gone("left").await);
}

#[tokio::test]
async fn masks_cookies_and_csrf_tokens_that_a_program_prints() {
    let s = harness();
    let line = "Set-Cookie: sid=c00kie-of-a-program; Path=/\\n{\"csrf_token\": \"tok3n-of-a-program\"}";
    s.perform(&format!("{{ run: [printf, '{line}'] }}")).await.unwrap();
    assert_eq!(s.secrets.names_in("c00kie-of-a-program tok3n-of-a-program"), ["cookie sid", "csrf_token"]);
}
