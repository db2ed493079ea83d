//! Finds labels in front of texts: `**Steps:**`, `Expected result: …`, `Given …`.
use super::{
    blocks::Line,
    ids::without_emoji,
    model::Kind,
    text::{has_words, without_marks},
    vocabulary::{Role, role},
};

/// A label and the text after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub name: String,
    pub value: String,
    pub role: Option<Role>,
    /// Emphasised, so that a label without known meaning is one, too.
    pub strong: bool,
}

impl Label {
    /// The list of sentences that the label begins.
    pub fn kind(&self) -> Option<Kind> {
        kind_of(self.role)
    }
}

/// The list of sentences that a role means.
pub fn kind_of(role: Option<Role>) -> Option<Kind> {
    Some(match role? {
        Role::Precondition => Kind::Precondition,
        Role::Step => Kind::Step,
        Role::Expected => Kind::Expected,
        Role::Teardown => Kind::Teardown,
        _ => return None,
    })
}

fn after_colon(text: &str) -> Option<&str> {
    text.strip_prefix([':', '：'])
}

/// The label of a line. `alone` allows a known label without a colon to be the whole line.
pub fn label(line: &Line, alone: bool) -> Option<Label> {
    let text = line.text.as_str();
    if line.bold > 0 && text.is_char_boundary(line.bold) {
        let bold = without_emoji(without_marks(&text[..line.bold])).trim();
        let rest = text[line.bold..].trim_start();
        let make = |name: &str, value: &str| {
            let name = name.trim().trim_end_matches([':', '：', '-', '–']).trim();
            Some(Label { name: name.into(), value: value.trim().into(), role: role(name), strong: true })
        };
        if bold.ends_with([':', '：']) {
            return make(bold, rest);
        }
        if let Some(value) = after_colon(rest) {
            return make(bold, value);
        }
        if rest.is_empty() || !has_words(rest) {
            if let Some((name, value)) = bold.split_once([':', '：']).filter(|(n, _)| role(n).is_some()) {
                return make(name, value);
            }
            return if role(bold).is_some() { make(bold, "") } else { None };
        }
        if rest.starts_with(['-', '–', '—']) && role(bold).is_some() {
            return make(bold, rest.trim_start_matches(['-', '–', '—', ' ']));
        }
        if let Some((name, value)) = bold.split_once([':', '：']).filter(|(n, _)| role(n).is_some()) {
            return make(name, &format!("{} {rest}", value.trim()));
        }
        // `**Expected result** is shown below` is a sentence
        return None;
    }
    let text = without_emoji(without_marks(text));
    plain_label(text).or_else(|| {
        let short = text.split_whitespace().count() <= 3 && !text.ends_with(['.', '!', '?']);
        let role = role(text);
        (alone && short && is_structural(role)).then(|| Label {
            name: text.into(),
            value: String::new(),
            role,
            strong: false,
        })
    })
}

/// Whether the role is a list of sentences or the data of one.
fn is_structural(role: Option<Role>) -> bool {
    kind_of(role).is_some() || role == Some(Role::Data)
}

/// A known label in front of plain text: `Expected result: …`, `Priority - High`.
pub fn plain_label(text: &str) -> Option<Label> {
    let head: &str = match text.char_indices().nth(64) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    let text_from = |at: usize, len: usize| text[at + len..].trim();
    if let Some((at, colon)) = head.char_indices().find(|(_, c)| matches!(c, ':' | '：')) {
        let name = head[..at].trim();
        if name.split_whitespace().count() <= 6
            && let Some(role) = role(name)
        {
            let value = text_from(at, colon.len_utf8()).into();
            return Some(Label { name: name.into(), value, role: Some(role), strong: false });
        }
        return None;
    }
    for dash in [" - ", " – ", " — "] {
        if let Some(at) = head.find(dash) {
            let name = head[..at].trim();
            let role = role(name).filter(|r| is_structural(Some(*r)) || *r == Role::Priority)?;
            let two = name.split_whitespace().count() >= 2 || role == Role::Priority;
            return two.then(|| Label {
                name: name.into(),
                value: text_from(at, dash.len()).into(),
                role: Some(role),
                strong: false,
            });
        }
    }
    None
}

/// Splits further labels off a value: `High | Type: UI | Owner: me`.
pub fn split_fields(value: &str) -> Vec<&str> {
    for separator in [" | ", " · ", " • ", " ┃ "] {
        let parts: Vec<&str> = value.split(separator).collect();
        if parts.len() > 1
            && parts[1..]
                .iter()
                .all(|p| p.split_once([':', '：']).is_some_and(|(n, _)| n.split_whitespace().count() <= 4))
        {
            return parts;
        }
    }
    vec![value]
}

/// A keyword of Gherkin in front of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    Given,
    When,
    Then,
    /// `And`, `But`: of the same kind as the sentence before.
    And,
}

impl Keyword {
    /// The kind of sentence; `before` is the kind of the sentence before.
    pub fn kind(self, before: Kind) -> Kind {
        match self {
            Keyword::Given => Kind::Precondition,
            Keyword::When => Kind::Step,
            Keyword::Then => Kind::Expected,
            Keyword::And => before,
        }
    }
}

