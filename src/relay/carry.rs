//! One connection over the link: two ways, and what the fault in force does to each piece that goes along them.
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Broken, FaultMode, Link};

const PIECE: usize = 16 << 10;
/// What is on its way at most, in each direction: then nothing more is read until something has arrived.
const MOST: usize = 1 << 20;

/// Carries `downstream` to where the link leads, until one side ends it or a fault does.
pub(super) async fn connection(downstream: TcpStream, id: u64, leads: watch::Receiver<Link>) {
    let mut downstream = Abrupt::new(downstream);
    let now = leads.borrow().clone();
    if let Some(cut) = cut(&now) {
        return cut.meets(id);
    }
    let mut leading = leads.clone();
    let upstream = tokio::select! {
        () = now.alive.cancelled() => {
            // it waited in vain: as good as refused
            return cut(&leads.borrow()).into_iter().for_each(|c| c.meets(id));
        }
        led = leading.wait_for(|link| link.upstream.is_some()) => match led {
            Ok(link) => link.upstream,
            Err(_) => return,
        },
    };
    let Some(upstream) = upstream else { return };
    let carried = async {
        // an upstream that refuses looks the same from below as if there were no relay
        let mut above = Abrupt::new(TcpStream::connect(upstream).await?);
        let (from_below, to_below) = downstream.stream.split();
        let (from_above, to_above) = above.stream.split();
        tokio::try_join!(
            Way::new(from_below, to_above, id, leads.clone()).pump(),
            Way::new(from_above, to_below, id, leads.clone()).pump(),
        )?;
        above.orderly = true;
        io::Result::Ok(())
    };
    let ended = tokio::select! {
        () = now.alive.cancelled() => return,
        ended = carried => ended,
    };
    downstream.orderly = ended.is_ok();
}

fn cut(link: &Link) -> Option<Arc<Broken>> {
    link.broken.iter().find(|b| b.fault == FaultMode::Cut).cloned()
}

/// Unless it has come to an orderly end, its peer sees a reset: some clients wait upon anything else.
struct Abrupt {
    stream: TcpStream,
    orderly: bool,
}

impl Abrupt {
    fn new(stream: TcpStream) -> Abrupt {
        let _ = stream.set_nodelay(true);
        Abrupt { stream, orderly: false }
    }
}

impl Drop for Abrupt {
    fn drop(&mut self) {
        if !self.orderly {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// One direction of a connection.
struct Way<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    connection: u64,
    leads: watch::Receiver<Link>,
    /// On its way, and when it arrives.
    held: VecDeque<(Instant, Vec<u8>)>,
    /// How much that is.
    weight: usize,
    /// When a throttled way is free for the next byte.
    free: Instant,
    /// Something that was sent will never arrive.
    lost: bool,
}

impl<'a> Way<'a> {
    fn new(from: ReadHalf<'a>, to: WriteHalf<'a>, connection: u64, leads: watch::Receiver<Link>) -> Way<'a> {
        Way { from, to, connection, leads, held: VecDeque::new(), weight: 0, free: Instant::now(), lost: false }
    }

    /// Until the sender ends it and all has arrived; `Err`: the whole connection is to be broken off.
    async fn pump(mut self) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        let mut ended = false;
        loop {
            if ended && self.held.is_empty() && !self.lost {
                return self.to.shutdown().await;
            }
            let due = self.held.front().map(|(due, _)| *due);
            tokio::select! {
                biased;
                changed = self.leads.changed() => {
                    changed.map_err(|_| broken_off())?;
                    self.turn()?;
                }
                () = sleep_until(due.unwrap_or(self.free)), if due.is_some() => {
                    if let Some((_, piece)) = self.held.pop_front() {
                        self.weight -= piece.len();
                        self.to.write_all(&piece).await?;
                    }
                }
                read = self.from.read(&mut buffer), if !ended && self.weight < MOST => {
                    let read = read?;
                    ended = read == 0;
                    self.pass(&buffer[..read]).await?;
                }
            }
        }
    }

    /// What becomes of a piece; an empty one is the end of what is sent.
    async fn pass(&mut self, piece: &[u8]) -> io::Result<()> {
        let acting = self.leads.borrow().acting().cloned();
        let now = Instant::now();
        let Some(broken) = acting else { return self.hand_over(piece).await };
        if piece.is_empty() {
            self.lost |= broken.fault == FaultMode::Swallow;
            return Ok(());
        }
        if broken.fault == FaultMode::Cut {
            // killed, and not tried
            return Err(broken_off());
        }
        broken.meets(self.connection);
        match broken.fault {
            FaultMode::Cut | FaultMode::Reset => return Err(broken_off()),
            FaultMode::Swallow => self.lost = true,
            FaultMode::Delay(by) => self.hold(later(now, by), piece),
            FaultMode::Throttle(rate) => {
                // small enough to flow, and never less than a byte
                let portion = usize::try_from(rate / 20).unwrap_or(PIECE).clamp(1, PIECE);
                for piece in piece.chunks(portion) {
                    let takes = Duration::from_secs_f64(piece.len() as f64 / rate.max(1) as f64);
                    self.free = later(self.free.max(now), takes);
                    self.hold(self.free, piece);
                }
            }
        }
        Ok(())
    }

    /// At once; but nothing overtakes what is on its way.
    async fn hand_over(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.held.is_empty() {
            return self.to.write_all(piece).await;
        }
        self.hold(Instant::now(), piece);
        Ok(())
    }

    fn hold(&mut self, until: Instant, piece: &[u8]) {
        self.weight += piece.len();
        self.held.push_back((until, piece.to_vec()));
    }

    /// The link has changed: what was held back by a fault that is gone arrives now, and what lost something is broken off.
    fn turn(&mut self) -> io::Result<()> {
        let acting = self.leads.borrow().acting().map(|b| b.fault);
        if self.lost && acting != Some(FaultMode::Swallow) {
            return Err(broken_off());
        }
        if !matches!(acting, Some(FaultMode::Delay(_) | FaultMode::Throttle(_))) {
            let now = Instant::now();
            self.free = now;
            self.held.iter_mut().for_each(|(due, _)| *due = now);
        }
        Ok(())
    }
}

fn later(than: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    than + by.min(FAR)
}

fn broken_off() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
