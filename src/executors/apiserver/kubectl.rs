//! Builds the kubectl command that reproduces a request. Pure.
use crate::shell::shell_word;
use serde_json::Value as Json;

/// The command line, each argument quoted for a shell where necessary.
pub fn command_line(args: &[&str], flags: &[String]) -> String {
    let mut out = String::from("kubectl");
    for arg in args.iter().copied().chain(flags.iter().map(String::as_str)) {
        out.push(' ');
        out.push_str(&shell_word(arg));
    }
    out
}

/// `kubectl create -f -` with the manifests as a here-document, in JSON as they are sent (JSON is valid YAML).
pub fn with_manifests(args: &[&str], flags: &[String], manifests: &[Json]) -> String {
    let texts = manifests.iter().map(|m| serde_json::to_string_pretty(m).unwrap_or_default());
    let text = texts.collect::<Vec<_>>().join("\n---\n");
    format!("{} -f - <<'EOF'\n{text}\nEOF", command_line(args, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_arguments_for_a_shell() {
        assert_eq!(
            command_line(&["patch", "pod", "x", "-p", r#"{"a":"it's"}"#], &["--context".into(), "my ctx".into()]),
            r#"kubectl patch pod x -p '{"a":"it'\''s"}' --context 'my ctx'"#
        );
    }
}
