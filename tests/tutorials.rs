//! Performs the pages for newcomers as a reader would: `docs/quick-start.md`, `docs/tutorial.md` and `docs/how-to/`.
//!
//! Each page has an empty folder and one shell. Its blocks are performed from top to bottom; the words after the
//! language of a block say how:
//!
//! | Block | Performed as |
//! |---|---|
//! | ```` ```sh ```` | commands; each must end with 0, the last one with `exit=N` if that is given |
//! | ```` ```sh needs=a,b ```` | the same, if these programs are installed |
//! | ```` ```sh no_run ```` | commands for another machine: syntax and flags are checked |
//! | ```` ```text ```` after `sh` | what the commands printed |
//! | ```` ```LANGUAGE file=NAME ```` | written into this file |
//! | ```` ```diff file=NAME ```` | an edit of this file, with lines of context |
//! | ```` ```LANGUAGE in=NAME ```` | lines of this file |
//! | other YAML, `nginx` | shown; `tests/docs.rs` checks YAML |
//!
//! `<!-- file=NAME from=PAGE -->` writes a file that another page shows. In outputs, `…` is any text, or any lines if it
//! is alone on its line. Spaces, run ids, measured times and dates may differ. The ports of the pages are replaced by
//! free ones. A command that ends with `&` is awaited until one of the ports accepts connections.
//!
//! `PAGES=overwrite` writes the outputs that differ into the pages, `PAGE=NAME` performs only pages of this name.
use regex::Regex;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Ports that the pages use.
const PORTS: [u16; 3] = [8000, 8001, 9000];
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Between asking processes to end and killing them.
const GRACE: Duration = Duration::from_millis(500);
/// Precedes the exit code in the output of the shell.
const END_OF_COMMAND: char = '\u{1e}';

/// The program under test: of this package, or the one that `TP_RUNNER` names.
fn runner() -> PathBuf {
    let built = option_env!("CARGO_BIN_EXE_tp-runner").map(PathBuf::from);
    built.or_else(|| std::env::var_os("TP_RUNNER").map(PathBuf::from)).expect("`TP_RUNNER` names the program")
}

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(ROOT).join("docs");
    let mut pages: Vec<PathBuf> = fs::read_dir(docs.join("how-to"))
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .chain([docs.join("quick-start.md"), docs.join("tutorial.md")])
        .collect();
    pages.sort();
    pages
}

/// A fenced block, or a comment that names a block of another page.
#[derive(Clone, Debug, Default)]
struct Block {
    language: String,
    words: BTreeMap<String, String>,
    text: String,
    line: usize,
}

impl Block {
    fn new(info: &str, line: usize) -> Block {
        let mut parts = info.split_whitespace();
        let language = parts.next().unwrap_or_default().to_string();
        let pair =
            |word: &str| word.split_once('=').map_or((word.into(), String::new()), |(k, v)| (k.into(), v.into()));
        Block { language, words: parts.map(pair).collect(), text: String::new(), line }
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.words.get(name).map(String::as_str)
    }
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut out, mut open): (Vec<Block>, Option<Block>) = (vec![], None);
    for (i, line) in page.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => out.push(block),
                None => open = Some(Block::new(info, i + 1)),
            }
        } else if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        } else if let Some(comment) = line.strip_prefix("<!-- file=") {
            out.push(Block::new(&format!("comment file={}", comment.trim_end_matches("-->")), i + 1));
        }
    }
    assert!(open.is_none(), "a block that is never closed");
    out
}

/// The commands of a block: its lines, joined where one ends with `\`.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", "\\\u{0}");
    let lines = joined.lines().map(|l| l.replace('\u{0}', "\n").trim().to_string());
    lines.filter(|l| !l.is_empty() && !l.starts_with('#')).collect()
}

/// Applies the lines of a diff to a text. Lines that stay and go must follow each other in it exactly once.
fn edit(text: &str, diff: &str) -> Result<String, String> {
    let side = |other: char| -> String {
        let lines = diff.lines().filter(|l| !l.starts_with(other));
        lines.map(|l| format!("{}\n", l.get(1..).unwrap_or_default())).collect()
    };
    let (before, after) = (side('+'), side('-'));
    match text.matches(&before).count() {
        1 => Ok(text.replace(&before, &after)),
        n => Err(format!("expected these lines once in the file, found them {n} times:\n{before}\nthe file:\n{text}")),
    }
}

