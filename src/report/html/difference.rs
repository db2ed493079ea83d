//! An assertion that does not hold: expected beside actual, with what differs marked.
use super::{pretty, text::Text};
use crate::{event::AssertionResult, report::wording};
use maud::{Markup, html};

/// Operands shown of an expression.
const MAX_OPERANDS: usize = 20;
/// Equal lines shown before and after a change.
const CONTEXT_LINES: usize = 2;
/// Larger comparisons show all lines of both sides as changed.
const MAX_COMPARED: usize = 1_000_000;

pub fn of(f: &AssertionResult) -> Markup {
    html! {
        div.difference {
            p.subject { code { (Text(wording::subject(f))) } @if wording::is_expression(f) { " does not hold" } }
            @if wording::is_expression(f) {
                @if !matches!(f.actual.as_str(), "false" | "") { p { (Text(&f.actual)) } }
                @if !f.operands.is_empty() {
                    dl.values {
                        @for (name, value) in f.operands.iter().take(MAX_OPERANDS) {
                            dt { code { (Text(name)) } } dd { (whole(value)) }
                        }
                    }
                }
            } @else {
                (sides(&f.expected, &f.actual))
            }
        }
    }
}

fn sides(expected: &str, actual: &str) -> Markup {
    let (a, b) = (lines_of(expected), lines_of(actual));
    if a.len() + b.len() > 4 && a.len() > 1 && b.len() > 1 {
        return by_line(&a, &b);
    }
    let (start, end) = common_ends(expected, actual);
    let side = |text: &str| {
        let (before, rest) = text.split_at(start);
        let (middle, after) = rest.split_at(rest.len() - end);
        html! { code { (Text(before)) @if !middle.is_empty() { mark { (Text(middle)) } } (Text(after)) } }
    };
    html! {
        dl.values {
            dt { "expected" } dd.expected { (side(expected)) }
            dt { "found" } dd.actual { @if actual.is_empty() { span.muted { "nothing" } } @else { (side(actual)) } }
        }
    }
}

/// A value: JSON with line breaks if it is long.
fn whole(value: &str) -> Markup {
    match pretty::lines(value) {
        Some(_) if value.len() > 80 => html! { code.block { (pretty::block(value, &[])) } },
        _ => html! { code { (Text(value)) } },
    }
}

fn lines_of(value: &str) -> Vec<String> {
    match pretty::lines(value) {
        Some(lines) => lines.iter().map(|line| line.indented()).collect(),
        None => value.lines().map(str::to_owned).collect(),
    }
}

/// The length in bytes of what both begin with, and of what both end with after that.
fn common_ends(a: &str, b: &str) -> (usize, usize) {
    let start =
        a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map_or(a.len().min(b.len()), |((i, _), _)| i);
    let ends = a[start..].chars().rev().zip(b[start..].chars().rev());
    let end = ends.take_while(|(x, y)| x == y).map(|(c, _)| c.len_utf8()).sum();
    // equal but for a short tail: marking single brackets or quotes only confuses
    if start == a.len() && start == b.len() { (0, 0) } else { (start, end) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Equal,
    Expected,
    Actual,
}

fn by_line(a: &[String], b: &[String]) -> Markup {
    let changes = changes(a, b);
    let is_near = |i: usize| {
        let near = i.saturating_sub(CONTEXT_LINES)..(i + CONTEXT_LINES + 1).min(changes.len());
        changes[near].iter().any(|(change, _)| *change != Change::Equal)
    };
    let mut skipped = 0;
    html! {
        p.key { span.expected { "- expected" } " " span.actual { "+ found" } }
        code.block.lines {
            @for (i, (change, text)) in changes.iter().enumerate() {
                @if !is_near(i) {
                    ({ skipped += 1; "" })
                } @else {
                    @if skipped > 0 { span.muted { "  … " (wording::count(std::mem::take(&mut skipped), "equal line")) "\n" } }
                    @match change {
                        Change::Equal => span { "  " (Text(text)) "\n" },
                        Change::Expected => span.expected { "- " (Text(text)) "\n" },
                        Change::Actual => span.actual { "+ " (Text(text)) "\n" },
                    }
                }
            }
            @if skipped > 0 { span.muted { "  … " (wording::count(skipped, "equal line")) "\n" } }
        }
    }
}

/// The lines of both, by their longest common subsequence.
fn changes<'l>(a: &'l [String], b: &'l [String]) -> Vec<(Change, &'l str)> {
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let end = a[start..].iter().rev().zip(b[start..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (mid_a, mid_b) = (&a[start..a.len() - end], &b[start..b.len() - end]);
    let mut out: Vec<(Change, &str)> = a[..start].iter().map(|l| (Change::Equal, l.as_str())).collect();
    let (n, m) = (mid_a.len(), mid_b.len());
    let (mut i, mut j) = (0, 0);
    if n * m <= MAX_COMPARED {
        let mut common = vec![0_u32; (n + 1) * (m + 1)];
        let at = |i: usize, j: usize| i * (m + 1) + j;
        for i in (0..n).rev() {
            for j in (0..m).rev() {
                common[at(i, j)] = match mid_a[i] == mid_b[j] {
                    true => common[at(i + 1, j + 1)] + 1,
                    false => common[at(i + 1, j)].max(common[at(i, j + 1)]),
                };
            }
        }
        while i < n && j < m {
            if mid_a[i] == mid_b[j] {
                out.push((Change::Equal, &mid_a[i]));
                (i, j) = (i + 1, j + 1);
            } else if common[at(i + 1, j)] >= common[at(i, j + 1)] {
                out.push((Change::Expected, &mid_a[i]));
                i += 1;
            } else {
                out.push((Change::Actual, &mid_b[j]));
                j += 1;
            }
        }
    }
    out.extend(mid_a[i..].iter().map(|l| (Change::Expected, l.as_str())));
    out.extend(mid_b[j..].iter().map(|l| (Change::Actual, l.as_str())));
    out.extend(a[a.len() - end..].iter().map(|l| (Change::Equal, l.as_str())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(a: &str, b: &str) -> String {
        let (a, b): (Vec<String>, Vec<String>) =
            (a.split(' ').map(str::to_owned).collect(), b.split(' ').map(str::to_owned).collect());
        let sign = |c: &Change| match c {
            Change::Equal => "",
            Change::Expected => "-",
            Change::Actual => "+",
        };
        changes(&a, &b).iter().map(|(c, l)| format!("{}{l}", sign(c))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lines_that_both_have_are_equal() {
        assert_eq!(shown("a b c d", "a x c d"), "a -b +x c d");
        assert_eq!(shown("a b", "a b"), "a b");
        assert_eq!(shown("a b c", "b c d"), "-a b c +d");
        assert_eq!(shown("a", "b"), "-a +b");
    }

    #[test]
    fn marks_what_differs() {
        for (expected, actual, marked) in [
            ("\"Hibernated\"", "\"Hibernating\"", "<mark>ed</mark>&quot;"),
            ("200", "500", "<mark>2</mark>00"),
            ("é1", "è1", "<mark>é</mark>1"),
        ] {
            let html = sides(expected, actual).into_string();
            assert!(html.contains(marked), "{html}");
        }
        assert!(!sides("a", "a").into_string().contains("<mark></mark>"));
    }

    #[test]
    fn objects_are_compared_line_by_line() {
        let html = sides(r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{"a":1,"b":{"c":7,"d":3}}"#).into_string();
        assert!(html.contains("- &quot;c&quot;: 2") || html.contains("-     &quot;c&quot;: 2"), "{html}");
        assert!(html.contains("+     &quot;c&quot;: 7"), "{html}");
    }
}
