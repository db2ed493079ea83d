//! Generates strings that a regular expression matches, one for each of its alternatives.
use regex_syntax::hir::{Class, Hir, HirKind};

const MAX_ALTERNATIVES: usize = 16;
/// Preferred characters of a class, for readable strings.
const PREFERRED: [char; 4] = ['a', '1', ' ', '.'];

/// Empty if none was found.
pub fn matching_strings(pattern: &str) -> Vec<String> {
    let (Ok(hir), Ok(regex)) = (regex_syntax::parse(pattern), regex::Regex::new(pattern)) else { return vec![] };
    let mut all = strings(&hir);
    all.retain(|t| regex.is_match(t));
    all.dedup();
    all
}

fn strings(hir: &Hir) -> Vec<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(l) => vec![String::from_utf8_lossy(&l.0).into_owned()],
        HirKind::Class(c) => example_of(c).map(String::from).into_iter().collect(),
        HirKind::Repetition(r) => {
            // an optional part occurs once, so that the string is typical
            let times = r.min.max(1).min(r.max.unwrap_or(u32::MAX)).min(64) as usize;
            strings(&r.sub).into_iter().map(|t| t.repeat(times)).collect()
        }
        HirKind::Capture(c) => strings(&c.sub),
        HirKind::Alternation(all) => all.iter().flat_map(strings).take(MAX_ALTERNATIVES).collect(),
        HirKind::Concat(parts) => {
            let parts: Vec<Vec<String>> = parts.iter().map(strings).collect();
            let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
            if parts.iter().any(Vec::is_empty) {
                return vec![];
            }
            // use each alternative of each part at least once
            (0..longest).map(|i| parts.iter().map(|p| p[i % p.len()].as_str()).collect()).collect()
        }
    }
}

fn example_of(class: &Class) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(c) => c.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        Class::Bytes(c) => c.ranges().iter().map(|r| (r.start() as char, r.end() as char)).collect(),
    };
    let preferred = PREFERRED.into_iter().find(|c| ranges.iter().any(|(a, b)| a <= c && c <= b));
    // prefers `d` of `[Dd]`
    let readable = ranges.iter().rev().find(|(a, _)| a.is_ascii_graphic()).map(|(a, _)| *a);
    preferred.or(readable).or(ranges.first().map(|(a, _)| *a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alternative_yields_a_matching_string() {
        assert_eq!(matching_strings("(?i)(not found|does not exist)"), ["not found", "does not exist"]);
        assert_eq!(matching_strings("^application/json"), ["application/json"]);
        assert_eq!(matching_strings(r"(?i)(error|warn).*(sql|store|database)").len(), 3);
        let traces = matching_strings(r"(?m)(goroutine \d+|\.(go|rs):\d+|(^|\\n)\s+at \S+\()");
        assert!(traces.contains(&"goroutine 1".to_string()) && traces.contains(&".rs:1".to_string()), "{traces:?}");
        assert!(traces.iter().any(|t| t.contains(" at ")), "{traces:?}");
    }

    #[test]
    fn unmatchable_or_invalid_patterns_yield_nothing() {
        assert!(matching_strings("[^\\s\\S]").is_empty());
        assert!(matching_strings("(").is_empty());
    }
}
