//! The ways to a cluster, and a sentence of its own for each way that does not lead there.
use crate::{
    executor_stage::{Stage, at},
    world::{World, open, read},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};
use std::{os::unix::fs::PermissionsExt as _, path::Path};
use tokio::net::TcpListener;
use tp_runner::{executor::ActionError, value::Value};
use tp_runner_sandbox::cluster::{Cluster, Options, serve};

/// The embedded server without a token in its path, and the folder of a kubeconfig.
async fn server(token: &str) -> (Cluster, tempfile::TempDir) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options { token: token.into(), ..Options::default() };
    (serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).await, tempfile::tempdir().unwrap())
}

fn config(server: &str, user: Json) -> Json {
    json!({ "apiVersion": "v1", "kind": "Config", "current-context": "blue",
        "contexts": [{ "name": "blue", "context": { "cluster": "c", "user": "u", "namespace": "streamspace" } }],
        "clusters": [{ "name": "c", "cluster": { "server": server } }], "users": [{ "name": "u", "user": user }] })
}

fn write(dir: &Path, config: &Json) {
    std::fs::write(dir.join("config"), config.to_string()).unwrap();
}

async fn opened(dir: &Path, target: &str) -> Result<Stage, ActionError> {
    Stage::new("k8s", dir).open(target).await
}

/// What is said where the target cannot even be opened.
async fn said(dir: &Path, config: &Json, target: &str) -> String {
    write(dir, config);
    match opened(dir, target).await {
        Err(ActionError::Unreachable(said)) => said,
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("{target} is opened"),
    }
}

