//! A TCP relay that stands in a link and can cut it.
//!
//! It owns one listening socket and the connections that came through it. It carries bytes and must not know what they
//! mean, who sends them or why the link is cut.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where the relay leads at the moment. Connections live in one generation of the link and die with it.
#[derive(Clone)]
struct Link {
    upstream: Option<SocketAddr>,
    cut: bool,
    alive: CancellationToken,
}

/// A bound relay. Connections wait until it is told where `to`.
pub struct Relay {
    address: SocketAddr,
    link: watch::Sender<Link>,
    refused: Arc<AtomicU64>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Relay {
    /// Listens at once, so that whoever is to connect through it can be given the address before it leads anywhere.
    pub async fn bind(listen: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (link, leads) = watch::channel(Link { upstream: None, cut: false, alive: CancellationToken::new() });
        let refused = Arc::new(AtomicU64::new(0));
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(accept(listener, leads, refused.clone(), closing.clone(), tasks.clone()));
        Ok(Relay { address, link, refused, closing, tasks })
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where connections go from now on.
    pub fn to(&self, upstream: SocketAddr) {
        self.link.send_modify(|link| link.upstream = Some(upstream));
    }

    /// Kills the connections that are there and refuses new ones.
    pub fn cut(&self) {
        self.link.send_modify(|link| {
            link.cut = true;
            link.alive.cancel();
        });
    }

    /// Lets new connections through again.
    pub fn heal(&self) {
        self.link.send_modify(|link| {
            if link.cut {
                link.cut = false;
                link.alive = CancellationToken::new();
            }
        });
    }

    /// How many connections were tried while the link was cut. Those that the cut killed do not count.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Stops listening and drops every connection.
    pub async fn shutdown(self) {
        self.closing.cancel();
        self.link.send_modify(|link| link.alive.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closing.cancel();
        self.link.send_modify(|link| link.alive.cancel());
    }
}

async fn accept(
    listener: TcpListener,
    leads: watch::Receiver<Link>,
    refused: Arc<AtomicU64>,
    closing: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((downstream, _)) => {
                let now = leads.borrow().clone();
                if now.cut {
                    refused.fetch_add(1, Ordering::SeqCst);
                    reset(downstream);
                } else {
                    tasks.spawn(carry(downstream, leads.clone(), refused.clone(), now.alive, closing.clone()));
                }
            }
            // Out of descriptors, or the peer is gone already: neither may end the relay, nor make it spin.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn carry(
    mut downstream: TcpStream,
    mut leads: watch::Receiver<Link>,
    refused: Arc<AtomicU64>,
    alive: CancellationToken,
    closing: CancellationToken,
) {
    let known = async {
        match leads.wait_for(|link| link.upstream.is_some() || link.cut).await {
            Ok(link) => link.upstream,
            Err(_) => None,
        }
    };
    let upstream = tokio::select! {
        () = closing.cancelled() => return reset(downstream),
        () = alive.cancelled() => {
            refused.fetch_add(1, Ordering::SeqCst);
            return reset(downstream);
        }
        upstream = known => upstream,
    };
    let Some(upstream) = upstream else { return reset(downstream) };
    let connected = tokio::select! {
        () = closing.cancelled() => return reset(downstream),
        () = alive.cancelled() => return reset(downstream),
        connected = TcpStream::connect(upstream) => connected,
    };
    // An upstream that refuses looks the same from below as if there were no relay.
    let Ok(mut above) = connected else { return reset(downstream) };
    let _ = downstream.set_nodelay(true);
    let _ = above.set_nodelay(true);
    let ended = tokio::select! {
        () = closing.cancelled() => false,
        () = alive.cancelled() => false,
        _ = tokio::io::copy_bidirectional(&mut downstream, &mut above) => true,
    };
    if !ended {
        reset(downstream);
        reset(above);
    }
}

/// Closes so that the peer sees a reset and not an orderly end, which some clients wait upon.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn says(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(word).await?;
        let mut back = vec![0; word.len()];
        stream.read_exact(&mut back).await?;
        Ok(back)
    }

    async fn relay() -> Relay {
        Relay::bind("127.0.0.1:0".parse().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn carries_bytes_also_for_who_came_before_it_led_anywhere() {
        let relay = relay().await;
        let mut early = TcpStream::connect(relay.address()).await.unwrap();
        early.write_all(b"early").await.unwrap();
        relay.to(echo().await);
        let mut back = [0; 5];
        early.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"early");
        assert_eq!(relay.refused(), 0);
        relay.shutdown().await;
    }

    #[tokio::test]
    async fn a_cut_kills_what_lives_and_counts_only_what_is_tried() {
        let relay = relay().await;
        relay.to(echo().await);
        let mut living = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(says(&mut living, b"one").await.unwrap(), b"one");

        relay.cut();
        assert!(says(&mut living, b"two").await.is_err());
        assert_eq!(relay.refused(), 0, "a connection that was killed was not tried");

        for _ in 0..3 {
            // The handshake is the kernel's; the reset shows at the first word.
            if let Ok(mut stream) = TcpStream::connect(relay.address()).await {
                assert!(says(&mut stream, b"three").await.is_err());
            }
        }
        assert_eq!(relay.refused(), 3);

        relay.heal();
        let mut again = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(says(&mut again, b"four").await.unwrap(), b"four");
        assert!(says(&mut living, b"five").await.is_err(), "healing brings nobody back");
        assert_eq!(relay.refused(), 3);
        relay.shutdown().await;
    }

    #[tokio::test]
    async fn after_shutdown_nobody_listens() {
        let relay = relay().await;
        relay.to(echo().await);
        let address = relay.address();
        let mut living = TcpStream::connect(address).await.unwrap();
        says(&mut living, b"one").await.unwrap();
        relay.shutdown().await;
        assert!(says(&mut living, b"two").await.is_err());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
