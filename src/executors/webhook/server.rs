//! The server of an inbox. Owns how a request is read, how late and whether it is answered; which answer, a box says.
use super::{
    inbox::Boxes,
    mailbox::Incoming,
    script::Answer,
    wire::{Line, Lines},
};
use crate::executor::Started;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use std::{io, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A larger delivery is answered 413.
const LARGEST: usize = 8 << 20;

/// Serves until `stop`.
pub(super) fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    boxes: Arc<Boxes>,
    stop: CancellationToken,
) -> io::Result<()> {
    let strays = boxes.clone();
    let lines = Lines::open(listener, tls, stop.clone(), move |why| strays.stray(why))?;
    let app = Router::new().fallback(deliver).with_state(boxes).into_make_service_with_connect_info::<Line>();
    tokio::spawn(async move {
        let serving = axum::serve(lines, app).with_graceful_shutdown(stop.cancelled_owned());
        let _ = serving.await;
    });
    Ok(())
}

async fn deliver(State(boxes): State<Arc<Boxes>>, ConnectInfo(line): ConnectInfo<Line>, request: Request) -> Response {
    let arrived = Started::now();
    let (head, body) = request.into_parts();
    if let Some(own) = boxes.knock(head.uri.path()) {
        return own.into_response();
    }
    let Some((mailbox, rest)) = boxes.at(head.uri.path()) else {
        boxes.stray(format!("{} {} is the address of no box", head.method, head.uri.path()));
        return (StatusCode::NOT_FOUND, "no box of this inbox has that address\n").into_response();
    };
    let path = head.uri.query().map_or_else(|| rest.to_string(), |q| format!("{rest}?{q}"));
    let raw = match read(body).await {
        Ok(raw) => raw,
        // whoever sent it has gone: it was never delivered
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    boxes.reach();
    let method = head.method.to_string();
    let reply = mailbox.receive(Incoming { arrived, method, path, headers: head.headers, raw });
    tokio::time::sleep(reply.delay).await;
    match reply.answer {
        Answer::Status(status) => {
            (StatusCode::from_u16(status).unwrap_or_default(), reply.headers, reply.body).into_response()
        }
        Answer::None(how) => {
            line.end(how);
            StatusCode::OK.into_response()
        }
    }
}

/// All of a body; `None` if it is too large.
async fn read(body: Body) -> Result<Option<Bytes>, axum::Error> {
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > LARGEST {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole.into()))
}
