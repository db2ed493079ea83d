//! As much of SQL's grammar as is needed to tell where a hole stands, where a statement ends, and whether it changes anything:
//! quotes, dollar quotes and comments. Pure; knows no database.

/// Where the scanner is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Within {
    #[default]
    Code,
    /// `'…'`; true where a backslash escapes (`E'…'`).
    Text(bool),
    /// `"…"`
    Name,
    /// `$tag$…$tag$`
    Dollar(String),
    /// `-- …`
    Line,
    /// `/* … */`, which nests.
    Block(usize),
}

/// Reads texts with holes between them, one after the other.
#[derive(Default)]
pub struct Scanner {
    pub within: Within,
    /// The code so far, without comments and with every quoted part as `''`.
    pub code: String,
}

impl Scanner {
    pub fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut used = c.len_utf8();
            match &mut self.within {
                Within::Code => used = self.code(rest, c),
                Within::Text(escapes) => {
                    if *escapes && c == '\\' {
                        used += rest[used..].chars().next().map_or(0, char::len_utf8);
                    } else if rest.starts_with("''") {
                        used = 2;
                    } else if c == '\'' {
                        self.within = Within::Code;
                    }
                }
                Within::Name if c == '"' => self.within = Within::Code,
                Within::Dollar(tag) if rest.starts_with(tag.as_str()) => {
                    used = tag.len();
                    self.within = Within::Code;
                }
                Within::Line if c == '\n' => {
                    self.code.push('\n');
                    self.within = Within::Code;
                }
                Within::Block(depth) if rest.starts_with("/*") => {
                    *depth += 1;
                    used = 2;
                }
                Within::Block(depth) if rest.starts_with("*/") => {
                    *depth -= 1;
                    used = 2;
                    if *depth == 0 {
                        self.within = Within::Code;
                    }
                }
                Within::Name | Within::Dollar(_) | Within::Line | Within::Block(_) => {}
            }
            rest = &rest[used..];
        }
    }

    /// A hole stands here.
    pub fn hole(&mut self) {
        self.code.push('?');
    }

    fn code(&mut self, rest: &str, c: char) -> usize {
        if c == '\'' {
            let last = self.code.chars().next_back();
            let before = self.code.chars().rev().nth(1);
            let escapes = matches!(last, Some('e' | 'E')) && !before.is_some_and(|b| b.is_alphanumeric() || b == '_');
            self.within = Within::Text(escapes);
            self.code.push_str("''");
        } else if c == '"' {
            self.within = Within::Name;
            self.code.push_str("''");
        } else if rest.starts_with("--") {
            self.within = Within::Line;
            return 2;
        } else if rest.starts_with("/*") {
            self.within = Within::Block(1);
            self.code.push(' ');
            return 2;
        } else if let Some(tag) = dollar(rest, &self.code) {
            self.code.push_str("''");
            let used = tag.len();
            self.within = Within::Dollar(tag);
            return used;
        } else {
            self.code.push(c);
        }
        c.len_utf8()
    }
}

/// The `$tag$` that `rest` begins with.
fn dollar(rest: &str, before: &str) -> Option<String> {
    if before.chars().next_back().is_some_and(|b| b.is_alphanumeric() || b == '_') {
        return None;
    }
    let inner = rest.strip_prefix('$')?;
    let end = inner.find('$')?;
    let tag = &inner[..end];
    let fits = tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_ascii_digit());
    fits.then(|| format!("${tag}$"))
}

/// The code of one statement, as it was scanned.
pub struct Statement<'a>(pub &'a str);

impl Statement<'_> {
    fn words(&self) -> impl Iterator<Item = String> {
        self.0.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).map(str::to_lowercase)
    }

    pub fn first(&self) -> String {
        self.words().next().unwrap_or_default()
    }

    /// Whether more than white space stands behind a semicolon.
    pub fn is_several(&self) -> bool {
        self.0.split_once(';').is_some_and(|(_, rest)| rest.chars().any(|c| c != ';' && !c.is_whitespace()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.chars().all(|c| c == ';' || c.is_whitespace())
    }

    /// Whether performing it may change something.
    pub fn changes(&self) -> bool {
        let writes = || self.words().any(|w| ["insert", "update", "delete", "merge"].contains(&w.as_str()));
        match self.first().as_str() {
            "select" | "values" | "show" | "table" => false,
            // A `with` may write in any of its parts; so may an explanation that executes.
            "with" => writes(),
            "explain" => self.words().any(|w| w == "analyze") && writes(),
            "pragma" => self.0.contains('='),
            _ => true,
        }
    }

    /// Whether it begins or ends a transaction.
    pub fn is_transaction(&self) -> bool {
        let first = self.first();
        let second = self.words().nth(1);
        ["begin", "commit", "rollback", "savepoint", "release", "end", "abort"].contains(&first.as_str())
            || (first == "start" && second.as_deref() == Some("transaction"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Within {
        let mut s = Scanner::default();
        s.text(text);
        s.within
    }

    #[test]
    fn knows_where_it_is() {
        assert_eq!(after("select 'it''s' || "), Within::Code);
        assert_eq!(after("select 'it''s "), Within::Text(false));
        assert_eq!(after(r"select E'\' "), Within::Text(true));
        assert_eq!(after(r"select 'a\' "), Within::Code);
        assert_eq!(after(r"select note'\' "), Within::Code);
        assert_eq!(after("select \"a'"), Within::Name);
        assert_eq!(after("do $body$ begin '"), Within::Dollar("$body$".into()));
        assert_eq!(after("do $b$ ' $b$ "), Within::Code);
        assert_eq!(after("select $1, '"), Within::Text(false));
        assert_eq!(after("select 1 -- it's"), Within::Line);
        assert_eq!(after("select 1 -- it's\n"), Within::Code);
        assert_eq!(after("/* a /* b */ it's "), Within::Block(1));
        assert_eq!(after("ü 'ü' "), Within::Code);
    }

    #[test]
    fn tells_what_changes_something() {
        let changes = |sql: &str| {
            let mut s = Scanner::default();
            s.text(sql);
            Statement(&s.code).changes()
        };
        for sql in [
            "select 1",
            " -- delete\n SELECT 'insert'",
            "(select 1)",
            "with a as (select 1) select * from a",
            "explain delete from t",
            "values (1)",
            "show all",
            "pragma table_info(t)",
        ] {
            assert!(!changes(sql), "{sql}");
        }
        for sql in [
            "insert into t values (1)",
            "with d as (delete from t returning 1) select * from d",
            "truncate t",
            "explain analyze delete from t",
            "pragma user_version = 3",
            "create table t(a int)",
        ] {
            assert!(changes(sql), "{sql}");
        }
    }
}
