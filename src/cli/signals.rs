//! Ctrl-C: once stops in order, twice leaves at once and says what is left.
use super::exit;
use crate::event::{Event, EventKind, EventSink};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What was made and not yet taken back, as the events tell.
#[derive(Clone, Default)]
pub struct Pending(Arc<Mutex<BTreeMap<String, String>>>);

impl EventSink for Pending {
    fn on_event(&mut self, event: &Event, _: &str) -> Result<(), String> {
        let mut pending = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match &event.kind {
            EventKind::UndoIntended { what, .. } => {
                pending.insert(event.address.to_string(), what.clone());
            }
            EventKind::UndoFinished { .. } => {
                pending.remove(event.address.as_str());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Listens from now on, for SIGINT and SIGTERM alike.
pub fn listen(cancel: CancellationToken, kill: CancellationToken, pending: Pending, run: String) {
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else { return };
        let mut asked = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            asked += 1;
            if asked == 1 {
                eprintln!("stopping: taking back what was made (Ctrl-C again to leave at once)");
                cancel.cancel();
                continue;
            }
            kill.cancel();
            let left = pending.0.lock().unwrap_or_else(|e| e.into_inner());
            if left.is_empty() {
                eprintln!("left at once; nothing is left behind");
            } else {
                eprintln!("left at once; not taken back ({}), recorded in run {run}:", left.len());
                left.iter().for_each(|(at, what)| eprintln!("  {at}: {what}"));
            }
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    });
}
