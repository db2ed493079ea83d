//! What a person sees meanwhile, on stderr, and the summary at the end. Knows no Markdown and decides nothing.
//!
//! On a terminal: one bar for the run and a line for each case that runs, with the sentence it is at. Elsewhere: one plain line for
//! each case that ends.
use super::{
    gate::{RunVerdict, gate},
    ledger::{CaseIndex, RunIndex},
    wording::{self, and, count, duration, one_line},
};
use crate::{
    event::{Event, EventKind, EventSink, EvidenceKind},
    outcome::{Status, Verdict},
};
use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{collections::HashMap, fmt::Write as _, io::Write, time::Duration};

/// Lines shown of a command that does the same by hand.
const COMMAND_LINES: usize = 12;
/// Running cases that are shown at once.
const SHOWN: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Detail {
    /// Nothing until the summary.
    Quiet,
    #[default]
    Cases,
    /// Each action too.
    Actions,
}

/// The live progress.
pub struct Console {
    screen: Screen,
    detail: Detail,
    colour: bool,
    total: usize,
    ended: usize,
    red: usize,
    titles: HashMap<String, String>,
    sentences: HashMap<String, String>,
    actions: HashMap<String, String>,
}

enum Screen {
    Live { multi: MultiProgress, overall: ProgressBar, running: Vec<(String, ProgressBar)> },
    Lines(Box<dyn Write + Send>),
}

