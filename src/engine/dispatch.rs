//! Dispatches the events of a run: numbers them, masks secrets, and passes them to each sink.
use crate::{
    address::Address,
    event::{Event, EventKind, EventSink, Events, SinkError},
    secrets::Secrets,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long the writer batches events before it writes them.
const BATCH_WINDOW: Duration = Duration::from_micros(300);

/// How many events may wait for the writer.
const MAX_QUEUED_EVENTS: usize = 1024;
/// How many bytes of observed values may wait for the writer.
const MAX_QUEUED_BYTES: usize = 32 << 20;

type Ack = Option<oneshot::Sender<Result<(), SinkError>>>;
/// An event, and its share of the bytes that may wait.
type Queued = (Address, EventKind, Ack, Option<OwnedSemaphorePermit>);

/// The sender of events. Sending waits while the writer is behind.
pub struct Channel {
    queue: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
}

impl Channel {
    async fn send(&self, at: &Address, kind: EventKind, ack: Ack) -> Result<(), SinkError> {
        let value = kind.attempt().and_then(|attempt| attempt.value.as_ref());
        let share = value.map_or(0, |value| value.memory().min(MAX_QUEUED_BYTES));
        let share = match u32::try_from(share) {
            Ok(bytes @ 1..) => self.bytes.clone().acquire_many_owned(bytes).await.ok(),
            _ => None,
        };
        let stopped = |_| SinkError("the dispatcher has stopped".into());
        self.queue.send((at.clone(), kind, ack, share)).await.map_err(stopped)
    }
}

#[async_trait]
impl Events for Channel {
    async fn emit(&self, at: &Address, kind: EventKind) {
        let _ = self.send(at, kind, None).await;
    }

    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), SinkError> {
        let (tx, rx) = oneshot::channel();
        self.send(at, kind, Some(tx)).await?;
        rx.await.map_err(|_| SinkError("the dispatcher has stopped".into()))?
    }
}

type Writing = std::thread::JoinHandle<Result<(), SinkError>>;

/// Starts the writer thread. The first error of a sink cancels the run, and the handle returns it.
pub fn start(
    secrets: Arc<Secrets>,
    sinks: Vec<Box<dyn EventSink>>,
    cancel: CancellationToken,
) -> (Arc<Channel>, Writing) {
    start_after(0, secrets, sinks, cancel)
}

/// Like [`start`], for a journal that has this many events.
pub fn start_after(
    seq: u64,
    secrets: Arc<Secrets>,
    sinks: Vec<Box<dyn EventSink>>,
    cancel: CancellationToken,
) -> (Arc<Channel>, Writing) {
    let (queue, mut rx) = mpsc::channel::<Queued>(MAX_QUEUED_EVENTS);
    // a thread of its own, since sinks write files and draw
    let thread = std::thread::spawn(move || {
        let mut writer = Writer { seq, secrets, sinks, cancel, failed: None };
        while let Some((address, kind, ack, share)) = rx.blocking_recv() {
            let urgent = ack.is_some();
            writer.emit(address, kind, ack);
            drop(share);
            // events of a short time are written together: waking a thread costs more than an event
            if !urgent {
                std::thread::sleep(BATCH_WINDOW);
            }
            while let Ok((address, kind, ack, _share)) = rx.try_recv() {
                writer.emit(address, kind, ack);
            }
            let _ = writer.each(|sink| sink.flush());
        }
        let _ = writer.each(|sink| sink.sync());
        writer.failed.map_or(Ok(()), Err)
    });
    (Arc::new(Channel { queue, bytes: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)) }), thread)
}

struct Writer {
    seq: u64,
    secrets: Arc<Secrets>,
    sinks: Vec<Box<dyn EventSink>>,
    cancel: CancellationToken,
    failed: Option<SinkError>,
}

impl Writer {
    fn emit(&mut self, address: Address, kind: EventKind, ack: Ack) {
        self.seq += 1;
        let kind = kind.map_text(&|field, text| self.secrets.mask_field(field, text));
        let event = Event { seq: self.seq, at: now(), address, kind };
        let written = self.each(|sink| sink.on_event(&event));
        if let Some(ack) = ack {
            let synced = self.each(|sink| sink.sync());
            let _ = ack.send(written.and(synced));
        }
    }

    /// Calls every sink. The first error cancels the run.
    fn each(&mut self, mut f: impl FnMut(&mut dyn EventSink) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let mut result = Ok(());
        for sink in &mut self.sinks {
            result = result.and(f(&mut **sink));
        }
        if let Err(e) = &result
            && self.failed.is_none()
        {
            self.failed = Some(e.clone());
            self.cancel.cancel();
        }
        result
    }
}

/// The time in whole microseconds: the journal needs less room for it.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
