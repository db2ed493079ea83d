//! The known secrets of a run, in every form in which they could slip into a record, and how they are masked. The dispatcher
//! calls `mask`, once, where events are born; nobody else does.
use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine, engine::general_purpose as b64};
use std::sync::RwLock;

/// Shorter texts are not masked: they would blot out half of every report.
const SHORTEST: usize = 4;

#[derive(Debug, Default)]
pub struct Secrets(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Every secret stands as its token already: there is nothing to learn.
    recorded: bool,
    /// Of each secret, as it was called when it became known.
    names: Vec<String>,
    /// Name and form of each pattern: the token that stands for it.
    tokens: Vec<(String, String)>,
    patterns: Vec<String>,
    search: Option<AhoCorasick>,
}

impl Secrets {
    /// Of a record, in which every secret stands as its token.
    pub fn recorded() -> Self {
        Secrets(RwLock::new(Known { recorded: true, ..Known::default() }))
    }

    /// From now on `value` is masked as `‹name›`, and in derived forms as `‹name:form›`. The same value keeps its first name;
    /// another of a name that is taken is told apart: `‹name~2›`.
    pub fn add(&self, name: &str, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(|e| e.into_inner());
        if known.recorded || known.patterns.iter().any(|p| p == value) {
            return;
        }
        // in a record two secrets of one name must not look the same
        let same = known.names.iter().filter(|n| *n == name).count();
        known.names.push(name.to_string());
        let name = if same == 0 { name.to_string() } else { format!("{name}~{}", same + 1) };
        for (form, text) in forms(value) {
            if text.len() >= SHORTEST && !known.patterns.contains(&text) {
                let token = if form.is_empty() { format!("‹{name}›") } else { format!("‹{name}:{form}›") };
                known.tokens.push((name.clone(), token));
                known.patterns.push(text);
            }
        }
        known.search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&known.patterns).ok();
    }

    /// The text with every secret replaced by its token; `None` where there is none in it.
    pub fn mask(&self, text: &str) -> Option<String> {
        let known = self.0.read().unwrap_or_else(|e| e.into_inner());
        let search = known.search.as_ref()?;
        if !search.is_match(text) {
            return None;
        }
        let tokens: Vec<&str> = known.tokens.iter().map(|(_, t)| t.as_str()).collect();
        Some(search.replace_all(text, &tokens))
    }

    /// The names of the secrets that occur in the text, in any form; in a record also by their tokens.
    pub fn names_in(&self, text: &str) -> Vec<String> {
        let known = self.0.read().unwrap_or_else(|e| e.into_inner());
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

/// Plain, base64 (alone, or inside a longer text as in Basic authentication), percent-encoded, escaped in JSON or for a shell, hex.
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
    // between the quotes of a POSIX shell, as in the line that reproduces an action
    forms.push(("shell", value.replace('\'', r"'\''")));
    forms.push(("base64", b64::STANDARD.encode(value)));
    forms.push(("base64", b64::STANDARD_NO_PAD.encode(value)));
    forms.push(("base64", b64::URL_SAFE.encode(value)));
    forms.push(("base64", b64::URL_SAFE_NO_PAD.encode(value)));
    // `user:secret` in Basic authentication: the secret begins at any of three offsets of a base64 group.
    // The characters at both ends that also depend on the neighbours are left out.
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
    // a short core would be found by chance in other texts
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
    fn every_form_is_masked() {
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
    fn a_quote_in_a_secret_hides_it_from_nobody() {
        let s = Secrets::default();
        s.add("password", "it's me");
        assert_eq!(s.mask(r"'a: it'\''s me'").unwrap(), "'a: ‹password:shell›'");
    }

    #[test]
    fn a_record_still_tells_which_secret_was_there() {
        let s = secrets();
        assert_eq!(s.names_in("x hunter2/correct y"), ["password"]);
        assert_eq!(s.names_in(&s.mask("x hunter2/correct y").unwrap()), ["password"]);
        assert!(s.names_in("‹›").is_empty() && s.names_in("clean ‹").is_empty());
    }

    #[test]
    fn two_secrets_of_one_name_do_not_look_the_same() {
        let s = secrets();
        s.add("password", "another/one");
        assert_eq!(s.mask("hunter2/correct another/one").unwrap(), "‹password› ‹password~2›");
        assert_eq!(s.names_in("another/one"), s.names_in("‹password~2›"));
    }

    #[test]
    fn a_text_too_short_to_mask_is_let_through() {
        let s = Secrets::default();
        s.add("pin", "12");
        assert_eq!(s.mask("12"), None);
    }
}
