//! The binary in a terminal: what is drawn fits into its columns, the lines of running cases are gone at the end, and so are the cursor's
//! settings.
use crate::runner::Fixture;
use std::process::{Command, Output};
use tp_runner::report::console::layout::columns;

const WAITS: &str = r#"plan: WAITS
cases:
  - id: WAIT-001
    title: A condition that becomes true
    tier: must
    steps:
      - step: Wait for the file 漢字 🎉 to appear in the folder of the sessions
        do:
          - exec: { run: [sh, -c, 'test -f appears || { sleep 0.1; false; }'] }
            eventually: 20s
            expect: { exit: 0 }
      - step: Touch nothing
        do:
          - exec: { run: ['true'] }
            expect: { exit: 0 }
    expected: [{ result: It is there, do: [{ exec: { run: [test, -f, appears] }, expect: { exit: 0 } }] }]
  - id: WAIT-002
    title: 漢字漢字漢字 a condition that never becomes true 🎉🎉🎉
    tier: should
    expected:
      - result: The word is 漢字漢字漢字漢字, as the plan says, and not another one of similar length
        do:
          - exec: { run: [sh, -c, 'echo 漢字漢字漢字漢字-found-in-a-long-word/that-cannot-be-broken; sleep 0.1'] }
            eventually: 3s
            expect: { stdout: { $contains: 漢字漢字漢字漢字 expected instead of this } }
  - id: WAIT-003
    title: Makes the file
    tier: nice
    steps:
      - step: Make it after two seconds
        do:
          - exec: { run: [sh, -c, 'sleep 2; touch appears'] }
            expect: { exit: 0 }
    expected: [{ result: It is made, do: [{ exec: { run: [test, -f, appears] }, expect: { exit: 0 } }] }]
"#;

fn in_terminal(fixture: &Fixture, size: &[&str], args: &[&str], variables: &[(&str, &str)]) -> String {
    let program = fixture.command(args);
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/in_terminal.py")).args(size).arg("--");
    python.arg(program.get_program()).args(args).current_dir(fixture.path()).env_remove("COLUMNS");
    python.env_remove("CI").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("TERM", "xterm-256color");
    let Output { stdout, stderr, status } =
        python.envs(variables.iter().copied()).output().expect("python3 is installed");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

fn waits() -> Fixture {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join("waits.yaml"), WAITS).unwrap();
    fixture
}

/// A terminal without scrolling.
struct Screen {
    width: usize,
    /// The characters of each line, with the column where each begins.
    lines: Vec<Vec<(usize, char)>>,
    row: usize,
    column: usize,
    cursor_is_visible: bool,
    exit: Option<i32>,
}

impl Screen {
    fn new(width: usize) -> Self {
        Screen { width, lines: vec![vec![]], row: 0, column: 0, cursor_is_visible: true, exit: None }
    }

    /// Shows what was written. `resized` is the width from the mark on.
    fn show(width: usize, resized: usize, text: &str) -> Screen {
        let mut screen = Screen::new(width);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\u{1b}' if rest.starts_with('[') => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).expect("a whole sequence");
                    screen.control(&rest[1..end], rest.as_bytes()[end]);
                    rest = &rest[end + 1..];
                }
                '\u{1b}' if rest.starts_with('_') => {
                    let (mark, after) = rest[1..].split_once("\u{1b}\\").expect("a whole mark");
                    rest = after;
                    match mark.strip_prefix("exit ") {
                        Some(code) => screen.exit = code.parse().ok(),
                        None => screen.width = resized,
                    }
                }
                '\r' => screen.column = 0,
                '\n' => screen.down(1),
                c => screen.put(c),
            }
        }
        screen
    }

    fn down(&mut self, by: usize) {
        self.row += by;
        self.lines.resize(self.lines.len().max(self.row + 1), vec![]);
    }

    fn control(&mut self, number: &str, command: u8) {
        let n = number.parse().unwrap_or(1);
        match command {
            b'A' => self.row = self.row.checked_sub(n).expect("above the first line"),
            b'B' => self.down(n),
            b'C' => self.column += n,
            b'D' => self.column = self.column.saturating_sub(n),
            b'G' => self.column = n - 1,
            b'K' if number == "2" => self.lines[self.row].clear(),
            b'K' => self.lines[self.row].retain(|(column, _)| *column < self.column),
            b'J' => {
                self.lines[self.row].retain(|(column, _)| *column < self.column);
                self.lines.truncate(self.row + 1);
            }
            b'm' => {}
            b'h' | b'l' if number == "?25" => self.cursor_is_visible = command == b'h',
            other => panic!("unknown: {number}{}", char::from(other)),
        }
    }

    /// Like a terminal, continues on the next line where the width ends.
    fn put(&mut self, c: char) {
        let width = columns(&c.to_string());
        if self.column + width > self.width {
            self.down(1);
            self.column = 0;
        }
        let end = self.column + width;
        let taken = self.column..end.max(self.column + 1);
        let line = &mut self.lines[self.row];
        line.retain(|(column, _)| !taken.contains(column));
        line.push((self.column, c));
        line.sort_by_key(|(column, _)| *column);
        self.column = end;
    }

    fn text(&self) -> String {
        let line = |line: &Vec<(usize, char)>| {
            let mut text = String::new();
            for (column, c) in line {
                text += &" ".repeat(column.saturating_sub(columns(&text)));
                text.push(*c);
            }
            text + "\n"
        };
        self.lines.iter().map(line).collect()
    }
}

