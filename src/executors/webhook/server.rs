//! The HTTP server of an inbox: reads deliveries and sends the replies that their boxes choose.
use super::{
    boxes::Boxes,
    connection::{ConnectionHandle, ConnectionListener},
    mailbox::Incoming,
    replies::ReplyKind,
};
use crate::{executor::Started, executors::processing::off_thread};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Larger deliveries are answered with 413.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Serves in the background until `stop`.
pub(super) fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    boxes: Arc<Boxes>,
    stop: CancellationToken,
) -> io::Result<()> {
    let unrouted = boxes.clone();
    let record_failure = move |reason| unrouted.record_unrouted(reason);
    let connections = ConnectionListener::start(listener, tls, stop.clone(), record_failure)?;
    let app =
        Router::new().fallback(receive).with_state(boxes).into_make_service_with_connect_info::<ConnectionHandle>();
    tokio::spawn(async move {
        let serving = axum::serve(connections, app).with_graceful_shutdown(stop.cancelled_owned());
        let _ = serving.await;
    });
    Ok(())
}

async fn receive(
    State(boxes): State<Arc<Boxes>>,
    ConnectInfo(connection): ConnectInfo<ConnectionHandle>,
    request: Request,
) -> Response {
    let arrived = Started::now();
    let (head, body) = request.into_parts();
    if let Some(reply) = boxes.self_check_reply(head.uri.path()) {
        return reply.into_response();
    }
    let Some((mailbox, rest)) = boxes.route(head.uri.path()) else {
        boxes.record_unrouted(format!("no box has the address {} {}", head.method, head.uri.path()));
        return (StatusCode::NOT_FOUND, "no box has this address\n").into_response();
    };
    let path = head.uri.query().map_or_else(|| rest.to_string(), |q| format!("{rest}?{q}"));
    let raw = match read_body(body).await {
        Ok(raw) => raw,
        // The sender disconnected, so nothing was delivered.
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    boxes.reached.fetch_add(1, Ordering::SeqCst);
    let method = head.method.to_string();
    let size = raw.as_ref().map_or(0, Bytes::len);
    let incoming = Incoming { arrived, method, path, headers: head.headers, raw };
    let reply = off_thread(size, move || mailbox.receive(incoming)).await;
    tokio::time::sleep(reply.delay).await;
    match reply.kind {
        ReplyKind::Status(status) => {
            (StatusCode::from_u16(status).unwrap_or_default(), reply.headers, reply.body).into_response()
        }
        ReplyKind::Disconnect(how) => {
            connection.end(how);
            StatusCode::OK.into_response()
        }
    }
}

/// `None`: the body is too large.
async fn read_body(body: Body) -> Result<Option<Bytes>, axum::Error> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.into()))
}
