//! Recognises the ids of cases in headings, table cells and references, and makes the missing ones.
use super::{
    text::{has_words, slug, without_marks},
    tiers,
};

/// What a heading or item says about the case below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseHead {
    /// The id as written.
    pub id: Option<String>,
    /// The number of a `Test Case 3` or `3.1 …`.
    pub number: Option<String>,
    pub title: String,
    /// The words announce a case: an id, `Test Case`, `Scenario`.
    pub announced: bool,
}

/// Words before the number or title of a case.
const NOUNS: &[&str] = &[
    "test case",
    "testcase",
    "test scenario",
    "test-case",
    "test",
    "scenario",
    "scenario outline",
    "case",
    "use case",
    "caso de prueba",
    "caso de teste",
    "caso",
    "cenário",
    "cenario",
    "escenario",
    "testfall",
    "cas de test",
    "scénario",
    "szenario",
    "тест-кейс",
    "тест кейс",
    "тест",
    "сценарий",
    "test id",
    "test case id",
    "tc",
    "kasus uji",
    "skenario",
    "manual test",
    "example",
    "check",
    "kịch bản",
    "测试用例",
    "用例",
    "테스트",
    "テスト",
    "tc id",
    "acceptance test",
    "journey",
    "flow",
    "user journey",
    "e2e test",
    "integration test",
    "unit test",
    "case id",
    "qa test",
    "smoke test",
    "ct",
    "uat",
    "story",
    "experiment",
    "trường hợp",
    "test flow",
    "quick test",
    "manual scenario",
];

/// Whether the text can be an id of a case: no spaces, a letter in front and a digit; no priority, date or version.
pub fn is_id(text: &str) -> bool {
    let text = text.trim();
    if text.len() > 48 || text.len() < 2 {
        return false;
    }
    let bytes = text.as_bytes();
    let (first, last) = (text.chars().next(), text.chars().next_back());
    if !first.is_some_and(char::is_alphabetic) || !last.is_some_and(char::is_alphanumeric) {
        return false;
    }
    // one alphabet without spaces between words has no ids of letters
    if !text.chars().all(|c| (c.is_alphanumeric() && c < '\u{2e80}') || "-_./#".contains(c)) {
        return false;
    }
    let letters: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    let lower = letters.to_lowercase();
    if text.contains("//") || text.matches('/').count() > 1 || tiers::is_priority_code(text) {
        return false;
    }
    if matches!(
        lower.as_str(),
        "step"
            | "phase"
            | "week"
            | "day"
            | "sprint"
            | "iso"
            | "ieee"
            | "http"
            | "https"
            | "utf"
            | "sha"
            | "rfc"
            | "section"
            | "version"
            | "v"
            | "stage"
            | "chapter"
            | "appendix"
            | "figure"
            | "table"
            | "level"
            | "oauth"
            | "ipv"
            | "part"
            | "iphone"
            | "ios"
            | "h"
            | "md"
            | "mp"
            | "base"
            | "es"
            | "b"
            | "web"
            | "layer"
            | "tier"
    ) && (lower.len() > 1 || matches!(lower.as_str(), "v" | "h" | "b"))
        && !text[letters.len()..].starts_with('_')
        && !(lower == "md" && text.contains('-'))
        && !(lower == "web" && text.contains('-'))
    {
        return false;
    }
    let digits = bytes.iter().any(u8::is_ascii_digit);
    if !digits {
        return false;
    }
    // either separators with upper-case letters, or letters directly followed by a number
    let upper = letters.chars().all(char::is_uppercase);
    let rest = &text[letters.len()..];
    let plain_number = rest
        .split(['.', '-', '_', '/'])
        .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) || p.len() == 1);
    let separated = rest.starts_with(['-', '_', '.', '/', '#']);
    if separated {
        upper
            || lower.starts_with("tc")
            || lower.starts_with("test")
            || lower.starts_with("ct")
            || ends_with_number(text)
    } else {
        (upper && letters.len() <= 12)
            || (letters.len() <= 4 && plain_number)
            || ((lower == "test" || lower == "case") && plain_number)
    }
}

fn ends_with_number(text: &str) -> bool {
    let last = text.rsplit(['-', '_']).next().unwrap_or_default();
    last.bytes().all(|b| b.is_ascii_digit()) && !text.contains('.') && last.len() <= 4
}

