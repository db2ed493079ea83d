//! The HTTP API: routes, and the frame around every one of them.
//!
//! The frame gives each request an id, a time limit and an end: whatever happens inside, one answer goes out, one audit
//! trail is written and one line says what went wrong. It must not know what a route does.
mod as_built;
mod at_once;
mod audit;
mod auth;
mod batch;
mod body;
mod error;
mod refusal;
mod sessions;
mod webhooks;

use super::{
    defect::{Defect, Defects},
    delays::Delays,
    dispatcher::Dispatcher,
    kinds::Template,
    log::Log,
    store::Store,
    syncer::Wishes,
};
pub use at_once::AtOnce;
use audit::{Ending, Trail};
pub use auth::hash_password;
use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post},
};
pub use batch::Leftover;
use error::Failure;
use jiff::Timestamp;
use kube::runtime::reflector;
use refusal::SessionChange;
use serde_json::json;
pub use sessions::Breaker;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a request may take before the platform breaks it off.
const LIMIT: Duration = Duration::from_secs(30);
const LARGEST_BODY: usize = 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the routes work with.
pub struct Api {
    pub store: Store,
    pub wishes: Wishes,
    pub dispatcher: Dispatcher,
    pub templates: reflector::Store<Template>,
    pub client: kube::Client,
    pub namespace: String,
    pub log: Log,
    /// Signs tokens.
    pub key: Vec<u8>,
    pub defects: Defects,
    pub as_built: bool,
    pub delays: Delays,
    pub at_once: at_once::AtOnce,
    pub leftover: Leftover,
    pub breaker: Breaker,
}

fn router(api: Arc<Api>) -> Router {
    let routes = if api.as_built { as_built::router(api.clone()) } else { routes() };
    routes
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(api.clone(), frame))
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
        .route("/health", get(health))
        .route("/api/v1/auth/login", post(auth::login))
        .nest("/api/v1/sessions", sessions)
        .nest("/api/v1/integrations/webhooks", webhooks)
        .route("/api/v1/audit/logs", get(audit::logs))
}

/// Answers until `stop`, then lets what is under way end.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: CancellationToken) {
    let service = router(api.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        api.log.error("the API stopped listening", &[("cause", &error)]);
    }
}

/// The process is there; what it needs may be away for a while.
async fn health() -> impl IntoResponse {
    Json(json!({ "status": "healthy", "service": "streamspace-api" }))
}

async fn frame(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let (log, defects) = (api.log.clone(), api.defects);
    // A task of its own: a client that hangs up does not stop what was begun half-way, and a panic is one answer.
    let handled = tokio::spawn(handle(api, id.clone(), request, next)).await;
    let mut response = handled.unwrap_or_else(|panic| {
        let failure = Failure::internal(if panic.is_panic() { "panic" } else { "cancelled" });
        log.error("request panicked", &[("request_id", &id), ("code", &failure.code)]);
        refusal::answer(defects, &failure, &id)
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn handle(api: Arc<Api>, id: String, mut request: Request, next: Next) -> Response {
    let (began, clock) = (Timestamp::now(), Instant::now());
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string());
    let trail = Trail::default();
    audit::overhear(&api, &trail, &request);
    request.extensions_mut().insert(trail.clone());
    let headers = api.defects.has(Defect::LogTellsToken).then(|| request.headers().clone());

    api.delays.wait().await;
    let mut response = match tokio::time::timeout(LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The request took too long").into_response(),
    };
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let known: Option<Failure> = response.extensions_mut().remove();
        let known = known.map(|failure| refusal::taken_for(api.defects, failure));
        let failure = known.clone().unwrap_or_else(|| Failure::of_status(status));
        let user = trail.user();
        let asked = SessionChange { id: &id, method: &method, path: &path, user: &user, headers: headers.as_ref() };
        refusal::say(api.defects, &api.log, &failure, &asked);
        response = if api.as_built {
            as_built::answer(known.as_ref(), response)
        } else {
            refusal::answer(api.defects, &failure, &id)
        };
    }
    api.delays.wait().await;
    let ending = Ending {
        method: &method,
        path: &path,
        status: response.status().as_u16(),
        request_id: &id,
        began,
        took_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        ip: peer.as_deref().unwrap_or_default(),
    };
    audit::write(&api, &trail, &ending).await;
    response
}

/// One that the client chose is kept if it is fit for a log line.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let fit = |id: &&str| {
        (8..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    given.filter(fit).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}
