//! The HTTP server of an inbox: reads deliveries and sends the replies that their boxes choose.
use super::{
    arrivals::{ArrivalError, Arrivals, ArrivedBody},
    boxes::Boxes,
    connection::{ConnectionHandle, ConnectionListener},
    mailbox::Incoming,
    replies::ReplyKind,
};
use crate::{executor::Started, executors::processing::off_thread};
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
struct Server {
    boxes: Arc<Boxes>,
    arrivals: Arrivals,
}

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
    let server = Server { boxes, arrivals: Arrivals::new() };
    let app =
        Router::new().fallback(receive).with_state(server).into_make_service_with_connect_info::<ConnectionHandle>();
    tokio::spawn(async move {
        let serving = axum::serve(connections, app).with_graceful_shutdown(stop.cancelled_owned());
        let _ = serving.await;
    });
    Ok(())
}

async fn receive(
    State(Server { boxes, arrivals }): State<Server>,
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
    let arrival = match arrivals.read(body, mailbox.room()).await {
        Ok(arrival) => arrival,
        // nothing was delivered
        Err(ArrivalError::Disconnected) => return StatusCode::BAD_REQUEST.into_response(),
        Err(ArrivalError::TimedOut(limit)) => {
            boxes.record_unrouted(format!(
                "the body of {} {} did not arrive within {limit:?}",
                head.method,
                head.uri.path()
            ));
            return StatusCode::REQUEST_TIMEOUT.into_response();
        }
    };
    boxes.reached.fetch_add(1, Ordering::SeqCst);
    let method = head.method.to_string();
    let size = if let ArrivedBody::Whole { bytes, .. } = &arrival.body { bytes.len() } else { 0 };
    let incoming = Incoming { arrived, method, path, headers: head.headers, body: arrival.body };
    let reply = off_thread(size, move || mailbox.receive(incoming)).await;
    drop(arrival.turn);
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
