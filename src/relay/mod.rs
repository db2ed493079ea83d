//! A TCP relay that injects faults into a connection: cut, delay, reset, swallow, throttle.
//!
//! A relay owns one listening socket and the connections accepted on it. It forwards bytes, without
//! knowledge of protocols, plans or the reason for a fault. It is controlled by its owner, or over a
//! [control socket](control) by other processes.
mod connection;
pub mod control;
mod fault;
mod link;
mod protocol;
#[cfg(test)]
mod tests;

pub use fault::FaultMode;
pub use protocol::{Command, FaultState, RelayState};

use fault::ActiveFault;
use link::{Counts, Link};
use parking_lot::Mutex;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Pause after a failed `accept`, so that a lack of file descriptors does not make the relay spin.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(10);

pub struct Relay {
    address: SocketAddr,
    link: watch::Sender<Link>,
    /// The most recent start of each fault, still active or not: keeps its count.
    started_faults: Mutex<Vec<Arc<ActiveFault>>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Relay {
    /// Listens immediately. Connections wait until [`Relay::set_upstream`] is called.
    pub async fn bind(listen: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (link, updates) = watch::channel(Link {
            upstream: None,
            faults: vec![],
            alive: CancellationToken::new(),
            counts: Arc::new(Counts::default()),
        });
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(accept(listener, updates, closing.clone(), tasks.clone()));
        Ok(Relay { address, link, started_faults: Mutex::default(), closing, tasks })
    }

    /// The address to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the destination of new connections: host and port.
    pub fn set_upstream(&self, upstream: impl ToString) {
        let upstream = upstream.to_string().into();
        self.link.send_modify(|link| link.upstream = Some(upstream));
    }

    /// Executes a command. Returns the state after it.
    pub fn execute(&self, command: Command) -> RelayState {
        match command {
            Command::State {} => {}
            Command::Break { fault } => self.start_fault(fault),
            Command::Heal { fault: Some(fault) } => self.stop_fault(fault),
            Command::Heal { fault: None } => {
                let active: Vec<FaultMode> = self.link.borrow().faults.iter().map(|f| f.mode).collect();
                active.into_iter().for_each(|mode| self.stop_fault(mode));
            }
        }
        self.state()
    }

    fn state(&self) -> RelayState {
        let link = self.link.borrow().clone();
        let state = |fault: &Arc<ActiveFault>| FaultState {
            fault: fault.mode,
            active: link.faults.iter().any(|f| f.mode == fault.mode),
            since: fault.since,
            refused: fault.affected_count(),
        };
        RelayState {
            listen: self.address.to_string(),
            upstream: link.upstream.as_deref().unwrap_or_default().to_string(),
            open: link.counts.open.load(Ordering::SeqCst),
            waiting: link.counts.waiting.load(Ordering::SeqCst),
            upstream_error: link.counts.upstream_error.lock().clone(),
            faults: self.started_faults.lock().iter().map(state).collect(),
        }
    }

    /// Activates a fault and resets its count of affected connections. Does nothing if it is active already.
    pub fn start_fault(&self, mode: FaultMode) {
        self.link.send_modify(|link| {
            if link.faults.iter().any(|f| f.mode == mode) {
                return;
            }
            let fault = Arc::new(ActiveFault::new(mode));
            let mut started = self.started_faults.lock();
            started.retain(|f| f.mode != mode);
            started.push(fault.clone());
            link.faults.push(fault);
            if mode == FaultMode::Cut {
                link.alive.cancel();
            }
        });
    }

    /// Deactivates a fault; other active faults stay.
    pub fn stop_fault(&self, mode: FaultMode) {
        self.link.send_modify(|link| {
            link.faults.retain(|f| f.mode != mode);
            if link.alive.is_cancelled() && link.cut().is_none() {
                link.alive = CancellationToken::new();
            }
        });
    }

    /// How many connections the fault affected since its last start: connections that were refused,
    /// or whose data was delayed, dropped, throttled or answered by a reset. Connections that
    /// existed when a cut started do not count.
    pub fn affected_connections(&self, mode: FaultMode) -> u64 {
        let started = self.started_faults.lock();
        started.iter().find(|f| f.mode == mode).map_or(0, |f| f.affected_count())
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

async fn accept(listener: TcpListener, link: watch::Receiver<Link>, closing: CancellationToken, tasks: TaskTracker) {
    let mut connection = 0;
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((downstream, _)) => {
                connection += 1;
                let (link, closing) = (link.clone(), closing.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = closing.cancelled() => {}
                        () = connection::forward(downstream, connection, link) => {}
                    }
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await,
        }
    }
}
