//! Connecting to a cluster, and the error message for each way in which it fails.
use crate::test_cluster::{TestCluster, open, read};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};
use std::{os::unix::fs::PermissionsExt as _, path::Path};
use tokio::net::TcpListener;
use tp_runner::{
    executor::ActionError,
    executors::k8s::K8s,
    testing::{Harness, at},
    value::Value,
};
use tp_runner_sandbox::cluster::{Cluster, Options, serve};

/// The embedded server with a bearer token, and a folder for a kubeconfig.
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

async fn open_target(dir: &Path, target: &str) -> Result<Harness, ActionError> {
    Harness::new(&K8s, dir).open(target).await
}

/// The error when the target is opened.
async fn open_error(dir: &Path, config: &Json, target: &str) -> String {
    write(dir, config);
    match open_target(dir, target).await {
        Err(ActionError::Unreachable(message)) => message,
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("expected an error for {target}"),
    }
}

/// The error of the first request.
async fn request_error(dir: &Path, config: &Json) -> String {
    write(dir, config);
    match open(dir, "config").await.error("get: pods/x").await {
        ActionError::Unreachable(message) => message,
        e => panic!("{e:?}"),
    }
}

#[tokio::test]
async fn reports_each_problem_of_a_kubeconfig() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (good, usual) = (config("http://127.0.0.1:1", json!({})), "k8s: { kubeconfig: config }");
    let without = |pointer: &str, key: &str| {
        let mut config = good.clone();
        config.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
        config
    };
    let e = open_error(dir, &good, "k8s: { kubeconfig: nowhere }").await;
    assert!(e.starts_with("kubeconfig `") && e.contains("nowhere` does not exist"), "{e}");
    let e = open_error(dir, &good, "k8s: { kubeconfig: config, context: bleu }").await;
    assert!(e.ends_with(": context `bleu` not found; available: `blue`; did you mean `blue`?"), "{e}");
    let e = open_error(dir, &without("", "current-context"), usual).await;
    assert!(e.ends_with("has no current context; set `context:` in the target; available: `blue`"), "{e}");
    let e = open_error(dir, &without("", "clusters"), usual).await;
    assert!(e.ends_with(", context `blue`: cluster `c` not found; available: none"), "{e}");
    let e = open_error(dir, &without("", "users"), usual).await;
    assert!(e.ends_with(", context `blue`: user `u` not found; available: none"), "{e}");
    let e = open_error(dir, &without("/clusters/0/cluster", "server"), usual).await;
    assert!(e.contains("cluster url is missing"), "{e}");
    let e = open_error(dir, &json!("nonsense"), usual).await;
    assert!(e.starts_with("invalid kubeconfig `"), "{e}");
    let e = open_error(dir, &config("http://127.0.0.1:1", json!({ "tokenFile": "token" })), usual).await;
    assert!(e.starts_with("cannot read token file `") && e.contains("token`: "), "{e}");
    let keys = json!({ "client-certificate": "c.pem", "client-key": "k.pem" });
    let e = open_error(dir, &config("https://127.0.0.1:1", keys), usual).await;
    assert!(e.starts_with("cannot read the client certificate `") && e.contains("c.pem` of the kubeconfig"), "{e}");
    let mut authority = good.clone();
    authority["clusters"][0]["cluster"]["certificate-authority"] = json!("ca.pem");
    let e = open_error(dir, &authority, usual).await;
    assert!(e.starts_with("cannot read the certificate authority `") && e.contains("ca.pem` of the kubeconfig"), "{e}");
    let e = open_error(dir, &good, "k8s: in-cluster").await;
    assert!(e.starts_with("`in-cluster` needs a pod with a service account, not found here: "), "{e}");
}

