//! TP-004 against the sandbox as built: every case fails in the sentences in which StreamSpace at
//! commit 583a9f9 fails, and for the same reasons. No case is errored or blocked.
mod support;

use support::{SandboxProcess, Workspace};

/// A case, its failed and unreached sentences, and some texts of its section in the report.
struct ExpectedFailure {
    case: &'static str,
    failed: &'static [&'static str],
    not_reached: &'static [&'static str],
    shown: &'static [&'static str],
}

/// The sample response of TC-INT-001 is a code block without text.
const SAMPLE: &str = "";

const TABLE: &[ExpectedFailure] = &[
    ExpectedFailure {
        case: "TC-INT-001",
        failed: &[
            "POST /api/v1/sessions/batch/hibernate with all session names",
            "Verify all sessions hibernated",
            "Check response for success/error counts",
            "Verify errors array populated for any failures",
            SAMPLE,
        ],
        not_reached: &[],
        shown: &["| `status` | `one of 200, 202` | `404` |", "| `api.body.state` | `\"hibernated\"` | `\"running\"` |"],
    },
    ExpectedFailure {
        case: "TC-INT-002",
        failed: &[
            "POST /api/v1/sessions/batch/delete with all session names",
            "Verify all sessions deleted",
            "Check response for success/error counts",
            "Verify errors reported for sessions that couldn't be deleted",
            "All deletable sessions removed",
            "Errors clearly reported",
        ],
        // nothing was deleted
        not_reached: &["No orphaned resources"],
        shown: &[
            "| `status` | `one of 200, 202` | `404` |",
            "| `api.status` | `one of 404, 410` | `200` |",
            "| `crd.found` | `false` | `true` |",
        ],
    },
    ExpectedFailure {
        case: "TC-INT-003",
        failed: &[
            "POST /api/v1/sessions/batch/wake with all session names",
            "Verify all sessions waking",
            "Wait for all to reach Running",
            "Verify errors collected for any failures",
            "All sessions wake successfully",
            "Error array includes any failures",
            "Sessions reach Running state",
        ],
        not_reached: &[],
        shown: &[
            "| `status` | `one of 200, 202` | `404` |",
            "| `object.spec.state` | `\"running\"` | `\"hibernated\"` |",
        ],
    },
    ExpectedFailure {
        case: "TC-INT-004",
        failed: &[
            "Execute batch operation",
            "Verify successful operations completed",
            "Verify failures collected in errors array",
            "Verify clear error messages",
            "Partial success (200 OK, not 4xx)",
            "succeeded + failed = total",
            "Each error has name and message",
            "Transaction handling correct",
        ],
        not_reached: &[],
        shown: &["| `batch.status == 200` | `true` | `batch.status` is `404` |"],
    },
    ExpectedFailure {
        case: "TC-INT-005",
        failed: &[
            "Create webhook for \"session.created\" event",
            "Verify webhook received event",
            "Verify retry on failure",
            "Webhook delivered within 5 seconds",
        ],
        not_reached: &[
            "Verify payload contains correct data",
            "Verify webhook signature valid",
            "Payload includes session details",
            "Signature can be verified",
            "Retries on 5xx errors",
        ],
        shown: &["| `status` | `201` | `500` |", "failed to create webhook"],
    },
    ExpectedFailure {
        case: "TC-INT-006",
        failed: &["Status updates flow back to API", "Delete cascades properly"],
        not_reached: &[],
        shown: &["| `api.status` | `one of 404, 410` | `200` |", "| `rows` | `an empty list` |"],
    },
    ExpectedFailure {
        case: "TC-INT-007",
        failed: &[
            "Verify API detects missing CRD",
            "Verify API syncs state",
            "Database and K8s stay in sync",
            "Inconsistencies detected and reported",
            "System recovers from manual changes",
        ],
        not_reached: &[],
        // the session created with kubectl can be read, in the cluster's format, but has no row
        shown: &["| `status in [404, 410]", "| `api.body.status.phase` | `\"Running\"` | `absent` |", "| `rows` |"],
    },
    ExpectedFailure {
        case: "TC-INT-008",
        failed: &["Verify all deleted", "Check for race conditions or deadlocks"],
        not_reached: &["All operations complete", "No race conditions"],
        shown: &["| `api.status` | `one of 404, 410` | `200` |"],
    },
    ExpectedFailure {
        case: "TC-INT-009",
        failed: &[
            "Query audit log",
            "Verify all operations logged",
            "Verify sensitive data not logged",
            "Logs queryable and filterable",
            "No passwords/tokens in logs",
        ],
        not_reached: &["Verify log includes user, timestamp, action", "All operations logged", "Timestamps accurate"],
        shown: &["| `status` | `200` | `404` |"],
    },
    ExpectedFailure {
        case: "TC-INT-010",
        failed: &[
            "Verify appropriate error handling",
            "Verify graceful degradation",
            "Errors propagate with context",
            "Appropriate HTTP status codes",
            "Errors logged for debugging",
        ],
        not_reached: &[],
        shown: &["| `no_database.status` | `503` | `401` |", "`no_cluster.status` is `400`"],
    },
];

