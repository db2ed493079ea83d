//! `relay` as a process of its own: environments refer to it by its control socket, it survives the runner, and `run` and
//! `doctor` name one that is broken.
mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};
use support::{BINARY, RelayProcess, RunOutput, interrupt, run_in, server, unused_address};

const MODES: [(&str, &str); 5] = [
    ("down", ""),
    ("slow", ", delay: 300ms"),
    ("resetting", ", reset: true"),
    ("silent", ", swallow: true"),
    ("narrow", ", throttle: 4000"),
];

/// An environment with a fault for each mode of the relay in this folder.
fn environment(folder: &Path, address: &str, more: &str) {
    let faults: String =
        MODES.map(|(name, mode)| format!("      {name}: {{ relay: {{ control: ./relay.sock{mode} }} }}\n")).concat();
    let text = format!(
        "environments:\n  here:\n    allow: {{ exec: true }}\n    targets: {{ api: {{ http: \"http://{address}\" }} }}\n{more}    faults:\n{faults}"
    );
    fs::write(folder.join("tp-runner.yaml"), text).expect("a file");
}

/// A case with a request during a fault and one after it. `during` is another action during the fault.
fn plan(folder: &Path, faults: &[&str], during: &str) {
    let case = |fault: &&str| {
        format!(
            r#"  - id: {fault}
    tier: must
    steps:
      - step: Send requests during the fault
        do:
          - http: {{ request: GET / }}
            expect: {{ status: 200 }}
          - fault: {{ break: {fault} }}
          - http: {{ request: GET / }}
            foreach: [1, 2]
            timeout: 2s
            as: during
{during}          - fault: {{ heal: {fault} }}
            as: healed
          - http: {{ request: GET / }}
            as: after
    expected:
      - result: The fault has an effect
        check: '!during[0].answered || during[0].took >= duration("600ms")'
      - result: It is counted
        check: healed.refused >= 1
      - result: The server responds again
        check: after.status == 200 && size(after.text) == 4000
"#
        )
    };
    let cases: String = faults.iter().map(case).collect();
    fs::write(folder.join("plan.yaml"), format!("plan: behind-a-relay\nenvironment: here\ncases:\n{cases}")).unwrap();
}

fn run(folder: &Path) -> RunOutput {
    run_in(folder, &["run", "plan.yaml"])
}

#[test]
fn plans_break_and_heal_a_relay_process_in_every_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut relay = RelayProcess::start(folder, &server().to_string());
    environment(folder, &relay.address, "");
    plan(folder, &MODES.map(|(name, _)| name), "");
    let ran = run(folder).assert_code(0);
    assert!(ran.text().contains("all 5 deciding cases passed"), "{}", ran.text());
    let state = relay.send(r#"{"do":"state"}"#);
    let faults: Vec<_> =
        state["faults"].as_array().expect("faults").iter().map(|f| (&f["fault"], &f["active"])).collect();
    assert_eq!(faults.len(), 5, "{state}");
    assert!(faults.iter().all(|(_, active)| *active == false), "{state}");
    // the relay serves the next run, too
    run(folder).assert_code(0);
    assert!(relay.is_alive());
}

#[test]
fn relay_survives_a_killed_runner_and_is_named_until_it_is_healed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut relay = RelayProcess::start(folder, &server().to_string());
    environment(folder, &relay.address, "");
    let kill_a_run = |relay: &mut RelayProcess| {
        plan(folder, &["down"], "          - exec: { run: [sleep, '60'] }\n            expect: { exit: 0 }\n");
        let run = Command::new(BINARY).args(["run", "plan.yaml"]).current_dir(folder).spawn();
        let mut runner = run.expect("the binary");
        relay.wait_for_a_refused_connection();
        // SIGKILL
        runner.kill().expect("a runner");
        runner.wait().expect("an exit status");
        assert!(relay.is_alive());
        plan(folder, &["down"], "");
    };
    kill_a_run(&mut relay);
    // nothing is known about the run: it may be on another machine
    std::fs::remove_dir_all(folder.join(".tp-runner")).expect("a folder");
    let broken = "the relay at `";
    let heal = "tp-runner relay heal --control ";
    for args in [&["run", "plan.yaml"][..], &["doctor", "plan.yaml"], &["doctor", "plan.yaml", "--faults"]] {
        let out = run_in(folder, args);
        let text = out.text();
        assert!(text.contains(broken) && text.contains("is broken: cut since 20"), "{args:?}: {text}");
        assert!(text.contains(heal), "{args:?}: {text}");
        assert_eq!(out.code, Some(3), "{args:?}: {text}");
    }
    let state = run_in(folder, &["relay", "state"]).assert_code(0).stdout;
    assert!(state.contains("fault:       cut since 20"), "{state}");
    let healed = run_in(folder, &["relay", "heal"]).assert_code(0).stdout;
    assert!(healed.contains(", healed, "), "{healed}");
    run(folder).assert_code(0);

    // a killed run that is known is healed by the next
    kill_a_run(&mut relay);
    let next = run(folder).assert_code(0).stderr;
    assert!(next.contains("healed `down`, which the killed run `r"), "{next}");
}

