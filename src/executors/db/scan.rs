//! A small SQL lexer for quotes, dollar quotes and comments. Finds where a placeholder is, where a statement ends, and
//! whether the statement changes data.

/// The server's SQL dialect: what quotes mean and where a comment begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dialect {
    Postgres,
    Mysql,
    Sqlite,
}

impl Dialect {
    pub const ALL: [Dialect; 3] = [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite];
}

/// The lexical state at the end of the scanned text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LexState {
    #[default]
    Code,
    /// `'…'` or, for MySQL, `"…"`
    Text {
        quote: char,
        /// A backslash escapes: in `E'…'`, and for MySQL always.
        escapes: bool,
    },
    /// `"…"`, `` `…` `` or `[…]`, with the closing character.
    Name(char),
    /// `$tag$…$tag$`, with its tag.
    Dollar(String),
    /// `-- …`
    Line,
    /// `/* … */`, with its depth: it nests in PostgreSQL.
    Block(usize),
}

impl LexState {
    /// Why a placeholder cannot be bound here, and what to do instead.
    pub fn placeholder_error(&self, expression: &str) -> Option<(String, &'static str)> {
        Some(match self {
            LexState::Code => return None,
            LexState::Text { .. } | LexState::Dollar(_) => (
                format!("a placeholder inside quotes cannot be bound: `${{{expression}}}`"),
                "write `${'%' + x + '%'}` outside of quotes",
            ),
            LexState::Name(_) => {
                (format!("a name cannot be bound: `${{{expression}}}`"), "write out the names of tables and columns")
            }
            LexState::Line | LexState::Block(_) => (
                format!("a placeholder in a comment cannot be bound: `${{{expression}}}`"),
                "write `$${` for a literal `${`",
            ),
        })
    }
}

/// Scans the parts of a statement, text and placeholders in turn.
pub struct Scanner {
    dialect: Dialect,
    pub state: LexState,
    /// The statement so far, without comments, with `''` for each quoted part and `?` for each placeholder.
    pub code: String,
}

impl Scanner {
    pub fn new(dialect: Dialect) -> Self {
        Scanner { dialect, state: LexState::Code, code: String::new() }
    }

    pub fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut used = c.len_utf8();
            match &mut self.state {
                LexState::Code => used = self.scan_code(rest, c),
                LexState::Text { quote, escapes } => {
                    if *escapes && c == '\\' {
                        used += rest[used..].chars().next().map_or(0, char::len_utf8);
                    } else if c == *quote {
                        match rest[used..].starts_with(*quote) {
                            true => used *= 2,
                            false => self.state = LexState::Code,
                        }
                    }
                }
                LexState::Name(end) if c == *end => self.state = LexState::Code,
                LexState::Dollar(tag) if rest.starts_with(tag.as_str()) => {
                    used = tag.len();
                    self.state = LexState::Code;
                }
                LexState::Line if c == '\n' => {
                    self.code.push('\n');
                    self.state = LexState::Code;
                }
                LexState::Block(depth) if rest.starts_with("/*") && self.dialect == Dialect::Postgres => {
                    *depth += 1;
                    used = 2;
                }
                LexState::Block(depth) if rest.starts_with("*/") => {
                    *depth -= 1;
                    used = 2;
                    if *depth == 0 {
                        self.state = LexState::Code;
                    }
                }
                LexState::Name(_) | LexState::Dollar(_) | LexState::Line | LexState::Block(_) => {}
            }
            rest = &rest[used..];
        }
    }

    pub fn placeholder(&mut self) {
        self.code.push('?');
    }

    /// Scans outside of quotes and comments. `rest` begins with `c`. Returns the number of bytes consumed.
    fn scan_code(&mut self, rest: &str, c: char) -> usize {
        use Dialect::{Mysql, Postgres, Sqlite};
        self.state = match (c, self.dialect) {
            ('\'', Postgres) => LexState::Text { quote: c, escapes: self.is_after_e() },
            ('\'' | '"', Mysql) => LexState::Text { quote: c, escapes: true },
            ('\'', Sqlite) => LexState::Text { quote: c, escapes: false },
            ('"', _) | ('`', Mysql | Sqlite) => LexState::Name(c),
            ('[', Sqlite) => LexState::Name(']'),
            ('#', Mysql) => LexState::Line,
            // MySQL requires white space after it: `5--1` is 6.
            ('-', Mysql) if rest.starts_with("--") && !rest[2..].starts_with(|n: char| !n.is_whitespace()) => {
                LexState::Line
            }
            ('-', Postgres | Sqlite) if rest.starts_with("--") => LexState::Line,
            ('/', _) if rest.starts_with("/*") => LexState::Block(1),
            ('$', Postgres) => dollar_tag(rest, &self.code).map_or(LexState::Code, LexState::Dollar),
            _ => LexState::Code,
        };
        match &self.state {
            LexState::Code => self.code.push(c),
            LexState::Text { .. } | LexState::Name(_) => self.code.push_str("''"),
            LexState::Dollar(tag) => {
                self.code.push_str("''");
                return tag.len();
            }
            LexState::Line => {}
            LexState::Block(_) => {
                self.code.push(' ');
                return 2;
            }
        }
        c.len_utf8()
    }

    /// Whether a quote here begins `E'…'`, as opposed to `note'…'`.
    fn is_after_e(&self) -> bool {
        let mut back = self.code.chars().rev();
        matches!(back.next(), Some('e' | 'E')) && !back.next().is_some_and(|b| b.is_alphanumeric() || b == '_')
    }
}

