//! Reads the manual of a verb: its first paragraph, and the rows of its tables.

/// The first paragraph.
pub fn summary(manual: &str) -> String {
    let lines = manual.lines().skip_while(|l| l.starts_with('#') || l.is_empty());
    plain(&lines.take_while(|l| !l.is_empty()).collect::<Vec<_>>().join(" "))
}

/// The text under a heading, up to the next heading of its level or above: `("## Output", …)`.
pub fn section<'p>(page: &'p str, heading: &str) -> Option<&'p str> {
    let start = page.lines().position(|l| l == heading)?;
    let at: usize = page.split_inclusive('\n').take(start + 1).map(str::len).sum();
    let level = heading.chars().take_while(|c| *c == '#').count();
    let ends = |l: &str| {
        let hashes = l.chars().take_while(|c| *c == '#').count();
        (1..=level).contains(&hashes) && l[hashes..].starts_with(' ')
    };
    let rest = &page[at..];
    let (mut end, mut fenced) = (0, false);
    for line in rest.split_inclusive('\n') {
        fenced ^= line.starts_with("```");
        if !fenced && ends(line) {
            break;
        }
        end += line.len();
    }
    Some(rest[..end].trim())
}

/// What a table says about a word: the other cells of the first row that is about it.
pub fn row(text: &str, word: &str) -> Option<String> {
    rows(text).find(|(words, _)| words.iter().any(|w| w == word)).map(|(_, cells)| cells.join("; "))
}

/// Each row of the tables: the words of its first cell, and the other cells. The words are the first ones of each code,
/// or without code the whole cell.
pub fn rows(text: &str) -> impl Iterator<Item = (Vec<String>, Vec<String>)> {
    let mut in_table = false;
    let body = text.lines().filter(move |line| {
        let is_row = line.starts_with('|');
        let is_body = is_row && in_table;
        in_table = is_row && (in_table || line.starts_with("|---"));
        is_body
    });
    body.filter_map(|line| {
        let cells = cells(line);
        let (first, others) = cells.split_first()?;
        let codes = first.split('`').skip(1).step_by(2);
        let word = |code: &str| code.split([':', '(', ' ', ',']).next().unwrap_or(code).to_string();
        let words = if first.contains('`') { codes.map(word).collect() } else { vec![plain(first)] };
        let others = others.iter().map(|c| plain(c)).filter(|c| !c.is_empty()).collect();
        Some((words, others))
    })
}

/// The cells of a row. A `|` in code does not end a cell.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut in_code) = (vec![String::new()], false);
    for c in line.trim().trim_matches('|').chars() {
        match c {
            '|' if !in_code => cells.push(String::new()),
            c => {
                in_code ^= c == '`';
                cells.last_mut().into_iter().for_each(|cell| cell.push(c));
            }
        }
    }
    cells.into_iter().map(|c| c.trim().to_string()).collect()
}

/// The text without links: what they are called remains.
pub fn plain(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(open) = rest.find('[') {
        out += &rest[..open];
        let after = &rest[open + 1..];
        let target = |at: usize| {
            let (rest, close) = match after[at + 1..].chars().next()? {
                '(' => (&after[at + 2..], ')'),
                '[' => (&after[at + 2..], ']'),
                _ => return None,
            };
            rest.find(close).map(|end| &rest[end + 1..])
        };
        match after.find(']').and_then(|at| Some((&after[..at], target(at)?))) {
            Some((name, remaining)) => {
                out += name;
                rest = remaining;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = "# ping\n\nSends a [ping](x.md) and\nwaits.\n\n## Body\n\n| Key | Value | More |\n|---|---|---|\n\
        | `to`, `cc` | an address `a|b` | `x` |\n| in [words](y) | c | |\n\n## Output\n\n```yaml\n## not a heading\n```\n\n### Part\n\nend\n\n## Last\n";

    #[test]
    fn the_first_paragraph_is_the_summary() {
        assert_eq!(summary(MANUAL), "Sends a ping and waits.");
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        assert_eq!(section(MANUAL, "## Output").unwrap(), "```yaml\n## not a heading\n```\n\n### Part\n\nend");
        assert_eq!(section(MANUAL, "### Part").unwrap(), "end");
        assert!(section(MANUAL, "## None").is_none());
    }

    #[test]
    fn a_row_is_found_by_each_of_its_words() {
        assert_eq!(row(MANUAL, "cc").unwrap(), "an address `a|b`; `x`");
        assert_eq!(row(MANUAL, "in words").unwrap(), "c");
        assert!(row(MANUAL, "x").is_none() && row(MANUAL, "Key").is_none());
    }

    #[test]
    fn only_links_are_shortened() {
        for (text, shown) in [
            ("[a](b) and [c][d]", "a and c"),
            ("`[a, b]` and [x]", "`[a, b]` and [x]"),
            ("[open", "[open"),
            ("a list [1](", "a list [1]("),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
