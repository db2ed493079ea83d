//! The generated pages of the documentation: `docs/commands.md` from the arguments, `docs/words.md` from the description of
//! the language. `SNAPSHOTS=overwrite cargo test --test reference_pages` writes them.
use std::{fmt::Write, fs, path::Path};
use tp_runner::{
    executors,
    reference::{Entry, Kind, entries},
};

fn assert_published(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var("SNAPSHOTS").is_ok_and(|v| v == "overwrite") {
        fs::write(&path, text).expect("it can be written");
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == text, "docs/{name} is out of date: SNAPSHOTS=overwrite cargo test --test reference_pages");
}

/// A cell of a table: one line, without bars.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn describe(command: &clap::Command, name: &str, out: &mut String) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().bin_name(name).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_string();
    let _ = write!(
        out,
        "\n## {}\n\n{}.\n\n```text\n{usage}\n```\n",
        name.trim_start_matches("tp-runner "),
        about.replace('\n', " ")
    );
    let mut rows = String::new();
    for arg in command.get_arguments().filter(|a| !a.is_hide_set() && !a.is_global_set()) {
        let values = arg.get_value_names().into_iter().flatten().map(|v| v.to_string()).collect::<Vec<_>>().join(" ");
        let takes_value = arg.get_action().takes_values();
        let name = match (arg.get_long(), arg.get_short()) {
            (Some("help" | "version"), _) => continue,
            (Some(long), Some(short)) if takes_value => format!("`-{short}`, `--{long} {values}`"),
            (Some(long), Some(short)) => format!("`-{short}`, `--{long}`"),
            (Some(long), None) if takes_value => format!("`--{long} {values}`"),
            (Some(long), None) => format!("`--{long}`"),
            _ => format!("`{values}`"),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(rows, "| {name} | {} |", cell(&help));
    }
    if !rows.is_empty() {
        let _ = write!(out, "\n| Argument | Meaning |\n|---|---|\n{rows}");
    }
    if let Some(examples) = command.get_after_help() {
        let _ = write!(out, "\n```text\n{}\n```\n", examples.to_string().trim());
    }
}

#[test]
fn the_page_of_commands_is_up_to_date() {
    let mut root = tp_runner::cli::command();
    root.build();
    let mut page = String::from(
        "# Commands\n\n<!-- generated from the arguments of the program: see tests/reference_pages.rs -->\n\n\
         `tp-runner COMMAND --help` prints the same. These arguments are allowed with every command:\n\n\
         | Argument | Meaning |\n|---|---|\n",
    );
    for arg in root.get_arguments().filter(|a| a.is_global_set()) {
        let Some(long) = arg.get_long() else { continue };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| `--{long}` | {} |", cell(&help));
    }
    for command in root.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        describe(command, &format!("tp-runner {}", command.get_name()), &mut page);
    }
    assert_published("commands.md", &page);
}

#[test]
fn the_page_of_words_is_up_to_date() {
    let all = entries(&executors::registry());
    let mut page = String::from(
        "# Words\n\n<!-- generated from the description of the language: see tests/reference_pages.rs -->\n\n\
         Every word of plans, environment files and reports. `tp-runner explain WORD` says more about each.\n",
    );
    let groups = [
        ("Verbs", Kind::Verb),
        ("Keys", Kind::Key),
        ("Fields of outputs", Kind::Field),
        ("Matchers", Kind::Matcher),
        ("Functions", Kind::Function),
        ("Verdicts of a case", Kind::Verdict),
        ("Statuses of a sentence", Kind::Status),
        ("Exit codes", Kind::ExitCode),
    ];
    for (title, kind) in groups {
        let mut entries: Vec<&Entry> = all.iter().filter(|e| e.kind == kind).collect();
        entries.sort_by(|a, b| (&a.word, &a.place).cmp(&(&b.word, &b.place)));
        let has_place = entries.iter().any(|e| !e.place.is_empty());
        let head =
            if has_place { "| Word | Of | Meaning |\n|---|---|---|\n" } else { "| Word | Meaning |\n|---|---|\n" };
        let _ = write!(page, "\n## {title}\n\n{head}");
        for e in entries {
            let place = if has_place { format!(" {} |", e.place) } else { String::new() };
            let _ = writeln!(page, "| [`{}`]({}) |{place} {} |", e.word, e.page, cell(&e.summary));
        }
    }
    page.push_str("\nCodes of problems: [diagnostics](diagnostics.md). Other terms: [glossary](glossary.md).\n");
    assert_published("words.md", &page);
}
