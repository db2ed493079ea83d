//! The socket of an inbox. Owns how a request is read, how late and whether it is answered; which answer, a box says.
use super::{inbox::Boxes, mailbox::Incoming};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::StatusCode,
    response::{IntoResponse, Response},
    serve::{IncomingStream, Listener},
};
use futures::StreamExt;
use jiff::Timestamp;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// A larger delivery is answered 413.
const LARGEST: usize = 8 << 20;

/// Serves until `stop`.
pub(super) fn serve(listener: TcpListener, boxes: Arc<Boxes>, stop: CancellationToken) {
    let app = Router::new().fallback(deliver).with_state(boxes).into_make_service_with_connect_info::<Line>();
    tokio::spawn(async move {
        let serving = axum::serve(Lines(listener), app).with_graceful_shutdown(stop.cancelled_owned());
        let _ = serving.await;
    });
}

async fn deliver(State(boxes): State<Arc<Boxes>>, ConnectInfo(line): ConnectInfo<Line>, request: Request) -> Response {
    let at = Timestamp::now();
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches('/');
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let Some(mailbox) = boxes.at(first) else {
        return (StatusCode::NOT_FOUND, "no box of this inbox has that address\n").into_response();
    };
    let rest = head.uri.query().map_or_else(|| rest.to_string(), |q| format!("{rest}?{q}"));
    let raw = match read(body).await {
        Ok(raw) => raw,
        // whoever sent it has gone: it was never delivered
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let reply =
        mailbox.receive(Incoming { at, method: head.method.to_string(), path: rest, headers: head.headers, raw });
    tokio::time::sleep(reply.delay).await;
    let Some(status) = reply.status else {
        line.cut();
        return StatusCode::OK.into_response();
    };
    (StatusCode::from_u16(status).unwrap_or_default(), reply.headers, reply.body).into_response()
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

/// Whether a connection is cut: nothing more is written to it, so that the other side sees it closed without an answer.
#[derive(Clone, Default)]
struct Line(Arc<AtomicBool>);

impl Line {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

struct Lines(TcpListener);

impl Listener for Lines {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (Wire { stream, line: Line::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Line {
        stream.io().line.clone()
    }
}

/// A connection that can be cut.
struct Wire {
    stream: TcpStream,
    line: Line,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.line.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
