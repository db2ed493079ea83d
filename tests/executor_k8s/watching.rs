//! Waiting by watch, on both servers.
use crate::test_cluster::{POLL_INTERVAL, TestCluster, WAIT_TIMEOUT, on_both, state_label};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tp_runner::{event::EvidenceKind, testing::at, value::Value};

on_both!(
    observes_every_state_once_and_in_order,
    list_is_observed_after_every_selected_change,
    two_hundred_waiters_share_one_watch,
    idle_wait_repeats_at_the_interval_without_requests,
    watch_resumes_after_broken_connection,
    observes_a_change_within_milliseconds,
    step_survives_a_server_outage_without_missing_states,
);

async fn observes_every_state_once_and_in_order(cluster: TestCluster) {
    cluster.create_session("a").await;
    let action = cluster.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    // All changes happen between two observations, before the watch starts.
    for state in ["one", "two", "three"] {
        cluster.set_state("a", state).await;
    }
    cluster.direct.output("delete: sessions.stream.space/a").await;
    cluster.create_session("a").await;
    let mut observed = vec![];
    let until = Instant::now() + WAIT_TIMEOUT;
    while observed.len() < 5 && Instant::now() < until {
        let next = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
        if next.value != last.value {
            observed.push(if at(&next.value, "found") == Value::Bool(true) {
                state_label(&next)
            } else {
                "deleted".into()
            });
        }
        last = next;
    }
    assert_eq!(observed, ["one", "two", "three", "deleted", "null"]);
    assert_eq!(cluster.proxy.watch_requests(), 1);
    assert!(cluster.stage.take_evidence(EvidenceKind::Response).contains("watch: deleted at resourceVersion"));
}

async fn list_is_observed_after_every_selected_change(cluster: TestCluster) {
    cluster.create_session("a").await;
    let action = cluster.stage.action("{ list: sessions.stream.space, labels: 'app in (a, c)' }");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    cluster.create_session("b").await; // not selected, so not observed
    cluster.create_session("c").await;
    cluster.set_state("a", "hibernated").await;
    let relabel = "{ patch: sessions.stream.space/c, merge: { metadata: { labels: { app: other } } } }";
    cluster.direct.output(relabel).await;
    cluster.direct.output("delete: sessions.stream.space/a").await;
    let mut observed = vec![];
    let until = Instant::now() + WAIT_TIMEOUT;
    while observed.len() < 4 && Instant::now() < until {
        let next = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
        if next.value != last.value {
            let items = at(&next.value, "items");
            let state = |o| at(o, "metadata.labels.state");
            let texts = items.as_list().unwrap().iter().map(|o| format!("{}:{}", at(o, "metadata.name"), state(o)));
            observed.push(texts.collect::<Vec<_>>().join(" "));
        }
        last = next;
    }
    assert_eq!(observed, ["a:null c:null", "a:hibernated c:null", "a:hibernated", ""]);
    assert_eq!(at(&last.value, "found"), Value::Bool(false));
}

async fn two_hundred_waiters_share_one_watch(cluster: TestCluster) {
    const WAITERS: usize = 200;
    let names: Vec<String> = (0..WAITERS).map(|i| format!("s{i}")).collect();
    for many in names.chunks(20) {
        futures::future::join_all(many.iter().map(|n| cluster.create_session(n))).await;
    }
    let ready = AtomicUsize::new(0);
    let wait = async |name: &String| {
        let action = cluster.stage.action(&format!("get: sessions.stream.space/{name}"));
        let mut last = action.perform(&cluster.stage.context()).await.unwrap();
        let until = Instant::now() + 3 * WAIT_TIMEOUT;
        last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
        ready.fetch_add(1, Ordering::SeqCst);
        while state_label(&last) != "done" && Instant::now() < until {
            last = cluster.stage.next(&*action, &last, 5 * POLL_INTERVAL).await.unwrap();
        }
        state_label(&last)
    };
    let change = async {
        while ready.load(Ordering::SeqCst) < WAITERS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = cluster.proxy.requests();
        for many in names.chunks(20) {
            futures::future::join_all(many.iter().map(|n| cluster.set_state(n, "done"))).await;
        }
        before
    };
    let (states, before) = futures::join!(futures::future::join_all(names.iter().map(wait)), change);
    assert!(states.iter().all(|s| s == "done"), "{states:?}");
    assert_eq!(cluster.proxy.watch_requests(), 1);
    assert_eq!(cluster.proxy.requests(), before, "waiting by watch sends no further requests");
}

async fn idle_wait_repeats_at_the_interval_without_requests(cluster: TestCluster) {
    cluster.create_session("a").await;
    let action = cluster.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    // Wait until the watch has started.
    let mut before = 0;
    while before != cluster.proxy.requests() {
        before = cluster.proxy.requests();
        last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
    }
    for _ in 0..5 {
        let start = Instant::now();
        let next = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
        let took = start.elapsed();
        assert!(took >= POLL_INTERVAL && took < POLL_INTERVAL * 10, "{took:?}");
        assert!(next.at > last.at && next.value == last.value);
        last = next;
    }
    assert_eq!(cluster.proxy.requests(), before);
}