/// Whether the text is an id with a separator and a title: `TC-7. Log in`.
pub fn is_titled(text: &str) -> bool {
    let end = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
    let (id, rest) = text.split_at(end);
    let bare = id.trim_end_matches([':', '.', ')', '-', '–', '—', '|']);
    let separated = bare.len() < id.len() || rest.trim_start().starts_with([':', '-', '–', '—', '|']);
    is_id(bare) && separated && has_words(rest) && text.len() <= 160
}

/// How many ids a text names.
pub fn count(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || "-_.#".contains(c)))
        .map(|w| w.trim_matches(['.', '-', '_']))
        .filter(|w| w.contains(['-', '_']) && is_id(w) || w.len() <= 4 && is_id(w))
        .count()
}

/// Splits an id from the front: `TC-1: Login`, `[TC-1] Login`, `TC-1 - Login`, `TC-1 Login`.
fn leading_id(text: &str) -> Option<(String, String)> {
    let open = text.trim_start_matches(['[', '(', '`', '*', '_', '【']);
    let end = open.find(|c: char| !(c.is_alphanumeric() || "-_./#".contains(c))).unwrap_or(open.len());
    let id = open[..end].trim_end_matches(['-', '_', '.', '/', '#']);
    let id = if is_id(id) {
        id
    } else {
        // `TC 01`, `Test-1:`
        let lower = open.get(..2)?.to_ascii_lowercase();
        let after = open.get(2..)?.strip_prefix([' ', '\u{a0}'])?;
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if (lower != "tc" && lower != "ct" && lower != "uc") || digits == 0 {
            return None;
        }
        let id = format!("{}-{}", &open[..2], &after[..digits]);
        return Some((id, after_id(&after[digits..])));
    };
    let rest = &open[id.len()..];
    let separated = rest.is_empty() || rest.starts_with(|c: char| !c.is_alphanumeric());
    let opened = open.len() < text.len();
    let rest = if opened { rest.trim_start_matches([']', ')', '`', '*', '_', '】']) } else { rest };
    separated.then(|| (id.to_string(), after_id(rest)))
}

fn after_id(rest: &str) -> String {
    rest.trim_start_matches([':', '-', '–', '—', '|', '.', ')', '：', '→', ' ', '·', '\t']).trim().to_string()
}

/// Reads the id, number and title of a heading.
pub fn case_head(text: &str) -> CaseHead {
    let text = without_emoji(without_marks(text));
    if let Some((id, title)) = leading_id(text) {
        return CaseHead { id: Some(id), number: None, title, announced: true };
    }
    // `1. TC-1: Login`, `3.2 Login`
    if let Some((number, rest)) = leading_number(text) {
        let inner = case_head_once(rest);
        if inner.announced {
            return inner;
        }
        return CaseHead { number: Some(number.to_string()), title: rest.to_string(), ..CaseHead::default() };
    }
    case_head_once(text)
}

