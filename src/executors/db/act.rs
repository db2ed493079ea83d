//! Performing: what is asked, what an output looks like, and the evidence.
use super::{
    body::{DbAction, Work},
    bound::Bound,
    lite,
    literal::{literal, pg_literal, word},
    pg,
    target::{Database, Pools},
};
use crate::{
    event::EvidenceKind,
    executor::{Action, Output, Started, StepContext, StepError},
    value::{Map, Value},
};
use async_trait::async_trait;

/// What is to be run.
pub struct Asked {
    pub statements: Vec<Bound>,
    /// All or nothing.
    pub transaction: bool,
}

impl Asked {
    pub fn changes(&self) -> bool {
        self.transaction || self.statements.iter().any(|s| s.changes)
    }
}

/// What statements gave.
#[derive(Default)]
pub struct Done {
    /// Of the last statement that had rows.
    pub rows: Vec<Value>,
    pub affected: u64,
    /// Of those the ones that a statement with rows counted: in a file it cannot be told whether they were changed or only read.
    pub looked_at: u64,
    pub notes: Vec<String>,
}

impl Done {
    /// Of several statements the last one's rows count.
    pub fn add(&mut self, other: Done, changes: bool) {
        self.rows = other.rows;
        // What is only looked at is not affected, whatever a server counts.
        self.affected += if changes { other.affected } else { 0 };
        self.notes.extend(other.notes);
    }
}

/// A row as a map. What cannot be read is shown as it came, with a note.
pub fn row_map(cells: impl Iterator<Item = (String, Result<Value, String>)>, notes: &mut Vec<String>) -> Value {
    let mut note = |text: String| {
        if !notes.contains(&text) {
            notes.push(text);
        }
    };
    let mut map = Map::new();
    for (name, cell) in cells {
        let value = cell.unwrap_or_else(|raw| {
            note(format!("column `{name}` has a type that cannot be read; it is shown as it came"));
            Value::text(raw)
        });
        if map.contains_key(&name) {
            note(format!("two columns are called `{name}`; the last one counts"));
        }
        map.insert(name, value);
    }
    Value::from(map)
}

#[async_trait]
impl Action for DbAction {
    fn fields(&self) -> &'static [&'static str] {
        &["rows", "affected"]
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn changes(&self) -> bool {
        self.changes
    }

    async fn perform(&self, cx: &StepContext<'_>) -> Result<Output, StepError> {
        let started = Started::now();
        let db = cx.target::<Database>()?;
        let done = match &self.work {
            Work::File(path) => file(cx, db, &cx.render_text(path)?).await?,
            Work::Sql(query) => {
                run(cx, db, &Asked { statements: vec![Bound::render(cx, query)?], transaction: false }).await?
            }
            Work::Transaction(queries) => {
                let statements = queries.iter().map(|q| Bound::render(cx, q)).collect::<Result<_, _>>()?;
                run(cx, db, &Asked { statements, transaction: true }).await?
            }
        };
        for note in &done.notes {
            cx.note(EvidenceKind::Note, note);
        }
        let affected = i64::try_from(done.affected).unwrap_or(i64::MAX);
        let value =
            Value::map([("rows".to_string(), Value::list(done.rows)), ("affected".to_string(), Value::Int(affected))]);
        cx.note(EvidenceKind::Response, shown(&value, affected));
        Ok(Output::new(value, started))
    }
}

async fn run(cx: &StepContext<'_>, db: &Database, work: &Asked) -> Result<Done, StepError> {
    let statements = &work.statements;
    let (placeholder, write): (char, fn(&Value) -> String) = match db.pool {
        Pools::Postgres(_) => ('$', pg_literal),
        Pools::Sqlite(_) => ('?', literal),
    };
    let asked: Vec<String> = statements
        .iter()
        .map(|b| {
            let values = b.values.iter().enumerate().map(|(i, v)| format!("\n{placeholder}{} = {}", i + 1, write(v)));
            format!("{}{}", b.sql(|i, _| format!("{placeholder}{}", i + 1)), values.collect::<String>())
        })
        .collect();
    cx.note(EvidenceKind::Request, asked.join("\n\n"));
    let mut by_hand: Vec<String> = statements.iter().map(|b| b.sql(|_, v| write(v))).collect();
    if work.transaction {
        by_hand = [vec!["begin".to_string()], by_hand, vec!["commit".to_string()]].concat();
    }
    cx.note(EvidenceKind::Reproduce, client(db, &by_hand.join(";\n")));
    match &db.pool {
        Pools::Postgres(pool) => pg::run(cx, pool, &db.address, work).await,
        Pools::Sqlite(pool) => lite::run(cx, pool, &db.address, work).await,
    }
}

async fn file(cx: &StepContext<'_>, db: &Database, path: &str) -> Result<Done, StepError> {
    let path = cx.run.dir.join(path);
    let text = tokio::fs::read_to_string(&path)
        .await
        .map_err(|e| StepError::Invalid(format!("cannot read `{}`: {e}", path.display())))?;
    cx.note(EvidenceKind::Request, format!("-- {}\n{text}", path.display()));
    let by_hand = match db.pool {
        Pools::Postgres(_) => format!("psql {} -1 -f {}", word(&db.address), word(&path.to_string_lossy())),
        Pools::Sqlite(_) => format!("sqlite3 {} < {}", word(plain(&db.address)), word(&path.to_string_lossy())),
    };
    cx.note(EvidenceKind::Reproduce, by_hand);
    match &db.pool {
        Pools::Postgres(pool) => pg::run_file(cx, pool, &db.address, &text).await,
        Pools::Sqlite(pool) => lite::run_file(cx, pool, &db.address, &text).await,
    }
}

fn client(db: &Database, sql: &str) -> String {
    match db.pool {
        Pools::Postgres(_) => format!("psql {} -c {}", word(&db.address), word(sql)),
        Pools::Sqlite(_) => format!("sqlite3 {} {}", word(plain(&db.address)), word(sql)),
    }
}

/// The path of an SQLite address.
fn plain(address: &str) -> &str {
    let path = address.strip_prefix("sqlite://").unwrap_or(address);
    path.split('?').next().unwrap_or(path)
}

fn shown(value: &Value, affected: i64) -> String {
    let rows = value.get("rows").and_then(Value::as_list).unwrap_or_default();
    let mut out = format!("{} row{}, {affected} affected", rows.len(), if rows.len() == 1 { "" } else { "s" });
    for row in rows {
        // More is not kept anyway.
        if out.len() > 64 << 10 {
            break;
        }
        out.push('\n');
        out.push_str(&row.to_json().to_string());
    }
    out
}
