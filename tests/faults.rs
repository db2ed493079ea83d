//! The faults of the runner's own relay: runs plans against a server behind a relay that the environment defines.
mod support;

use std::{fs, path::Path};
use support::{RunOutput, run_in, server, unused_address};

/// Runs `cases` in an environment with one relay and five faults on it.
fn run(folder: &Path, cases: &str, more: &str) -> RunOutput {
    let (upstream, listen) = (server(), unused_address());
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
    run_in(folder, &["run", "plan.yaml"])
}

/// A case with requests before, during and after the fault.
fn case(fault: &str, check: &str) -> String {
    // the first request after a cut may use a connection that the cut has reset, which does not count as refused
    let (requests, affected) =
        if fault == "down" { ("[1, 2]", "healed.refused >= 1") } else { ("[1]", "healed.refused == 1") };
    format!(
        r#"  - id: {fault}
    tier: must
    preconditions:
      - given: The server responds
        do:
          - http: {{ request: GET / }}
            expect: {{ status: 200 }}
    steps:
      - step: Send requests during the fault
        do:
          - fault: {{ break: {fault} }}
          - http: {{ request: GET / }}
            foreach: {requests}
            timeout: 5s
            as: during
          - fault: {{ heal: {fault} }}
            as: healed
      - step: Send a request after the fault
        do:
          - http: {{ request: GET / }}
            as: after
    expected:
      - result: The fault has an effect
        check: {check}
      - result: One connection is affected
        check: {affected}
      - result: The server responds again
        check: after.status == 200 && size(after.text) == 4000
"#
    )
}

#[test]
fn every_fault_mode_has_an_effect_is_counted_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    // lower bounds only: a busy machine may be slower
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
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    assert!(ran.text().contains("all 5 deciding cases passed"), "{}", ran.text());
}

#[test]
fn fault_without_connections_is_inconclusive() {
    let folder = tempfile::tempdir().expect("a folder");
    let idle = "  - id: idle\n    tier: must\n    steps:\n      - step: Send no request\n        do:\n          - fault: { break: slow }\n          \
                - fault: { heal: slow }\n    expected:\n      - result: Nothing changes\n        check: run.id != ''\n";
    // connections of the previous case do not count
    let ran = run(folder.path(), &format!("{}{idle}", case("slow", "during[0].status == 200")), "");
    assert_eq!(ran.code, Some(3), "{}", ran.text());
    assert!(ran.text().contains("no connection was attempted while the fault `slow` was active"), "{}", ran.text());
    assert!(ran.text().contains("1 of 2 deciding cases passed"), "{}", ran.text());
}

#[test]
fn faults_of_one_relay_need_the_same_upstream() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, upstream, other) = (unused_address(), unused_address(), unused_address());
    let more = format!(
        "      first: {{ relay: {{ listen: \"{listen}\", upstream: \"{upstream}\" }} }}\n      \
         second: {{ relay: {{ listen: \"{listen}\", upstream: \"{other}\", reset: true }} }}\n"
    );
    let ran = run(folder.path(), &case("down", "'!during[0].answered && !during[1].answered'"), &more);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(ran.text().contains("the faults `first` and `second` share the relay"), "{}", ran.text());
}
