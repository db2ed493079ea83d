//! `examples/kubernetes`: its manifests are accepted by a real API server, its role grants what its plans do and nothing else, and
//! what the Job would do is done as its service account. (Nothing here runs pods, so the Job's script is run on this machine.)
use crate::{
    bodies::needs_of,
    executor_stage::at,
    world::{World, on_real},
};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tp_runner::executor::Need;

on_real!(the_job_is_accepted_allowed_and_leaves_its_report);

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes").join(file)
}

/// What a plan of the example will ask of the cluster.
fn needed(plan: &str) -> BTreeSet<Need> {
    let text = |name: &str| std::fs::read_to_string(example(name)).unwrap();
    let all = needs_of(&text(plan), &text("tp-runner.yaml"));
    all.into_iter().filter(|(target, _)| target == "cluster").map(|(_, n)| n).collect()
}

/// As kubectl and roles call it: `configmaps` for `ConfigMap.v1`.
fn plural(need: &Need) -> String {
    let lower = need.resource.to_lowercase();
    let name = lower.split('.').next().unwrap();
    if name.ends_with('s') { name.to_string() } else { format!("{name}s") }
}

fn kubectl(w: &World, args: &[&str]) -> Output {
    let mut command = Command::new("kubectl");
    command.args(args).args(["-n", &w.namespace, "--kubeconfig"]).arg(&w.admin);
    command.output().expect("kubectl runs")
}

async fn the_job_is_accepted_allowed_and_leaves_its_report(w: World) {
    let folder = example("").display().to_string();
    let applied = kubectl(&w, &["apply", "-k", folder.trim_end_matches('/')]);
    let said = String::from_utf8_lossy(&applied.stdout).into_owned() + &String::from_utf8_lossy(&applied.stderr);
    assert!(applied.status.success(), "{said}");
    for made in
        ["serviceaccount/tp-runner", "role.rbac", "rolebinding.rbac", "configmap/tp-runner-plan", "job.batch/tp-runner"]
    {
        assert!(said.contains(made), "{made}: {said}");
    }
    let job = w.other.see("get: jobs/tp-runner").await;
    assert_eq!(at(&job, "object.spec.template.spec.serviceAccountName").to_string(), "tp-runner");

    let all: BTreeSet<Need> = needed("plan.yaml").into_iter().chain(needed("keep-report.yaml")).collect();
    assert!(all.len() >= 6, "{all:?}");
    let account = format!("system:serviceaccount:{}:tp-runner", w.namespace);
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for need in &all {
        let answer = kubectl(&w, &["auth", "can-i", need.verb, &plural(need), "--as", &account]);
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert_eq!(said.trim(), "yes", "{need:?}");
        wanted.entry(plural(need)).or_default().insert(need.verb.to_string());
    }
    for (verb, resource) in [("delete", "pods"), ("get", "secrets"), ("deletecollection", "configmaps")] {
        let answer = kubectl(&w, &["auth", "can-i", verb, resource, "--as", &account]);
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "no", "{verb} {resource}");
    }
    let role = w.other.see("get: roles/tp-runner").await.to_json();
    let mut granted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let words = |v: &Json| v.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_string()).collect::<Vec<_>>();
    for rule in role["object"]["rules"].as_array().unwrap() {
        for resource in words(&rule["resources"]) {
            granted.entry(resource).or_default().extend(words(&rule["verbs"]));
        }
    }
    assert_eq!(granted, wanted, "the role grants what the plans do, and nothing else");

    w.account("tp-runner", "job").await;
    let script = at(&job, "object.spec.template.spec.containers.0.args.0").to_string();
    let work = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tp-runner"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(work.path()).env("PATH", &path);
        command.env("KUBECONFIG", w.dir.path().join("job")).output().expect("sh runs")
    };
    let mounted = script.replace("/plan/*", &format!("{folder}*.yaml"));
    assert_ne!(mounted, script);
    let ran = run(&mounted);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    let kept = at(&w.other.see("get: configmaps/tp-runner-report").await, "object.data").to_json();
    let report = kept["report.md"].as_str().unwrap();
    assert!(report.starts_with("# Test report: ") && report.contains("The change is seen"), "{report}");
    let left = w.other.see("{ list: configmaps, labels: made-by }").await;
    assert_eq!(at(&left, "found").to_string(), "false", "what the plan made is gone");

    let doctor = run("tp-runner doctor plan.yaml");
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned() + &String::from_utf8_lossy(&doctor.stderr);
    assert_eq!(doctor.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("as `{account}`")) && said.contains("nothing is wrong"), "{said}");
}