/// Replaces what differs from run to run.
fn masked(text: &str) -> String {
    const MASKS: [(&str, &str); 6] = [
        (r"\br[0-9a-f]{7}\b", "‹run›"),
        (r"\b20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z| ?[+-]\d\d:\d\d)?)?", "‹date›"),
        (r"\b\d+(\.\d+)? (µs|ms|s|min)\b", "‹time›"),
        (r"\b\d+ attempts?\b", "‹attempts›"),
        (r"[─━═]+", "─"),
        (r"\btp-runner \d+\.\d+\.\d+", "tp-runner ‹version›"),
    ];
    let mut out: String =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect::<String>();
    for (pattern, by) in MASKS {
        out = Regex::new(pattern).expect("a pattern").replace_all(&out, by).into_owned();
    }
    out.trim().to_string() + "\n"
}

/// The pattern of an output as a page shows it.
fn pattern(shown: &str) -> String {
    let line = |line: &str| match line {
        "…" => "(?:.*\n)*?".to_string(),
        line => line.split('…').map(regex::escape).collect::<Vec<_>>().join(".*?") + "\n",
    };
    masked(shown).lines().map(line).collect()
}

fn is_shown(shown: &str, whole: bool, actual: &str) -> bool {
    let (start, end) = if whole { ("^", "$") } else { ("(?m:^)", "") };
    let pattern = Regex::new(&format!("{start}{}{end}", pattern(shown))).expect("a pattern");
    pattern.is_match(&masked(actual))
}

fn is_installed(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|o| o.status.success())
}

/// A shell in its own folder, which performs one command after the other.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    folder: tempfile::TempDir,
    /// Port of the page, free port.
    ports: Vec<(u16, u16)>,
}

