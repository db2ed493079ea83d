//! Passes the bytes of a connection between the SQL library and its server, and ends the connection of a server that sends
//! more than the library may keep: it reads every message into memory as a whole. The library accepts no stream of ours,
//! but connects to a Unix socket at a path.
use super::{
    server::{ResultStream, SqlxResult},
    too_large::TooLarge,
};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use parking_lot::Mutex;
use sqlx::Error::{Io, Protocol};
use std::{
    fs::Permissions,
    future, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Context,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
    time::timeout,
};

const BUFFER_BYTES: usize = 64 << 10;
/// How long the last bytes of a closed connection may take to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to a server.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Inspects what a server sends.
pub trait Watch: Send + 'static {
    /// Called with all bytes, before the library receives them.
    ///
    /// # Errors
    /// The connection has to end, with this error.
    fn received(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Where a server listens.
pub enum Upstream<'a> {
    Tcp(&'a str, u16),
    Socket(&'a Path),
}

impl Upstream<'_> {
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Upstream::Tcp(host, port) => {
                let stream = TcpStream::connect((*host, *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Upstream::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}

/// Limits what a server sends between two steps of its client.
#[derive(Clone)]
pub struct Progress {
    bytes: Arc<AtomicUsize>,
    max: usize,
}

impl Progress {
    pub fn new(max: usize) -> Progress {
        Progress { bytes: Arc::default(), max }
    }

    /// The client is done with everything that it has received.
    pub fn step(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Watch for Progress {
    fn received(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        if before.saturating_add(bytes.len()) > self.max { Err(TooLarge { max: self.max }.into()) } else { Ok(()) }
    }
}

/// A socket at which the library connects, in a folder of its own. Both are removed when it is dropped.
pub struct Socket {
    listener: UnixListener,
    folder: TempDir,
}

impl Socket {
    /// `None` if no socket can be created: the disk is full, or the path of the temporary folder is too long for one.
    pub fn create(file: &str) -> Option<Socket> {
        [std::env::temp_dir(), PathBuf::from("/tmp")].iter().find_map(|at| Socket::create_in(at, file).ok())
    }

    fn create_in(at: &Path, file: &str) -> io::Result<Socket> {
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix("tp-db-").permissions(Permissions::from_mode(0o700)).tempdir_in(at)?;
        let listener = UnixListener::bind(folder.path().join(file))?;
        Ok(Socket { listener, folder })
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Connects the library, with `connecting`, to the server at the other end of `server`.
    pub async fn relay<C>(
        self,
        server: Box<dyn Stream>,
        watch: impl Watch,
        connecting: impl Future<Output = SqlxResult<C>>,
    ) -> SqlxResult<(C, Relay)> {
        let mut connecting = std::pin::pin!(connecting);
        let (client, _) = tokio::select! {
            // It failed before it connected: nothing was sent to it yet.
            failed = &mut connecting => return Err(failed.err().unwrap_or(sqlx::Error::WorkerCrashed)),
            accepted = self.listener.accept() => accepted?,
        };
        drop(self);
        let end = End::default();
        let mut relay = Relay { bytes: Some(pass(client, server, watch, end.clone()).boxed()), end };
        match relay.with(connecting).await {
            Ok(connection) => Ok((connection, relay)),
            Err(e) => Err(relay.end.explain(e)),
        }
    }
}

/// The relay of an open connection. It works while the library waits, in the same task: a task of its own would often be woken on
/// another thread, which takes longer than the bytes.
#[derive(Default)]
pub struct Relay {
    /// `None` once it ended, and for a direct connection.
    bytes: Option<BoxFuture<'static, ()>>,
    end: End,
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if self.bytes.as_mut().is_some_and(|bytes| bytes.poll_unpin(cx).is_ready()) {
            self.bytes = None;
        }
    }

    /// Waits for the library.
    pub async fn with<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let step = |cx: &mut Context<'_>| {
            let polled = work.as_mut().poll(cx);
            if polled.is_pending() {
                self.poll(cx);
            }
            polled
        };
        future::poll_fn(step).await
    }

    /// Waits for the library, and says what ended its connection.
    pub async fn query<T>(&mut self, work: impl Future<Output = SqlxResult<T>>) -> SqlxResult<T> {
        let result = self.with(work).await;
        result.map_err(|e| self.explain(e))
    }

    /// The response of the library, with its error explained.
    pub fn response<'s>(&'s mut self, mut response: ResultStream<'s>) -> ResultStream<'s> {
        let end = self.end.clone();
        let step = move |cx: &mut Context<'_>| {
            let polled = response.poll_next_unpin(cx);
            if polled.is_pending() {
                self.poll(cx);
            }
            polled
        };
        stream::poll_fn(step).map_err(move |e| end.explain(e)).boxed()
    }

    pub fn explain(&self, e: sqlx::Error) -> sqlx::Error {
        self.end.explain(e)
    }

    /// Closes the connection with `closing`, and waits until its last bytes have left.
    pub async fn close<T>(mut self, closing: impl Future<Output = T>) {
        self.with(closing).await;
        if let Some(bytes) = self.bytes {
            let _ = timeout(CLOSE_TIMEOUT, bytes).await;
        }
    }
}

/// What ended a relay.
#[derive(Clone, Default)]
struct End(Arc<Mutex<Option<io::Error>>>);

impl End {
    /// Replaces the library's error by its cause: the library notices only that its connection was closed.
    fn explain(&self, e: sqlx::Error) -> sqlx::Error {
        match e {
            Io(_) | Protocol(_) => self.0.lock().take().map_or(e, Io),
            other => other,
        }
    }
}

async fn pass(client: UnixStream, server: Box<dyn Stream>, mut watch: impl Watch, end: End) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let up = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            let sent = async {
                to_server.write_all(&buffer[..n]).await?;
                to_server.flush().await
            };
            if sent.await.is_err() {
                // The server may have said why before it closed the connection.
                return future::pending().await;
            }
        }
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let received = match from_server.read(&mut buffer).await {
                Ok(0) => break,
                Ok(n) => watch.received(&buffer[..n]).map(|()| n),
                Err(e) => Err(e),
            };
            match received {
                Ok(n) if to_client.write_all(&buffer[..n]).await.is_ok() => {}
                Ok(_) => break,
                Err(e) => {
                    *end.0.lock() = Some(e);
                    break;
                }
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