impl Console {
    /// For a terminal, `target` being where it is drawn.
    pub fn live(target: ProgressDrawTarget, detail: Detail, colour: bool) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let overall = multi.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} cases  {elapsed}{msg}") {
            overall.set_style(style.progress_chars("━╸ "));
        }
        Self::on(Screen::Live { multi, overall, running: Vec::new() }, detail, colour)
    }

    /// For a file or a pipe.
    pub fn lines(out: Box<dyn Write + Send>, detail: Detail, colour: bool) -> Self {
        Self::on(Screen::Lines(out), detail, colour)
    }

    /// On stderr, as it is: a terminal or not.
    pub fn stderr(detail: Detail, colour: bool) -> Self {
        use std::io::IsTerminal;
        match std::io::stderr().is_terminal() && detail != Detail::Quiet {
            true => Self::live(ProgressDrawTarget::stderr(), detail, colour),
            false => Self::lines(Box::new(std::io::stderr()), detail, colour),
        }
    }

    fn on(screen: Screen, detail: Detail, colour: bool) -> Self {
        let (titles, sentences, actions) = Default::default();
        Console { screen, detail, colour, total: 0, ended: 0, red: 0, titles, sentences, actions }
    }

    fn say(&mut self, line: &str) {
        // Progress that cannot be shown is no reason to stop a run.
        match &mut self.screen {
            Screen::Live { multi, .. } => drop(multi.println(line)),
            Screen::Lines(out) => drop(writeln!(out, "{line}").and_then(|()| out.flush())),
        }
    }

    fn show_sentence(&mut self, case: &str, sentence: &str) {
        let Screen::Live { multi, running, .. } = &mut self.screen else { return };
        let bar = match running.iter().find(|(id, _)| id == case) {
            Some((_, bar)) => bar,
            None if running.len() < SHOWN => {
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
        bar.set_message(one_line(sentence, wording::SHORT));
        bar.tick();
    }

    fn case_ended(&mut self, id: &str, verdict: Verdict, reason: Option<&str>, took: Duration) {
        self.ended += 1;
        let red = !matches!(verdict, Verdict::Passed | Verdict::Skipped);
        self.red += usize::from(red);
        let (ended, total, red_so_far) = (self.ended, self.total, self.red);
        if let Screen::Live { multi, overall, running } = &mut self.screen {
            if let Some(i) = running.iter().position(|(case, _)| case == id) {
                let (_, bar) = running.remove(i);
                bar.finish_and_clear();
                multi.remove(&bar);
            }
            overall.set_position(ended as u64);
            if red_so_far > 0 {
                overall.set_message(format!("  {red_so_far} not passed"));
            }
        }
        let title = self.titles.get(id).map(String::as_str).unwrap_or_default();
        let word = paint(self.colour, of_verdict(verdict), &format!("{:<11}", verdict.word()));
        let mut line = format!("{word} {ended:>2}/{total}  {id}  {title}  ({})", duration(took));
        if let Some(reason) = reason.filter(|_| red) {
            let _ = write!(line, ": {}", one_line(reason, wording::SHORT));
        }
        self.say(&line);
    }
}

impl EventSink for Console {
    fn on_event(&mut self, event: &Event, _: &str) -> Result<(), String> {
        if self.detail == Detail::Quiet {
            return Ok(());
        }
        let at = event.address.as_str();
        let id = event.address.case();
        match &event.kind {
            EventKind::RunStarted(start) => {
                self.total = start.cases.iter().filter(|c| c.selected).count();
                for case in &start.cases {
                    self.titles.insert(case.id.clone(), one_line(&case.title, 60));
                    for s in &case.sentences {
                        self.sentences.insert(s.address.as_str().to_owned(), one_line(&s.text, wording::SHORT));
                    }
                }
                if let Screen::Live { overall, .. } = &self.screen {
                    overall.set_length(self.total as u64);
                    overall.set_prefix(one_line(&start.plan.id, 24));
                    // The clock goes on while nothing happens.
                    overall.enable_steady_tick(Duration::from_millis(500));
                }
            }
            EventKind::CaseStarted => self.show_sentence(id, ""),
            EventKind::SentenceStarted => {
                if let Some(text) = self.sentences.get(at).cloned() {
                    self.show_sentence(id, &text);
                }
            }
            EventKind::ActionStarted { what, .. } if self.detail == Detail::Actions => {
                self.actions.insert(at.to_owned(), one_line(what, 100));
            }
            EventKind::ActionFinished { status, reason, attempts, took, .. } if self.detail == Detail::Actions => {
                let what = self.actions.remove(at).unwrap_or_default();
                let word = paint(self.colour, of_mark(*status), &format!("{:<11}", status.word()));
                let mut line = format!("  {word} {what}  ({}", duration(*took));
                if *attempts > 1 {
                    let _ = write!(line, ", {attempts} attempts");
                }
                let _ = write!(line, ")  {at}");
                if let Some(reason) = reason.as_ref().filter(|_| status.is_red()) {
                    let _ = write!(line, ": {}", one_line(reason, wording::SHORT));
                }
                self.say(&line);
            }
            EventKind::UndoFinished { status, what, reason } if status.is_red() => {
                let word = paint(self.colour, of_mark(*status), "left behind");
                let why = reason.as_deref().map(|r| format!(": {}", one_line(r, wording::SHORT))).unwrap_or_default();
                self.say(&format!("{word}  {id}  {}{why}", one_line(what, 100)));
            }
            EventKind::CaseFinished { verdict, reason, took, .. } => {
                self.case_ended(id, *verdict, reason.as_deref(), *took);
            }
            EventKind::CancelRequested => self.say("cancelled: undoing what was made"),
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

fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn in_colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into()))
}

fn of_verdict(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Passed => in_colour(AnsiColor::Green),
        Verdict::Failed | Verdict::Blocked => in_colour(AnsiColor::Red),
        Verdict::Errored | Verdict::Interrupted | Verdict::KnownFailure => in_colour(AnsiColor::Yellow),
        Verdict::Skipped => Style::new().dimmed(),
    }
}

fn of_mark(status: Status) -> Style {
    match status {
        Status::Passed => in_colour(AnsiColor::Green),
        Status::Failed => in_colour(AnsiColor::Red),
        Status::Errored | Status::NotReached | Status::Interrupted => in_colour(AnsiColor::Yellow),
        Status::NotVerified | Status::Unproven | Status::Skipped => Style::new().dimmed(),
    }
}

/// How the summary is to attempt.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub colour: bool,
    /// Columns of the terminal; `None`: as wide as need be.
    pub width: Option<u16>,
    /// Where the documents are, as the user knows the files.
    pub reports: Vec<String>,
}