/// The keyword of a line and the text after it: `**Given** a user`, `WHEN: it starts`, `- Then …`.
pub fn keyword(text: &str) -> Option<(Keyword, &str, &str)> {
    let text = without_emoji(without_marks(text)).trim_start_matches(['*', '_', '>', ' ']);
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let word = &text[..end];
    let keyword = match word {
        "Given" | "GIVEN" => Keyword::Given,
        "When" | "WHEN" => Keyword::When,
        "Then" | "THEN" => Keyword::Then,
        "And" | "AND" | "But" | "BUT" => Keyword::And,
        _ => return None,
    };
    let rest = text[end..].trim_start_matches(['*', '_', ':', ',', ' ', '\u{a0}']);
    has_words(rest).then_some((keyword, word, rest))
}

/// Whether lines form a scenario: at least two of Given, When and Then.
pub fn is_scenario<'l>(lines: impl Iterator<Item = &'l str>) -> bool {
    let (mut given, mut when, mut then) = (false, false, false);
    for line in lines {
        match keyword(line).map(|k| k.0) {
            Some(Keyword::Given) => given = true,
            Some(Keyword::When) => when = true,
            Some(Keyword::Then) => then = true,
            _ => {}
        }
    }
    [given, when, then].into_iter().filter(|found| *found).count() >= 2
}

/// Splits `Given A, when B, then C` into its three parts.
pub fn one_line_scenario(text: &str) -> Option<[(Keyword, &str); 3]> {
    let (Keyword::Given, _, rest) = keyword(text)? else { return None };
    let lower = rest.to_ascii_lowercase();
    let when = find_word(&lower, "when", 0)?;
    let then = find_word(&lower, "then", when)?;
    let cut = |part: &'_ str| -> usize { part.trim_end_matches([',', ';', ' ', '*', '_']).len() };
    let given = &rest[..when];
    let middle = &rest[when + 4..then];
    let last = rest[then + 4..].trim_start_matches(['*', '_', ':', ',', ' ']);
    let parts = [
        (Keyword::Given, given[..cut(given)].trim()),
        (Keyword::When, middle[..cut(middle)].trim_start_matches(['*', '_', ':', ',', ' '])),
        (Keyword::Then, last),
    ];
    parts.iter().all(|(_, p)| has_words(p)).then_some(parts)
}

fn find_word(text: &str, word: &str, from: usize) -> Option<usize> {
    text[from..].match_indices(word).map(|(at, _)| from + at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        before.is_some_and(|c| !c.is_alphanumeric()) && after.is_none_or(|c| !c.is_alphanumeric())
    })
}

/// Splits an inline expected result from a step: `Click Save. Expected: it is saved`, `Click Save → it is saved`.
pub fn split_outcome(text: &str) -> Option<(&str, &str, &str)> {
    let lower = text.to_lowercase();
    if lower.len() == text.len() {
        for mark in [
            "expected results:",
            "expected result:",
            "expected outcome:",
            "expected behavior:",
            "expected output:",
            "expected:",
            "expect:",
            "result:",
            "=> verify",
            "→ verify",
        ] {
            if let Some(at) = lower.find(mark).filter(|at| *at > 0 && text.is_char_boundary(*at)) {
                let before =
                    text[..at].trim_end_matches(['(', '[', '-', '–', '—', '→', '*', '_', ' ', ';', ',', '=', '>']);
                let split = if mark.ends_with("verify") { at + mark.len() - 6 } else { at + mark.len() };
                let after = text.get(split..)?.trim_matches(['*', '_', ' ']);
                let opened = text[..at].ends_with('(') || text[..at].ends_with('[');
                let after = if opened { after.trim_end_matches([')', ']']) } else { after };
                if has_words(before) && has_words(after) && text[..at].ends_with(|c: char| !c.is_alphanumeric()) {
                    return Some((before, text[at..split].trim(), after));
                }
            }
        }
    }
    let arrow =
        ["→", "=>", "⇒", "➜", "➔", "->", "⟶"].iter().filter_map(|a| text.rfind(a).map(|at| (at, a.len()))).max()?;
    let (before, after) = (text[..arrow.0].trim(), text[arrow.0 + arrow.1..].trim());
    // `Settings → Mobile View` is a way through menus
    let second_is_lower = after.split_whitespace().nth(1).is_some_and(|w| w.starts_with(char::is_lowercase));
    let long = after.split_whitespace().count() >= 3 && second_is_lower;
    let outcome = super::phrasing::is_outcome(after) || long;
    // `On success -> the file moves` is one expectation
    let first = before.split_whitespace().next().unwrap_or_default().to_lowercase();
    if matches!(first.as_str(), "on" | "if" | "when" | "for" | "after") {
        return None;
    }
    // `"File" → "Open" in the menu` is a way through menus, too
    let quote = ['"', '“', '”', '`', '»', '「', '」'];
    if before.ends_with(quote) && after.starts_with(quote) && !super::phrasing::is_outcome(after) {
        return None;
    }
    let inside_code = before.matches('`').count() % 2 == 1;
    (has_words(before) && has_words(after) && outcome && !inside_code).then_some((before, "", after))
}
