//! Missing permissions: an observation with the server's `Status`, and a result of `doctor`. On the real server.
use crate::test_cluster::{POLL_INTERVAL, TestCluster, on_real};
use serde_json::json;
use tp_runner::{
    event::EvidenceKind,
    executor::{Permission, ProbeResult, ProbeStatus},
    executors::k8s::K8s,
    expr::Scope,
    testing::{Harness, at},
    value::Value,
};

on_real!(
    forbidden_requests_are_observations_with_found_null,
    polls_without_permission_to_list_or_watch,
    doctor_checks_each_permission,
    doctor_reports_a_missing_namespace,
    doctor_reports_wrong_credentials,
);

fn need(verb: &'static str, resource: &str, essential: bool) -> Permission {
    Permission { verb, resource: resource.into(), namespace: None, essential }
}

fn result<'a>(found: &'a [ProbeResult], check: &str) -> &'a ProbeResult {
    found.iter().find(|f| f.check.starts_with(check)).unwrap_or_else(|| panic!("{check}: {found:#?}"))
}

async fn forbidden_requests_are_observations_with_found_null(cluster: TestCluster) {
    let s =
        cluster.stage_with_rules(json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] }])).await;
    cluster.create_session("a").await;
    for body in ["get: sessions.stream.space/a", "list: sessions.stream.space", "delete: sessions.stream.space/a"] {
        let observed = s.output(body).await;
        for field in ["found", "object", "items"] {
            let reason = at(&observed, field).incomplete().cloned().unwrap_or_else(|| panic!("{field}: {observed}"));
            assert!(reason.contains("the cluster refused (403)"), "{reason}");
        }
        assert_eq!(
            (at(&observed, "error.code"), at(&observed, "error.reason")),
            (Value::Int(403), Value::text("Forbidden"))
        );
        assert!(at(&observed, "error.message").to_string().contains("cannot"), "{observed}");
        assert_eq!(at(&observed, "error.details.group"), Value::text("stream.space"));
    }
    let observed = s.output("create: { apiVersion: v1, kind: ConfigMap, metadata: { name: x } }").await;
    assert_eq!(
        (at(&observed, "found"), at(&observed, "error.code")),
        (Value::Bool(false), Value::Int(403)),
        "nothing was created"
    );
    let patch = s.output("{ patch: sessions.stream.space/a, merge: { spec: { state: hibernated } } }").await;
    assert_eq!(at(&patch, "error.code"), Value::Int(403));
    assert!(at(&patch, "found").incomplete().is_some(), "{patch}");
    // `list: "*"` is partial without what may not be listed.
    let all = s.output("list: '*'").await;
    for field in ["found", "items"] {
        let reason = at(&all, field).incomplete().cloned().unwrap_or_else(|| panic!("{field}: {all}"));
        assert!(reason.contains("sessions.stream.space may not be listed (403)"), "{reason}");
    }
    assert!(s.take_evidence(EvidenceKind::Note).contains("left out sessions.stream.space (403)"));
}

