//! Runs the binary in a prepared folder, and compares what it did with a snapshot.
use crate::cases::{Case, FILES};
use regex::Regex;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// A folder with the plans and environment files of [`FILES`].
pub struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in FILES {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Fixture { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TMPDIR", self.folder.path().join("tmp")).env("COLUMNS", "100");
        command
    }

    /// Files that are not part of the fixture.
    fn written_files(&self) -> BTreeSet<String> {
        let mut folders = vec![self.folder.path().to_path_buf()];
        let mut files = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().flatten().map(|e| e.path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
                let original = FILES.iter().find(|(file, _)| *file == name);
                if original.is_none_or(|(_, content)| fs::read(&path).unwrap() != *content) {
                    files.insert(name);
                }
            }
        }
        files
    }

    /// The id of the only recorded run.
    pub fn run_id(&self) -> String {
        let mut runs = self.run_ids();
        assert_eq!(runs.len(), 1);
        runs.remove(0)
    }

    /// The ids of all recorded runs, the oldest first.
    pub fn run_ids(&self) -> Vec<String> {
        let mut runs: Vec<_> = fs::read_dir(self.folder.path().join(".tp-runner/runs")).unwrap().flatten().collect();
        runs.sort_by_key(|run| fs::metadata(run.path().join("snapshot.json")).and_then(|m| m.modified()).ok());
        runs.iter().map(|run| run.file_name().to_string_lossy().into_owned()).collect()
    }
}

/// Runs a case and compares it with its snapshot.
pub fn check(case: &Case) {
    let fixture = Fixture::new();
    for args in case.before {
        fixture.command(args).output().unwrap();
    }
    let run_id = if case.args.contains(&"RUN") { fixture.run_id() } else { String::new() };
    let args: Vec<&str> = case.args.iter().map(|a| if *a == "RUN" { run_id.as_str() } else { a }).collect();
    let output = fixture.command(&args).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let text = render(&fixture, case.args, output.status.code(), &stdout, &output.stderr);
    assert_snapshot(case.name, &text);
}

/// The text of a snapshot; empty sections are left out.
pub fn render(fixture: &Fixture, args: &[&str], code: Option<i32>, stdout: &str, stderr: &[u8]) -> String {
    let files: String = fixture.written_files().into_iter().map(|f| f + "\n").collect();
    let code = code.map_or("none".to_owned(), |c| c.to_string());
    let mut text = format!("{}\nexit code: {code}\n", format!("$ tp-runner {}", args.join(" ")).trim_end());
    for (name, content) in [("stdout", stdout), ("stderr", &String::from_utf8_lossy(stderr)), ("files", &files)] {
        if !content.is_empty() {
            text += &format!("--- {name}\n{}", redact(content, fixture.folder.path()));
        }
    }
    text
}

pub fn assert_snapshot(name: &str, text: &str) {
    let path = snapshot_path(&format!("{name}.txt"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let expected = snapbox::Data::read_from(&path, Some(snapbox::data::DataFormat::Text));
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(text.to_owned(), expected.raw());
}

pub fn snapshot_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots").join(name)
}

/// Replaces what differs between two equal runs.
fn redact(text: &str, folder: &Path) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\x1b\[[0-9;]*m", "[STYLE]"),
            (r"tp-runner-sandbox-\w+", "tp-runner-sandbox-[RANDOM]"),
            (r"\br[0-9a-f]{7}\b", "[RUN]"),
            (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z|\+00:00)", "[DATE]"),
            (r#" time="\d+\.\d+""#, r#" time="[TIME]""#),
            (r"until: \d{4}-\d\d-\d\d", "until: [DATE]"),
            (r"(127\.0\.0\.1|localhost):\d+", "$1:[PORT]"),
            // The width of a column of times depends on the times.
            (r"\[STYLE\] +\d+(\.\d+)? (ms|s)\b", "[STYLE] [TIME]"),
            (r" {2,}\d+(\.\d+)? (ms|s)\b", "  [TIME]"),
            (r"'\d+\.\d+s'", "'[SECONDS]'"),
            (r" +TIME\b", "  TIME"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "[DATE]"),
            (r"### \d{4}-\d\d-\d\d", "### [DATE]"),
            (r"\bon \d{4}-\d\d-\d\d", "on [DATE]"),
            (r"\(\d\d:\d\d\)", "([HH:MM])"),
            (r"\b\d+(\.\d+)? (ms|s|min)\b", "[TIME]"),
            (r"random delays: (\w+):\d+", "random delays: $1:[SEED]"),
            (r"tp-runner( \| `| `|)0\.\d+\.\d+", "tp-runner$1[VERSION]"),
            (r"--shuffle=\d{6,}", "--shuffle=[SEED]"),
        ]
        .into_iter()
        .map(|(pattern, replacement)| (Regex::new(pattern).unwrap(), replacement))
        .collect()
    });
    let parents: String =
        folder.parent().into_iter().flat_map(Path::ancestors).map(|a| format!("  {}\n", a.display())).collect();
    let text = text.replace(&parents, "  [PARENT FOLDERS]\n").replace(&folder.display().to_string(), "[FOLDER]");
    RULES.iter().fold(text, |text, (rule, replacement)| rule.replace_all(&text, *replacement).into_owned())
}
