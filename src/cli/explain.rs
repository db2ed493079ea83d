//! `explain`: what a word of plans, environment files and reports means.
use super::{args, exit, failure::Failure, print};
use crate::{
    diagnostic::nearest,
    executors,
    reference::{Entry, Kind, entries, found, matching},
    report::wording::one_line,
};
use std::fmt::Write;

/// Where the documentation is published.
const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/HEAD/docs/");
const MAX_SUMMARY_CHARS: usize = 100;

pub fn command(args: args::Explain) -> Result<u8, Failure> {
    let all = entries(&executors::registry());
    let text = match (&args.search, &args.word) {
        (Some(text), _) => list(&matching(&all, text), text),
        (None, Some(word)) => explanation(&all, word),
        (None, None) => Ok(kinds(&all)),
    }?;
    print::out(format_args!("{text}"));
    Ok(exit::SUCCESS)
}

/// Everything about a word.
fn explanation(all: &[Entry], word: &str) -> Result<String, Failure> {
    let entries = found(all, word);
    if entries.is_empty() {
        let similar = nearest(word, all.iter().map(|e| e.word.as_str()));
        let hint = similar.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let help = format!("help: `tp-runner explain --search {word}` searches the texts");
        return Err(Failure::usage(format!("error: unknown word `{word}`{hint}\n{help}")));
    }
    let mut out = String::new();
    for (i, entry) in entries.iter().enumerate() {
        let separator = if i > 0 { "\n" } else { "" };
        let _ = writeln!(out, "{separator}{}: {}\n\n{}", entry.word, kind_and_place(entry), entry.summary);
        if !entry.details.is_empty() {
            let _ = writeln!(out, "\n{}", entry.details);
        }
        let _ = writeln!(out, "\nMore: {DOCS}{}", entry.page);
    }
    Ok(out)
}

fn kind_and_place(entry: &Entry) -> String {
    match entry.place.as_str() {
        "" => entry.kind.to_string(),
        place => format!("{} of {place}", entry.kind),
    }
}

/// A line for each entry.
fn list(entries: &[&Entry], text: &str) -> Result<String, Failure> {
    if entries.is_empty() {
        return Err(Failure::usage(format!("error: nothing explains `{text}`\nhelp: search for a part of the word")));
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    for entry in entries {
        let summary = one_line(&entry.summary, MAX_SUMMARY_CHARS);
        table.add_row([entry.word.clone(), kind_and_place(entry), summary]);
    }
    Ok(format!("{table}\n"))
}

/// The words of each kind.
fn kinds(all: &[Entry]) -> String {
    let mut out = String::new();
    for kind in Kind::ALL {
        let mut words: Vec<_> = all.iter().filter(|e| e.kind == kind).map(|e| e.word.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        let separator = if kind == Kind::Term { ", " } else { " " };
        let _ = writeln!(out, "{}:\n  {}\n", kind.plural(), words.join(separator));
    }
    out + "`tp-runner explain WORD` explains one of them, `tp-runner explain --search TEXT` finds them by their texts.\n"
}
