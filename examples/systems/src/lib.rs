//! What the tiny servers of the examples share: the address they listen on, how they stop, and JSON errors.
use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::{error::Error, net::SocketAddr};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// What `main` returns: any error, printed with its text.
pub type MainResult = Result<(), Box<dyn Error>>;

/// Listens on an address; port 0 takes a free one.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Serves an HTTP API until Ctrl-C or SIGTERM, and prints its address first.
pub async fn serve(name: &str, listener: TcpListener, api: Router) -> MainResult {
    announce(name, &format!("http://{}", listener.local_addr()?));
    axum::serve(listener, api).with_graceful_shutdown(stopped()).await?;
    Ok(())
}

/// Prints the line that says that the server is ready.
pub fn announce(name: &str, address: &str) {
    println!("{name} is ready at {address}");
}

/// Returns at Ctrl-C or SIGTERM.
async fn stopped() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// An error response: a status and a JSON object with a message.
#[derive(Debug)]
pub struct Refusal(pub StatusCode, pub String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<sqlx::Error> for Refusal {
    /// The caller learns that the database failed; the cause is for the log of the server only.
    fn from(error: sqlx::Error) -> Self {
        eprintln!("database: {error}");
        Refusal(StatusCode::SERVICE_UNAVAILABLE, "the database is not available".into())
    }
}
