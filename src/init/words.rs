//! Texts of a plan from texts of a service: sentences, titles, ids and names.
use std::collections::HashSet;

/// Length of a title or sentence. The rest of a longer one is cut at a word.
const MAX_SENTENCE_CHARS: usize = 100;
const MAX_ID_CHARS: usize = 24;
/// Names that every plan has, and words that expressions cannot use as names.
const RESERVED: &[&str] = &[
    "run",
    "case",
    "env",
    "inputs",
    "item",
    "it",
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "size",
    "json",
    "now",
    "raw",
    "secret",
    "secrets_in",
    "anomalies",
    "response",
    "refused",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "list",
    "map",
    "type",
    "has",
    "all",
    "exists",
    "duration",
    "timestamp",
    "math",
    "dyn",
    "min",
    "max",
];
/// Words in the names of fields whose values are secrets.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "signature",
    "credential",
    "credentials",
    "authorization",
    "jwt",
    "otp",
];

/// A text as one line: white space collapsed, control characters removed, cut at a word.
pub fn sentence(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() || is_format(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let mut out = String::new();
    for word in words {
        if out.chars().count() + 1 + word.chars().count() > MAX_SENTENCE_CHARS {
            if out.is_empty() {
                out = word.chars().take(MAX_SENTENCE_CHARS).collect();
            }
            out.push('…');
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out.trim_end_matches(['.', ' ']).to_string()
}

/// Characters that change how a line is shown: marks of direction, joiners, the byte order mark.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}')
}

/// The first sentence of a longer text, without markup of Markdown and HTML.
pub fn first_sentence(text: &str) -> String {
    let mut plain = String::new();
    let mut is_tag = false;
    for c in text.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            '*' | '`' | '#' => {}
            _ if !is_tag => plain.push(c),
            _ => {}
        }
    }
    let plain = plain.trim();
    let end = plain.find(". ").or_else(|| plain.find("\n\n")).unwrap_or(plain.len());
    sentence(&plain[..end])
}

/// Whether a text has a letter or a digit, so that it says something.
pub fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// `listAllPets`, `list_all_pets` and `ListAllPets` as `List all pets`.
pub fn humanized(name: &str) -> String {
    let words = split_words(name);
    let mut out = words.join(" ");
    if let Some(first) = out.get(..1).map(str::to_uppercase) {
        out.replace_range(..1, &first);
    }
    sentence(&out)
}

/// The words of an identifier, in lower case.
pub fn split_words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = vec![];
    let mut word = String::new();
    for (i, c) in chars.iter().enumerate() {
        let ends_word = c.is_uppercase()
            && i > 0
            && (chars[i - 1].is_lowercase()
                || chars[i - 1].is_numeric()
                || chars.get(i + 1).is_some_and(|n| n.is_lowercase()));
        if (!c.is_alphanumeric() || ends_word) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The id of a plan from the title of its service: `Swagger Petstore - OpenAPI 3.0` gives `SWAGGER-PETSTORE`.
pub fn plan_id(title: &str) -> String {
    let ascii: String =
        title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { ' ' }).collect();
    let mut id = String::new();
    for word in ascii.split_whitespace().filter(|w| !matches!(*w, "OPENAPI" | "API" | "SWAGGER" | "THE" | "REST")) {
        if !id.is_empty() && (id.len() + 1 + word.len() > MAX_ID_CHARS || word.bytes().all(|b| b.is_ascii_digit())) {
            break;
        }
        if !id.is_empty() {
            id.push('-');
        }
        id.push_str(&word[..word.len().min(MAX_ID_CHARS)]);
    }
    match id.bytes().next() {
        None => "API".into(),
        // an id that looks like a number would have to be quoted wherever it is written
        Some(b) if b.is_ascii_digit() => format!("API-{id}"),
        Some(_) => id,
    }
}

/// The id as the name of an environment variable: `PETSTORE_URL`.
pub fn variable(id: &str, suffix: &str) -> String {
    let part = |text: &str| -> String {
        let text = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        let text: String = text.collect();
        text.split('_').filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_")
    };
    let (id, suffix) = (part(id), part(suffix));
    match () {
        () if id.is_empty() => format!("SERVICE_{suffix}"),
        () if id.starts_with(|c: char| c.is_ascii_digit()) => format!("SERVICE_{id}_{suffix}"),
        () => format!("{id}_{suffix}"),
    }
}

