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

/// `kubectl create -f -` with the manifests as a here-document. JSON is YAML, so they are shown as they were sent.
pub fn with_manifests(words: &[&str], flags: &[String], manifests: &[Json]) -> String {
    let texts = manifests.iter().map(|m| serde_json::to_string_pretty(m).unwrap_or_default());
    let text = texts.collect::<Vec<_>>().join("\n---\n");
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
