//! Small functions over the text of sentences and labels.

/// Marks in front of a text that are no words of it: check boxes, bullets, ticks.
const MARKS: &[char] = &['✅', '☐', '☑', '☒', '✓', '✔', '•', '▪', '◦', '‣', '●', '○', '▢', '□', '\u{fe0f}'];

/// Words in lower case, split at everything that is not a letter or digit.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase)
}

/// Whether the text has a letter or digit.
pub fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Joins runs of white space to one space.
pub fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The text without check boxes and ticks in front.
pub fn without_marks(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let rest = text.trim_start_matches(MARKS).trim_start();
        let rest = ["[ ]", "[x]", "[X]", "[]", "( )"].iter().find_map(|b| rest.strip_prefix(b)).unwrap_or(rest);
        let rest = rest.trim_start();
        if rest.len() == text.len() {
            return text;
        }
        text = rest;
    }
}

/// Splits a list marker from the text: `1. `, `2) `, `(3) `, `a) `, `- `, `Step 4: `, `#5 `. Returns the marker.
pub fn split_marker(text: &str) -> Option<(&str, &str)> {
    let trimmed = text.trim_start();
    let rest = bullet(trimmed).or_else(|| numbered(trimmed)).or_else(|| step_number(trimmed))?;
    let marker = &trimmed[..trimmed.len() - rest.len()];
    Some((marker.trim(), rest.trim()))
}

fn bullet(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['-', '*', '+', '•', '–', '—', '·', '▪', '◦', '‣', '●', '○'])?;
    (rest.starts_with(char::is_whitespace) || (text.starts_with('•') && !rest.is_empty())).then_some(rest)
}

fn numbered(text: &str) -> Option<&str> {
    let open = text.strip_prefix('(').unwrap_or(text);
    let digits = open.len() - open.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = if (1..=3).contains(&digits) {
        // `1.2.` as well as `1.`
        let mut rest = &open[digits..];
        while let Some(next) = rest.strip_prefix('.') {
            let more = next.len() - next.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if more == 0 {
                break;
            }
            rest = &next[more..];
        }
        rest
    } else {
        let mut chars = open.chars();
        let letter = chars.next()?;
        if !letter.is_ascii_lowercase() || !chars.as_str().starts_with(')') {
            return None;
        }
        chars.as_str()
    };
    let after = rest.strip_prefix(['.', ')', ':', '-'])?;
    // `1.Open` is a marker, `1.5 seconds` and `8:30` are not
    let first = after.chars().next();
    let ends = match first {
        None => true,
        Some(c) if c.is_whitespace() => true,
        Some(c) => (rest.starts_with('.') || rest.starts_with(')')) && c.is_alphabetic() && c.is_uppercase(),
    };
    ends.then_some(after)
}

/// The text after `Step 3:`, `Step 3 -` and `Step 3.`; also of a bare `Step 3`.
pub fn step_number(text: &str) -> Option<&str> {
    let lower = text.get(..4)?.to_ascii_lowercase();
    if lower != "step" {
        return None;
    }
    let rest = text[4..].trim_start_matches([' ', '#', '\u{a0}']);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    if digits == 0 {
        return None;
    }
    let number_ends_with_dot = rest[..digits].ends_with('.');
    let rest = rest[digits..].trim_start();
    match rest.strip_prefix([':', '-', '–', '—', ')', '.']) {
        Some(after) => Some(after),
        None if rest.is_empty() || number_ends_with_dot => Some(rest),
        None => None,
    }
}

/// Splits a cell or paragraph into its items: by lines with their markers, or by numbers within one line.
/// A line without marker continues the item above it, if that has one.
pub fn split_items(text: &str, first_line: usize, lines_count: bool) -> Vec<(String, usize)> {
    let mut items: Vec<(String, usize, bool)> = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        let number = if lines_count { first_line + i } else { first_line };
        let line = without_marks(line);
        if !has_words(line) {
            // signs without words, such as `{` of a JSON text, stay with the item
            if let Some((last, ..)) = items.last_mut().filter(|_| !line.is_empty() && split_marker(line).is_none()) {
                last.push(' ');
                last.push_str(line);
            }
            continue;
        }
        match split_marker(line) {
            Some((_, rest)) if has_words(rest) => {
                for part in split_inline_numbers(line) {
                    let rest = split_marker(part).map_or(part, |(_, rest)| rest);
                    items.push((without_marks(rest).into(), number, true));
                }
            }
            _ => match items.last_mut() {
                Some((last, _, true)) => {
                    last.push(' ');
                    last.push_str(line);
                }
                Some((last, ..))
                    if line.starts_with(char::is_lowercase) && !last.ends_with(['.', ';', ':', '!', '?']) =>
                {
                    last.push(' ');
                    last.push_str(line);
                }
                _ => items.push((line.into(), number, false)),
            },
        }
    }
    items.into_iter().map(|(text, line, _)| (squeeze(&text), line)).collect()
}

/// Splits `1. Open it 2. Close it` before each next number.
pub fn split_inline_numbers(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let line = line.trim();
    if !(line.starts_with("1.") || line.starts_with("1)")) {
        return vec![line];
    }
    let sign = &line[1..2];
    let (mut start, mut next, mut from) = (0, 2, 2);
    loop {
        let wanted = format!("{next}{sign}");
        let found = line[from..].match_indices(&wanted).map(|(at, _)| from + at).find(|at| {
            let before = line[..*at].chars().next_back();
            let after = line[at + wanted.len()..].chars().next();
            before.is_some_and(|c| c.is_whitespace() || c == ';' || c == ',')
                && after.is_some_and(|c| c.is_whitespace() || c.is_alphabetic())
        });
        let Some(at) = found else { break };
        parts.push(line[start..at].trim().trim_end_matches([';', ',']));
        start = at;
        from = at + wanted.len();
        next += 1;
    }
    parts.push(line[start..].trim());
    parts
}

/// An id for file names and plan ids: `my plan (1)` gives `my-plan-1`.
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_matches(['-', '_']).to_string()
}

/// Whether the value says that nothing is given: `-`, `N/A`, `None`.
pub fn says_none(text: &str) -> bool {
    let lower = text.trim().trim_end_matches('.').to_lowercase();
    !has_words(&lower)
        || matches!(
            lower.as_str(),
            "n/a"
                | "na"
                | "none"
                | "null"
                | "nil"
                | "n.a"
                | "nenhuma"
                | "nenhum"
                | "ninguna"
                | "ninguno"
                | "không"
                | "keine"
        )
}
