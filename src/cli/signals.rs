//! Ctrl-C and SIGTERM: the first signal cancels the run and runs its undo actions, the second exits
//! immediately and lists what was not undone.
use super::exit;
use crate::event::{Event, EventKind, EventSink, SinkError};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// An event sink that tracks pending undo entries: address and description.
#[derive(Clone, Default)]
pub struct PendingUndo(Arc<Mutex<BTreeMap<String, String>>>);

impl EventSink for PendingUndo {
    fn on_event(&mut self, event: &Event, _: &str) -> Result<(), SinkError> {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.kind {
            EventKind::UndoPlanned { summary, .. } => {
                pending.insert(event.address.to_string(), summary.clone());
            }
            EventKind::UndoFinished { .. } => {
                pending.remove(event.address.as_str());
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Clone, Default)]
pub struct Interrupts {
    /// Cancelled by the first signal.
    pub cancel: CancellationToken,
    /// Cancelled by the second signal, just before the process exits.
    pub kill: CancellationToken,
    pub pending: PendingUndo,
    /// Removed by the second signal.
    temporary_folders: Arc<Mutex<Vec<PathBuf>>>,
}

impl Interrupts {
    /// Registers a folder to remove if the process exits immediately.
    #[cfg(feature = "sandbox")]
    pub fn remove_on_exit(&self, folder: impl Into<PathBuf>) {
        self.temporary_folders.lock().unwrap_or_else(PoisonError::into_inner).push(folder.into());
    }
}

/// Installs the signal handlers.
pub fn listen() -> std::io::Result<Interrupts> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let interrupts = Interrupts::default();
    let shared = interrupts.clone();
    tokio::spawn(async move {
        for count in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if count == 1 {
                eprintln!("stopping: running the undo actions (Ctrl-C again to exit immediately)");
                shared.cancel.cancel();
                continue;
            }
            shared.kill.cancel();
            let pending = shared.pending.0.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.is_empty() {
                eprintln!("exited immediately; nothing to clean up");
            } else {
                eprintln!("exited immediately; not undone ({}):", pending.len());
                pending.iter().for_each(|(at, summary)| eprintln!("  {at}: {summary}"));
            }
            for folder in shared.temporary_folders.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    });
    Ok(interrupts)
}
