//! The connections of an inbox, plain or in TLS, which can be ended without an answer. Knows no HTTP.
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken};

/// Who connects and then says nothing is not waited for longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a connection ends that gets no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// As when a program goes away in good order.
    Close,
    /// As when a machine says that there is no such connection.
    Reset,
}

/// The handle to one connection.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<OnceLock<Ending>>);

impl Line {
    /// Nothing more is written to it; it ends now.
    pub fn end(&self, how: Ending) {
        let _ = self.0.set(how);
    }
}

/// What an inbox accepts.
pub(super) struct Lines {
    ready: mpsc::Receiver<(Wire, SocketAddr)>,
    address: SocketAddr,
}

impl Lines {
    /// Accepts until `stop`. `failed` hears why a connection came to no TLS.
    pub fn open(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<Lines> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                let (stream, from) = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = Listener::accept(&mut listener) => accepted,
                };
                let _ = stream.set_nodelay(true);
                let (sender, tls, failed) = (sender.clone(), tls.clone(), failed.clone());
                // nobody waits while somebody else shakes hands
                tokio::spawn(async move {
                    let stream = match tls {
                        None => Either::Left(stream),
                        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                            Ok(Ok(stream)) => Either::Right(Box::new(stream)),
                            Ok(Err(e)) => return failed(format!("the TLS handshake failed: {e}")),
                            Err(_) => return failed(format!("no TLS handshake within {HANDSHAKE:?}")),
                        },
                    };
                    let _ = sender.send((Wire { stream, line: Line::default() }, from)).await;
                });
            }
        });
        Ok(Lines { ready, address })
    }
}

impl Listener for Lines {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // stopped: whoever serves is told so in another way
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Line {
        stream.io().line.clone()
    }
}

pub(super) struct Wire {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    line: Line,
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        let Some(how) = self.line.0.get() else { return Ok(()) };
        if *how == Ending::Reset {
            let tcp = match &self.stream {
                Either::Left(tcp) => tcp,
                Either::Right(tls) => tls.get_ref().0,
            };
            let _ = tcp.set_zero_linger();
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