#[tokio::test]
async fn runs_credential_plugin_without_prompts() {
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
    let e = open_error(dir, &plugin(json!({ "installHint": "run get-plugin first" })), usual).await;
    assert!(e.starts_with("credential plugin `") && e.ends_with("run get-plugin first"), "{e}");
    script("echo 'no session, log in first' >&2; exit 3");
    let e = open_error(dir, &plugin(json!({})), usual).await;
    assert!(e.ends_with("failed with exit status: 3: no session, log in first"), "{e}");
    script("echo hello");
    let e = open_error(dir, &plugin(json!({})), usual).await;
    assert!(e.starts_with("expected an `ExecCredential` with a status"), "{e}");
    let e = open_error(dir, &plugin(json!({ "interactiveMode": "Always" })), usual).await;
    assert!(e.contains("is interactive"), "{e}");
    // It gets `KUBERNETES_EXEC_INFO`, and its standard input is closed.
    script(
        r#"case $KUBERNETES_EXEC_INFO in *'"interactive":false'*) ;; *) exit 9 ;; esac
read -r line && exit 8
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$TOKEN'"}}'"#,
    );
    write(dir, &plugin(json!({ "env": [{ "name": "TOKEN", "value": "from-the-plugin" }] })));
    let observed = open_target(dir, usual).await.unwrap().output("get: ns/streamspace").await;
    assert_eq!(at(&observed, "found"), Value::Bool(true));
}

#[tokio::test]
async fn reads_token_from_kubeconfig_file_or_provider() {
    // Clients read the expiry time of the token.
    let claims = URL_SAFE_NO_PAD.encode(json!({ "exp": 4_102_444_800u64 }).to_string());
    let token = format!("{}.{claims}.c2lnbmVk", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    let (server, dir) = server(&token).await;
    let (dir, url) = (dir.path(), format!("http://{}", server.address()));
    std::fs::write(dir.join("token"), &token).unwrap();
    let provider = json!({ "name": "oidc", "config": { "id-token": token, "idp-issuer-url": "https://issuer.example", "client-id": "c" } });
    for user in [json!({ "token": token }), json!({ "tokenFile": "token" }), json!({ "auth-provider": provider })] {
        write(dir, &config(&url, user.clone()));
        let stage = open(dir, "config").await;
        let observed = stage.output("get: ns/streamspace").await;
        assert_eq!(at(&observed, "found"), Value::Bool(true), "{user}");
        let masked = stage.environment.secrets().names_in(&format!("token: {token}"));
        assert_eq!(masked.is_empty(), user.get("tokenFile").is_some(), "{user}: {masked:?}");
    }
    let e = request_error(dir, &config(&url, json!({ "token": "wrong" }))).await;
    assert!(e.starts_with("the cluster at http://127.0.0.1:") && e.contains("rejected the credentials (401)"), "{e}");
}

#[tokio::test]
async fn unreachable_server_is_an_error() {
    let (server, dir) = server("t").await;
    let (dir, address) = (dir.path(), server.address());
    let e = request_error(dir, &config(&format!("https://{address}"), json!({ "token": "t" }))).await;
    assert!(e.ends_with("the server does not speak TLS; if that is intended, use `http://` in the kubeconfig"), "{e}");
    server.shutdown().await;
    let e = request_error(dir, &config(&format!("http://{address}"), json!({ "token": "t" }))).await;
    let start = format!("no response from the cluster at http://{address}: connection refused");
    assert!(e.starts_with(&start), "{e}");
    let e = request_error(dir, &config("http://no-such-host.invalid", json!({}))).await;
    assert!(e.contains(": host not found; "), "{e}");

    let other = axum::Router::new().fallback(|| async { "hello" });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, other).await });
    let e = request_error(dir, &config(&url, json!({}))).await;
    assert!(e.starts_with("expected a response of a Kubernetes API from http://") && e.ends_with(": hello"), "{e}");
}