async fn polls_without_permission_to_list_or_watch(cluster: TestCluster) {
    let s = cluster
        .stage_with_rules(json!([{ "apiGroups": ["stream.space"], "resources": ["sessions"], "verbs": ["get"] }]))
        .await;
    cluster.create_session("a").await;
    let action = s.action("get: sessions.stream.space/a");
    let first = action.perform(&s.context()).await.unwrap();
    assert_eq!(at(&first.value, "found"), Value::Bool(true));
    cluster.set_state("a", "next").await;
    let next = s.next(&*action, &first, POLL_INTERVAL).await.unwrap();
    assert_eq!(at(&next.value, "object.metadata.labels.state"), Value::text("next"));
    // With list but without watch, it polls too, and the evidence says why.
    let rules = json!([{ "op": "replace", "path": "/rules/0/verbs", "value": ["get", "list"] }]);
    cluster.direct.output(&format!("{{ patch: roles.rbac.authorization.k8s.io/limited, json: {rules} }}")).await;
    // A changed role takes effect after a short delay.
    let until = std::time::Instant::now() + crate::test_cluster::WAIT_TIMEOUT;
    while at(&s.output("list: sessions.stream.space").await, "found") != Value::Bool(true) {
        assert!(std::time::Instant::now() < until, "the role does not take effect");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let mut last = action.perform(&s.context()).await.unwrap();
    cluster.set_state("a", "third").await;
    while at(&last.value, "object.metadata.labels.state") != Value::text("third") {
        assert!(std::time::Instant::now() < until, "the change is not observed");
        last = s.next(&*action, &last, POLL_INTERVAL).await.unwrap();
    }
    let notes = s.take_evidence(EvidenceKind::Note);
    assert!(notes.contains("no watch, polling every 100ms") && notes.contains("cannot watch"), "{notes}");
}

async fn doctor_checks_each_permission(cluster: TestCluster) {
    let rules = json!([
        { "apiGroups": ["stream.space"], "resources": ["sessions"], "verbs": ["get", "list", "create"] },
        { "apiGroups": ["stream.space"], "resources": ["sessions/status"], "verbs": ["patch"] },
    ]);
    let s = cluster.stage_with_rules(rules).await;
    let mut needs = vec![
        need("create", "Session.v1alpha1.stream.space", true),
        need("patch", "sessions.stream.space/status", true),
        need("patch", "ss", true),
        need("delete", "ss", true),
        need("list", "gadgets.x.example", true),
        need("create", "${kind}", true),
        need("list", "*", false),
    ];
    needs.extend([("get", true), ("list", false), ("watch", false)].map(|(v, e)| need(v, "sessions.stream.space", e)));
    needs.push(Permission { namespace: Some("default".into()), ..need("get", "sessions", true) });
    let found = s.target.as_ref().unwrap().probe(&needs, &Scope::default()).await;
    let ns = &cluster.namespace;
    assert!(result(&found, "reach https://127.0.0.1").found.starts_with("Kubernetes v"));
    assert_eq!(result(&found, "log in").found, format!("as `system:serviceaccount:{ns}:limited`"));
    let f = result(&found, "create Session.v1alpha1.stream.space");
    assert_eq!((f.status, &*f.found, &f.remedy), (ProbeStatus::Ok, "allowed", &None));
    assert_eq!(result(&found, "patch sessions.stream.space/status").status, ProbeStatus::Ok);
    let f = result(&found, &format!("delete, patch ss in namespace `{ns}`"));
    assert!(f.status == ProbeStatus::Error && f.found.starts_with("not allowed: delete, patch"), "{f:?}");
    let grant = r#"grant a role with apiGroups: ["stream.space"], resources: [sessions], verbs: [delete, patch]"#;
    assert_eq!(f.remedy.as_deref(), Some(grant));
    let f = result(&found, "get, list, watch sessions.stream.space");
    assert_eq!(f.status, ProbeStatus::Warning, "{f:?}");
    assert!(
        f.found.starts_with("not allowed: watch") && f.remedy.as_ref().unwrap().starts_with("without it, short"),
        "{f:?}"
    );
    assert_eq!(result(&found, "get sessions in namespace `default`").status, ProbeStatus::Error);
    let f = result(&found, "list gadgets.x.example");
    assert!(f.status == ProbeStatus::Error && f.found.starts_with("the cluster serves no resource"), "{f:?}");
    assert_eq!(result(&found, "create ${kind}").status, ProbeStatus::Warning);
    assert_eq!(result(&found, "list *").status, ProbeStatus::Warning);
    assert_eq!(result(&found, "compare clocks").status, ProbeStatus::Ok);

    let mut all = cluster.direct.target.as_ref().unwrap().probe(&needs, &Scope::default()).await;
    all.retain(|f| f.status == ProbeStatus::Error);
    assert_eq!(all.len(), 1, "the administrator is only refused what is not served: {all:#?}");
}

async fn doctor_reports_a_missing_namespace(cluster: TestCluster) {
    let target = "k8s: { kubeconfig: direct, namespace: nowhere }";
    let s = Harness::new(&K8s, cluster.dir.path()).open(target).await.unwrap();
    let found = s.target.as_ref().unwrap().probe(&[], &Scope::default()).await;
    let f = result(&found, "find namespace `nowhere`");
    assert!(
        f.status == ProbeStatus::Error && f.remedy.as_ref().unwrap().contains("kubectl create namespace nowhere"),
        "{f:?}"
    );
}

async fn doctor_reports_wrong_credentials(cluster: TestCluster) {
    let mut config = crate::test_cluster::read(&cluster.admin);
    config["users"][0]["user"]["token"] = json!("wrong");
    std::fs::write(cluster.dir.path().join("wrong"), config.to_string()).unwrap();
    let s = crate::test_cluster::open(cluster.dir.path(), "wrong").await;
    let found = s.target.as_ref().unwrap().probe(&[need("get", "pods", true)], &Scope::default()).await;
    assert_eq!(found.len(), 1, "nothing else can be checked: {found:#?}");
    assert!(
        found[0].check == "log in" && found[0].status == ProbeStatus::Error && found[0].found.contains("(401)"),
        "{found:#?}"
    );
}

#[tokio::test]
async fn doctor_warns_if_the_server_does_not_report_permissions() {
    let cluster = TestCluster::embedded().await;
    let found = cluster.stage.target.as_ref().unwrap().probe(&[need("get", "sessions", true)], &Scope::default()).await;
    assert_eq!(result(&found, "reach").status, ProbeStatus::Ok);
    assert_eq!(result(&found, "log in").status, ProbeStatus::Ok);
    let f = result(&found, "get sessions");
    assert!(f.status == ProbeStatus::Warning && f.found.starts_with("the server does not report permissions"), "{f:?}");
}
