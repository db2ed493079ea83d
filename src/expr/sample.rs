//! Texts that a regular expression matches: one for each of its alternatives. Pure.
use regex_syntax::hir::{Class, Hir, HirKind};

/// As many alternatives are tried at most.
const MOST: usize = 16;
/// What is chosen of a class that has it: texts that a person can read.
const LIKED: [char; 4] = ['a', '1', ' ', '.'];

/// Empty where there is none, or none was found.
pub fn matching(pattern: &str) -> Vec<String> {
    let (Ok(hir), Ok(regex)) = (regex_syntax::parse(pattern), regex::Regex::new(pattern)) else { return vec![] };
    let mut all = texts(&hir);
    all.retain(|t| regex.is_match(t));
    all.dedup();
    all
}

fn texts(hir: &Hir) -> Vec<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(l) => vec![String::from_utf8_lossy(&l.0).into_owned()],
        HirKind::Class(c) => one_of(c).map(String::from).into_iter().collect(),
        HirKind::Repetition(r) => {
            // what may be left out is shown once, so that the text says what it is about
            let times = r.min.max(1).min(r.max.unwrap_or(u32::MAX)).min(64) as usize;
            texts(&r.sub).into_iter().map(|t| t.repeat(times)).collect()
        }
        HirKind::Capture(c) => texts(&c.sub),
        HirKind::Alternation(all) => all.iter().flat_map(texts).take(MOST).collect(),
        HirKind::Concat(parts) => {
            let parts: Vec<Vec<String>> = parts.iter().map(texts).collect();
            let most = parts.iter().map(Vec::len).max().unwrap_or(0);
            if parts.iter().any(Vec::is_empty) {
                return vec![];
            }
            // each alternative of each part at least once
            (0..most).map(|i| parts.iter().map(|p| p[i % p.len()].as_str()).collect()).collect()
        }
    }
}

fn one_of(class: &Class) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(c) => c.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        Class::Bytes(c) => c.ranges().iter().map(|r| (r.start() as char, r.end() as char)).collect(),
    };
    let liked = LIKED.into_iter().find(|c| ranges.iter().any(|(a, b)| a <= c && c <= b));
    // of `[Dd]` the small one
    let readable = ranges.iter().rev().find(|(a, _)| a.is_ascii_graphic()).map(|(a, _)| *a);
    liked.or(readable).or(ranges.first().map(|(a, _)| *a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alternative_gives_a_text_that_matches() {
        assert_eq!(matching("(?i)(not found|does not exist)"), ["not found", "does not exist"]);
        assert_eq!(matching("^application/json"), ["application/json"]);
        assert_eq!(matching(r"(?i)(error|warn).*(sql|store|database)").len(), 3);
        let traces = matching(r"(?m)(goroutine \d+|\.(go|rs):\d+|(^|\\n)\s+at \S+\()");
        assert!(traces.contains(&"goroutine 1".to_string()) && traces.contains(&".rs:1".to_string()), "{traces:?}");
        assert!(traces.iter().any(|t| t.contains(" at ")), "{traces:?}");
    }

    #[test]
    fn what_nothing_matches_gives_nothing() {
        assert!(matching("[^\\s\\S]").is_empty());
        assert!(matching("(").is_empty());
    }
}
