//! The one location through which everything that a run says goes out: numbered, masked, handed to each sink in turn. Owns no word of
//! what is said.
use crate::{
    address::Address,
    event::{Event, EventKind, EventSink, Events},
    secrets::Secrets,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long the far end waits for more before it writes. Nobody waits for it but a reader.
const LINGER: Duration = Duration::from_micros(300);

type Ack = Option<oneshot::Sender<Result<(), String>>>;

/// The near end: tells wait while the far end is behind.
pub struct Channel(mpsc::Sender<(Address, EventKind, Ack)>);

#[async_trait]
impl Events for Channel {
    async fn emit(&self, at: &Address, kind: EventKind) {
        let _ = self.0.send((at.clone(), kind, None)).await;
    }

    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), String> {
        let (tx, rx) = oneshot::channel();
        self.0.send((at.clone(), kind, Some(tx))).await.map_err(|_| "the dispatcher is gone".to_string())?;
        rx.await.map_err(|_| "the dispatcher is gone".to_string())?
    }
}

/// Starts the far end. The first error of a sink cancels the run and is what the handle returns.
pub fn start(
    secrets: Arc<Secrets>,
    sinks: Vec<Box<dyn EventSink>>,
    cancel: CancellationToken,
) -> (Arc<Channel>, std::thread::JoinHandle<Result<(), String>>) {
    let (tx, mut rx) = mpsc::channel::<(Address, EventKind, Ack)>(1024);
    // a thread of its own: sinks write files and draw
    let thread = std::thread::spawn(move || {
        let mut out = Out { seq: 0, secrets, sinks, cancel, failed: None };
        while let Some((address, kind, ack)) = rx.blocking_recv() {
            let urgent = ack.is_some();
            out.emit(address, kind, ack);
            // what comes within a moment goes out together: waking a thread costs more than an event
            if !urgent {
                std::thread::sleep(LINGER);
            }
            while let Ok((address, kind, ack)) = rx.try_recv() {
                out.emit(address, kind, ack);
            }
            let _ = out.each(|sink| sink.flush());
        }
        let _ = out.each(|sink| sink.sync());
        out.failed.map_or(Ok(()), Err)
    });
    (Arc::new(Channel(tx)), thread)
}

struct Out {
    seq: u64,
    secrets: Arc<Secrets>,
    sinks: Vec<Box<dyn EventSink>>,
    cancel: CancellationToken,
    failed: Option<String>,
}

impl Out {
    fn emit(&mut self, address: Address, kind: EventKind, ack: Ack) {
        self.seq += 1;
        let event = Event { seq: self.seq, at: Timestamp::now(), address, kind };
        let (event, line) = masked(event, &self.secrets);
        let told = self.each(|sink| sink.on_event(&event, &line));
        if let Some(ack) = ack {
            let synced = self.each(|sink| sink.sync());
            let _ = ack.send(told.and(synced));
        }
    }

    /// The first error of all begins an orderly stop of the run.
    fn each(&mut self, mut what: impl FnMut(&mut dyn EventSink) -> Result<(), String>) -> Result<(), String> {
        let mut result = Ok(());
        for sink in &mut self.sinks {
            result = result.and(what(&mut **sink));
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

/// Written once; only where a secret is in it are its texts masked and it is written again.
fn masked(event: Event, secrets: &Secrets) -> (Event, String) {
    let line = serde_json::to_string(&event).unwrap_or_default();
    if secrets.mask(&line).is_none() {
        return (event, line);
    }
    let event = Event { kind: event.kind.map_text(&|s| secrets.mask(s)), ..event };
    let line = serde_json::to_string(&event).unwrap_or_default();
    (event, line)
}