async fn watch_resumes_after_broken_connection(cluster: TestCluster) {
    cluster.create_session("a").await;
    let action = cluster.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
    let mut observed = vec![];
    for round in 0..6 {
        cluster.proxy.drop_connections();
        for half in ["x", "y"] {
            cluster.set_state("a", &format!("{half}{round}")).await;
        }
        let until = Instant::now() + WAIT_TIMEOUT;
        while observed.len() < 2 * (round + 1) && Instant::now() < until {
            let next = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
            if next.value != last.value {
                observed.push(state_label(&next));
            }
            last = next;
        }
    }
    let expected: Vec<String> = (0..6).flat_map(|r| [format!("x{r}"), format!("y{r}")]).collect();
    assert_eq!(observed, expected);
    assert!(cluster.proxy.watch_requests() > 1);
}

/// With a short history of the embedded server, and with a 410 response of the real one.
async fn relists_when_the_history_has_expired(cluster: TestCluster) {
    cluster.create_session("a").await;
    let action = cluster.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    for i in 0..20 {
        cluster.set_state("a", &format!("s{i}")).await;
    }
    cluster.expire_next_watch();
    let until = Instant::now() + WAIT_TIMEOUT;
    while state_label(&last) != "s19" && Instant::now() < until {
        last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
    }
    assert_eq!(state_label(&last), "s19");
    assert!(cluster.stage.take_evidence(EvidenceKind::Note).contains("listed again"));
    // From here on the watch continues.
    cluster.set_state("a", "after").await;
    let next = cluster.stage.next(&*action, &last, WAIT_TIMEOUT).await.unwrap();
    assert_eq!(state_label(&next), "after");
}

mod expired {
    use super::TestCluster;

    #[tokio::test]
    async fn on_the_embedded_server() {
        super::relists_when_the_history_has_expired(TestCluster::with_short_history().await).await;
    }

    #[tokio::test]
    #[ignore = "needs a Kubernetes API server: tests/run"]
    async fn on_a_real_cluster() {
        super::relists_when_the_history_has_expired(TestCluster::real().await).await;
    }
}

async fn observes_a_change_within_milliseconds(cluster: TestCluster) {
    cluster.create_session("a").await;
    let action = cluster.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
    let mut delays = vec![];
    for i in 0..30 {
        let change = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cluster.set_state("a", &format!("s{i}")).await;
            Instant::now()
        };
        let observe = async {
            let next = cluster.stage.next(&*action, &last, Duration::from_secs(5)).await.unwrap();
            (next, Instant::now())
        };
        let (changed, (next, observed)) = futures::join!(change, observe);
        assert_eq!(state_label(&next), format!("s{i}"));
        delays.push(observed.saturating_duration_since(changed));
        last = next;
    }
    delays.sort();
    // Polling would take half an interval. The limit is far above the usual delay, so that a busy machine passes.
    assert!(delays[15] < Duration::from_millis(15), "{delays:?}");
}

/// With the whole runner: a short state during an outage is observed.
async fn step_survives_a_server_outage_without_missing_states(cluster: TestCluster) {
    cluster.create_session("a").await;
    let plan = "plan: outage\ntitle: T\nenvironment: here\ncases:\n  - id: A\n    title: T\n    tier: must\n    expected:\n      - result: The short state is observed\n        \
                do:\n          - k8s: { get: sessions.stream.space/a }\n            eventually: 60s\n            check: '\"state\" in \
                object.metadata.labels && object.metadata.labels.state == \"short\"'\n";
    std::fs::write(cluster.dir.path().join("plan.yaml"), plan).unwrap();
    let environments = "environments: { here: { targets: { cluster: { k8s: { kubeconfig: proxied } } } } }\n";
    std::fs::write(cluster.dir.path().join("tp-runner.yaml"), environments).unwrap();
    let mut runner = tokio::process::Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    let runner =
        runner.args(["run", "plan.yaml", "--report-dir", "r"]).current_dir(cluster.dir.path()).kill_on_drop(true);
    let run = tokio::spawn(runner.output());
    let until = Instant::now() + WAIT_TIMEOUT;
    let wait_for = async |condition: &dyn Fn() -> bool| {
        while !condition() {
            assert!(Instant::now() < until, "the condition is not met in time");
            tokio::time::sleep(POLL_INTERVAL / 5).await;
        }
    };
    wait_for(&|| cluster.proxy.watch_requests() > 0).await;
    cluster.proxy.go_offline();
    cluster.set_state("a", "short").await;
    cluster.set_state("a", "long").await;
    // Both the watch and the polling requests fail several times.
    wait_for(&|| cluster.proxy.refused_connections() > 10).await;
    tokio::time::sleep(20 * POLL_INTERVAL).await;
    cluster.proxy.go_online();
    let output = run.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
}
