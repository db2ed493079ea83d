//! As much of SQL's grammar as is needed to tell where a hole stands, where a statement ends, and whether it changes anything:
//! quotes, dollar quotes and comments. Pure; knows no database.

/// Whose grammar. They differ in what quotes mean and where a comment begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dialect {
    Postgres,
    Mysql,
    Sqlite,
}

impl Dialect {
    pub const ALL: [Dialect; 3] = [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite];
}

/// Where the scanner is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Within {
    #[default]
    Code,
    /// `'…'` or, for MySQL, `"…"`
    Text {
        quote: char,
        /// A backslash escapes: in `E'…'`, and for MySQL always.
        escapes: bool,
    },
    /// `"…"`, `` `…` `` or `[…]`: the sign that ends it.
    Name(char),
    /// `$tag$…$tag$`
    Dollar(String),
    /// `-- …`
    Line,
    /// `/* … */`, which nests in PostgreSQL.
    Block(usize),
}

impl Within {
    /// Why a hole here could not be bound, and what to do instead.
    pub fn refuses(&self, hole: &str) -> Option<(String, &'static str)> {
        Some(match self {
            Within::Code => return None,
            Within::Text { .. } | Within::Dollar(_) => (
                format!("a hole inside quotes would not be bound: `${{{hole}}}`"),
                "write `${'%' + x + '%'}` outside quotes",
            ),
            Within::Name(_) => (
                format!("a name cannot be bound: `${{{hole}}}`"),
                "tables and columns are written out; values are bound",
            ),
            Within::Line | Within::Block(_) => {
                (format!("a hole in a comment would not be bound: `${{{hole}}}`"), "write `$${` for a literal `${`")
            }
        })
    }
}

/// Reads texts with holes between them, one after the other.
pub struct Scanner {
    dialect: Dialect,
    pub within: Within,
    /// The code so far, without comments and with every quoted part as `''`.
    pub code: String,
}

impl Scanner {
    pub fn new(dialect: Dialect) -> Self {
        Scanner { dialect, within: Within::Code, code: String::new() }
    }

