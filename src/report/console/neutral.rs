//! Makes text harmless for terminals and for the logs of CI servers, which execute commands that they find in a log:
//! `::set-env …` at the start of a line (GitHub, Gitea), `##[…]`, `##vso[…]`, `##teamcity[…]` anywhere (GitHub, Azure,
//! TeamCity). A backslash in the command shows that it was changed. Stored evidence stays as it is.
use crate::report::wording::sanitize;
use regex::{Captures, Regex};
use std::{borrow::Cow, sync::LazyLock};

static COMMAND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)(?P<start>^\s*)::|(?P<mark>##[A-Za-z]*)\[").expect("valid"));
/// The colours that the runner prints itself.
static COLOUR: LazyLock<Regex> = LazyLock::new(|| Regex::new("\x1b\\[[0-9;:]*m").expect("valid"));

/// The text without commands, and with every control character but colours visible.
pub fn neutral(text: &str) -> Cow<'_, str> {
    let text =
        if text.chars().any(|c| !matches!(c, '\n' | ' '..='~')) { visible(text).into() } else { Cow::from(text) };
    match COMMAND.replace_all(&text, |found: &Captures<'_>| match found.name("start") {
        Some(start) => format!("{}\\::", start.as_str()),
        None => format!("{}\\[", &found["mark"]),
    }) {
        Cow::Borrowed(_) => text,
        Cow::Owned(changed) => changed.into(),
    }
}

fn visible(text: &str) -> String {
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    for colour in COLOUR.find_iter(text) {
        out += &sanitize(&text[copied..colour.start()]);
        out += colour.as_str();
        copied = colour.end();
    }
    out + &sanitize(&text[copied..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        for (text, shown) in [
            ("::error::x", r"\::error::x"),
            ("a\n  \t::set-env name=PATH::x\nb", "a\n  \t\\::set-env name=PATH::x\nb"),
            ("\u{a0}::add-mask::a", "\u{a0}\\::add-mask::a"),
            ("a\r::stop-commands::t", "a␍::stop-commands::t"),
            ("a\r\n::stop-commands::t", "a\n\\::stop-commands::t"),
            ("a ##vso[task.setvariable variable=x]y", r"a ##vso\[task.setvariable variable=x]y"),
            ("##[command]rm ##[group]", r"##\[command]rm ##\[group]"),
            ("##teamcity[buildStatus]", r"##teamcity\[buildStatus]"),
            ("###[x]", r"###\[x]"),
            ("a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m", "a␛[2J␛]0;title␇�31m"),
        ] {
            assert_eq!(neutral(text), shown);
            assert_eq!(neutral(&neutral(text)), shown, "once is enough");
        }
        for text in ["", "std::env", "a::b\n# h\n## [x]", "ünï", "\u{1b}[1;31mfailed\u{1b}[0m ok\n", "a\tb"] {
            assert_eq!(neutral(text), text);
        }
    }
}
