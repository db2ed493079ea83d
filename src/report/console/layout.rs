//! Fits text into the columns of a terminal: nothing is wider, and words are broken only where one alone is wider.
use comfy_table::Table;

/// The columns that a text takes on a terminal: two for wide characters, none for combining ones. One line, without colours.
pub fn columns(text: &str) -> usize {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return text.len();
    }
    let mut table = Table::new();
    table.add_row([text]);
    table.column_max_content_widths().first().map_or(0, |columns| usize::from(*columns))
}

/// Where a word that is wider than a line is broken: after one of these.
const BREAKS: &[char] = &['/', '.', ',', ':', ';', '=', '&', '?', '-', '_', '"', ')', ']', '}'];

/// The lines of a text: the first takes at most `first` columns, the others at most `rest`.
pub fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    if columns(text) <= first {
        return vec![text.to_owned()];
    }
    let (mut lines, mut line, mut taken) = (vec![], String::new(), 0);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = columns(word);
        let room = |lines: &Vec<String>| if lines.is_empty() { first.max(1) } else { rest.max(1) };
        let gap = usize::from(taken > 0);
        if taken + gap + width <= room(&lines) {
            line += &" "[..gap];
            line += word;
            taken += gap + width;
            continue;
        }
        if taken > 0 {
            lines.push(std::mem::take(&mut line));
        }
        let mut word = word;
        while columns(word) > room(&lines) {
            let (piece, left) = word.split_at(break_of(word, room(&lines)));
            lines.push(piece.to_owned());
            word = left;
        }
        line.push_str(word);
        taken = columns(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The end of the longest piece of a word that takes at most `max` columns; at least one character.
fn break_of(word: &str, max: usize) -> usize {
    let (mut fits, mut at_break) = (0, 0);
    for (i, c) in word.char_indices() {
        let end = i + c.len_utf8();
        if fits > 0 && columns(&word[..end]) > max {
            break;
        }
        fits = end;
        if BREAKS.contains(&c) {
            at_break = end;
        }
    }
    if at_break > 0 { at_break } else { fits }
}

/// The text, cut between two words if it takes more than `max` columns.
pub fn fit(text: &str, max: usize) -> String {
    if columns(text) <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    for word in text.split(' ') {
        let next = if kept.is_empty() { word.to_owned() } else { format!("{kept} {word}") };
        if columns(&next) + 1 > max {
            break;
        }
        kept = next;
    }
    if max == 0 { kept } else { kept + "…" }
}

/// A shell command in lines of at most `max` columns that can be copied: broken between words, each line but the last ends in a
/// backslash. A word that is wider, such as the body of a request, stays whole.
pub fn wrap_command(command: &str, max: usize) -> Vec<String> {
    let (mut lines, mut line) = (vec![], String::new());
    for word in shell_words(command) {
        let is_last = word.end == command.len();
        let word = &command[word];
        let room = max.saturating_sub(if is_last { 0 } else { 2 });
        if line.is_empty() {
            line.push_str(word);
        } else if columns(&line) + 1 + columns(word) <= room {
            line = format!("{line} {word}");
        } else {
            lines.push(format!("{} \\", std::mem::replace(&mut line, format!("  {word}"))));
        }
    }
    lines.push(line);
    lines
}

/// The words of a command with their quotes.
fn shell_words(command: &str) -> Vec<std::ops::Range<usize>> {
    let (mut words, mut start, mut quote, mut escaped) = (vec![], None, None, false);
    for (i, c) in command.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', None | Some('"')) => {
                start.get_or_insert(i);
                escaped = true;
            }
            (c, Some(open)) => quote = Some(open).filter(|open| *open != c),
            (' ', None) => words.extend(start.take().map(|start| start..i)),
            (c, None) => {
                start.get_or_insert(i);
                quote = Some(c).filter(|c| matches!(c, '\'' | '"'));
            }
        }
    }
    words.extend(start.map(|start| start..command.len()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_between_words() {
        assert_eq!(wrap("one two three four", 9, 6), ["one two", "three", "four"]);
        assert_eq!(wrap("", 9, 6), [""]);
        assert_eq!(wrap("plans/integration/TP-004.yaml:120", 10, 20), ["plans/", "integration/TP-004.", "yaml:120"]);
        assert_eq!(wrap("abcdefghij", 4, 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a abcdefghij", 4, 4), ["a", "abcd", "efgh", "ij"]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((columns("漢字"), columns("🎉"), columns("e\u{301}"), columns("ab")), (4, 2, 1, 2));
        assert_eq!(wrap("漢字漢字漢字 ab", 5, 5), ["漢字", "漢字", "漢字", "ab"]);
        assert_eq!(fit("漢字 漢字", 7), "漢字…");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let texts = [
            "a bc def 漢字漢字 https://a.example/漢/b?c=d",
            "🎉🎉🎉🎉 e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
            "x".repeat(99).leak(),
        ];
        for (text, max) in texts.iter().flat_map(|text| (2..30).map(move |max| (*text, max))) {
            let lines = wrap(text, max, max);
            assert!(lines.iter().all(|line| columns(line) <= max), "{max} {lines:?}");
            let without = |text: &str| text.replace(' ', "");
            assert_eq!(without(&lines.concat()), without(text));
            assert!(columns(&fit(text, max)) <= max);
        }
    }

    #[test]
    fn cuts_between_words() {
        for (max, text) in [(99, "one two three"), (12, "one two…"), (8, "one two…"), (7, "one…"), (3, "…"), (0, "")]
        {
            assert_eq!(fit("one two three", max), text);
        }
    }

    #[test]
    fn a_wrapped_command_stays_the_same_command() {
        let command = r#"curl -sS 'http://h/a b' -H "x: \" y" --data '{"to": "Ann"}'"#;
        let lines = wrap_command(command, 20);
        assert_eq!(
            lines,
            ["curl -sS \\", "  'http://h/a b' \\", "  -H \"x: \\\" y\" \\", "  --data \\", "  '{\"to\": \"Ann\"}'"]
        );
        assert_eq!(wrap_command("tp-runner run TP-1", 99), ["tp-runner run TP-1"]);
        assert_eq!(wrap_command("a\\ b 'c", 3), ["a\\ b \\", "  'c"]);
    }
}
