//! The codes of diagnostics are the sections of `docs/diagnostics.md`, which explain them.

const PAGE: &str = include_str!("../../docs/diagnostics.md");

/// What a code means, with an example and what to do: Markdown.
pub fn explanation(code: &str) -> Option<&'static str> {
    let heading = format!("### `{code}`\n");
    let start = PAGE.find(&heading)? + heading.len();
    let section = &PAGE[start..];
    Some(section.split("\n#").next().unwrap_or(section).trim())
}

/// All codes, in the order of the page.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGE.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
}
