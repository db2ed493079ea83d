//! Tests against real servers on loopback.
mod connection;
mod identity;
mod request;
mod response;
mod tls;
mod written;

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

/// Returns the request as JSON.
pub(super) async fn describe_request(request: Request) -> impl IntoResponse {
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
    let description = json!({
        "method": head.method.as_str(), "uri": head.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    ([("content-type", "application/json")], description.to_string())
}

/// A server that returns each request as JSON.
pub(super) async fn echo() -> String {
    serve(Router::new().fallback(describe_request)).await
}

pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A server that writes these bytes for each connection and closes it.
pub(super) async fn raw_server(response: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(response).await;
        }
    });
    format!("http://{address}")
}

pub(super) async fn stage(target: &str) -> Harness {
    crate::executors::net::install_tls_provider();
    let mut stage = Harness::new(&Http, std::env::temp_dir());
    stage.environment = Scope::new(stage.secrets.clone()).with("token", "t0k3n").with("password", "open:sesame 1");
    stage.open(target).await.unwrap()
}

pub(super) async fn perform(stage: &Harness, body: &str) -> Result<Output, ActionError> {
    action(&Http, body).perform(&stage.context()).await
}

/// The request as the server received it.
pub(super) async fn echoed(stage: &Harness, body: &str) -> Json {
    let out = perform(stage, body).await.unwrap();
    assert_eq!(out.value.get("answered"), Some(&Value::Bool(true)));
    out.value.get("body").unwrap().to_json()
}

/// The request that the server received from this `curl` command.
pub(super) async fn curl(line: &str) -> Json {
    let out = tokio::process::Command::new("sh").args(["-c", line]).output().await.unwrap();
    assert!(out.status.success(), "{line}\n{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}\n{text}"));
    serde_json::from_str(body).unwrap()
}
