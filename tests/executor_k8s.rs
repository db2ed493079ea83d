//! The verb `k8s`, black box, against the embedded Kubernetes API over sockets; between them a wire that counts and can be cut.
#![cfg(feature = "sandbox")]
mod executor_stage;

use executor_stage::{Stage, at, compile};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tp_runner::{
    event::EvidenceKind,
    executor::{Output, StepError},
    sandbox::cluster::{Cluster, Options, serve},
    value::Value,
};

const PACE: Duration = Duration::from_millis(100);

/// Passes bytes on, counts the watches that go by, and can break every connection.
struct Wire {
    address: SocketAddr,
    watches: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    cut: watch::Sender<u64>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (watches, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let cut = watch::Sender::new(0);
        let (w, r, c) = (watches.clone(), requests.clone(), cut.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (w, r, mut c) = (w.clone(), r.clone(), c.clone());
                c.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(client, server, &w, &r) => {}
                        _ = c.changed() => {}
                    }
                });
            }
        });
        Wire { address, watches, requests, cut }
    }

    fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    fn watches(&self) -> usize {
        self.watches.load(Ordering::SeqCst)
    }
}

async fn pass(
    client: TcpStream,
    server: SocketAddr,
    watches: &AtomicUsize,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut cr, mut cw), (mut sr, mut sw)) = (client.into_split(), server.into_split());
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = cr.read(&mut buffer).await?;
            let text = String::from_utf8_lossy(&buffer[..n]);
            watches.fetch_add(text.matches("watch=1").count(), Ordering::SeqCst);
            requests.fetch_add(text.matches(" HTTP/1.1\r\n").count(), Ordering::SeqCst);
            if n == 0 {
                return std::io::Result::Ok(());
            }
            sw.write_all(&buffer[..n]).await?;
        }
    };
    tokio::select! {
        r = up => r,
        r = tokio::io::copy(&mut sr, &mut cw) => r.map(|_| ()),
    }
}

struct World {
    stage: Stage,
    /// The same cluster by a way of its own, for changes.
    other: Stage,
    wire: Wire,
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    world_with(Options::default()).await
}

async fn world_with(options: Options) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).await;
    let wire = Wire::to(cluster.address()).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wire"), cluster.kubeconfig(&format!("http://{}", wire.address))).unwrap();
    std::fs::write(dir.path().join("direct"), cluster.kubeconfig(&format!("http://{}", cluster.address()))).unwrap();
    let open =
        async |file: &str| Stage::new("k8s", dir.path()).open(&format!("k8s: {{ kubeconfig: {file} }}")).await.unwrap();
    let (stage, other) = (open("wire").await, open("direct").await);
    // These tests count by states that no session has.
    let open = "{ patch: customresourcedefinitions.apiextensions.k8s.io/sessions.stream.space, json: [ \
        { op: replace, path: /spec/versions/0/schema/openAPIV3Schema, value: { type: object, x-kubernetes-preserve-unknown-fields: true } }] }";
    assert_eq!(at(&other.see(open).await, "found"), Value::Bool(true));
    World { stage, other, wire, cluster, _dir: dir }
}

impl World {
    async fn make(&self, name: &str) -> Value {
        let made = self.other.see(&session(name)).await;
        assert_eq!(at(&made, "found"), Value::Bool(true), "{made}");
        made
    }

    async fn state(&self, name: &str, state: &str) {
        let body = format!("{{ patch: sessions.stream.space/{name}, merge: {{ spec: {{ state: {state} }} }} }}");
        let done = self.other.see(&body).await;
        assert_eq!(at(&done, "object.spec.state"), Value::text(state), "{done}");
    }
}

fn session(name: &str) -> String {
    format!(
        "create: {{ apiVersion: stream.space/v1alpha1, kind: Session, metadata: {{ name: {name}, labels: {{ app: {name} }} }}, \
         spec: {{ user: ann, template: t, state: running }} }}"
    )
}