    pub fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut used = c.len_utf8();
            match &mut self.within {
                Within::Code => used = self.code(rest, c),
                Within::Text { quote, escapes } => {
                    if *escapes && c == '\\' {
                        used += rest[used..].chars().next().map_or(0, char::len_utf8);
                    } else if c == *quote {
                        match rest[used..].starts_with(*quote) {
                            true => used *= 2,
                            false => self.within = Within::Code,
                        }
                    }
                }
                Within::Name(end) if c == *end => self.within = Within::Code,
                Within::Dollar(tag) if rest.starts_with(tag.as_str()) => {
                    used = tag.len();
                    self.within = Within::Code;
                }
                Within::Line if c == '\n' => {
                    self.code.push('\n');
                    self.within = Within::Code;
                }
                Within::Block(depth) if rest.starts_with("/*") && self.dialect == Dialect::Postgres => {
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
                Within::Name(_) | Within::Dollar(_) | Within::Line | Within::Block(_) => {}
            }
            rest = &rest[used..];
        }
    }

    /// A hole stands here.
    pub fn hole(&mut self) {
        self.code.push('?');
    }

    /// What begins at `c`, and how many bytes of `rest` that took.
    fn code(&mut self, rest: &str, c: char) -> usize {
        use Dialect::{Mysql, Postgres, Sqlite};
        self.within = match (c, self.dialect) {
            ('\'', Postgres) => Within::Text { quote: c, escapes: self.after_an_e() },
            ('\'' | '"', Mysql) => Within::Text { quote: c, escapes: true },
            ('\'', Sqlite) => Within::Text { quote: c, escapes: false },
            ('"', _) | ('`', Mysql | Sqlite) => Within::Name(c),
            ('[', Sqlite) => Within::Name(']'),
            ('#', Mysql) => Within::Line,
            // MySQL wants a space behind it: `5--1` is 6.
            ('-', Mysql) if rest.starts_with("--") && !rest[2..].starts_with(|n: char| !n.is_whitespace()) => {
                Within::Line
            }
            ('-', Postgres | Sqlite) if rest.starts_with("--") => Within::Line,
            ('/', _) if rest.starts_with("/*") => Within::Block(1),
            ('$', Postgres) => dollar(rest, &self.code).map_or(Within::Code, Within::Dollar),
            _ => Within::Code,
        };
        match &self.within {
            Within::Code => self.code.push(c),
            Within::Text { .. } | Within::Name(_) => self.code.push_str("''"),
            Within::Dollar(tag) => {
                self.code.push_str("''");
                return tag.len();
            }
            Within::Line => {}
            Within::Block(_) => {
                self.code.push(' ');
                return 2;
            }
        }
        c.len_utf8()
    }

    /// `E'…'`, and not `note'…'`.
    fn after_an_e(&self) -> bool {
        let mut back = self.code.chars().rev();
        matches!(back.next(), Some('e' | 'E')) && !back.next().is_some_and(|b| b.is_alphanumeric() || b == '_')
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

    /// Whether one of several, as PostgreSQL reads them, hands data to the client or wants some from it.
    pub fn copies(&self) -> bool {
        let copies = |s: Statement<'_>| s.first() == "copy" && s.words().any(|w| w == "stdin" || w == "stdout");
        self.0.split(';').any(|part| copies(Statement(part)))
    }

    /// Whether MySQL commits what went before when it performs this, and so takes it out of any transaction.
    pub fn commits_by_itself(&self) -> bool {
        let second = self.words().nth(1);
        match self.first().as_str() {
            "create" | "drop" => second.as_deref() != Some("temporary"),
            "alter" | "truncate" | "rename" | "grant" | "revoke" | "lock" | "unlock" | "analyze" | "optimize" => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(dialect: Dialect, text: &str) -> Within {
        let mut s = Scanner::new(dialect);
        s.text(text);
        s.within
    }

    fn code(dialect: Dialect, text: &str) -> String {
        let mut s = Scanner::new(dialect);
        s.text(text);
        s.code
    }

    #[test]
    fn knows_where_it_is() {
        use Dialect::Postgres;
        let text = |escapes| Within::Text { quote: '\'', escapes };
        assert_eq!(after(Postgres, "select 'it''s' || "), Within::Code);
        assert_eq!(after(Postgres, "select 'it''s "), text(false));
        assert_eq!(after(Postgres, r"select E'\' "), text(true));
        assert_eq!(after(Postgres, r"select 'a\' "), Within::Code);
        assert_eq!(after(Postgres, r"select note'\' "), Within::Code);
        assert_eq!(after(Postgres, "select \"a'"), Within::Name('"'));
        assert_eq!(after(Postgres, "do $body$ begin '"), Within::Dollar("$body$".into()));
        assert_eq!(after(Postgres, "do $b$ ' $b$ "), Within::Code);
        assert_eq!(after(Postgres, "select $1, '"), text(false));
        assert_eq!(after(Postgres, "select 1 -- it's"), Within::Line);
        assert_eq!(after(Postgres, "select 1 -- it's\n"), Within::Code);
        assert_eq!(after(Postgres, "/* a /* b */ it's "), Within::Block(1));
        assert_eq!(after(Postgres, "ü 'ü' "), Within::Code);
    }

    #[test]
    fn each_server_has_its_own_quotes_and_comments() {
        use Dialect::{Mysql, Postgres, Sqlite};
        let text = |quote| Within::Text { quote, escapes: true };
        for (sql, postgres, mysql, sqlite) in [
            (r"select 'a\' ", Within::Code, text('\''), Within::Code),
            ("select \"it's ", Within::Name('"'), text('"'), Within::Name('"')),
            ("select `it's ", Within::Text { quote: '\'', escapes: false }, Within::Name('`'), Within::Name('`')),
            ("select 1 # it", Within::Code, Within::Line, Within::Code),
            ("select 5--1", Within::Line, Within::Code, Within::Line),
            ("/* a /* b */ ", Within::Block(1), Within::Code, Within::Code),
            ("select $a$ ", Within::Dollar("$a$".into()), Within::Code, Within::Code),
            ("select [it's ", Within::Text { quote: '\'', escapes: false }, text('\''), Within::Name(']')),
        ] {
            assert_eq!(
                [after(Postgres, sql), after(Mysql, sql), after(Sqlite, sql)],
                [postgres, mysql, sqlite],
                "{sql}"
            );
        }
    }

    #[test]
    fn tells_what_changes_something() {
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
    fn tells_what_copies() {
        let copies = |sql| Statement(&code(Dialect::Postgres, sql)).copies();
        assert!(copies("select 1; COPY t (a) from stdin with csv;") && copies("copy t to stdout"));
        assert!(
            !copies("copy t from '/a/stdin'") && !copies("select 'copy', 'stdin'") && !copies("select copy from stdin")
        );
    }

    #[test]
    fn tells_what_leaves_a_transaction() {
        for (sql, leaves) in [
            ("create table t (a int)", true),
            ("create temporary table t (a int)", false),
            ("TRUNCATE t", true),
            ("insert into t values ('create')", false),
        ] {
            assert_eq!(Statement(&code(Dialect::Mysql, sql)).commits_by_itself(), leaves, "{sql}");
        }
    }
}