#[test]
fn a_terminal_of_any_width_shows_a_run_without_broken_words() {
    let words: Vec<&str> =
        "A condition that becomes true never Makes the file 漢字漢字漢字漢字, as plan says, not another similar deciding cases passed should condition not met within 3s (must, nice decide). report:".split(' ').collect();
    for width in [40, 80, 120, 250] {
        let fixture = waits();
        let raw = in_terminal(&fixture, &[&width.to_string()], &["run", "waits.yaml", "--env", "here"], &[]);
        let screen = Screen::show(width, width, &raw);
        let text = screen.text();
        assert_eq!((screen.exit, screen.cursor_is_visible, screen.column), (Some(1), true, 0), "{width}\n{text}");
        let shown: Vec<&str> = text.split_whitespace().collect();
        for word in &words {
            assert!(shown.contains(word), "{width}: `{word}` is missing or broken:\n{text}");
        }
        assert!(raw.contains("of 3 s"), "the wait was never shown:\n{raw}");
        assert!(!text.contains("of 3 s") && !text.contains("━"), "{width}: rows of running cases are left:\n{text}");
        assert_eq!(text.matches("Makes the file").count(), 1, "{width}\n{text}");
    }
}

#[test]
fn a_terminal_may_be_resized() {
    for (before, after) in [(120, 60), (60, 120)] {
        let fixture = waits();
        let size = [&*before.to_string(), &*after.to_string(), "1.5"];
        let raw = in_terminal(&fixture, &size, &["run", "waits.yaml", "--env", "here"], &[]);
        let (_, resized) = raw.split_once("\u{1b}_resized\u{1b}\\").expect("it was resized");
        // what was on its way when the size changed
        let later = resized.split('\n').skip(12).collect::<Vec<_>>().join("\n");
        let mut drawn = later.split(['\n', '\r']).map(strip_styles);
        assert!(drawn.all(|line| columns(&line) <= after), "{before} {after}\n{later}");
        assert!(raw.contains("_exit 1"), "{raw}");
    }
}

fn strip_styles(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest)
    })
}

#[test]
fn plain_lines_where_the_cursor_cannot_be_moved() {
    for variables in [&[("TERM", "dumb")][..], &[("CI", "true")], &[("CI", "true"), ("NO_COLOR", "1")]] {
        let fixture = waits();
        let raw = in_terminal(&fixture, &["60"], &["run", "waits.yaml", "--env", "here"], variables);
        let (text, _) = raw.split_once("\u{1b}_exit").unwrap();
        let without_styles = strip_styles(text);
        assert!(!without_styles.trim_end().replace("\r\n", "\n").contains('\r'), "{variables:?}\n{text}");
        // a word of a shell command stays whole
        let mut lines = without_styles.lines().filter(|line| !line.trim_start().starts_with('\''));
        assert!(lines.all(|line| columns(line) <= 60), "{variables:?}\n{text}");
        let is_coloured = text.contains("\u{1b}[");
        let may_be_coloured = variables == [("CI", "true")];
        assert!(may_be_coloured || !is_coloured, "{variables:?}\n{text}");
    }
}

#[test]
fn colours_can_be_forced_and_refused() {
    let output = |variables: &[(&str, &str)]| {
        let fixture = Fixture::new();
        let output = fixture.command(&["run", "failing.yaml"]).envs(variables.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b) && output.stderr.contains(&0x1b)
    };
    assert!(output(&[("CLICOLOR_FORCE", "1")]));
    assert!(!output(&[]) && !output(&[("NO_COLOR", "1")]));
}

#[test]
fn a_reader_that_ends_early_changes_nothing() {
    for (args, code) in [(&["run", "failing.yaml"][..], 1), (&["run", "small.yaml", "--verbose"], 0)] {
        let fixture = Fixture::new();
        let program = fixture.command(args);
        let mut shell = Command::new("bash");
        shell.args(["-c", "\"$0\" \"$@\" 2>&1 | head -1; exit ${PIPESTATUS[0]}"]).arg(program.get_program()).args(args);
        let output = shell.current_dir(fixture.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), text.lines().count()), (Some(code), 1), "{text}");
    }
}
