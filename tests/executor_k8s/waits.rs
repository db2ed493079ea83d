//! Waiting by watch; on both servers.
use crate::{
    executor_stage::at,
    world::{LONG, PACE, World, on_both, state},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tp_runner::{event::EvidenceKind, value::Value};

on_both!(
    every_state_is_seen_once_and_in_order_however_short_it_was,
    a_list_is_looked_at_after_every_change_of_what_it_selects,
    two_hundred_waiters_share_one_watch,
    when_nothing_changes_a_look_comes_at_the_pace_and_costs_no_request,
    a_watch_goes_on_where_it_was_when_its_connection_breaks,
    a_change_is_a_look_within_milliseconds,
    a_step_outlives_the_server_and_misses_nothing,
);

async fn every_state_is_seen_once_and_in_order_however_short_it_was(w: World) {
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    // All of it happens between two looks, and before there is a watch.
    for state in ["one", "two", "three"] {
        w.state("a", state).await;
    }
    w.other.see("delete: sessions.stream.space/a").await;
    w.make("a").await;
    let mut seen = vec![];
    let until = Instant::now() + LONG;
    while seen.len() < 5 && Instant::now() < until {
        let next = w.stage.next(&*action, &last, PACE).await.unwrap();
        if next.value != last.value {
            seen.push(if at(&next.value, "found") == Value::Bool(true) { state(&next) } else { "gone".into() });
        }
        last = next;
    }
    assert_eq!(seen, ["one", "two", "three", "gone", "null"]);
    assert_eq!(w.wire.watches(), 1);
    assert!(w.stage.noted(EvidenceKind::Response).contains("watch: deleted at resourceVersion"));
}

async fn a_list_is_looked_at_after_every_change_of_what_it_selects(w: World) {
    w.make("a").await;
    let action = w.stage.action("{ list: sessions.stream.space, labels: 'app in (a, c)' }");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    w.make("b").await; // not selected: no look
    w.make("c").await;
    w.state("a", "hibernated").await;
    let relabel = "{ patch: sessions.stream.space/c, merge: { metadata: { labels: { app: other } } } }";
    w.other.see(relabel).await;
    w.other.see("delete: sessions.stream.space/a").await;
    let mut seen = vec![];
    let until = Instant::now() + LONG;
    while seen.len() < 4 && Instant::now() < until {
        let next = w.stage.next(&*action, &last, PACE).await.unwrap();
        if next.value != last.value {
            let items = at(&next.value, "items");
            let state = |o| at(o, "metadata.labels.state");
            let texts = items.as_list().unwrap().iter().map(|o| format!("{}:{}", at(o, "metadata.name"), state(o)));
            seen.push(texts.collect::<Vec<_>>().join(" "));
        }
        last = next;
    }
    assert_eq!(seen, ["a:null c:null", "a:hibernated c:null", "a:hibernated", ""]);
    assert_eq!(at(&last.value, "found"), Value::Bool(false));
}

async fn two_hundred_waiters_share_one_watch(w: World) {
    const WAITERS: usize = 200;
    let names: Vec<String> = (0..WAITERS).map(|i| format!("s{i}")).collect();
    for many in names.chunks(20) {
        futures::future::join_all(many.iter().map(|n| w.make(n))).await;
    }
    let ready = AtomicUsize::new(0);
    let wait = async |name: &String| {
        let action = w.stage.action(&format!("get: sessions.stream.space/{name}"));
        let mut last = action.perform(&w.stage.context()).await.unwrap();
        let until = Instant::now() + 3 * LONG;
        last = w.stage.next(&*action, &last, PACE).await.unwrap();
        ready.fetch_add(1, Ordering::SeqCst);
        while state(&last) != "done" && Instant::now() < until {
            last = w.stage.next(&*action, &last, 5 * PACE).await.unwrap();
        }
        state(&last)
    };
    let change = async {
        while ready.load(Ordering::SeqCst) < WAITERS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = w.wire.requests();
        for many in names.chunks(20) {
            futures::future::join_all(many.iter().map(|n| w.state(n, "done"))).await;
        }
        before
    };
    let (states, before) = futures::join!(futures::future::join_all(names.iter().map(wait)), change);
    assert!(states.iter().all(|s| s == "done"), "{states:?}");
    assert_eq!(w.wire.watches(), 1);
    assert_eq!(w.wire.requests(), before, "who waits by watch asks nothing more");
}

async fn when_nothing_changes_a_look_comes_at_the_pace_and_costs_no_request(w: World) {
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    // Until the watch is there.
    let mut before = 0;
    while before != w.wire.requests() {
        before = w.wire.requests();
        last = w.stage.next(&*action, &last, PACE).await.unwrap();
    }
    for _ in 0..5 {
        let began = Instant::now();
        let next = w.stage.next(&*action, &last, PACE).await.unwrap();
        let took = began.elapsed();
        assert!(took >= PACE && took < PACE * 10, "{took:?}");
        assert!(next.at > last.at && next.value == last.value);
        last = next;
    }
    assert_eq!(w.wire.requests(), before);
}

async fn a_watch_goes_on_where_it_was_when_its_connection_breaks(w: World) {
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    last = w.stage.next(&*action, &last, PACE).await.unwrap();
    let mut seen = vec![];
    for round in 0..6 {
        w.wire.cut();
        for half in ["x", "y"] {
            w.state("a", &format!("{half}{round}")).await;
        }
        let until = Instant::now() + LONG;
        while seen.len() < 2 * (round + 1) && Instant::now() < until {
            let next = w.stage.next(&*action, &last, PACE).await.unwrap();
            if next.value != last.value {
                seen.push(state(&next));
            }
            last = next;
        }
    }
    let expected: Vec<String> = (0..6).flat_map(|r| [format!("x{r}"), format!("y{r}")]).collect();
    assert_eq!(seen, expected);
    assert!(w.wire.watches() > 1);
}

/// With the embedded server's own short memory, and with a real 410 of the real one.
async fn a_history_that_the_server_has_forgotten_is_replaced_by_a_list(w: World) {
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    for i in 0..20 {
        w.state("a", &format!("s{i}")).await;
    }
    w.forget_history();
    let until = Instant::now() + LONG;
    while state(&last) != "s19" && Instant::now() < until {
        last = w.stage.next(&*action, &last, PACE).await.unwrap();
    }
    assert_eq!(state(&last), "s19");
    assert!(w.stage.noted(EvidenceKind::Note).contains("listed anew"));
    // And from there on by watch again.
    w.state("a", "after").await;
    let next = w.stage.next(&*action, &last, LONG).await.unwrap();
    assert_eq!(state(&next), "after");
}

mod forgotten {
    use super::World;

    #[tokio::test]
    async fn by_the_embedded_server() {
        super::a_history_that_the_server_has_forgotten_is_replaced_by_a_list(World::forgetful().await).await;
    }

    #[tokio::test]
    async fn by_the_real_server() {
        if let Some(world) = World::real().await {
            super::a_history_that_the_server_has_forgotten_is_replaced_by_a_list(world).await;
        }
    }
}

async fn a_change_is_a_look_within_milliseconds(w: World) {
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    last = w.stage.next(&*action, &last, PACE).await.unwrap();
    let mut delays = vec![];
    for i in 0..30 {
        let change = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            w.state("a", &format!("s{i}")).await;
            Instant::now()
        };
        let look = async {
            let next = w.stage.next(&*action, &last, Duration::from_secs(5)).await.unwrap();
            (next, Instant::now())
        };
        let (changed, (next, seen)) = futures::join!(change, look);
        assert_eq!(state(&next), format!("s{i}"));
        delays.push(seen.saturating_duration_since(changed));
        last = next;
    }
    delays.sort();
    // A poll at the engine's pace would be late by half of it. Far above what it takes, so that a busy machine does not fail it.
    assert!(delays[15] < Duration::from_millis(15), "{delays:?}");
}