#[test]
fn doctor_breaks_and_heals_each_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let relay = RelayProcess::start(folder, &server().to_string());
    environment(folder, &relay.address, "");
    plan(folder, &["down"], "");
    let out = run_in(folder, &["doctor", "plan.yaml", "--faults"]).assert_code(0);
    let address = &relay.address;
    for (name, mode, effect) in [
        ("down", "cut", "refused"),
        ("slow", "delay 300ms", "delayed"),
        ("resetting", "reset", "reset"),
        ("silent", "swallow", "without response"),
        ("narrow", "throttle 4000", "throttled"),
    ] {
        for line in [
            format!("ok      fault {name}: connect through {address}: passes\n"),
            format!("ok      fault {name}: break: {mode}\n"),
            format!("ok      fault {name}: connect through {address} meanwhile: 1 connection {effect}\n"),
            format!("ok      fault {name}: heal, and connect through {address}: passes\n"),
        ] {
            assert!(out.stdout.contains(&line), "{line}:\n{}", out.stdout);
        }
    }
    assert!(relay.send(r#"{"do":"state"}"#)["faults"].as_array().expect("faults").iter().all(|f| f["active"] == false));
}

#[test]
fn doctor_tries_the_faults_of_actions_with_their_probe() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let relay = RelayProcess::start(folder, &server().to_string());
    plan(folder, &["down"], "");
    let relay_command =
        |what: &str| format!("[ {{ exec: {{ run: [{BINARY}, relay, {what}] }}, expect: {{ exit: 0 }} }} ]");
    let fault = |cut: &str, heal: &str, probe: &str| {
        let text = format!(
            "environments:\n  here:\n    targets: {{ api: {{ http: \"http://{}\" }} }}\n    faults:\n      down:\n        \
             do: {}\n        heal: {}\n{probe}",
            relay.address,
            relay_command(cut),
            relay_command(heal)
        );
        fs::write(folder.join("tp-runner.yaml"), text).expect("a file");
        run_in(folder, &["doctor", "plan.yaml", "--faults"])
    };
    let probe = "        probe: [ { http: { request: GET / }, timeout: 2s, expect: { status: 200 } } ]\n";
    let works = fault("break", "heal", probe).assert_code(0).stdout;
    for line in ["probe: passes\n", "break: done\n", "probe meanwhile: fails: ", "heal, and probe: passes\n"] {
        assert!(works.contains(&format!("ok      fault down: {line}")), "{line}: {works}");
    }
    let without = fault("break", "heal", "").assert_code(0).stdout;
    assert!(without.contains("warning fault down: probe: the fault has no `probe`"), "{without}");
    let harmless = fault("state", "heal", probe).assert_code(3).stdout;
    assert!(harmless.contains("error   fault down: probe meanwhile: passes; fix `do`"), "{harmless}");
    let stays = fault("break", "state", probe).assert_code(3).stdout;
    assert!(stays.contains("error   fault down: heal, and probe: "), "{stays}");
    let stays_broken = fault("break", "heal", probe).assert_code(3).stdout;
    assert!(stays_broken.contains("error   fault down: probe: "), "{stays_broken}");
}

#[test]
fn doctor_reports_a_link_that_does_not_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let unused = unused_address();
    let relay = RelayProcess::start(folder, &unused.to_string());
    environment(folder, &relay.address, "");
    plan(folder, &["down"], "");
    let out = run_in(folder, &["doctor", "plan.yaml", "--faults"]).assert_code(3).stdout;
    let line =
        format!("error   fault down: connect through {}: closed: the upstream cannot be reached: ", relay.address);
    assert!(out.contains(&line), "{out}");
    assert!(out.contains(&format!("check that `{unused}` accepts connections from the relay")), "{out}");
    drop(relay);
    let out = run_in(folder, &["doctor", "plan.yaml", "--faults"]).assert_code(3).stdout;
    assert!(out.contains("error   fault down: relay: the relay does not respond at its control socket"), "{out}");
    assert!(out.contains("the relay has ended; start it with `tp-runner relay --listen"), "{out}");
    let out = run(folder).assert_code(3).text();
    assert!(out.contains("the relay has ended") && out.contains("tp-runner relay --listen"), "{out}");
}

