//! Live progress on stderr. On a terminal: one bar for the run, and for each running case a line
//! with its current sentence. Elsewhere: one line for each case that ends.
use super::style::{paint, status_style, verdict_style};
use super::{neutral::neutral, stream::Patient};
use crate::{
    event::{Event, EventKind, EventSink, SinkError},
    outcome::Verdict,
    report::wording::{self, MAX_INLINE_CHARS, duration, one_line},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{collections::HashMap, fmt::Write as _, io::Write, time::Duration};

/// Running cases shown at once.
const MAX_RUNNING_SHOWN: usize = 12;
const REDRAW_INTERVAL: Duration = Duration::from_millis(500);

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

/// An event sink that shows progress.
pub struct Console {
    screen: Screen,
    detail: Detail,
    colour: bool,
    total: usize,
    ended: usize,
    not_passed: usize,
    titles: HashMap<String, String>,
    sentences: HashMap<String, String>,
    actions: HashMap<String, String>,
}

enum Screen {
    Live { multi: MultiProgress, overall: ProgressBar, running: Vec<(String, ProgressBar)> },
    Lines(Box<dyn Write + Send>),
}

impl Console {
    /// Draws bars on `target`.
    pub fn live(target: ProgressDrawTarget, detail: Detail, colour: bool) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let overall = multi.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} cases  {elapsed}{msg}") {
            overall.set_style(style.progress_chars("━╸ "));
        }
        Self::new(Screen::Live { multi, overall, running: Vec::new() }, detail, colour)
    }

    /// Writes plain lines, for a file or a pipe.
    pub fn lines(out: Box<dyn Write + Send>, detail: Detail, colour: bool) -> Self {
        Self::new(Screen::Lines(out), detail, colour)
    }

    /// Bars if stderr is a terminal, otherwise plain lines.
    pub fn stderr(detail: Detail, colour: bool) -> Self {
        use std::io::IsTerminal;
        match std::io::stderr().is_terminal() && detail != Detail::Quiet {
            true => Self::live(ProgressDrawTarget::stderr(), detail, colour),
            false => Self::lines(Box::new(Patient(std::io::stderr())), detail, colour),
        }
    }

    fn new(screen: Screen, detail: Detail, colour: bool) -> Self {
        let (titles, sentences, actions) = Default::default();
        Console { screen, detail, colour, total: 0, ended: 0, not_passed: 0, titles, sentences, actions }
    }

    fn print(&mut self, line: &str) {
        let line = neutral(line);
        // A run continues even if progress cannot be shown.
        match &mut self.screen {
            Screen::Live { multi, .. } => drop(multi.println(&*line)),
            Screen::Lines(out) => drop(writeln!(out, "{line}").and_then(|()| out.flush())),
        }
    }

    fn show_sentence(&mut self, case: &str, sentence: &str) {
        let Screen::Live { multi, running, .. } = &mut self.screen else { return };
        let bar = match running.iter().find(|(id, _)| id == case) {
            Some((_, bar)) => bar,
            None if running.len() < MAX_RUNNING_SHOWN => {
                let bar = multi.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("  {prefix}  {wide_msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(one_line(case, 24));
                running.push((case.to_owned(), bar));
                &running[running.len() - 1].1
            }
            None => return,
        };
        bar.set_message(one_line(sentence, MAX_INLINE_CHARS));
        bar.tick();
    }

    fn case_ended(&mut self, id: &str, verdict: Verdict, reason: Option<&str>, time: &str) {
        self.ended += 1;
        let has_problem = !matches!(verdict, Verdict::Passed | Verdict::Skipped);
        self.not_passed += usize::from(has_problem);
        let (ended, total, not_passed) = (self.ended, self.total, self.not_passed);
        if let Screen::Live { multi, overall, running } = &mut self.screen {
            if let Some(i) = running.iter().position(|(case, _)| case == id) {
                let (_, bar) = running.remove(i);
                bar.finish_and_clear();
                multi.remove(&bar);
            }
            overall.set_position(ended as u64);
            if not_passed > 0 {
                overall.set_message(format!("  {not_passed} not passed"));
            }
        }
        let title = self.titles.get(id).map(String::as_str).unwrap_or_default();
        let word = paint(self.colour, verdict_style(verdict), &format!("{:<11}", verdict.as_str()));
        let mut line = format!("{word} {ended:>2}/{total}  {id}  {title}  ({time})");
        if let Some(reason) = reason.filter(|_| has_problem) {
            let _ = write!(line, ": {}", one_line(reason, 4 * MAX_INLINE_CHARS));
        }
        self.print(&line);
    }
}