/// The part of the report about one case.
fn section<'r>(report: &'r str, case: &str) -> &'r str {
    let start = report.find(&format!("\n### {case}")).unwrap_or_else(|| panic!("{case} is not in\n{report}"));
    let rest = &report[start + 1..];
    &rest[..rest[4..].find("\n## ").into_iter().chain(rest[4..].find("\n### ")).min().map_or(rest.len(), |end| end + 4)]
}

/// The sentences with this status.
fn with_status<'r>(section: &'r str, status: &str) -> Vec<&'r str> {
    let item = |line: &'r str| line.strip_prefix("- ").or_else(|| line.split_once(". ").map(|(_, rest)| rest));
    let of_status =
        |text: &'r str| text.split_once(&format!(" **{status}**")).filter(|(icon, _)| icon.chars().count() < 3);
    // without its place in the plan
    let text = |(_, rest): (&'r str, &'r str)| rest.trim_start_matches(':').split(" (`").next().unwrap_or(rest).trim();
    section.lines().filter_map(item).filter_map(of_status).map(text).collect()
}

/// The deciding sentences that docs/streamspace.md lists: in its first table for the plan's own routes, in its second for
/// those of the platform.
fn documented(table: usize) -> Vec<(String, String)> {
    let page = std::fs::read_to_string(format!("{}/docs/streamspace.md", support::ROOT)).expect("the page");
    let tables = page.split("| Case | Deciding sentence | Reason |").skip(1);
    let rows =
        tables.map(|t| t.lines().skip(2).take_while(|l| l.starts_with('|')).map(str::to_string).collect::<Vec<_>>());
    let cell = |row: &str, i: usize| row.split('|').nth(i).expect("a cell").trim().to_string();
    rows.collect::<Vec<_>>()[table].iter().map(|row| (cell(row, 1), cell(row, 2))).collect()
}

/// Checks that each case fails first in the sentence that the page names, and that none is errored or blocked.
fn assert_decided(report: &str, table: usize) {
    let expected = documented(table);
    assert!(expected.len() >= 4, "{expected:?}");
    for (case, sentence) in expected {
        let section = section(report, &case);
        let failed = with_status(section, "failed");
        assert_eq!(failed.first().copied(), Some(sentence.as_str()), "{case}:\n{section}");
        for status in ["errored", "blocked", "not verified"] {
            assert_eq!(with_status(section, status), [""; 0], "{case}:\n{section}");
        }
    }
}

#[test]
fn fails_in_the_same_sentences_as_streamspace() {
    let workspace = Workspace::new();
    let args = ["run", "TP-004", "--env", "sandbox", "--as-built", "--set", "settle=2s", "--set", "max_running=5"];
    let ran = workspace.run(&args).assert_code(1);
    let report = workspace.report();
    assert_decided(&report, 0);
    for expected in TABLE {
        let section = section(&report, expected.case);
        assert!(section.contains("\n❌ **failed** in "), "{} is not failed:\n{section}", expected.case);
        assert_eq!(with_status(section, "failed"), expected.failed, "{}:\n{section}", expected.case);
        assert_eq!(with_status(section, "not reached"), expected.not_reached, "{}:\n{section}", expected.case);
        let headline = format!("\n  {}: ", expected.failed[0]);
        assert!(ran.stdout.contains(&headline), "{}: the deciding sentence:\n{}", expected.case, ran.stdout);
        for text in expected.shown {
            assert!(section.contains(text), "{} does not show {text}:\n{section}", expected.case);
        }
    }
    let line = "andbox as built (as StreamSpace is today): no deployment was tested";
    assert_eq!(ran.stdout.matches(line).count(), 1, "{}", ran.stdout);
    let lines: Vec<&str> = report.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines[..4].iter().any(|l| l.contains(line)) && lines[lines.len() - 1].contains(line), "{report}");
}

