//! Accepts the connections of an inbox, with or without TLS, and can end one without a response.
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

const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How a connection without a response ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ConnectionEnd {
    /// An orderly shutdown (FIN).
    Close,
    /// A TCP reset (RST).
    Reset,
}

/// Ends a connection from outside.
#[derive(Clone, Default)]
pub(super) struct ConnectionHandle(Arc<OnceLock<ConnectionEnd>>);

impl ConnectionHandle {
    /// Ends the connection now. Nothing more is written to it.
    pub fn end(&self, how: ConnectionEnd) {
        let _ = self.0.set(how);
    }
}

/// Hands over connections whose TLS handshake is complete.
pub(super) struct ConnectionListener {
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    address: SocketAddr,
}

impl ConnectionListener {
    /// Accepts in the background until `stop`. `on_failure` gets the reason if a TLS handshake fails.
    pub fn start(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
        on_failure: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<ConnectionListener> {
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
                let (sender, tls, on_failure) = (sender.clone(), tls.clone(), on_failure.clone());
                // A slow handshake must not delay other connections.
                tokio::spawn(async move {
                    let stream = match tls {
                        None => Either::Left(stream),
                        Some(tls) => match tokio::time::timeout(TLS_HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                            Ok(Ok(stream)) => Either::Right(Box::new(stream)),
                            Ok(Err(e)) => return on_failure(format!("the TLS handshake failed: {e}")),
                            Err(_) => {
                                return on_failure(format!(
                                    "the TLS handshake did not complete within {TLS_HANDSHAKE_TIMEOUT:?}"
                                ));
                            }
                        },
                    };
                    let _ = sender.send((Connection { stream, handle: ConnectionHandle::default() }, from)).await;
                });
            }
        });
        Ok(ConnectionListener { ready, address })
    }
}

impl Listener for ConnectionListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // Stopped; the server has its own signal to stop.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, ConnectionListener>> for ConnectionHandle {
    fn connect_info(stream: IncomingStream<'_, ConnectionListener>) -> ConnectionHandle {
        stream.io().handle.clone()
    }
}

pub(super) struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    handle: ConnectionHandle,
}

impl Connection {
    /// Fails if the connection was ended.
    fn check_open(&self) -> io::Result<()> {
        let Some(how) = self.handle.0.get() else { return Ok(()) };
        if *how == ConnectionEnd::Reset {
            let tcp = match &self.stream {
                Either::Left(tcp) => tcp,
                Either::Right(tls) => tls.get_ref().0,
            };
            let _ = tcp.set_zero_linger();
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