impl EventSink for Console {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        if self.detail == Detail::Quiet {
            return Ok(());
        }
        let at = event.address.as_str();
        let id = &*event.address.case();
        match &event.kind {
            EventKind::RunStarted(start) => {
                self.total = start.cases.iter().filter(|c| c.selected).count();
                for case in &start.cases {
                    self.titles.insert(case.id.clone(), one_line(&case.title, 60));
                    for s in &case.sentences {
                        self.sentences.insert(s.address.as_str().to_owned(), one_line(&s.text, MAX_INLINE_CHARS));
                    }
                }
                if let Screen::Live { overall, .. } = &self.screen {
                    overall.set_length(self.total as u64);
                    overall.set_prefix(one_line(&start.plan.id, 24));
                    overall.enable_steady_tick(REDRAW_INTERVAL);
                }
            }
            EventKind::CaseStarted => self.show_sentence(id, ""),
            EventKind::SentenceStarted => {
                if let Some(text) = self.sentences.get(at).cloned() {
                    self.show_sentence(id, &text);
                }
            }
            EventKind::ActionStarted { action } if self.detail == Detail::Actions => {
                self.actions.insert(at.to_owned(), one_line(&action.summary, 100));
            }
            EventKind::ActionFinished { status, reason, attempts, took, .. } if self.detail == Detail::Actions => {
                let summary = self.actions.remove(at).unwrap_or_default();
                let word = paint(self.colour, status_style(*status), &format!("{:<11}", status.as_str()));
                let mut line = format!("  {word} {summary}  ({}", duration(*took));
                if *attempts > 1 {
                    let _ = write!(line, ", {attempts} attempts");
                }
                let _ = write!(line, ")  {at}");
                if let Some(reason) = reason.as_ref().filter(|_| status.is_unsuccessful()) {
                    let _ = write!(line, ": {}", one_line(reason, 4 * MAX_INLINE_CHARS));
                }
                self.print(&line);
            }
            EventKind::UndoFinished { status, summary, reason } if status.is_unsuccessful() => {
                let word = paint(self.colour, status_style(*status), "left behind");
                let why = reason.as_deref().map(|r| format!(": {}", one_line(r, MAX_INLINE_CHARS))).unwrap_or_default();
                self.print(&format!("{word}  {id}  {}{why}", one_line(summary, 100)));
            }
            EventKind::CaseFinished { verdict, reason, took, out_of_time, .. } => {
                let time = format!("{}{}", duration(*took), wording::out_of_time(*out_of_time));
                self.case_ended(id, *verdict, reason.as_deref(), &time);
            }
            EventKind::CaseRetried { verdict, reason, took, out_of_time, .. } => {
                let word = paint(self.colour, verdict_style(*verdict), &format!("{:<11}", verdict.as_str()));
                let time = format!("{}{}", duration(*took), wording::out_of_time(*out_of_time));
                let why = reason.as_deref().map(|r| format!(": {}", one_line(r, 4 * MAX_INLINE_CHARS)));
                self.print(&format!("{word} trying again  {id}  ({time}){}", why.unwrap_or_default()));
            }
            EventKind::CancelRequested => self.print("cancelled: running the undo actions"),
            EventKind::RunFinished { .. } => {
                if let Screen::Live { multi, overall, .. } = &self.screen {
                    overall.finish_and_clear();
                    let _ = multi.clear();
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        console::summary::{SummaryOptions, summary},
        samples,
    };
    use indicatif::TermLike;
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    /// A terminal that records everything drawn.
    #[derive(Clone, Debug, Default)]
    struct RecordingTerm(Arc<Mutex<String>>);

    impl RecordingTerm {
        fn add(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for RecordingTerm {
        fn width(&self) -> u16 {
            100
        }
        fn height(&self) -> u16 {
            40
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.add(&format!("{s}\n"))
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.add(s)
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Write for RecordingTerm {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.add(&String::from_utf8_lossy(bytes))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn progress(run: &samples::SampleRun, detail: Detail, colour: bool) -> String {
        let term = RecordingTerm::default();
        let mut console = Console::lines(Box::new(term.clone()), detail, colour);
        run.events.iter().for_each(|e| console.on_event(e).unwrap());
        term.text()
    }

    #[test]
    fn prints_one_line_per_case_without_terminal() {
        assert_eq!(
            progress(&samples::passing(), Detail::Cases, false),
            "passed       1/3  TC-2  Good Night  (340 ms)\n\
             passed       2/3  TC-1  Good Morning  (340 ms)\n\
             passed       3/3  TC-3  Hello  (340 ms)\n"
        );
        assert_eq!(progress(&samples::mixed(), Detail::Quiet, false), "");
    }

    #[test]
    fn verbose_prints_each_action() {
        let text = progress(&samples::mixed(), Detail::Actions, false);
        assert!(
            text.contains("  failed      http GET /echo  (2.0 s, 5 attempts)  TC-1/steps/1/do/0: did not hold"),
            "{text}"
        );
        assert!(text.contains("left behind  TC-1  http DELETE /greetings/2: connection refused\n"), "{text}");
        assert!(!progress(&samples::mixed(), Detail::Cases, false).contains("http GET /echo"));
    }

    #[test]
    fn terminal_shows_current_sentence() {
        let term = RecordingTerm::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
        let mut console = Console::live(target, Detail::Cases, false);
        for e in samples::mixed().events {
            console.on_event(&e).unwrap();
            // Longer than the redraw interval of the target.
            std::thread::sleep(Duration::from_millis(6));
        }
        let drawn = term.text();
        for text in
            ["Wait for the echo", "3/5 cases", "3 not passed", "failed       1/5  TC-1  Wrong Response", "cancelled"]
        {
            assert!(drawn.contains(text), "{text}\n{drawn}");
        }
    }

    #[test]
    fn colours_only_on_request() {
        let run = samples::mixed().index();
        assert!(!summary(&run, &SummaryOptions::default()).contains('\u{1b}'));
        let painted = summary(&run, &SummaryOptions { colour: true, ..SummaryOptions::default() });
        assert!(painted.contains("\u{1b}[1mTC-1 Wrong Response\u{1b}[0m \u{1b}[31mfailed\u{1b}[0m"), "{painted:?}");
        assert!(!progress(&samples::mixed(), Detail::Actions, false).contains('\u{1b}'));
        assert!(progress(&samples::mixed(), Detail::Cases, true).contains("\u{1b}[31mfailed"));
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        let mut sample = samples::mixed();
        for e in &mut sample.events {
            e.kind = e.kind.clone().map_text(&|_, _| Some("a\u{1b}[2J\r\nb\u{202e}".into()));
        }
        let text = progress(&sample, Detail::Actions, false) + &summary(&sample.index(), &SummaryOptions::default());
        assert!(text.contains("a␛[2J b"), "{text:?}");
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
    }
}
