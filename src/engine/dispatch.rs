//! The one place through which everything that a run says goes out: numbered, masked, handed to each sink in turn. Owns no word of
//! what is said.
use crate::{
    address::Address,
    event::{Event, EventKind, EventSink, Events},
    secrets::Secrets,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

type Ack = Option<oneshot::Sender<Result<(), String>>>;

/// The near end: tells wait while the far end is behind.
pub struct Channel(mpsc::Sender<(Address, EventKind, Ack)>);

#[async_trait]
impl Events for Channel {
    async fn tell(&self, at: &Address, kind: EventKind) {
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
    mut sinks: Vec<Box<dyn EventSink>>,
    cancel: CancellationToken,
) -> (Arc<Channel>, std::thread::JoinHandle<Result<(), String>>) {
    let (tx, mut rx) = mpsc::channel::<(Address, EventKind, Ack)>(1024);
    // a thread of its own: sinks write files and draw
    let thread = std::thread::spawn(move || {
        let mut seq = 0;
        let mut failed: Option<String> = None;
        while let Some((address, kind, ack)) = rx.blocking_recv() {
            seq += 1;
            let event = Event { seq, at: Timestamp::now(), address, kind };
            let (event, line) = masked(event, &secrets);
            let mut result = Ok(());
            for sink in &mut sinks {
                let told = sink.on_event(&event, &line).and_then(|()| if ack.is_some() { sink.sync() } else { Ok(()) });
                result = result.and(told);
            }
            if let Err(e) = &result
                && failed.is_none()
            {
                failed = Some(e.clone());
                cancel.cancel();
            }
            if let Some(ack) = ack {
                let _ = ack.send(result);
            }
        }
        for sink in &mut sinks {
            if let Err(e) = sink.sync() {
                failed.get_or_insert(e);
            }
        }
        failed.map_or(Ok(()), Err)
    });
    (Arc::new(Channel(tx)), thread)
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