/// An environment file with that of a sandbox as built, and beside it the environment `adapted` of the example.
fn adapted(workspace: &Workspace, sandbox: &SandboxProcess) -> String {
    let example = std::fs::read_to_string(format!("{}/examples/streamspace/tp-runner.yaml", support::ROOT)).unwrap();
    let (_, adapted) = example.split_once("\n  adapted:\n").expect("the environment");
    let (adapted, _) = adapted.split_once("\n  # The same for a deployment in use").expect("the next one");
    let adapted = adapted.replace("extends: streamspace", "extends: standing");
    let file = workspace.path("adapted.yaml");
    let own = std::fs::read_to_string(&sandbox.env_file).unwrap();
    std::fs::write(&file, format!("{own}  adapted:\n{adapted}\n")).unwrap();
    file.to_string_lossy().into_owned()
}

#[test]
fn batches_and_audit_in_the_way_of_the_platform_fail_in_the_same_sentences_as_streamspace() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &["--as-built"]);
    let config = adapted(&workspace, &sandbox);
    let args =
        ["run", "TP-004", "--config", &config, "--env", "adapted", "--case", "TC-INT-00[1-49]", "--set", "settle=2s"];
    workspace.run(&[&args[..], &["--set", "max_running=5"]].concat()).assert_code(1);
    let report = workspace.report();
    assert_decided(&report, 1);
    let partial = section(&report, "TC-INT-004");
    for held in ["Verify clear error messages", "succeeded + failed = total", "Each error has name and message"] {
        assert!(partial.contains(&format!("✅ {held}")), "{held}:\n{partial}");
    }
}

#[test]
fn a_quota_of_five_is_enough_and_one_of_four_blocks() {
    let workspace = Workspace::new();
    let args = ["run", "TP-004", "--env", "sandbox"];
    workspace.run(&[&args[..], &["--quota", "5", "--set", "max_running=5"]].concat()).assert_code(0);
    let few = ["--quota", "4", "--set", "max_running=4", "--set", "settle=3s", "--case", "TC-INT-001"];
    let ran = workspace.run(&[&args[..], &few].concat()).assert_code(3);
    assert!(ran.stdout.contains("blocked"), "{}", ran.stdout);
}

#[test]
fn places_that_others_hold_block_a_case_that_names_them() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &["--quota", "5"]);
    let made = sandbox.kubectl(&["get", "pods"]);
    assert!(made.status.success());
    let manifest = workspace.path("holder.yaml");
    let holder = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: holder\n  labels: { app: streamspace-session, user: admin, session: \
                  a-session-of-another-tester }\nspec: { containers: [{ name: main, image: none }] }\n";
    std::fs::write(&manifest, holder).unwrap();
    assert!(sandbox.kubectl(&["create", "-f", &manifest.to_string_lossy()]).status.success());
    let phase = r#"{"status":{"phase":"Running"}}"#;
    let patched = sandbox.kubectl(&["patch", "pod", "holder", "--subresource=status", "--type=merge", "-p", phase]);
    assert!(patched.status.success(), "{}", String::from_utf8_lossy(&patched.stderr));
    let args = ["run", "TP-004", "--config", &sandbox.env_file(), "--case", "TC-INT-001", "--set", "settle=2s"];
    workspace.run(&[&args[..], &["--set", "max_running=5"]].concat()).assert_code(3);
    let report = workspace.report();
    assert!(section(&report, "TC-INT-001").contains("a-session-of-another-tester"), "{report}");
}

#[test]
fn behaves_as_built_beyond_tp_004() {
    let workspace = Workspace::new();
    let plan = format!("{}/tests/fixtures/as-built.yaml", support::ROOT);
    workspace.run(&["run", &plan, "--env", "sandbox", "--as-built", "--report-dir", "reports"]).assert_code(0);
}

