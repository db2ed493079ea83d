//! The HTTP API: routes and the middleware around all of them.
//!
//! The middleware gives each request an id and a time limit, and ensures one response, one audit record and, for a
//! failure, one log line.
mod as_built;
mod audit;
mod auth;
mod batch;
mod error;
mod error_leaks;
mod error_response;
mod extract;
mod health;
mod quota;
mod race_defects;
mod resources;
mod sessions;
mod state;
mod trail;
mod vary;
mod webhooks;

pub use self::{
    auth::hash_password,
    state::{Api, Breaker, Lost, PreviousErrors, RaceState},
};
use self::{
    error::Failure,
    error_response::FailedRequest,
    trail::{RequestSummary, Trail},
};
use crate::defect::Defect;
use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
use jiff::Timestamp;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY_BYTES: usize = 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn router(api: Arc<Api>) -> Router {
    let routes = if api.as_built { as_built::router(api.clone()) } else { routes() };
    routes
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(api.clone(), run_in_task))
        .layer(middleware::from_fn_with_state(api.clone(), vary::vary))
        .with_state(api)
}

fn routes() -> Router<Arc<Api>> {
    let sessions = Router::new()
        .route("/", post(sessions::create).get(sessions::list))
        .route("/batch/hibernate", post(batch::hibernate))
        .route("/batch/wake", post(batch::wake))
        .route("/batch/delete", post(batch::delete))
        .route("/{name}", get(sessions::read).patch(sessions::update).delete(sessions::delete))
        .route("/{name}/tags", patch(sessions::update));
    let webhooks = Router::new()
        .route("/", post(webhooks::create).get(webhooks::list))
        .route("/{id}", delete(webhooks::delete))
        .route("/{id}/deliveries", get(webhooks::deliveries));
    Router::new()
        .route("/health", get(health::health))
        .route("/api/v1/auth/login", post(auth::login))
        .nest("/api/v1/sessions", sessions)
        .nest("/api/v1/integrations/webhooks", webhooks)
        .route("/api/v1/audit/logs", get(audit::logs))
}

/// Serves until `stop`, then waits for running requests.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: CancellationToken) {
    let service = router(api.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        api.log.error("the API stopped listening", &[("cause", &error)]);
    }
}

/// Handles a request in a task of its own, and adds the request id to the response.
async fn run_in_task(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let (log, defects) = (api.log.clone(), api.defects);
    // a separate task: a disconnecting client does not interrupt the work, and a panic becomes one response
    let handled = tokio::spawn(handle(api, id.clone(), request, next)).await;
    let mut response = handled.unwrap_or_else(|panic| {
        let failure = Failure::internal(if panic.is_panic() { "panic" } else { "cancelled" });
        log.error("request panicked", &[("request_id", &id), ("code", &failure.code)]);
        error_response::render(defects, &failure, &id)
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Runs the handler with a time limit, renders and logs a failure, and writes the audit log.
async fn handle(api: Arc<Api>, id: String, mut request: Request, next: Next) -> Response {
    let (began, clock) = (Timestamp::now(), Instant::now());
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string());
    let trail = Trail::default();
    request = audit::attach_leaks(&api, &trail, request).await;
    request.extensions_mut().insert(trail.clone());
    let headers = api.defects.has(Defect::LogTellsToken).then(|| request.headers().clone());

    api.delays.wait().await;
    let mut response = match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The request took too long").into_response(),
    };
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let known: Option<Failure> = response.extensions_mut().remove();
        let known = known.map(|failure| error_response::apply_defects(api.defects, failure));
        let failure = known.clone().unwrap_or_else(|| Failure::from_status(status));
        let user = trail.user();
        let failed = FailedRequest { id: &id, method: &method, path: &path, user: &user, headers: headers.as_ref() };
        error_response::log_failure(api.defects, &api.log, &failure, &failed);
        response = if api.as_built {
            as_built::render_error(known.as_ref(), response)
        } else {
            error_response::render(api.defects, &failure, &id)
        };
    }
    api.delays.wait().await;
    let summary = RequestSummary {
        method: &method,
        path: &path,
        status: response.status().as_u16(),
        request_id: &id,
        began,
        took_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        ip: peer.as_deref().unwrap_or_default(),
    };
    audit::write(&api, &trail, &summary).await;
    response
}

/// The client's request id if it is safe to log; otherwise a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_safe = |id: &&str| {
        (8..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    given.filter(is_safe).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}
