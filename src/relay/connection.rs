//! Forwards one connection in both directions, subject to the active fault.
use super::{
    fault::FaultMode,
    link::{Counted, Counts, Link},
};
use std::{collections::VecDeque, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CHUNK_BYTES: usize = 16 << 10;
/// Bytes queued per direction before reading pauses.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// Chunks per second of a throttled connection.
const THROTTLED_CHUNKS_PER_SECOND: u64 = 20;

/// Forwards `downstream` to the link's upstream until both sides have closed it, or an error or a fault ends it.
pub(super) async fn forward(downstream: TcpStream, id: u64, link: watch::Receiver<Link>) {
    let mut downstream = ResetOnDrop::new(downstream);
    let now = link.borrow().clone();
    if let Some(cut) = now.cut() {
        return cut.record(id);
    }
    let waiting = Counted::new(&now.counts.waiting);
    let mut updates = link.clone();
    let upstream = tokio::select! {
        () = now.alive.cancelled() => {
            // Cut before an upstream was set: counts as refused.
            return link.borrow().cut().into_iter().for_each(|cut| cut.record(id));
        }
        ready = updates.wait_for(|link| link.upstream.is_some()) => match ready {
            Ok(link) => link.upstream.clone(),
            Err(_) => return,
        },
    };
    let Some(upstream) = upstream else { return };
    let forwarded = async {
        let mut upstream = ResetOnDrop::new(connect(&upstream, &now.counts).await?);
        drop(waiting);
        let _open = Counted::new(&now.counts.open);
        let (client_read, client_write) = downstream.stream.split();
        let (server_read, server_write) = upstream.stream.split();
        tokio::try_join!(
            Direction::new(client_read, server_write, id, link.clone()).forward(),
            Direction::new(server_read, client_write, id, link.clone()).forward(),
        )?;
        upstream.closed_cleanly = true;
        io::Result::Ok(())
    };
    let result = tokio::select! {
        () = now.alive.cancelled() => return,
        result = forwarded => result,
    };
    downstream.closed_cleanly = result.is_ok();
}

/// Connects to the upstream, and records why that failed.
async fn connect(upstream: &str, counts: &Counts) -> io::Result<TcpStream> {
    let timed_out = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "no response"));
    let connected = timeout(UPSTREAM_CONNECT_TIMEOUT, TcpStream::connect(upstream)).await.unwrap_or_else(timed_out);
    *counts.upstream_error.lock() = connected.as_ref().err().map(ToString::to_string);
    connected
}

/// Resets the connection on drop unless it was closed cleanly: some clients wait forever after an ordinary close.
struct ResetOnDrop {
    stream: TcpStream,
    closed_cleanly: bool,
}

impl ResetOnDrop {
    fn new(stream: TcpStream) -> ResetOnDrop {
        let _ = stream.set_nodelay(true);
        ResetOnDrop { stream, closed_cleanly: false }
    }
}

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if !self.closed_cleanly {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// One direction of a connection.
struct Direction<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    connection: u64,
    link: watch::Receiver<Link>,
    /// Chunks in transit, with the time of their delivery.
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued_bytes: usize,
    /// When a throttled connection may deliver the next byte.
    next_delivery: Instant,
    /// Whether data was swallowed.
    lost_data: bool,
}

impl<'a> Direction<'a> {
    fn new(from: ReadHalf<'a>, to: WriteHalf<'a>, connection: u64, link: watch::Receiver<Link>) -> Direction<'a> {
        let (queue, next_delivery) = (VecDeque::new(), Instant::now());
        Direction { from, to, connection, link, queue, queued_bytes: 0, next_delivery, lost_data: false }
    }

    /// Returns when the sender has closed and everything is delivered. `Err`: reset the connection.
    async fn forward(mut self) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut ended = false;
        loop {
            if ended && self.queue.is_empty() && !self.lost_data {
                return self.to.shutdown().await;
            }
            let due = self.queue.front().map(|(due, _)| *due);
            tokio::select! {
                biased;
                changed = self.link.changed() => {
                    changed.map_err(|_| connection_reset())?;
                    self.apply_link_change()?;
                }
                () = sleep_until(due.unwrap_or(self.next_delivery)), if due.is_some() => {
                    if let Some((_, chunk)) = self.queue.pop_front() {
                        self.queued_bytes -= chunk.len();
                        self.to.write_all(&chunk).await?;
                    }
                }
                read = self.from.read(&mut buffer), if !ended && self.queued_bytes < MAX_QUEUED_BYTES => {
                    let read = read?;
                    ended = read == 0;
                    self.handle_chunk(&buffer[..read]).await?;
                }
            }
        }
    }

    /// Applies the fault to a chunk; an empty chunk is the end of the stream.
    async fn handle_chunk(&mut self, chunk: &[u8]) -> io::Result<()> {
        let fault = self.link.borrow().effective_fault().cloned();
        let now = Instant::now();
        let Some(fault) = fault else { return self.deliver(chunk).await };
        if chunk.is_empty() {
            self.lost_data |= fault.mode == FaultMode::Swallow;
            return Ok(());
        }
        if fault.mode == FaultMode::Cut {
            // An existing connection is reset, but not counted as refused.
            return Err(connection_reset());
        }
        fault.record(self.connection);
        match fault.mode {
            FaultMode::Cut | FaultMode::Reset => return Err(connection_reset()),
            FaultMode::Swallow => self.lost_data = true,
            FaultMode::Delay(by) => self.enqueue(add_saturating(now, by), chunk),
            FaultMode::Throttle(rate) => {
                let size = usize::try_from(rate / THROTTLED_CHUNKS_PER_SECOND).unwrap_or(CHUNK_BYTES);
                for part in chunk.chunks(size.clamp(1, CHUNK_BYTES)) {
                    let time = Duration::from_secs_f64(part.len() as f64 / rate.max(1) as f64);
                    self.next_delivery = add_saturating(self.next_delivery.max(now), time);
                    self.enqueue(self.next_delivery, part);
                }
            }
        }
        Ok(())
    }

    /// Delivers immediately, after the chunks already in transit.
    async fn deliver(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.queue.is_empty() {
            return self.to.write_all(chunk).await;
        }
        self.enqueue(Instant::now(), chunk);
        Ok(())
    }

    fn enqueue(&mut self, due: Instant, chunk: &[u8]) {
        self.queued_bytes += chunk.len();
        self.queue.push_back((due, chunk.to_vec()));
    }

    /// Delivers chunks held back by a fault that has ended, and resets the connection if data was swallowed.
    fn apply_link_change(&mut self) -> io::Result<()> {
        let mode = self.link.borrow().effective_fault().map(|f| f.mode);
        if self.lost_data && mode != Some(FaultMode::Swallow) {
            return Err(connection_reset());
        }
        if !matches!(mode, Some(FaultMode::Delay(_) | FaultMode::Throttle(_))) {
            let now = Instant::now();
            self.next_delivery = now;
            self.queue.iter_mut().for_each(|(due, _)| *due = now);
        }
        Ok(())
    }
}

/// `time + by`, with `by` capped at a year so that the sum cannot overflow.
fn add_saturating(time: Instant, by: Duration) -> Instant {
    const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);
    time + by.min(MAX_DELAY)
}

fn connection_reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
