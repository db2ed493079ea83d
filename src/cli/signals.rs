//! Ctrl-C: once stops in order, twice leaves at once and says what is left.
use super::exit;
use crate::event::{Event, EventKind, EventSink};
use std::{
    collections::BTreeMap,
    path::PathBuf,
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

/// How the user's wishes reach a run.
#[derive(Clone, Default)]
pub struct Interrupts {
    /// The first Ctrl-C.
    pub cancel: CancellationToken,
    /// The second; the process ends with it.
    pub kill: CancellationToken,
    pub pending: Pending,
    /// Removed even when the process leaves at once.
    folders: Arc<Mutex<Vec<PathBuf>>>,
}

impl Interrupts {
    /// A folder that is removed even when the process leaves at once.
    #[cfg(feature = "sandbox")]
    pub fn keep(&self, folder: impl Into<PathBuf>) {
        self.folders.lock().unwrap_or_else(|e| e.into_inner()).push(folder.into());
    }
}

/// Listens from when it returns, for SIGINT and SIGTERM alike.
pub fn listen() -> std::io::Result<Interrupts> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let interrupts = Interrupts::default();
    let heard = interrupts.clone();
    tokio::spawn(async move {
        for asked in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked == 1 {
                eprintln!("stopping: taking back what was made (Ctrl-C again to leave at once)");
                heard.cancel.cancel();
                continue;
            }
            heard.kill.cancel();
            let left = heard.pending.0.lock().unwrap_or_else(|e| e.into_inner());
            if left.is_empty() {
                eprintln!("left at once; nothing is left behind");
            } else {
                eprintln!("left at once; not taken back ({}):", left.len());
                left.iter().for_each(|(at, what)| eprintln!("  {at}: {what}"));
            }
            for folder in heard.folders.lock().unwrap_or_else(|e| e.into_inner()).iter() {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    });
    Ok(interrupts)
}
