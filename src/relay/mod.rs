//! A TCP relay that stands in a link and can break it: cut it, slow it down, let nothing come through.
//!
//! It owns one listening socket and the connections that came through it. It carries bytes and must not know what they
//! mean, who sends them or why the link is broken.
mod carry;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What happens to the link while a fault is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// Connections are broken off, and new ones refused.
    Cut,
    /// Each piece of what is sent comes so much later, in each direction.
    Delay(Duration),
    /// A connection is reset as soon as something is sent over it.
    Reset,
    /// What is sent goes nowhere, and nothing answers. Healed, a connection that lost something is reset.
    Swallow,
    /// So many bytes pass in a second, on each connection and in each direction.
    Throttle(u64),
}

/// A fault from its beginning on, and the connections that met it.
struct Broken {
    fault: FaultMode,
    met: Mutex<HashSet<u64>>,
}

impl Broken {
    fn meets(&self, connection: u64) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(connection);
    }
}

/// Where the relay leads at the moment, and what is broken. Connections live in one generation of the link and die with it.
#[derive(Clone)]
struct Link {
    upstream: Option<SocketAddr>,
    /// In the order of their beginning: the last one acts.
    broken: Vec<Arc<Broken>>,
    alive: CancellationToken,
}

impl Link {
    fn acting(&self) -> Option<&Arc<Broken>> {
        // nothing passes over a link that is cut, whatever else was broken later
        self.broken.iter().find(|b| b.fault == FaultMode::Cut).or(self.broken.last())
    }
}

/// A bound relay. Connections wait until it is told where `to`.
pub struct Relay {
    address: SocketAddr,
    link: watch::Sender<Link>,
    /// Of each fault its last time in force.
    known: Mutex<Vec<Arc<Broken>>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Relay {
    /// Listens at once, so that whoever is to connect through it can be given the address before it leads anywhere.
    pub async fn bind(listen: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (link, leads) = watch::channel(Link { upstream: None, broken: vec![], alive: CancellationToken::new() });
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(accept(listener, leads, closing.clone(), tasks.clone()));
        Ok(Relay { address, link, known: Mutex::default(), closing, tasks })
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where connections go from now on.
    pub fn to(&self, upstream: SocketAddr) {
        self.link.send_modify(|link| link.upstream = Some(upstream));
    }

    /// From now on `fault` is in force, and counted from nothing. If it is already, nothing changes.
    pub fn begin(&self, fault: FaultMode) {
        self.link.send_modify(|link| {
            if link.broken.iter().any(|b| b.fault == fault) {
                return;
            }
            let broken = Arc::new(Broken { fault, met: Mutex::default() });
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|b| b.fault != fault);
            known.push(broken.clone());
            link.broken.push(broken);
            if fault == FaultMode::Cut {
                link.alive.cancel();
            }
        });
    }

    /// `fault` is no longer in force; the others that were begun are.
    pub fn end(&self, fault: FaultMode) {
        self.link.send_modify(|link| {
            link.broken.retain(|b| b.fault != fault);
            if link.alive.is_cancelled() && link.broken.iter().all(|b| b.fault != FaultMode::Cut) {
                link.alive = CancellationToken::new();
            }
        });
    }

    /// How many connections have met `fault` since it was begun last: those that were refused; or over which something was
    /// delayed, reset, swallowed or held back. A connection that a cut killed was not tried, and does not count.
    pub fn met(&self, fault: FaultMode) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = known.iter().find(|b| b.fault == fault);
        broken.map_or(0, |b| b.met.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    /// Kills the connections that are there and refuses new ones.
    pub fn cut(&self) {
        self.begin(FaultMode::Cut);
    }

    /// Lets new connections through again after a cut.
    pub fn heal(&self) {
        self.end(FaultMode::Cut);
    }

    /// How many connections were tried since the link was cut.
    pub fn refused(&self) -> u64 {
        self.met(FaultMode::Cut)
    }

    /// Stops listening and drops every connection.
    pub async fn shutdown(self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

async fn accept(listener: TcpListener, leads: watch::Receiver<Link>, closing: CancellationToken, tasks: TaskTracker) {
    let mut connection = 0;
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((downstream, _)) => {
                connection += 1;
                let (leads, closing) = (leads.clone(), closing.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = closing.cancelled() => {}
                        () = carry::connection(downstream, connection, leads) => {}
                    }
                });
            }
            // Out of descriptors, or the peer is gone already: neither may end the relay, nor make it spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