fn state(o: &Output) -> String {
    at(&o.value, "object.spec.state").to_string()
}

#[tokio::test]
async fn makes_looks_changes_and_deletes() {
    let w = world().await;
    let s = &w.stage;
    let missing = s.see("get: sessions.stream.space/a").await;
    assert_eq!(at(&missing, "found"), Value::Bool(false));
    assert_eq!(at(&missing, "object"), Value::Null);
    assert_eq!(at(&missing, "error.code"), Value::Int(404));
    assert_eq!(at(&missing, "error.reason"), Value::text("NotFound"));

    let made = s.see(&session("a")).await;
    assert_eq!((at(&made, "found"), at(&made, "error")), (Value::Bool(true), Value::Null));
    assert!(s.noted(EvidenceKind::Reproduce).contains("kubectl create -n streamspace --kubeconfig"));

    let again = s.see(&session("a")).await;
    assert_eq!((at(&again, "found"), at(&again, "error.reason")), (Value::Bool(false), Value::text("AlreadyExists")));

    let seen = s.see("get: sessions.stream.space/a").await;
    assert_eq!(at(&seen, "object"), at(&made, "object"), "a list leaves apiVersion and kind out; a look does not");
    let evidence = s.noted(EvidenceKind::Reproduce);
    assert!(evidence.contains("kubectl get sessions.stream.space a -n streamspace -o yaml"), "{evidence}");

    let patched = s.see("{ patch: Session/a, json: [{ op: replace, path: /spec/state, value: hibernated }] }").await;
    assert_eq!(at(&patched, "object.spec.state"), Value::text("hibernated"), "{patched}");
    let patched = s.see("{ patch: sessions.stream.space/a, merge: { spec: { state: running } } }").await;
    assert_eq!(at(&patched, "object.spec.state"), Value::text("running"), "{patched}");
    let by_hand = s.noted(EvidenceKind::Reproduce);
    assert!(by_hand.contains(r#"--type=merge -p '{"spec":{"state":"running"}}' -n streamspace"#), "{by_hand}");
    let stale = s
        .see("{ patch: sessions.stream.space/a, merge: { metadata: { resourceVersion: '1' }, spec: { state: x } } }")
        .await;
    assert_eq!((at(&stale, "found"), at(&stale, "error.reason")), (Value::Bool(false), Value::text("Conflict")));
    let nobody = s.see("{ patch: sessions.stream.space/b, merge: { spec: {} } }").await;
    assert_eq!((at(&nobody, "found"), at(&nobody, "error.code")), (Value::Bool(false), Value::Int(404)));

    let gone = s.see("delete: sessions.stream.space/a").await;
    assert_eq!(at(&gone, "found"), Value::Bool(true));
    let gone = s.see("delete: sessions.stream.space/a").await;
    assert_eq!((at(&gone, "found"), at(&gone, "error.code")), (Value::Bool(false), Value::Int(404)));
}

#[tokio::test]
async fn lists_by_label_field_owner_and_everything() {
    let w = world().await;
    let owner = w.make("a").await;
    w.make("b").await;
    let uid = at(&owner, "object.metadata.uid").to_string();
    for (kind, name) in [("ConfigMap", "mine"), ("Secret", "mine")] {
        let body = format!(
            "create: {{ apiVersion: v1, kind: {kind}, metadata: {{ name: {name}, labels: {{ app: a }}, ownerReferences: \
             [{{ apiVersion: stream.space/v1alpha1, kind: Session, name: a, uid: {uid} }}] }} }}"
        );
        w.stage.see(&body).await;
    }
    let count = async |body: &str| {
        let v = w.stage.see(body).await;
        let n = at(&v, "items").as_list().unwrap_or_else(|| panic!("{body}: {v}")).len();
        assert_eq!(at(&v, "found"), Value::Bool(n > 0));
        (n, v)
    };
    assert_eq!(count("list: sessions.stream.space").await.0, 2);
    let (n, one) = count("{ list: sessions.stream.space, labels: { app: b } }").await;
    assert_eq!(
        (n, at(&one, "items.0.kind"), at(&one, "items.0.apiVersion")),
        (1, Value::text("Session"), Value::text("stream.space/v1alpha1"))
    );
    assert_eq!(count("{ list: sessions.stream.space, labels: 'app in (a, b), !old' }").await.0, 2);
    assert_eq!(count("{ list: sessions.stream.space, fields: { metadata.name: a } }").await.0, 1);
    assert_eq!(count("{ list: sessions.stream.space, namespace: default }").await.0, 0);
    assert_eq!(count(&format!("{{ list: configmaps, owner: {uid} }}")).await.0, 1);
    assert_eq!(count(&format!("{{ list: '*', owner: {uid} }}")).await.0, 2);
    assert_eq!(count("{ list: '*', labels: { app: a } }").await.0, 3);
    assert_eq!(count("{ list: '*', owner: 00000000-0000-0000-0000-000000000000 }").await.0, 0);
    let e = w.stage.fail("{ list: sessions.stream.space, labels: { app: 'a,b' } }").await;
    assert!(e.to_string().contains("cannot be the value of a label"), "{e}");
}

#[tokio::test]
async fn a_selector_that_the_cluster_refuses_says_nothing_about_what_is_there() {
    let w = world().await;
    let v = w.stage.see("{ list: sessions.stream.space, fields: { spec.nonsense: x } }").await;
    assert_eq!((at(&v, "found"), at(&v, "items")), (Value::Null, Value::Null), "{v}");
    assert_eq!(at(&v, "error.code"), Value::Int(400));
}

#[tokio::test]
async fn events_of_an_object_and_of_the_namespace() {
    let w = world().await;
    for (name, of) in [("e1", "a"), ("e2", "b")] {
        let body = format!(
            "create: {{ apiVersion: v1, kind: Event, metadata: {{ name: {name} }}, reason: Made, type: Normal, \
             involvedObject: {{ apiVersion: stream.space/v1alpha1, kind: Session, name: {of}, namespace: streamspace }} }}"
        );
        assert_eq!(at(&w.stage.see(&body).await, "found"), Value::Bool(true));
    }
    let of_a = w.stage.see("events: sessions.stream.space/a").await;
    assert_eq!(at(&of_a, "items").as_list().map(<[Value]>::len), Some(1), "{of_a}");
    assert_eq!(at(&of_a, "items.0.involvedObject.name"), Value::text("a"));
    let all = w.stage.see("events: true").await;
    assert_eq!(at(&all, "items").as_list().map(<[Value]>::len), Some(2));
}

#[tokio::test]
async fn resources_are_found_by_every_name_and_unknown_ones_with_what_was_meant() {
    let w = world().await;
    for word in ["sessions.stream.space", "session", "Session.v1alpha1.stream.space", "sessions"] {
        assert_eq!(at(&w.stage.see(&format!("get: {word}/x")).await, "found"), Value::Bool(false), "{word}");
    }
    assert_eq!(at(&w.stage.see("list: deploy").await, "found"), Value::Bool(false));
    assert_eq!(at(&w.stage.see("get: ns/streamspace").await, "object.kind"), Value::text("Namespace"));
    let e = w.stage.fail("get: sesions.stream.space/x").await;
    assert!(
        matches!(e, StepError::Invalid(_)) && e.to_string().contains("did you mean `sessions.stream.space`?"),
        "{e}"
    );
    let e = w.stage.fail("create: { apiVersion: stream.space/v2, kind: Session, metadata: { name: x } }").await;
    assert!(e.to_string().contains("but in `stream.space/v1alpha1`"), "{e}");
    // A definition that comes while the plan runs is found: what is unknown is asked for once more.
    let gadget = "create: { apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: gadgets.x.example }, \
        spec: { group: x.example, scope: Namespaced, names: { plural: gadgets, singular: gadget, kind: Gadget }, \
        versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }] } }";
    assert!(w.stage.perform("list: gadgets.x.example").await.is_err());
    let made = w.stage.see(gadget).await;
    assert_eq!(at(&made, "found"), Value::Bool(true), "{made}");
    assert_eq!(at(&w.stage.see("list: gadgets.x.example").await, "found"), Value::Bool(false));
}

#[tokio::test]
async fn a_name_that_would_change_the_path_is_refused() {
    let w = world().await;
    for name in ["a/../b", "..", "a?x=1", "a b", "a%2Fb"] {
        let e = w.stage.fail(&format!("get: 'sessions.stream.space/{name}'")).await;
        assert!(e.to_string().contains("cannot be the name of an object"), "{e}");
    }
}

#[tokio::test]
async fn every_state_is_seen_once_and_in_order_however_short_it_was() {
    let w = world().await;
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
    let until = Instant::now() + Duration::from_secs(5);
    while seen.len() < 5 && Instant::now() < until {
        let next = w.stage.next(&*action, &last, PACE).await.unwrap();
        if next.value != last.value {
            seen.push(if at(&next.value, "found") == Value::Bool(true) { state(&next) } else { "gone".into() });
        }
        last = next;
    }
    assert_eq!(seen, ["one", "two", "three", "gone", "running"]);
    assert_eq!(w.wire.watches(), 1);
    assert!(w.stage.noted(EvidenceKind::Response).contains("watch: deleted at resourceVersion"));
}

#[tokio::test]
async fn a_list_is_looked_at_after_every_change_of_what_it_selects() {
    let w = world().await;
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
    let until = Instant::now() + Duration::from_secs(5);
    while seen.len() < 4 && Instant::now() < until {
        let next = w.stage.next(&*action, &last, PACE).await.unwrap();
        if next.value != last.value {
            let items = at(&next.value, "items");
            let texts =
                items.as_list().unwrap().iter().map(|o| format!("{}:{}", at(o, "metadata.name"), at(o, "spec.state")));
            seen.push(texts.collect::<Vec<_>>().join(" "));
        }
        last = next;
    }
    assert_eq!(seen, ["a:running c:running", "a:hibernated c:running", "a:hibernated", ""]);
    assert_eq!(at(&last.value, "found"), Value::Bool(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_waiters_share_one_watch() {
    let w = world().await;
    for i in 0..20 {
        w.make(&format!("s{i}")).await;
    }
    let ready = AtomicUsize::new(0);
    let wait = async |i: usize| {
        let action = w.stage.action(&format!("get: sessions.stream.space/s{i}"));
        let mut last = action.perform(&w.stage.context()).await.unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        last = w.stage.next(&*action, &last, PACE).await.unwrap();
        ready.fetch_add(1, Ordering::SeqCst);
        while state(&last) != "hibernated" && Instant::now() < until {
            last = w.stage.next(&*action, &last, PACE).await.unwrap();
        }
        state(&last)
    };
    let change = async {
        while ready.load(Ordering::SeqCst) < 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = w.wire.requests.load(Ordering::SeqCst);
        for i in 0..20 {
            w.state(&format!("s{i}"), "hibernated").await;
        }
        before
    };
    let (states, before) = futures::join!(futures::future::join_all((0..20).map(wait)), change);
    assert!(states.iter().all(|s| s == "hibernated"), "{states:?}");
    assert_eq!(w.wire.watches(), 1);
    assert_eq!(w.wire.requests.load(Ordering::SeqCst), before, "who waits by watch asks nothing more");
}

#[tokio::test]
async fn when_nothing_changes_a_look_comes_at_the_pace_and_costs_no_request() {
    let w = world().await;
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let mut last = action.perform(&w.stage.context()).await.unwrap();
    // Until the watch is there.
    let mut before = 0;
    while before != w.wire.requests.load(Ordering::SeqCst) {
        before = w.wire.requests.load(Ordering::SeqCst);
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
    assert_eq!(w.wire.requests.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_when_its_connection_breaks() {
    let w = world().await;
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
        let until = Instant::now() + Duration::from_secs(5);
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

#[tokio::test]
async fn a_history_that_the_server_has_forgotten_is_replaced_by_a_list() {
    let w = world_with(Options { window: 3, ..Options::default() }).await;
    w.make("a").await;
    let action = w.stage.action("get: sessions.stream.space/a");
    let last = action.perform(&w.stage.context()).await.unwrap();
    for i in 0..20 {
        w.state("a", &format!("s{i}")).await;
    }
    let mut last = last;
    let until = Instant::now() + Duration::from_secs(5);
    while state(&last) != "s19" && Instant::now() < until {
        last = w.stage.next(&*action, &last, PACE).await.unwrap();
    }
    assert_eq!(state(&last), "s19");
    assert!(w.stage.noted(EvidenceKind::Note).contains("listed anew"));
    // And from there on by watch again.
    w.state("a", "after").await;
    let next = w.stage.next(&*action, &last, Duration::from_secs(3)).await.unwrap();
    assert_eq!(state(&next), "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_a_look_within_milliseconds() {
    let w = world().await;
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

#[tokio::test]
async fn wrong_credentials_and_a_dead_server_are_no_answers() {
    let w = world().await;
    let dir = tempfile::tempdir().unwrap();
    let config = w.cluster.kubeconfig(&format!("https://{}", w.cluster.address())).replace("https://", "http://");
    let wrong: String = config
        .lines()
        .map(|l| if l.contains("token:") { "    token: wrong\n".into() } else { format!("{l}\n") })
        .collect();
    std::fs::write(dir.path().join("wrong"), wrong).unwrap();
    let s = Stage::new("k8s", dir.path()).open("k8s: { kubeconfig: wrong }").await.unwrap();
    let e = s.fail("get: sessions.stream.space/a").await;
    assert!(matches!(&e, StepError::Unreachable(m) if m.contains("credentials")), "{e}");

    let World { stage, cluster, .. } = w;
    stage.see("get: sessions.stream.space/a").await;
    cluster.shutdown().await;
    let e = stage.fail("get: sessions.stream.space/a").await;
    assert!(
        matches!(&e, StepError::Unreachable(m) if m.contains("no answer from the cluster at http://127.0.0.1")),
        "{e}"
    );

    let opened = Stage::new("k8s", dir.path()).open("k8s: { kubeconfig: not-there }").await;
    let e = opened.err().expect("there is no such file");
    assert!(matches!(&e, StepError::Unreachable(m) if m.contains("cannot read the kubeconfig")), "{e}");
}

#[test]
fn a_body_that_cannot_be_performed_is_a_diagnostic() {
    for (body, expected) in [
        ("get: sessions.stream.space", "plural.group/name"),
        ("list: sessions.stream.space/x", "no name"),
        ("apply: { kind: X }", "not built yet"),
        ("{ get: a/b, list: c }", "two verbs"),
        ("namespace: x", "no verb"),
        ("patch: a/b", "either `merge` or `json`"),
        ("{ patch: a/b, json: { op: x } }", "list of operations"),
        ("{ get: a/b, labels: { x: y } }", "belongs to `list`"),
        ("create: { apiVersion: v1, kind: Pod, metadata: {} }", "lacks `name`"),
        ("create: { kind: Pod, metadata: { name: x } }", "lacks `apiVersion`"),
        ("{ get: a/b, namespce: x }", "namespace"),
        ("{ get: 'a/${b' }", "without a closing"),
    ] {
        let problems = compile("k8s", body).err().unwrap_or_else(|| panic!("{body} compiles"));
        assert!(problems.iter().any(|(_, m)| m.contains(expected)), "{body}: {problems:?}");
    }
    for body in ["create: '${manifest}'", "get: '${what}/${name}'", "events: true", "{ list: '*', owner: '${uid}' }"] {
        assert!(compile("k8s", body).is_ok(), "{body}");
    }
}