#[test]
fn doctor_refuses_to_break_a_protected_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let relay = RelayProcess::start(folder, &server().to_string());
    environment(folder, &relay.address, "    protected: true\n");
    let text = "plan: T\nenvironment: here\ncases:\n  - { id: A, tier: must, expected: [{ result: r, check: run.id != '' }] }\n";
    fs::write(folder.join("plan.yaml"), text).expect("a file");
    let out = run_in(folder, &["doctor", "plan.yaml", "--faults"]).assert_code(2).text();
    assert!(out.contains("the environment `here` is protected") && out.contains("--allow-destructive here"), "{out}");
    assert_eq!(relay.send(r#"{"do":"state"}"#)["faults"], serde_json::json!([]));
    run_in(folder, &["doctor", "plan.yaml"]).assert_code(0);
    run_in(folder, &["doctor", "plan.yaml", "--faults", "--allow-destructive", "here"]).assert_code(0);
}

#[test]
fn control_protocol_is_a_line_for_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let upstream = server().to_string();
    let mut relay = RelayProcess::start(folder, &upstream);
    let state = relay.send(r#"{"do":"state"}"#);
    let expected = serde_json::json!({
        "listen": relay.address, "upstream": upstream, "open": 0, "waiting": 0, "upstream_error": null, "faults": []
    });
    assert_eq!(state, expected);
    let state = relay.send(r#"{"do":"break","fault":"delay 2s"}"#);
    assert_eq!((&state["faults"][0]["fault"], &state["faults"][0]["active"]), (&"delay 2s".into(), &true.into()));
    assert_eq!(relay.send(r#"{"do":"break"}"#)["faults"][1]["fault"], "cut");
    let state = relay.send(r#"{"do":"heal","fault":"cut"}"#);
    assert_eq!((&state["faults"][0]["active"], &state["faults"][1]["active"]), (&true.into(), &false.into()));
    assert_eq!(relay.send(r#"{"do":"heal"}"#)["faults"][0]["active"], false);
    for (line, error) in [
        ("cut", "invalid command: "),
        (r#"{"do":"cut"}"#, "unknown variant `cut`"),
        (r#"{"do":"break","fault":"delay"}"#, "expected `cut`, `reset`, `swallow`, `delay 2s` or `throttle 2000`"),
        (r#"{"do":"heal","faults":"cut"}"#, "unknown field `faults`"),
    ] {
        let reply = relay.send(line);
        assert!(reply["error"].as_str().is_some_and(|e| e.contains(error)), "{line}: {reply}");
    }
    // only the owner may use it
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.join("relay.sock")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // one relay per socket
    let second = ["relay", "--listen", "127.0.0.1:0", "--upstream", &upstream];
    let out = run_in(folder, &second).assert_code(3).stderr;
    assert!(out.contains("cannot listen on `relay.sock`: another relay uses it"), "{out}");
    // a killed relay leaves a socket behind, which the next one replaces; an interrupted one removes it
    relay.child.kill().and_then(|()| relay.child.wait()).expect("a relay");
    assert!(run_in(folder, &["relay", "state"]).assert_code(3).stderr.contains("the relay has ended"));
    let mut relay = RelayProcess::start(folder, &upstream);
    interrupt(&relay.child);
    assert_eq!(relay.child.wait().expect("an exit status").code(), Some(0));
    assert!(!folder.join("relay.sock").exists());
}

/// An environment whose fault drops all data, made by actions, with a probe that then waits for `limit`.
fn silent_actions(folder: &Path, relay: &RelayProcess, limit: &str) {
    let action = |what: &str| format!("[ {{ exec: {{ run: [{BINARY}, relay, {what}] }}, expect: {{ exit: 0 }} }} ]");
    let text = format!(
        "environments:\n  here:\n    targets: {{ api: {{ http: \"http://{}\" }} }}\n    faults:\n      down:\n        do: {}\n        \
         heal: {}\n        probe: [ {{ http: {{ request: GET / }}, timeout: {limit}, expect: {{ status: 200 }} }} ]\n",
        relay.address,
        action("break, swallow"),
        action("heal")
    );
    fs::write(folder.join("tp-runner.yaml"), text).expect("a file");
    plan(folder, &["down"], "");
}

#[test]
fn an_interrupted_doctor_heals_the_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let relay = RelayProcess::start(folder, &server().to_string());
    silent_actions(folder, &relay, "3s");
    let doctor = || {
        let mut command = Command::new(BINARY);
        command.args(["doctor", "plan.yaml", "--faults"]).current_dir(folder).stderr(Stdio::piped()).spawn().unwrap()
    };
    let stopped = doctor();
    relay.wait_for_a_refused_connection();
    interrupt(&stopped);
    let out: RunOutput = stopped.wait_with_output().expect("the output").into();
    assert_eq!(out.code, Some(130), "{}", out.text());
    assert_eq!(relay.send(r#"{"do":"state"}"#)["faults"][0]["active"], false);

    // a second signal exits at once, and says what is left
    silent_actions(folder, &relay, "60s");
    let mut killed = doctor();
    relay.wait_for_a_refused_connection();
    interrupt(&killed);
    let mut said = BufReader::new(killed.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(said.any(|line| line.starts_with("stopping: ")));
    interrupt(&killed);
    let said: Vec<String> = said.collect();
    assert!(said.contains(&"  fault down: heal it".to_string()), "{said:?}");
    assert_eq!(killed.wait().expect("an exit status").code(), Some(130));
    assert_eq!(relay.send(r#"{"do":"state"}"#)["faults"][0]["active"], true);
}