/// The `$tag$` at the beginning of `rest`.
fn dollar_tag(rest: &str, before: &str) -> Option<String> {
    if before.chars().next_back().is_some_and(|b| b.is_alphanumeric() || b == '_') {
        return None;
    }
    let inner = rest.strip_prefix('$')?;
    let end = inner.find('$')?;
    let tag = &inner[..end];
    let is_valid =
        tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_ascii_digit());
    is_valid.then(|| format!("${tag}$"))
}

/// The code of a statement, as in `Scanner::code`.
pub struct Statement<'a>(pub &'a str);

impl Statement<'_> {
    fn words(&self) -> impl Iterator<Item = String> {
        self.0.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).map(str::to_lowercase)
    }

    pub fn first_keyword(&self) -> String {
        self.words().next().unwrap_or_default()
    }

    /// Whether a semicolon is followed by another statement.
    pub fn has_several(&self) -> bool {
        self.0.split_once(';').is_some_and(|(_, rest)| rest.chars().any(|c| c != ';' && !c.is_whitespace()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.chars().all(|c| c == ';' || c.is_whitespace())
    }

    /// Whether it may change data.
    pub fn changes(&self) -> bool {
        let writes = || self.words().any(|w| ["insert", "update", "delete", "merge"].contains(&w.as_str()));
        match self.first_keyword().as_str() {
            "select" | "values" | "show" | "table" => false,
            // A `with` may write in any of its parts, and `explain analyze` executes its statement.
            "with" => writes(),
            "explain" => self.words().any(|w| w == "analyze") && writes(),
            "pragma" => self.0.contains('='),
            _ => true,
        }
    }

    /// Whether it begins or ends a transaction.
    pub fn controls_transaction(&self) -> bool {
        let first = self.first_keyword();
        let second = self.words().nth(1);
        ["begin", "commit", "rollback", "savepoint", "release", "end", "abort"].contains(&first.as_str())
            || (first == "start" && second.as_deref() == Some("transaction"))
    }

    /// Whether any of several PostgreSQL statements copies data to or from the client.
    pub fn copies_to_client(&self) -> bool {
        let copies = |s: Statement<'_>| s.first_keyword() == "copy" && s.words().any(|w| w == "stdin" || w == "stdout");
        self.0.split(';').any(|part| copies(Statement(part)))
    }

    /// Whether MySQL commits the open transaction before this statement.
    pub fn commits_implicitly(&self) -> bool {
        let second = self.words().nth(1);
        match self.first_keyword().as_str() {
            "create" | "drop" => second.as_deref() != Some("temporary"),
            "alter" | "truncate" | "rename" | "grant" | "revoke" | "lock" | "unlock" | "analyze" | "optimize" => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_after(dialect: Dialect, text: &str) -> LexState {
        let mut s = Scanner::new(dialect);
        s.text(text);
        s.state
    }

    fn code(dialect: Dialect, text: &str) -> String {
        let mut s = Scanner::new(dialect);
        s.text(text);
        s.code
    }

    #[test]
    fn tracks_the_lexical_state() {
        use Dialect::Postgres;
        let text = |escapes| LexState::Text { quote: '\'', escapes };
        assert_eq!(state_after(Postgres, "select 'it''s' || "), LexState::Code);
        assert_eq!(state_after(Postgres, "select 'it''s "), text(false));
        assert_eq!(state_after(Postgres, r"select E'\' "), text(true));
        assert_eq!(state_after(Postgres, r"select 'a\' "), LexState::Code);
        assert_eq!(state_after(Postgres, r"select note'\' "), LexState::Code);
        assert_eq!(state_after(Postgres, "select \"a'"), LexState::Name('"'));
        assert_eq!(state_after(Postgres, "do $body$ begin '"), LexState::Dollar("$body$".into()));
        assert_eq!(state_after(Postgres, "do $b$ ' $b$ "), LexState::Code);
        assert_eq!(state_after(Postgres, "select $1, '"), text(false));
        assert_eq!(state_after(Postgres, "select 1 -- it's"), LexState::Line);
        assert_eq!(state_after(Postgres, "select 1 -- it's\n"), LexState::Code);
        assert_eq!(state_after(Postgres, "/* a /* b */ it's "), LexState::Block(1));
        assert_eq!(state_after(Postgres, "ü 'ü' "), LexState::Code);
    }

    #[test]
    fn quotes_and_comments_depend_on_the_dialect() {
        use Dialect::{Mysql, Postgres, Sqlite};
        let text = |quote| LexState::Text { quote, escapes: true };
        for (sql, postgres, mysql, sqlite) in [
            (r"select 'a\' ", LexState::Code, text('\''), LexState::Code),
            ("select \"it's ", LexState::Name('"'), text('"'), LexState::Name('"')),
            ("select `it's ", LexState::Text { quote: '\'', escapes: false }, LexState::Name('`'), LexState::Name('`')),
            ("select 1 # it", LexState::Code, LexState::Line, LexState::Code),
            ("select 5--1", LexState::Line, LexState::Code, LexState::Line),
            ("/* a /* b */ ", LexState::Block(1), LexState::Code, LexState::Code),
            ("select $a$ ", LexState::Dollar("$a$".into()), LexState::Code, LexState::Code),
            ("select [it's ", LexState::Text { quote: '\'', escapes: false }, text('\''), LexState::Name(']')),
        ] {
            assert_eq!(
                [state_after(Postgres, sql), state_after(Mysql, sql), state_after(Sqlite, sql)],
                [postgres, mysql, sqlite],
                "{sql}"
            );
        }
    }

    #[test]
    fn detects_statements_that_change_data() {
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
            assert!(!Statement(&code(Dialect::Postgres, sql)).changes(), "{sql}");
        }
        for sql in [
            "insert into t values (1)",
            "with d as (delete from t returning 1) select * from d",
            "truncate t",
            "explain analyze delete from t",
            "pragma user_version = 3",
            "create table t(a int)",
        ] {
            assert!(Statement(&code(Dialect::Postgres, sql)).changes(), "{sql}");
        }
    }

    #[test]
    fn detects_copy_to_or_from_the_client() {
        let copies = |sql| Statement(&code(Dialect::Postgres, sql)).copies_to_client();
        assert!(copies("select 1; COPY t (a) from stdin with csv;") && copies("copy t to stdout"));
        assert!(
            !copies("copy t from '/a/stdin'") && !copies("select 'copy', 'stdin'") && !copies("select copy from stdin")
        );
    }

    #[test]
    fn detects_implicit_commits() {
        for (sql, commits) in [
            ("create table t (a int)", true),
            ("create temporary table t (a int)", false),
            ("TRUNCATE t", true),
            ("insert into t values ('create')", false),
        ] {
            assert_eq!(Statement(&code(Dialect::Mysql, sql)).commits_implicitly(), commits, "{sql}");
        }
    }
}