#[tokio::test]
async fn an_error_that_quotes_a_body_is_masked_before_it_is_cut() {
    let token = "Zx8-kQ2v-7Hj4-mP9w-Rt6y-Lc3b";
    let dir = tempfile::tempdir().unwrap();
    // the token is cut at every position
    for length in 165..205 {
        let body = format!("{}{token}{}", "x".repeat(length), "y".repeat(400));
        let other = axum::Router::new().fallback(move || std::future::ready(body.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, other).await });
        let e = request_error(dir.path(), &config(&url, json!({ "token": token }))).await;
        assert!(e.contains("xxxx") && !e.contains(&token[..4]), "{length}: {e}");
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server: tests/run"]
async fn real_server_refuses_wrong_credentials_and_tls_settings_on_real_cluster() {
    let cluster = TestCluster::real().await;
    let (good, dir) = (read(&cluster.admin), cluster.dir.path());
    let changed = |pointer: &str, key: &str, value: Json| {
        let mut config = good.clone();
        config.pointer_mut(pointer).unwrap()[key] = value;
        config
    };
    let e = request_error(dir, &changed("/users/0/user", "token", json!("wrong"))).await;
    assert!(e.contains("rejected the credentials (401)"), "{e}");
    let mut without_authority = good.clone();
    without_authority["clusters"][0]["cluster"].as_object_mut().unwrap().remove("certificate-authority-data");
    let e = request_error(dir, &without_authority).await;
    assert!(e.contains("TLS: certificate signed by an unknown authority"), "{e}");
    let e = request_error(dir, &changed("/clusters/0/cluster", "tls-server-name", json!("other.example"))).await;
    assert!(e.contains("TLS: the certificate is for another host; set `tls-server-name`"), "{e}");
    let plain = good["clusters"][0]["cluster"]["server"].as_str().unwrap().replace("https://", "http://");
    let e = request_error(dir, &changed("/clusters/0/cluster", "server", json!(plain))).await;
    assert!(
        e.starts_with("expected a response of a Kubernetes API")
            && e.contains("Client sent an HTTP request to an HTTPS server"),
        "{e}"
    );
    let mut insecure = without_authority.clone();
    insecure["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = json!(true);
    write(dir, &insecure);
    let observed = open(dir, "config").await.output(&format!("get: ns/{}", cluster.namespace)).await;
    assert_eq!(at(&observed, "found"), Value::Bool(true), "the certificate is not verified");
    // Impersonation, as with `kubectl --as`.
    write(dir, &changed("/users/0/user", "as", json!("impersonated")));
    let observed = open(dir, "config").await.output("get: pods/x").await;
    assert_eq!(at(&observed, "error.code"), Value::Int(403), "{observed}");
    assert!(at(&observed, "error.message").to_string().contains("User \"impersonated\""), "{observed}");
}

/// With a server that requires a client certificate signed by its authority.
#[tokio::test]
async fn sends_client_certificate() {
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
    for (name, authority) in [("server", "ca"), ("trusted", "ca"), ("untrusted", "other")] {
        openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -days 2 -extfile san -out {name}.crt"
        ));
    }
    let body = r#"{"gitVersion":"v1.99.0"}"#;
    let response =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    std::fs::write(dir.join("version"), response).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = format!(
        "s_server -accept 127.0.0.1:{port} -cert server.crt -key server.key -CAfile ca.crt -Verify 1 -verify_return_error -HTTP -quiet"
    );
    let mut server = tokio::process::Command::new("openssl");
    let mut server = server.args(line.split(' ')).current_dir(dir).stdin(std::process::Stdio::null());
    server = server.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).kill_on_drop(true);
    let _server = server.spawn().expect("openssl runs");
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(crate::test_cluster::POLL_INTERVAL).await;
    }
    let config = |user: Json| {
        let mut config = config(&format!("https://127.0.0.1:{port}"), user);
        config["clusters"][0]["cluster"]["certificate-authority"] = json!("ca.crt");
        config
    };
    let of = |name: &str| json!({ "client-certificate": format!("{name}.crt"), "client-key": format!("{name}.key") });
    write(dir, &config(of("trusted")));
    let stage = open(dir, "config").await;
    assert_eq!(stage.target.as_ref().unwrap().version().await.as_deref(), Some("Kubernetes v1.99.0"));
    for user in [json!({}), of("untrusted")] {
        let e = request_error(dir, &config(user)).await;
        assert!(e.contains("TLS: the server rejected the client certificate"), "{e}");
    }
}