/// The whole runner: what was only for a moment, and while the server was away, is seen all the same.
async fn a_step_outlives_the_server_and_misses_nothing(w: World) {
    w.make("a").await;
    let plan = "plan: outage\ntitle: T\nenvironment: here\ncases:\n  - id: A\n    title: T\n    tier: must\n    expected:\n      - result: It is seen\n        \
                do:\n          - k8s: { get: sessions.stream.space/a }\n            eventually: 60s\n            check: '\"state\" in \
                object.metadata.labels && object.metadata.labels.state == \"short\"'\n";
    std::fs::write(w.dir.path().join("plan.yaml"), plan).unwrap();
    let place = "environments: { here: { targets: { cluster: { k8s: { kubeconfig: wire } } } } }\n";
    std::fs::write(w.dir.path().join("tp-runner.yaml"), place).unwrap();
    let mut runner = tokio::process::Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    let runner = runner.args(["run", "plan.yaml", "--report-dir", "r"]).current_dir(w.dir.path()).kill_on_drop(true);
    let run = tokio::spawn(runner.output());
    let until = Instant::now() + LONG;
    let wait = async |there: &dyn Fn() -> bool| {
        while !there() {
            assert!(Instant::now() < until, "it never comes to that");
            tokio::time::sleep(PACE / 5).await;
        }
    };
    wait(&|| w.wire.watches() > 0).await;
    w.wire.go_down();
    w.state("a", "short").await;
    w.state("a", "long").await;
    // The watch tries again at once, and a look every second: some of each come to nothing.
    wait(&|| w.wire.turned_away() > 10).await;
    tokio::time::sleep(20 * PACE).await;
    w.wire.come_back();
    let ran = run.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{said}");
}