/// What is said where the first request fails.
async fn refused(dir: &Path, config: &Json) -> String {
    write(dir, config);
    match open(dir, "config").await.fail("get: pods/x").await {
        ActionError::Unreachable(said) => said,
        e => panic!("{e:?}"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_kubeconfig_is_said() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (good, usual) = (config("http://127.0.0.1:1", json!({})), "k8s: { kubeconfig: config }");
    let without = |pointer: &str, key: &str| {
        let mut config = good.clone();
        config.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
        config
    };
    let e = said(dir, &good, "k8s: { kubeconfig: nowhere }").await;
    assert!(e.starts_with("there is no kubeconfig `") && e.ends_with("nowhere`"), "{e}");
    let e = said(dir, &good, "k8s: { kubeconfig: config, context: bleu }").await;
    assert!(e.ends_with("has no context `bleu`, but `blue`; did you mean `blue`?"), "{e}");
    let e = said(dir, &without("", "current-context"), usual).await;
    assert!(e.ends_with("has no current context; say `context:` in the target: `blue`"), "{e}");
    let e = said(dir, &without("", "clusters"), usual).await;
    assert!(e.ends_with("in context `blue`, has no cluster `c`, but none"), "{e}");
    let e = said(dir, &without("", "users"), usual).await;
    assert!(e.ends_with("in context `blue`, has no user `u`, but none"), "{e}");
    let e = said(dir, &without("/clusters/0/cluster", "server"), usual).await;
    assert!(e.contains("cluster url is missing"), "{e}");
    let e = said(dir, &json!("nonsense"), usual).await;
    assert!(e.contains("` is no kubeconfig: "), "{e}");
    let e = said(dir, &config("http://127.0.0.1:1", json!({ "tokenFile": "token" })), usual).await;
    assert!(e.starts_with("the token file `") && e.contains("token` cannot be read: "), "{e}");
    let keys = json!({ "client-certificate": "c.pem", "client-key": "k.pem" });
    let e = said(dir, &config("https://127.0.0.1:1", keys), usual).await;
    assert!(e.starts_with("the client certificate `") && e.contains("c.pem` of the kubeconfig cannot be read"), "{e}");
    let mut authority = good.clone();
    authority["clusters"][0]["cluster"]["certificate-authority"] = json!("ca.pem");
    let e = said(dir, &authority, usual).await;
    assert!(e.starts_with("the certificate authority `") && e.contains("ca.pem` of the kubeconfig"), "{e}");
    let e = said(dir, &good, "k8s: in-cluster").await;
    assert!(e.starts_with("no way to the cluster from here, as this is no pod with a service account: "), "{e}");
}

#[tokio::test]
async fn a_credential_plugin_is_run_and_never_asks() {
    let (server, dir) = server("from-the-plugin").await;
    let (dir, url) = (dir.path(), format!("http://{}", server.address()));
    let plugin = |more: Json| {
        let mut exec = json!({ "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "IfAvailable" });
        exec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config(&url, json!({ "exec": exec }))
    };
    let script = |text: &str| {
        let path = dir.join("plugin");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let usual = "k8s: { kubeconfig: config }";
    let e = said(dir, &plugin(json!({ "installHint": "get it from the shop" })), usual).await;
    assert!(e.starts_with("there is no credential plugin `") && e.ends_with("get it from the shop"), "{e}");
    script("echo 'no session, log in first' >&2; exit 3");
    let e = said(dir, &plugin(json!({})), usual).await;
    assert!(e.ends_with("ended with exit status: 3: no session, log in first"), "{e}");
    script("echo hello");
    let e = said(dir, &plugin(json!({})), usual).await;
    assert!(e.ends_with("printed no `ExecCredential` with a status"), "{e}");
    let e = said(dir, &plugin(json!({ "interactiveMode": "Always" })), usual).await;
    assert!(e.contains("wants to ask somebody"), "{e}");
    // It gets what it needs to know, and its standard input is closed.
    script(
        r#"case $KUBERNETES_EXEC_INFO in *'"interactive":false'*) ;; *) exit 9 ;; esac
read -r line && exit 8
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$TOKEN'"}}'"#,
    );
    write(dir, &plugin(json!({ "env": [{ "name": "TOKEN", "value": "from-the-plugin" }] })));
    let seen = opened(dir, usual).await.unwrap().see("get: ns/streamspace").await;
    assert_eq!(at(&seen, "found"), Value::Bool(true));
}

#[tokio::test]
async fn a_token_comes_from_the_kubeconfig_a_file_or_a_provider() {
    // As far as a client looks into it: until when it may be used.
    let claims = URL_SAFE_NO_PAD.encode(json!({ "exp": 4_102_444_800u64 }).to_string());
    let token = format!("{}.{claims}.c2lnbmVk", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    let (server, dir) = server(&token).await;
    let (dir, url) = (dir.path(), format!("http://{}", server.address()));
    std::fs::write(dir.join("token"), &token).unwrap();
    let provider = json!({ "name": "oidc", "config": { "id-token": token, "idp-issuer-url": "https://issuer.example", "client-id": "c" } });
    for user in [json!({ "token": token }), json!({ "tokenFile": "token" }), json!({ "auth-provider": provider })] {
        write(dir, &config(&url, user.clone()));
        let stage = open(dir, "config").await;
        let seen = stage.see("get: ns/streamspace").await;
        assert_eq!(at(&seen, "found"), Value::Bool(true), "{user}");
        let known = stage.scope.secrets().names_in(&format!("it says {token}"));
        assert_eq!(known.is_empty(), user.get("tokenFile").is_some(), "{user}: {known:?}");
    }
    let e = refused(dir, &config(&url, json!({ "token": "wrong" }))).await;
    assert!(
        e.starts_with("the cluster at http://127.0.0.1:") && e.contains("does not accept our credentials (401)"),
        "{e}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_answer() {
    let (server, dir) = server("t").await;
    let (dir, address) = (dir.path(), server.address());
    let e = refused(dir, &config(&format!("https://{address}"), json!({ "token": "t" }))).await;
    assert!(e.ends_with("it does not speak TLS; is `http://` meant in the kubeconfig?"), "{e}");
    server.shutdown().await;
    let e = refused(dir, &config(&format!("http://{address}"), json!({ "token": "t" }))).await;
    let start = format!("no answer from the cluster at http://{address}: the connection is refused");
    assert!(e.starts_with(&start), "{e}");
    let e = refused(dir, &config("http://no-such-host.invalid", json!({}))).await;
    assert!(e.ends_with("nobody knows a host of that name"), "{e}");

    let other = axum::Router::new().fallback(|| async { "hello" });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, other).await });
    let e = refused(dir, &config(&url, json!({}))).await;
    assert!(e.ends_with("is not that of a Kubernetes API: hello"), "{e}");
}

#[tokio::test]
async fn the_real_server_is_not_reached_by_any_wrong_way() {
    let Some(w) = World::real().await else { return };
    let (good, dir) = (read(&w.admin), w.dir.path());
    let changed = |pointer: &str, key: &str, value: Json| {
        let mut config = good.clone();
        config.pointer_mut(pointer).unwrap()[key] = value;
        config
    };
    let e = refused(dir, &changed("/users/0/user", "token", json!("wrong"))).await;
    assert!(e.contains("does not accept our credentials (401)"), "{e}");
    let mut stranger = good.clone();
    stranger["clusters"][0]["cluster"].as_object_mut().unwrap().remove("certificate-authority-data");
    let e = refused(dir, &stranger).await;
    assert!(e.contains("TLS: its certificate is signed by nobody whom the kubeconfig trusts"), "{e}");
    let e = refused(dir, &changed("/clusters/0/cluster", "tls-server-name", json!("other.example"))).await;
    assert!(e.contains("TLS: its certificate is for another host; set `tls-server-name`"), "{e}");
    let plain = good["clusters"][0]["cluster"]["server"].as_str().unwrap().replace("https://", "http://");
    let e = refused(dir, &changed("/clusters/0/cluster", "server", json!(plain))).await;
    assert!(e.contains("is not that of a Kubernetes API: Client sent an HTTP request to an HTTPS server"), "{e}");
    let mut skipping = stranger.clone();
    skipping["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = json!(true);
    write(dir, &skipping);
    let seen = open(dir, "config").await.see(&format!("get: ns/{}", w.namespace)).await;
    assert_eq!(at(&seen, "found"), Value::Bool(true), "who says so need not know the certificate");
    // Somebody else's name, as `kubectl --as` has it.
    write(dir, &changed("/users/0/user", "as", json!("nobody")));
    let seen = open(dir, "config").await.see("get: pods/x").await;
    assert_eq!(at(&seen, "error.code"), Value::Int(403), "{seen}");
    assert!(at(&seen, "error.message").to_string().contains("User \"nobody\""), "{seen}");
}

/// A server that lets in who shows a certificate of its authority, and nobody else.
#[tokio::test]
async fn a_client_certificate_is_shown() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let openssl = |line: &str| {
        let done = std::process::Command::new("openssl").args(line.split(' ')).current_dir(dir).output();
        let done = done.expect("openssl runs");
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for authority in ["ca", "other"] {
        openssl(&format!("req -x509 {key} -keyout {authority}.key -out {authority}.crt -subj /CN={authority}"));
    }
    std::fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1").unwrap();
    for (name, authority) in [("server", "ca"), ("me", "ca"), ("stranger", "other")] {
        openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -days 2 -extfile san -out {name}.crt"
        ));
    }
    let body = r#"{"gitVersion":"v1.99.0"}"#;
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    std::fs::write(dir.join("version"), answer).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = format!(
        "s_server -accept 127.0.0.1:{port} -cert server.crt -key server.key -CAfile ca.crt -Verify 1 -verify_return_error -HTTP -quiet"
    );
    let mut server = tokio::process::Command::new("openssl");
    let mut server = server.args(line.split(' ')).current_dir(dir).stdin(std::process::Stdio::null());
    server = server.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).kill_on_drop(true);
    let _server = server.spawn().expect("openssl runs");
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(crate::world::PACE).await;
    }
    let config = |user: Json| {
        let mut config = config(&format!("https://127.0.0.1:{port}"), user);
        config["clusters"][0]["cluster"]["certificate-authority"] = json!("ca.crt");
        config
    };
    let of = |name: &str| json!({ "client-certificate": format!("{name}.crt"), "client-key": format!("{name}.key") });
    write(dir, &config(of("me")));
    let stage = open(dir, "config").await;
    assert_eq!(stage.target.as_ref().unwrap().version().await.as_deref(), Some("Kubernetes v1.99.0"));
    for user in [json!({}), of("stranger")] {
        let e = refused(dir, &config(user)).await;
        assert!(e.contains("TLS: it does not accept our client certificate"), "{e}");
    }
}
