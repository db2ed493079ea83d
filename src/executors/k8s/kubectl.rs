//! The line that does the same by hand. Pure text.
use crate::executor::shell_word;
use serde_json::Value as Json;

/// Joins words for a shell; each is quoted where it must be.
pub fn line(words: &[&str], flags: &[String]) -> String {
    let mut out = String::from("kubectl");
    for w in words.iter().copied().chain(flags.iter().map(String::as_str)) {
        out.push(' ');
        out.push_str(&shell_word(w));
    }
    out
}

/// `kubectl create -f -` with the manifest as a here-document. JSON is YAML, so it is shown as it was sent.
pub fn with_manifest(words: &[&str], flags: &[String], manifest: &Json) -> String {
    let text = serde_json::to_string_pretty(manifest).unwrap_or_default();
    format!("{} -f - <<'EOF'\n{text}\nEOF", line(words, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_as_they_were() {
        assert_eq!(
            line(&["patch", "pod", "x", "-p", r#"{"a":"it's"}"#], &["--context".into(), "my ctx".into()]),
            r#"kubectl patch pod x -p '{"a":"it'\''s"}' --context 'my ctx'"#
        );
    }
}
