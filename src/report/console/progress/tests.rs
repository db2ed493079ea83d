use super::*;
use crate::report::{
    console::{
        layout::columns,
        summary::{SummaryOptions, summary},
    },
    samples::{self, SampleRun},
};
use indicatif::TermLike;
use std::io;

/// A terminal that records everything drawn.
#[derive(Clone, Debug, Default)]
struct RecordingTerm(Arc<Mutex<String>>);

impl RecordingTerm {
    fn add(&self, text: &str) -> io::Result<()> {
        self.0.lock().push_str(text);
        Ok(())
    }
    fn text(&self) -> String {
        self.0.lock().clone()
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

fn apply(console: &mut Console, index: &mut IndexBuilder, event: &Event) {
    index.on_event(event).unwrap();
    console.on_event(event).unwrap();
}

fn progress(run: &SampleRun, width: Option<usize>, detail: Detail, colour: bool) -> String {
    let (term, mut index) = (RecordingTerm::default(), IndexBuilder::default());
    let width = width.map(|width| Box::new(move || width) as Width);
    let mut console = Console::lines(Box::new(term.clone()), width, detail, colour, index.clone());
    run.events.iter().for_each(|event| apply(&mut console, &mut index, event));
    term.text()
}

#[test]
fn prints_one_line_per_case_without_terminal() {
    assert_eq!(
        progress(&samples::passing(), None, Detail::Cases, false),
        "passed      1/3  TC-2  Good Night  (340 ms)\n\
         passed      2/3  TC-1  Good Morning  (340 ms)\n\
         passed      3/3  TC-3  Hello  (340 ms)\n"
    );
    assert_eq!(progress(&samples::mixed(), None, Detail::Quiet, false), "");
}

#[test]
fn a_failure_is_printed_when_its_case_ends() {
    let text = progress(&samples::mixed(), None, Detail::Cases, false);
    let case = text.find("failed      1/5  TC-1  Wrong Response  (2.1 s)\n  step 1 failed: Greet everyone\n");
    assert!(case < text.find("errored     2/5  TC-2"), "{text}");
    assert!(text.contains("    again: tp-runner run TP-900 --case TC-1 --env staging\n"), "{text}");
}

#[test]
fn verbose_prints_each_action() {
    let text = progress(&samples::mixed(), None, Detail::Actions, false);
    assert!(
        text.contains("  failed      http GET /echo  (2.0 s, 5 attempts)  TC-1/steps/1/do/0: did not hold"),
        "{text}"
    );
    assert!(text.contains("left behind TC-1  http DELETE /greetings/2: connection refused\n"), "{text}");
    assert!(!progress(&samples::mixed(), None, Detail::Cases, false).contains("http GET /echo  ("));
}

#[test]
fn lines_fit_into_a_terminal_that_cannot_move_its_cursor() {
    for width in 40..120 {
        let text = progress(&samples::mixed(), Some(width), Detail::Actions, false);
        assert!(text.lines().all(|line| columns(line) <= width), "{width}\n{text}");
    }
}

#[test]
fn the_heartbeat_comes_every_30_seconds_while_cases_run() {
    let mut run = samples::mixed();
    run.events.truncate(1);
    let start = run.events[0].at;
    let (term, mut index) = (RecordingTerm::default(), IndexBuilder::default());
    let mut console = Console::lines(Box::new(term.clone()), None, Detail::Cases, false, index.clone());
    run.emit("TC-1", EventKind::CaseStarted);
    run.start("TC-1/steps/0/do/0", "http GET /echo", 3);
    run.events.iter().for_each(|event| apply(&mut console, &mut index, event));
    let view = console.view.clone().unwrap();
    for second in 0..95 {
        view.lock().tick(start + SignedDuration::from_secs(second));
    }
    let beats: Vec<String> = term.text().lines().map(str::to_owned).collect();
    assert_eq!(beats[..2], ["running for 30 s, 0/5 cases ended", "  TC-1  http GET /echo, 27 s"],);
    assert_eq!(beats.len(), 6, "{beats:?}");
}

#[test]
fn terminal_shows_what_is_awaited() {
    let (term, mut index) = (RecordingTerm::default(), IndexBuilder::default());
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
    let mut console = Console::live(target, Box::new(|| 100), Detail::Cases, false, index.clone());
    let view = console.view.clone().unwrap();
    for event in samples::mixed().events {
        apply(&mut console, &mut index, &event);
        // Longer than the redraw interval of the target.
        std::thread::sleep(Duration::from_millis(6));
        view.lock().tick(event.at);
    }
    let drawn = term.text();
    for text in [
        "Wait for the echo: http GET /echo",
        "3/5 cases, 3 not passed",
        "failed      1/5  TC-1  Wrong Response",
        "cancelled",
    ] {
        assert!(drawn.contains(text), "`{text}` is missing:\n{drawn}");
    }
}

#[test]
fn colour_is_used_only_when_asked_for() {
    assert!(!progress(&samples::mixed(), None, Detail::Actions, false).contains('\u{1b}'));
    assert!(progress(&samples::mixed(), None, Detail::Cases, true).contains("\u{1b}[31mfailed"));
}

#[test]
fn foreign_text_cannot_move_the_cursor() {
    let mut sample = samples::mixed();
    for e in &mut sample.events {
        e.kind = e.kind.clone().map_text(&|_, _| Some("a\u{1b}[2J\r\nb\u{202e}".into()));
    }
    let shown = progress(&sample, None, Detail::Actions, false);
    let text = shown + &summary(&sample.index(), &SummaryOptions::default());
    assert!(text.contains("a␛[2J b"), "{text:?}");
    assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
}