/// A name for expressions that is not used yet: `petId` gives `pet_id`.
pub fn name(text: &str, used: &mut HashSet<String>) -> String {
    let words: Vec<String> = split_words(text);
    let mut name: String = words.join("_").chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name = format!("value_{name}").trim_end_matches('_').to_string();
    }
    if RESERVED.contains(&name.as_str()) {
        name = format!("{name}_value");
    }
    let mut unique = name.clone();
    let mut n = 2;
    while !used.insert(unique.clone()) {
        unique = format!("{name}_{n}");
        n += 1;
    }
    unique
}

/// Whether a field of this name holds a secret, so that its value must not be written to a plan.
pub fn is_secret(name: &str) -> bool {
    let words = split_words(name);
    let joined = words.concat();
    words.iter().any(|w| SECRETS.contains(&w.as_str())) || SECRETS.iter().any(|s| joined.ends_with(s))
}

/// Lower case without separators, to compare names in different spellings.
pub fn normalized(name: &str) -> String {
    split_words(name).concat()
}

/// The singular of an English plural, as far as spelling tells.
pub fn singular(word: &str) -> String {
    match () {
        () if word.len() > 4 && word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        () if ["sses", "xes", "ches", "shes"].iter().any(|end| word.ends_with(end)) => {
            word[..word.len() - 2].to_string()
        }
        () if word.len() > 2 && word.ends_with('s') && !word.ends_with("ss") => word[..word.len() - 1].to_string(),
        () => word.to_string(),
    }
}

/// An expression for the field of another one: `body.id`, or `body["x-id"]`.
pub fn member(of: &str, field: &str) -> String {
    let is_name = field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name && !RESERVED.contains(&field) { format!("{of}.{field}") } else { format!("{of}[{}]", literal(field)) }
}

/// A string literal of an expression.
pub fn literal(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_one_line_and_cut_at_a_word() {
        assert_eq!(sentence(" Lists\n\tall  pets. "), "Lists all pets");
        assert_eq!(sentence("a\u{0}b\u{2028}c\u{feff}"), "a b c");
        let long = sentence(&"word ".repeat(50));
        assert!(long.chars().count() <= MAX_SENTENCE_CHARS + 1 && long.ends_with("word…"), "{long}");
        assert_eq!(sentence(&"x".repeat(200)).chars().count(), MAX_SENTENCE_CHARS + 1);
        assert_eq!(first_sentence("Returns **pets**. <b>All</b> of them."), "Returns pets");
    }

    #[test]
    fn identifiers_become_words() {
        assert_eq!(humanized("listAllPets"), "List all pets");
        assert_eq!(humanized("get_HTTPStatus-v2"), "Get http status v2");
        assert_eq!(humanized("éléments"), "éléments");
        assert_eq!(humanized("***"), "");
    }

    #[test]
    fn ids_and_variables_have_safe_characters_only() {
        for (title, id, variable_name) in [
            ("Swagger Petstore - OpenAPI 3.0", "PETSTORE", "PETSTORE_URL"),
            ("Train Travel API", "TRAIN-TRAVEL", "TRAIN_TRAVEL_URL"),
            ("", "API", "API_URL"),
            ("宠物商店", "API", "API_URL"),
            ("1Password Connect", "API-1PASSWORD-CONNECT", "API_1PASSWORD_CONNECT_URL"),
        ] {
            assert_eq!(plan_id(title), id);
            assert_eq!(variable(&plan_id(title), "url"), variable_name);
        }
        assert_eq!(variable("42", "url"), "SERVICE_42_URL");
    }

    #[test]
    fn names_are_unique_and_never_reserved() {
        let mut used = HashSet::new();
        let names: Vec<String> =
            ["petId", "pet-id", "in", "response", "1", "名"].iter().map(|n| name(n, &mut used)).collect();
        assert_eq!(names, ["pet_id", "pet_id_2", "in_value", "response_value", "value_1", "value"]);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for secret in ["password", "userPassword", "api_key", "X-Api-Key", "accessToken", "client_secret"] {
            assert!(is_secret(secret), "{secret}");
        }
        for other in ["name", "keyboard", "tokens_used", "page", "key"] {
            assert!(!is_secret(other), "{other}");
        }
    }

    #[test]
    fn members_are_valid_expressions() {
        assert_eq!(member("body", "id"), "body.id");
        assert_eq!(member("body", "x-id"), "body['x-id']");
        assert_eq!(member("body", "it's"), r"body['it\'s']");
        assert_eq!(member("body", "namespace"), "body['namespace']");
    }
}