/// The output of `report --known-failures`, pasted into the environment, accepts the run; a change of the list does not.
#[test]
fn known_failures_are_accepted_until_another_sentence_fails_or_one_passes() {
    let workspace = Workspace::new();
    let sandbox = SandboxProcess::start(&workspace, &["--as-built"]);
    let environment = std::fs::read_to_string(&sandbox.env_file).expect("an environment file");
    let run = |environment: &str, more: &[&str]| {
        std::fs::write(&sandbox.env_file, environment).expect("a file");
        let config = sandbox.env_file();
        let limits = ["--set", "settle=3s", "--set", "max_running=5"];
        workspace.run(&[&["--quiet", "run", "TP-004", "--config", &config], &limits[..], more].concat())
    };
    let three = ["--case", "TC-INT-00[569]"];
    run(&environment, &three).assert_code(1);
    let first = workspace.runs().pop().expect("a run");
    let entries = workspace.run(&["report", &first, "--known-failures"]).assert_code(0).stdout;
    let accepted = format!("{environment}{entries}");
    let ran = run(&accepted, &three).assert_code(0);
    assert_eq!(ran.stdout.matches("known failure TC-INT-").count(), 3, "{}", ran.stdout);
    assert!(ran.stdout.contains("TC-INT-005: known, and 5 sentences were never checked"), "{}", ran.stdout);
    let only = ["--case", "TC-INT-009"];
    let logged = "          - \"No passwords/tokens in logs\"\n";
    assert!(accepted.contains(logged), "{accepted}");
    let ran = run(&accepted.replace(logged, ""), &only).assert_code(1);
    assert!(ran.stdout.contains("failed TC-INT-009 Event Audit Logging"), "{}", ran.stdout);
    let passing = "          - \"Perform session CRUD operations\"\n";
    let ran = run(&accepted.replace(logged, &format!("{logged}{passing}")), &only).assert_code(1);
    assert!(ran.stdout.contains("it passed: remove it from `known_failures`"), "{}", ran.stdout);
    let other = accepted.replace("    issue:", "    observed: no such value\n        issue:");
    let ran = run(&other, &only).assert_code(1);
    assert!(ran.stdout.contains("fails in another way than is known"), "{}", ran.stdout);
}

/// Each command of the steps in docs/streamspace.md, in order, against a sandbox as built.
#[test]
fn every_step_of_the_page_about_streamspace_works() {
    let page = std::fs::read_to_string(format!("{}/docs/streamspace.md", support::ROOT)).expect("the page");
    let (_, steps) = page.split_once("## Setting it up, step by step").expect("the steps");
    let block = steps.split("```").nth(1).expect("a block");
    let commands: Vec<&str> = block.lines().filter_map(|l| l.strip_prefix("$ tp-runner ")).collect();
    let workspace = Workspace::new();
    let (start, rest) = commands.split_first().expect("commands");
    assert!(start.starts_with("sandbox --as-built --env-file standing.yaml"), "{start}");
    let _sandbox = SandboxProcess::start(&workspace, &["--as-built"]);
    // the exit code and some words of each command
    let expected: &[(i32, &[&str])] = &[
        (0, &["10 cases, no problems"]),
        (0, &["ok      secrets: read", "ok      cluster: log in", "ok      platform-log: read", "no problems"]),
        (
            0,
            &[
                "ok      fault database-down: heal, and probe: passes",
                "ok      fault cluster-unreachable: probe meanwhile: fails",
                "ok      fault cluster-unreachable: heal, and probe: passes",
            ],
        ),
        (1, &["failed: Verify appropriate error handling"]),
        (0, &[r#"case: "TC-INT-010""#]),
        (0, &["known failure"]),
    ];
    assert_eq!(rest.len(), expected.len());
    for (command, (code, words)) in rest.iter().zip(expected) {
        let (command, appends) = match command.split_once(" >> ") {
            Some((command, file)) => (command, Some(file.trim())),
            None => (*command, None),
        };
        let run = workspace.runs().pop().unwrap_or_default();
        let words_of_command: Vec<String> =
            command.split_whitespace().map(|w| if w == "RUN" { run.clone() } else { w.to_string() }).collect();
        let arguments: Vec<&str> = words_of_command.iter().map(String::as_str).collect();
        let ran = workspace.run(&arguments).assert_code(*code);
        for word in *words {
            assert!(ran.text().contains(word), "`{command}` does not say `{word}`:\n{}", ran.text());
        }
        if let Some(file) = appends {
            let path = workspace.path(file);
            let text = std::fs::read_to_string(&path).expect("the file") + &ran.stdout;
            std::fs::write(path, text).expect("the file");
        }
    }
}
