//! Which files of this machine statements of SQLite open, beside the database of the target: `attach` and `vacuum into`.
//! Other servers open files on their own disks, where their privileges decide.

/// A file that a statement opens.
#[derive(Debug, PartialEq)]
pub enum Opened {
    Path(String),
    /// A bound value, known when the statement is rendered.
    Placeholder,
    /// An expression, or a feature that cannot be checked; the text is how messages name it.
    Unclear(&'static str),
}

/// The files that the statements of a script open. Databases in memory are left out.
pub fn opened_by(script: &str) -> Vec<Opened> {
    let lower = script.to_ascii_lowercase();
    if !["attach", "vacuum", "temp_store_directory"].iter().any(|word| lower.contains(word)) {
        return vec![];
    }
    let opened = statements(script).into_iter().filter_map(|tokens| opened_by_statement(&tokens));
    opened.filter(|o| !is_in_memory(o)).collect()
}

fn is_in_memory(opened: &Opened) -> bool {
    matches!(opened, Opened::Path(path) if path.is_empty() || path == ":memory:")
}

fn opened_by_statement(tokens: &[Token]) -> Option<Opened> {
    let is = |token: &Token, word: &str| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word));
    let at = |word: &str| tokens.iter().position(|token| is(token, word));
    let path = match tokens.first()? {
        first if is(first, "attach") => {
            let after = if tokens.get(1).is_some_and(|t| is(t, "database")) { 2 } else { 1 };
            let end = at("as").unwrap_or(tokens.len());
            tokens.get(after..end).unwrap_or_default()
        }
        first if is(first, "vacuum") => &tokens[at("into")? + 1..],
        first if is(first, "pragma") => {
            let sets = tokens.len() > at("temp_store_directory")? + 1;
            return sets.then_some(Opened::Unclear("`pragma temp_store_directory`"));
        }
        _ => return None,
    };
    Some(match path {
        // SQLite reads the path up to it.
        [Token::Quoted(path)] if path.contains('\0') => Opened::Unclear("a path with a NUL character"),
        // A URI may name another path, and open it in other ways.
        [Token::Quoted(path)] if path.to_ascii_lowercase().starts_with("file:") => Opened::Unclear("a URI"),
        [Token::Quoted(path)] => Opened::Path(path.clone()),
        [Token::Other('?')] => Opened::Placeholder,
        _ => Opened::Unclear("an expression"),
    })
}

#[derive(Debug)]
enum Token {
    Word(String),
    /// The content of any quotes.
    Quoted(String),
    Other(char),
}

/// The statements of a script, each as its tokens, as SQLite reads them.
fn statements(script: &str) -> Vec<Vec<Token>> {
    let mut statements = vec![vec![]];
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let (token, used) = match c {
            '-' if after.starts_with('-') => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if after.starts_with('*') => (None, after[1..].find("*/").map_or(rest.len(), |at| at + 4)),
            '\'' | '"' | '`' => {
                let (content, used) = quoted(after, c);
                (Some(Token::Quoted(content)), used + 1)
            }
            '[' => {
                let end = after.find(']').unwrap_or(after.len());
                (Some(Token::Quoted(after[..end].into())), (end + 2).min(rest.len()))
            }
            ';' => {
                statements.push(vec![]);
                (None, 1)
            }
            _ if is_in_name(c) => {
                let end = rest.find(|c| !is_in_name(c)).unwrap_or(rest.len());
                (Some(Token::Word(rest[..end].into())), end)
            }
            _ if c.is_whitespace() || c == BYTE_ORDER_MARK => (None, c.len_utf8()),
            _ => (Some(Token::Other(c)), c.len_utf8()),
        };
        if let Some(statement) = statements.last_mut() {
            statement.extend(token);
        }
        rest = &rest[used..];
    }
    statements
}

/// SQLite skips it like white space.
const BYTE_ORDER_MARK: char = '\u{feff}';

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || (!c.is_ascii() && c != BYTE_ORDER_MARK)
}

/// The content up to the closing quote, and the number of bytes with it. Two quotes inside are one.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let (mut content, mut at) = (String::new(), 0);
    while let Some(found) = text[at..].find(quote) {
        content.push_str(&text[at..at + found]);
        at += found + 1;
        if !text[at..].starts_with(quote) {
            return (content, at);
        }
        content.push(quote);
        at += 1;
    }
    content.push_str(&text[at..]);
    (content, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_files_that_statements_open() {
        let path = |p: &str| vec![Opened::Path(p.into())];
        let expression = || vec![Opened::Unclear("an expression")];
        for (script, expected) in [
            ("attach '/etc/x' as y", path("/etc/x")),
            ("ATTACH DATABASE\n'it''s' AS y", path("it's")),
            ("/* a */ attach -- b\n \"a\"\"b\" as y", path("a\"b")),
            ("attach [a'b] as y", path("a'b")),
            ("attach `a` as y", path("a")),
            ("\u{feff}attach 'x' as y key 'z'", path("x")),
            ("select 1; attach 'x' as y;", path("x")),
            ("select 'a;b' ; vacuum main into 'x'", path("x")),
            ("vacuum into 'x'", path("x")),
            ("attach ? as y", vec![Opened::Placeholder]),
            ("attach 'a' || 'b' as y", expression()),
            ("attach x'2f' as y", expression()),
            ("attach database as y", expression()),
            ("attach name as y", expression()),
            ("vacuum into", expression()),
            ("attach 'FILE:/etc/x?mode=rw' as y", vec![Opened::Unclear("a URI")]),
            ("pragma temp_store_directory = '/etc'", vec![Opened::Unclear("`pragma temp_store_directory`")]),
            ("attach '' as y; attach ':memory:' as z", vec![]),
            ("vacuum", vec![]),
            ("vacuum main", vec![]),
            ("pragma temp_store_directory", vec![]),
            ("select 'attach ''x'' as y'", vec![]),
            ("select 1 -- ; attach 'x' as y", vec![]),
            ("select 1 /* ; attach 'x' as y", vec![]),
            ("select \"; attach\"", vec![]),
            ("create table attach (a); insert into attach values ('x')", vec![]),
            ("a→attach 'x' as y", vec![]),
        ] {
            assert_eq!(opened_by(script), expected, "{script}");
        }
    }
}