/// What stands on stdout when a run is over.
pub fn summary(run: &RunIndex, attempt: &Look) -> String {
    let mut out = String::new();
    let notice = run.start.environment.notice.as_deref().map(|n| one_line(n, 4 * wording::SHORT));
    if let Some(notice) = &notice {
        let _ = writeln!(out, "{}\n", paint(attempt.colour, Style::new().bold(), notice));
    }
    if !run.cases.is_empty() {
        let _ = writeln!(out, "{}\n", table(run, attempt));
    }
    for case in run.cases.iter().filter(|c| c.is_red()) {
        failure(case, attempt, &mut out);
    }
    verdict(run, attempt, &mut out);
    for note in &run.notes {
        let _ = writeln!(out, "note: {}", one_line(note, 4 * wording::SHORT));
    }
    for report in &attempt.reports {
        let _ = writeln!(out, "report: {report}");
    }
    if let Some(notice) = &notice {
        let _ = writeln!(out, "{}", paint(attempt.colour, Style::new().bold(), notice));
    }
    out
}

fn table(run: &RunIndex, attempt: &Look) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = attempt.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(40));
    }
    if attempt.colour {
        table.enforce_styling();
    }
    table.set_header(["CASE", "TITLE", "TIER", "VERDICT", "TIME"]);
    for case in run.cases.iter().filter(|c| c.outline.selected) {
        let time = if case.verdict == Verdict::Skipped { String::new() } else { duration(case.took) };
        let mut verdict = Cell::new(case.verdict.word());
        if attempt.colour {
            verdict = verdict.fg(match case.verdict {
                Verdict::Passed => Color::DarkGreen,
                Verdict::Failed | Verdict::Blocked => Color::DarkRed,
                Verdict::Errored | Verdict::Interrupted | Verdict::KnownFailure => Color::DarkYellow,
                Verdict::Skipped => Color::DarkGrey,
            });
        }
        table.add_row([
            Cell::new(one_line(&case.outline.id, 40)),
            Cell::new(one_line(&case.outline.title, 60)),
            Cell::new(case.outline.tier.word()),
            verdict,
            Cell::new(time).set_alignment(CellAlignment::Right),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The first lines of what went wrong.
fn failure(case: &CaseIndex, attempt: &Look, out: &mut String) {
    let head = format!("{} {}", one_line(&case.outline.id, 40), one_line(&case.outline.title, 60));
    let word = paint(attempt.colour, of_verdict(case.verdict), case.verdict.word());
    let _ = writeln!(out, "{} {word}", paint(attempt.colour, Style::new().bold(), &head));
    if let Some(reason) = case.own_reason() {
        let _ = writeln!(out, "  {}", one_line(reason, 2 * wording::SHORT));
    }
    let Some(sentence) = case.first_red() else {
        out.push('\n');
        return;
    };
    let text = one_line(&sentence.outline.text, wording::SHORT);
    let (why, location) = sentence.first_cause();
    let _ = writeln!(out, "  {}: {text}", paint(attempt.colour, of_mark(sentence.status), sentence.status.word()));
    let cause = sentence.causes().into_iter().find(|c| c.status == sentence.status);
    let unmet: Vec<_> = cause.iter().flat_map(|c| c.unmet()).collect();
    for f in unmet.iter().take(4) {
        let _ = writeln!(out, "    {}", wording::unmet_in(f, ""));
    }
    if unmet.len() > 4 {
        let _ = writeln!(out, "    and {} more", unmet.len() - 4);
    }
    let reason = match unmet.is_empty() {
        true => why,
        false => cause.and_then(|c| c.own_reason()).map(str::to_owned),
    };
    if let Some(reason) = reason {
        let _ = writeln!(out, "    {}", one_line(&reason, 2 * wording::SHORT));
    }
    let _ = writeln!(out, "    at {}", one_line(&format!("{}:{}", location.file, location.line), wording::SHORT));
    let by_hand = cause.and_then(|c| c.evidence.iter().find(|e| e.kind == EvidenceKind::Reproduce));
    if let Some(by_hand) = by_hand {
        // Unfolded to one line where it was folded; else as it is, to be copied.
        let (command, more) =
            wording::head(&by_hand.text.replace("\\\r\n", "\\\n").replace("\\\n", ""), COMMAND_LINES, 2_000);
        let mut prompt = "$ ";
        for line in command.lines() {
            let _ = writeln!(out, "    {}{line}", paint(attempt.colour, Style::new().dimmed(), prompt));
            prompt = "  ";
        }
        if more > 0 {
            let _ = writeln!(out, "      and {}: see the report", count(more, "more line"));
        }
    }
    let others = case.sentences.iter().filter(|s| matches!(s.status, Status::Failed | Status::Errored)).count();
    if others > 1 {
        let _ = writeln!(out, "    and {} that did not hold", count(others - 1, "more sentence"));
    }
    for row in &case.left {
        let _ = writeln!(out, "    left behind: {}", one_line(&row.what, wording::SHORT));
    }
    out.push('\n');
}

fn verdict(run: &RunIndex, attempt: &Look, out: &mut String) {
    let gate = gate(run);
    let style = match gate.verdict {
        RunVerdict::Passed => in_colour(AnsiColor::Green),
        RunVerdict::Failed => in_colour(AnsiColor::Red),
        _ => in_colour(AnsiColor::Yellow),
    };
    let tiers: Vec<String> = gate
        .tiers
        .iter()
        .filter(|t| t.selected > 0)
        .map(|t| {
            let aside = if t.decides { "" } else { " (does not decide)" };
            format!("{} {}/{}{aside}", t.tier, t.passed, t.selected)
        })
        .collect();
    let word = paint(attempt.colour, style.bold(), &gate.verdict.word().to_uppercase());
    let tiers = if tiers.is_empty() { "no case was selected".to_owned() } else { tiers.join(", ") };
    let _ = writeln!(out, "{word}: {tiers}, in {}", duration(run.took));
    if run.cases.iter().any(|c| !c.outline.selected) {
        let _ = writeln!(out, "selected: {}", one_line(&run.start.selection, wording::SHORT));
    }
    if !run.begun {
        let _ = writeln!(out, "the journal ends before the run began");
    } else if !run.complete && !run.cancelled {
        let _ = writeln!(out, "the journal ends before the run did");
    }
    let open: Vec<String> = [Status::NotVerified, Status::Unproven]
        .into_iter()
        .map(|status| (status, run.cases.iter().flat_map(|c| &c.sentences).filter(|s| s.status == status).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(status, n)| format!("{} {status}", count(n, "sentence")))
        .collect();
    if !open.is_empty() {
        let _ = writeln!(out, "{}", and(&open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use indicatif::TermLike;
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    /// Keeps everything that was ever drawn.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl Paper {
        fn add(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Paper {
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

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.add(&String::from_utf8_lossy(bytes))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(story: &samples::Story, detail: Detail, colour: bool) -> String {
        let paper = Paper::default();
        let mut console = Console::lines(Box::new(paper.clone()), detail, colour);
        story.events.iter().for_each(|e| console.on_event(e, "").unwrap());
        paper.text()
    }

    #[test]
    fn away_from_a_terminal_one_line_for_each_case() {
        assert_eq!(
            told(&samples::green(), Detail::Cases, false),
            "passed       1/3  TC-2  Good Night  (340 ms)\n\
             passed       2/3  TC-1  Good Morning  (340 ms)\n\
             passed       3/3  TC-3  Hello  (340 ms)\n"
        );
        assert_eq!(told(&samples::mixed(), Detail::Quiet, false), "");
    }

    #[test]
    fn each_action_where_asked() {
        let said = told(&samples::mixed(), Detail::Actions, false);
        assert!(
            said.contains("  failed      http GET /echo  (2.0 s, 5 attempts)  TC-1/steps/1/do/0: did not hold"),
            "{said}"
        );
        assert!(said.contains("left behind  TC-1  http DELETE /greetings/2: connection refused\n"), "{said}");
        assert!(!told(&samples::mixed(), Detail::Cases, false).contains("http GET /echo"));
    }

    #[test]
    fn on_a_terminal_the_sentence_that_a_case_is_at() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255);
        let mut console = Console::live(target, Detail::Cases, false);
        for e in samples::mixed().events {
            console.on_event(&e, "").unwrap();
            // Faster than it is redrawn, it would not be seen.
            std::thread::sleep(Duration::from_millis(6));
        }
        let drawn = paper.text();
        for said in
            ["Wait for the echo", "3/5 cases", "3 not passed", "failed       1/5  TC-1  Wrong Answer", "cancelled"]
        {
            assert!(drawn.contains(said), "{said}\n{drawn}");
        }
    }

    #[test]
    fn the_summary_of_a_red_run() {
        let attempt = Look { reports: vec!["tests/reports/greetings.md".into()], ..Look::default() };
        let said = summary(&samples::mixed().index(), &attempt);
        let expected = r#" CASE  TITLE         TIER    VERDICT      TIME
 TC-1  Wrong Answer  must    failed        2.1 s
 TC-2  No Way There  must    errored        9 ms
 TC-3  Not Ready     should  blocked       15 ms
 TC-4  Broken Off    nice    interrupted  140 ms
 TC-5  Too Late      nice    skipped

TC-1 Wrong Answer failed
  failed: Greet everybody
    status: expected 201, was 500
    a == 2 && (b || c) does not hold: a is 1 and b || c is false
    at plans/TP-900.yaml:42
    $ curl -X POST https://greeter.example/greetings   -d '{"to": "Ann"}'
    and 1 more sentence that did not hold
    left behind: http DELETE /greetings/2

TC-2 No Way There errored
  errored: Ask
    cannot resolve `greeter.example`
    at plans/TP-900.yaml:60

TC-3 Not Ready blocked
  a precondition does not hold
  failed: The stage is set
    rows[0].set: expected true, was null
    at plans/TP-900.yaml:70

TC-4 Broken Off interrupted
  cancelled midway
  interrupted: End
    at plans/TP-900.yaml:80

FAILED: must 0/2, should 0/1, nice 0/2, in 2.2 s
selected: 5 of 6 cases
1 sentence not verified and 1 sentence unproven
report: tests/reports/greetings.md
"#;
        assert_eq!(said, expected, "\n{said}");
    }

    #[test]
    fn the_summary_says_the_sandbox_first_and_last() {
        let said = summary(&samples::green().index(), &Look::default());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.first(), lines.last());
        assert!(lines[0].contains("no deployment was tested"));
        assert!(said.contains("PASSED: must 2/2, nice 1/1, in 1.2 s\n"), "{said}");
    }

    #[test]
    fn colour_only_where_asked() {
        let run = samples::mixed().index();
        assert!(!summary(&run, &Look::default()).contains('\u{1b}'));
        let painted = summary(&run, &Look { colour: true, ..Look::default() });
        assert!(painted.contains("\u{1b}[1mTC-1 Wrong Answer\u{1b}[0m \u{1b}[31mfailed\u{1b}[0m"), "{painted:?}");
        assert!(!told(&samples::mixed(), Detail::Actions, false).contains('\u{1b}'));
        assert!(told(&samples::mixed(), Detail::Cases, true).contains("\u{1b}[31mfailed"));
    }

    #[test]
    fn nothing_foreign_moves_the_cursor() {
        let mut story = samples::mixed();
        for e in &mut story.events {
            e.kind = e.kind.clone().map_text(&|_| Some("a\u{1b}[2J\r\nb\u{202e}".into()));
        }
        let said = told(&story, Detail::Actions, false) + &summary(&story.index(), &Look::default());
        assert!(said.contains("a␛[2J b"), "{said:?}");
        assert!(!said.contains(['\u{1b}', '\r', '\u{202e}']), "{said:?}");
    }

    #[test]
    fn a_run_of_which_nothing_is_known_has_a_summary() {
        let said = summary(&crate::report::ledger::Ledger::of([]), &Look::default());
        assert_eq!(said, "INTERRUPTED: no case was selected, in 0 ms\nthe journal ends before the run began\n");
    }
}