impl Shell {
    fn start() -> Shell {
        let folder = tempfile::tempdir().expect("a folder");
        let (bin, work) = (folder.path().join("bin"), folder.path().join("work"));
        fs::create_dir(&bin).expect("a folder");
        fs::create_dir(&work).expect("a folder");
        symlink(runner(), bin.join("tp-runner")).expect("a link");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(&work)
            .env_clear()
            .envs([("PATH", path.as_str()), ("LANG", "C.UTF-8"), ("NO_COLOR", "1"), ("PYTHONUNBUFFERED", "1")])
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("bash starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stdin = child.stdin.take().expect("a pipe");
        // all are bound before the first is released, so that they differ
        let listeners = PORTS.map(|p| (p, TcpListener::bind("127.0.0.1:0").expect("a port")));
        let ports = listeners.iter().map(|(p, l)| (*p, l.local_addr().expect("an address").port())).collect();
        Shell { child, stdin, lines, folder, ports }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    fn with_free_ports(&self, text: &str) -> String {
        replaced(text, self.ports.iter().copied())
    }

    fn with_ports_of_page(&self, text: &str) -> String {
        replaced(text, self.ports.iter().map(|(page, free)| (*free, *page)))
    }

    /// Performs a command; returns its exit code and what it printed.
    fn run(&mut self, command: &str) -> (i32, String) {
        let is_open = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let closed: Vec<u16> = self.ports.iter().map(|(_, free)| *free).filter(|p| !is_open(*p)).collect();
        let text = self.with_free_ports(command);
        write!(self.stdin, "{{ {text}\n}} 2>&1 </dev/null\nprintf '\\n\\036%s\\n' $?\n").expect("the shell reads");
        let (mut output, end) = (String::new(), Instant::now() + COMMAND_TIMEOUT);
        let code = loop {
            let left = end.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).unwrap_or_else(|e| panic!("`{command}`: {e}; it printed\n{output}"));
            match line.strip_prefix(END_OF_COMMAND) {
                Some(code) => break code.parse().expect("an exit code"),
                None => output.push_str(&(line + "\n")),
            }
        };
        if command.ends_with('&') {
            let end = Instant::now() + START_TIMEOUT;
            while !closed.iter().any(|p| is_open(*p)) {
                assert!(Instant::now() < end, "`{command}` opened none of the ports {:?}", self.ports);
                thread::sleep(Duration::from_millis(20));
            }
        }
        // the shell begins a new line before the exit code
        output.pop();
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        (code, self.with_ports_of_page(&output))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // the group of the shell has its background processes, too; a sandbox removes its folder when it is asked to end
        let signal = |name: &str| Command::new("kill").args([name, "--", &format!("-{}", self.child.id())]).output();
        let _ = signal("-TERM");
        thread::sleep(GRACE);
        let _ = signal("-KILL");
        let _ = self.child.wait();
    }
}

fn replaced(text: &str, ports: impl Iterator<Item = (u16, u16)>) -> String {
    ports.fold(text.to_string(), |text, (from, to)| {
        let port = Regex::new(&format!(r"\b{from}\b")).expect("a pattern");
        port.replace_all(&text, to.to_string()).into_owned()
    })
}

/// What the blocks of a page came across.
#[derive(Default)]
struct Performed {
    commands: usize,
    outputs: usize,
    skipped: Vec<String>,
    /// With `PAGES=overwrite`: line and text of the outputs that differ.
    overwritten: Vec<(usize, String)>,
}

impl Performed {
    /// Accepts an output, or else writes it into the page if that was asked for.
    fn output(&mut self, block: &Block, whole: bool, actual: &str) -> Result<(), String> {
        self.outputs += 1;
        if is_shown(&block.text, whole, actual) {
            return Ok(());
        }
        if !is_overwriting() {
            return Err(format!("expected\n{}\nfound\n{actual}", block.text));
        }
        self.overwritten.push((block.line, actual.into()));
        Ok(())
    }
}

fn is_overwriting() -> bool {
    std::env::var("PAGES").is_ok_and(|v| v == "overwrite")
}

/// The page with the contents of some blocks replaced, each named by its first line.
fn overwritten(page: &str, outputs: &[(usize, String)]) -> String {
    let (mut out, mut skipping) = (String::new(), false);
    for (i, line) in page.lines().enumerate() {
        skipping &= !line.starts_with("```");
        if !skipping {
            out.push_str(line);
            out.push('\n');
        }
        if let Some((_, text)) = outputs.iter().find(|(at, _)| *at == i + 1) {
            out.push_str(text);
            skipping = true;
        }
    }
    out
}

fn perform(page: &Path) -> Result<Performed, String> {
    let text = fs::read_to_string(page).map_err(|e| e.to_string())?;
    let (mut shell, mut done) = (Shell::start(), Performed::default());
    // output of the last `sh` block that was performed, and whether one was skipped
    let (mut printed, mut skipped): (Option<String>, bool) = (None, false);
    for block in blocks(&text) {
        let at = |e: String| format!("{}:{}: {e}", page.display(), block.line);
        match (block.language.as_str(), block.word("file"), block.word("in")) {
            ("comment", Some(name), _) => {
                let other = page.with_file_name(block.word("from").ok_or_else(|| at("expected `from=PAGE`".into()))?);
                let other = fs::read_to_string(&other).map_err(|e| at(format!("{}: {e}", other.display())))?;
                let is_it = |b: &Block| b.language != "diff" && b.word("file") == Some(name);
                let found = blocks(&other).into_iter().find(is_it).ok_or_else(|| at(format!("no file {name}")))?;
                write_file(&shell, name, &found.text);
            }
            ("diff", Some(name), _) => {
                let path = shell.path(name);
                let before = fs::read_to_string(&path).map_err(|e| at(e.to_string()))?;
                let after = edit(&before, &shell.with_free_ports(&block.text)).map_err(at)?;
                fs::write(path, after).map_err(|e| at(e.to_string()))?;
            }
            (_, Some(name), _) => write_file(&shell, name, &block.text),
            (_, None, Some(name)) => {
                let path = shell.path(name);
                let actual = fs::read_to_string(&path).map_err(|e| at(format!("{name}: {e}")))?;
                let actual = shell.with_ports_of_page(&actual);
                done.output(&block, false, &actual).map_err(at)?;
            }
            ("sh", ..) if block.word("no_run").is_some() => check_commands(&block.text).map_err(at)?,
            ("sh", ..) => {
                let needs = block.word("needs").unwrap_or_default().split(',').filter(|p| !p.is_empty());
                if let Some(missing) = needs.into_iter().find(|p| !is_installed(p)) {
                    done.skipped.push(at(format!("{missing} is not installed")));
                    check_commands(&block.text).map_err(at)?;
                    (printed, skipped) = (None, true);
                    continue;
                }
                skipped = false;
                printed = Some(perform_commands(&mut shell, &block).map_err(at)?);
                done.commands += 1;
            }
            ("text", ..) => {
                if skipped {
                    continue;
                }
                let actual = printed.take().ok_or_else(|| at("expected commands before this output".into()))?;
                done.output(&block, true, &actual).map_err(at)?;
            }
            ("yaml" | "nginx", ..) => {}
            (other, ..) => return Err(at(format!("expected a block that can be checked, found `{other}`"))),
        }
    }
    if !done.overwritten.is_empty() {
        fs::write(page, overwritten(&text, &done.overwritten)).map_err(|e| e.to_string())?;
    }
    Ok(done)
}

fn write_file(shell: &Shell, name: &str, text: &str) {
    let path = shell.path(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, shell.with_free_ports(text)).expect("a file");
}

fn perform_commands(shell: &mut Shell, block: &Block) -> Result<String, String> {
    let (commands, mut printed) = (commands(&block.text), String::new());
    for (i, command) in commands.iter().enumerate() {
        let expected = match block.word("exit") {
            Some(code) if i + 1 == commands.len() => code.parse().map_err(|e| format!("exit={code}: {e}"))?,
            _ => 0,
        };
        let (code, output) = shell.run(command);
        printed.push_str(&output);
        if code != expected {
            return Err(format!("`{command}`: expected exit code {expected}, found {code}; it printed\n{output}"));
        }
    }
    Ok(printed)
}

/// Checks commands that cannot be performed here: their syntax, and the flags of `tp-runner`.
fn check_commands(text: &str) -> Result<(), String> {
    let syntax = Command::new("bash").args(["-n", "-c", text]).output().expect("bash starts");
    if !syntax.status.success() {
        return Err(String::from_utf8_lossy(&syntax.stderr).into_owned());
    }
    let flag = Regex::new(r"(?:^|\s)(--[a-z][a-z-]*)").expect("a pattern");
    for command in commands(text) {
        let Some((_, arguments)) = command.split_once("tp-runner ") else { continue };
        let subcommand = arguments.split_whitespace().next().unwrap_or_default();
        let help = Command::new(runner()).args([subcommand, "--help"]).output().expect("the program starts");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let unknown = flag.captures_iter(arguments).map(|c| c[1].to_string()).find(|f| !help.contains(f.as_str()));
        if let Some(unknown) = unknown {
            return Err(format!("`{command}`: `tp-runner {subcommand}` has no flag `{unknown}`"));
        }
    }
    Ok(())
}

#[test]
fn every_page_does_what_it_says() {
    let only = std::env::var("PAGE").unwrap_or_default();
    let pages: Vec<PathBuf> = pages().into_iter().filter(|p| p.to_string_lossy().contains(&only)).collect();
    // a page panics on its own thread, so that the others are still performed
    let results: Vec<(PathBuf, thread::JoinHandle<_>)> =
        pages.into_iter().map(|page| (page.clone(), thread::spawn(move || perform(&page)))).collect();
    let mut wrong = vec![];
    for (page, result) in results {
        match result.join() {
            Ok(Ok(done)) => {
                println!("{}: {} blocks of commands, {} outputs", page.display(), done.commands, done.outputs);
                done.skipped.iter().for_each(|s| println!("skipped: {s}"));
                if done.commands == 0 {
                    wrong.push(format!("{}: no commands were performed", page.display()));
                }
            }
            Ok(Err(e)) => wrong.push(e),
            Err(_) => wrong.push(format!("{}: see the panic above", page.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn finds_outputs_that_differ() {
    let cases = [
        ("a\nb\n", "a\nb\n", true),
        ("a\n…\nd\n", "a\nb\nc\nd\n", true),
        ("a\n…\nd\n", "a\nd\n", true),
        ("a … c\n", "a b c\n", true),
        ("a … c\n", "a b d\n", false),
        ("a\n", "a\nb\n", false),
        ("took 0.3 s, run r12ab34c\n", "took 1.4 s,   run r0000000\n", true),
        ("on 2026-11-28\n", "on 2027-01-02\n", true),
        ("at 2026-11-28 10:24:39 UTC\n", "at 2027-01-02 00:00:01 UTC\n", true),
        ("within 5s\n", "within 6s\n", false),
        ("2 of 2\n", "1 of 2\n", false),
    ];
    for (shown, actual, expected) in cases {
        assert_eq!(is_shown(shown, true, actual), expected, "{shown:?} and {actual:?}");
    }
    assert!(is_shown("b\n", false, "a\nb\nc\n") && !is_shown("b\nd\n", false, "a\nb\nc\n"));
}

#[test]
fn edits_only_what_occurs_once() {
    assert_eq!(edit("a\nb\nc\n", " a\n-b\n+d\n").as_deref(), Ok("a\nd\nc\n"));
    assert_eq!(edit("a\nb\n", " a\n+x\n b\n").as_deref(), Ok("a\nx\nb\n"));
    assert!(edit("a\na\n", "-a\n+b\n").is_err());
    assert!(edit("a\n", " b\n+c\n").is_err());
}

#[test]
fn refuses_unknown_flags_and_invalid_commands() {
    assert_eq!(check_commands("tp-runner run PLAN --env staging\n"), Ok(()));
    assert!(check_commands("tp-runner run PLAN --no-such-flag\n").is_err());
    assert!(check_commands("if true\n").is_err());
}

#[test]
fn a_failing_command_is_reported() {
    let mut shell = Shell::start();
    let block = |text: &str| Block { text: text.into(), ..Block::new("sh", 1) };
    assert!(perform_commands(&mut shell, &block("false\ntrue\n")).is_err());
    assert_eq!(perform_commands(&mut shell, &block("x=1\necho $x\n")).as_deref(), Ok("1\n"));
    assert!(perform_commands(&mut shell, &Block { text: "true\n".into(), ..Block::new("sh exit=3", 1) }).is_err());
}