fn case_head_once(text: &str) -> CaseHead {
    if let Some((id, title)) = leading_id(text) {
        return CaseHead { id: Some(id), number: None, title, announced: true };
    }
    let lower = text.to_lowercase();
    let noun = NOUNS.iter().filter(|n| lower.starts_with(**n)).max_by_key(|n| n.len());
    if let Some(noun) = noun.filter(|n| text.is_char_boundary(n.len())) {
        let rest = &text[noun.len()..];
        let spaced = rest.trim_start_matches([' ', '#', '\u{a0}', '-', '.', ':', '：']);
        if let Some((id, title)) = leading_id(spaced).filter(|_| rest.len() > spaced.len()) {
            return CaseHead { id: Some(id), number: None, title, announced: true };
        }
        let digits = spaced.len() - spaced.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let number = spaced[..digits].trim_matches('.');
        if !number.is_empty() {
            let mut after = &spaced[digits..];
            let mut number = number.to_string();
            // `Test 2b:`
            if let Some(letter) = after.chars().next().filter(char::is_ascii_alphabetic)
                && !after[1..].starts_with(|c: char| c.is_alphanumeric())
            {
                number.push(letter);
                after = &after[1..];
            }
            if after.is_empty() || after.starts_with(|c: char| !c.is_alphanumeric()) {
                return CaseHead { id: None, number: Some(number), title: after_id(after), announced: true };
            }
        }
        // `Test A: Login`, `Case B1 - Login`
        let mut chars = spaced.chars();
        if let (true, Some(letter)) = (rest.starts_with(' '), chars.next().filter(char::is_ascii_uppercase)) {
            let after = chars.as_str();
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if after[digits..].starts_with([':', '.', ')'])
                || after[digits..].starts_with(" -")
                || after[digits..].starts_with(" –")
                || after[digits..].starts_with(" —")
            {
                let number = format!("{letter}{}", &after[..digits]);
                return CaseHead { id: None, number: Some(number), title: after_id(&after[digits..]), announced: true };
            }
        }
        let is_colon = rest.trim_start().starts_with([':', '：']);
        let is_dash = rest.starts_with(" - ") || rest.starts_with(" – ") || rest.starts_with(" — ");
        if (is_colon || is_dash) && has_words(rest) {
            return CaseHead { id: None, number: None, title: after_id(rest), announced: true };
        }
    }
    // an id at the end: `Login (TC-1)`
    if let Some((title, id)) = text.rsplit_once(['(', '[']).map(|(t, i)| (t, i.trim_end_matches([')', ']'])))
        && is_id(id)
        && has_words(title)
    {
        return CaseHead { id: Some(id.into()), title: title.trim().into(), number: None, announced: true };
    }
    // `HEALTH: The platform reports its health`
    if let Some((id, title)) = text.split_once(':')
        && id.len() >= 2
        && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && id.as_bytes()[0].is_ascii_uppercase()
        && !tiers::is_priority_code(id)
        && !matches!(
            id,
            "NOTE"
                | "TODO"
                | "WARNING"
                | "IMPORTANT"
                | "CRITICAL"
                | "HIGH"
                | "MEDIUM"
                | "LOW"
                | "TIP"
                | "EXPECTED"
                | "STEPS"
                | "API"
                | "UI"
                | "GIVEN"
                | "WHEN"
                | "THEN"
                | "AND"
        )
        && has_words(title)
    {
        return CaseHead { id: Some(id.into()), title: title.trim().into(), number: None, announced: false };
    }
    CaseHead { title: text.trim().to_string(), ..CaseHead::default() }
}

/// The number in front of a heading: `3. Login`, `3.2 Login`, `3) Login`.
pub fn leading_number(text: &str) -> Option<(&str, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let number = text[..digits].trim_end_matches('.');
    if number.is_empty() || number.len() > 12 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let rest = &text[digits..];
    let marked = text[..digits].contains('.')
        || rest.starts_with([')', ':'])
        || rest.starts_with(" -")
        || rest.starts_with(" –");
    let rest = rest.strip_prefix([')', ':']).unwrap_or(rest);
    let rest = rest.trim_start_matches([' ', '-', '–', '—', '\u{a0}']);
    (marked && has_words(rest) && text[digits..].starts_with([' ', ')', ':', '\u{a0}'])).then_some((number, rest))
}

/// The text without emoji and other signs in front.
pub fn without_emoji(text: &str) -> &str {
    text.trim_start_matches(|c: char| {
        !c.is_alphanumeric() && !c.is_ascii() && !matches!(c, '“' | '«' | '„' | '‘' | '¿' | '¡' | '【')
            || c.is_whitespace()
    })
}

/// Makes ids for the cases of one plan, each only once.
pub struct Ids {
    prefix: String,
    taken: std::collections::HashSet<String>,
    next: usize,
    /// The next suffix of each id that occurs again.
    suffixes: std::collections::HashMap<String, usize>,
}

impl Ids {
    /// `stem` is the name of the plan's file without its extension; `written` are the ids of the document.
    pub fn new(stem: &str, written: impl Iterator<Item = String>) -> Ids {
        let prefix = slug(stem).to_uppercase();
        Ids {
            prefix: if prefix.is_empty() { "CASE".into() } else { prefix },
            taken: written.collect(),
            next: 1,
            suffixes: Default::default(),
        }
    }

    /// A new id with this number if it is free, or with the next free one.
    pub fn make(&mut self, number: Option<&str>) -> String {
        if let Some(number) = number.map(slug_number).filter(|n| !n.is_empty()) {
            let id = format!("{}-{number}", self.prefix);
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
        loop {
            let id = format!("{}-{}", self.prefix, self.next);
            self.next += 1;
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
    }

    /// `id`, with a suffix if another case has it.
    pub fn unique(&mut self, id: &str) -> String {
        let next = self.suffixes.entry(id.to_string()).or_insert(2);
        loop {
            let id = format!("{id}-{next}");
            *next += 1;
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
    }
}

fn slug_number(number: &str) -> String {
    number.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect()
}
