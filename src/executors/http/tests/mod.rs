//! The verb against real servers on loopback. Tests only.
mod connection;
mod identity;
mod reading;
mod request;
mod tls;

use super::Http;
use crate::{
    event::EvidenceKind,
    executor::{ActionError, Output},
    expr::Scope,
    testing::{Harness, action, body_problems, target_problems},
    value::Value,
};
use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::any,
};
use serde_json::{Value as Json, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Says what it was sent.
pub(super) async fn tell(request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let names: Vec<String> = head.headers.keys().map(|k| k.to_string()).collect();
    let headers: Json = names
        .iter()
        .map(|n| {
            let all: Vec<_> = head.headers.get_all(n).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
            (n.clone(), Json::from(all.join("|")))
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let said = json!({
        "method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    ([("content-type", "application/json")], said.to_string())
}

/// A server that says what it was sent.
pub(super) async fn echo() -> String {
    serve(Router::new().fallback(tell)).await
}

pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Accepts one connection after another, reads a request from it, writes `answer` and closes.
pub(super) async fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer).await;
        }
    });
    format!("http://{address}")
}

pub(super) async fn stage(target: &str) -> Harness {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut stage = Harness::new(&Http, std::env::temp_dir());
    stage.environment = Scope::new(stage.secrets.clone()).with("token", "t0k3n").with("password", "open:sesame 1");
    stage.open(target).await.unwrap()
}

pub(super) async fn perform(stage: &Harness, body: &str) -> Result<Output, ActionError> {
    action(&Http, body).perform(&stage.context()).await
}

pub(super) async fn told(stage: &Harness, body: &str) -> Json {
    let out = perform(stage, body).await.unwrap();
    assert_eq!(out.value.get("answered"), Some(&Value::Bool(true)));
    out.value.get("body").unwrap().to_json()
}

/// What the server says that `curl` sent it.
pub(super) async fn curl(line: &str) -> Json {
    let out = tokio::process::Command::new("sh").args(["-c", line]).output().await.unwrap();
    assert!(out.status.success(), "{line}\n{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}\n{text}"));
    serde_json::from_str(body).unwrap()
}
