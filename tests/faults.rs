//! The runner's own relay, as a plan sees it: the binary performs plans against a server behind a relay that an environment describes.
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output},
    thread,
};

/// Answers every request with 4,000 bytes.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                while let Some(Ok(_)) = lines.next() {
                    // to the end of the head; there is no body
                    while lines.next().and_then(Result::ok).is_some_and(|l| !l.is_empty()) {}
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n{}", "x".repeat(4000));
                    if (&stream).write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An address where nobody listens.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
}

/// Runs `cases` in an environment with one relay and five faults on it.
fn run(folder: &Path, cases: &str, more: &str) -> Output {
    let (upstream, listen) = (server(), free());
    let relay = format!("listen: \"{listen}\", upstream: \"{upstream}\"");
    let environment = format!(
        "environments:\n  here:\n    targets: {{ api: {{ http: \"http://{listen}\" }} }}\n    faults:\n      \
         down: {{ relay: {{ {relay} }} }}\n      slow: {{ relay: {{ {relay}, delay: 300ms }} }}\n      \
         resetting: {{ relay: {{ {relay}, reset: true }} }}\n      silent: {{ relay: {{ {relay}, swallow: true }} }}\n      \
         narrow: {{ relay: {{ {relay}, throttle: 4000 }} }}\n{more}"
    );
    let plan = format!("plan: behind-a-relay\nenvironment: here\ncases:\n{cases}");
    fs::write(folder.join("tp-runner.yaml"), environment).expect("a file");
    fs::write(folder.join("plan.yaml"), plan).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_tp-runner"))
        .args(["run", "plan.yaml"])
        .current_dir(folder)
        .output()
        .expect("the binary starts")
}

/// A case that asks once before, once while and once after the fault is in force.
fn case(fault: &str, check: &str) -> String {
    // the first request after a cut may go out on a connection that the cut has killed, and meets no refusal
    let (asked, met) = if fault == "down" { ("[1, 2]", "healed.refused >= 1") } else { ("[1]", "healed.refused == 1") };
    format!(
        r#"  - id: {fault}
    tier: must
    preconditions:
      - given: It answers
        do:
          - http: {{ request: GET / }}
            expect: {{ status: 200 }}
    steps:
      - step: Ask while the link is broken
        do:
          - fault: {{ break: {fault} }}
          - http: {{ request: GET / }}
            foreach: {asked}
            timeout: 5s
            as: during
          - fault: {{ heal: {fault} }}
            as: healed
      - step: Ask again
        do:
          - http: {{ request: GET / }}
            as: after
    expected:
      - result: It shows
        check: {check}
      - result: One connection met it
        check: {met}
      - result: It is well again
        check: after.status == 200 && size(after.text) == 4000
"#
    )
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

#[test]
fn each_kind_of_fault_shows_is_counted_and_heals() {
    let folder = tempfile::tempdir().expect("a folder");
    // not before: what is later than asked for is the machine's business
    let cases = [
        case("slow", r#"during[0].status == 200 && during[0].took >= duration("600ms")"#),
        case(
            "narrow",
            r#"during[0].status == 200 && size(during[0].text) == 4000 && during[0].took >= duration("1s")"#,
        ),
        case("down", "'!during[0].answered && !during[1].answered'"),
        case("resetting", "'!during[0].answered'"),
        case("silent", r#"'!during[0].answered && during[0].took >= duration("5s")'"#),
    ];
    let ran = run(folder.path(), &cases.concat(), "");
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    assert!(said(&ran).contains("must 5/5"), "{}", said(&ran));
}

#[test]
fn a_fault_that_nothing_met_proves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let idle = "  - id: idle\n    tier: must\n    steps:\n      - step: Ask nobody\n        do:\n          - fault: { break: slow }\n          \
                - fault: { heal: slow }\n    expected:\n      - result: It is as it is\n        check: 1 == 1\n";
    // the case before met the same fault on the same relay: that does not count for this one
    let ran = run(folder.path(), &format!("{}{idle}", case("slow", "during[0].status == 200")), "");
    assert_eq!(ran.status.code(), Some(3), "{}", said(&ran));
    assert!(said(&ran).contains("the fault proved nothing"), "{}", said(&ran));
    assert!(said(&ran).contains("must 1/2"), "{}", said(&ran));
}

#[test]
fn faults_on_one_relay_lead_to_one_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, there, elsewhere) = (free(), free(), free());
    let more = format!(
        "      first: {{ relay: {{ listen: \"{listen}\", upstream: \"{there}\" }} }}\n      \
         second: {{ relay: {{ listen: \"{listen}\", upstream: \"{elsewhere}\", reset: true }} }}\n"
    );
    let ran = run(folder.path(), &case("down", "'!during[0].answered && !during[1].answered'"), &more);
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert!(said(&ran).contains("the faults `first` and `second` share the relay"), "{}", said(&ran));
}
