//! `examples/kubernetes`: a real API server accepts its manifests, its role grants exactly what its plans need, and the
//! Job's script works as its service account. (No pods run here, so the script runs on this machine.)
use crate::{
    bodies::plan_needs,
    test_cluster::{TestCluster, on_real},
};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tp_runner::{executor::Permission, testing::at};

on_real!(job_is_accepted_and_permitted_and_keeps_its_report);

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes").join(file)
}

/// The needs of a plan of the example.
fn cluster_permissions(plan: &str) -> BTreeSet<Permission> {
    let text = |name: &str| std::fs::read_to_string(example(name)).unwrap();
    let all = plan_needs(&text(plan), &text("tp-runner.yaml"));
    all.into_iter().filter(|(target, _)| target == "cluster").map(|(_, n)| n).collect()
}

/// The name in kubectl and roles: `configmaps` for `ConfigMap.v1`.
fn plural(permission: &Permission) -> String {
    let lower = permission.resource.to_lowercase();
    let name = lower.split('.').next().unwrap();
    if name.ends_with('s') { name.to_string() } else { format!("{name}s") }
}

fn kubectl(cluster: &TestCluster, args: &[&str]) -> Output {
    let mut command = Command::new("kubectl");
    command.args(args).args(["-n", &cluster.namespace, "--kubeconfig"]).arg(&cluster.admin);
    command.output().expect("kubectl runs")
}

async fn job_is_accepted_and_permitted_and_keeps_its_report(cluster: TestCluster) {
    let folder = example("").display().to_string();
    let applied = kubectl(&cluster, &["apply", "-k", folder.trim_end_matches('/')]);
    let output = String::from_utf8_lossy(&applied.stdout).into_owned() + &String::from_utf8_lossy(&applied.stderr);
    assert!(applied.status.success(), "{output}");
    for created in
        ["serviceaccount/tp-runner", "role.rbac", "rolebinding.rbac", "configmap/tp-runner-plan", "job.batch/tp-runner"]
    {
        assert!(output.contains(created), "{created}: {output}");
    }
    let job = cluster.direct.output("get: jobs/tp-runner").await;
    assert_eq!(at(&job, "object.spec.template.spec.serviceAccountName").to_string(), "tp-runner");

    let all: BTreeSet<Permission> =
        cluster_permissions("plan.yaml").into_iter().chain(cluster_permissions("keep-report.yaml")).collect();
    assert!(all.len() >= 6, "{all:?}");
    let account = format!("system:serviceaccount:{}:tp-runner", cluster.namespace);
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for permission in &all {
        let review = kubectl(&cluster, &["auth", "can-i", permission.verb, &plural(permission), "--as", &account]);
        let output = String::from_utf8_lossy(&review.stdout).into_owned();
        assert_eq!(output.trim(), "yes", "{permission:?}");
        wanted.entry(plural(permission)).or_default().insert(permission.verb.to_string());
    }
    for (verb, resource) in [("delete", "pods"), ("get", "secrets"), ("deletecollection", "configmaps")] {
        let review = kubectl(&cluster, &["auth", "can-i", verb, resource, "--as", &account]);
        assert_eq!(String::from_utf8_lossy(&review.stdout).trim(), "no", "{verb} {resource}");
    }
    let role = cluster.direct.output("get: roles/tp-runner").await.to_json();
    let mut granted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let words = |v: &Json| v.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_string()).collect::<Vec<_>>();
    for rule in role["object"]["rules"].as_array().unwrap() {
        for resource in words(&rule["resources"]) {
            granted.entry(resource).or_default().extend(words(&rule["verbs"]));
        }
    }
    assert_eq!(granted, wanted, "the role grants exactly what the plans need");

    cluster.stage_as("tp-runner", "job").await;
    let script = at(&job, "object.spec.template.spec.containers.0.args.0").to_string();
    let work = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tp-runner"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(work.path()).env("PATH", &path);
        command.env("KUBECONFIG", cluster.dir.path().join("job")).output().expect("sh runs")
    };
    let mounted = script.replace("/plan/*", &format!("{folder}*.yaml"));
    assert_ne!(mounted, script);
    let run_output = run(&mounted);
    let output =
        String::from_utf8_lossy(&run_output.stderr).into_owned() + &String::from_utf8_lossy(&run_output.stdout);
    assert_eq!(run_output.status.code(), Some(0), "{output}");
    let kept = at(&cluster.direct.output("get: configmaps/tp-runner-report").await, "object.data").to_json();
    let report = kept["report.md"].as_str().unwrap();
    assert!(report.starts_with("# Test report: ") && report.contains("The change is seen"), "{report}");
    let left = cluster.direct.output("{ list: configmaps, labels: made-by }").await;
    assert_eq!(at(&left, "found").to_string(), "false", "the plan has deleted what it created");

    let doctor = run("tp-runner doctor plan.yaml");
    let output = String::from_utf8_lossy(&doctor.stdout).into_owned() + &String::from_utf8_lossy(&doctor.stderr);
    assert_eq!(doctor.status.code(), Some(0), "{output}");
    assert!(output.contains(&format!("as `{account}`")) && output.contains("no problems"), "{output}");
}
