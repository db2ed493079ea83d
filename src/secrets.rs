//! Masks the known secrets of a run in every encoding in which they could occur. The dispatcher masks each event when
//! it is created; texts that are cut earlier are masked before the cut.
use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine, engine::general_purpose as b64};
use parking_lot::RwLock;

/// Shorter values are not masked: they would match too much of every report.
const MIN_SECRET_BYTES: usize = 4;

#[derive(Debug, Default)]
pub struct Secrets(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether the texts were masked when they were recorded. Further secrets are then ignored.
    recorded: bool,
    /// The name of each secret, before numbering.
    names: Vec<String>,
    /// Name and token of each pattern.
    tokens: Vec<(String, String)>,
    patterns: Vec<String>,
    search: Option<AhoCorasick>,
}

impl Secrets {
    /// For a recorded run, in which secrets are masked already.
    pub fn recorded() -> Self {
        Secrets(RwLock::new(Known { recorded: true, ..Known::default() }))
    }

    /// Masks `value` as `‹name›` from now on, and its encodings as `‹name:form›`. A known value keeps its first name;
    /// another value of the same name becomes `‹name~2›`.
    pub fn add(&self, name: &str, value: &str) {
        if value.len() < MIN_SECRET_BYTES {
            return;
        }
        let mut known = self.0.write();
        if known.recorded || known.patterns.iter().any(|p| p == value) {
            return;
        }
        // in a record, different secrets must have different tokens
        let same = known.names.iter().filter(|n| *n == name).count();
        known.names.push(name.to_string());
        let name = if same == 0 { name.to_string() } else { format!("{name}~{}", same + 1) };
        for (form, text) in forms(value) {
            if text.len() >= MIN_SECRET_BYTES && !known.patterns.contains(&text) {
                let token = if form.is_empty() { format!("‹{name}›") } else { format!("‹{name}:{form}›") };
                known.tokens.push((name.clone(), token));
                known.patterns.push(text);
            }
        }
        known.search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&known.patterns).ok();
    }

    /// The text with every secret replaced by its token; `None` if it contains none.
    pub fn mask(&self, text: &str) -> Option<String> {
        let known = self.0.read();
        let search = known.search.as_ref()?;
        if !search.is_match(text) {
            return None;
        }
        let tokens: Vec<&str> = known.tokens.iter().map(|(_, t)| t.as_str()).collect();
        Some(search.replace_all(text, &tokens))
    }

    /// Cuts a text to `max_bytes` and adds `mark`. Secrets are masked first, since a part of a secret could not be
    /// masked later.
    pub fn mask_and_cut(&self, text: String, max_bytes: usize, mark: &str) -> String {
        if text.len() <= max_bytes {
            return text;
        }
        let mut text = self.mask(&text).unwrap_or(text);
        if text.len() > max_bytes {
            text.truncate(text.floor_char_boundary(max_bytes));
            text.push_str(mark);
        }
        text
    }

    /// The names of the secrets in the text, in any encoding or as tokens.
    pub fn names_in(&self, text: &str) -> Vec<String> {
        let known = self.0.read();
        let mut names: Vec<String> = vec![];
        if let Some(search) = &known.search {
            names.extend(search.find_iter(text).map(|m| known.tokens[m.pattern().as_usize()].0.clone()));
        }
        names.extend(text.split('‹').skip(1).filter_map(|rest| {
            let name = rest.split('›').next()?.split(':').next()?;
            (rest.contains('›') && !name.is_empty()).then(|| name.to_string())
        }));
        names.sort();
        names.dedup();
        names
    }
}

/// Encodings of a value: plain, base64 (alone or inside a longer text, as in Basic authentication), percent-encoded,
/// hex, and escaped for JSON or a shell.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let mut forms = vec![("", value.to_string())];
    let percent: String = value
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                (b as char).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    forms.push(("percent", percent));
    forms.push(("json", serde_json::Value::from(value).to_string().trim_matches('"').to_string()));
    // inside the quotes of a POSIX shell, as in the line that reproduces an action
    forms.push(("shell", value.replace('\'', r"'\''")));
    forms.push(("base64", b64::STANDARD.encode(value)));
    forms.push(("base64", b64::STANDARD_NO_PAD.encode(value)));
    forms.push(("base64", b64::URL_SAFE.encode(value)));
    forms.push(("base64", b64::URL_SAFE_NO_PAD.encode(value)));
    // In `user:secret` of Basic authentication the secret starts at one of three offsets of a base64 group. Characters
    // at both ends that also depend on the neighbours are left out.
    for offset in 1..3usize {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(value.bytes()).collect();
        forms.push(("base64", inner_base64(&padded, offset)));
    }
    forms.push(("base64", inner_base64(value.as_bytes(), 0)));
    forms.push(("hex", hex::encode(value)));
    forms
}

fn inner_base64(bytes: &[u8], offset: usize) -> String {
    let whole = b64::STANDARD_NO_PAD.encode(bytes);
    let first = (offset * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    let core = &whole[first.min(whole.len())..last.min(whole.len())];
    // a short core would occur in other texts by chance
    if core.len() < 8 { String::new() } else { core.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let s = Secrets::default();
        s.add("password", "hunter2/correct");
        s
    }

    #[test]
    fn masks_every_encoding() {
        let s = secrets();
        assert_eq!(s.mask("pw=hunter2/correct;").unwrap(), "pw=‹password›;");
        assert_eq!(s.mask(&b64::STANDARD.encode("hunter2/correct")).unwrap(), "‹password:base64›");
        assert!(s.mask("?p=hunter2%2Fcorrect").unwrap().contains("‹password:percent›"));
        for user in ["a", "al", "admin", "administrator"] {
            let basic = b64::STANDARD.encode(format!("{user}:hunter2/correct"));
            assert!(s.mask(&basic).is_some_and(|m| m.contains("‹password:base64›")), "{user}: {basic}");
        }
        assert_eq!(s.mask("nothing here"), None);
    }

    #[test]
    fn masks_a_secret_with_a_quote_in_shell_words() {
        let s = Secrets::default();
        s.add("password", "it's me");
        assert_eq!(s.mask(r"'a: it'\''s me'").unwrap(), "'a: ‹password:shell›'");
    }

    #[test]
    fn tokens_keep_the_names_of_secrets() {
        let s = secrets();
        assert_eq!(s.names_in("x hunter2/correct y"), ["password"]);
        assert_eq!(s.names_in(&s.mask("x hunter2/correct y").unwrap()), ["password"]);
        assert!(s.names_in("‹›").is_empty() && s.names_in("clean ‹").is_empty());
    }

    #[test]
    fn different_secrets_of_one_name_have_different_tokens() {
        let s = secrets();
        s.add("password", "another/one");
        assert_eq!(s.mask("hunter2/correct another/one").unwrap(), "‹password› ‹password~2›");
        assert_eq!(s.names_in("another/one"), s.names_in("‹password~2›"));
    }

    #[test]
    fn does_not_mask_short_values() {
        let s = Secrets::default();
        s.add("pin", "12");
        assert_eq!(s.mask("12"), None);
    }
}
