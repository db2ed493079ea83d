//! Progress on stderr while a run goes on. On a terminal, the running cases are drawn below what was printed; elsewhere there are only
//! lines, and now and then a heartbeat.
use super::{
    board::heartbeat, failure::Page, live::Live, neutral::neutral, notices::Notices, state::RunState, stream::Patient,
};
use crate::{
    event::{Event, EventKind, EventSink, SinkError},
    report::index_builder::IndexBuilder,
};
use indicatif::ProgressDrawTarget;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::{
    io::Write,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Detail {
    /// No progress.
    Quiet,
    /// Each case as it ends.
    #[default]
    Cases,
    /// Each action as it ends.
    Actions,
}

/// The columns of the terminal, which change when it is resized.
pub type Width = Box<dyn Fn() -> usize + Send>;

/// An event sink that shows progress.
pub struct Console {
    /// `None`: nothing is shown.
    view: Option<Arc<Mutex<View>>>,
    /// Dropped to end the clock.
    clock: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

struct View {
    state: RunState,
    notices: Notices,
    screen: Screen,
    /// When the last heartbeat was, or the start.
    beat: Option<Timestamp>,
}

enum Screen {
    Live(Live, Width),
    /// With a width if lines are wrapped.
    Lines(Box<dyn Write + Send>, Option<Width>),
}

impl Console {
    /// Draws on a terminal. The index gets each event before the console does.
    pub fn live(target: ProgressDrawTarget, width: Width, detail: Detail, colour: bool, index: IndexBuilder) -> Self {
        Self::new(Screen::Live(Live::new(target), width), detail, colour, index)
    }

    /// Writes plain lines, for a file or a pipe, or with a width for a terminal that cannot move its cursor.
    pub fn lines(
        out: Box<dyn Write + Send>,
        width: Option<Width>,
        detail: Detail,
        colour: bool,
        index: IndexBuilder,
    ) -> Self {
        Self::new(Screen::Lines(out, width), detail, colour, index)
    }

    /// Plain lines on stderr.
    pub fn stderr(width: Option<Width>, detail: Detail, colour: bool, index: IndexBuilder) -> Self {
        Self::lines(Box::new(Patient(std::io::stderr())), width, detail, colour, index)
    }

    fn new(screen: Screen, detail: Detail, colour: bool, index: IndexBuilder) -> Self {
        if detail == Detail::Quiet {
            return Console { view: None, clock: None };
        }
        let page = Page { width: None, colour };
        let notices = Notices { page, actions: detail == Detail::Actions, index };
        let view = View { state: RunState::default(), notices, screen, beat: None };
        Console { view: Some(Arc::new(Mutex::new(view))), clock: None }
    }

    /// Starts the thread that draws what changes with time.
    fn start_clock(&mut self) {
        let Some(view) = self.view.clone() else { return };
        let (stop, stopped) = mpsc::channel::<()>();
        let tick = move || {
            while stopped.recv_timeout(REDRAW_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                view.lock().tick(Timestamp::now());
            }
        };
        self.clock = thread::Builder::new().name("progress".into()).spawn(tick).ok().map(|thread| (stop, thread));
    }

    fn stop_clock(&mut self) {
        if let Some((stop, thread)) = self.clock.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

impl EventSink for Console {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        let Some(view) = self.view.clone() else { return Ok(()) };
        view.lock().show(event);
        match event.kind {
            EventKind::RunStarted(_) | EventKind::CleanupStarted if self.clock.is_none() => self.start_clock(),
            EventKind::RunFinished { .. } | EventKind::CleanupFinished { .. } => {
                self.stop_clock();
                view.lock().clear();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.stop_clock();
        self.view.iter().for_each(|view| view.lock().clear());
    }
}

impl View {
    fn show(&mut self, event: &Event) {
        self.notices.page.width = self.width();
        let lines = self.notices.of(event, &mut self.state);
        self.state.apply(event);
        if let (Screen::Live(live, width), false) = (&mut self.screen, lines.is_empty()) {
            // so that a case is not drawn below its last line
            live.draw(&self.state, event.at, width());
        }
        self.print(lines);
        if let (EventKind::RunStarted(_), Screen::Lines(..)) = (&event.kind, &self.screen) {
            self.beat = Some(event.at);
        }
    }

    fn width(&self) -> Option<usize> {
        match &self.screen {
            Screen::Live(_, width) | Screen::Lines(_, Some(width)) => Some(width()),
            Screen::Lines(_, None) => None,
        }
    }

    /// A run continues even if progress cannot be shown.
    fn print(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let lines: Vec<String> = lines.iter().map(|line| neutral(line).into_owned()).collect();
        match &mut self.screen {
            Screen::Live(live, _) => live.print(&lines),
            Screen::Lines(out, _) => drop(writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush())),
        }
    }

    /// Shows what has changed with time.
    fn tick(&mut self, now: Timestamp) {
        if let Screen::Live(live, width) = &mut self.screen {
            live.draw(&self.state, now, width());
            return;
        }
        let is_due = self.beat.is_some_and(|beat| now.duration_since(beat) >= HEARTBEAT);
        if is_due && !self.state.running.is_empty() {
            self.beat = Some(now);
            let width = self.width().unwrap_or(usize::MAX);
            self.print(heartbeat(&self.state, now, width));
        }
    }

    fn clear(&mut self) {
        if let Screen::Live(live, _) = &mut self.screen {
            live.clear();
        }
    }
}

#[cfg(test)]
mod tests;
