//! What regular expressions require.
use regex_syntax::hir::Look;

/// Texts that differ in all that a regular expression is likely to require.
const DIFFERENT: [&str; 12] =
    ["", " ", "a", "Z", "7", "\n", "-\u{0}", "ü\u{301}", "\n\nx y\n", "\u{1f600} {\"k\": [1]}", "/_.:@", "\r\n\t0x9f%"];

/// Whether a regular expression matches every text, or every text of one line.
pub fn matches_everything(pattern: &str) -> bool {
    regex::RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .build()
        .is_ok_and(|regex| DIFFERENT.iter().all(|text| regex.is_match(text)))
}

/// Whether more text at the end could keep a regular expression from matching.
pub fn depends_on_end(pattern: &str) -> bool {
    let ends = [Look::End, Look::EndLF, Look::EndCRLF];
    regex_syntax::parse(pattern).is_ok_and(|hir| ends.iter().any(|&look| hir.properties().look_set().contains(look)))
}

/// The reason in the library's message, which is its last line.
pub fn reason(e: &regex::Error) -> String {
    let message = e.to_string();
    message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_matches_every_text() {
        for vacuous in [
            "",
            "^",
            "$",
            ".*",
            "^.*",
            ".*$",
            "^.*$",
            "a*",
            "a?",
            "(a|)",
            "(?:)",
            "^a*",
            "(?s).*",
            r"[\s\S]*",
            r"\b|",
            "(?i)",
            r"\A",
            r"\z",
            "a{0,3}",
            "(.*)(.*)",
            "^(.|\n)*$",
            "x*y*",
            "|foo",
            r"^[\s\S]*$",
            "(?m)^",
            "(?m)$",
            "(?s)^.*$",
            "^[a-z]*",
        ] {
            assert!(matches_everything(vacuous), "{vacuous:?}");
        }
        for real in [
            "a", ".", ".+", "^$", "^a*$", r"\d*$x", r"^\s*$", r"^\S*$", "^[^\n]*$", r"\w", r"\b", "^a", "[a-z]+",
            "(a|b)", r"^\w*$", "[", "(?m)^$x",
        ] {
            assert!(!matches_everything(real), "{real:?}");
        }
    }
}
