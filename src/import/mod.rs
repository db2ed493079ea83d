//! Reads written test plans of many layouts, and writes the skeleton of a YAML plan.
//!
//! [`import`] reads Markdown, Gherkin or CSV; [`skeleton`] writes YAML; [`sync`] compares two readings. All are pure:
//! text in, data out. Which words mean which part of a case is decided in `vocabulary`; how tiers follow from success
//! criteria and priorities, in `tiers`.
//!
//! Nothing is dropped: what is not a sentence or field of a case is a comment of the reading, and a warning names its
//! line.
mod block;
mod blocks;
mod case;
mod complete;
mod csv;
mod document;
mod drafts;
mod gherkin;
mod html;
mod ids;
mod labels;
mod model;
mod outline;
mod phrasing;
mod plain;
mod scenarios;
mod skeleton;
pub mod sync;
mod table_cases;
mod tables;
mod tags;
mod text;
mod tiers;
mod topics;
mod vocabulary;
pub mod yaml;

pub use model::{Case, Comment, Draft, Field, Imported, Kind, Sentence, Shared, Tier, Warning};
pub use skeleton::skeleton;

/// Reads a written test plan. The extension of `path` tells Gherkin and CSV from Markdown; its stem names the plan and
/// the cases that have no id.
pub fn import(text: &str, path: &str) -> Imported {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension.to_ascii_lowercase()),
        _ => (name, String::new()),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = document::Reader::default();
    match extension.as_str() {
        "csv" | "tsv" => reader.csv(&text),
        "feature" => reader.feature(&text),
        _ if scenarios::is_feature(&text) => reader.feature(&text),
        _ => reader.markdown(&text),
    }
    complete::finish(reader, &text, stem)
}

/// The words of a line of a document that [`import`] keeps: without markup, numbering and character references.
pub fn line_words(line: &str) -> Vec<String> {
    complete::line_words(line)
}
