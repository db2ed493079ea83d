//! Ctrl-C, SIGTERM and SIGHUP: the first signal cancels the run and runs its undo actions, the second exits
//! immediately and lists what was not undone.
use super::{exit, failure::Failure, print, reports::Reports};
use crate::{
    event::{Event, EventKind, EventSink, SinkError},
    executors::process_group,
    report::index_builder::IndexBuilder,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// An event sink that tracks pending undo entries: their descriptions by address. An action that is repeated has several.
#[derive(Clone, Default)]
pub struct PendingUndo(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl PendingUndo {
    /// Adds an entry that no event announces.
    pub fn begin(&self, at: &str, summary: &str) {
        self.0.lock().entry(at.to_string()).or_default().push(summary.to_string());
    }

    /// Removes the last entry at `at`.
    pub fn end(&self, at: &str) {
        self.0.lock().get_mut(at).and_then(Vec::pop);
    }

    /// A line for each pending entry.
    fn list(&self) -> Vec<String> {
        let pending = self.0.lock();
        pending.iter().flat_map(|(at, all)| all.iter().map(move |summary| format!("{at}: {summary}"))).collect()
    }
}

impl EventSink for PendingUndo {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        match &event.kind {
            EventKind::UndoPlanned { summary, .. } => self.begin(event.address.as_str(), summary),
            EventKind::UndoBound { summary, .. } => {
                self.end(event.address.as_str());
                self.begin(event.address.as_str(), summary);
            }
            // the last one is undone first
            EventKind::UndoFinished { .. } => self.end(event.address.as_str()),
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
    running: Arc<Mutex<Option<Running>>>,
    report: Arc<Mutex<Option<Reports>>>,
}

/// The run that is being recorded.
pub struct Running {
    pub id: String,
    /// What is known about it.
    pub index: IndexBuilder,
}

impl Interrupts {
    /// Registers a folder to remove if the process exits immediately.
    pub fn remove_on_exit(&self, folder: impl Into<PathBuf>) {
        self.temporary_folders.lock().push(folder.into());
    }

    pub fn set_running(&self, running: Option<Running>) {
        *self.running.lock() = running;
    }

    /// Stops the run when this much time is over, as the first signal does.
    pub fn stop_after(&self, limit: Duration) {
        let cancel = self.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            if !cancel.is_cancelled() {
                print::err(format_args!("stopping: the time limit of {limit:?} is over\n"));
                cancel.cancel();
            }
        });
    }

    /// Where to report the run that is being recorded, if the process exits immediately.
    pub fn report_to(&self, reports: &Reports) {
        *self.report.lock() = Some(reports.clone());
    }

    /// Says what the run leaves, and reports what is known about it.
    fn leave(&self) {
        let pending = self.pending.list();
        if pending.is_empty() {
            print::err(format_args!("exited immediately; nothing to clean up\n"));
        } else {
            print::err(format_args!("exited immediately; not undone ({}):\n", pending.len()));
            pending.iter().for_each(|line| print::err(format_args!("  {line}\n")));
        }
        if let (Some(running), Some(reports)) = (&*self.running.lock(), &*self.report.lock()) {
            let (written, failures) = reports.write(&running.index.index());
            written.iter().for_each(|path| print::err(format_args!("report: {path}\n")));
            failures.iter().for_each(|failure| print::err(format_args!("{}\n", failure.message)));
            if !pending.is_empty() {
                print::err(format_args!("clean up with `tp-runner cleanup {}`\n", running.id));
            }
        }
        for folder in self.temporary_folders.lock().iter() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Ctrl-C, SIGTERM and SIGHUP: the end of the terminal.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` under `nohup`, which ignores it.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Installs the handlers.
    pub fn install() -> Result<Signals, Failure> {
        let install = |kind| {
            signal(kind).map_err(|e| Failure::unreachable(format!("error: cannot install signal handlers: {e}")))
        };
        // a write above the limit of the file size is then an error of that write, and ends nothing
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
        Ok(Signals {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
            hang_up: if is_ignored(SignalKind::hangup()) { None } else { Some(install(SignalKind::hangup())?) },
        })
    }

    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = async { self.hang_up.as_mut()?.recv().await }, if self.hang_up.is_some() => {}
        }
    }
}

/// Whether the process that started this one made it ignore a signal. Unknown without `/proc`: then it did not.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (kind.as_raw_value() - 1)) != 0
}

/// Handles signals from now on.
pub fn listen() -> Result<Interrupts, Failure> {
    let mut signals = Signals::install()?;
    let interrupts = Interrupts::default();
    let shared = interrupts.clone();
    tokio::spawn(async move {
        for count in 1.. {
            signals.recv().await;
            if count == 1 {
                print::err(format_args!(
                    "stopping: requests in flight are completed, then the undo actions run (Ctrl-C again to exit immediately)\n"
                ));
                shared.cancel.cancel();
                continue;
            }
            shared.kill.cancel();
            process_group::kill_all();
            shared.leave();
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    });
    Ok(interrupts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address::Address, outcome::Status, source::Location, value::Value};

    #[test]
    fn each_undo_at_one_address_is_pending_until_it_is_done() {
        let mut pending = PendingUndo::default();
        let mut emit = |kind| {
            let event = Event { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, address: Address::new("A/do/0/undo"), kind };
            pending.on_event(&event).unwrap();
            pending.list()
        };
        let location = Location { file: "t.yaml".into(), line: 1, column: 1 };
        let planned = |summary: &str| EventKind::UndoPlanned {
            summary: summary.into(),
            location: location.clone(),
            names: Value::Null,
            heals: None,
        };
        let finished =
            |summary: &str| EventKind::UndoFinished { status: Status::Passed, summary: summary.into(), reason: None };
        emit(planned("delete 1"));
        assert_eq!(emit(planned("delete 2")), ["A/do/0/undo: delete 1", "A/do/0/undo: delete 2"]);
        assert_eq!(emit(finished("delete 2")), ["A/do/0/undo: delete 1"]);
        assert!(emit(finished("delete 1")).is_empty());
    }
}
