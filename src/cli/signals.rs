//! Ctrl-C, SIGTERM and SIGHUP: the first signal cancels the run and runs its undo actions, the second exits
//! immediately and lists what was not undone.
use super::{exit, failure::Failure, print, reports::Reports};
use crate::{
    engine::open_undos::{OpenUndo, OpenUndos},
    event::{Event, EventSink, SinkError},
    executors::process_group,
    report::index_builder::IndexBuilder,
};
use parking_lot::Mutex;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long the second signal waits for an event that is being written.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

type EventSinks = Vec<Box<dyn EventSink>>;

/// The sinks of a run. They can be closed before it ends, all of them after the same event.
#[derive(Clone, Default)]
struct Sinks(Arc<Mutex<Option<EventSinks>>>);

impl Sinks {
    /// Writes what is buffered, and takes no further event.
    fn close(&self) {
        if let Some(mut sinks) = self.0.try_lock_for(WRITE_LIMIT) {
            sinks.take();
        }
    }
}

/// The sinks as the run sees them. It closes them at its end.
struct OpenSinks(Sinks);

impl OpenSinks {
    fn each(&self, f: impl FnMut(&mut Box<dyn EventSink>) -> Result<(), SinkError>) -> Result<(), SinkError> {
        match &mut *self.0.0.lock() {
            // every sink, also after the error of one
            Some(sinks) => sinks.iter_mut().map(f).fold(Ok(()), Result::and),
            None => Err(SinkError("the run has ended".into())),
        }
    }
}

impl EventSink for OpenSinks {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        self.each(|sink| sink.on_event(event))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.each(|sink| sink.flush())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.each(|sink| sink.sync())
    }
}

impl Drop for OpenSinks {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[derive(Clone, Default)]
pub struct Interrupts {
    /// Cancelled by the first signal.
    pub cancel: CancellationToken,
    /// Cancelled by the second signal, just before the process exits.
    pub kill: CancellationToken,
    /// What the run has not undone.
    pub open: OpenUndos,
    /// The fault that `doctor` has broken.
    broken: Arc<Mutex<Option<String>>>,
    sinks: Sinks,
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

    /// The sinks of a run that begins, with what an earlier process left. The second signal closes them.
    pub fn sinks(&self, sinks: Vec<Box<dyn EventSink>>, left: &[OpenUndo]) -> Vec<Box<dyn EventSink>> {
        self.open.restart(left);
        let open: Box<dyn EventSink> = Box::new(self.open.clone());
        *self.sinks.0.lock() = Some(sinks.into_iter().chain([open]).collect());
        vec![Box::new(OpenSinks(self.sinks.clone()))]
    }

    pub fn set_broken(&self, fault: Option<String>) {
        *self.broken.lock() = fault;
    }

    /// A line for each thing that is not undone.
    fn left(&self) -> Vec<String> {
        let open = self.open.all().into_iter().map(|undo| format!("{}: {}", undo.at.as_str(), undo.summary));
        open.chain(self.broken.lock().iter().map(|fault| format!("{fault}: heal it"))).collect()
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
        self.sinks.close();
        let pending = self.left();
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
    use crate::{
        event::EventKind,
        journal::lines::{self, JsonLines},
        report::samples,
    };

    #[test]
    fn after_the_sinks_are_closed_the_journal_has_the_events_that_the_list_knows_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let planned = |seq: u64| Event {
            seq,
            kind: EventKind::UndoPlanned {
                summary: format!("delete {seq}"),
                location: crate::source::Location { file: "t.yaml".into(), line: 1, column: 1 },
                names: crate::value::Value::Null,
                heals: None,
            },
            ..samples::passing().events[0].clone()
        };
        let interrupts = Interrupts::default();
        interrupts.set_broken(Some("fault link".into()));
        let mut sinks = interrupts.sinks(vec![Box::new(JsonLines::open(&path).unwrap())], &[]);
        sinks[0].on_event(&planned(1)).unwrap();
        sinks[0].on_event(&planned(2)).unwrap();
        interrupts.sinks.close();
        assert!(sinks[0].on_event(&planned(3)).is_err() && sinks[0].flush().is_err() && sinks[0].sync().is_err());
        let recorded = OpenUndos::of(&lines::read(&path).unwrap().events).all();
        assert_eq!(recorded.iter().map(|undo| &*undo.summary).collect::<Vec<_>>(), ["delete 1", "delete 2"]);
        assert_eq!(recorded, interrupts.open.all());
        assert_eq!(interrupts.left().len(), 3);
    }
}
